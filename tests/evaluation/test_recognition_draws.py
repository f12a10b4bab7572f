"""Resamples of error rates: as if each drawn artist had been copied, its songs and its model, and scored anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artist_transfer.evaluation import recognition_draws as module
from artist_transfer.evaluation.recognition_draws import identified, pair_counts, recognition_draws
from artist_transfer.evaluation.verification import cllr, eer, min_dcf

PRIORS = (0.01, 0.3, 0.8)


def world(seed: int, *, models: int = 9, signal: float = 1.5, steps: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of songs, from 1 to 4 an artist and not in order of artists; `steps` > 0 makes ties."""
    draw = np.random.default_rng(seed)
    truth = draw.permutation(np.repeat(np.arange(models), draw.integers(1, 5, models)))
    scores = draw.normal(size=(models, len(truth))) + signal * (np.arange(models)[:, None] == truth)
    return np.round(scores / steps) * steps if steps else scores, truth


def drawn(seed: int, models: int, n: int = 40) -> np.ndarray:
    return np.random.default_rng([seed, 1]).multinomial(models, np.full(models, 1 / models), size=n).astype(float)


def copied(scores: np.ndarray, truth: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List the trials of a cohort in which artists stand several times; a copy against another is no trial."""
    values, own = [], []
    copies = [(artist, copy) for artist, n in enumerate(times.astype(int)) for copy in range(n)]
    for model, model_copy in copies:
        for artist, copy in copies:
            if (model == artist) and (model_copy != copy):
                continue
            found = scores[model, truth == artist]
            values.append(found)
            own.append(np.full(len(found), model == artist))
    return (np.concatenate(values), np.concatenate(own)) if values else (np.empty(0), np.empty(0, dtype=bool))


@pytest.mark.parametrize("steps", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("signal", [-1.0, 0.0, 1.5, 6.0])
def test_as_if_artists_were_copied(signal: float, steps: float) -> None:
    for seed in range(4):
        scores, truth = world(seed, signal=signal, steps=steps)
        weights = drawn(seed, 9)
        found = recognition_draws(scores, truth, weights, p_targets=PRIORS, calibrated=True)
        for row, times in zip(found, weights):
            trials = copied(scores, truth, times)
            expected = [eer(*trials), *(min_dcf(*trials, p_target=p) for p in PRIORS), cllr(*trials)]
            np.testing.assert_allclose(row[: len(expected)], expected, atol=1e-12)
            songs = np.repeat(np.arange(len(truth)), times[truth].astype(int))
            np.testing.assert_allclose(row[-2:], identified(scores, truth)[:, songs].mean(axis=1))


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 2.0]), st.integers(2, 5), st.floats(-1, 4))
@settings(max_examples=60, deadline=None)
def test_the_score_itself_is_of_weights_of_one(seed: int, steps: float, models: int, signal: float) -> None:
    scores, truth = world(seed, models=models, signal=signal, steps=steps)
    own = np.arange(models)[:, None] == truth
    (found,) = recognition_draws(scores, truth, np.ones((1, models)), p_targets=PRIORS)
    expected = [eer(scores, own), *(min_dcf(scores, own, p_target=p) for p in PRIORS)]
    np.testing.assert_allclose(found[:4], expected, atol=1e-12)
    assert np.isnan(found[4])  # not calibrated


def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for steps in (0.0, 0.5):
        scores, truth = world(5, models=30, steps=steps, signal=1.0)
        weights = drawn(5, 30, 70)
        whole = recognition_draws(scores, truth, weights, p_targets=PRIORS, calibrated=True)
        for name, value in (("RESAMPLES", 7), ("TRIALS", 13), ("PLACES", 6), ("EXACT", 1)):
            monkeypatch.setattr(module, name, value)
            again = recognition_draws(scores, truth, weights, p_targets=PRIORS, calibrated=True)
            np.testing.assert_array_equal(again[:, :4], whole[:, :4])
            np.testing.assert_allclose(again, whole, rtol=1e-12)


def test_counting_ends_where_nothing_can_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not before: a system that makes no error has its least cost only beyond where the errors are equal."""
    monkeypatch.setattr(module, "PLACES", 4)
    counted = []
    by_place = module._by_place
    monkeypatch.setattr(module, "_by_place", lambda *a: counted.append(a[2:]) or by_place(*a))
    scores, truth = world(1, models=60, signal=2.0)
    (found,) = recognition_draws(scores, truth, np.ones((1, 60)), p_targets=(0.01,))
    own = np.arange(60)[:, None] == truth
    assert found[:2] == pytest.approx([eer(scores, own), min_dcf(scores, own, p_target=0.01)])
    assert 4 < len(counted) < len(truth) / 2 * 0.95
    # one false alarm above all targets but the lowest: EER is 1 / n, and the least cost is to accept the lowest too
    scores = np.where(own, 10.0 + np.arange(len(truth)), 0.0)
    scores[~own] -= np.random.default_rng(0).uniform(size=(~own).sum())
    scores[1, truth != 1] = np.where(np.arange((truth != 1).sum()) == 0, 10.5, scores[1, truth != 1])
    (found,) = recognition_draws(scores, truth, np.ones((1, 60)), p_targets=(0.5,))
    assert found[:2] == pytest.approx([eer(scores, own), min_dcf(scores, own, p_target=0.5)])


def test_nothing_is_defined_of_one_artist() -> None:
    scores, truth = world(2, models=4)
    weights = np.array([[4, 0, 0, 0], [0, 2, 2, 0], [1, 1, 1, 1]], dtype=float)
    found = recognition_draws(scores, truth, weights, p_targets=(0.1,), calibrated=True)
    assert np.isnan(found[0, :3]).all() and np.isfinite(found[0, 3:]).all()
    assert np.isfinite(found[1:]).all()
    silent = recognition_draws(scores, truth, np.zeros((1, 4)), p_targets=(0.1,), calibrated=True)
    assert np.isnan(silent).all()


def test_pairs_are_counted() -> None:
    truth = np.repeat(np.arange(3), [2, 1, 3])
    for times in ([1, 1, 1], [3, 0, 0], [2, 0, 1]):
        own = copied(np.zeros((3, 6)), truth, np.array(times))[1]
        assert pair_counts(np.array([2.0, 1.0, 3.0]), np.array([times]))[0] == (~own).sum()


def test_who_is_among_the_first() -> None:
    scores = np.array(
        [[9, 1, 5, 0], [8, 1, 5, 1], [7, 1, 5, 2], [6, 1, 4, 3], [5, 1, 3, 4], [4, 1, 2, 5], [3, 1, 1, 6]]
    )
    truth = np.array([0, 0, 1, 0])
    first, five = identified(scores.astype(float), truth)
    np.testing.assert_allclose(first, [1, 1 / 7, 1 / 3, 0])  # by lot where all, or three, are equal
    np.testing.assert_allclose(five, [1, 5 / 7, 1, 0])
    np.testing.assert_allclose(identified(scores[:, :1].astype(float), np.array([4])), [[0], [1]])
    np.testing.assert_allclose(identified(scores[:, :1].astype(float), np.array([5])), [[0], [0]])
