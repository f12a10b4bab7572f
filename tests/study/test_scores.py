"""Scores of cases: resamples by hand, paired contrasts, several replicates, fairness of the tracks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.study.conftest import noise, study_predictions, world

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation import metrics
from artist_transfer.evaluation.intervals import bootstrap_intervals, paired_difference
from artist_transfer.evaluation.small_samples import Between, UnitCount, percentiles
from artist_transfer.study.replicates import KEYS, Replicate
from artist_transfer.study.scores import CaseScores, factors, replicate_draws


def of_case(predictions: pd.DataFrame, case: str, seed: int = 0) -> pd.DataFrame:
    rows = predictions[(predictions["case"] == case) & (predictions["seed"] == seed)]
    return rows.drop(columns=KEYS).reset_index(drop=True)


def made(n_replicates: int = 1, *, names: tuple[str, ...] = ("x", "y", "z"), seed: int = 0) -> pd.DataFrame:
    artist, truth, draw = world(12, 3, seed)
    p_true = {name: draw.uniform(0.05, 0.95, (n_replicates, len(artist))) for name in names}
    return study_predictions(p_true, artist=artist, truth=truth)


def test_one_replicate_is_what_the_intervals_of_one_system_say() -> None:
    predictions = made()
    table = CaseScores.from_predictions(predictions, n_resamples=300, seed=4).score_cases().set_index("case")
    for case in ("x", "y", "z"):
        expected = bootstrap_intervals(of_case(predictions, case), n_resamples=300, seed=4)
        for metric, (value, low, high) in expected.scores.items():
            found = table.loc[case, [metric, f"{metric}_low", f"{metric}_high"]].to_numpy(dtype=float)
            np.testing.assert_allclose(found, [value, low, high], atol=1e-12)
            assert np.isnan(table.loc[case, f"{metric}_seed_sd"])
    assert (table["n_tracks"] == 36).all()
    assert (table["n_units"] == 12).all()
    assert set(table["unit"]) == {"artist"}
    assert set(table["n_replicates"]) == {1}


def test_a_contrast_of_two_cases_is_the_paired_difference() -> None:
    predictions = made()
    found = CaseScores.from_predictions(predictions, n_resamples=300, seed=7).contrast({"x": 1}, {"z": 2.5})
    expected = paired_difference(of_case(predictions, "x"), of_case(predictions, "z"), n_resamples=300, seed=7)
    for metric in metrics.METRICS:
        a, b = found[metric], expected[metric]
        np.testing.assert_allclose([a.effect, a.low, a.high], [b.effect, b.low, b.high], atol=1e-12)
        assert a.p == pytest.approx(b.p)


def test_a_case_against_itself_is_nothing() -> None:
    scores = CaseScores.from_predictions(made(3), n_resamples=200)
    for side in ({"x": 1.0}, {"x": 1.0, "y": 3.0, "z": 0.1}):
        for found in scores.contrast(side, side).values():
            assert (found.effect, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_sides_of_the_same_predictions_are_equal_however_their_sums_are_rounded() -> None:
    """Means of seven and of three equal scores differ in the last bit, in every resample to the same side."""
    artist, truth, draw = world(12, 3, 1)
    p = draw.uniform(0.05, 0.95, len(artist))
    names = [f"c{k}" for k in range(10)]
    scores = CaseScores.from_predictions(
        study_predictions(dict.fromkeys(names, p), artist=artist, truth=truth), n_resamples=200
    )
    first, second = dict.fromkeys(names[:7], 0.1), dict.fromkeys(names[7:], 1.0)
    weights = np.array([0.1 / 0.7] * 7 + [-1 / 3] * 3)
    assert np.einsum("c,rcm->rm", weights, scores.draws).any()  # there is such a rounding
    for found in scores.contrast(first, second).values():
        assert (found.effect, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_weights_and_the_mean_of_cases() -> None:
    scores = CaseScores.from_predictions(made(2), n_resamples=200)
    table = scores.score_cases().set_index("case")
    means = scores.mean_of(["x", "y"])
    contrast = scores.contrast({"x": 3, "y": 1}, {"z": 1})
    for metric in metrics.METRICS:
        assert means[metric][0] == pytest.approx(table.loc[["x", "y"], metric].mean())
        assert means[metric][1] <= means[metric][0] <= means[metric][2]
        expected = 0.75 * table.at["x", metric] + 0.25 * table.at["y", metric] - table.at["z", metric]
        assert contrast[metric].effect == pytest.approx(expected)


def test_several_replicates_by_hand() -> None:
    """Score repeated tables: whole artists as often as drawn, each drawn replicate apart, then their mean."""
    n, n_replicates = 40, 3
    predictions = made(n_replicates)
    scores = CaseScores.from_predictions(predictions, n_resamples=n, level=0.8, seed=5)
    artists = sorted(predictions["artist_id"].unique())
    weights = np.random.default_rng([5, 7_001]).multinomial(12, np.full(12, 1 / 12), size=n)
    times = np.random.default_rng([5, 7_002]).multinomial(2, np.full(3, 1 / 3), size=n)
    table = scores.score_cases().set_index("case")
    tables = [of_case(predictions, "y", seed) for seed in range(n_replicates)]
    expected = {metric: [] for metric in metrics.METRICS}
    for of_artists, of_replicates in zip(weights, times):
        drawn = []
        for replicate in tables:
            rows = [replicate[replicate["artist_id"] == x] for x, k in zip(artists, of_artists) for _ in range(k)]
            whole = pd.concat(rows, ignore_index=True)
            drawn.append(whole.assign(track_id=[str(k) for k in range(len(whole))]))
        for metric in metrics.METRICS:
            values = [getattr(metrics, metric)(x) for x in drawn]
            expected[metric].append(np.average(values, weights=of_replicates))
    for k, metric in enumerate(metrics.METRICS):
        np.testing.assert_allclose(scores.draws[:, scores.position("y"), k], expected[metric], atol=1e-12)
        values = [getattr(metrics, metric)(x) for x in tables]
        found = table.loc["y", [f"{metric}_low", f"{metric}_high"]].to_numpy(dtype=float)
        # twelve artists with as many tracks each, and three seeds
        between = [Between(np.array([np.var(values, ddof=1) / 3]), 3)]
        ends = percentiles(np.array(expected[metric])[:, None], 0.8, UnitCount(12, 12.0), between)
        np.testing.assert_allclose(found, ends[:, 0], atol=1e-12)
        assert table.at["y", metric] == pytest.approx(np.mean(values), abs=1e-12)
        assert table.at["y", f"{metric}_seed_sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)


def test_the_interval_holds_the_seeds_too() -> None:
    """Artists who are all alike, seeds that differ: the variance between resamples is that of a mean of n seeds."""
    artist, truth, draw = world(30, 2, 2)
    right = 0.4 + 0.5 * draw.random(4)
    p_true = {"x": np.repeat(right[:, None], len(artist), axis=1)}
    scores = CaseScores.from_predictions(study_predictions(p_true, artist=artist, truth=truth), n_resamples=20_000)
    expected = np.var(np.log(right), ddof=1) / 4
    assert scores.draws[:, 0, 0].var() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("what", ["seed", "split_seed"])
def test_the_interval_of_seeds_times_splits_holds_each_by_itself(what: str) -> None:
    """Only one of the two matters: nine replicates of it are but three draws, not nine."""
    artist, truth, draw = world(30, 2, 2)
    of_level = 0.3 + 0.6 * draw.random(3)
    other = "split_seed" if what == "seed" else "seed"
    tables = [
        study_predictions({"x": np.full(len(artist), value)}, artist=artist, truth=truth).assign(**{what: a, other: b})
        for a, value in enumerate(of_level)
        for b in range(3)
    ]
    scores = CaseScores.from_predictions(pd.concat(tables, ignore_index=True), n_resamples=20_000)
    assert len(scores.draws) == 20_000
    expected = np.var(np.log(of_level), ddof=1) / 3
    assert scores.draws[:, 0, 0].var() == pytest.approx(expected, rel=0.05)
    assert "3 seeds and 3 splits: few" in scores.note


def replicates(*pairs: tuple[int, int]) -> list[Replicate]:
    return [Replicate(seed, split, np.zeros(0), np.zeros((0, 1, 2))) for seed, split in pairs]


def test_what_is_drawn_beside_artists() -> None:
    def found(*pairs: tuple[int, int]) -> list[list[int]]:
        return [levels.tolist() for levels in factors(replicates(*pairs))]

    assert found((3, 5)) == []
    assert found((3, 5), (4, 5)) == [[0, 1]]
    assert found((3, 5), (3, 7), (3, 9)) == [[0, 1, 2]]
    assert found((1, 5), (1, 6), (2, 5), (2, 6)) == [[0, 0, 1, 1], [0, 1, 0, 1]]
    assert found((1, 5), (2, 6), (3, 7)) == [[0, 1, 2]]  # every split has its seed: one thing
    assert found((1, 5), (2, 5), (3, 6), (4, 6)) == [[0, 0, 1, 1]]  # seeds of their own in each split: the splits
    assert found((1, 5), (1, 6), (2, 7), (2, 8)) == [[0, 0, 1, 1]]
    assert found((1, 5), (1, 6), (2, 5)) == [[0, 0, 1], [0, 1, 0]]


def test_a_replicate_counts_as_often_as_its_seed_and_its_split_were_drawn() -> None:
    times = replicate_draws(replicates(*((seed, split) for seed in range(3) for split in range(4))), 500, 0)
    cells = times.reshape(500, 3, 4)
    np.testing.assert_array_equal(times.sum(axis=1), 2 * 3)
    of_seeds, of_splits = cells.sum(axis=2) / 3, cells.sum(axis=1) / 2
    np.testing.assert_array_equal(cells, of_seeds[:, :, None] * of_splits[:, None])
    assert set(np.unique(of_seeds)) == {0, 1, 2}
    assert abs(np.corrcoef(of_seeds[:, 0], of_splits[:, 0])[0, 1]) < 0.15


def test_unequal_artists_count_by_what_they_are_worth() -> None:
    """One artist with half of the tracks, in both replicates; a third replicate is of him alone."""
    artist, truth, draw = world(12, 1, 4)
    artist, truth = np.r_[artist, np.zeros(10, dtype=int)], np.r_[truth, np.full(10, truth[0])]
    p_true = {"x": draw.uniform(0.05, 0.95, (3, len(artist)))}
    every, first = np.ones(len(artist), dtype=bool), artist == 0
    scores = CaseScores.from_predictions(study_predictions(p_true, artist=artist, truth=truth), n_resamples=10)
    assert scores.units == UnitCount(12, pytest.approx(22**2 / (11**2 + 11)))
    assert scores.score_cases().at[0, "n_effective"] == scores.units.effective
    tested = [every, every, first]
    predictions = study_predictions(p_true, artist=artist, truth=truth, tested=tested)
    scores = CaseScores.from_predictions(predictions, n_resamples=10)
    shares = np.r_[2 * 0.5 + 1, np.full(11, 2 / 22)]
    assert scores.units == UnitCount(12, pytest.approx(shares.sum() ** 2 / (shares**2).sum()))


def test_replicates_of_different_artists() -> None:
    """Two splits that share no artist: the units are all of them; a replicate without any of its own is left out."""
    artist, truth, draw = world(4, 2, 3)
    first = artist < 2
    p_true = {name: draw.uniform(0.05, 0.95, (2, len(artist))) for name in ("x", "y")}
    predictions = study_predictions(p_true, artist=artist, truth=truth, tested=[first, ~first])
    scores = CaseScores.from_predictions(predictions, n_resamples=2000, seed=1)
    assert (scores.sums.n_units, scores.sums.n_tracks) == (4, 8)
    # a resample of one split's artists alone is lost if the other split is the one drawn: 2 × 1/16 × 1/2
    lost = 2000 - len(scores.draws)
    assert lost == pytest.approx(125, abs=45)
    assert f"{lost} resamples that held no test track" in scores.note
    assert np.isfinite(scores.draws).all()
    value = scores.score_cases().set_index("case").at["x", "accuracy"]
    of_splits = [metrics.accuracy(of_case(predictions, "x", seed)) for seed in (0, 1)]
    assert value == pytest.approx(np.mean(of_splits))


def test_the_order_of_rows_and_cases_changes_nothing() -> None:
    predictions = made(2)
    turned = predictions.sample(frac=1, random_state=0).reset_index(drop=True)
    first, second = (CaseScores.from_predictions(x, n_resamples=100) for x in (predictions, turned))
    np.testing.assert_array_equal(first.draws, second.draws)
    pd.testing.assert_frame_equal(first.score_cases(), second.score_cases())
    other = CaseScores.from_predictions(predictions, n_resamples=100, seed=1)
    assert not np.array_equal(first.draws, other.draws)


def test_without_artists_recordings() -> None:
    predictions = made().assign(artist_id=None)
    assert set(CaseScores.from_predictions(predictions, n_resamples=10).score_cases()["unit"]) == {"track"}
    by_recording = predictions.assign(recording_id="r" + predictions["track_id"].str[-2:-1])
    scores = CaseScores.from_predictions(by_recording, n_resamples=10)
    assert (scores.sums.unit, scores.sums.n_units) == ("recording", 4)
    assert "no track has an artist" in scores.note


def test_one_artist_has_no_interval() -> None:
    predictions = made().assign(artist_id="one")
    scores = CaseScores.from_predictions(predictions, n_resamples=10)
    table = scores.score_cases()
    assert np.isfinite(table[list(metrics.METRICS)]).all(axis=None)
    assert table[[f"{m}_{end}" for m in metrics.METRICS for end in ("low", "high")]].isna().all(axis=None)
    assert np.isnan(scores.contrast({"x": 1}, {"y": 1})["accuracy"].p)


def test_a_genre_that_was_not_trained_on() -> None:
    """Its column is missing throughout, or there is none: probability 0, so the floor's log loss."""
    predictions = made(names=("x",))
    unseen = predictions["genre_true"] == "c"
    two = predictions.assign(p_a=0.5, p_b=0.5, p_c=np.nan, genre_predicted="a")
    for table in (two, two.drop(columns="p_c")):
        scores = CaseScores.from_predictions(table, n_resamples=10).score_cases()
        expected = -(unseen.mean() * np.log(1e-8) + (1 - unseen.mean()) * np.log(0.5))
        assert scores.at[0, "log_loss"] == pytest.approx(expected)


