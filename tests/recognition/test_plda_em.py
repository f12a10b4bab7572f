"""EM of the two-covariance model: one iteration by the textbook, start and sums by definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from artist_transfer.recognition.plda_em import (
    ArtistSums,
    TwoCovariances,
    fit_two_covariances,
    start_from_moments,
)


def log_density(model: TwoCovariances, songs: np.ndarray) -> float:
    """Of songs of one artist together, as one Gaussian of all their numbers."""
    n = len(songs)
    covariance = np.kron(np.ones((n, n)), model.factors @ model.factors.T) + np.kron(np.eye(n), model.within)
    return float(multivariate_normal(np.tile(model.centre, n), covariance).logpdf(songs.ravel()))


@pytest.mark.parametrize(("shrinkage", "rank"), [(0.0, 5), (0.0, 2), (0.4, 3)])
def test_an_iteration_is_the_textbooks(shrinkage: float, rank: int) -> None:
    """Posteriors artist by artist and unrotated, regression, then h ~ N(m, R) written back into F and the mean."""
    draw = np.random.default_rng(11)
    counts = draw.integers(1, 6, size=9)
    owner = np.repeat(np.arange(9), counts)
    songs = 2 + draw.normal(size=(9, 5))[owner] + 0.5 * draw.normal(size=(len(owner), 5))
    groups = [songs[owner == k] for k in range(9)]
    sums = ArtistSums(counts.astype(float), np.stack([x.sum(axis=0) for x in groups]), songs.T @ songs)
    noise = draw.normal(size=(5, 20))
    start = TwoCovariances(draw.normal(size=5), draw.normal(size=(5, rank)), noise @ noise.T / 20)
    found, history = fit_two_covariances(sums, start, iterations=1, shrinkage=shrinkage, target=0.7)

    seen = np.linalg.solve(start.within, start.factors)
    expected, second = [], []
    squares, cross = np.zeros((rank + 1, rank + 1)), np.zeros((5, rank + 1))
    for own in groups:
        covariance = np.linalg.inv(np.eye(rank) + len(own) * start.factors.T @ seen)
        h = covariance @ seen.T @ (own - start.centre).sum(axis=0)
        expected.append(h)
        second.append(covariance + np.outer(h, h))
        squares += len(own) * np.block([[second[-1], h[:, None]], [h[None], np.ones((1, 1))]])
        cross += np.outer(own.sum(axis=0), np.append(h, 1))
    both = cross @ np.linalg.inv(squares)
    left = (songs.T @ songs - both @ squares @ both.T) / len(songs)
    mean = np.mean(expected, axis=0)
    covariance = np.mean(second, axis=0) - np.outer(mean, mean)
    np.testing.assert_allclose(found.within, (1 - shrinkage) * left + shrinkage * 0.7 * np.eye(5), atol=1e-10)
    np.testing.assert_allclose(found.centre, both[:, -1] + both[:, :-1] @ mean, atol=1e-10)
    between = both[:, :-1] @ covariance @ both[:, :-1].T
    np.testing.assert_allclose(found.factors @ found.factors.T, between, atol=1e-10)
    for step, model in zip(history, (start, found)):
        assert step.log_likelihood == pytest.approx(sum(log_density(model, x) for x in groups) / len(songs))
    assert history[1].objective > history[0].objective


def test_the_start_has_the_largest_of_the_covariance_of_means() -> None:
    draw = np.random.default_rng(2)
    counts = draw.integers(2, 5, size=30)
    owner = np.repeat(np.arange(30), counts)
    songs = draw.normal(size=(30, 4))[owner] * [3, 2, 1, 0.5] + draw.normal(size=(len(owner), 4))
    groups = [songs[owner == k] for k in range(30)]
    sums = ArtistSums(counts.astype(float), np.stack([x.sum(axis=0) for x in groups]), songs.T @ songs)
    assert sums.n_songs == len(songs)
    away = np.concatenate([x - x.mean(axis=0) for x in groups])
    np.testing.assert_allclose(sums.within(), away.T @ away / (len(songs) - 30), atol=1e-12)
    means = np.stack([x.mean(axis=0) for x in groups])
    np.testing.assert_allclose(sums.means, means, atol=1e-12)
    full = start_from_moments(sums, np.eye(4), 4)
    np.testing.assert_allclose(full.factors @ full.factors.T, np.cov(means.T, bias=True), atol=1e-10)
    np.testing.assert_allclose(full.centre, means.mean(axis=0), atol=1e-12)
    values = np.linalg.eigvalsh(np.cov(means.T, bias=True))[::-1]
    two = start_from_moments(sums, np.eye(4), 2).factors
    np.testing.assert_allclose(np.linalg.eigvalsh(two.T @ two)[::-1], values[:2], atol=1e-10)
