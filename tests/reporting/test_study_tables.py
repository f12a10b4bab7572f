"""The study's tables say what was scored, what was not, and what is the paper's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.reporting import study_builder as builder

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting import study_tables, study_views
from artist_transfer.reporting.paper import LABEL, TABLE_4
from artist_transfer.reporting.tables import Table


def words(table: Table) -> str:
    return " ".join(cell for row in table.rows for cell in row).replace("\N{NO-BREAK SPACE}", " ")


def test_table_4_has_every_combination_with_its_score() -> None:
    table = study_tables.table_4(builder.score_table(), builder.case_table())
    grid = table[table["section"] == "combinations"]
    assert set(grid["label"]) == set(TABLE_4)
    scores = builder.score_table().set_index("case")
    for row in grid.to_dict("records"):
        for net in ("stn", "mtn"):
            case = f"{row['label']}-{net if len(row['label']) > 1 else 'stn'}"
            assert row[f"{net}_case"] == case
            if case in scores.index:
                assert row[f"{net}_status"] == "done"
                for end in ("log_loss", "f1_macro_low", "accuracy_high"):
                    assert row[f"{net}_{end}"] == scores.loc[case, end]
            else:
                assert (case, row[f"{net}_reason"]) == ("gdm-mtn", builder.FAILURE)
                assert np.isnan(row[f"{net}_log_loss"])


def test_table_4_has_every_case_of_the_study() -> None:
    table = study_tables.table_4(builder.score_table(), builder.case_table())
    found = set(table["stn_case"].dropna()) | set(table["mtn_case"].dropna())
    assert found == set(builder.case_table()["case"])
    sections = list(dict.fromkeys(table["section"]))
    assert sections == ["combinations", "wide nets", "baselines", "controls"]
    views = study_views.view_4(table)
    for row in builder.case_rows():
        if row["kind"] != "grid":
            assert row["case"] in [cells[0] for cells in views[1].rows]
    assert f"failed: {builder.FAILURE}" in words(views[0])
    assert "skipped: no artist has two tracks" in words(views[1])
    assert "nan" not in words(views[0]) + words(views[1])


def test_the_papers_columns_say_whose_they_are() -> None:
    tables = {
        "4": study_tables.table_4(builder.score_table(), builder.case_table()),
        "3": study_tables.table_3(builder.mean_table()),
        "figure 3": study_tables.figure_3(builder.mean_table()),
        "5": study_tables.table_5(builder.best_table(), builder.comparison_table()),
    }
    printed = {value for pair in TABLE_4.values() for each in pair if each for value in each}
    for name, table in tables.items():
        assert any(LABEL in column for column in table.columns), name
        for column in table.columns:
            if LABEL not in column:
                assert not printed & set(table[column].dropna()), (name, column)
    row = tables["4"].set_index("label").loc["gsedm"]
    assert row[f"mtn_log_loss ({LABEL})"] == 0.7727
    assert np.isnan(tables["4"].set_index("label").loc["g", f"mtn_log_loss ({LABEL})"])


def test_saved_columns_are_numbers(tmp_path: Path) -> None:
    tables = [
        study_tables.table_4(builder.score_table(), builder.case_table()),
        study_tables.table_3(builder.mean_table()),
        study_tables.table_5(builder.best_table(), builder.comparison_table()),
        study_tables.figure_3(builder.mean_table()),
    ]
    for k, table in enumerate(tables):
        for column in table.columns:
            if any(metric in column for metric in ("log_loss", "f1_macro", "accuracy", "value", "effect")):
                assert pd.api.types.is_float_dtype(table[column]), column
        table.to_parquet(tmp_path / f"{k}.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{k}.parquet"), table)


def test_a_study_of_two_cases_says_what_was_not_run() -> None:
    cases = builder.case_table()
    cases = cases[cases["case"].isin(["g-stn", "gs-mtn"])]
    table = study_tables.table_4(builder.score_table(["g-stn", "gs-mtn"]), cases).set_index("label")
    assert list(table.loc["g", ["stn_status", "mtn_status"]]) == ["done", "done"]
    assert list(table.loc["gs", ["stn_status", "mtn_status"]]) == ["not run", "done"]
    assert len(table) == 31


def test_table_3_is_the_means_and_the_papers() -> None:
    table = study_tables.table_3(builder.mean_table()).set_index(["group", "architecture"])
    means = builder.mean_table().set_index(["group", "architecture", "metric"])
    for key in table.index:
        assert table.loc[key, "log_loss"] == means.loc[(*key, "log_loss"), "value"]
        assert table.loc[key, "f1_macro_high"] == means.loc[(*key, "f1_macro"), "high"]
    assert table.loc[("without_g", "mtn"), f"log_loss ({LABEL})"] == 0.9618
    assert (table.loc[("with_g", "mtn"), "n_cases"], table.loc[("with_g", "mtn"), "n_planned"]) == (14, 15)
    view = study_views.view_3(table.reset_index())
    assert "14 of 15" in words(view)
    assert "cannot" in view.note


def test_table_5_sets_the_honest_choice_beside_the_best() -> None:
    table = study_tables.table_5(builder.best_table(), builder.comparison_table())
    at = (table["metric"] == "log_loss") & (table["n_tasks"] == 3)
    rows = table[at].set_index("architecture")
    assert list(rows.index) == ["wstn", "stn", "mtn"]
    assert rows.loc["stn", "honest_value"] > rows.loc["stn", "value"]
    assert rows.loc["mtn", f"value ({LABEL})"] == 0.8335
    assert rows.loc["stn", "wstn_effect"] == 0.01
    assert np.isnan(rows.loc["wstn", "wstn_effect"])
    view = study_views.view_5(table)
    assert {row[0] for row in view.rows} == {"log loss", "macro F1"}  # the paper's; accuracy is in the saved table
    assert "accuracy" in set(table["metric"])


def test_ablations_mark_the_default_and_name_what_was_skipped() -> None:
    view = study_views.ablations(builder.ablation_table())
    assert sum("(default)" in row[1] for row in view.rows) == 6
    assert len(view.rows) == len(builder.ablation_table())
    skipped = next(row for row in view.rows if row[1] == "160")
    assert skipped[3] == "skipped: 160 groups for 51 artists"
    other_tracks = next(row for row in view.rows if row[1] == "stratified")
    assert other_tracks[-2:] == ("–", "–")


def test_comparisons_show_effect_interval_and_corrected_p() -> None:
    view = study_views.comparisons(builder.comparison_table())
    assert len(view.rows) == len(builder.comparison_table())
    row = [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in view.rows[0]]
    assert row[:9] == [
        "STN with g", "STN, the same without g", "15/15", "log loss", "−0.081", "−0.120 to −0.040",
        "< 0.001", "< 0.001", "first better",
    ]  # fmt: skip
    assert view.columns[9] == LABEL


def test_nothing_at_all_makes_empty_tables() -> None:
    empty = pd.DataFrame()
    assert len(study_tables.table_4(empty, empty)) == 31
    assert set(study_tables.table_4(empty, empty)["stn_status"]) == {"not run"}
    assert study_tables.table_3(empty)["log_loss"].isna().all()
    assert study_views.view_5(study_tables.table_5(empty)).rows == ()
    for show in (study_views.comparisons, study_views.ablations, study_views.groups, study_views.cases):
        assert show(None).rows == show(empty).rows == ()


def test_a_table_that_lacks_a_column_is_named() -> None:
    with pytest.raises(ArtistTransferError, match=r"best_table: columns missing: \['case'\]"):
        study_tables.table_5(builder.best_table().drop(columns="case"))
