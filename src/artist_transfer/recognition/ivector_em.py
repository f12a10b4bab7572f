"""One step of expectation-maximisation for a total variability model, in chunks of songs.

Symmetric matrices by mixture are held as their lower triangles: of 256 mixtures and 400 dimensions they are 164 MB
instead of 328, and the two products that cost most, of the songs' occupancies with them, cost half.

References
----------
Kenny, Boulianne, Dumouchel, "Eigenvoice modeling with sparse training data", IEEE Trans. Speech and Audio Processing
13(3), 2005: the posterior (proposition 1), the marginal likelihood (proposition 2), both updates (propositions 3, 4).
Kenny, Ouellet, Dehak, Gupta, Dumouchel, "A study of interspeaker variability in speaker verification", IEEE Trans.
Audio, Speech, and Language Processing 16(5), 2008: the minimum divergence step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

AT_ONCE = {"cpu": 1 << 22, "cuda": 1 << 26}  # numbers of one array of a chunk; larger ones cost a CPU page faults
MOST_ROWS = 1024
EMPTY = 1e-10  # frames in all songs: below it a mixture has none

Chunk = tuple[torch.Tensor, torch.Tensor]  # occupancies (song, mixture), first-order sums (song, mixture, coefficient)


@dataclass(frozen=True)
class FactorModel:
    """A model on its device, all float64.

    Attributes
    ----------
    means : torch.Tensor [shape=(C, D)]
    loadings : torch.Tensor [shape=(C, D, R)]
        T of Dehak et al.
    sigma : torch.Tensor [shape=(C, D)], > 0
        Variances that the song's factor leaves.
    """

    means: torch.Tensor
    loadings: torch.Tensor
    sigma: torch.Tensor


@dataclass(frozen=True)
class Totals:
    """Statistics summed over the songs, about the means of the mixture model.

    Attributes
    ----------
    means, variances : torch.Tensor [shape=(C, D)]
        Of the mixture model.
    zeroth : torch.Tensor [shape=(C,)]
        Frames.
    first : torch.Tensor [shape=(C, D)]
        Sums of frames less the mean.
    second : torch.Tensor [shape=(C, D)], or None
        Sums of their squares; needed to update the variances only.
    """

    means: torch.Tensor
    variances: torch.Tensor
    zeroth: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor | None


@dataclass(frozen=True)
class Expectation:
    """What the songs say under a model.

    Attributes
    ----------
    moments : torch.Tensor [shape=(C, R (R + 1) / 2)]
        Sum over songs of occupancy × E[w wᵀ].
    cross : torch.Tensor [shape=(C, D, R)]
        Sum over songs of first-order sums about the means × E[w].
    mean : torch.Tensor [shape=(R,)]
        Mean over songs of E[w].
    moment : torch.Tensor [shape=(R (R + 1) / 2,)]
        Mean over songs of E[w wᵀ].
    gain : float
        Sum over songs of what their factors add to the log-likelihood.
    """

    moments: torch.Tensor
    cross: torch.Tensor
    mean: torch.Tensor
    moment: torch.Tensor
    gain: float


class Triangles:
    """Symmetric matrices held as lower triangles, row after row.

    Rows are copied one by one: a gather by index takes six times as long.

    Parameters
    ----------
    size : int > 0
    """

    def __init__(self, size: int) -> None:
        self.size, self.length = size, size * (size + 1) // 2

    def pack(self, full: torch.Tensor) -> torch.Tensor:
        """Keep the lower triangles: (n, R, R) → (n, R (R + 1) / 2)."""
        packed, place = full.new_empty((len(full), self.length)), 0
        for row in range(self.size):
            packed[:, place : place + row + 1] = full[:, row, : row + 1]
            place += row + 1
        return packed

    def lower(self, packed: torch.Tensor) -> torch.Tensor:
        """Put them back, above them zero, which is all that a Cholesky factor reads: → (n, R, R)."""
        full, place = packed.new_zeros((len(packed), self.size, self.size)), 0
        for row in range(self.size):
            full[:, row, : row + 1] = packed[:, place : place + row + 1]
            place += row + 1
        return full


class Posterior:
    """Distribution of the factor w of songs given their statistics.

    Parameters
    ----------
    model : FactorModel
    """

    def __init__(self, model: FactorModel) -> None:
        n_mixtures, width, rank = model.loadings.shape
        self.model, self.triangles = model, Triangles(rank)
        scaled = model.loadings / model.sigma[:, :, None]
        self._scaled = scaled.reshape(n_mixtures * width, rank)
        self._precisions = torch.empty((n_mixtures, self.triangles.length), dtype=scaled.dtype, device=scaled.device)
        for some in blocks(n_mixtures, rank * rank, scaled.device):
            self._precisions[some] = self.triangles.pack(scaled[some].mT @ model.loadings[some])

    def centred(self, chunk: Chunk) -> torch.Tensor:
        """Take the means off the first-order sums: (song, C · D)."""
        zeroth, first = chunk
        return (first - zeroth[:, :, None] * self.model.means).flatten(1)

    def of(self, chunk: Chunk) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give the posterior of songs.

        Parameters
        ----------
        chunk : occupancies and first-order sums

        Returns
        -------
        mean : torch.Tensor [shape=(n, R)]
        factor : torch.Tensor [shape=(n, R, R)]
            Lower Cholesky factor of the precision.
        gain : torch.Tensor [shape=(n,)]
            What the factor adds to the log-likelihood of the song's frames.
        """
        linear = self.centred(chunk) @ self._scaled
        precision = self.triangles.lower(chunk[0] @ self._precisions)
        precision.diagonal(dim1=-2, dim2=-1).add_(1)
        factor = torch.linalg.cholesky(precision)
        half = torch.linalg.solve_triangular(factor, linear[:, :, None], upper=False)
        mean = torch.linalg.solve_triangular(factor.mT, half, upper=True)[:, :, 0]
        gain = half.square().sum(dim=(1, 2)) / 2 - factor.diagonal(dim1=-2, dim2=-1).log().sum(dim=1)
        return mean, factor, gain


