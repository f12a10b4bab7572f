"""Tables say what the data say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from artist_transfer.reporting import tables
from artist_transfer.reporting.paper import paper_result
from artist_transfer.reporting.scores import comparisons_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        (3.0, "3"),
        (float("nan"), "–"),
        (None, "–"),
        (pd.NA, "–"),
        (True, "yes"),
        (["a", 2], "a, 2"),
        (np.array([0.5]), "0.5"),
        ({"rock": 3}, "rock 3"),
        ([], "–"),
        ("00012", "00012"),
    ],
)
def test_cells(value: object, expected: str) -> None:
    assert tables.text_of(value) == expected


def test_reasons_add_up(inputs: dict[str, Any]) -> None:
    table = tables.reasons_table(inputs["quarantine_table"])
    assert [row[:2] for row in table.rows] == [
        ("truncated", "4"),
        ("unreadable", "3"),
        ("empty file", "1"),
        ("missing file", "1"),
    ]


def test_nothing_left_out_is_an_empty_table() -> None:
    empty = pd.DataFrame({"track_id": [], "path": [], "artist_id": [], "reason": []}, dtype=object)
    assert tables.reasons_table(empty).rows == ()


def test_shared_artists_are_an_alarm_and_albums_are_not(inputs: dict[str, Any]) -> None:
    table, alarms = tables.leakage_view(inputs["leakage_table"])
    assert table.marked == {0}
    assert len(alarms) == 1
    assert "artists (75 % of the test tracks)" in alarms[0]
    clean = inputs["leakage_table"].assign(shared_test=0, test_tracks_affected=0, test_share_affected=0.0)
    table, alarms = tables.leakage_view(clean)
    assert (table.marked, alarms) == (frozenset(), [])


def test_a_leak_in_one_fold_of_five_is_an_alarm(inputs: dict[str, Any]) -> None:
    one = inputs["leakage_table"].assign(shared_test=0, test_tracks_affected=0)
    folds = pd.concat([one.assign(fold=fold) for fold in range(5)], ignore_index=True)
    at = (folds["fold"] == 3) & (folds["kind"] == "exact duplicates")
    folds.loc[at, ["shared_test", "test_tracks_affected"]] = [1, 7]
    table, alarms = tables.leakage_view(folds)
    assert table.marked == set(np.flatnonzero(at))
    assert alarms == ["Training and test share exact duplicates (1 % of the test tracks): scores are then optimistic."]


def test_the_paper_stands_beneath_and_is_said_not_to_compare(metrics: dict[str, float]) -> None:
    table = tables.scores_table(metrics, paper_result("gsedm", "mtn"))
    assert table.rows[0] == (
        "transfer (this run)",
        "1.480 (1.430 to 1.540)",
        "0.330 (0.280 to 0.390)",
        "0.420 (0.370 to 0.480)",
    )
    assert table.rows[-1] == ("MTN gsedm (paper, FMA medium, stratified)", "0.7727", "0.6571", "not given")
    assert "cannot be compared" in table.note
    assert tables.scores_table(metrics, None).note == ""


def test_comparisons_say_the_verdict(metrics: dict[str, float]) -> None:
    table = tables.comparisons_table(comparisons_of(metrics))
    assert table.rows[0] == ("class priors", "log loss", "−0.130", "−0.200", "−0.060", "< 0.001", "better")
    assert [row[-1] for row in table.rows].count("no difference shown") == 3


def test_training_takes_the_mean_over_folds(history: pd.DataFrame) -> None:
    table = tables.training_table(history)
    assert len(table.rows) == 6
    genre = next(row for row in table.rows if row[:2] == ("mtn", "genre"))
    assert genre[2:] == ("30", f"{1 + (2 / 1 + 2 / 2) / 2:.3f}", f"{1 + (2 / 30 + 2 / 31) / 2:.3f}")


def test_long_tables_say_what_they_leave_out() -> None:
    table = tables.frame_table(pd.DataFrame({"a_b": range(250)}), "numbers", most=200)
    assert len(table.rows) == 200
    assert table.columns == ("a b",)
    assert table.note.startswith("50 more rows")


def test_parameters_become_dotted_keys() -> None:
    flat = tables.flat_parameters({"b": {"y": [1, 2], "x": None}, "a": 1e-5, "c": {}})
    assert flat == {"a": "1e-05", "b.x": "not set", "b.y": "1, 2", "c": "{}"}
    assert list(flat) == ["a", "b.x", "b.y", "c"]


def test_facts_stand_side_by_side() -> None:
    table = tables.facts_table({"s": {"artists": 5, "notes": ["x"]}, "m": {"artists": 4, "uniformity": 0.5}})
    assert table.columns == ("", "subgenres", "MFCC")
    assert table.rows == (("artists", "5", "4"), ("uniformity", "–", "0.5"))
    assert "entropy" in table.note


def test_sides_in_their_order() -> None:
    table = tables.split_table({"fold 0": {"test": 3, "train": 9}, "fold 1": {"train": 8, "validation": 1}})
    assert table.columns == ("fold", "train", "validation", "test")
    assert table.rows == (("0", "9", "0", "3"), ("1", "8", "1", "0"))
