"""Songs like this song, artists like this artist, with their cosines.

A song never finds itself: all clips of its recording are left out, and so are an artist's own songs when the artist is
the query. An artist is compared by the mean of its normalised songs; the mean of the query's own artist is taken
without the query.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.search.groups import unit
from artist_transfer.search.index import SearchIndex
from artist_transfer.search.neighbours import nearest
from artist_transfer.search.query import Query

SONG_COLUMNS = (
    "rank", "score", "track_id", "recording_id", "artist_id", "artist", "title", "genre_top", "path", "same_artist",
)  # fmt: skip
ARTIST_COLUMNS = (
    "rank", "score", "artist_id", "artist", "genre_top", "n_songs", "track_id", "title", "path", "same_artist",
)  # fmt: skip


def songs_like(index: SearchIndex, query: Query, *, k: int = 10) -> pd.DataFrame:
    """Find the songs most like a query.

    Parameters
    ----------
    index : SearchIndex
    query : Query
        With its vector.
    k : int > 0
        Songs wanted; fewer if there are no more.

    Returns
    -------
    pd.DataFrame [columns: rank, score, track_id, recording_id, artist_id, artist, title, genre_top, path, same_artist]
        Best first, equal scores by id; score is the cosine.
    """
    found = nearest(
        _vector(query)[None], index.songs.vectors, k, excluded=[query.own_songs], approximate=index.approximate
    )
    rows = found.rows[0][found.rows[0] >= 0]
    table = index.songs.table.iloc[rows].reset_index(drop=True)
    table.insert(0, "score", found.scores[0][: len(rows)])
    table.insert(0, "rank", np.arange(1, len(rows) + 1))
    table["same_artist"] = [query.artist_id is not None and each == query.artist_id for each in table["artist_id"]]
    return table[list(SONG_COLUMNS)]


def artists_like(index: SearchIndex, query: Query, *, k: int = 10) -> pd.DataFrame:
    """Find the artists most like a query.

    Parameters
    ----------
    index : SearchIndex
    query : Query
        With its vector.
    k : int > 0
        Artists wanted; fewer if there are no more.

    Returns
    -------
    pd.DataFrame [columns: rank, score, artist_id, artist, genre_top, n_songs, track_id, title, path, same_artist]
        Best first, equal scores by id. ``track_id``, ``title`` and ``path`` are of the artist's song nearest to the
        query. Empty if no song of the index has an artist.
    """
    artists = index.artists
    if not len(artists.table):
        return pd.DataFrame(columns=list(ARTIST_COLUMNS))
    vectors, hidden = _without_query(index, query)
    found = nearest(_vector(query)[None], vectors, k, excluded=[hidden])
    rows = found.rows[0][found.rows[0] >= 0]
    table = artists.table.iloc[rows].reset_index(drop=True)
    table.insert(0, "score", found.scores[0][: len(rows)])
    table.insert(0, "rank", np.arange(1, len(rows) + 1))
    examples = [_example(index, query, artist) for artist in table["artist_id"]]
    shown = index.songs.table.iloc[examples].reset_index(drop=True)
    table[["track_id", "title", "path"]] = shown[["track_id", "title", "path"]]
    table["same_artist"] = table["artist_id"] == query.artist_id if query.artist_id is not None else False
    return table[list(ARTIST_COLUMNS)]


def nearest_artists(index: SearchIndex, *, n_artists: int = 10, k: int = 5) -> pd.DataFrame:
    """Find for the artists with the most songs those most like them, as examples for a report.

    Parameters
    ----------
    index : SearchIndex
    n_artists : int > 0
        Artists shown; of equally many songs the first by id.
    k : int > 0
        Neighbours of each.

    Returns
    -------
    pd.DataFrame [columns: artist_id, artist, rank, neighbour_id, neighbour, score]
    """
    table = index.artists.table
    order = np.argsort(-table["n_songs"].to_numpy(), kind="stable")[:n_artists]
    found = nearest(index.artists.vectors[order], index.artists.vectors, k, excluded=[np.array([row]) for row in order])
    ids, names = table["artist_id"].tolist(), table["artist"].tolist()
    rows = [
        (ids[artist], names[artist], rank, ids[row], names[row], score)
        for artist, own, scores in zip(order, found.rows, found.scores)
        for rank, (row, score) in enumerate(zip(own, scores), start=1)
        if row >= 0
    ]
    return pd.DataFrame(rows, columns=["artist_id", "artist", "rank", "neighbour_id", "neighbour", "score"])


def _vector(query: Query) -> np.ndarray:
    if query.vector is None:
        raise ArtistTransferError(f"query {query.text!r} is a file that has not been encoded")
    return query.vector


def _without_query(index: SearchIndex, query: Query) -> tuple[np.ndarray, np.ndarray]:
    """Return the artists' vectors without the query's own songs, and the rows that are not to be found."""
    artists, nothing = index.artists, np.zeros(0, dtype=np.int64)
    if query.artist_id is None:
        return artists.vectors, nothing
    own = artists.row_of[query.artist_id]
    rest = np.setdiff1d(index.songs.by_artist[query.artist_id], query.own_songs)
    if not len(rest):  # the artist itself, or the artist of this song only
        return artists.vectors, np.array([own])
    vectors = artists.vectors.copy()
    vectors[own] = unit(np.asarray(index.songs.vectors[rest], dtype=np.float64).sum(axis=0))
    return vectors, nothing


def _example(index: SearchIndex, query: Query, artist_id: str) -> int:
    rows = np.setdiff1d(index.songs.by_artist[artist_id], query.own_songs)
    values = (np.asarray(index.songs.vectors[rows], dtype=np.float64) * _vector(query)).sum(axis=1)
    return int(rows[np.argmax(values)])
