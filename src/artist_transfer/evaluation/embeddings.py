"""One vector a track: what retrieval, verification and linear classifiers work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from artist_transfer.errors import ArtistTransferError


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors of tracks.

    Parameters
    ----------
    track_ids : tuple of str, each once
        The tracks.
    vectors : np.ndarray [shape=(n_tracks, width)], finite
        Their vectors, possibly memory-mapped.

    Raises
    ------
    ArtistTransferError
        If the numbers differ, a track stands twice, or a vector is not finite; the track is named.
    """

    track_ids: tuple[str, ...]
    vectors: np.ndarray

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.track_ids):
            raise ArtistTransferError(
                f"embeddings: {len(self.track_ids)} tracks, but vectors of shape {self.vectors.shape}"
            )
        if len(self._rows) != len(self.track_ids):
            twice = next(track for k, track in enumerate(self.track_ids) if self._rows[track] != k)
            raise ArtistTransferError(f"embeddings: track {twice!r} stands twice")
        bad = np.flatnonzero(~np.isfinite(self.vectors).all(axis=1))
        if len(bad):
            raise ArtistTransferError(
                f"embeddings: {len(bad)} vectors are not finite, the first that of track {self.track_ids[bad[0]]!r}"
            )

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {track: row for row, track in enumerate(self.track_ids)}

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.vectors.shape[1])

    def rows(self, track_ids: Sequence[str]) -> np.ndarray:
        """Look up where tracks stand.

        Parameters
        ----------
        track_ids : sequence of str
            Some of the tracks.

        Returns
        -------
        np.ndarray [shape=(n,)], int64
            Their rows.

        Raises
        ------
        ArtistTransferError
            If one has no vector.
        """
        unknown = [track for track in track_ids if track not in self._rows]
        if unknown:
            raise ArtistTransferError(f"embeddings: no vector of {len(unknown)} tracks, the first is {unknown[0]!r}")
        return np.array([self._rows[track] for track in track_ids], dtype=np.int64)

    def of(self, track_ids: Sequence[str]) -> np.ndarray:
        """Return the vectors of tracks.

        Parameters
        ----------
        track_ids : sequence of str
            Some of the tracks.

        Returns
        -------
        np.ndarray [shape=(n, width)]
            In the order asked for.

        Raises
        ------
        ArtistTransferError
            If one has no vector.
        """
        return np.asarray(self.vectors[self.rows(track_ids)])

    def subset(self, track_ids: Sequence[str]) -> Embeddings:
        """Return some of the tracks with their vectors.

        Parameters
        ----------
        track_ids : sequence of str, each once
            Some of the tracks.

        Returns
        -------
        Embeddings
            In the order asked for.

        Raises
        ------
        ArtistTransferError
            If one has no vector, or stands twice.
        """
        return Embeddings(tuple(track_ids), self.of(track_ids))
