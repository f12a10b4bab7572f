"""i-vectors: one vector a song, of how the means of a Gaussian mixture model shift in it.

A song's supervector of means is m + T w, with w standard normal and one for the song; its i-vector is the mean of w
given the song's frames. T is found by expectation-maximisation from Baum-Welch statistics of the training songs, whose
frames stay with the mixtures as the universal background model has them.

Conventions
-----------
* First-order sums are of the frames as they are; the means are taken off here.
* The factors' log-likelihood is given as nats a frame above that of the mixture model itself (which is T = 0).
* T starts as noise from the seed, as large as relevance MAP with relevance 10 lets a mean shift: T Tᵀ ≈ Σ / 10.
* Songs are taken in the order of their ids, so that rows in another order give the same bytes.
* A minimum divergence step follows every maximisation: five iterations then end at the same likelihood whatever the
  size of the start. Without it (the paper's toolbox has none) they do not, and noise keeps its share of an i-vector.
* Σ stays that of the mixture model unless it is asked for.

References
----------
DeepArtistID: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", first version,
section 3.3.
Dehak, Kenny, Dehak, Dumouchel, Ouellet, "Front-end factor analysis for speaker verification", IEEE Trans. Audio,
Speech, and Language Processing 19(4), 2011.
Sadjadi, Slaney, Heck, "MSR identity toolbox v1.0", 2013.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from artist_transfer.arrays_file import load_arrays, save_arrays
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.evaluation.cosine import some
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.recognition.frames import Report
from artist_transfer.recognition.gmm import VARIANCE_FLOOR
from artist_transfer.recognition.ivector_em import (
    EMPTY,
    FactorModel,
    Posterior,
    Totals,
    expect,
    gain_of,
    maximise,
    objective,
)
from artist_transfer.recognition.ivector_songs import (
    Mixture,
    Songs,
    Statistics,
    check_mixture,
    check_shapes,
    rows_of,
    tensor,
    training_rows,
    without_frames,
)

DIMENSION, ITERATIONS = 400, 5
START_RELEVANCE = 10  # T starts as large as relevance MAP with it
WEIGHTS, CARD = "total_variability.safetensors", "total_variability.json"


@dataclass(frozen=True, eq=False)
class TotalVariability:
    """A fitted model of how songs differ from the mixture model.

    Attributes
    ----------
    means : np.ndarray [shape=(C, D)], float64
        Those of the mixture model; moved by the minimum divergence step.
    T : np.ndarray [shape=(C, D, R)], float64
    sigma : np.ndarray [shape=(C, D)], float64, > 0
    card : dict
        ``dimension, n_wanted, n_songs, n_songs_without_frames, n_frames, n_mixtures, n_empty_mixtures, iterations,
        seed`` (None of a given start), ``minimum_divergence, update_sigma, variance_floor``.
    """

    means: np.ndarray
    T: np.ndarray
    sigma: np.ndarray
    card: dict[str, object]

    def save(self, folder: Path, *, also: Sequence[str] = ()) -> None:
        """Write safetensors and JSON, and declare the folder done.

        Parameters
        ----------
        folder : Path
        also : sequence of str
            Further files, already in the folder, that belong to it.
        """
        arrays = {"means": self.means, "T": self.T, "sigma": self.sigma}
        save_arrays(folder, arrays, self.card, name=WEIGHTS, card_name=CARD, details=self.card, also=also)

    @classmethod
    def load(cls, folder: Path) -> TotalVariability:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : Path

        Returns
        -------
        TotalVariability

        Raises
        ------
        ArtistTransferError
            If the folder holds no whole one.
        """
        arrays, card = load_arrays(folder, "total variability", name=WEIGHTS, card_name=CARD)
        return cls(**arrays, card=card)


