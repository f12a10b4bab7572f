"""Intervals and p values of a bootstrap over few units.

A bootstrap over n units makes two mistakes that only many units forgive. Its variance is (n − 1) / n of what it should
be, and its percentiles are those of a normal law where t with n − 1 degrees of freedom is due. Far out it is worse: no
resample can lie beyond the most extreme unit, so if all n units agree in sign the share of resamples on the other side
of 0 is 0 whatever n is, and a correction for many comparisons looks at just that share. So here

* a **score** has the expanded percentile interval: the percentiles whose normal quantile is √(n / (n − 1)) times that
  of t; it stays within the score's bounds;
* a **difference** has the t interval and the t test with the bootstrap's standard error, widened by √(n / (n − 1)), so
  the two agree, and p does not depend on how many resamples were drawn. No p is below 2^(1 − n), the chance that n
  units agree in sign if there is nothing: with fewer than `MIN_UNITS` no p is below 0.05;
* n is what units of unequal size are worth (Kish), for a mean over tracks in which one artist has half of them is not
  one over n artists;
* where other things than units were drawn too (seeds, splits), each with its own number of levels, the degrees of
  freedom are those of the sum of their variances (Satterthwaite).

References
----------
Hesterberg, "What Teachers Should Know About the Bootstrap: Resampling in the Undergraduate Statistics Curriculum",
Am. Stat. 69(4), 2015: narrowness, expanded percentile intervals, t with bootstrap standard error.
Kish, "Survey Sampling", 1965: effective sample size (Σ w)² / Σ w².
Carter, Schnepel, Steigerwald, "Asymptotic Behavior of a t-Test Robust to Cluster Heterogeneity", Rev. Econ. Stat.
99(4), 2017: the effective number of clusters as the sample size.
Satterthwaite, "An Approximate Distribution of Estimates of Variance Components", Biometrics Bull. 2(6), 1946.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from artist_transfer.errors import ArtistTransferError

MIN_UNITS = 6  # the fewest of which all agree by chance less than one time in twenty: 2 ** (1 - 6) < 0.05
ROUNDING = 1e-10  # more than sums over thousands of artists are off, far less than one track counts


@dataclass(frozen=True)
class UnitCount:
    """How many units a score is of.

    Attributes
    ----------
    count : int >= 0
        Those with a track.
    effective : float in [0, count]
        As many of equal size that are worth as much.
    """

    count: int
    effective: float

    @property
    def least_p(self) -> float:
        """The least p that so many units can give: that all of them agree."""
        return min(1.0, 2.0 ** (1 - self.count))


@dataclass(frozen=True)
class Between:
    """What else was drawn: seeds, splits.

    Attributes
    ----------
    variance : np.ndarray [shape=(K,)]
        What it contributes to the variance of the mean, for each of K scores.
    levels : int > 1
        How many of it there are.
    """

    variance: np.ndarray
    levels: int

    @classmethod
    def of(cls, means: np.ndarray) -> Between:
        """Make it of the scores of every level, (level, K)."""
        return cls(means.var(axis=0, ddof=1) / len(means), len(means))


def count_units(sizes: np.ndarray) -> UnitCount:
    """Count units, and what they are worth.

    Parameters
    ----------
    sizes : np.ndarray [shape=(n_units,)], >= 0
        The weight of each unit in the score: its tracks.

    Returns
    -------
    UnitCount

    Raises
    ------
    ArtistTransferError
        If a size is negative or not finite.
    """
    sizes = np.asarray(sizes, dtype=np.float64)
    if not (np.isfinite(sizes).all() and (sizes >= 0).all()):
        raise ArtistTransferError("sizes of units must be finite and not negative")
    total = sizes.sum()
    return UnitCount(int((sizes > 0).sum()), float(total**2 / (sizes**2).sum()) if total > 0 else 0.0)


def percentiles(draws: np.ndarray, level: float, units: UnitCount, between: Sequence[Between] = ()) -> np.ndarray:
    """Return the expanded percentile intervals of scores.

    Parameters
    ----------
    draws : np.ndarray [shape=(n, K)]
        K scores of the resamples; n may be 0.
    level : float in (0, 1)
    units : UnitCount
    between : sequence of Between
        What was drawn beside units.

    Returns
    -------
    np.ndarray [shape=(2, K)]
        Low and high; NaN with fewer than two units or resamples.
    """
    if units.count < 2 or len(draws) < 2:
        return np.full((2, draws.shape[1]), np.nan)
    error, freedom = _errors(draws, units, between)
    drawn = draws.std(axis=0, ddof=1)
    wider = np.divide(error, drawn, out=np.ones_like(error), where=drawn > 0)
    tails = norm.sf(student.ppf((1 + level) / 2, freedom) * wider)
    ends = [np.quantile(column, [tail, 1 - tail]) for column, tail in zip(draws.T, tails)]
    return np.stack(ends, axis=1)


def difference_test(
    effects: np.ndarray, draws: np.ndarray, level: float, units: UnitCount, between: Sequence[Between] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return the t intervals and p values of differences, with the bootstrap's standard error.

    Parameters
    ----------
    effects : np.ndarray [shape=(K,)]
    draws : np.ndarray [shape=(n, K)]
        Of the resamples; n may be 0.
    level : float in (0, 1)
    units : UnitCount
    between : sequence of Between
        What was drawn beside units.

    Returns
    -------
    ends : np.ndarray [shape=(2, K)]
        Low and high.
    p : np.ndarray [shape=(K,)], in (0, 1]
        Two-sided, not below `UnitCount.least_p`. All are NaN with fewer than two units or resamples.
    """
    if units.count < 2 or len(draws) < 2:
        return np.full((2, len(effects)), np.nan), np.full(len(effects), np.nan)
    # two systems of equal scores differ by rounding alone, which may have one sign in all resamples
    effects, draws = (np.where(np.abs(x) < ROUNDING, 0.0, x) for x in (effects, draws))
    error, freedom = _errors(draws, units, between)
    half = student.ppf((1 + level) / 2, freedom) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(effects == 0, 0.0, np.abs(effects) / error)
    # far below what anybody can know, but a p of exactly 0 would be wrong
    p = np.maximum(2 * student.sf(size, freedom), max(units.least_p, np.finfo(np.float64).tiny))
    return np.stack([effects - half, effects + half]), np.where(effects == 0, 1.0, p)


def _errors(draws: np.ndarray, units: UnitCount, between: Sequence[Between]) -> tuple[np.ndarray, np.ndarray]:
    """Give standard errors and their degrees of freedom, (K,) each."""
    n = max(units.effective, 2.0)
    others = sum((x.variance for x in between), np.zeros(draws.shape[1]))
    # what else was drawn has its whole variance in the resamples already
    own = np.maximum(draws.var(axis=0, ddof=1) - others, 0.0) * n / (n - 1)
    parts = [(own, n - 1), *((x.variance, x.levels - 1) for x in between)]
    total = sum((variance for variance, _ in parts), np.zeros(draws.shape[1]))
    doubt = sum((variance**2 / freedom for variance, freedom in parts), np.zeros(draws.shape[1]))
    freedom = np.divide(total**2, doubt, out=np.full_like(total, n - 1), where=doubt > 0)
    return np.sqrt(total), freedom
