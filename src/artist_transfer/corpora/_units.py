"""Groups of tracks that no split may part, and the seeded order that splits draw them in."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class Unit:
    """Tracks that stay together: positions in the table, a name, the stratum and the artists.

    Attributes
    ----------
    name : str
        The first track id, which names the unit in every draw.
    rows : tuple of int
        Positions in the table sorted by track id.
    genre : str
        The genre of most of its tracks (the first by name among equals); "" if none has one.
    artists : frozenset of str
        Ids of its artists.
    """

    name: str
    rows: tuple[int, ...]
    genre: str
    artists: frozenset[str]

    @property
    def size(self) -> int:
        """Number of tracks."""
        return len(self.rows)


def find_units(table: pd.DataFrame, *, by_artist: bool) -> list[Unit]:
    """Join tracks that share a recording or their exact audio, and with `by_artist` the artist.

    Parameters
    ----------
    table : pd.DataFrame
        Usable tracks, sorted by ``track_id``.
    by_artist : bool
        Whether an artist's tracks stay together. A track without artist then goes with the others of its
        album that have none, and with the album's artist if there is exactly one.

    Returns
    -------
    list of Unit
        Sorted by name; every row is in exactly one.
    """
    keys = [table["recording_id"], table["audio_hash"]]
    if by_artist:
        keys += [table["artist_id"], _albums_of_unknown(table)]
    labels = _components(keys)
    ids, genres = table["track_id"].tolist(), table["genre_top"].tolist()
    artists = table["artist_id"].tolist()
    rows: dict[int, list[int]] = {}
    for row, label in enumerate(labels.tolist()):
        rows.setdefault(label, []).append(row)
    return [
        Unit(
            name=ids[members[0]],
            rows=tuple(members),
            genre=_majority([genres[row] for row in members]),
            artists=frozenset(artists[row] for row in members if not pd.isna(artists[row])),
        )
        for members in rows.values()
    ]


def _albums_of_unknown(table: pd.DataFrame) -> pd.Series:
    """Return the albums that link tracks: those of one artist at most, and for tracks without artist any."""
    album, artist = table["album_id"], table["artist_id"]
    artists_on_album = artist.groupby(album).nunique()
    one_artist = album.map(artists_on_album).fillna(0) <= 1
    return album.where(artist.isna() | one_artist)


def _components(keys: list[pd.Series]) -> np.ndarray:
    """Label connected rows: rows are linked to the keys that they hold, a missing key links nothing."""
    rows, nodes, count = [], [], len(keys[0])
    for key in keys:
        codes, values = pd.factorize(key, use_na_sentinel=True)
        held = np.flatnonzero(codes >= 0)
        rows.append(held)
        nodes.append(codes[held] + count)
        count += len(values)
    row, node = np.concatenate(rows), np.concatenate(nodes)
    graph = coo_array((np.ones(len(row), dtype=np.int8), (row, node)), shape=(count, count))
    labels: np.ndarray = connected_components(graph, directed=False)[1]
    return labels[: len(keys[0])]


def _majority(genres: list[object]) -> str:
    counts = Counter(str(genre) for genre in genres if not pd.isna(genre))
    return min(counts, key=lambda genre: (-counts[genre], genre)) if counts else ""


def draw(seed: int, purpose: str, name: str) -> str:
    """Return a random-looking sort key that only depends on its arguments.

    Sorting by it shuffles names in the same way on every machine and under every library version, whatever
    the order of rows, and leaves the order of the others as it is when a track comes or goes.

    Parameters
    ----------
    seed : int
        The seed.
    purpose : str
        What is drawn, so that two draws with one seed are independent.
    name : str
        What is sorted.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return hashlib.sha256(f"{seed}\0{purpose}\0{name}".encode()).hexdigest()
