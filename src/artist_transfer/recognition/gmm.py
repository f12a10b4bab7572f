"""The universal background model: a mixture of diagonal Gaussians over the frames of all training songs.

Fitted by expectation and maximisation in chunks, so that memory is flat in the number of frames: the responsibilities
of 32 million frames for 256 mixtures would be 66 GB at once. `baum_welch` gives the statistics of each song, which
adaptation and i-vectors start from.

References
----------
Reynolds, Quatieri, Dunn, "Speaker Verification Using Adapted Gaussian Mixture Models", Digital Signal Processing 10
(2000), section 3. DeepArtistID: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels",
first version, section 3.3: 256 mixtures of 20 coefficients, 10 iterations.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from artist_transfer.arrays_file import load_arrays, save_arrays
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.recognition.frames import Report, SongFrames
from artist_transfer.recognition.gmm_kernel import Kernel, chunk_size
from artist_transfer.recognition.gmm_start import k_means_start
from artist_transfer.recognition.gmm_steps import accumulate, check_settings, maximise, told
from artist_transfer.recognition.song_statistics import SongStatistics

MIXTURES, ITERATIONS = 256, 10
VARIANCE_FLOOR = 1e-3  # of the training frames' variance
WEIGHTS, CARD = "gmm.safetensors", "gmm.json"
_SAMPLE = 100  # frames a mixture that the start is found on
_FEW = 20  # frames a mixture: with fewer a reader should know


@dataclass(frozen=True, eq=False)
class DiagonalGmm:
    """A mixture of Gaussians with diagonal covariances.

    Attributes
    ----------
    weights : np.ndarray [shape=(mixture,)], float64
        Positive; sum to 1.
    means : np.ndarray [shape=(mixture, coefficient)], float64
    variances : np.ndarray [shape=(mixture, coefficient)], float64
        Positive.
    card : dict
        How it was fitted: ``mixtures, iterations, variance_floor, max_frames, seed, precision, n_songs, n_frames,
        n_frames_used, n_empty_mixtures, n_floored_variances, mean_log_likelihood``.

    Raises
    ------
    ArtistTransferError
        If the shapes do not fit, or a value is impossible.
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    card: dict[str, object]

    def __post_init__(self) -> None:
        """Refuse what is no mixture."""
        if (
            self.means.ndim != 2
            or self.variances.shape != self.means.shape
            or self.weights.shape != self.means.shape[:1]
        ):
            raise ArtistTransferError(
                f"GMM: weights {self.weights.shape}, means {self.means.shape} and variances {self.variances.shape}; "
                "allowed are (mixture,), (mixture, coefficient) twice"
            )
        sound = np.isfinite(self.means).all() and np.isfinite(self.variances).all() and (self.variances > 0).all()
        if not sound or not (self.weights > 0).all() or abs(self.weights.sum() - 1) > 1e-6:
            raise ArtistTransferError(
                "GMM: means must be finite, variances and weights positive, and the weights must sum to 1"
            )

    @property
    def n_mixtures(self) -> int:
        """Number of Gaussians."""
        return int(self.means.shape[0])

    @property
    def width(self) -> int:
        """Number of coefficients."""
        return int(self.means.shape[1])

    def kernel(self, *, device: torch.device | str = "cpu", precision: str = "single") -> Kernel:
        """Make it ready for products.

        Parameters
        ----------
        device : torch.device or str
        precision : {"single", "double"}

        Returns
        -------
        Kernel
        """
        return Kernel(self.weights, self.means, self.variances, device=device, precision=precision)

    def save(self, folder: str | Path, *, also: Sequence[str] = ()) -> None:
        """Write safetensors and JSON, and declare the folder done.

        Parameters
        ----------
        folder : str or Path
        also : sequence of str
            Further files, already in the folder, that belong to it.
        """
        arrays = {"weights": self.weights, "means": self.means, "variances": self.variances}
        save_arrays(folder, arrays, self.card, name=WEIGHTS, card_name=CARD, also=also)

    @classmethod
    def load(cls, folder: str | Path) -> DiagonalGmm:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : str or Path

        Returns
        -------
        DiagonalGmm

        Raises
        ------
        ArtistTransferError
            If the folder holds no whole one.
        """
        arrays, card = load_arrays(folder, "GMM", name=WEIGHTS, card_name=CARD)
        return cls(**arrays, card=card)


def fit_gmm(
    frames: SongFrames,
    track_ids: Iterable[str],
    *,
    mixtures: int = MIXTURES,
    iterations: int = ITERATIONS,
    variance_floor: float = VARIANCE_FLOOR,
    max_frames: int | None = None,
    start: DiagonalGmm | None = None,
    chunk: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: str = "single",
    progress: Report | None = None,
) -> tuple[DiagonalGmm, list[float]]:
    """Fit a mixture to the frames of songs; those of other songs are not read.

    Weights, means and variances are all updated. A variance is kept at or above the floor and a mixture that holds
    less than one frame keeps its mean and variances: both are maxima, or no losses, of what EM maximises, so the
    likelihood never falls but for rounding.

    Parameters
    ----------
    frames : SongFrames
    track_ids : iterable of str
        The training songs, in any order.
    mixtures : int > 0
        At most as many as distinct frames.
    iterations : int > 0
    variance_floor : float > 0
        Of a coefficient's variance over a sample of the training frames.
    max_frames : int > 0 or None
        Frames about that are used, a seeded draw from each song; None is all.
    start : DiagonalGmm or None
        None is K-means of a sample.
    chunk : int > 0 or None
        Frames worked on at once: memory is that of one chunk. Changes the result by rounding only.
    seed : int >= 0
    device : torch.device or str
    precision : {"single", "double"}
        Of the products in a chunk.
    progress : callable or None
        Told frames done, frames in all iterations, and the latest mean log-likelihood.

    Returns
    -------
    gmm : DiagonalGmm
    history : list of float, one an iteration
        Mean log-likelihood of a frame before each update.

    Raises
    ------
    ArtistTransferError
        If a parameter is impossible, there are no songs, a coefficient never varies, or there are fewer distinct
        frames than mixtures.

    Warns
    -----
    ArtistTransferWarning
        If there are few frames a mixture, or mixtures ended empty.
    """
    check_settings(mixtures, iterations, variance_floor, max_frames)
    if start is not None:
        _same_width(start, frames)
        if start.n_mixtures != mixtures:
            raise ArtistTransferError(f"GMM: {mixtures} mixtures were asked for, the start has {start.n_mixtures}")
    ids = sorted(set(track_ids))
    if not ids:
        raise ArtistTransferError("GMM: no training songs; at least one is needed")
    n_frames = int(frames.counts(ids).sum())
    share = 1.0 if max_frames is None else min(1.0, max_frames / n_frames)
    sample = _sample(frames, ids, min(share, max(1.0, mixtures * _SAMPLE) / n_frames), seed)
    floor = _floor(sample, variance_floor)
    if start is None:
        parts = k_means_start(sample, mixtures, floor=floor, seed=seed)
    else:
        parts = start.weights, start.means, np.maximum(start.variances, floor)
    size, n_empty, n_used = chunk_size(chunk, device), 0, int(frames.counts(ids, share=share).sum())
    history: list[float] = []
    for k in range(iterations):
        kernel = Kernel(*parts, device=device, precision=precision)
        chunks: Iterable[np.ndarray] = (rows for rows, _ in frames.chunks(ids, size, share=share, seed=seed))
        if progress is not None:
            facts = {"log-likelihood": history[-1]} if history else {}
            chunks = told(chunks, progress, done=k * n_used, total=iterations * n_used, facts=facts)
        sums, total = accumulate(kernel, chunks)
        history.append(total / n_used)
        parts, n_empty = maximise(kernel, sums, parts, floor)
    _warn(n_used, mixtures, n_empty)
    card: dict[str, object] = {
        "mixtures": mixtures,
        "iterations": iterations,
        "variance_floor": variance_floor,
        "max_frames": max_frames,
        "seed": seed,
        "precision": precision,
        "n_songs": len(ids),
        "n_frames": n_frames,
        "n_frames_used": n_used,
        "n_empty_mixtures": n_empty,
        "n_floored_variances": int((parts[2] <= floor).sum()),
        "mean_log_likelihood": float(history[-1]),
    }
    return DiagonalGmm(*parts, card=card), history


def baum_welch(
    gmm: DiagonalGmm,
    frames: SongFrames,
    track_ids: Iterable[str],
    *,
    chunk: int | None = None,
    device: torch.device | str = "cpu",
    precision: str = "single",
    progress: Report | None = None,
) -> SongStatistics:
    """Return the statistics of songs.

    Parameters
    ----------
    gmm : DiagonalGmm
    frames : SongFrames
    track_ids : iterable of str
        In any order.
    chunk : int > 0 or None
        Frames worked on at once.
    device : torch.device or str
    precision : {"single", "double"}
        Of the products, and of the first-order sums that come out.
    progress : callable or None
        Told songs done and songs in all.

    Returns
    -------
    SongStatistics
        Sorted by track.

    Raises
    ------
    ArtistTransferError
        If a song has no frames, or the number of coefficients is another one.
    """
    _same_width(gmm, frames)
    ids, kernel = sorted(set(track_ids)), gmm.kernel(device=device, precision=precision)
    zeroth = np.zeros((len(ids), gmm.n_mixtures))
    first = np.zeros((len(ids), gmm.n_mixtures, gmm.width), np.float32 if precision == "single" else np.float64)
    likelihood = np.zeros(len(ids))
    width = gmm.width
    for rows, pieces in frames.chunks(ids, chunk_size(chunk, device)):
        found = kernel.expect(rows)
        weighted = found.features[:, : width + 1] / found.totals  # (frame, coefficient + 1)
        for song, begin, end in pieces:
            sums = (weighted[begin:end].T @ found.densities[begin:end]).double().cpu().numpy()
            zeroth[song] += sums[width]
            first[song] += kernel.raw_first(sums[width], sums[:width].T)
            likelihood[song] += float(found.log_likelihood[begin:end].sum())
        if progress is not None:
            progress(pieces[-1][0] + 1, len(ids), {})
    return SongStatistics(tuple(ids), zeroth, first, likelihood)


def _sample(frames: SongFrames, ids: Sequence[str], share: float, seed: int) -> np.ndarray:
    rows = np.concatenate([np.array(part) for part, _ in frames.chunks(ids, 8192, share=min(1.0, share), seed=seed)])
    if not np.isfinite(rows).all():
        raise ArtistTransferError("GMM: a training frame is not finite; leave that song out")
    return rows


def _floor(sample: np.ndarray, share: float) -> np.ndarray:
    variance = sample.var(axis=0, dtype=np.float64)
    still = np.flatnonzero(variance <= 0)
    if len(still):
        raise ArtistTransferError(
            f"GMM: coefficient {still[0]} is equal in all of {len(sample)} training frames, so it has no variance; "
            "give songs that vary, or fewer coefficients"
        )
    return share * variance


def _same_width(gmm: DiagonalGmm, frames: SongFrames) -> None:
    if frames.width != gmm.width:
        raise ArtistTransferError(f"GMM: fitted on {gmm.width} coefficients, found frames of {frames.width}")


def _warn(n_used: int, mixtures: int, n_empty: int) -> None:
    if n_used < _FEW * mixtures:
        warnings.warn(
            f"GMM: {n_used} frames for {mixtures} mixtures are {n_used / mixtures:.1f} each; it knows single frames",
            ArtistTransferWarning,
            stacklevel=3,
        )
    if n_empty:
        warnings.warn(
            f"GMM: {n_empty} of {mixtures} mixtures hold less than one frame; ask for fewer mixtures",
            ArtistTransferWarning,
            stacklevel=3,
        )
