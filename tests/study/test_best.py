"""The best of several cases: the paper's choice is too good, the one made on other artists is not."""

from __future__ import annotations

import numpy as np
import pytest
from tests.study.conftest import case_table, noise, study_predictions, world

from artist_transfer.evaluation.metrics import METRICS
from artist_transfer.study.best import best_in_sample, best_table, halves, honest_best
from artist_transfer.study.scores import CaseScores


def scored(p_true, artist, truth, *, n_resamples: int = 1, seed: int = 0) -> CaseScores:
    predictions = study_predictions(p_true, artist=artist, truth=truth)
    return CaseScores.from_predictions(predictions, n_resamples=n_resamples, seed=seed)


def test_the_halves_are_halves_and_have_the_same_genres() -> None:
    artist, truth, draw = world(101, 2, 0)
    scores = scored(noise(["x"], artist, draw), artist, truth)
    second = halves(scores)
    assert second.sum() == 50
    # units are sorted by name, not by number
    genre = dict(zip((f"artist {k}" for k in artist), truth))
    genres = np.array([genre[name] for name in sorted(genre)])
    for k in range(3):
        assert abs((genres[second] == k).sum() - (genres[~second] == k).sum()) <= 1
    np.testing.assert_array_equal(halves(scores), second)
    other = halves(scored(noise(["x"], artist, draw), artist, truth, seed=1))
    assert not np.array_equal(other, second)


def test_each_half_is_scored_by_what_was_chosen_on_the_other() -> None:
    """x is right about the first half and wrong about the second, y the other way round: both choices are wrong."""
    artist, truth, _ = world(40, 2, 1)
    second = halves(scored({"x": np.full(len(artist), 0.5)}, artist, truth))
    of_artist = dict(zip(sorted(f"artist {k}" for k in range(40)), second))
    in_second = np.array([of_artist[f"artist {k}"] for k in artist])
    p_true = {"x": np.where(in_second, 0.1, 0.8), "y": np.where(in_second, 0.8, 0.1)}
    scores = scored(p_true, artist, truth, n_resamples=50)
    found = honest_best(scores, {"both": ["x", "y"], "one": ["y"]})
    for metric in METRICS:
        # the best on the second half is y, which is wrong about the first; the other way round likewise
        assert found["both", metric].chosen == ("y", "x")
        assert found["both", metric].name == "y / x"
        assert found["one", metric].chosen == ("y", "y")
        assert found["one", metric].name == "y"
    np.testing.assert_allclose(found["both", "accuracy"].values, [-np.log(0.1), 0, 0], atol=1e-12)
    np.testing.assert_allclose(found["one", "log_loss"].values, scores.values[1], atol=1e-12)
    np.testing.assert_allclose(found["one", "log_loss"].draws, scores.draws[:, 1], atol=1e-12)


def test_a_case_that_is_better_is_chosen() -> None:
    artist, truth, draw = world(60, 2, 2)
    p_true = noise(["x", "y", "z"], artist, draw, n_replicates=2)
    p_true["y"] = np.full((2, len(artist)), 0.8)
    scores = scored(p_true, artist, truth)
    for metric in METRICS:
        assert honest_best(scores, {"a": ["x", "y", "z"]})["a", metric].chosen == ("y", "y")
        assert best_in_sample(scores, ["x", "y", "z"], metric) == "y"


def test_of_equal_cases_the_first_is_chosen() -> None:
    artist, truth, _ = world(10, 2, 3)
    scores = scored(dict.fromkeys("xyz", np.full(len(artist), 0.7)), artist, truth)
    assert honest_best(scores, {"a": ["z", "x"]})["a", "log_loss"].chosen == ("z", "z")


