"""Where the EM of a mixture starts: K-means of a seeded sample of frames."""

from __future__ import annotations

import numpy as np

from artist_transfer.errors import ArtistTransferError

PASSES = 8  # of Lloyd's algorithm; what is left to improve is EM's work
_PSEUDO = 10.0  # frames of the pooled variance that each cluster's own is mixed with: a cluster may have one frame
_ROWS = 4096  # frames whose distances are held at once


def k_means_start(
    rows: np.ndarray, mixtures: int, *, floor: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, means and variances of the clusters of a sample.

    Parameters
    ----------
    rows : np.ndarray [shape=(n, coefficient)]
        The sample.
    mixtures : int > 0
    floor : np.ndarray [shape=(coefficient,)]
        Least variances.
    seed : int >= 0
        Of the first centres, which are frames far from each other (k-means++).

    Returns
    -------
    weights : np.ndarray [shape=(mixture,)], float64
        Sum to 1, each positive.
    means, variances : np.ndarray [shape=(mixture, coefficient)], float64

    Raises
    ------
    ArtistTransferError
        If there are fewer distinct frames than mixtures.
    """
    distinct = np.unique(rows, axis=0)
    if len(distinct) < mixtures:
        raise ArtistTransferError(
            f"GMM: {mixtures} mixtures were asked for, the sample has {len(distinct)} distinct frames of {len(rows)}; "
            f"allowed are at most that many mixtures"
        )
    shift, scale = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    x = (rows - shift) / scale
    centres = _far_apart(x, mixtures, seed)
    for _ in range(PASSES):
        nearest, distances = _assign(x, centres)
        counts = np.bincount(nearest, minlength=mixtures)
        filled = counts > 0
        centres[filled] = _sums(x, nearest, mixtures)[filled] / counts[filled, None]
        empty = np.flatnonzero(~filled)
        centres[empty] = x[np.argsort(-distances, kind="stable")[: len(empty)]]  # to the frames that fit worst
    nearest, _ = _assign(x, centres)
    counts = np.bincount(nearest, minlength=mixtures).astype(np.float64)
    squares = _sums((x - centres[nearest]) ** 2, nearest, mixtures)
    pooled = squares.sum(axis=0) / len(x)
    variances = (squares + _PSEUDO * pooled) / (counts + _PSEUDO)[:, None]
    weights = (counts + 1.0) / (counts + 1.0).sum()
    return weights, shift + scale * centres, np.maximum(variances * scale**2, floor)


def _far_apart(x: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Draw frames one after another, each by its squared distance to those drawn (Arthur and Vassilvitskii 2007)."""
    draw = np.random.default_rng([seed, n])
    chosen = [int(draw.integers(len(x)))]
    nearest = np.full(len(x), np.inf)
    for _ in range(n - 1):
        np.minimum(nearest, ((x - x[chosen[-1]]) ** 2).sum(axis=1), out=nearest)
        sums = np.cumsum(nearest)  # no distance is left of a frame that equals one of the centres
        chosen.append(int(np.searchsorted(sums, draw.random() * sums[-1], side="right")))
    return x[chosen]


def _assign(x: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nearest, distances = np.empty(len(x), dtype=np.int64), np.empty(len(x))
    norms = (centres**2).sum(axis=1)
    for start in range(0, len(x), _ROWS):
        part = x[start : start + _ROWS]
        scores = norms - 2.0 * part @ centres.T  # without the frame's own norm, which all centres share
        nearest[start : start + _ROWS] = scores.argmin(axis=1)
        distances[start : start + _ROWS] = scores.min(axis=1) + (part**2).sum(axis=1)
    return nearest, distances


def _sums(x: np.ndarray, nearest: np.ndarray, n: int) -> np.ndarray:
    return np.stack([np.bincount(nearest, weights=column, minlength=n) for column in x.T], axis=1)
