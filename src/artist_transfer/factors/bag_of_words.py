"""Bags of words of artists: how often each word occurs in an artist's tracks.

Park et al. 2018, section 3.2. Words of frames (MFCC, dMFCC) are divided by the number of the artist's tracks.
Words of tracks (Essentia, subgenres) are plain counts: divided, a bag would have the mass of one word, and
the prior alone would keep every factor below (1 + 1/40) / 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artist_transfer.artifacts import atomic_path, commit_folder
from artist_transfer.errors import ArtistTransferError, NothingToFit


@dataclass(frozen=True)
class ArtistBags:
    """Bags of words, one a row.

    Attributes
    ----------
    artist_ids : tuple of str
        Rows, sorted.
    counts : np.ndarray [shape=(artist, word)], float64, >= 0
        Counts, or counts a track; every row has at least one word.
    n_tracks : np.ndarray [shape=(artist,)], int64
        Tracks that each row sums over.
    left_out : tuple of str
        Artists whose tracks have no word at all; they get no factor.
    """

    artist_ids: tuple[str, ...]
    counts: np.ndarray
    n_tracks: np.ndarray
    left_out: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of words of the vocabulary."""
        return self.counts.shape[1]


def artist_bags(
    words_by_track: Iterable[tuple[str, np.ndarray]],
    artists: Mapping[str, str],
    vocabulary_size: int,
    *,
    divide_by_tracks: bool,
) -> ArtistBags:
    """Count the words of each artist.

    Parameters
    ----------
    words_by_track : iterable of (str, np.ndarray [shape=(n,)], int)
        Track and its words, 0 … `vocabulary_size` - 1; in any order.
    artists : mapping
        Track to its artist. Tracks that are not in it have no known artist and count for nobody.
    vocabulary_size : int > 0
        Number of words.
    divide_by_tracks : bool
        Divide each row by the number of the artist's tracks.

    Returns
    -------
    ArtistBags
        Artists sorted; those without a single word are left out and named.

    Raises
    ------
    ArtistTransferError
        If a word is not in the vocabulary.
    NothingToFit
        If no track has an artist, or no artist has a word.
    """
    if not artists:
        raise NothingToFit("no training track has an artist")
    row = {artist_id: i for i, artist_id in enumerate(sorted(set(artists.values())))}
    counts = np.zeros((len(row), vocabulary_size), dtype=np.float64)
    n_tracks = np.zeros(len(row), dtype=np.int64)
    for track_id, words in words_by_track:
        if track_id not in artists:
            continue
        words = np.asarray(words, dtype=np.int64)
        if words.size and (words.min() < 0 or words.max() >= vocabulary_size):
            raise ArtistTransferError(
                f"track {track_id}: words {words.min()} … {words.max()} are not all in a vocabulary of"
                f" {vocabulary_size}"
            )
        counts[row[artists[track_id]]] += np.bincount(words, minlength=vocabulary_size)
        n_tracks[row[artists[track_id]]] += 1
    filled = counts.sum(axis=1) > 0
    if not filled.any():
        raise NothingToFit(f"none of the {len(row)} artists with training tracks has a single word")
    ids = np.array(list(row), dtype=object)
    counts, n_tracks = counts[filled], n_tracks[filled]
    if divide_by_tracks:
        counts /= n_tracks[:, None]
    return ArtistBags(tuple(ids[filled]), counts, n_tracks, tuple(ids[~filled]))


def save_bags(folder: str | Path, bags: ArtistBags) -> None:
    """Write bags as npz without pickle and declare the folder done.

    Parameters
    ----------
    folder : str or Path
        Where they go.
    bags : ArtistBags
        What is written.
    """
    with atomic_path(Path(folder) / "bags.npz") as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(
            stream,
            counts=bags.counts,
            n_tracks=bags.n_tracks,
            artist_ids=np.array(bags.artist_ids, dtype=np.str_),
            left_out=np.array(bags.left_out, dtype=np.str_),
        )
    n_artists, n_words = bags.counts.shape
    commit_folder(folder, files=["bags.npz"], details={"n_artists": n_artists, "n_words": n_words})


def load_bags(folder: str | Path) -> ArtistBags:
    """Read bags.

    Parameters
    ----------
    folder : str or Path
        A finished folder by `save_bags`.

    Returns
    -------
    ArtistBags
        As they were written.
    """
    with np.load(Path(folder) / "bags.npz", allow_pickle=False) as stored:
        artist_ids, left_out = (tuple(str(i) for i in stored[name]) for name in ("artist_ids", "left_out"))
        return ArtistBags(artist_ids, stored["counts"], stored["n_tracks"], left_out)
