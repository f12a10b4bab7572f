"""Intervals: resamples by hand, coverage under correlation within artists, paired differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation import metrics
from artist_transfer.evaluation.intervals import (
    bootstrap_intervals,
    evaluate,
    evaluate_against,
    paired_difference,
)

CLASSES = list("abc")


def drawn(
    seed: int, n_artists: int, per_artist: int, *, alike: bool = True, level: float = 0.6, labelled: bool = True
) -> pd.DataFrame:
    """Artists of one genre each, tracks of which are all right or all wrong (`alike`), or independently so."""
    draw = np.random.default_rng(seed)
    n = n_artists * per_artist
    artist = np.repeat(np.arange(n_artists), per_artist)
    truth = draw.integers(0, 3, n_artists)[artist]
    right = (draw.random(n_artists) < level)[artist] if alike else draw.random(n) < level
    predicted = np.where(right, truth, (truth + 1) % 3)
    probabilities = np.full((n, 3), 0.1)
    probabilities[np.arange(n), predicted] = 0.8
    ids = [f"t{k:05d}" for k in range(n)]
    return metrics.make_predictions(
        pd.DataFrame(probabilities, index=ids, columns=CLASSES),
        {x: CLASSES[k] for x, k in zip(ids, truth)},
        artists={x: f"artist {k}" for x, k in zip(ids, artist)} if labelled else None,
    )


def test_values_are_the_metrics() -> None:
    predictions = drawn(0, 12, 5, alike=False)
    scores = bootstrap_intervals(predictions, n_resamples=50).scores
    assert list(scores) == ["log_loss", "f1_macro", "accuracy"]
    for name, (value, low, high) in scores.items():
        assert value == pytest.approx(getattr(metrics, name)(predictions), abs=1e-12)
        assert low <= value <= high


def test_resamples_equal_scoring_repeated_tables() -> None:
    """Repeat whole artists by hand, score with the plain metrics, take the percentiles that six artists ask for."""
    predictions = drawn(1, 6, 4, alike=False)
    found = bootstrap_intervals(predictions, n_resamples=40, level=0.8, seed=5)
    artists = sorted(predictions["artist_id"].unique())
    weights = np.random.default_rng([5, 7_001]).multinomial(6, np.full(6, 1 / 6), size=40)
    tail = stats.norm.sf(stats.t.ppf(0.9, 5) * (6 / 5) ** 0.5)
    for name in metrics.METRICS:
        scores = []
        for times in weights:
            rows = [predictions[predictions["artist_id"] == x] for x, k in zip(artists, times) for _ in range(k)]
            table = pd.concat(rows, ignore_index=True)
            table["track_id"] = [str(k) for k in range(len(table))]
            scores.append(getattr(metrics, name)(table))
        np.testing.assert_allclose(found.scores[name][1:], np.quantile(scores, [tail, 1 - tail]), atol=1e-12)


def test_row_order_changes_nothing_and_the_seed_does() -> None:
    predictions = drawn(2, 20, 3)
    first = bootstrap_intervals(predictions, n_resamples=200)
    turned = bootstrap_intervals(predictions.iloc[::-1].reset_index(drop=True), n_resamples=200)
    for name, values in first.scores.items():
        np.testing.assert_allclose(turned.scores[name], values, rtol=1e-12)
    assert bootstrap_intervals(predictions, n_resamples=200) == first
    assert bootstrap_intervals(predictions, n_resamples=200, seed=1) != first


def test_width_shrinks_with_the_root_of_the_number_of_artists() -> None:
    widths = []
    for n_artists in (25, 400):
        _, low, high = bootstrap_intervals(drawn(3, n_artists, 3), n_resamples=1000).scores["accuracy"]
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25)


def test_artists_cover_where_tracks_do_not() -> None:
    """Tracks of an artist all right or all wrong: 40 artists are 40 draws, however many tracks they have."""
    n_worlds, level = 200, 0.6
    covered = {"artist": 0, "track": 0}
    for world in range(n_worlds):
        for unit in covered:
            predictions = drawn(1000 + world, 40, 10, labelled=unit == "artist")
            found = bootstrap_intervals(predictions, n_resamples=300, seed=world)
            assert found.unit == unit
            _, low, high = found.scores["accuracy"]
            covered[unit] += low <= level <= high
    assert covered["artist"] >= 0.91 * n_worlds  # 95 % less sampling error
    assert covered["track"] <= 0.65 * n_worlds


def test_a_track_without_artist_is_a_unit() -> None:
    predictions = drawn(4, 5, 4)
    predictions.loc[:2, "artist_id"] = None
    found = bootstrap_intervals(predictions, n_resamples=20)
    assert (found.unit, found.n_units, found.n_tracks) == ("artist", 5 + 3, 20)
    assert "3 tracks without artist" in found.note


def test_without_artists_recordings_then_tracks_and_it_says_so() -> None:
    predictions = drawn(5, 5, 4, labelled=False)
    found = bootstrap_intervals(predictions, n_resamples=20)
    assert (found.unit, found.n_units) == ("track", 20)
    assert "no track has an artist" in found.note
    predictions["recording_id"] = [f"r{k // 2}" for k in range(20)]
    found = bootstrap_intervals(predictions, n_resamples=20)
    assert (found.unit, found.n_units) == ("recording", 10)


def test_one_artist_has_no_interval() -> None:
    predictions = drawn(6, 1, 8)
    found = bootstrap_intervals(predictions)
    assert found.n_units == 1
    assert "no interval" in found.note
    for value, low, high in found.scores.values():
        assert np.isfinite(value)
        assert np.isnan([low, high]).all()
    assert np.isnan(paired_difference(predictions, predictions)["accuracy"].p)


@pytest.mark.parametrize("n_artists", [6, 12, 25])
def test_few_artists_cover_and_seldom_differ(n_artists: int) -> None:
    """Two systems right about six tracks in ten: intervals hold 0.6, p is below 0.05 in about one world of twenty."""
    n_worlds, held, small = 150, 0, 0
    for world in range(n_worlds):
        first, other = (
            drawn(9000 + 2 * world + k, n_artists, 5, alike=False).sort_values("track_id", ignore_index=True)
            for k in (0, 1)
        )
        second = first.copy()
        right = (other["genre_predicted"] == other["genre_true"]).to_numpy()
        truth = np.array([CLASSES.index(x) for x in first["genre_true"]])
        predicted = np.where(right, truth, (truth + 1) % 3)
        values = np.full((len(first), 3), 0.1)
        values[np.arange(len(first)), predicted] = 0.8
        second[["p_a", "p_b", "p_c"]] = values
        second["genre_predicted"] = [CLASSES[k] for k in predicted]
        _, low, high = bootstrap_intervals(first, n_resamples=200, seed=world).scores["accuracy"]
        held += low <= 0.6 <= high
        found = paired_difference(first, second, n_resamples=200, seed=world)["log_loss"]
        small += found.p < 0.05
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
    assert held >= 0.89 * n_worlds  # standard deviation 1.8 %
    assert small <= 0.11 * n_worlds


def test_five_artists_that_all_agree_show_nothing_and_the_note_says_so() -> None:
    better = drawn(12, 5, 4, level=1.0)
    worse = drawn(12, 5, 4, level=0.0)
    found = paired_difference(better, worse)["accuracy"]
    assert (found.effect, found.low, found.high) == (1, 1, 1)
    assert found.p == pytest.approx(2 / 2**5)
    assert bootstrap_intervals(better).note == "5 artists are too few for a verdict on any difference: it takes 6"
    assert bootstrap_intervals(drawn(12, 6, 4)).note == ""


def test_bad_input() -> None:
    predictions = drawn(7, 4, 2)
    with pytest.raises(ArtistTransferError, match="nothing to evaluate"):
        bootstrap_intervals(predictions.iloc[:0])
    with pytest.raises(ArtistTransferError, match="resamples must be at least 1"):
        bootstrap_intervals(predictions, n_resamples=0)
    with pytest.raises(ArtistTransferError, match="level"):
        bootstrap_intervals(predictions, level=95)


def test_a_difference_of_a_system_to_itself_is_nothing() -> None:
    predictions = drawn(8, 10, 3)
    for found in paired_difference(predictions, predictions, n_resamples=100).values():
        assert (found.effect, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_pairing_by_track_finds_what_overlapping_intervals_hide() -> None:
    """The second system is the first with 8 of 60 artists put wrong: a small effect that is always there."""
    first = drawn(9, 60, 4, level=0.7)
    second = first.copy()
    right = first.groupby("artist_id")[["genre_true", "genre_predicted"]].first()
    wrong = right.index[right["genre_true"] == right["genre_predicted"]][:8]
    for row in first.index[first["artist_id"].isin(wrong)]:
        truth = CLASSES.index(first.at[row, "genre_true"])
        values = np.full(3, 0.1)
        values[(truth + 1) % 3] = 0.8
        second.loc[row, ["p_a", "p_b", "p_c"]] = values
        second.loc[row, "genre_predicted"] = CLASSES[(truth + 1) % 3]
    a, b = (bootstrap_intervals(x).scores["accuracy"] for x in (first, second))
    assert a[1] < b[2]  # the two intervals overlap
    shuffled = second.sample(frac=1, random_state=0).reset_index(drop=True)
    found = paired_difference(first, shuffled)
    assert found["accuracy"].effect == pytest.approx(8 / 60)
    assert found["accuracy"].low > 0
    assert found["accuracy"].p < 0.01
    assert found["log_loss"].effect == pytest.approx(-8 / 60 * np.log(8))
    assert found["log_loss"].high < 0
    back = paired_difference(second, first)
    for name in metrics.METRICS:
        assert back[name].effect == -found[name].effect
        assert back[name].low == pytest.approx(-found[name].high)
        assert back[name].p == found[name].p


def test_p_is_small_under_the_null_as_often_as_it_says() -> None:
    """Two systems that are right with the same probability: p < 0.1 in about a tenth of the worlds."""
    small = 0
    for world in range(200):
        first = drawn(5000 + world, 40, 1, level=0.6)
        draw = np.random.default_rng(world)
        second = first.copy()
        truth = np.array([CLASSES.index(x) for x in first["genre_true"]])
        predicted = np.where(draw.random(40) < 0.6, truth, (truth + 1) % 3)
        values = np.full((40, 3), 0.1)
        values[np.arange(40), predicted] = 0.8
        second[["p_a", "p_b", "p_c"]] = values
        second["genre_predicted"] = [CLASSES[k] for k in predicted]
        small += paired_difference(first, second, n_resamples=300, seed=world)["log_loss"].p < 0.1
    assert 8 <= small <= 36  # 20 expected, standard deviation 4.2


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.iloc[1:],
        lambda t: t.assign(track_id=["other", *t["track_id"][1:]]),
        lambda t: t.assign(genre_true="a"),
    ],
)
def test_a_pair_must_be_of_the_same_tracks_and_truth(change) -> None:
    predictions = drawn(10, 6, 2)
    with pytest.raises(ArtistTransferError, match="same tracks and truth"):
        paired_difference(predictions, change(predictions))


def test_flat_names() -> None:
    predictions = drawn(11, 8, 3)
    flat = evaluate(predictions, n_resamples=30)
    expected = [f"transfer.{m}{end}" for m in metrics.METRICS for end in ("", "_low", "_high")]
    assert set(flat) == {*expected, "transfer.n_tracks", "transfer.n_units", "transfer.n_unseen_genre"}
    assert all(isinstance(value, float) for value in flat.values())
    assert flat["transfer.n_tracks"] == 24
    both = evaluate_against(predictions, {"prior": drawn(11, 8, 3, level=0.1)}, n_resamples=30)
    assert flat.items() <= both.items()
    effect = both["transfer.accuracy"] - both["baseline.prior.accuracy"]
    assert both["difference.prior.accuracy"] == pytest.approx(effect)
    assert both["difference.prior.accuracy_low"] <= effect <= both["difference.prior.accuracy_high"]
    assert 0 < both["difference.prior.accuracy_p"] <= 1
