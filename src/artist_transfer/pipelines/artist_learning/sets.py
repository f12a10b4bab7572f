"""Which songs a net of a fold learns from: those of the training side, as many of every artist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_learning.listed import ListedArtists
from artist_transfer.pipelines.artist_learning.params import SetsBlock

COLUMNS = ["fold", "kind", "set", "artist_id", "track_id", "position", "side"]


def available(tracks: pd.DataFrame, block: SetsBlock, *, seed: int, listed: ListedArtists | None = None) -> int:
    """Count the artists that have enough songs.

    Parameters
    ----------
    tracks : pd.DataFrame
        Training tracks of a fold.
    block : SetsBlock
        Songs an artist.
    seed : int
        Of the sets.
    listed : ListedArtists, optional
        The list that they come from, if they are not drawn.

    Returns
    -------
    int
        Their number.

    Raises
    ------
    ArtistTransferError
        If there are fewer than two.
    """
    from artist_transfer.corpora.artist_sets import artist_sets

    if listed is not None:
        return listed.available(tracks, block)
    _, facts = artist_sets(tracks, sizes=[2], songs=block.songs, division=block.division, seed=seed)
    few: Any = facts["artists with fewer songs"]
    artists: Any = facts["artists"]
    return int(artists) - int(few["count"])


def study_sizes(most: int) -> list[int]:
    """Choose the sizes of a sweep: a quarter, a half and all of the artists.

    Parameters
    ----------
    most : int
        Artists with enough songs.

    Returns
    -------
    list of int
        Different ones of at least 2, the smallest first.
    """
    return sorted({max(2, most // 4), max(2, most // 2), most})


def sets_of_fold(
    tracks: pd.DataFrame,
    block: SetsBlock,
    *,
    kinds: Sequence[str],
    sizes: Sequence[int],
    seed: int,
    listed: ListedArtists | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Draw the nested sets of a fold, of artists and of songs with tags.

    Parameters
    ----------
    tracks : pd.DataFrame
        Training tracks of the fold.
    block : SetsBlock
        Songs, division, tags.
    kinds : sequence of {"basic", "siamese", "tag"}
        What is learned.
    sizes : sequence of int
        Numbers of artists.
    seed : int
        Of the draw.
    listed : ListedArtists, optional
        The list that the sets of artists come from, if they are not drawn.

    Returns
    -------
    table : pd.DataFrame
        ``kind`` (artist or tag), and as `artist_sets` and `tag_label_set` give it.
    facts : dict
        By kind.
    """
    from artist_transfer.corpora.artist_sets import artist_sets, tag_label_set

    tables, facts = [], {}
    if set(kinds) - {"tag"}:
        if listed is not None:
            table, facts["artist"] = listed.sets(tracks, sizes, block)
        else:
            table, facts["artist"] = artist_sets(
                tracks, sizes=sizes, songs=block.songs, division=block.division, seed=seed
            )
        tables.append(table.assign(kind="artist"))
    if "tag" in kinds:
        for size in sizes:
            table, facts[f"tag {size}"] = tag_label_set(
                tracks, size=size, songs=block.songs, division=block.division, top_tags=block.top_tags, seed=seed
            )
            tables.append(table.assign(kind="tag"))
    if not tables:
        raise ArtistTransferError("artist_study.kinds names no net")
    return pd.concat(tables, ignore_index=True), facts
