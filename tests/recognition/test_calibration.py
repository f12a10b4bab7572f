"""Calibration and learned fusion: known ratios come back, an independent optimiser agrees, refusals are named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.recognition.calibration import (
    PENALTY,
    PRIOR_PRECISION,
    Calibration,
    Fusion,
    fit_calibration,
    fit_fusion,
)


def trials(seed: int = 0, *, targets: int = 300, others: int = 3000, d: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Normal scores of unit variance: the ratio is d × (score - d / 2)."""
    draw = np.random.default_rng(seed)
    scores = np.concatenate([draw.normal(d, 1, targets), draw.normal(0, 1, others)])
    return scores, np.arange(targets + others) < targets


def test_known_ratios_come_back() -> None:
    scores, targets = trials(targets=20_000, others=200_000)
    for prior in (0.5, 0.05):
        found = fit_calibration(scores, targets, prior=prior)
        assert found.scale == pytest.approx(2.0, rel=0.03) and found.offset == pytest.approx(-2.0, rel=0.05)
        at = np.linspace(-1, 3, 9)
        ratio = norm.logpdf(at, 2) - norm.logpdf(at, 0)
        np.testing.assert_allclose(found.apply(at), ratio, atol=0.15)


@pytest.mark.parametrize("prior", [0.5, 0.01])
@pytest.mark.parametrize("systems", [1, 3])
def test_scikit_learn_finds_the_same(systems: int, prior: float) -> None:
    draw = np.random.default_rng(4)
    scores, targets = trials(5, d=1.5)
    parts = [scores * 3 + 7, scores + draw.normal(size=scores.shape), draw.normal(size=scores.shape) * 100][:systems]
    found = fit_fusion(parts, targets, prior=prior)
    design = np.stack([(x - x.mean()) / x.std() for x in parts], axis=1)
    weight = np.where(targets, prior / targets.sum(), (1 - prior) / (~targets).sum())
    # scikit-learn weighs the loss by C and fits the log-odds of the prior into the constant
    other = LogisticRegression(C=1 / PENALTY, tol=1e-12, max_iter=10_000).fit(design, targets, sample_weight=weight)
    expected = other.decision_function(design) - np.log(prior / (1 - prior))
    np.testing.assert_allclose(found.apply(parts), expected, atol=2e-4)
    if systems == 1:
        np.testing.assert_allclose(fit_calibration(parts[0], targets, prior=prior).apply(parts[0]), expected, atol=2e-4)


def test_a_general_optimiser_finds_nothing_better() -> None:
    scores, targets = trials(6, d=1.0)
    found = fit_calibration(scores, targets, prior=0.2)

    def cost(x: np.ndarray) -> float:
        ratio = x[0] * scores + x[1] + np.log(0.2 / 0.8)
        own = 0.2 * np.logaddexp(0, -ratio[targets]).mean() + 0.8 * np.logaddexp(0, ratio[~targets]).mean()
        return own + PENALTY / 2 * (x[0] * scores.std()) ** 2

    best = minimize(cost, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 4000})
    assert cost(np.array([found.scale, found.offset])) <= best.fun + 1e-12
    np.testing.assert_allclose([found.scale, found.offset], best.x, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100), prior=st.floats(0.01, 0.99))
def test_units_of_the_scores_do_not_matter_nor_does_their_order(
    seed: int, scale: float, shift: float, prior: float
) -> None:
    scores, targets = trials(seed, targets=20, others=60)
    expected = fit_calibration(scores, targets, prior=prior).apply(scores)
    moved = fit_calibration(scale * scores + shift, targets, prior=prior).apply(scale * scores + shift)
    np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-4)
    turn = np.random.default_rng(0).permutation(80).reshape(8, 10)
    np.testing.assert_allclose(
        fit_calibration(scores[turn], targets[turn], prior=prior).apply(scores), expected, rtol=1e-6, atol=1e-6
    )


def test_more_trials_of_one_kind_change_nothing() -> None:
    scores, targets = trials(2)
    often = np.concatenate([scores, np.tile(scores[~targets], 9)]), np.concatenate([targets, np.zeros(27_000, bool)])
    once, many = fit_calibration(scores, targets), fit_calibration(*often)
    # not quite: what is penalised is the slope of standardised scores
    np.testing.assert_allclose(many.apply(scores), once.apply(scores), atol=0.01)


def test_separated_trials_stay_finite() -> None:
    for scores in (np.array([5.0, 6, 7, 1, 2, 3]), np.array([1e6, 1e6, 1e6, 0, 0, 0])):
        targets = np.arange(6) < 3
        found = fit_calibration(scores, targets)
        ratios = found.apply(scores)
        assert np.isfinite(ratios).all() and ratios[targets].min() > 2 and ratios[~targets].max() < -2
        assert np.abs(ratios).max() < 100


