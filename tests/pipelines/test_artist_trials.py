"""Several nets, each with several trainings of a classifier: intervals and tests are over nets and artists."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from artist_transfer.evaluation.item_scores import score_items
from artist_transfer.pipelines.artist_evaluation.items import Items, item_values, nets_as_trials

ARTISTS, SONGS, NETS, INNER = 40, 3, 5, 4
IDS = [f"{k:04d}" for k in range(ARTISTS * SONGS)]
TRACKS = pd.DataFrame({"track_id": IDS, "artist_id": np.repeat([f"a{k}" for k in range(ARTISTS)], SONGS)})
MEAN, NET_SD, INNER_SD, ARTIST_SD = 0.5, 0.05, 0.01, 0.05


def system(draw: np.random.Generator, artists: np.ndarray, nets: int = NETS) -> pd.DataFrame:
    """Values whose nets differ far more than the trainings on each."""
    parts = []
    for net in range(nets):
        of_net = draw.normal(0, NET_SD)
        for trial in range(INNER):
            value = MEAN + artists + of_net + draw.normal(0, INNER_SD) + draw.normal(0, ARTIST_SD, len(IDS))
            table = pd.DataFrame({"track_id": IDS, "trial": trial, "value": value})
            parts.append(item_values(table, "value", net).assign(trial=trial))
    return pd.concat(parts, ignore_index=True)


def test_intervals_cover_and_tests_do_not_find_what_is_not_there() -> None:
    n, covered, false_alarms = 120, 0, 0
    for seed in range(n):
        draw = np.random.default_rng(seed)
        artists = np.repeat(draw.normal(0, ARTIST_SD, ARTISTS), SONGS)
        both = {name: nets_as_trials(system(draw, artists)) for name in "ab"}
        drawn = score_items(both, TRACKS, value="value", n_resamples=200)
        row = drawn.score_table().iloc[0]
        covered += row["low"] <= MEAN <= row["high"]
        false_alarms += drawn.compare()["p"].iloc[0] < 0.05
    print(f"{n} simulations: covered {covered / n:.2f}, false alarms {false_alarms / n:.2f}")
    assert covered / n > 0.88  # trainings taken for nets: 0.66
    assert false_alarms / n < 0.12  # and 0.43


def test_a_net_counts_once_and_the_score_is_the_same() -> None:
    table = system(np.random.default_rng(0), np.zeros(len(IDS)))
    averaged = nets_as_trials(table)
    assert len(averaged) == NETS * len(IDS)
    assert averaged["value"].mean() == pytest.approx(table["value"].mean(), abs=1e-12)
    row = score_items({"net": averaged}, TRACKS, value="value", n_resamples=50).score_table().iloc[0]
    assert row["n_trials"] == NETS
    assert row["trial_sd"] == pytest.approx(table.groupby("net")["value"].mean().std(), abs=1e-12)


def test_of_one_net_the_trainings_are_drawn() -> None:
    items = Items()
    items.add("softmax_accuracy", "net", system(np.random.default_rng(0), np.zeros(len(IDS)), nets=1))
    row = score_items(items.of("softmax_accuracy"), TRACKS, value="value", n_resamples=50).score_table().iloc[0]
    assert row["n_trials"] == INNER


def test_what_is_not_defined_stays_so_and_labels_stay() -> None:
    table = system(np.random.default_rng(0), np.zeros(len(IDS))).assign(label_true="rock")
    table.loc[table["track_id"] == IDS[0], "value"] = np.nan
    averaged = nets_as_trials(table)
    assert set(averaged["track_id"][averaged["value"].isna()]) == {IDS[0]}
    assert list(averaged.columns) == list(table.columns) and set(averaged["label_true"]) == {"rock"}
