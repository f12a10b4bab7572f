"""A map of tracks: their vectors in two dimensions, by artist and by genre (ISMIR, figures 6 and 7).

Vectors are brought to length 1 first, so that nearness on the map is nearness by cosine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.artist_map import PERPLEXITY, in_the_plane
from artist_transfer.evaluation.embeddings import Embeddings

MOST_TRACKS = 3_000
COLUMNS = ["track_id", "artist_id", "artist", "title", "genre", "x", "y"]


def track_map(
    embeddings: Embeddings,
    track_table: pd.DataFrame,
    *,
    label: str | None = None,
    most_tracks: int = MOST_TRACKS,
    perplexity: float = PERPLEXITY,
    seed: int = 0,
) -> pd.DataFrame:
    """Place tracks in the plane.

    Parameters
    ----------
    embeddings : Embeddings
    track_table : pd.DataFrame [columns: track_id, artist_id, artist, title, genre_top, …]
        Tracks without a vector are not on the map.
    label : {"artist_id", "genre_top"}, optional
        Tracks without it are not on the map either.
    most_tracks : int > 0
        If there are more, as many are drawn.
    perplexity : float > 1
        Lowered where there are few tracks.
    seed : int >= 0
        Of the draw and of t-SNE.

    Returns
    -------
    pd.DataFrame [columns: track_id, artist_id, artist, title, genre, x, y]
        Sorted by track_id; ``attrs["n_tracks"]`` is the number before the draw.

    Raises
    ------
    ArtistTransferError
        If no track remains.
    """
    known = set(embeddings.track_ids)
    table = track_table[track_table["track_id"].isin(known)].sort_values("track_id", ignore_index=True)
    if label is not None:
        table = table[table[label].notna()].reset_index(drop=True)
    if not len(table):
        raise ArtistTransferError(f"no track with a vector{f' has a {label}' if label else ''}, so there is no map")
    n_tracks = len(table)
    table = table.iloc[drawn(n_tracks, most_tracks, seed)].reset_index(drop=True)
    places = places_by_cosine(embeddings.of(table["track_id"].tolist()), perplexity=perplexity, seed=seed)
    found = table.reindex(columns=["track_id", "artist_id", "artist", "title", "genre_top"])
    found = found.rename(columns={"genre_top": "genre"}).assign(x=places[:, 0], y=places[:, 1])[COLUMNS]
    found.attrs["n_tracks"] = n_tracks
    return found


def drawn(n: int, most: int, seed: int, *, always: Sequence[int] = ()) -> np.ndarray:
    """Choose rows for a map.

    Parameters
    ----------
    n : int >= 0
        Rows there are.
    most : int > 0
        Rows to choose; more only if `always` has more.
    seed : int >= 0
    always : sequence of int
        Rows that have to be among them.

    Returns
    -------
    np.ndarray of int64, sorted
    """
    if n <= most:
        return np.arange(n)
    kept = np.unique(np.asarray(always, dtype=np.int64))
    others = np.setdiff1d(np.arange(n), kept)
    more = np.random.default_rng([seed, 67]).choice(others, max(0, most - len(kept)), replace=False)
    return np.sort(np.concatenate([kept, more]))


def places_by_cosine(vectors: np.ndarray, *, perplexity: float = PERPLEXITY, seed: int = 0) -> np.ndarray:
    """Place vectors in the plane by their cosines.

    Parameters
    ----------
    vectors : np.ndarray [shape=(n, width)]
    perplexity : float > 1
    seed : int >= 0

    Returns
    -------
    np.ndarray [shape=(n, 2)]
    """
    wide = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return in_the_plane(wide / np.where(norms == 0, 1.0, norms), perplexity=perplexity, seed=seed)
