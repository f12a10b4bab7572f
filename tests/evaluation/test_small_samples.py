"""Intervals and p of few units: they cover and err as often as they say, whatever the units and however few."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.small_samples import (
    MIN_UNITS,
    Between,
    UnitCount,
    count_units,
    difference_test,
    percentiles,
)

FAMILY = 41  # comparisons of a whole study
WORLDS = 2000
LAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda draw, shape: draw.normal(size=shape),
    "heavy tails": lambda draw, shape: draw.standard_t(3, size=shape),
    "five tracks right or wrong": lambda draw, shape: (draw.binomial(5, 0.5, shape) - draw.binomial(5, 0.5, shape)) / 5,
}


def resampled(values: np.ndarray, sizes: np.ndarray | None = None, *, n: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Give the mean of units, (unit, world), over their tracks, and that of resamples of units."""
    sizes = np.ones(len(values)) if sizes is None else sizes
    weights = np.random.default_rng(8).multinomial(len(values), np.full(len(values), 1 / len(values)), size=n)
    return sizes @ values / sizes.sum(), weights @ (sizes[:, None] * values) / (weights @ sizes)[:, None]


def covered(ends: np.ndarray) -> float:
    return float(((ends[0] <= 0) & (ends[1] >= 0)).mean())


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [6, 12, 25, 60])
def test_intervals_cover_and_p_is_small_as_often_as_they_say(n: int, law: str) -> None:
    """95 % and 5 %, up to what 2000 worlds leave open (0.5 %) and to what small samples do.

    Percentiles of six units cannot lie beyond the most extreme unit, however wide they ought to be.
    """
    values = LAWS[law](np.random.default_rng([n, 1]), (n, WORLDS))
    effects, draws = resampled(values)
    units = count_units(np.ones(n))
    assert (0.91 if n == 6 else 0.925) <= covered(percentiles(draws, 0.95, units)) <= 0.975
    ends, p = difference_test(effects, draws, 0.95, units)
    assert 0.93 <= covered(ends) <= 0.98
    assert 0.02 <= (p < 0.05).mean() <= 0.07
    assert (p < 0.05 / FAMILY).mean() <= 0.004  # 0.0012 expected: where a correction for a whole family looks
    np.testing.assert_array_equal(p < 0.05, (ends[0] > 0) | (ends[1] < 0))


def test_plain_percentiles_would_not() -> None:
    """What is mended here can be seen in these worlds."""
    _, draws = resampled(LAWS["normal"](np.random.default_rng([6, 1]), (6, WORLDS)))
    assert covered(np.quantile(draws, [0.025, 0.975], axis=0)) < 0.89
    beyond = np.minimum((draws <= 0).mean(axis=0), (draws >= 0).mean(axis=0))
    assert (beyond == 0).mean() > 0.02  # twenty times what a correction for a family allows


@pytest.mark.parametrize("law", ["normal", "heavy tails"])
@pytest.mark.parametrize("n", [6, 12, 25, 60])
@pytest.mark.parametrize("kind", ["spread", "half"])
def test_units_of_unequal_size_count_by_what_they_are_worth(kind: str, n: int, law: str) -> None:
    """Tracks from 2 to 30 an artist, or one artist with half of them: by their number the level would be missed."""
    sizes = np.round(5 * np.exp(stats.norm.ppf((np.arange(n) + 0.5) / n))) + 1
    if kind == "half":
        sizes = np.r_[n - 1.0, np.ones(n - 1)]
    effects, draws = resampled(LAWS[law](np.random.default_rng([n, 2]), (n, WORLDS)), sizes)
    _, p = difference_test(effects, draws, 0.95, count_units(sizes))
    assert (p < 0.05).mean() <= 0.075
    assert (p < 0.05 / FAMILY).mean() <= 0.004
    if kind == "half" and law == "normal" and n > 6:
        _, p = difference_test(effects, draws, 0.95, UnitCount(n, float(n)))
        assert (p < 0.05).mean() > 0.085


def test_the_worth_of_units() -> None:
    assert count_units(np.full(7, 3.0)) == UnitCount(7, pytest.approx(7.0))
    assert count_units(np.array([5.0, 0.0, 5.0])) == UnitCount(2, pytest.approx(2.0))
    assert count_units(np.array([3.0, 1.0])).effective == pytest.approx(16 / 10)
    assert count_units(np.zeros(3)) == UnitCount(0, 0.0)
    for bad in ([1.0, -1.0], [1.0, np.nan]):
        with pytest.raises(ArtistTransferError, match="sizes of units"):
            count_units(np.array(bad))


