"""Latent groups: distributions, planted groups, the bound of a bag of mass one, and what says nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.factors.latent_dirichlet import (
    distinctness,
    fit_groups,
    load_groups,
    save_groups,
    uniformity,
)


def planted(n_artists: int, n_groups: int, n_words: int, mass: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Artists of one group each; every group has words of its own."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n_artists) % n_groups
    topics = np.zeros((n_groups, n_words))
    for group, words in enumerate(np.array_split(np.arange(n_words), n_groups)):
        topics[group, words] = rng.dirichlet(np.ones(len(words)))
    return np.stack([rng.multinomial(mass, topics[group]) for group in truth]).astype(float), truth


@pytest.mark.parametrize(("mass", "groups"), [(10, 40), (300, 5), (1291, 40)])
def test_rows_are_distributions(mass: int, groups: int) -> None:
    bags, _ = planted(50, 5, 60, mass)
    model = fit_groups(bags, groups=groups, passes=3)
    assert model.theta.shape == (50, groups)
    assert model.topics.shape == (groups, 60)
    for matrix in (model.theta, model.topics):
        assert (matrix > 0).all()
        np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_groups_are_found(seed: int) -> None:
    bags, truth = planted(60, 4, 80, 500)
    model = fit_groups(bags, groups=12, seed=seed)
    found = model.theta.argmax(axis=1)
    for group in np.unique(found):  # a planted group may be parted into several, but none is mixed with another
        assert len(np.unique(truth[found == group])) == 1
        own = np.array_split(np.arange(80), 4)[truth[found == group][0]]
        assert model.topics[group, own].sum() > 0.98
    assert model.theta.max(axis=1).mean() > 0.9


def test_restarts_find_groups_that_one_fit_may_miss() -> None:
    truth = np.arange(11) % 3
    bags = np.zeros((11, 6))
    for artist, group in enumerate(truth):
        bags[artist, [group, group + 3]] = 3
    fits = {n: [fit_groups(bags, groups=6, restarts=n, seed=seed).theta for seed in range(12)] for n in (1, 4)}
    right = {n: sum(_pure(theta.argmax(axis=1), truth) for theta in fits[n]) for n in fits}
    assert right[4] == 12
    assert right[4] >= right[1]


def _pure(found: np.ndarray, truth: np.ndarray) -> bool:
    return all(len(np.unique(truth[found == group])) == 1 for group in found)


@pytest.mark.parametrize("groups", [10, 40])
def test_no_factor_of_a_bag_of_mass_one_exceeds_the_bound(groups: int) -> None:
    bags, _ = planted(60, 6, 60, 12)
    bound = (1 + 1 / groups) / 2
    divided = fit_groups(bags / bags.sum(axis=1, keepdims=True), groups=groups)
    assert divided.theta.max() <= bound + 1e-9
    plain = fit_groups(bags, groups=groups)
    assert plain.theta.max() > 0.9 > bound
    assert plain.uniformity < divided.uniformity


def test_fewer_artists_than_groups_are_said_aloud() -> None:
    bags, _ = planted(7, 3, 30, 100)
    with pytest.warns(ArtistTransferWarning, match="7 groups instead of 40"):
        model = fit_groups(bags, groups=40)
    assert model.theta.shape == (7, 7)
    assert any("7 groups instead of 40" in note for note in model.notes)


def test_a_table_that_says_nothing_is_a_warning_with_its_number() -> None:
    bags = np.full((50, 20), 1e-3)  # nearly no mass: the prior is all there is
    with pytest.warns(ArtistTransferWarning, match="says nothing") as caught:
        model = fit_groups(bags, groups=10)
    assert model.uniformity > 0.95
    assert f"{model.uniformity:.3f}" in str(caught[0].message)


def test_artists_that_are_all_alike_are_a_warning_too() -> None:
    bags = np.tile(np.random.default_rng(0).multinomial(500, np.ones(30) / 30), (40, 1)).astype(float)
    with pytest.warns(ArtistTransferWarning, match="nearly alike"):
        model = fit_groups(bags, groups=10)
    assert model.uniformity < 0.95


def test_a_table_that_says_something_is_no_warning() -> None:
    bags, _ = planted(60, 6, 60, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit_groups(bags, groups=20).notes == ()


def test_measures_at_their_ends() -> None:
    assert uniformity(np.full((3, 8), 1 / 8)) == pytest.approx(1.0)
    assert uniformity(np.eye(8)) == 0.0
    assert uniformity(np.ones((4, 1))) == 1.0
    assert uniformity(np.array([[0.5, 0.5, 0.0, 0.0]])) == pytest.approx(0.5)
    assert distinctness(np.eye(8)) == pytest.approx(1.0)
    assert distinctness(np.full((3, 8), 1 / 8)) == pytest.approx(0.0)
    assert distinctness(np.tile([0.97, 0.01, 0.02], (9, 1))) == pytest.approx(0.0, abs=1e-12)


def test_threads_do_not_change_a_bit_and_the_seed_does() -> None:
    bags, _ = planted(60, 6, 200, 300)
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(fit_groups(bags, groups=10, passes=5).theta.tobytes())
    assert results[0] == results[1]
    assert fit_groups(bags, groups=10, passes=5, seed=1).theta.tobytes() != results[0]


def test_hash_seed_does_not_change_a_bit() -> None:
    code = (
        "import numpy as np, hashlib; from artist_transfer.factors.latent_dirichlet import fit_groups;"
        "bags = np.random.default_rng(0).poisson(2.0, (30, 40)).astype(float);"
        "theta = fit_groups(bags, groups=5, passes=2, restarts=1, uniformity_limit=1.0).theta;"
        "print(hashlib.sha256(theta.tobytes()).hexdigest())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(answers) == 1


def test_stored_and_read_again(tmp_path) -> None:
    bags, _ = planted(20, 4, 30, 50)
    with pytest.warns(ArtistTransferWarning):
        model = fit_groups(bags, groups=40, passes=2)
    save_groups(tmp_path, model)
    again = load_groups(tmp_path)
    np.testing.assert_array_equal(again.theta, model.theta)
    np.testing.assert_array_equal(again.topics, model.topics)
    assert again.notes == model.notes


@pytest.mark.parametrize(
    "bad",
    [np.empty((0, 3)), np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, -1.0]]), np.array([[np.nan, 1]])],
)
def test_impossible_bags_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ArtistTransferError):
        fit_groups(bad)
