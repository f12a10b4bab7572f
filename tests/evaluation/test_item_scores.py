"""Scores of single tracks: means, intervals that cover, differences that are paired, trials that are drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.item_scores import score_items, trial_draws
from artist_transfer.evaluation.multiple_testing import holm

N = 60
IDS = [f"t{k:03d}" for k in range(N)]
TRACKS = pd.DataFrame({"track_id": IDS, "artist_id": [f"artist{k // 4}" for k in range(N)]})


def items(values: np.ndarray, *, trial: int | None = None, label: str = "ab") -> pd.DataFrame:
    table = pd.DataFrame({"track_id": IDS, "ap": values, "label": [label[k % len(label)] for k in range(N)]})
    return table if trial is None else table.assign(trial=trial)


def drawn(seed: int = 0, effect: float = 0.0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.repeat(draw.normal(size=15), 4) + draw.normal(size=N) + effect


def test_the_score_is_the_mean_of_what_is_defined() -> None:
    values = drawn()
    values[[3, 17]] = np.nan
    row = score_items({"net": items(values)}, TRACKS, value="ap", metric="map", n_resamples=200).score_table().iloc[0]
    assert row["value"] == pytest.approx(np.nanmean(values))
    assert row["low"] < row["value"] < row["high"]
    assert (row["metric"], row["of"], row["system"]) == ("map", "overall", "net")
    assert (row["n_items"], row["n_undefined"], row["n_units"], row["unit"]) == (58, 2, 15, "artist")


def test_resamples_are_means_over_whole_artists() -> None:
    values = drawn()
    values[0] = np.nan
    scores = score_items({"net": items(values)}, TRACKS, value="ap", n_resamples=4000, seed=3)
    sums = np.nansum(values.reshape(15, 4), axis=1)
    counts = np.isfinite(values.reshape(15, 4)).sum(axis=1)
    draw = np.random.default_rng(9)  # the same bootstrap, written out
    picks = draw.integers(15, size=(4000, 15))
    expected = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    assert scores.draws[:, 0, 0].std() == pytest.approx(expected.std(), rel=0.06)
    assert scores.draws[:, 0, 0].std() > 1.4 * values[1:].std() / np.sqrt(N - 1)  # tracks of an artist are alike


@pytest.mark.parametrize("known", [True, False])
def test_intervals_cover_what_they_say(known: bool) -> None:
    """Artists differ as much as tracks do: intervals over artists cover, over tracks they do not."""
    tracks = TRACKS if known else TRACKS.assign(artist_id=None)
    hits = 0
    for seed in range(150):
        scores = score_items({"net": items(drawn(seed))}, tracks, value="ap", n_resamples=200, seed=seed)
        row = scores.score_table().iloc[0]
        hits += row["low"] <= 0 <= row["high"]
    assert (0.86 <= hits / 150 <= 0.99) if known else (hits / 150 < 0.85)
    assert ("may be too narrow" in row["note"]) != known
    assert row["unit"] == ("artist" if known else "track")


def test_recordings_where_no_artist_is_known() -> None:
    tracks = TRACKS.assign(artist_id=None, recording_id=[f"r{k // 4}" for k in range(N)])
    found = score_items({"net": items(drawn())}, tracks, value="ap", n_resamples=100)
    assert (found.units.name, found.units.count) == ("recording", 15)
    alone = score_items({"net": items(drawn())}, tracks.assign(recording_id=tracks["track_id"]), value="ap")
    assert (alone.units.name, alone.units.count) == ("track", N)  # a recording of one track is a track
    same = score_items({"net": items(drawn())}, TRACKS, value="ap", n_resamples=100)
    assert found.draws.std() == pytest.approx(same.draws.std(), rel=0.5)


def test_each_label_by_itself() -> None:
    values = drawn()
    table = score_items({"net": items(values)}, TRACKS, value="ap", by="label", n_resamples=100).score_table()
    assert table["of"].tolist() == ["a", "b"]
    np.testing.assert_allclose(table["value"], [values[::2].mean(), values[1::2].mean()])
    assert table["n_items"].tolist() == [30, 30]


def test_a_label_of_few_artists_says_how_often_it_was_missing() -> None:
    table = items(drawn())
    table["label"] = ["rare" if k < 4 else "often" for k in range(N)]
    found = score_items({"net": table}, TRACKS, value="ap", by="label", n_resamples=300).score_table().set_index("of")
    assert "not defined in" in found.loc["rare", "note"] and found.loc["often", "note"] == ""
    assert np.isnan(found.loc["rare", ["low", "high"]].to_numpy(dtype=float)).all()  # one artist: no spread
    assert "of 1 artist: no interval" in found.loc["rare", "note"]


def test_a_label_is_of_its_own_artists_not_of_all() -> None:
    """Two labels, of 4 and of 11 artists, each as much better: four who agree show nothing, eleven do."""
    base = drawn()
    first, second = (items(values).assign(label=["few" if k < 16 else "many" for k in range(N)]) for values in (
        base + 0.5, base
    ))  # fmt: skip
    scores = score_items({"a": first, "b": second}, TRACKS, value="ap", by="label", n_resamples=200)
    assert [x.count for x in scores.unit_counts] == [4, 11]
    assert [x.effective for x in scores.unit_counts] == pytest.approx([4, 11])
    table = scores.compare().set_index("of")
    assert table["p"].tolist() == pytest.approx([2 / 2**4, 2 / 2**11])
    assert "of 4 artists: too few for a verdict" in table.at["few", "note"]
    assert "too few" not in table.at["many", "note"]


def test_few_trials_count_as_few() -> None:
    """Two trials that contradict each other: what both say together is not sure, however many artists agree."""
    shifts = (1.1, -0.9)
    first = pd.concat([items(drawn(4) + shift, trial=k) for k, shift in enumerate(shifts)])
    second = pd.concat([items(drawn(4), trial=k) for k in range(2)])
    drawn_too, fixed = (
        score_items({"a": first, "b": second}, TRACKS, value="ap", n_resamples=400, draw_trials=x).compare().iloc[0]
        for x in (True, False)
    )
    assert drawn_too["effect"] == pytest.approx(fixed["effect"]) == pytest.approx(0.1)
    assert drawn_too["p"] > 0.9 > 0.01 > fixed["p"]
    assert drawn_too["high"] - drawn_too["low"] == pytest.approx(2 * 12.7062, rel=0.01)  # t of 1, error 1


def test_differences_are_paired() -> None:
    base, noise = drawn(), np.random.default_rng(1).normal(size=N)
    systems = {"better": items(base + 0.15 + 0.1 * noise), "base": items(base), "other": items(base - 0.01 * noise)}
    scores = score_items(systems, TRACKS, value="ap", n_resamples=1000)
    table = scores.compare().set_index(["first", "second"])
    assert list(table.index) == [("better", "base"), ("better", "other"), ("base", "other")]
    row = table.loc[("better", "base")]
    assert row["effect"] == pytest.approx(np.mean(0.15 + 0.1 * noise))
    assert row["low"] > 0 and row["p_holm"] < 0.01
    alone = scores.score_table().set_index("system")
    assert row["high"] - row["low"] < 0.3 * (alone.loc["base", "high"] - alone.loc["base", "low"])
    assert table.loc[("base", "other"), "p"] > 0.05
    np.testing.assert_allclose(table["p_holm"], holm(table["p"].to_numpy()))
    turned = scores.compare([("base", "better")]).iloc[0]
    assert (turned["effect"], turned["low"], turned["high"]) == (-row["effect"], -row["high"], -row["low"])
    assert turned["p_holm"] == turned["p"] == pytest.approx(row["p"])


def test_false_alarms_are_rare() -> None:
    hits = 0
    for seed in range(120):
        draw = np.random.default_rng(1000 + seed)
        first = np.repeat(draw.normal(size=15), 4) + draw.normal(size=N)
        second = np.repeat(draw.normal(size=15), 4) + draw.normal(size=N)
        scores = score_items({"a": items(first), "b": items(second)}, TRACKS, value="ap", n_resamples=200, seed=seed)
        hits += scores.compare()["p"].iloc[0] < 0.05
    assert hits / 120 < 0.14


def test_trials_are_averaged_and_drawn() -> None:
    parts = [drawn(4) + shift for shift in (-0.3, 0.0, 0.6)]
    table = pd.concat([items(values, trial=k) for k, values in enumerate(parts)])
    scores = score_items({"net": table}, TRACKS, value="ap", n_resamples=3000)
    row = scores.score_table().iloc[0]
    assert row["value"] == pytest.approx(np.mean(parts))
    assert row["trial_sd"] == pytest.approx(np.std([-0.3, 0, 0.6], ddof=1))
    assert (row["n_trials"], row["n_items"]) == (3, 60)
    fixed = score_items({"net": table}, TRACKS, value="ap", n_resamples=3000, draw_trials=False)
    # the variance between trials, divided by their number, comes on top
    added = scores.draws.var() - fixed.draws.var()
    assert added == pytest.approx(np.var([-0.3, 0, 0.6], ddof=1) / 3, rel=0.15)


def test_trials_of_two_systems_are_paired_by_number() -> None:
    shifts = np.random.default_rng(0).normal(size=4)
    first = pd.concat([items(drawn(4) + shift, trial=k) for k, shift in enumerate(shifts)])
    second = first.assign(ap=first["ap"] - 0.2)
    scores = score_items({"a": first, "b": second}, TRACKS, value="ap", n_resamples=200)
    row = scores.compare().iloc[0]
    assert (row["low"], row["high"]) == (pytest.approx(0.2), pytest.approx(0.2))
    one = score_items({"a": first, "b": items(drawn(4))}, TRACKS, value="ap", n_resamples=200)
    assert one.n_trials == (4, 1) and np.isfinite(one.draws).all()
    assert one.score_table()["trial_sd"].isna().tolist() == [False, True]


def test_shares_of_trials() -> None:
    found = trial_draws([1, 4, 4], 500, seed=0)
    assert set(found) == {1, 4}
    np.testing.assert_allclose(found[4].sum(axis=1), 1)
    np.testing.assert_allclose(found[4].mean(axis=0), 0.25, atol=0.03)
    np.testing.assert_array_equal(found[1], np.ones((500, 1)))


def test_row_order_changes_nothing_and_the_seed_does() -> None:
    table = items(drawn())
    expected = score_items({"net": table}, TRACKS, value="ap", n_resamples=300, seed=1)
    mixed = [x.sample(frac=1, random_state=2) for x in (table, TRACKS)]
    found = score_items({"net": mixed[0]}, mixed[1], value="ap", n_resamples=300, seed=1)
    np.testing.assert_array_equal(found.draws, expected.draws)
    other = score_items({"net": table}, TRACKS, value="ap", n_resamples=300, seed=2)
    assert not np.array_equal(other.draws, expected.draws)


def test_right_and_wrong_are_numbers_too() -> None:
    table = pd.DataFrame({"track_id": IDS, "correct": np.arange(N) % 3 == 0})
    found = score_items({"net": table}, TRACKS, value="correct", metric="accuracy", n_resamples=50)
    assert found.values[0, 0] == pytest.approx(1 / 3)


def test_one_artist_has_no_interval() -> None:
    row = score_items({"net": items(drawn())}, TRACKS.assign(artist_id="one"), value="ap").score_table().iloc[0]
    assert np.isnan([row["low"], row["high"]]).all()
    assert "nothing to resample" in row["note"]


def test_errors() -> None:
    table = items(drawn())
    short, holes = table.iloc[:-2], table.assign(ap=table["ap"].where(table.index != 5))
    trials = pd.concat([table.assign(trial=0), short.assign(trial=1)])
    cases = [
        ({}, "no system"),
        ({"net": table.drop(columns="ap")}, r"no column \['ap'\]"),
        ({"net": pd.concat([table, table.iloc[:1]])}, "come twice: 't000'"),
        ({"net": table, "other": short}, "differ in 2: 't058', 't059'"),
        ({"net": table, "other": holes}, "differ in 1: 't005'"),
        ({"net": trials}, "some trials lack: 't058', 't059'"),
        ({"net": pd.concat([table.assign(trial=0), holes.assign(trial=1)])}, "not defined in some trials: 't005'"),
    ]
    for systems, message in cases:
        with pytest.raises(ArtistTransferError, match=message):
            score_items(systems, TRACKS, value="ap", n_resamples=10)
    with pytest.raises(ArtistTransferError, match="not in the track table: 't000'"):
        score_items({"net": table}, TRACKS.iloc[1:], value="ap", n_resamples=10)
    with pytest.raises(ArtistTransferError, match="'label' differs"):
        other = table.assign(label="z")
        score_items({"net": table, "other": other}, TRACKS, value="ap", by="label", n_resamples=10)
    scores = score_items({"net": table}, TRACKS, value="ap", n_resamples=10)
    for pairs, message in (([("net", "none")], "no 'none'"), ([("net", "net")], "with itself")):
        with pytest.raises(ArtistTransferError, match=message):
            scores.compare(pairs)