def test_by_hand() -> None:
    """Six units: t with 5 degrees of freedom, and all wider by √(6 / 5)."""
    values = np.random.default_rng(3).normal(0.4, 1, (6, 1))
    effects, draws = resampled(values)
    units = count_units(np.ones(6))
    tail = stats.norm.sf(stats.t.ppf(0.9, 5) * (6 / 5) ** 0.5)
    np.testing.assert_allclose(percentiles(draws, 0.8, units), np.quantile(draws, [tail, 1 - tail], axis=0))
    error = draws.std(ddof=1) * (6 / 5) ** 0.5
    ends, p = difference_test(effects, draws, 0.8, units)
    np.testing.assert_allclose(ends[:, 0], effects[0] + stats.t.ppf([0.1, 0.9], 5) * error)
    assert p[0] == pytest.approx(2 * stats.t.sf(abs(effects[0]) / error, 5))
    # and with very many resamples it is the t test of the units themselves
    effects, draws = resampled(values, n=200_000)
    assert difference_test(effects, draws, 0.8, units)[1][0] == pytest.approx(
        stats.ttest_1samp(values[:, 0], 0).pvalue, rel=0.02
    )


@pytest.mark.parametrize("n", [2, 5, 6, 12, 20])
def test_no_p_is_less_than_the_chance_that_all_agree(n: int) -> None:
    """All units have the same difference: no resample differs, and still p is what a toss of n coins gives."""
    effects, draws = resampled(np.full((n, 1), 0.25))
    ends, p = difference_test(effects, draws, 0.95, count_units(np.ones(n)))
    assert p[0] == pytest.approx(2 / 2**n)
    assert (p[0] < 0.05) == (n >= MIN_UNITS)
    np.testing.assert_allclose(ends, 0.25)


def test_a_large_effect_of_twelve_units_survives_a_correction_for_a_family() -> None:
    """However few resamples there are: p is not a share of them."""
    values = np.random.default_rng(4).normal(2.5, 1, (12, 500))
    effects, draws = resampled(values, n=300)
    _, p = difference_test(effects, draws, 0.95, count_units(np.ones(12)))
    assert (p * FAMILY < 0.05).mean() > 0.95


def test_scores_stay_within_their_bounds() -> None:
    values = np.r_[np.ones(5), 0.2][:, None]
    effects, draws = resampled(values)
    units = count_units(np.ones(6))
    low, high = percentiles(draws, 0.95, units)[:, 0]
    assert 0.2 <= low < effects[0] < high <= 1
    assert percentiles(np.ones((50, 2)), 0.95, units).tolist() == [[1, 1], [1, 1]]


def test_nothing_differs_and_rounding_is_not_a_difference() -> None:
    units, tiny = count_units(np.ones(20)), np.random.default_rng(5).random((100, 2)) * 1e-14 + 1e-15
    ends, p = difference_test(np.array([0.0, 1e-14]), tiny, 0.95, units)
    assert p.tolist() == [1, 1]
    assert ends.tolist() == [[0, 0], [0, 0]]


def test_without_two_units_or_resamples_there_is_nothing() -> None:
    for units, n in ((UnitCount(1, 1.0), 50), (UnitCount(0, 0.0), 50), (UnitCount(9, 9.0), 1), (UnitCount(9, 9.0), 0)):
        draws = np.random.default_rng(6).normal(size=(n, 2))
        assert np.isnan(percentiles(draws, 0.95, units)).all()
        assert all(np.isnan(x).all() for x in difference_test(np.ones(2), draws, 0.95, units))


def test_degrees_of_freedom_of_two_sources() -> None:
    """Satterthwaite by hand: 25 artists with variance 3 (in the resamples 24/25 of it), 3 seeds with variance 1."""
    draws = np.random.default_rng(7).normal(size=(4000, 1))
    draws *= ((3 * 24 / 25 + 1) / draws.var(ddof=1)) ** 0.5
    seeds = np.array([[-1.0], [0.0], [1.0]]) * 3**0.5
    assert Between.of(seeds).variance[0] == pytest.approx(1)
    ends, p = difference_test(np.array([5.0]), draws, 0.95, UnitCount(25, 25.0), [Between.of(seeds)])
    freedom = 4**2 / (3**2 / 24 + 1**2 / 2)
    assert p[0] == pytest.approx(2 * stats.t.sf(5 / 2, freedom))
    np.testing.assert_allclose(ends[:, 0], 5 + 2 * stats.t.ppf([0.025, 0.975], freedom))


@pytest.mark.parametrize("spread", [0.5, 1.0, 4.0])
def test_few_seeds_count_as_few(spread: float) -> None:
    """Three seeds beside 40 artists, their standard errors less, as large and larger: about 5 % of false findings."""
    draw, n = np.random.default_rng(11), 40
    artists, seeds = draw.normal(size=(n, WORLDS)), spread * (3 / n) ** 0.5 * draw.normal(size=(3, WORLDS))
    effects, draws = resampled(artists)
    times = draw.multinomial(2, np.full(3, 1 / 3), size=len(draws)) / 2
    units = count_units(np.ones(n))
    _, p = difference_test(effects + seeds.mean(axis=0), draws + times @ seeds, 0.95, units, [Between.of(seeds)])
    assert 0.03 <= (p < 0.05).mean() <= 0.095
    if spread == 4.0:
        _, p = difference_test(effects + seeds.mean(axis=0), draws + times @ seeds, 0.95, units)
        assert (p < 0.05).mean() > 0.13