def fit_total_variability(
    gmm: Mixture,
    statistics: Statistics,
    *,
    train_ids: Iterable[str] | None = None,
    dimension: int = DIMENSION,
    iterations: int = ITERATIONS,
    minimum_divergence: bool = True,
    update_sigma: bool = False,
    second: np.ndarray | None = None,
    variance_floor: float = VARIANCE_FLOOR,
    start: np.ndarray | None = None,
    seed: int = 0,
    chunk: int | None = None,
    device: str | torch.device = "cpu",
    progress: Report | None = None,
) -> tuple[TotalVariability, list[float]]:
    """Fit by expectation-maximisation; rows of other songs are not read.

    Parameters
    ----------
    gmm : Mixture
    statistics : Statistics
        Under this mixture model. Songs without a frame take no part; `card` says how many.
    train_ids : iterable of str, optional
        Default all.
    dimension : int > 0
        At most songs − 1, and mixtures that have frames × coefficients; if that is less a warning names the numbers.
    iterations : int > 0
    minimum_divergence : bool
        Whether the factor's mean and covariance over the songs are fitted too and then made 0 and 1 again.
    update_sigma : bool
        Whether the variances are fitted too; needs `second`.
    second : np.ndarray [shape=(C, D)], optional
        Sum of squares of the training songs' frames by mixture.
    variance_floor : float in (0, 1]
        Least share of the mixture model's variance, if variances are fitted.
    start : np.ndarray [shape=(C, D, dimension)], optional
        T to begin with; default noise.
    seed : int >= 0
        Of the noise.
    chunk : int > 0, optional
        Songs at once; default so many that an array of theirs takes 32 MiB (on a GPU 512). It changes the last digits
        only.
    device : str or torch.device
    progress : callable or None
        Told iterations done, iterations in all, and the latest objective.

    Returns
    -------
    model : TotalVariability
    history : list of float
        Log-likelihood of a frame above that of the mixture model: at the start and after each iteration.

    Raises
    ------
    ArtistTransferError
        If a parameter is impossible, statistics and mixture model do not fit together, a statistic of a training song
        is not finite or an occupancy negative, there are fewer than two songs with frames, or numbers are so large or
        small that a covariance is not finite.

    Warns
    -----
    ArtistTransferWarning
        If the model gets fewer dimensions than were asked for.
    """
    _check(dimension, iterations, chunk, variance_floor)
    check_mixture(gmm)
    check_shapes(gmm.means, statistics)
    _check_second(gmm, update_sigma, second)
    rows, n_asked = training_rows(statistics, train_ids)
    device = torch.device(device)
    songs = Songs(statistics, rows, rank=dimension, chunk=chunk, device=device)
    totals = _totals(gmm, songs, second if update_sigma else None, device)
    n_empty = int((totals.zeroth <= EMPTY).sum())
    rank = _allowed(dimension, len(rows), (len(gmm.means) - n_empty), gmm.means.shape[1])
    songs = Songs(statistics, rows, rank=rank, chunk=chunk, device=device)
    model = FactorModel(totals.means, _start(gmm, start, rank, dimension, seed).to(device), totals.variances)
    how = _How(minimum_divergence, update_sigma, variance_floor)
    try:
        model, history = _iterate(model, songs, totals, how, iterations=iterations, progress=progress)
    except torch.linalg.LinAlgError as error:
        raise ArtistTransferError(
            "i-vectors: a song's posterior has no finite covariance; statistics, variances or the start are of a size "
            "that double precision does not hold"
        ) from error
    card: dict[str, object] = {
        "dimension": rank,
        "n_wanted": dimension,
        "n_songs": len(rows),
        "n_songs_without_frames": n_asked - len(rows),
        "n_frames": round(float(totals.zeroth.sum()), 3),
        "n_mixtures": len(gmm.means),
        "n_empty_mixtures": n_empty,
        "iterations": iterations,
        "seed": seed if start is None else None,
        **asdict(how),
    }
    fitted = {"means": model.means, "T": model.loadings, "sigma": model.sigma}
    arrays = {name: np.ascontiguousarray(x.cpu().numpy()) for name, x in fitted.items()}
    return TotalVariability(**arrays, card=card), history


def extract(
    model: TotalVariability,
    statistics: Statistics,
    *,
    track_ids: Sequence[str] | None = None,
    chunk: int | None = None,
    device: str | torch.device = "cpu",
) -> Embeddings:
    """Give the i-vectors of songs.

    Parameters
    ----------
    model : TotalVariability
    statistics : Statistics
        Under the mixture model it was fitted with.
    track_ids : sequence of str, optional
        Which, in the order wanted; default all.
    chunk : int > 0, optional
        Songs at once, as in `fit_total_variability`.
    device : str or torch.device

    Returns
    -------
    Embeddings [width=dimension], float64

    Raises
    ------
    ArtistTransferError
        If statistics and model do not fit together, a song has none, or one has no frame (its i-vector would be that
        of nothing, zero) or statistics that are not finite; the songs are named.
    """
    rank = model.T.shape[2]
    _check(rank, 1, chunk, VARIANCE_FLOOR)
    check_shapes(model.means, statistics)
    names = tuple(statistics.track_ids if track_ids is None else track_ids)
    rows = rows_of(statistics, names)
    silent = [names[k] for k in np.flatnonzero(without_frames(statistics, rows))]
    if silent:
        raise ArtistTransferError(f"i-vectors: {len(silent)} songs have no frame: {some(silent)}; leave them out")
    device = torch.device(device)
    posterior = Posterior(FactorModel(*(tensor(x, device) for x in (model.means, model.T, model.sigma))))
    vectors, done = np.empty((len(names), rank)), 0
    for part in Songs(statistics, rows, rank=rank, chunk=chunk, device=device):
        mean = posterior.of(part)[0]
        vectors[done : done + len(mean)] = mean.cpu().numpy()
        done += len(mean)
    return Embeddings(names, vectors)


