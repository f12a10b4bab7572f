"""Baum-Welch statistics of songs under a mixture: what mean adaptation and i-vectors start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from artist_transfer.errors import ArtistTransferError


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
