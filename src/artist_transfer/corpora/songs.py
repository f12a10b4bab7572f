"""Songs: what counts once, however many tracks of it a corpus has, and the drawn order of an artist's songs.

Clips of one recording and exact duplicates are one song. A song of several artists is nobody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import pandas as pd

from artist_transfer.corpora._units import Unit, draw, find_units

__all__ = ["Unit", "drawn_order", "find_songs", "songs_by_artist"]


def find_songs(table: pd.DataFrame) -> list[Unit]:
    """Find the songs of a table.

    Parameters
    ----------
    table : pd.DataFrame
        Tracks sorted by ``track_id``; without ``audio_hash`` no exact duplicates are found.

    Returns
    -------
    list of Unit
        Sorted by name; every row is in exactly one.
    """
    unknown = pd.Series(None, index=table.index, dtype="str")
    hashed = table if "audio_hash" in table else table.assign(audio_hash=unknown)
    return find_units(hashed, by_artist=False)


def songs_by_artist(songs: Sequence[Unit], seed: int) -> dict[str, list[Unit]]:
    """Give each artist's songs in drawn order.

    Parameters
    ----------
    songs : sequence of Unit
    seed : int

    Returns
    -------
    dict of artist id to list of Unit
        Songs of several artists, or of none, are in no list.
    """
    found: dict[str, list[Unit]] = defaultdict(list)
    for song in sorted(songs, key=lambda song: draw(seed, "songs", song.name)):
        if len(song.artists) == 1:
            found[next(iter(song.artists))].append(song)
    return found


def drawn_order(names: Iterable[str], *, seed: int, purpose: str) -> list[str]:
    """Shuffle names, each by itself: what else is there changes nothing in the order of two.

    Parameters
    ----------
    names : iterable of str
    seed : int
    purpose : str
        What is drawn, so that two draws with one seed are independent.

    Returns
    -------
    list of str
    """
    return sorted(set(names), key=lambda name: draw(seed, purpose, name))
