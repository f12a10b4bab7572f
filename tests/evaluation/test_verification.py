"""Error rates of verification: by hand, by two other implementations, and what must hold for any scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from scipy.spatial import ConvexHull
from scipy.stats import norm
from sklearn.metrics import roc_curve

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.verification import (
    bayes_threshold,
    cllr,
    cost_weights,
    det_curve,
    eer,
    min_dcf,
    validate,
)

GOLDEN = Path(__file__).parents[1] / "oracles" / "golden_measure.npz"
LISTS = ("apart", "near", "few", "worse than chance", "ties", "heavy tails", "perfect")
PRIORS = (0.01, 0.05, 0.5)


def listed(negatives: np.ndarray, positives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    own = np.r_[np.zeros(len(negatives), dtype=bool), np.ones(len(positives), dtype=bool)]
    order = np.random.default_rng(1).permutation(len(own))
    return np.r_[negatives, positives][order], own[order]


def golden(name: str) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    with np.load(GOLDEN) as file:
        values = {key.split("/")[1]: file[key] for key in file if key.startswith(f"{name}/")}
    return *listed(values["negatives"], values["positives"]), values


def by_scikit_learn(scores: np.ndarray, own: np.ndarray) -> float:
    """Where the straight lines between all points of its ROC have equal errors, by bisection."""
    false_alarm, hit, _ = roc_curve(own, scores, drop_intermediate=False)
    # upright pieces have no single value of the false alarm rate: walk along the curve instead
    along = np.arange(len(hit), dtype=float)
    lead = interp1d(along, false_alarm - (1 - hit))
    return float(interp1d(along, false_alarm)(brentq(lead, 0, along[-1], xtol=1e-13)))


@st.composite
def trials(draw: st.DrawFn, *, tied: bool = True) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(2, 40))
    values = st.integers(-4, 4).map(float) if tied else st.floats(-100, 100, allow_subnormal=False)
    scores = draw(arrays(np.float64, n, elements=values))
    own = draw(arrays(np.bool_, n))
    own[:2] = [True, False]
    return scores, own


# by hand


def test_a_curve_by_hand() -> None:
    """Accept ≥ 4: one hit. ≥ 3: one wrong. ≥ 2: one of each (a tie). ≥ 1: the last wrong one."""
    scores, own = np.array([2.0, 4.0, 3.0, 2.0, 1.0]), np.array([True, True, False, False, False])
    false_alarm, miss, thresholds = det_curve(scores, own)
    np.testing.assert_array_equal(thresholds, [np.inf, 4, 3, 2, 1])
    np.testing.assert_allclose(false_alarm, [0, 0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(miss, [1, 0.5, 0.5, 0, 0])
    # from (1/3, 1/2) to (2/3, 0): miss falls by 1/2 while false alarms grow by 1/3; equal after a fifth of the way
    assert eer(scores, own) == pytest.approx(1 / 3 + (1 / 3) * 0.2)
    # the hull goes from (0, 1/2) straight to (2/3, 0): x = 1/2 - 3/4 x
    assert eer(scores, own, curve="hull") == pytest.approx(2 / 7)
    assert min_dcf(scores, own, p_target=0.5) == pytest.approx(0.5)  # at 4: (0 + 1/2) / 2, over 1/2
    assert min_dcf(scores, own, p_target=0.5, c_miss=3.0) == pytest.approx(2 / 3)  # at 2: (3 · 0 + 2/3) / 1
    assert min_dcf(scores, own, p_target=0.01) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("negatives", "positives", "expected"),
    [
        ([0, 1], [2, 3], 0.0),
        ([2, 3], [0, 1], 1.0),
        ([0, 0, 0], [0, 0], 0.5),
        ([0, 2], [1, 3], 0.5),
        ([0, 1, 2, 4], [3, 5, 6, 7], 0.25),
        ([0, 1, 2, 4], [3, 5], 0.25),  # the staircase crosses where false alarms grow: miss 0.5 → false alarm 0.25
    ],
)
def test_equal_error_by_hand(negatives: list[float], positives: list[float], expected: float) -> None:
    assert eer(*listed(np.array(negatives, float), np.array(positives, float))) == pytest.approx(expected)


def test_costs_of_log_likelihood_ratios_by_hand() -> None:
    llrs, own = np.log([4.0, 0.5, 2.0, 0.25]), np.array([True, True, False, False])
    bits = [np.log2(1 + 1 / 4), np.log2(1 + 2), np.log2(1 + 2), np.log2(1 + 1 / 4)]
    assert cllr(llrs, own) == pytest.approx((np.mean(bits[:2]) + np.mean(bits[2:])) / 2)
    assert cllr(np.zeros(4), own) == pytest.approx(1.0)
    assert cllr(np.array([1e4, 1e4, -1e4, -1e4]), own) == pytest.approx(0.0)
    assert cllr(np.array([-1e4, 1e4, -1e4, -1e4]), own) == pytest.approx(1e4 / np.log(2) / 4)  # no overflow
    assert bayes_threshold(0.5) == pytest.approx(0.0)
    assert bayes_threshold(0.01, c_miss=10) == pytest.approx(np.log(0.99 / 0.1))
    assert cost_weights(0.01) == pytest.approx((1, 99))
    assert cost_weights(0.5, 3.0) == pytest.approx((3, 1))


@pytest.mark.parametrize(("p_target", "c_miss", "c_fa"), [(0.01, 1, 1), (0.05, 1, 1), (0.5, 1, 10), (0.2, 3, 1)])
def test_the_threshold_costs_least(p_target: float, c_miss: float, c_fa: float) -> None:
    at = (bayes_threshold(p_target, c_miss, c_fa) + 2) / 2  # normal scores about 2 and 0: the ratio is 2 × score - 2

    def expected(x: float) -> float:
        return p_target * c_miss * norm.cdf(x, 2) + (1 - p_target) * c_fa * norm.sf(x, 0)

    assert all(expected(at) < expected(at + away) for away in (-0.1, -0.01, 0.01, 0.1))


# other implementations


@pytest.mark.parametrize("name", LISTS)
def test_as_bob_measure_has_it(name: str) -> None:
    scores, own, values = golden(name)
    _, false_alarm, miss = values["eer_details"]
    # bob takes the nearest threshold; the curve crosses between its two rates, which are at most one step apart
    assert min(false_alarm, miss) - 1e-12 <= eer(scores, own) <= max(false_alarm, miss) + 1e-12
    rates, found = np.array([false_alarm, miss]), np.stack(det_curve(scores, own)[:2], axis=1)
    assert np.abs(found - rates).max(axis=1).min() < 1e-12
    assert np.abs(found - values["rates_at_false_alarm"]).max(axis=1).min() < 1e-12
    for prior, (alarm, missed) in zip(PRIORS, values["rates_at_least_cost"]):
        expected = (prior * missed + (1 - prior) * alarm) / min(prior, 1 - prior)
        assert min_dcf(scores, own, p_target=prior) == pytest.approx(expected, abs=1e-12)
    assert cllr(scores, own) == pytest.approx(float(values["cllr"]), rel=1e-12)


def test_the_lists_are_not_trivial() -> None:
    found = [eer(*golden(name)[:2]) for name in LISTS]
    assert len({round(x, 3) for x in found}) == len(LISTS)
    assert np.sum((np.array(found) > 0.01) & (np.array(found) < 0.45)) >= 5


@pytest.mark.parametrize("name", LISTS)
def test_as_scikit_learn_and_bisection_have_it(name: str) -> None:
    scores, own, _ = golden(name)
    assert eer(scores, own) == pytest.approx(by_scikit_learn(scores, own), abs=1e-11)


@given(trials())
@settings(max_examples=60, deadline=None)
def test_as_scikit_learn_has_it_with_ties(case: tuple[np.ndarray, np.ndarray]) -> None:
    assert eer(*case) == pytest.approx(by_scikit_learn(*case), abs=1e-10)


@pytest.mark.parametrize("name", LISTS[:-1])
def test_the_hull_is_that_of_qhull(name: str) -> None:
    scores, own, _ = golden(name)
    false_alarm, miss, _ = det_curve(scores, own)
    points = np.stack([np.append(false_alarm, 1.0), np.append(miss, 1.0)], axis=1)  # closed above
    lines = ConvexHull(points).equations  # normal · point + offset <= 0 inside
    on_the_diagonal = -lines[:, 2] / (lines[:, 0] + lines[:, 1])
    lower = lines[:, 0] + lines[:, 1] < -1e-9
    assert eer(scores, own, curve="hull") == pytest.approx(on_the_diagonal[lower].max(), abs=1e-10)


# what must hold for any scores


@given(trials(), st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_only_the_order_matters(case: tuple[np.ndarray, np.ndarray], prior: float) -> None:
    scores, own = case
    for changed in (scores * 3 - 7, np.exp(scores), scores**3):
        assert eer(changed, own) == pytest.approx(eer(scores, own), abs=1e-12)
        assert min_dcf(changed, own, p_target=prior) == pytest.approx(min_dcf(scores, own, p_target=prior), abs=1e-12)


@given(trials())
@settings(max_examples=60, deadline=None)
def test_changing_sides(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, own = case
    assert eer(scores, ~own) == pytest.approx(1 - eer(scores, own), abs=1e-12)
    assert eer(-scores, ~own) == pytest.approx(eer(scores, own), abs=1e-12)
    assert cllr(-scores, ~own) == pytest.approx(cllr(scores, own), rel=1e-12)
    assert min_dcf(-scores, ~own, p_target=0.3) == pytest.approx(min_dcf(scores, own, p_target=0.7), abs=1e-12)


@given(trials(), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_a_weight_is_that_many_trials(case: tuple[np.ndarray, np.ndarray], extra: int) -> None:
    scores, own = case
    times = np.random.default_rng(extra).integers(0, 4, len(scores))
    times[:2] = 1 + extra
    many = np.repeat(scores, times), np.repeat(own, times)
    assert eer(scores, own, times) == pytest.approx(eer(*many), abs=1e-12)
    assert eer(scores, own, times, curve="hull") == pytest.approx(eer(*many, curve="hull"), abs=1e-12)
    assert min_dcf(scores, own, times, p_target=0.2) == pytest.approx(min_dcf(*many, p_target=0.2), abs=1e-12)
    assert cllr(scores, own, times) == pytest.approx(cllr(*many), rel=1e-12)


@given(trials(tied=False), st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_bounds(case: tuple[np.ndarray, np.ndarray], prior: float) -> None:
    scores, own = case
    false_alarm, miss, thresholds = det_curve(scores, own)
    assert (np.diff(false_alarm) >= 0).all() and (np.diff(miss) <= 0).all() and (np.diff(thresholds) < 0).all()
    assert (false_alarm[0], miss[0], false_alarm[-1], miss[-1]) == (0, 1, 1, 0)
    assert 0 <= eer(scores, own, curve="hull") <= eer(scores, own) + 1e-12 <= 1 + 1e-12
    least = min_dcf(scores, own, p_target=prior)
    assert 0 <= least <= 1


def test_any_shape() -> None:
    draw = np.random.default_rng(0)
    scores, own = draw.normal(size=(5, 12)), np.arange(5)[:, None] == np.repeat(np.arange(6), 2)[None] % 5
    assert eer(scores, own) == eer(scores.ravel(), own.ravel())
    assert cllr(scores.astype(np.float32), own) == pytest.approx(cllr(scores, own), rel=1e-6)


# bad input


@pytest.mark.parametrize(
    ("scores", "own", "weights", "said"),
    [
        ([1.0, np.nan, np.inf], [True, False, True], None, r"2 scores are not finite, the first \(nan\) at \[1\]"),
        ([1.0, -np.inf], [True, False], None, "1 scores are not finite"),
        ([1.0, 2.0], [True, True], None, "2 target and 0 non-target"),
        ([1.0, 2.0], [False, False], None, "0 target and 2 non-target"),
        ([], [], None, "0 target and 0 non-target"),
        ([1.0, 2.0], [True], None, "shape"),
        ([1.0, 2.0], [1, 0], None, "must be bool"),
        ([1.0, 2.0], [True, False], [1.0, 0.0], "some have no weight"),
        ([1.0, 2.0], [True, False], [1.0, -1.0], "negative"),
        ([1.0, 2.0], [True, False], [1.0, np.nan], "1 weights are not finite"),
        ([1.0, 2.0], [True, False], [1.0], "shape"),
        (["a", "b"], [True, False], None, "must be numbers"),
    ],
)
def test_bad_input_is_named(scores: list, own: list, weights: list | None, said: str) -> None:
    targets = np.array(own, dtype=bool) if not own or isinstance(own[0], bool) else np.array(own)
    given_weights = None if weights is None else np.array(weights)
    for metric in (validate, det_curve, eer, cllr, lambda *a: min_dcf(*a, p_target=0.1)):
        with pytest.raises(ArtistTransferError, match=said):
            metric(np.array(scores), targets, given_weights)


@pytest.mark.parametrize("wrong", [{"p_target": 0}, {"p_target": 1.0}, {"p_target": np.nan}])
def test_priors_and_costs_out_of_range(wrong: dict) -> None:
    with pytest.raises(ArtistTransferError, match="p_target"):
        min_dcf(np.array([1.0, 2.0]), np.array([True, False]), **wrong)
    with pytest.raises(ArtistTransferError, match="c_fa"):
        bayes_threshold(0.5, c_fa=0)
    for p_target, c_miss in ((0.0, 1.0), (1.0, 1.0), (0.5, 0.0), (float("nan"), 1.0)):
        with pytest.raises(ArtistTransferError, match="must lie between 0 and 1"):
            bayes_threshold(p_target, c_miss)
    with pytest.raises(ArtistTransferError, match="curve"):
        eer(np.array([1.0, 2.0]), np.array([True, False]), curve="smooth")  # type: ignore[arg-type]