def test_a_case_must_be_there_in_every_replicate_or_excluded_by_name() -> None:
    predictions = made(2)
    lacking = predictions[(predictions["case"] != "y") | (predictions["seed"] != 1)]
    with pytest.raises(ArtistTransferError, match=r"1 combinations .* missing: y \(seed 1, split seed 0\)"):
        CaseScores.from_predictions(lacking)
    scores = CaseScores.from_predictions(lacking, n_resamples=20, excluded={"y": "failed: out of memory"})
    assert scores.cases == ("x", "z")
    with pytest.raises(ArtistTransferError, match="'y' was not scored: failed: out of memory"):
        scores.contrast({"y": 1}, {"x": 1})
    with pytest.raises(ArtistTransferError, match="nothing to score"):
        CaseScores.from_predictions(lacking, excluded=dict.fromkeys("xyz", "failed"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(index=t.index[-1]), "1 tracks are missing"),
        (lambda t: t.assign(track_id=[*t["track_id"][:-1], "other"]), r"1 are more \(other\)"),
        (lambda t: t.assign(genre_true=[*t["genre_true"][:-1], "d"]), "genre_true differs for t00035"),
        (lambda t: t.assign(artist_id=[*t["artist_id"][:-1], None]), "artist_id differs for t00035"),
        (lambda t: pd.concat([t, t.iloc[-1:]]), "tracks come more than once"),
        (lambda t: t.assign(p_a=2.0), "sum to 1"),
    ],
)
def test_all_cases_must_be_tested_alike(change, said) -> None:
    """The last case's last replicate is changed: the error names both."""
    predictions = made(2)
    last = (predictions["case"] == "z") & (predictions["seed"] == 1)
    table = pd.concat([predictions[~last], change(predictions[last])], ignore_index=True)
    with pytest.raises(ArtistTransferError, match=f"case z, seed 1, split seed 0: .*{said}"):
        CaseScores.from_predictions(table)


