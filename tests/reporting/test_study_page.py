"""The page of a study: whole, honest, safe, self-contained, the same for the same tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.reporting import study_builder as builder
from tests.reporting.browser import assert_a_browser_draws, needs_browser
from tests.reporting.page_checks import (
    Reader,
    assert_equal_bytes_elsewhere,
    assert_names_stay_text,
    assert_nothing_is_empty,
    assert_nothing_is_fetched,
    assert_whole,
    plots_of,
    words_of,
)

from artist_transfer.reporting.paper import LABEL, TABLE_4
from artist_transfer.reporting.study_page import SECTIONS, render_study

FIGURES = ["cases", "replicates", "figure_3", "forest", "ablations", "groups"]


@pytest.fixture(scope="module")
def page() -> str:
    """A whole page."""
    return render_study(**builder.study(n_replicates=3))


def test_every_section_table_and_figure_is_there(page: str) -> None:
    assert_whole(page, headings=SECTIONS, figures=FIGURES)
    assert page.count("<table") == 11


def test_every_case_and_every_reason_is_there(page: str) -> None:
    words = words_of(page)
    for row in builder.case_rows():
        assert re.search(rf"(?<![\w-]){re.escape(row['case'])}(?![\w-])", words), row["case"]
    assert f"failed: {builder.FAILURE}" in words
    assert "skipped: no artist has two tracks" in words
    assert "artist_vs_g:mtn: no complete pair of cases: ga-mtn skipped." in words
    assert "skipped: 160 groups for 51 artists" in words


def test_sentences_come_before_tables(page: str) -> None:
    words = words_of(page)
    first_table = words.index("Table 4.")
    for text in ("Corpus composers: 921", "Of 16 questions", "no difference could be shown", "Of 70 cases"):
        assert words.index(text) < first_table
    assert "Holm" in words
    assert "optimistic" not in words


def test_what_one_seed_shows_is_shown_for_its_nets(page: str) -> None:
    said = ("Shown for these nets (one seed)", "shown is shown for these nets", "Better is better for these nets")
    words = words_of(render_study(**builder.study(n_replicates=1)))
    for text in (*said, "the second, each for these nets (one seed);"):
        assert text in words
        assert text not in words_of(page)
    assert "Shown," not in words
    assert "Shown, in the paper's direction" in words_of(page)


def test_shared_artists_and_leaking_factors_are_red() -> None:
    study = builder.study()
    study["facts"] |= {"split": "stratified", "fit_on": "all"}
    alarms = [attrs for tag, attrs in Reader(render_study(**study)).elements if attrs.get("class") == "alarm"]
    assert len(alarms) == 3  # and the one without JavaScript


def test_the_papers_numbers_stand_under_its_label_only(page: str) -> None:
    """Each number of table 4 that is shown stands in a cell under the label, or right after it."""
    printed = {f"{value:.4f}" for pair in TABLE_4.values() for each in pair if each for value in each}
    body = re.sub(r"<script.*?</script>|<style>.*?</style>", "", page, flags=re.S)
    seen = 0
    for table in re.findall(r"<table>.*?</table>", body, flags=re.S):
        heads = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", table)
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", table.partition("<tbody>")[2]):
            cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
            for head, cell in zip(heads, cells, strict=True):
                seen += cell in printed
                assert cell not in printed or LABEL in head, (head, cell)
    assert seen >= len(printed)
    assert not printed & set(re.findall(r"\d\.\d{4}", re.sub(r"<table>.*?</table>", "", body, flags=re.S)))


def test_names_from_files_stay_text(page: str) -> None:
    assert_names_stay_text(page)


def test_nothing_is_fetched(page: str) -> None:
    assert_nothing_is_fetched(page)
    own = page.replace(Reader(page).scripts[-2], "")
    assert "http://" not in own
    assert "https://" not in own


def test_equal_tables_give_equal_bytes(page: str, tmp_path: Path) -> None:
    assert_equal_bytes_elsewhere(page, render_study, builder.study(n_replicates=3), tmp_path)


def without_choices(study: dict[str, Any]) -> None:
    study |= {"ablation_table": None, "groups_table": pd.DataFrame()}


def of_two_cases(study: dict[str, Any]) -> None:
    two = ["g-stn", "gs-mtn"]
    cases = study["case_table"]
    study |= {"case_table": cases[cases["case"].isin(two)], "score_table": builder.score_table(two)}
    study |= {"comparison_table": study["comparison_table"].head(0), "best_table": study["best_table"].head(0)}
    without_choices(study)


def of_one_unit(study: dict[str, Any]) -> None:
    for name in ("score_table", "mean_table", "comparison_table", "best_table", "ablation_table"):
        table = study[name].copy()
        ends = [column for column in table if column.endswith(("low", "high", "_p")) or column in ("p", "p_holm")]
        table[ends] = np.nan
        study[name] = table
    study["score_table"]["n_units"] = 1
    study["comparison_table"]["verdict"] = "no difference shown"


def of_nothing(study: dict[str, Any]) -> None:
    study["case_table"] = study["case_table"].assign(status="failed", reason="no space left on the device")
    for name in ("score_table", "mean_table", "comparison_table", "best_table", "ablation_table", "groups_table"):
        study[name] = pd.DataFrame()


@pytest.mark.parametrize(
    ("change", "said", "plots"),
    [
        (without_choices, ("No other choice was tried",), ["cases", "figure_3", "forest"]),
        (of_two_cases, ("No comparison could be made", "not run", "2 of them"), ["cases", "figure_3"]),
        (of_one_unit, ("no difference of any size could have been shown", "1 artist"), None),
        (of_nothing, ("70 failed", "no space left on the device", "nothing is shown", "No baseline was scored"), []),
    ],
)
def test_it_stands_with_less(change: Any, said: tuple[str, ...], plots: list[str] | None) -> None:
    study = builder.study()
    change(study)
    page = render_study(**study)
    words = words_of(page)
    for text in said:
        assert text in words
    assert_nothing_is_empty(words)
    if plots is not None:
        assert plots_of(page) == plots


def test_it_needs_no_facts() -> None:
    words = words_of(render_study(**builder.study() | {"facts": {}}))
    assert "Corpus not named" in words
    assert "How long the nets were trained is not stated." in words
    assert "Whether artists stand in training and in test at once is not stated." in words


@pytest.mark.slow
@needs_browser
def test_a_browser_draws_it_and_runs_nothing_else(page: str, tmp_path: Path) -> None:
    assert_a_browser_draws(page, tmp_path, plots=len(FIGURES))