def at_once(numbers: int, device: torch.device) -> int:
    """Tell how many rows of so many numbers each one array should hold."""
    return max(1, min(MOST_ROWS, AT_ONCE["cpu" if device.type == "cpu" else "cuda"] // numbers))


def blocks(count: int, numbers: int, device: torch.device) -> Iterator[slice]:
    """Cut so many rows of so many numbers each into slices."""
    size = at_once(numbers, device)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def expect(model: FactorModel, songs: Iterable[Chunk]) -> Expectation:
    """Sum over the songs what the maximisation needs.

    Parameters
    ----------
    model : FactorModel
    songs : iterable of chunks

    Returns
    -------
    Expectation
    """
    posterior, (n_mixtures, width, rank) = Posterior(model), model.loadings.shape
    new = model.loadings.new_zeros
    moments, cross = new((n_mixtures, posterior.triangles.length)), new((n_mixtures * width, rank))
    mean_sum, moment_sum, gain_sum, n_songs = new(rank), new(posterior.triangles.length), new(()), 0
    for chunk in songs:
        mean, factor, gain = posterior.of(chunk)
        moment = torch.cholesky_inverse(factor)
        moment.baddbmm_(mean[:, :, None], mean[:, None, :])
        packed = posterior.triangles.pack(moment)
        del factor, moment  # the largest of a chunk
        moments.addmm_(chunk[0].mT, packed)
        cross.addmm_(posterior.centred(chunk).mT, mean)
        mean_sum += mean.sum(dim=0)
        moment_sum += packed.sum(dim=0)
        gain_sum += gain.sum()
        n_songs += len(mean)
    cross = cross.reshape(n_mixtures, width, rank)
    return Expectation(moments, cross, mean_sum / n_songs, moment_sum / n_songs, float(gain_sum))


def gain_of(model: FactorModel, songs: Iterable[Chunk]) -> float:
    """Sum what the songs' factors add to the log-likelihood, and nothing else.

    Parameters
    ----------
    model : FactorModel
    songs : iterable of chunks

    Returns
    -------
    float
    """
    posterior = Posterior(model)
    total = model.loadings.new_zeros(())
    for chunk in songs:
        total += posterior.of(chunk)[2].sum()
    return float(total)


def maximise(
    model: FactorModel,
    found: Expectation,
    totals: Totals,
    *,
    minimum_divergence: bool,
    update_sigma: bool,
    variance_floor: float,
) -> FactorModel:
    """Give the model that explains what was expected best.

    Parameters
    ----------
    model : FactorModel
        The one of the expectation.
    found : Expectation
    totals : Totals
    minimum_divergence : bool
        Whether the factor's distribution over the songs is fitted too and then made standard normal again, by moving
        the means and turning the loadings.
    update_sigma : bool
    variance_floor : float > 0
        Least share of the mixture model's variance that is left.

    Returns
    -------
    FactorModel
    """
    triangles = Triangles(model.loadings.shape[2])
    loadings = torch.zeros_like(model.loadings)  # a mixture without a frame says nothing of its own
    taken = torch.nonzero(totals.zeroth > EMPTY).flatten()
    for some in blocks(len(taken), triangles.size**2, taken.device):
        mixtures = taken[some]
        weight = totals.zeroth[mixtures][:, None, None]  # so that few frames are no small numbers
        moments = triangles.lower(found.moments[mixtures]) / weight
        solved = torch.cholesky_solve(found.cross[mixtures].mT / weight, torch.linalg.cholesky(moments))
        loadings[mixtures] = solved.mT
    sigma, means = model.sigma, model.means
    if update_sigma:
        floor = variance_floor * totals.variances
        left = _second_about(totals, means) - (found.cross * loadings).sum(dim=2)
        sigma = sigma.clone()
        sigma[taken] = torch.maximum(left[taken] / totals.zeroth[taken][:, None], floor[taken])
    if minimum_divergence:
        spread = triangles.lower(found.moment[None])[0] - torch.outer(found.mean, found.mean)
        means = means + loadings @ found.mean
        loadings = loadings @ torch.linalg.cholesky(spread)
    return FactorModel(means, loadings, sigma)


def _second_about(totals: Totals, means: torch.Tensor) -> torch.Tensor:
    """Sum the squares of the frames less other means."""
    assert totals.second is not None
    shift = means - totals.means
    return totals.second - 2 * totals.first * shift + totals.zeroth[:, None] * shift.square()


def objective(model: FactorModel, gain: float, totals: Totals) -> float:
    """Give the log-likelihood of a frame, less that under the mixture model without a song's factor.

    Parameters
    ----------
    model : FactorModel
    gain : float
        Of all songs under it.
    totals : Totals

    Returns
    -------
    float
        Nats a frame: the frames' alignment with the mixtures is held, the factors are integrated out.
    """
    zeroth, shift = totals.zeroth[:, None], model.means - totals.means
    change = (zeroth * shift.square() - 2 * totals.first * shift) / model.sigma
    if totals.second is not None:
        change = change + zeroth * (model.sigma / totals.variances).log()
        change = change + totals.second * (1 / model.sigma - 1 / totals.variances)
    return (gain - float(change.sum()) / 2) / float(totals.zeroth.sum())
