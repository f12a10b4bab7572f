"""Songs as the means of their clips, artists as the means of their songs, all of length 1.

A recording may be in a corpus as several clips, and a search should name it once. An artist is the mean of the
normalised vectors of its songs, whatever number of clips each has.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

_CHUNK = 1 << 15


@dataclass(frozen=True, eq=False)
class Songs:
    """What a search finds.

    Attributes
    ----------
    table : pd.DataFrame [columns: track_id, recording_id, artist_id, artist, title, genre_top, path, n_clips]
        One row a recording, described by its first clip; sorted by that clip's id.
    vectors : np.ndarray [shape=(n_songs, width)], float32 of length 1
    of_track : np.ndarray [shape=(n_tracks,)], int64
        The row of each track's song.
    """

    table: pd.DataFrame
    vectors: np.ndarray
    of_track: np.ndarray

    @cached_property
    def by_artist(self) -> dict[str, np.ndarray]:
        """Rows of each artist's songs."""
        known = np.flatnonzero(self.table["artist_id"].notna())
        codes, ids = pd.factorize(self.table["artist_id"].iloc[known], sort=True)
        order = np.argsort(codes, kind="stable")
        parts = np.split(known[order], np.searchsorted(codes[order], np.arange(1, len(ids))))
        return dict(zip(map(str, ids), parts))


@dataclass(frozen=True, eq=False)
class Artists:
    """Artists of an index.

    Attributes
    ----------
    table : pd.DataFrame [columns: artist_id, artist, genre_top, n_songs]
        Sorted by artist_id; the genre is the most frequent one, None if no song has one.
    vectors : np.ndarray [shape=(n_artists, width)], float32 of length 1
    """

    table: pd.DataFrame
    vectors: np.ndarray

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row of each artist."""
        return {str(artist): row for row, artist in enumerate(self.table["artist_id"])}


def songs_of(tracks: pd.DataFrame, vectors: np.ndarray) -> Songs:
    """Put the clips of each recording together.

    Parameters
    ----------
    tracks : pd.DataFrame [columns: track_id, recording_id, artist_id, artist, title, genre_top, path]
        Sorted by track_id.
    vectors : np.ndarray [shape=(n_tracks, width)], of length 1
        Handed on as they are if no recording has two clips.

    Returns
    -------
    Songs
    """
    codes, names = pd.factorize(tracks["recording_id"])  # in order of the first clip
    counts = np.bincount(codes, minlength=len(names))
    table = tracks.loc[~tracks["recording_id"].duplicated()].reset_index(drop=True)
    table = table.assign(n_clips=counts)
    means = vectors if len(names) == len(tracks) else group_means(vectors, codes, len(names))
    return Songs(table, means, codes.astype(np.int64))


def artists_of(songs: Songs) -> Artists:
    """Put the songs of each artist together.

    Parameters
    ----------
    songs : Songs
        Those without an artist take no part.

    Returns
    -------
    Artists
    """
    known = songs.table["artist_id"].notna().to_numpy()
    named = songs.table[known]
    codes = np.full(len(songs.table), -1, dtype=np.int64)
    codes[known], ids = pd.factorize(named["artist_id"], sort=True)
    first = named[named["artist"].notna()].drop_duplicates("artist_id").set_index("artist_id")["artist"]
    genres: dict[str, Counter[str]] = {}
    for artist, genre in zip(named["artist_id"], named["genre_top"]):
        if genre is not None:
            genres.setdefault(artist, Counter())[genre] += 1
    table = pd.DataFrame(
        {
            "artist_id": pd.Series(list(ids), dtype=object),
            "artist": pd.Series([first.get(each, each) for each in ids], dtype=object),
            "genre_top": pd.Series([_majority(genres.get(each)) for each in ids], dtype=object),
            "n_songs": np.bincount(codes[known], minlength=len(ids)),
        }
    )
    return Artists(table, group_means(songs.vectors, codes, len(ids)))


def group_means(vectors: np.ndarray, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Average vectors by group and bring the means to length 1.

    Parameters
    ----------
    vectors : np.ndarray [shape=(n, width)], possibly memory-mapped
    codes : np.ndarray [shape=(n,)], int
        Group of each row; rows of group -1 take no part.
    n_groups : int >= 0

    Returns
    -------
    np.ndarray [shape=(n_groups, width)], float32
        A mean that is zero stays zero.
    """
    sums = np.zeros((n_groups, vectors.shape[1]))
    for k in range(0, len(vectors), _CHUNK):
        here = codes[k : k + _CHUNK]
        part = np.asarray(vectors[k : k + _CHUNK])[here >= 0]
        np.add.at(sums, here[here >= 0], part)
    return unit(sums)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Bring vectors to length 1.

    Parameters
    ----------
    vectors : np.ndarray [shape=(..., width)]

    Returns
    -------
    np.ndarray [shape=(..., width)], float32
        Those that are zero stay zero.
    """
    wide = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(wide, axis=-1, keepdims=True)
    return (wide / np.where(norms == 0, 1.0, norms)).astype(np.float32)


def _majority(counts: Counter[str] | None) -> str | None:
    return min(counts, key=lambda genre: (-counts[genre], genre)) if counts else None