def test_the_honest_best_of_pure_noise_is_no_better_than_chance() -> None:
    """Eight cases that toss coins: accuracy 0.5 in truth, whichever is chosen."""
    names, n_worlds = [f"c{k}" for k in range(8)], 150
    honest, in_sample, loss = np.zeros(n_worlds), np.zeros(n_worlds), np.zeros((n_worlds, 2))
    for k in range(n_worlds):
        artist, truth, draw = world(40, 1, 1000 + k)
        scores = scored(noise(names, artist, draw), artist, truth, seed=k)
        found = honest_best(scores, {"all": names})
        honest[k] = found["all", "accuracy"].values[2]
        in_sample[k] = scores.values[:, 2].max()
        loss[k] = found["all", "log_loss"].values[0], scores.values[:, 0].min()
    error = 0.5 / 40**0.5 / n_worlds**0.5  # standard error of a fixed case's mean
    assert abs(honest.mean() - 0.5) < 3.5 * error
    assert in_sample.mean() - 0.5 > 10 * error
    true_loss, spread = -np.log([0.8, 0.1]).mean(), np.log(8) / 2
    error = spread / 40**0.5 / n_worlds**0.5
    assert abs(loss[:, 0].mean() - true_loss) < 3.5 * error
    assert true_loss - loss[:, 1].mean() > 10 * error


def test_the_table_has_both_ways_beside_the_wide_net() -> None:
    cases = case_table("gse")
    artist, truth, draw = world(30, 2, 4)
    scores = scored(noise(list(cases["case"]), artist, draw, n_replicates=2), artist, truth, n_resamples=200)
    table = best_table(scores, cases, tasks="gse")
    assert len(table) == 2 * 3 * 3
    assert set(table["n_tasks"]) == {2, 3}
    n_cases = table.groupby(["n_tasks", "architecture"])["n_cases"].first()
    assert n_cases.to_dict() == {
        (2, "mtn"): 3, (2, "stn"): 3, (2, "wstn"): 1, (3, "mtn"): 1, (3, "stn"): 1, (3, "wstn"): 1,
    }  # fmt: skip
    by_case = scores.score_cases().set_index("case")
    for row in table.to_dict("records"):
        assert row["value"] == pytest.approx(by_case.at[row["case"], row["metric"]])
        assert row["low"] == pytest.approx(by_case.at[row["case"], f"{row['metric']}_low"])
        if row["n_cases"] == 1:  # nothing to choose
            for end in ("value", "low", "high"):
                assert row[f"honest_{end}"] == pytest.approx(row[end])
            assert row["honest_case"] == row["case"]
    two = table[(table["n_tasks"] == 2) & (table["architecture"] == "stn")].set_index("metric")
    of_two = by_case.loc[["gs-stn", "ge-stn", "se-stn"]]
    assert two.at["log_loss", "value"] == of_two["log_loss"].min()
    assert two.at["f1_macro", "value"] == of_two["f1_macro"].max()


def test_only_what_was_scored_is_in_the_table() -> None:
    cases = case_table("gse")
    cases.loc[cases["case"] == "g-wstn2", ["status", "reason"]] = ("failed", "out of memory")
    cases.loc[cases["case"] == "gs-stn", ["status", "reason"]] = ("skipped", "not asked for")
    artist, truth, draw = world(10, 2, 5)
    scores = scored(noise(list(cases["case"]), artist, draw), artist, truth)
    table = best_table(scores, cases, tasks="gse")
    assert not ((table["architecture"] == "wstn") & (table["n_tasks"] == 2)).any()
    assert set(table[(table["architecture"] == "stn") & (table["n_tasks"] == 2)]["n_cases"]) == {2}
    assert "gs-stn" not in set(table["case"])


def test_one_artist_has_no_second_half() -> None:
    cases = case_table("gse")
    artist, truth, draw = world(1, 6, 6)
    table = best_table(scored(noise(list(cases["case"]), artist, draw), artist, truth), cases, tasks="gse")
    nets = table["architecture"] != "wstn"
    assert table.loc[nets, ["honest_value", "honest_case"]].isna().all(axis=None)
    assert table["value"].notna().all()
