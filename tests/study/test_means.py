"""Means of groups of cases: the groups are the paper's if its table 3 comes out of its table 4."""

from __future__ import annotations

import numpy as np
import pytest
from tests.study.conftest import case_table, noise, study_predictions, world

from artist_transfer.reporting.paper import TABLE_4
from artist_transfer.study.means import mean_groups, mean_table
from artist_transfer.study.scores import CaseScores
from artist_transfer.tasks import in_order

TABLE_3 = {  # (log loss, F1) as printed
    ("without_g", "stn"): (1.0079, 0.4932),
    ("without_g", "mtn"): (0.9618, 0.5168),
    ("with_g", "stn"): (0.8540, 0.6154),
    ("with_g", "mtn"): (0.8486, 0.6155),
}


def paper_value(case: str) -> tuple[float, float]:
    tasks, architecture = case.split("-")
    both = {in_order(letters): values for letters, values in TABLE_4.items()}[tasks]
    found = both[architecture == "mtn"]
    assert found is not None
    return found


@pytest.mark.parametrize("cell", TABLE_3)
def test_the_papers_table_3_is_the_mean_of_its_table_4(cell) -> None:
    values = np.mean([paper_value(case) for case in mean_groups()[cell]], axis=0)
    np.testing.assert_allclose(values, TABLE_3[cell], atol=1.01e-4)


def test_sizes_of_the_groups() -> None:
    groups = mean_groups()
    expected = {("with_g", "stn"): 16, ("with_g", "mtn"): 15, ("without_g", "stn"): 15, ("without_g", "mtn"): 11}
    for n, size in ((1, 5), (2, 10), (3, 10), (4, 5), (5, 1)):
        expected |= {(f"n_tasks={n}", "stn"): size, (f"n_tasks={n}", "mtn"): size}
    assert {key: len(set(cases)) for key, cases in groups.items()} == expected
    assert groups["n_tasks=1", "mtn"] == groups["n_tasks=1", "stn"]


def test_values_are_means_over_what_is_done() -> None:
    cases = case_table("gse")
    cases.loc[cases["case"] == "gs-mtn", ["status", "reason"]] = ("failed", "out of memory")
    artist, truth, draw = world(20, 2, 0)
    predictions = study_predictions(noise(list(cases["case"]), artist, draw), artist=artist, truth=truth)
    scores = CaseScores.from_predictions(predictions, n_resamples=100)
    table = mean_table(scores, cases, tasks="gse").set_index(["group", "architecture", "metric"])
    by_case = scores.score_cases().set_index("case")
    found = table.loc["with_g", "mtn", "log_loss"]
    assert (found["n_cases"], found["n_planned"]) == (2, 3)
    assert found["value"] == pytest.approx(by_case.loc[["ge-mtn", "gse-mtn"], "log_loss"].mean())
    assert found["low"] < found["value"] < found["high"]
    assert set(table.index.get_level_values("group")) == {"with_g", "without_g", *(f"n_tasks={n}" for n in (1, 2, 3))}


def test_a_group_without_a_case_is_left_out() -> None:
    cases = case_table("gse")
    cases = cases[cases["case"].isin(["g-stn", "gs-stn"])]
    artist, truth, draw = world(8, 2, 0)
    predictions = study_predictions(noise(list(cases["case"]), artist, draw), artist=artist, truth=truth)
    table = mean_table(CaseScores.from_predictions(predictions, n_resamples=10), cases, tasks="gse")
    assert set(zip(table["group"], table["architecture"])) == {
        ("with_g", "stn"),
        ("n_tasks=1", "stn"),
        ("n_tasks=1", "mtn"),
        ("n_tasks=2", "stn"),
    }
