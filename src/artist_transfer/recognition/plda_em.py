"""Maximum likelihood of the two-covariance model by EM, from sums by artist.

A vector is x = m + F h + e, with h ~ N(0, I) of the artist and e ~ N(0, W) of the song, so that artists vary by
B = F Fᵀ. F, m and W are estimated together and h is then made standard normal again (minimum divergence), by which EM
keeps its guarantee and converges faster. A within-covariance that is shrunk towards t I is the mode under an inverse
Wishart prior that weighs as much as n λ / (1 - λ) songs: the objective is the likelihood times that prior, and never
falls.

References
----------
Kenny, "Bayesian speaker verification with heavy-tailed priors", Odyssey 2010.
Brümmer, "EM for probabilistic LDA", 2010: minimum divergence, and the augmented regression for the mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class PldaStep(NamedTuple):
    """Where EM stood; both per song, in nats.

    Parameters
    ----------
    iteration : int >= 0
        0 is the start.
    log_likelihood : float
        Marginal: of the artists' songs, without the prior.
    objective : float
        What never falls: with the prior if the within-covariance is shrunk by less than all.
    """

    iteration: int
    log_likelihood: float
    objective: float


@dataclass(frozen=True)
class ArtistSums:
    """All that EM needs of the songs.

    Attributes
    ----------
    counts : np.ndarray [shape=(n_artists,)], float64, >= 1
        Songs of each artist.
    sums : np.ndarray [shape=(n_artists, width)], float64
        Of the songs of each artist.
    scatter : np.ndarray [shape=(width, width)], float64
        Sum of x xᵀ over songs, about the origin.
    """

    counts: np.ndarray
    sums: np.ndarray
    scatter: np.ndarray

    @property
    def n_songs(self) -> int:
        """Songs of all artists."""
        return int(self.counts.sum())

    @property
    def means(self) -> np.ndarray:
        """Mean of each artist [shape=(n_artists, width)]."""
        return np.asarray(self.sums / self.counts[:, None])

    def within(self) -> np.ndarray:
        """Pooled covariance about the artists' means [shape=(width, width)], unbiased."""
        scatter = self.scatter - self.means.T @ self.sums
        return np.asarray((scatter + scatter.T) / 2 / (self.n_songs - len(self.counts)))


@dataclass(frozen=True)
class TwoCovariances:
    """Parameters of the model.

    Attributes
    ----------
    centre : np.ndarray [shape=(width,)], float64
    factors : np.ndarray [shape=(width, rank)], float64
        F: the between-covariance is F Fᵀ.
    within : np.ndarray [shape=(width, width)], float64
    """

    centre: np.ndarray
    factors: np.ndarray
    within: np.ndarray


def start_from_moments(sums: ArtistSums, within: np.ndarray, rank: int) -> TwoCovariances:
    """Begin with the covariance of the artists' means, seen through the within-covariance.

    Parameters
    ----------
    sums : ArtistSums
    within : np.ndarray [shape=(width, width)], positive definite
    rank : int >= 1

    Returns
    -------
    TwoCovariances
    """
    centre = sums.means.mean(axis=0)
    away = sums.means - centre
    half = np.linalg.cholesky(within)
    seen = np.linalg.solve(half, away.T)
    values, vectors = np.linalg.eigh(seen @ seen.T / len(away))
    first = np.argsort(-values, kind="stable")[:rank]
    # a factor of no length would stay so in every iteration
    length = np.sqrt(np.maximum(values[first], 1e-6 * values.max()))
    return TwoCovariances(centre, half @ (vectors[:, first] * length), within)


