"""The page of a study: whole, honest, safe, self-contained, the same for the same tables."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.reporting import study_builder as builder
from tests.reporting.test_page import Reader

from artist_transfer.reporting.paper import LABEL, TABLE_4
from artist_transfer.reporting.study_page import SECTIONS, render_study

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def page() -> str:
    """A whole page."""
    return render_study(**builder.study(n_replicates=3))


def words_of(page: str) -> str:
    return Reader(page).words.replace("\N{NO-BREAK SPACE}", " ")


def plots_of(page: str) -> list[str]:
    return [str(attrs["id"]) for _, attrs in Reader(page).elements if attrs.get("class") == "plot"]


def test_every_section_table_and_figure_is_there(page: str) -> None:
    reader = Reader(page)
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert set(SECTIONS) <= set(ids)
    names = ("cases", "replicates", "figure_3", "forest", "ablations", "groups")
    assert plots_of(page) == [f"figure-{name}" for name in names]
    count = [tag for tag, _ in reader.elements]
    assert count.count("table") == count.count("caption") == 11
    assert count.count("h1") == 1


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
    reader = Reader(page)
    assert builder.EVIL not in page
    assert builder.EVIL in reader.words
    kinds = [attrs.get("type") for tag, attrs in reader.elements if tag == "script"]
    assert kinds == ["application/json"] * 6 + [None, None]
    assert not any(name.startswith("on") for _, attrs in reader.elements for name in attrs)


def test_nothing_is_fetched(page: str) -> None:
    reader = Reader(page)
    (policy,) = [attrs["content"] or "" for _, attrs in reader.elements if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert page.count("* plotly.js v") == 1
    for tag, attrs in reader.elements:
        assert "src" not in attrs
        assert tag not in ("link", "iframe", "object", "embed")
        assert (attrs.get("href") or "#").startswith("#")
    own = page.replace(reader.scripts[-2], "")
    assert "http://" not in own
    assert "https://" not in own
    assert "url(" not in own


RENDER = """
import hashlib
from artist_transfer.reporting.study_page import render_study
from tests.reporting.study_builder import study
print(hashlib.sha256(render_study(**study(n_replicates=3)).encode()).hexdigest())
"""


def test_equal_tables_give_equal_bytes(page: str) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", RENDER], env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == hashlib.sha256(page.encode()).hexdigest()


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
    assert not re.search(r"\bnan\b|\bNone\b|NaN", words)
    if plots is not None:
        assert plots_of(page) == [f"figure-{name}" for name in plots]


def test_it_needs_no_facts() -> None:
    words = words_of(render_study(**builder.study() | {"facts": {}}))
    assert "Corpus not named" in words
    assert "How long the nets were trained is not stated." in words
    assert "Whether artists stand in training and in test at once is not stated." in words


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_browser_draws_it_and_runs_nothing_else(page: str, tmp_path: Path) -> None:
    path = tmp_path / "study.html"
    path.write_text(page, encoding="utf-8")
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]
    command += ["--virtual-time-budget=8000", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert len(re.findall(r'<div class="plot js-plotly-plot', done.stdout)) == 6
    assert "CONSOLE" not in done.stderr
    assert "Content Security Policy" not in done.stderr
