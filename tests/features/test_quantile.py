"""Quantile normalisation: a normal distribution, made of training rows only."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, norm
from sklearn.preprocessing import QuantileTransformer

from artist_transfer.errors import ArtistTransferError
from artist_transfer.features.quantile import QuantileNormaliser, fit_quantiles


@pytest.fixture
def skewed() -> np.ndarray:
    """Three columns that are anything but normal: exponential, uniform, and a power of ten."""
    rng = np.random.default_rng(3)
    return np.stack([rng.exponential(5, 800), rng.uniform(-9, -3, 800), 10 ** rng.uniform(-8, 3, 800)], axis=1)


def test_every_column_becomes_normal(skewed: np.ndarray) -> None:
    out = fit_quantiles(skewed).transform(skewed)
    assert out.shape == skewed.shape
    for column in out.T:
        assert kstest(column, norm.cdf).statistic < 0.01


def test_ranks_are_kept(skewed: np.ndarray) -> None:
    out = fit_quantiles(skewed).transform(skewed)
    for before, after in zip(skewed.T, out.T, strict=True):
        assert (np.diff(after[np.argsort(before)]) >= 0).all()


def test_median_of_training_rows_becomes_zero(skewed: np.ndarray) -> None:
    normaliser = fit_quantiles(skewed)
    assert np.abs(normaliser.transform(np.median(skewed, axis=0)[None, :])).max() < 5e-3


def test_test_rows_cannot_change_it(skewed: np.ndarray) -> None:
    train, test = skewed[:500], skewed[500:]
    normaliser = fit_quantiles(train)
    alone = normaliser.transform(train)
    both = normaliser.transform(np.concatenate([train, test * 1000]))
    np.testing.assert_array_equal(both[:500], alone)
    assert not np.array_equal(fit_quantiles(skewed).transform(train), alone)


def test_small_descriptors_are_not_flattened() -> None:
    column = np.random.default_rng(0).normal(3e-9, 1e-10, 500)[:, None].astype(np.float32)
    same, large = (
        fit_quantiles(column).transform(column),
        fit_quantiles(column * 2**40).transform(column * 2**40),
    )
    np.testing.assert_array_equal(same, large)
    assert same.std() == pytest.approx(1, abs=0.02)


def test_equals_scikit_learn_between_the_bounds() -> None:
    values = np.random.default_rng(1).gamma(2.0, 30.0, (700, 4))
    expected = QuantileTransformer(n_quantiles=300, output_distribution="normal", subsample=None).fit(values)
    inner = np.quantile(values, np.linspace(0.01, 0.99, 200), axis=0)
    found = fit_quantiles(values, max_quantiles=300).transform(inner)
    np.testing.assert_allclose(found, expected.transform(inner), atol=1e-5)


def test_ties_get_the_middle_of_their_ranks() -> None:
    column = np.array([0.0] * 90 + [1.0] * 10)[:, None]  # a one-hot column
    out = fit_quantiles(column).transform(np.array([[0.0], [1.0]]))[:, 0]
    np.testing.assert_allclose(out, norm.ppf([0.45, 0.95]), atol=0.06)


def test_values_beyond_training_are_bounded(skewed: np.ndarray) -> None:
    normaliser = fit_quantiles(skewed)
    far = normaliser.transform(np.array([[1e9, 1e9, 1e9], [-1e9, -1e9, -1e9]]))
    np.testing.assert_allclose(far[0], norm.ppf(1 - 0.5 / 800), rtol=1e-5)
    np.testing.assert_allclose(far[1], -far[0], rtol=1e-5)


def test_constant_columns_are_left_out_and_counted(skewed: np.ndarray) -> None:
    values = np.insert(skewed, 1, 7.0, axis=1)
    normaliser = fit_quantiles(values)
    assert normaliser.n_constant == 1
    assert normaliser.varies.tolist() == [True, False, True, True]
    values[0, 1] = 99.0  # a test row that does vary must not bring the column back
    np.testing.assert_array_equal(normaliser.transform(values), fit_quantiles(skewed).transform(skewed))


def test_arrays_are_all_there_is_to_it(skewed: np.ndarray) -> None:
    normaliser = fit_quantiles(np.insert(skewed, 0, 1.0, axis=1), max_quantiles=50)
    again = QuantileNormaliser.from_arrays(normaliser.to_arrays())
    values = np.insert(skewed * 1.1, 0, 1.0, axis=1)
    np.testing.assert_array_equal(again.transform(values), normaliser.transform(values))


@pytest.mark.parametrize("bad", [np.empty((0, 3)), np.array([[1.0, np.nan], [2.0, 1.0]]), np.ones((4, 2))])
def test_impossible_rows_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ArtistTransferError):
        fit_quantiles(bad)


def test_another_number_of_columns_is_refused(skewed: np.ndarray) -> None:
    with pytest.raises(ArtistTransferError, match="3 columns"):
        fit_quantiles(skewed).transform(skewed[:, :2])