def fit_two_covariances(
    sums: ArtistSums,
    start: TwoCovariances,
    *,
    iterations: int,
    shrinkage: float = 0.0,
    target: float = 1.0,
    device: torch.device | str = "cpu",
) -> tuple[TwoCovariances, tuple[PldaStep, ...]]:
    """Run EM.

    Parameters
    ----------
    sums : ArtistSums
    start : TwoCovariances
    iterations : int >= 0
    shrinkage : float in [0, 1]
        λ: the within-covariance is (1 - λ) that of the songs + λ t I.
    target : float > 0
        t.
    device : torch.device or str

    Returns
    -------
    model : TwoCovariances
    history : tuple of PldaStep [len=iterations + 1]

    Raises
    ------
    torch.linalg.LinAlgError
        If the within-covariance comes out singular.
    """
    em = _Em(sums, start, shrinkage, target, torch.device(device))
    history = [em.look(0)]
    for iteration in range(1, iterations + 1):
        em.update()
        history.append(em.look(iteration))
    return TwoCovariances(*(x.cpu().numpy() for x in (em.centre, em.factors, em.within))), tuple(history)


class _Em:
    def __init__(
        self, sums: ArtistSums, start: TwoCovariances, shrinkage: float, target: float, device: torch.device
    ) -> None:
        self.n = _on(sums.counts, device)[:, None]  # (artist, 1)
        self.f = _on(sums.sums, device)  # (artist, width)
        self.scatter = _on(sums.scatter, device)
        self.n_songs = float(sums.n_songs)
        self.centre, self.factors, self.within = (_on(x, device) for x in (start.centre, start.factors, start.within))
        self.shrinkage, self.target = shrinkage, target

    def look(self, iteration: int) -> PldaStep:
        """Expect the factors of each artist, and score the parameters by the way."""
        half = torch.linalg.cholesky(self.within)
        seen = torch.cholesky_solve(self.factors, half)  # W⁻¹F
        gains, rotation = torch.linalg.eigh(_symmetric(self.factors.T @ seen))
        self.factors, seen = self.factors @ rotation, seen @ rotation  # B stays, the posteriors become diagonal
        gains = gains.clamp_min(0)
        away = (self.f - self.n * self.centre) @ seen  # (artist, rank)
        spread = 1 / (1 + self.n * gains)  # posterior variances
        self.expected, self.spread = away * spread, spread
        outer = torch.outer(self.centre, self.f.sum(0))
        about = self.scatter - outer - outer.T + self.n_songs * torch.outer(self.centre, self.centre)
        width = len(self.centre)
        log_det = 2 * half.diagonal().log().sum()
        inverse = torch.cholesky_inverse(half)
        quadratic = (inverse * about).sum() - (away * self.expected).sum()
        constant = self.n_songs * (width * math.log(2 * math.pi) + log_det)
        likelihood = -0.5 * (constant - spread.log().sum() + quadratic) / self.n_songs
        objective = likelihood
        if 0 < self.shrinkage < 1:
            weight = self.shrinkage / (1 - self.shrinkage)
            objective = likelihood - 0.5 * weight * (log_det + self.target * inverse.trace())
        return PldaStep(iteration, float(likelihood), float(objective))

    def update(self) -> None:
        """Regress the songs on factors and a constant, shrink what is left, make the factors standard normal."""
        h, n = self.expected, self.n
        one = torch.ones_like(n)
        regressors = torch.cat([h, one], dim=1)  # (artist, rank + 1)
        squares = (n * regressors).T @ regressors
        squares[:-1, :-1] += torch.diag((n * self.spread).sum(0))
        cross = self.f.T @ regressors  # (width, rank + 1)
        both = torch.linalg.solve(_symmetric(squares), cross.T).T
        if self.shrinkage < 1:
            own = _symmetric(self.scatter - both @ cross.T) / self.n_songs
            eye = torch.eye(len(own), dtype=own.dtype, device=own.device)
            self.within = (1 - self.shrinkage) * own + self.shrinkage * self.target * eye
        middle = h.mean(0)
        moved = h - middle
        covariance = _symmetric(moved.T @ moved + torch.diag(self.spread.sum(0))) / len(h)
        self.centre = both[:, -1] + both[:, :-1] @ middle
        self.factors = both[:, :-1] @ torch.linalg.cholesky(covariance)


def _on(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.tensor(np.asarray(values, dtype=np.float64), device=device)


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.T) / 2
