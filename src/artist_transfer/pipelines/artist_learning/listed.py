"""Sets of artists that come from a list, such as the ISMIR paper's ``msd-artist-list.pkl``, and sets as such a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.artifacts import sha256_of
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_learning.params import SetsBlock

LIST_COLUMNS = ["track_7digitalid", "artist_index", "song_index"]


@dataclass(frozen=True)
class ListedArtists:
    """An artist list, and which of its songs the corpus has.

    Attributes
    ----------
    artist_list : pd.DataFrame
        As of `artist_list.read_artist_list`.
    names : pd.DataFrame
        ``track_id``, ``track_7digitalid`` of the corpus.
    facts : dict
        ``file``, ``sha256``, ``songs``, and by ``not there`` how many and which songs the corpus lacks.
    """

    artist_list: pd.DataFrame
    names: pd.DataFrame
    facts: dict[str, Any]

    def available(self, tracks: pd.DataFrame, block: SetsBlock) -> int:
        """Count the artists of the list whose songs are all among some tracks."""
        return int(self.sets(tracks, [1], block)[1]["artists"])

    def sets(self, tracks: pd.DataFrame, sizes: Sequence[int], block: SetsBlock) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Take the first artists of the list whose songs are all among some tracks; the song index says the side.

        Parameters
        ----------
        tracks : pd.DataFrame
            Training tracks of a fold.
        sizes : sequence of int
            Numbers of artists.
        block : SetsBlock
            Division.

        Returns
        -------
        table : pd.DataFrame
            As of `artist_sets`.
        facts : dict
            Counts, and the artists of the list that take no part, with the reason.
        """
        from artist_transfer.corpora.artist_list import to_artist_sets

        table, left_out, notes = to_artist_sets(
            self.artist_list, self._named(tracks), sizes=sizes, division=block.division
        )
        told = [f"artist {row.artist_index}: {row.reason}" for row in left_out.itertuples()]
        few = {"count": len(told), "first": told[:10]}
        return table, {"artists": notes["artists usable"], "artists with fewer songs": few, "list": notes, "out": told}

    def _named(self, tracks: pd.DataFrame) -> pd.DataFrame:
        return tracks.merge(self.names, on="track_id", how="left")


def find_listed(path: str, list_name_table: pd.DataFrame) -> ListedArtists:
    """Read an artist list and look for its songs.

    Parameters
    ----------
    path : str
        The file.
    list_name_table : pd.DataFrame
        ``track_id``, ``list_name`` of all tracks of the corpus.

    Returns
    -------
    ListedArtists
        The list.

    Raises
    ------
    ArtistTransferError
        If it is none, or the corpus has none of its songs.
    """
    from artist_transfer.corpora.artist_list import read_artist_list

    if not Path(path).is_file():
        raise ArtistTransferError(f"sets.artist_list={path}: there is no such file")
    artist_list = read_artist_list(path)
    names = list_name_table.rename(columns={"list_name": LIST_COLUMNS[0]})
    listed = artist_list[LIST_COLUMNS[0]]
    absent = sorted(set(listed) - set(names[LIST_COLUMNS[0]]))
    if len(absent) == listed.nunique():
        raise ArtistTransferError(
            f"sets.artist_list={path}: none of its {len(listed)} songs is in this corpus, the first is "
            f"{listed.iloc[0]!r}; songs are named by 7digital ids in a Million Song Dataset, elsewhere by track ids"
        )
    facts = {"file": Path(path).name, "sha256": sha256_of(Path(path)), "songs": len(listed)}
    return ListedArtists(artist_list, names, facts | {"not there": {"count": len(absent), "names": absent}})


def as_artist_list(artist_set_table: pd.DataFrame, list_name_table: pd.DataFrame) -> tuple[pd.DataFrame, str | None]:
    """Turn the artist sets of the first fold into an artist list.

    Parameters
    ----------
    artist_set_table : pd.DataFrame
        The sets of all folds.
    list_name_table : pd.DataFrame
        What such a list calls the songs.

    Returns
    -------
    artist_list : pd.DataFrame
        Empty if there cannot be one.
    reason : str or None
        Why it is empty.
    """
    from artist_transfer.corpora.artist_list import make_artist_list

    table = artist_set_table[artist_set_table["kind"] == "artist"]
    table = table[table["fold"] == table["fold"].min()]
    if not len(table):
        return pd.DataFrame(columns=LIST_COLUMNS), "there is no set of artists"
    names = list_name_table.set_index("track_id").rename(columns={"list_name": LIST_COLUMNS[0]})
    used = table["track_id"].map(names[LIST_COLUMNS[0]].to_dict())
    bad = used[~used.astype("str").str.fullmatch("[0-9]{1,12}")]
    if len(bad):
        return pd.DataFrame(columns=LIST_COLUMNS), f"its songs are numbers of up to 12 digits, not {bad.iloc[0]!r}"
    return make_artist_list(table, names), None