def test_a_track_has_one_artist_in_all_replicates() -> None:
    predictions = made(2)
    later = predictions["seed"] == 1
    predictions.loc[later & (predictions["track_id"] == "t00003"), "artist_id"] = "somebody else"
    with pytest.raises(ArtistTransferError, match=r"must be the same in every replicate.*t00003"):
        CaseScores.from_predictions(predictions)


def test_bad_input() -> None:
    predictions = made()
    with pytest.raises(ArtistTransferError, match=r"columns missing: \['split_seed'\]"):
        CaseScores.from_predictions(predictions.drop(columns="split_seed"))
    with pytest.raises(ArtistTransferError, match="must be in every row"):
        CaseScores.from_predictions(predictions.assign(seed=[np.nan, *predictions["seed"][1:]]))
    with pytest.raises(ArtistTransferError, match="nothing to score"):
        CaseScores.from_predictions(predictions.iloc[:0])
    with pytest.raises(ArtistTransferError, match="resamples must be at least 1"):
        CaseScores.from_predictions(predictions, n_resamples=0)
    scores = CaseScores.from_predictions(predictions, n_resamples=10)
    for first in ({}, {"x": 0.0}, {"x": -1.0}, {"x": np.nan}):
        with pytest.raises(ArtistTransferError, match="weights above 0"):
            scores.contrast(first, {"y": 1})
    with pytest.raises(ArtistTransferError, match="weights above 0"):
        scores.mean_of([])


