"""The number of groups: closed forms, oracles, and artists drawn from groups whose number is known."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import gammaln, psi

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.factors import group_number
from artist_transfer.factors.bag_of_words import ArtistBags
from artist_transfer.factors.group_number import group_coherence, group_number_table, held_out_bound

QUICK = {"passes": 5, "restarts": 1}


def drawn(n_artists: int, n_groups: int, n_words: int, mass: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Artists, and the groups of the latent Dirichlet model that they are drawn from."""
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(n_words, 0.1), n_groups)
    thetas = rng.dirichlet(np.full(n_groups, 0.1), n_artists)
    return np.stack([rng.multinomial(mass, theta @ topics) for theta in thetas]).astype(float), topics


def as_bags(counts: np.ndarray) -> ArtistBags:
    ids = tuple(f"artist{i:03d}" for i in range(len(counts)))
    return ArtistBags(ids, counts, np.ones(len(counts), dtype=np.int64))


def best(table: pd.DataFrame, measure: str) -> int:
    return int(table.loc[table[measure].idxmax(), "groups"])


# The bound


def test_one_group_is_the_likelihood_of_the_words() -> None:
    counts, _ = drawn(30, 3, 12, 40)
    word = np.random.default_rng(0).dirichlet(np.ones(12))
    exact = (counts @ np.log(word)).sum() / counts.sum()
    assert held_out_bound(word[None], counts) == pytest.approx(exact, rel=1e-12)


def test_one_group_of_the_table_is_laplaces_rule_on_the_fitted_artists() -> None:
    counts, _ = drawn(10, 2, 6, 30)
    table = group_number_table(as_bags(counts), numbers=[1], parts=5, held_out_share=0.2, **QUICK)
    exact = []
    for fitted, held_out in group_number._sides(as_bags(counts).artist_ids, 5, 0.2, None, 0):
        word = (counts[fitted].sum(axis=0) + 1) / (counts[fitted].sum() + 6)
        exact.append((counts[held_out] @ np.log(word)).sum() / counts[held_out].sum())
    assert table["held_out_bound"].item() == pytest.approx(np.mean(exact), rel=1e-9)
    assert table["held_out_bound_se"].item() == pytest.approx(np.std(exact, ddof=1) / np.sqrt(5), rel=1e-6)


def test_groups_that_share_no_word_have_an_exact_likelihood() -> None:
    rng = np.random.default_rng(0)
    topics = np.zeros((3, 9))
    for group in range(3):
        topics[group, 3 * group : 3 * group + 3] = rng.dirichlet(np.ones(3))
    counts = rng.poisson(3.0, (7, 9)) + 0.25  # not whole: divided bags are not either
    mass = counts.reshape(7, 3, 3).sum(axis=2)  # (artist, group)
    alpha = 1 / 3
    dirichlet = gammaln(1.0) - gammaln(1.0 + mass.sum(axis=1)) + (gammaln(alpha + mass) - gammaln(alpha)).sum(axis=1)
    exact = (dirichlet.sum() + (counts * np.log(topics.sum(axis=0))).sum()) / counts.sum()
    assert held_out_bound(topics, counts) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("bag", [[3.0, 1.0], [6.0, 5.0], [0.0, 9.0], [1.5, 0.5]])
def test_two_words_against_integral_and_optimiser(bag: list[float]) -> None:
    topics, counts = np.array([[0.9, 0.1], [0.25, 0.75]]), np.array(bag)

    def likelihood(x: float) -> float:  # theta = sin², which takes the poles off the Beta(1/2, 1/2) prior
        theta = np.array([np.sin(x) ** 2, np.cos(x) ** 2])
        return 2 / np.pi * np.exp(counts @ np.log(theta @ topics))

    def bound(log_gamma: np.ndarray) -> float:
        gamma = np.exp(log_gamma)
        log_theta = psi(gamma) - psi(gamma.sum())
        score = ((0.5 - gamma) * log_theta).sum() + (gammaln(gamma) - gammaln(0.5)).sum() - gammaln(gamma.sum())
        return float(score + counts @ np.log(np.exp(log_theta) @ topics))

    exact = np.log(quad(likelihood, 0, np.pi / 2)[0])
    starts = [np.log([1.0, 1.0]), np.log([4.0, 0.6]), np.log([0.6, 4.0])]
    greatest = max(-minimize(lambda x: -bound(x), start, method="BFGS").fun for start in starts)
    found = held_out_bound(topics, counts[None], iterations=1000) * counts.sum()
    assert found == pytest.approx(greatest, abs=2e-3)
    assert exact - 1.0 < found < exact


