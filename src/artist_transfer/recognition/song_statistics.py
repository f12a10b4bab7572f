"""Baum-Welch statistics of songs under a mixture: what mean adaptation and i-vectors start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from artist_transfer.artifacts import atomic_path, commit_folder, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError

STATISTICS, SONGS = "statistics.safetensors", "songs.json"


@dataclass(frozen=True, eq=False)
class SongStatistics:
    """Baum-Welch statistics of songs under a mixture.

    Attributes
    ----------
    track_ids : tuple of str, each once
    zeroth : np.ndarray [shape=(n_songs, mixture)], float64
        Sums of responsibilities; a row sums to the song's frames.
    first : np.ndarray [shape=(n_songs, mixture, coefficient)], float32 or float64
        Sums of frames times responsibilities, not centred.
    log_likelihood : np.ndarray [shape=(n_songs,)], float64
        Of all frames of the song under the mixture, summed.

    Raises
    ------
    ArtistTransferError
        If the shapes do not fit, or a song stands twice.
    """

    track_ids: tuple[str, ...]
    zeroth: np.ndarray
    first: np.ndarray
    log_likelihood: np.ndarray

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        n = len(self.track_ids)
        fits = self.zeroth.ndim == 2 and self.first.ndim == 3 and self.first.shape[:2] == self.zeroth.shape
        if not fits or len(self.zeroth) != n or self.log_likelihood.shape != (n,):
            raise ArtistTransferError(
                f"statistics of {n} songs: zeroth {self.zeroth.shape}, first {self.first.shape}, log-likelihood "
                f"{self.log_likelihood.shape}; allowed are (song, mixture), (song, mixture, coefficient), (song,)"
            )
        if len(self._rows) != n:
            twice = next(track for k, track in enumerate(self.track_ids) if self._rows[track] != k)
            raise ArtistTransferError(f"statistics: song {twice!r} stands twice")

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {track: row for row, track in enumerate(self.track_ids)}

    def rows(self, track_ids: Sequence[str]) -> np.ndarray:
        """Look up where songs stand.

        Parameters
        ----------
        track_ids : sequence of str

        Returns
        -------
        np.ndarray [shape=(n,)], int64

        Raises
        ------
        ArtistTransferError
            If one has no statistics.
        """
        unknown = [track for track in track_ids if track not in self._rows]
        if unknown:
            raise ArtistTransferError(f"statistics: none of {len(unknown)} songs, the first is {unknown[0]!r}")
        return np.array([self._rows[track] for track in track_ids], dtype=np.int64)

    def subset(self, track_ids: Sequence[str]) -> SongStatistics:
        """Return those of some songs.

        Parameters
        ----------
        track_ids : sequence of str, each once

        Returns
        -------
        SongStatistics
            In the order asked for.

        Raises
        ------
        ArtistTransferError
            If one has none.
        """
        rows = self.rows(track_ids)
        return SongStatistics(tuple(track_ids), self.zeroth[rows], self.first[rows], self.log_likelihood[rows])

    def save(self, folder: str | Path) -> None:
        """Write safetensors and JSON, and declare the folder done.

        Parameters
        ----------
        folder : str or Path
        """
        tensors = {"zeroth": self.zeroth, "first": self.first, "log_likelihood": self.log_likelihood}
        save_arrays(folder, STATISTICS, tensors, SONGS, {"track_ids": list(self.track_ids)})

    @classmethod
    def load(cls, folder: str | Path) -> SongStatistics:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : str or Path

        Returns
        -------
        SongStatistics

        Raises
        ------
        ArtistTransferError
            If the folder holds no whole ones.
        """
        tensors, songs = load_arrays(folder, "statistics", STATISTICS, SONGS)
        return cls(tuple(songs["track_ids"]), **tensors)


def save_arrays(
    folder: str | Path, name: str, arrays: Mapping[str, np.ndarray], card_name: str, card: Mapping[str, Any]
) -> None:
    """Write arrays as safetensors and a card as JSON, and declare the folder done.

    Parameters
    ----------
    folder : str or Path
    name : str
        File of the arrays.
    arrays : mapping
    card_name : str
        File of the card.
    card : mapping
        What JSON can write.
    """
    folder = Path(folder)
    with atomic_path(folder / name) as path:
        save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, path)
    write_json(folder / card_name, dict(card))
    commit_folder(folder, files=[name, card_name], details={})


def load_arrays(folder: str | Path, what: str, name: str, card_name: str) -> tuple[dict[str, np.ndarray], Any]:
    """Read what `save_arrays` wrote.

    Parameters
    ----------
    folder : str or Path
    what : str
        What it is, for the error.
    name, card_name : str
        Files of the arrays and of the card.

    Returns
    -------
    arrays : dict
    card : dict

    Raises
    ------
    ArtistTransferError
        If the folder does not hold both, whole.
    """
    folder = Path(folder)
    if open_folder(folder) is None:
        raise ArtistTransferError(f"{folder} holds no finished {what} ({name}, {card_name}, manifest)")
    return load_file(folder / name), read_json(folder / card_name)