def test_p_is_uniform_without_a_difference() -> None:
    """Two cases that toss coins: p is below each level in about that share of the worlds."""
    n_worlds, p = 300, []
    for seed in range(n_worlds):
        artist, truth, draw = world(40, 1, seed)
        predictions = study_predictions(noise(["x", "y"], artist, draw), artist=artist, truth=truth)
        scores = CaseScores.from_predictions(predictions, n_resamples=300, seed=seed)
        p.append(scores.contrast({"x": 1}, {"y": 1})["log_loss"].p)
    for level in (0.05, 0.1, 0.25, 0.5, 0.75):
        tolerance = 3.5 * (level * (1 - level) / n_worlds) ** 0.5 + 0.02  # and the percentile method's own error
        assert np.mean(np.array(p) <= level) == pytest.approx(level, abs=tolerance)


def test_a_difference_that_is_there_is_found_with_its_sign() -> None:
    artist, truth, draw = world(90, 3, 0)
    p_true = noise(["worse"], artist, draw, n_replicates=3)
    p_true["better"] = np.where(artist % 3 == 0, 0.8, p_true["worse"])
    predictions = study_predictions(p_true, artist=artist, truth=truth)
    found = CaseScores.from_predictions(predictions, n_resamples=1000).contrast({"better": 1}, {"worse": 1})
    for metric, sign in (("log_loss", -1), ("f1_macro", 1), ("accuracy", 1)):
        assert sign * found[metric].effect > 0
        assert sign * (found[metric].low if sign > 0 else found[metric].high) > 0
        assert found[metric].p < 0.01


def test_seeds_that_differ_are_not_taken_for_cases_that_differ() -> None:
    """Equal cases whose seeds differ by twice what the artists leave open: one seed misleads, three hardly do."""
    n_artists, n_worlds, spread, small = 40, 120, 0.3, {1: 0, 3: 0}
    for seed in range(n_worlds):
        artist, truth, draw = world(n_artists, 1, seed)
        size = (2, 3, n_artists)
        loss = 1.4 + 2 * spread / n_artists**0.5 * draw.normal(size=(2, 3, 1)) + spread * draw.normal(size=size)
        p_true = np.exp(-np.maximum(loss, 0.05))
        for n_replicates in small:
            cases = {"x": p_true[0, :n_replicates], "y": p_true[1, :n_replicates]}
            predictions = study_predictions(cases, artist=artist, truth=truth)
            scores = CaseScores.from_predictions(predictions, n_resamples=200, seed=seed)
            small[n_replicates] += scores.contrast({"x": 1}, {"y": 1})["log_loss"].p < 0.05
    assert small[1] > 15
    assert small[3] < 13  # 6 expected