def test_it_is_gensims_bound_where_the_groups_are_certain() -> None:
    from gensim.models import LdaModel

    counts, topics = drawn(20, 4, 15, 50)
    topics = 0.9 * topics + 0.1 / 15
    model = LdaModel(num_topics=4, id2word={i: str(i) for i in range(15)}, dtype=np.float64, iterations=100)
    model.state.sstats = topics * 1e7  # as after so many words: no doubt of the groups is left
    model.sync_state()
    documents = [[(int(word), float(row[word])) for word in np.flatnonzero(row)] for row in counts]
    gensims = (model.bound(documents) - model.bound([])) / counts.sum()
    assert held_out_bound(topics, counts) == pytest.approx(gensims, abs=1e-4)


def test_it_is_scikit_learns_perplexity_where_the_groups_are_certain() -> None:
    from sklearn.decomposition import LatentDirichletAllocation

    counts, topics = drawn(20, 4, 15, 50)
    topics = 0.9 * topics + 0.1 / 15
    model = LatentDirichletAllocation(4, max_doc_update_iter=1000, mean_change_tol=1e-6).fit(counts)
    model.components_ = topics * 1e7
    model.exp_dirichlet_component_ = topics
    nothing = np.zeros((1, 15))
    own = model._approx_bound(nothing, model._unnormalized_transform(nothing), False)  # the groups' own term
    whole = model._approx_bound(counts, model._unnormalized_transform(counts), False)
    assert held_out_bound(topics, counts) == pytest.approx((whole - own) / counts.sum(), abs=1e-3)


# The coherence


def by_hand(words: list[int], documents: list[set[int]]) -> float:
    pairs = [(one, other) for i, one in enumerate(words) for other in words[:i]]
    share = {key: sum(set(key) <= each for each in documents) / len(documents) for key in pairs}
    single = Counter(word for each in documents for word in each)
    values = []
    for (one, other), both in share.items():
        both += 1e-12
        values.append(np.log(both / (single[one] * single[other] / len(documents) ** 2)) / -np.log(both))
    return float(np.mean(values))


def test_coherence_by_hand() -> None:
    counts = np.array([[4, 4, 0, 1], [5, 3, 0, 1], [0, 1, 5, 3], [1, 0, 6, 2], [3, 3, 3, 0]], dtype=float)
    shares = counts / counts.sum(axis=1, keepdims=True)
    documents = [set(np.flatnonzero(row > shares.mean(axis=0))) for row in shares]
    topics = np.array([[0.5, 0.3, 0.15, 0.05], [0.01, 0.09, 0.5, 0.4]])
    found = group_coherence(topics, counts, top_words=3)
    assert found == pytest.approx([by_hand([0, 1, 2], documents), by_hand([2, 3, 1], documents)], rel=1e-9)


def test_words_that_never_meet_and_words_that_always_do() -> None:
    counts = np.array([[5, 5, 0, 0], [5, 5, 0, 0], [0, 0, 5, 5]], dtype=float)
    topics = np.array([[0.5, 0.5, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0.5, 0.5]])
    assert group_coherence(topics, counts, top_words=2) == pytest.approx([1.0, -1.0, 1.0], abs=0.06)


def test_dividing_a_bag_does_not_change_its_document() -> None:
    counts, topics = drawn(40, 4, 30, 200)
    n_tracks = np.random.default_rng(1).integers(1, 30, 40)
    divided = counts / n_tracks[:, None]
    np.testing.assert_allclose(group_coherence(topics, divided), group_coherence(topics, counts), rtol=1e-12)