def cosines(seed: int, artists: int, *, enrol: int = 4, test: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Give cosine scores of artists that are Gaussian vectors; songs of one artist are alike, some are far off."""
    draw = np.random.default_rng([seed, artists])
    centres = draw.normal(size=(artists, 1, 20)) * np.sqrt(0.35)

    def songs(n: int) -> np.ndarray:
        spread = np.exp(0.4 * draw.normal(size=(artists, n, 1)))
        return centres + np.sqrt(0.65) * spread * draw.normal(size=(artists, n, 20))

    models, tests = songs(enrol).mean(axis=1), songs(test).reshape(-1, 20)
    models, tests = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (models, tests))
    return models @ tests.T, np.repeat(np.eye(artists, dtype=bool), test, axis=1)


def cllr_of(ratios: np.ndarray, targets: np.ndarray) -> float:
    misses, alarms = np.logaddexp(0, -ratios[targets]).mean(), np.logaddexp(0, ratios[~targets]).mean()
    return float((misses + alarms) / 2 / np.log(2))


def test_few_artists_do_not_claim_what_other_artists_refute() -> None:
    others, truth = cosines(0, 300)
    best = cllr_of(fit_calibration(others, truth).apply(others), truth)
    costs: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(1, 41):
        scores, targets = cosines(seed, 3)
        for told, found in costs.items():
            line = fit_calibration(scores, targets, n_artists=3 if told else None)
            found.append(cllr_of(line.apply(others), truth))
    assert np.mean(costs[True]) < best + 0.1 and np.mean(costs[False]) > best + 0.2
    assert max(costs[True]) < 1 < max(costs[False])


def test_many_artists_are_calibrated_as_before() -> None:
    scores, targets = cosines(3, 500)
    before, after = fit_calibration(scores, targets), fit_calibration(scores, targets, n_artists=500)
    assert after.scale == pytest.approx(before.scale, rel=0.01) and after.scale < before.scale
    assert cllr_of(after.apply(scores), targets) == pytest.approx(cllr_of(before.apply(scores), targets), rel=1e-3)
    both = fit_fusion([scores, scores**3], targets, n_artists=500)
    np.testing.assert_allclose(
        both.apply([scores, scores**3]), fit_fusion([scores, scores**3], targets).apply([scores, scores**3]), atol=0.1
    )


def test_the_fewer_artists_the_smaller_the_slope() -> None:
    scores, targets = trials(targets=20, others=100)
    slopes = [fit_calibration(scores, targets, n_artists=n).scale for n in (2, 5, 20, 100)]
    assert slopes == sorted(slopes) and slopes[0] < 0.9 * slopes[-1]
    enough = round(PRIOR_PRECISION / PENALTY)
    assert fit_calibration(scores, targets, n_artists=enough) == fit_calibration(scores, targets)


def test_systems_that_say_the_same_share_the_weight() -> None:
    scores, targets = trials(3)
    found = fit_fusion([scores, 10 * scores + 3], targets)
    alone = fit_calibration(scores, targets)
    np.testing.assert_allclose(found.apply([scores, 10 * scores + 3]), alone.apply(scores), atol=0.01)
    assert found.weights[0] == pytest.approx(10 * found.weights[1], rel=1e-3)


def test_fusion_of_independent_systems_is_better_than_either() -> None:
    draw = np.random.default_rng(7)
    targets = np.arange(4000) < 400
    parts = [targets * d + draw.normal(size=4000) for d in (1.5, 1.0)]
    found = fit_fusion(parts, targets)
    assert found.weights[0] == pytest.approx(1.5, rel=0.15) and found.weights[1] == pytest.approx(1.0, rel=0.15)

    def cost(ratios: np.ndarray) -> float:
        return np.logaddexp(0, -ratios[targets]).mean() + np.logaddexp(0, ratios[~targets]).mean()

    assert cost(found.apply(parts)) < 0.9 * min(cost(fit_calibration(x, targets).apply(x)) for x in parts)


def test_json_keeps_every_digit() -> None:
    scores, targets = trials(8)
    one = fit_calibration(scores, targets, prior=0.1)
    assert Calibration.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_refusals() -> None:
    scores, targets = trials(targets=3, others=5)
    broken = scores.copy()
    broken[4] = np.nan
    for wrong, message in (
        ((broken, targets), "1 scores of system 1 are not finite, the first is number 4"),
        ((np.ones(8), targets), "all 8 scores of system 1 are equal"),
        ((scores, np.ones(8, bool)), "found 8 targets of 8 trials"),
        ((scores, np.zeros(8, bool)), "found 0 targets of 8 trials"),
        ((scores, targets.astype(int)), "found int64 of shape"),
        ((scores, targets[:3]), r"shape \(3,\) with scores of shape \(8,\)"),
    ):
        with pytest.raises(ArtistTransferError, match=message):
            fit_calibration(*wrong)
    for prior in (0.0, 1.0, float("nan")):
        with pytest.raises(ArtistTransferError, match="the prior must lie between 0 and 1"):
            fit_calibration(scores, targets, prior=prior)
    with pytest.raises(ArtistTransferError, match="of one artist at least, found 0"):
        fit_calibration(scores, targets, n_artists=0)
    with pytest.raises(ArtistTransferError, match=r"one shape .* found \(8,\), \(4,\)"):
        fit_fusion([scores, scores[:4]], targets)
    with pytest.raises(ArtistTransferError, match="found none"):
        fit_fusion([], targets)
    with pytest.raises(ArtistTransferError, match="fitted on 2 systems, found 1"):
        Fusion((1.0, 1.0), 0.0).apply([scores])
    with pytest.warns(ArtistTransferWarning, match="do not score higher"):
        assert fit_calibration(-trials()[0], trials()[1]).scale < 0