@dataclass(frozen=True)
class _How:
    minimum_divergence: bool
    update_sigma: bool
    variance_floor: float


def _iterate(
    model: FactorModel, songs: Songs, totals: Totals, how: _How, *, iterations: int, progress: Report | None
) -> tuple[FactorModel, list[float]]:
    """Alternate expectation and maximisation; give the objective before each and at the end."""
    history: list[float] = []

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, iterations, {"gain": history[-1]} if history else {})

    for k in range(iterations):
        tell(k)
        found = expect(model, songs)
        history.append(objective(model, found.gain, totals))
        model = maximise(model, found, totals, **asdict(how))
        del found  # as large as what the next expectation needs
    history.append(objective(model, gain_of(model, songs), totals))
    tell(iterations)
    return model, history


def _totals(gmm: Mixture, songs: Songs, second: np.ndarray | None, device: torch.device) -> Totals:
    """Sum the statistics about the mixture model's means."""
    means, variances = tensor(gmm.means, device), tensor(gmm.variances, device)
    zeroth, raw = means.new_zeros(len(means)), torch.zeros_like(means)
    for occupancies, sums in songs:
        zeroth += occupancies.sum(dim=0)
        raw += sums.sum(dim=0)
    squares = None
    if second is not None:
        squares = tensor(second, device) - 2 * raw * means + zeroth[:, None] * means.square()
    return Totals(means, variances, zeroth, raw - zeroth[:, None] * means, squares)


def _allowed(dimension: int, n_songs: int, n_mixtures: int, width: int) -> int:
    found = min(dimension, n_songs - 1, n_mixtures * width)
    if found < dimension:
        warnings.warn(
            f"i-vectors: {dimension} dimensions were asked for, the data supports {found}: {n_songs} songs allow "
            f"{n_songs - 1}, {n_mixtures} mixtures with frames × {width} coefficients {n_mixtures * width}",
            ArtistTransferWarning,
            stacklevel=3,
        )
    return found


def _start(gmm: Mixture, start: np.ndarray | None, rank: int, dimension: int, seed: int) -> torch.Tensor:
    shape = (*gmm.means.shape, dimension)
    if start is None:
        noise = np.random.default_rng([seed, 41]).standard_normal((*gmm.means.shape, rank))
        return torch.from_numpy(
            noise * np.sqrt(np.asarray(gmm.variances, dtype=np.float64) / (START_RELEVANCE * rank))[..., None]
        )
    if start.shape != shape or not np.isfinite(start).all():
        raise ArtistTransferError(f"i-vectors: the start must be finite, of shape {shape}; found {start.shape}")
    return torch.from_numpy(np.array(start[:, :, :rank], dtype=np.float64))


def _check(dimension: int, iterations: int, chunk: int | None, variance_floor: float) -> None:
    if dimension < 1 or iterations < 1 or (chunk is not None and chunk < 1):
        raise ArtistTransferError(
            f"i-vectors: dimension, iterations and chunk must be at least 1, found {dimension}, "
            f"{iterations} and {chunk}"
        )
    if not 0 < variance_floor <= 1:
        raise ArtistTransferError(f"i-vectors: variance_floor must be above 0 and at most 1, found {variance_floor}")


def _check_second(gmm: Mixture, update_sigma: bool, second: np.ndarray | None) -> None:
    if not update_sigma:
        return
    if second is None or second.shape != gmm.means.shape or not np.isfinite(second).all():
        found = "none" if second is None else f"shape {second.shape}"
        raise ArtistTransferError(
            f"i-vectors: to update sigma the sums of squares by mixture are needed, finite and of shape "
            f"{gmm.means.shape}; found {found}"
        )