def test_true_groups_are_more_coherent_than_shuffled_words() -> None:
    counts, topics = drawn(120, 6, 80, 100)
    true = group_coherence(topics, counts)
    rng = np.random.default_rng(0)
    shuffled = [group_coherence(rng.permuted(topics, axis=1), counts).mean() for _ in range(20)]
    assert true.mean() > max(shuffled) + 0.2
    assert (true > np.mean(shuffled)).all()


def test_words_of_frames_that_all_artists_have_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(40, 1.0), 4)
    counts = np.stack([rng.multinomial(5000, 0.5 * topics[i % 4] + 0.5 / 40) for i in range(60)]).astype(float)
    assert (counts > 0).all()  # presence would make every pair of words alike
    shuffled = group_coherence(rng.permuted(topics, axis=1), counts).mean()
    assert group_coherence(topics, counts).mean() > shuffled + 0.2


def test_artists_that_are_all_alike_have_no_coherence() -> None:
    counts = np.tile(np.arange(1.0, 7.0), (12, 1)) * np.arange(1.0, 13.0)[:, None]
    assert np.isnan(group_coherence(np.full((2, 6), 1 / 6), counts)).all()
    table = group_number_table(as_bags(counts), numbers=[2], **QUICK)
    assert np.isnan(table["coherence"].item()) and np.isfinite(table["held_out_bound"].item())
    assert "fewer than two words" in table["reason"].item()


# The table


@pytest.mark.parametrize("mass", [100, 8])
def test_the_bound_finds_the_number_of_groups(mass: int) -> None:
    counts, _ = drawn(150, 6, 80, mass)
    table = group_number_table(as_bags(counts), numbers=[2, 6, 20], passes=10, restarts=2, parts=2)
    assert best(table, "held_out_bound") == 6
    if mass == 100:
        assert best(table, "coherence") == 6
    assert (table["status"] == "done").all() and table["reason"].isna().all()
    assert (table[["coherence_se", "held_out_bound_se"]] > 0).all(axis=None)


def test_gensims_own_measure_misses_it_on_short_documents() -> None:
    from gensim.models import LdaModel

    counts, _ = drawn(150, 6, 80, 8)
    documents = [[(int(word), float(row[word])) for word in np.flatnonzero(row)] for row in counts]
    measures = {}
    for groups in (2, 6, 20):
        model = LdaModel(
            documents[:120], groups, id2word={i: str(i) for i in range(80)}, eta="symmetric", passes=15, random_state=0
        )
        measures[groups] = model.log_perplexity(documents[120:])
    assert max(measures, key=measures.__getitem__) == 2


def test_more_groups_than_artists_are_skipped_with_their_reason() -> None:
    counts, _ = drawn(20, 3, 15, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ArtistTransferWarning)
        table = group_number_table(as_bags(counts), numbers=[40, 3, 16, 17, 3], **QUICK)
    assert table["groups"].tolist() == [3, 16, 17, 40]
    assert table["status"].tolist() == ["done", "done", "skipped", "skipped"]
    assert table["reason"].tolist()[2:] == [f"{n} groups, but only 16 artists to fit them on" for n in (17, 40)]
    assert (table["n_artists"] == 16).all() and (table["n_held_out"] == 4).all()
    measures = ["coherence", "coherence_se", "held_out_bound", "held_out_bound_se", "groups_in_use"]
    assert table[measures].isna().any(axis=1).tolist() == [False, False, True, True]
    few = group_number_table(as_bags(counts[:3]), numbers=[2], **QUICK)
    assert few["status"].item() == "skipped" and "3 artists are too few" in few["reason"].item()


@pytest.mark.parametrize(("n", "parts", "share"), [(4, 3, 0.2), (10, 5, 0.2), (37, 3, 1 / 3), (7, 1, 0.9)])
def test_nobody_is_held_out_twice_or_fitted_on_when_held_out(n: int, parts: int, share: float) -> None:
    sides = group_number._sides([f"a{i}" for i in range(n)], parts, share, None, 0)
    assert len(sides) == parts
    held_out = np.concatenate([each for _, each in sides])
    assert len(np.unique(held_out)) == len(held_out)
    for fitted, each in sides:
        assert sorted([*fitted, *each]) == list(range(n))


