"""Expectation and maximisation of a mixture of diagonal Gaussians, one chunk of frames at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.recognition.frames import Report
from artist_transfer.recognition.gmm_kernel import Kernel

_EMPTY = 1.0  # frames: a mixture with less in all keeps its mean and variances
_LEAST_WEIGHT = 1e-12

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def check_settings(mixtures: int, iterations: int, variance_floor: float, max_frames: int | None) -> None:
    """Refuse what no mixture can be fitted with.

    Parameters
    ----------
    mixtures, iterations : int
    variance_floor : float
    max_frames : int or None

    Raises
    ------
    ArtistTransferError
        If one is impossible; it is named.
    """
    for name, value in {"mixtures": mixtures, "iterations": iterations, "max_frames": max_frames}.items():
        if value is not None and value < 1:
            raise ArtistTransferError(f"GMM: {name} is {value}; allowed is at least 1")
    if not 0 < variance_floor < 1:
        raise ArtistTransferError(f"GMM: variance_floor is {variance_floor}; allowed is more than 0 and less than 1")


def told(
    chunks: Iterable[np.ndarray], progress: Report, *, done: int, total: int, facts: Mapping[str, float]
) -> Iterator[np.ndarray]:
    """Pass chunks on, and tell how many frames have been.

    Parameters
    ----------
    chunks : iterable of np.ndarray [shape=(frame, coefficient)]
    progress : callable
    done, total : int
        Frames before these, and in all.
    facts : mapping
        What else is told.

    Yields
    ------
    np.ndarray [shape=(frame, coefficient)]
    """
    for rows in chunks:
        yield rows
        done += len(rows)
        progress(done, total, facts)


def accumulate(kernel: Kernel, chunks: Iterable[np.ndarray]) -> tuple[np.ndarray, float]:
    """Sum responsibilities times ``[x, 1, x²]`` over all frames, and their log-likelihood.

    Parameters
    ----------
    kernel : Kernel
    chunks : iterable of np.ndarray [shape=(frame, coefficient)]

    Returns
    -------
    sums : np.ndarray [shape=(2 * coefficient + 1, mixture)], float64
        Of standardised frames.
    total : float

    Raises
    ------
    ArtistTransferError
        If a frame is not finite.
    """
    sums = torch.zeros((2 * kernel.width + 1, kernel.n_mixtures), dtype=torch.float64, device=kernel.device)
    total = torch.zeros((), dtype=torch.float64, device=kernel.device)
    for rows in chunks:
        found = kernel.expect(rows)
        found.features.div_(found.totals)  # 41 columns instead of the 256 of the densities
        sums += found.features.T @ found.densities
        total += found.log_likelihood.sum()
    if not bool(torch.isfinite(sums).all()):
        raise ArtistTransferError("GMM: a training frame is not finite; leave that song out")
    return sums.cpu().numpy(), float(total)


def maximise(kernel: Kernel, sums: np.ndarray, parts: Parts, floor: np.ndarray) -> tuple[Parts, int]:
    """Update weights, means and variances.

    Parameters
    ----------
    kernel : Kernel
        The mixture that the sums are of.
    sums : np.ndarray [shape=(2 * coefficient + 1, mixture)]
        Of `accumulate`.
    parts : tuple of np.ndarray
        Weights, means and variances of that mixture.
    floor : np.ndarray [shape=(coefficient,)]
        Least variances.

    Returns
    -------
    parts : tuple of np.ndarray
    n_empty : int
        Mixtures that held less than one frame, and keep mean and variances.
    """
    width = kernel.width
    counts = sums[width]  # (mixture,)
    weights = np.maximum(counts / counts.sum(), _LEAST_WEIGHT)
    held = np.maximum(counts, _EMPTY)[:, None]
    means = sums[:width].T / held
    variances = sums[width + 1 :].T / held - means**2
    means = kernel.shift + kernel.scale * means
    variances = np.maximum(kernel.scale**2 * variances, floor)
    empty = counts < _EMPTY
    means[empty], variances[empty] = parts[1][empty], parts[2][empty]
    return (weights / weights.sum(), means, variances), int(empty.sum())
