"""Scores of systems: of all folds and trials, with intervals that cover and tests that err as often as they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.multiple_testing import holm
from artist_transfer.evaluation.recognition_draws import identified, recognition_draws
from artist_transfer.evaluation.recognition_protocol import RecognitionProtocol
from artist_transfer.evaluation.recognition_scores import (
    RecognitionResult,
    Scored,
    evaluate_recognition,
    metric_names,
)
from artist_transfer.evaluation.verification import cllr, eer, min_dcf

WIDTH = 16
METRICS = ["eer", "min_dcf_0.01", "min_dcf_0.05", "cllr", "top1", "top5"]


def protocol(artists: int = 12, *, tests: int = 3, prefix: str = "") -> RecognitionProtocol:
    names = [f"{prefix}artist{k:03d}" for k in range(artists)]
    columns = ["artist_id", "track_id"]
    enrolled = pd.DataFrame([(name, f"{name}/e") for name in names], columns=columns)
    return RecognitionProtocol(
        enrolled, pd.DataFrame([(name, f"{name}/t{k}") for name in names for k in range(tests)], columns=columns)
    )


def songs(
    draw: np.random.Generator, of: RecognitionProtocol, systems: int = 2, *, noise: float = 0.8
) -> list[np.ndarray]:
    """Score songs of artists, of whom some vary more, by cosine in spaces that differ by noise alone."""
    m, truth = len(of.artists), of.truth
    middle, spread = draw.normal(size=(m, WIDTH)), np.exp(draw.normal(0, 0.35, size=(m, 1)))
    enrolled = middle[:, None] + spread[:, None] * draw.normal(size=(m, 5, WIDTH))
    tested = middle[truth] + spread[truth] * draw.normal(size=(len(truth), WIDTH))
    found = []
    for _ in range(systems):
        models = (enrolled + noise * draw.normal(size=enrolled.shape)).mean(axis=1)
        others = tested + noise * draw.normal(size=tested.shape)
        models, others = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (models, others))
        found.append(models @ others.T)
    return found


def evaluated(
    seed: int = 0, *, folds: int = 1, trials: int = 1, artists: int = 12, **settings: Any
) -> RecognitionResult:
    draw = np.random.default_rng(seed)
    protocols = {fold: protocol(artists + fold, prefix=f"f{fold}") for fold in range(folds)}
    scored = [
        Scored(name, fold, trial, 20 * scores - 5, calibrated=name == "b")
        for fold, of in protocols.items()
        for trial in range(trials)
        for name, scores in zip("ab", songs(draw, of))
    ]
    return evaluate_recognition(scored, protocols, **({"n_resamples": 200} | settings))


def row(table: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_the_metrics_are_those_of_verification() -> None:
    of, draw = protocol(), np.random.default_rng(4)
    first, second = (20 * scores - 5 for scores in songs(draw, of))
    found = evaluate_recognition(
        [Scored("a", 0, 0, first), Scored("b", 0, 0, second, calibrated=True)], {0: of}, n_resamples=300
    )
    own = of.targets()
    for system, scores in (("a", first), ("b", second)):
        top1, top5 = identified(scores, of.truth).mean(axis=1)
        expected = {"eer": eer(scores, own), "top1": top1, "top5": top5} | {
            f"min_dcf_{p}": min_dcf(scores, own, p_target=p) for p in (0.01, 0.05)
        }
        if system == "b":
            expected["cllr"] = cllr(scores, own)
        of_system = found.score_table[found.score_table["system"] == system].set_index("metric")
        assert set(of_system.index) == set(expected)
        for metric, value in expected.items():
            one = of_system.loc[metric]
            assert one["value"] == pytest.approx(value)
            assert one["low"] <= value <= one["high"]
            assert (one["of"], one["n_items"], one["n_units"], one["unit"]) == ("overall", 36, 12, "artist")
    assert (
        row(found.score_table, system="a", metric="eer")["low"]
        < row(found.score_table, system="a", metric="eer")["high"]
    )
    assert metric_names() == tuple(METRICS)
    assert set(found.draws) == set(METRICS)


def test_what_scores_that_know_nothing_would_give() -> None:
    table = evaluated(folds=2).score_table
    chances = {metric: row(table, system="b", metric=metric)["chance"] for metric in METRICS}
    assert [chances[name] for name in METRICS[:4]] == [0.5, 1, 1, 1]
    for top, found in ((1, chances["top1"]), (5, chances["top5"])):
        assert found == pytest.approx((36 * top / 12 + 39 * top / 13) / 75)
    of, draw = protocol(12), np.random.default_rng(0)
    random = [
        recognition_draws(draw.normal(size=(12, 36)), of.truth, np.ones((1, 12)), p_targets=(0.01,))[0]
        for _ in range(200)
    ]
    np.testing.assert_allclose(np.mean(random, axis=0)[[0, 3, 4]], [0.5, 1 / 12, 5 / 12], atol=0.02)


def test_folds_are_averaged_by_their_test_songs() -> None:
    draw = np.random.default_rng(2)
    protocols = {0: protocol(8, prefix="x"), 3: protocol(14, tests=2, prefix="y")}
    scores = {fold: songs(draw, of, 1)[0] + 100 * fold for fold, of in protocols.items()}  # no common threshold
    found = evaluate_recognition([Scored("a", fold, 0, s) for fold, s in scores.items()], protocols, n_resamples=100)
    values = [eer(scores[fold], of.targets()) for fold, of in protocols.items()]
    assert row(found.score_table, metric="eer")["value"] == pytest.approx(np.average(values, weights=[24, 28]))
    assert row(found.score_table, metric="eer")["n_units"] == 22
    assert len(found.artist_table) == 22


def test_an_artist_of_two_folds_is_one_unit() -> None:
    """Its draws are the same in both, so two folds of the same artists and scores are no more than one."""
    of, draw = protocol(), np.random.default_rng(3)
    scores = songs(draw, of, 1)[0]
    once = evaluate_recognition([Scored("a", 0, 0, scores)], {0: of}, n_resamples=300)
    twice = evaluate_recognition([Scored("a", fold, 0, scores) for fold in (0, 1)], {0: of, 1: of}, n_resamples=300)
    for metric in ("eer", "top1"):
        a, b = (row(found.score_table, metric=metric) for found in (once, twice))
        assert (a["low"], a["high"], a["n_units"]) == pytest.approx((b["low"], b["high"], b["n_units"]))


def test_trials_are_averaged_and_widen_the_interval() -> None:
    of, draw = protocol(20), np.random.default_rng(5)
    good, bad = songs(draw, of, 1, noise=0.2)[0], songs(draw, of, 1, noise=5.0)[0]
    found = evaluate_recognition(
        [Scored("a", 0, t, s) for t, s in enumerate((good, bad, good))], {0: of}, n_resamples=400
    )
    one = row(found.score_table, metric="eer")
    values = [eer(s, of.targets()) for s in (good, bad, good)]
    assert one["value"] == pytest.approx(np.mean(values))
    assert one["trial_sd"] == pytest.approx(np.std(values, ddof=1))
    assert one["n_trials"] == 3
    fixed = evaluate_recognition(
        [Scored("a", 0, t, s) for t, s in enumerate((good, bad, good))], {0: of}, n_resamples=400, draw_trials=False
    )
    other = row(fixed.score_table, metric="eer")
    assert one["high"] - one["low"] > 1.5 * (other["high"] - other["low"])


def test_the_same_system_does_not_differ_from_itself_and_a_better_one_does() -> None:
    of, draw = protocol(40), np.random.default_rng(6)
    same, other = songs(draw, of, 2, noise=0.1)
    worse = songs(draw, of, 1, noise=6.0)[0]
    systems = {"one": same, "same": 3 * same + 1, "like": other, "worse": worse}
    found = evaluate_recognition([Scored(name, 0, 0, s) for name, s in systems.items()], {0: of}, n_resamples=400)
    table = found.comparison_table
    assert len(table) == 6 * 5  # no Cllr of scores that are not calibrated
    for metric in ("eer", "min_dcf_0.05", "top1", "top5"):
        zero = row(table, metric=metric, first="one", second="same")
        assert (zero["effect"], zero["low"], zero["high"], zero["p"]) == pytest.approx((0, 0, 0, 1))
        clear = row(table, metric=metric, first="one", second="worse")
        assert clear["p_holm"] < 1e-3 and abs(clear["effect"]) > 0.1
        assert np.sign(clear["effect"]) == (1 if metric.startswith("top") else -1)
        own = table[table["metric"] == metric]
        np.testing.assert_allclose(own["p_holm"], holm(own["p"].to_numpy()))  # one family a metric
    chosen = evaluate_recognition(
        [Scored(name, 0, 0, s) for name, s in systems.items()], {0: of}, n_resamples=50, pairs=[("worse", "one")]
    ).comparison_table
    assert chosen[["first", "second"]].drop_duplicates().to_numpy().tolist() == [["worse", "one"]]


def test_cllr_is_compared_between_calibrated_systems_only() -> None:
    of, draw = protocol(), np.random.default_rng(1)
    scored = [Scored(name, 0, 0, s, calibrated=name != "a") for name, s in zip("abc", songs(draw, of, 3))]
    table = evaluate_recognition(scored, {0: of}, n_resamples=50, pairs=[("a", "b"), ("c", "b")]).comparison_table
    assert table.loc[table["metric"] == "cllr", ["first", "second"]].to_numpy().tolist() == [["c", "b"]]
    assert (table["metric"] == "eer").sum() == 2


def test_artists_one_by_one() -> None:
    of, draw = protocol(), np.random.default_rng(7)
    both = songs(draw, of)
    scored = [Scored("a", 0, t, s) for t, s in enumerate(both)]
    table = evaluate_recognition(scored, {0: of}, n_resamples=50).artist_table
    assert table["artist_id"].tolist() == list(of.artists)
    one, own = table.iloc[4], of.targets()
    assert one["eer"] == pytest.approx(np.mean([eer(s[4], own[4]) for s in both]))
    hits = [identified(s, of.truth)[0][of.truth == 4].mean() for s in both]
    assert (one["top1"], one["n_tests"]) == (pytest.approx(np.mean(hits)), 3)
    assert table["top1"].mean() == pytest.approx(np.mean([identified(s, of.truth)[0].mean() for s in both]))


def test_order_and_seed() -> None:
    of, draw = protocol(), np.random.default_rng(8)
    scored = [Scored(name, 0, t, s) for t in range(2) for name, s in zip("ab", songs(draw, of))]
    first = evaluate_recognition(iter(scored), {0: of}, n_resamples=60, seed=4)
    again = evaluate_recognition(scored[::-1], {0: of}, n_resamples=60, seed=4)
    keys = ["metric", "system"]
    pd.testing.assert_frame_equal(
        first.score_table.sort_values(keys, ignore_index=True), again.score_table.sort_values(keys, ignore_index=True)
    )
    pd.testing.assert_frame_equal(first.artist_table, again.artist_table)
    other = evaluate_recognition(scored, {0: of}, n_resamples=60, seed=5).score_table
    assert (other["value"] == first.score_table["value"]).all() and (other["low"] != first.score_table["low"]).any()


def test_few_artists_and_few_trials_are_told() -> None:
    table = evaluated(artists=4).score_table
    assert table["note"].str.contains("4 artists are too few for a verdict").all()
    least = row(table, system="a", metric="min_dcf_0.01")["note"]
    assert "of 36 non-target trials 0.4 false alarms cost as much" in least
    assert "left out" in row(table, system="a", metric="eer")["note"]  # resamples of one artist alone
    many = evaluated(artists=20, p_targets=(0.01, 0.2)).score_table
    assert "false alarms" in row(many, system="a", metric="min_dcf_0.01")["note"]
    assert row(many, system="a", metric="min_dcf_0.2")["note"] == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ([], "no scores of any system"),
        ([("a", 0, 0), ("a", 0, 0)], "'a', fold 0, trial 0: stand twice"),
        ([("a", 0, 0)], "'a': missing are fold 1, trial 0"),
        ([("a", 0, 0), ("a", 1, 0), ("a", 1, 1)], "'a': missing are fold 0, trial 1"),
        ([("a", 0, 0), ("a", 1, 0), ("b", 0, 0)], "'b': missing are fold 1, trial 0"),
        ([("a", 2, 0)], "no such fold; there are 0, 1"),
    ],
)
def test_scores_that_are_missing_or_stand_twice(changed: Sequence[tuple[str, int, int]], said: str) -> None:
    of = protocol()
    scores = songs(np.random.default_rng(0), of, 1)[0]
    with pytest.raises(ArtistTransferError, match=said):
        evaluate_recognition([Scored(*key, scores) for key in changed], {0: of, 1: protocol(prefix="o")}, n_resamples=5)


def test_bad_input_is_named() -> None:
    of = protocol()
    scores = songs(np.random.default_rng(0), of, 1)[0]
    bad = scores.copy()
    bad[2, 30] = np.nan
    said = (
        "'net', fold 0, trial 1: 1 scores are not finite, the first .nan. of model 'artist002' and track 'artist010/t0'"
    )
    with pytest.raises(ArtistTransferError, match=said):
        evaluate_recognition([Scored("net", 0, 0, scores), Scored("net", 0, 1, bad)], {0: of}, n_resamples=5)
    with pytest.raises(ArtistTransferError, match=r"12 models and 36 tests, but a shape of \(12, 35\)"):
        evaluate_recognition([Scored("net", 0, 0, scores[:, 1:])], {0: of}, n_resamples=5)
    mixed = [Scored("net", 0, 0, scores), Scored("net", 0, 1, scores, calibrated=True)]
    with pytest.raises(ArtistTransferError, match="calibrated in one fold or trial"):
        evaluate_recognition(mixed, {0: of}, n_resamples=5)
    for wrong in ({"n_resamples": 0}, {"level": 1.0}, {"p_targets": (1.5,)}, {"p_targets": (0.1, 0.1)}):
        with pytest.raises(ArtistTransferError):
            evaluate_recognition([Scored("net", 0, 0, scores)], {0: of}, **wrong)
    with pytest.raises(ArtistTransferError, match="to be compared but not scored: 'nut'"):
        evaluate_recognition([Scored("net", 0, 0, scores)], {0: of}, n_resamples=5, pairs=[("net", "nut")])
    alone = evaluate_recognition([Scored("net", 0, 0, scores)], {0: of}, n_resamples=5, pairs=[])
    assert not len(alone.comparison_table) and "p_holm" in alone.comparison_table
    with pytest.raises(ArtistTransferError, match="0 folds"):
        evaluate_recognition([Scored("net", 0, 0, scores)], {})


@pytest.mark.slow
@pytest.mark.parametrize("artists", [15, 50])
def test_intervals_cover_and_tests_err_as_often_as_they_say(artists: int) -> None:
    """Two systems that differ by noise alone, in 200 worlds: 95 % and 5 %, up to what 200 worlds leave open."""
    of, worlds = protocol(artists), 200
    large = protocol(400)
    draw = np.random.default_rng(99)
    truth = np.mean(
        [
            recognition_draws(scores, large.truth, np.ones((1, 400)), p_targets=(0.05,))[0, 0]
            for _ in range(5)
            for scores in songs(draw, large)
        ]
    )
    scores, compared = [], []
    for world in range(worlds):
        both = songs(np.random.default_rng([artists, world]), of)
        found = evaluate_recognition(
            [Scored(name, 0, 0, s) for name, s in zip("ab", both)], {0: of}, n_resamples=300, seed=world
        )
        scores.append(found.score_table[found.score_table["system"] == "a"].set_index("metric"))
        compared.append(found.comparison_table.set_index("metric"))
    for metric, real in (("eer", truth), ("top1", np.mean([one.loc["top1", "value"] for one in scores]))):
        ends = np.array([one.loc[metric, ["low", "high"]].astype(float) for one in scores])
        assert 0.91 <= ((ends[:, 0] <= real) & (real <= ends[:, 1])).mean() <= 0.995
        p = np.array([one.loc[metric, "p"] for one in compared])
        assert (p < 0.05).mean() <= 0.09
        assert (p < 0.25).mean() >= 0.1  # nor is it asleep