def test_order_of_rows_and_repetition_change_nothing_and_the_seed_does() -> None:
    counts, _ = drawn(24, 3, 15, 40)
    bags = as_bags(counts)
    order = np.random.default_rng(0).permutation(24)
    mixed = ArtistBags(tuple(bags.artist_ids[i] for i in order), counts[order], bags.n_tracks[order])
    first = group_number_table(bags, numbers=[2, 4], **QUICK)
    pd.testing.assert_frame_equal(group_number_table(mixed, numbers=[4, 2], **QUICK), first, check_exact=True)
    assert (
        group_number_table(bags, numbers=[2, 4], seed=1, **QUICK)["held_out_bound"] != first["held_out_bound"]
    ).all()


def test_a_sample_of_the_artists() -> None:
    counts, _ = drawn(40, 3, 15, 40)
    table = group_number_table(as_bags(counts), numbers=[3, 20], max_artists=20, **QUICK)
    assert table["n_artists"].tolist() == [16, 16] and table["n_held_out"].tolist() == [4, 4]
    assert table["status"].tolist() == ["done", "skipped"]


def test_the_cache_gives_the_same_and_only_what_is_missing_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, _ = drawn(24, 3, 15, 40)
    plain = group_number_table(as_bags(counts), numbers=[2, 4], **QUICK)
    asked = []
    fit = group_number.fit_groups

    def counted(bags: np.ndarray, **parameters):
        asked.append(parameters["groups"])
        return fit(bags, **parameters)

    monkeypatch.setattr(group_number, "fit_groups", counted)
    kept = group_number_table(as_bags(counts), numbers=[2], cache_root=tmp_path, **QUICK)
    assert asked == [2, 2, 2] and len(list((tmp_path / "group_numbers").iterdir())) == 3
    again = group_number_table(as_bags(counts), numbers=[2, 4], cache_root=tmp_path, **QUICK)
    assert asked == [2, 2, 2, 4, 4, 4]
    pd.testing.assert_frame_equal(again, plain, check_exact=True)
    pd.testing.assert_frame_equal(kept, plain.head(1), check_exact=True)

    damaged = sorted((tmp_path / "group_numbers").rglob("measures.json"))[0]
    damaged.write_text(json.dumps({"coherence": 1.0, "held_out_bound": 0.0, "groups_in_use": 1.0}))
    with pytest.warns(ArtistTransferWarning, match="damaged"):
        healed = group_number_table(as_bags(counts), numbers=[2, 4], cache_root=tmp_path, **QUICK)
    assert len(asked) == 7
    pd.testing.assert_frame_equal(healed, plain, check_exact=True)
    group_number_table(as_bags(counts), numbers=[2], cache_root=tmp_path, top_words=5, **QUICK)
    assert len(asked) == 10


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"numbers": []}, "empty"),
        ({"numbers": [0]}, "whole numbers"),
        ({"numbers": [2.5]}, "whole numbers"),
        ({"numbers": [True]}, "whole numbers"),
        ({"numbers": [2], "parts": 0}, "parts"),
        ({"numbers": [2], "parts": 6}, "held_out_share is 0.2 with parts=6"),
        ({"numbers": [2], "held_out_share": 0.0}, "held_out_share"),
        ({"numbers": [2], "top_words": 1}, "top_words"),
        ({"numbers": [2], "max_artists": 1}, "max_artists"),
        ({"numbers": [2], "passes": 0}, "passes"),
    ],
)
def test_impossible_parameters_are_refused_before_any_fit(bad: dict, word: str, monkeypatch) -> None:
    monkeypatch.delattr(group_number, "fit_groups")
    with pytest.raises(ArtistTransferError, match=word):
        group_number_table(as_bags(np.ones((20, 4))), **bad)
