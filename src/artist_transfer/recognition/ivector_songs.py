"""Baum-Welch statistics of songs, as the i-vectors read them: checked, a chunk of songs at a time, in float64."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import some
from artist_transfer.recognition.frames import SongFrames
from artist_transfer.recognition.gmm import DiagonalGmm
from artist_transfer.recognition.gmm_kernel import chunk_size
from artist_transfer.recognition.gmm_steps import accumulate
from artist_transfer.recognition.ivector_em import Chunk, at_once


class Mixture(Protocol):
    """A Gaussian mixture model with diagonal covariances: means and variances [shape=(C, D)]."""

    @property
    def means(self) -> np.ndarray: ...  # noqa: D102

    @property
    def variances(self) -> np.ndarray: ...  # noqa: D102


class Statistics(Protocol):
    """Baum-Welch statistics of songs: occupancies [shape=(n, C)], sums of the frames [shape=(n, C, D)]."""

    @property
    def track_ids(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def zeroth(self) -> np.ndarray: ...  # noqa: D102

    @property
    def first(self) -> np.ndarray: ...  # noqa: D102


class Songs:
    """Statistics of some songs, a chunk at a time and as often as wanted.

    Parameters
    ----------
    statistics : Statistics
    rows : np.ndarray [shape=(n,)], int
        Which songs, in this order.
    rank : int > 0
        Width of an i-vector: what a song takes grows with its square.
    chunk : int > 0, optional
        Songs at once; default so many that an array of theirs takes 32 MiB (on a GPU 512).
    device : torch.device
    """

    def __init__(
        self, statistics: Statistics, rows: np.ndarray, *, rank: int, chunk: int | None, device: torch.device
    ) -> None:
        n_mixtures, width = statistics.first.shape[1:]
        largest = max(rank * rank, n_mixtures * width)
        self._size = chunk or at_once(largest, device)
        self._statistics, self._rows, self._device = statistics, rows, device

    def __iter__(self) -> Iterator[Chunk]:
        """Yield occupancies and first-order sums, or raise an error that names songs whose numbers are impossible."""
        for start in range(0, len(self._rows), self._size):
            rows = self._rows[start : start + self._size]
            zeroth, first = self._statistics.zeroth[rows], self._statistics.first[rows]
            good = np.isfinite(zeroth).all(axis=1) & (zeroth >= 0).all(axis=1) & np.isfinite(first).all(axis=(1, 2))
            if not good.all():
                bad = [self._statistics.track_ids[row] for row in rows[~good]]
                raise ArtistTransferError(
                    f"i-vectors: the statistics of {len(bad)} songs are not finite, or an occupancy is negative: "
                    f"{some(bad)}"
                )
            yield tensor(zeroth, self._device), tensor(first, self._device)


def rows_of(statistics: Statistics, names: Sequence[str]) -> np.ndarray:
    """Look up where songs stand.

    Parameters
    ----------
    statistics : Statistics
    names : sequence of str

    Returns
    -------
    np.ndarray [shape=(n,)], int64

    Raises
    ------
    ArtistTransferError
        If a song has no statistics.
    """
    place = {track: row for row, track in enumerate(statistics.track_ids)}
    unknown = [track for track in names if track not in place]
    if unknown:
        raise ArtistTransferError(f"i-vectors: no statistics of {len(unknown)} songs: {some(unknown)}")
    return np.array([place[track] for track in names], dtype=np.int64)


def training_rows(statistics: Statistics, train_ids: Iterable[str] | None) -> tuple[np.ndarray, int]:
    """Find the training songs that have frames.

    Parameters
    ----------
    statistics : Statistics
    train_ids : iterable of str, optional
        Default all.

    Returns
    -------
    rows : np.ndarray [shape=(n,)], int64
        In the order of the songs' ids.
    n_asked : int
        With those that have no frame.

    Raises
    ------
    ArtistTransferError
        If a song has no statistics, or fewer than two have frames.
    """
    names = sorted(set(statistics.track_ids if train_ids is None else train_ids))
    rows = rows_of(statistics, names)
    kept = rows[~without_frames(statistics, rows)]
    if len(kept) < 2:
        raise ArtistTransferError(
            f"i-vectors: at least two training songs with frames are needed, found {len(kept)} of {len(names)}"
        )
    return kept, len(names)


def without_frames(statistics: Statistics, rows: np.ndarray) -> np.ndarray:
    """Tell which songs have no frame: bool, one for each row."""
    return np.logical_not(np.any(statistics.zeroth[rows], axis=1))


def squares_by_mixture(
    gmm: DiagonalGmm,
    frames: SongFrames,
    track_ids: Iterable[str],
    *,
    chunk: int | None = None,
    device: str | torch.device = "cpu",
    precision: str = "single",
) -> np.ndarray:
    """Sum the squares of frames, weighted by their responsibilities, over songs: what the update of sigma needs.

    Parameters
    ----------
    gmm : DiagonalGmm
    frames : SongFrames
    track_ids : iterable of str
        The training songs.
    chunk : int > 0, optional
        Frames worked on at once.
    device : str or torch.device
    precision : {"single", "double"}
        Of the products.

    Returns
    -------
    np.ndarray [shape=(C, D)], float64
        Of the frames as they are.

    Raises
    ------
    ArtistTransferError
        If a song has no frames, a frame is not finite, or the number of coefficients is another one.
    """
    if frames.width != gmm.width:
        raise ArtistTransferError(f"i-vectors: a GMM of {gmm.width} coefficients, found frames of {frames.width}")
    kernel, width = gmm.kernel(device=device, precision=precision), gmm.width
    chunks = frames.chunks(sorted(set(track_ids)), chunk_size(chunk, device))
    sums, _ = accumulate(kernel, (rows for rows, _ in chunks))
    first, zeroth, second = np.split(sums.T, [width, width + 1], axis=1)  # (mixture, …)
    return kernel.scale**2 * second + 2 * kernel.scale * kernel.shift * first + kernel.shift**2 * zeroth


def check_mixture(gmm: Mixture) -> None:
    """Refuse a mixture model that nothing can be fitted to.

    Parameters
    ----------
    gmm : Mixture

    Raises
    ------
    ArtistTransferError
        If means are not finite or variances not positive.
    """
    means, variances = np.asarray(gmm.means), np.asarray(gmm.variances)
    whole = means.ndim == 2 and variances.shape == means.shape and np.isfinite(means).all()
    if not whole or not np.isfinite(variances).all() or not (variances > 0).all():
        raise ArtistTransferError(
            f"i-vectors: the mixture model needs finite means and as many variances, all above 0; found shapes "
            f"{means.shape} and {variances.shape}, smallest variance {variances.min() if variances.size else None}"
        )


def check_shapes(means: np.ndarray, statistics: Statistics) -> None:
    """Refuse statistics of another mixture model.

    Parameters
    ----------
    means : np.ndarray [shape=(C, D)]
    statistics : Statistics

    Raises
    ------
    ArtistTransferError
        If the shapes do not fit together.
    """
    n, (n_mixtures, width) = len(statistics.track_ids), means.shape
    if statistics.zeroth.shape != (n, n_mixtures) or statistics.first.shape != (n, n_mixtures, width):
        raise ArtistTransferError(
            f"i-vectors: the mixture model has {n_mixtures} mixtures of {width} coefficients, the statistics of {n} "
            f"songs have shapes {statistics.zeroth.shape} and {statistics.first.shape}"
        )


def tensor(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """Copy numbers to a device as float64."""
    return torch.from_numpy(np.array(values, dtype=np.float64)).to(device)
