"""GMM-UBM: artist models by adaptation of the background model's means, scored by a likelihood ratio.

References
----------
Reynolds, Quatieri, Dunn, "Speaker Verification Using Adapted Gaussian Mixture Models", Digital Signal Processing 10
(2000), sections 3.4 (adaptation of means, relevance factor) and 3.5 (ratio, and the fast scoring over the mixtures that
are most likely under the background model). DeepArtistID, section 3.3.

With only the means adapted, ``log p(x | artist) - log p(x | background)`` is ``log Σ_c γ_c(x) exp(δ_c(x))`` with the
background's responsibilities γ and a δ that is linear in x, so that nothing large is ever subtracted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from artist_transfer.errors import ArtistTransferError
from artist_transfer.recognition.frames import Report, SongFrames
from artist_transfer.recognition.gmm import DiagonalGmm
from artist_transfer.recognition.gmm_kernel import LEAST, Kernel
from artist_transfer.recognition.song_statistics import SongStatistics

RELEVANCE = 10.0
_BUDGET = 1 << 24  # numbers held at once: 64 MB in single precision
_GROUP = 16  # artists whose densities are computed by one product
_FEW_FRAMES, _MANY_FRAMES = 256, 1 << 14


def adapt(
    gmm: DiagonalGmm,
    statistics: SongStatistics,
    groups: Mapping[str, Sequence[str]],
    *,
    relevance: float = RELEVANCE,
) -> np.ndarray:
    """Adapt the means to each artist's songs, all frames of which count alike.

    Parameters
    ----------
    gmm : DiagonalGmm
    statistics : SongStatistics
        Of that mixture.
    groups : mapping of artist to track ids
        The songs that enrol each.
    relevance : float > 0
        Frames at which a mixture's mean is halfway between the background's and the artist's.

    Returns
    -------
    np.ndarray [shape=(n_artists, mixture, coefficient)], float64
        In the order of `groups`.

    Raises
    ------
    ArtistTransferError
        If the relevance is not positive, an artist has no songs, a song stands twice or has no statistics, or the
        statistics are of another mixture.
    """
    if not relevance > 0:
        raise ArtistTransferError(f"adaptation: relevance is {relevance}; allowed is more than 0")
    if statistics.first.shape[1:] != gmm.means.shape:
        raise ArtistTransferError(
            f"adaptation: statistics of {statistics.first.shape[1:]} (mixture, coefficient), the GMM has "
            f"{gmm.means.shape}"
        )
    out = np.empty((len(groups), *gmm.means.shape))
    for row, (artist, songs) in enumerate(groups.items()):
        if not len(songs) or len(set(songs)) < len(songs):
            raise ArtistTransferError(
                f"adaptation: artist {artist!r} is enrolled by {len(songs)} songs, {len(set(songs))} of them "
                "different; at least one, each once, is needed"
            )
        rows = statistics.rows(songs)
        counts = statistics.zeroth[rows].sum(axis=0)[:, None]  # (mixture, 1)
        first = statistics.first[rows].sum(axis=0, dtype=np.float64)
        out[row] = gmm.means + (first - counts * gmm.means) / (counts + relevance)
    return out


def log_likelihood_ratios(
    gmm: DiagonalGmm,
    means: np.ndarray,
    frames: SongFrames,
    test_ids: Sequence[str],
    *,
    top: int | None = None,
    device: torch.device | str = "cpu",
    precision: str = "single",
    chunk: int | None = None,
    progress: Report | None = None,
) -> np.ndarray:
    """Score songs against adapted models: the mean over frames of the log-likelihood ratio to the background.

    Parameters
    ----------
    gmm : DiagonalGmm
        The background model.
    means : np.ndarray [shape=(n_artists, mixture, coefficient)]
        Of `adapt`; weights and variances are the background's.
    frames : SongFrames
    test_ids : sequence of str
    top : int > 0 or None
        Only that many mixtures of each frame are looked at, the likeliest under the background model, in both terms of
        the ratio: with 10 of 256 and 500 artists some six times as fast. None is all of them, exactly.
    device : torch.device or str
    precision : {"single", "double"}
    chunk : int > 0 or None
        Frames worked on at once; None is what some hundred megabytes hold. Changes the result by rounding only.
    progress : callable or None
        Told frames done and frames in all.

    Returns
    -------
    np.ndarray [shape=(n_artists, n_tests)], float64
        Higher is more alike.

    Raises
    ------
    ArtistTransferError
        If shapes do not fit, a parameter is impossible, or a song has no frames.
    """
    _check(gmm, means, frames, top, chunk)
    kernel = gmm.kernel(device=device, precision=precision)
    slopes = _slopes(gmm, kernel, means)
    n_artists = len(means)
    exact = top is None or top >= gmm.n_mixtures
    held = min(_GROUP, max(1, n_artists)) * gmm.n_mixtures if exact else (top or 1) * max(1, n_artists)
    limit = _FEW_FRAMES if exact and kernel.device.type == "cpu" else _MANY_FRAMES
    size = chunk or max(1, min(limit, _BUDGET // held))
    totals = np.zeros((n_artists, len(test_ids)))
    counts = frames.counts(test_ids)
    done = 0
    for rows, pieces in frames.chunks(test_ids, size):
        features, gamma = kernel.log_responsibilities(rows)
        features = features[:, : kernel.width + 1]  # (frame, coefficient + 1)
        ratios = _all(features, gamma, slopes) if exact else _likeliest(features, gamma, slopes, top or 1)
        for song, begin, end in pieces:
            totals[:, song] += ratios[begin:end].sum(dim=0, dtype=torch.float64).cpu().numpy()
        done += len(rows)
        if progress is not None:
            progress(done, int(counts.sum()), {})
    return totals / counts


def _slopes(gmm: DiagonalGmm, kernel: Kernel, means: np.ndarray) -> Tensor:
    """Return δ as products with ``[x, 1]``, standardised: (coefficient + 1, artist, mixture)."""
    spread = gmm.variances / kernel.scale**2
    centred, adapted = (gmm.means - kernel.shift) / kernel.scale, (means - kernel.shift) / kernel.scale
    out = torch.empty((kernel.width + 1, *means.shape[:2]), device=kernel.device, dtype=kernel.dtype)
    for row, mean in enumerate(adapted):  # one artist at a time: no second copy of all in double precision
        slope = (mean - centred) / spread  # (mixture, coefficient)
        constant = -0.5 * ((mean**2 - centred**2) / spread).sum(axis=1)
        out[:, row] = kernel.tensor(np.concatenate([slope.T, constant[None]]))
    return out


def _all(features: Tensor, gamma: Tensor, slopes: Tensor) -> Tensor:
    """Return the ratios of a chunk over all mixtures: (frame, artist)."""
    n, (width, n_artists, n_mixtures) = len(features), slopes.shape
    out = torch.empty((n, n_artists), device=features.device, dtype=features.dtype)
    for begin in range(0, n_artists, _GROUP):
        part = slopes[:, begin : begin + _GROUP].reshape(width, -1)
        delta = (features @ part).view(n, -1, n_mixtures).add_(gamma[:, None])
        greatest = delta.amax(dim=2, keepdim=True)
        sums = delta.sub_(greatest).clamp_(min=LEAST).exp_().sum(dim=2)
        out[:, begin : begin + _GROUP] = greatest.squeeze(2) + sums.log()
    return out


def _likeliest(features: Tensor, gamma: Tensor, slopes: Tensor, top: int) -> Tensor:
    """Return the ratios of a chunk over the likeliest mixtures of each frame: (frame, artist)."""
    n, (_, n_artists, n_mixtures) = len(features), slopes.shape
    best, which = gamma.topk(top, dim=1)  # (frame, top)
    order = torch.argsort(which.flatten(), stable=True)  # the frames of each mixture, one after another
    counts = torch.bincount(which.flatten(), minlength=n_mixtures).tolist()
    delta = torch.empty((n * top, n_artists), device=features.device, dtype=features.dtype)
    begin = 0
    for mixture, count in enumerate(counts):
        if count:
            places = order[begin : begin + count]
            delta.index_copy_(0, places, features[places // top] @ slopes[:, :, mixture])
            begin += count
    delta = delta.view(n, top, n_artists).add_(best[:, :, None])
    greatest = delta.amax(dim=1, keepdim=True)
    sums = delta.sub_(greatest).clamp_(min=LEAST).exp_().sum(dim=1)
    return greatest.squeeze(1) + sums.log() - torch.logsumexp(best, dim=1, keepdim=True)


def _check(gmm: DiagonalGmm, means: np.ndarray, frames: SongFrames, top: int | None, chunk: int | None) -> None:
    if means.ndim != 3 or means.shape[1:] != gmm.means.shape or frames.width != gmm.width:
        raise ArtistTransferError(
            f"GMM-UBM: means of shape {means.shape} and frames of {frames.width} coefficients do not fit a GMM of "
            f"{gmm.n_mixtures} mixtures of {gmm.width} coefficients"
        )
    if not np.isfinite(means).all():
        raise ArtistTransferError("GMM-UBM: an adapted mean is not finite")
    for name, value in {"top": top, "chunk": chunk}.items():
        if value is not None and value < 1:
            raise ArtistTransferError(f"GMM-UBM: {name} is {value}; allowed is at least 1, or none")
