from __future__ import annotations

import hashlib
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.reporting import artist_builder as builder
from tests.reporting.browser import BROWSER, Browser

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.artist_page import SECTIONS, render_artist_report

FIGURES = 3 + 5 + 2 + 2 - 1  # training, differences; five metrics; genres and AUC by tag; two maps


def words_of(page: str) -> str:
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def plots_of(page: str) -> list[str]:
    return re.findall(r'<div class="plot" id="figure-([^"]*)"', page)


@pytest.fixture(scope="module")
def page() -> str:
    return render_artist_report(**builder.report())


def test_every_section_and_figure_is_there(page: str) -> None:
    assert re.findall(r'<h2 id="([^"]*)"', page) == ["findings", *SECTIONS]
    assert plots_of(page) == [
        "training",
        "differences",
        *(f"n-{metric}" for metric in ("map", "knn_accuracy", "softmax_accuracy", "auc", "ap")),
        "label-gtzan-knn_accuracy",
        "label-magnatagatune-auc",
        "map-artist",
        "map-genre",
    ]
    assert len(plots_of(page)) == FIGURES
    for name in plots_of(page):
        assert page.count(f'id="figure-{name}-data"') == 1
    assert page.count("<table") == page.count("<caption") >= 15


def test_it_says_what_was_found_and_what_was_left_out(page: str) -> None:
    words = words_of(page)
    assert "siamese_5000_s0 is better than basic_5000_s0" in words
    assert "7 test tracks of FMA small are of artists" in words
    assert "artists with fewer than 20 songs 12" in words
    assert "99ff00aa" in words
    assert "cannot be compared" in words
    assert "paper (MSD) 5,000 0.4968 0.5510 0.5508" in words
    assert "Table 4. Beside other models" in words
    assert "300 of 5,000 tracks were drawn" in words
    assert "Intervals of the average precision of tags lie too high" in words
    assert "draws whole artists or tracks anew, with all their tracks" in words
    assert "all comparisons (at most 1) are one family, corrected by Holm&#39;s method" in words
    assert not re.search(r"\bnan\b|\bNone\b|NaN", words)


def test_names_from_files_stay_text_and_nothing_is_fetched(page: str) -> None:
    assert builder.EVIL not in page
    assert "&lt;script&gt;alert" in page
    assert page.count("* plotly.js v") == 1
    head = page.split("* plotly.js v")[0]
    assert not re.search(r"\bsrc=|<link|<iframe|@import|url\(", head)
    assert "default-src 'none'; script-src 'sha256-" in page


RENDER = """
import hashlib, pickle, sys
from artist_transfer.reporting.artist_page import render_artist_report
with open(sys.argv[1], "rb") as stream:
    print(hashlib.sha256(render_artist_report(**pickle.load(stream)).encode()).hexdigest())
"""


def test_equal_results_give_equal_bytes(page: str, tmp_path: Path) -> None:
    (tmp_path / "inputs").write_bytes(pickle.dumps(builder.report()))
    command = [sys.executable, "-c", RENDER, str(tmp_path / "inputs")]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert found.strip() == hashlib.sha256(page.encode()).hexdigest()


def test_the_least_that_a_run_can_have() -> None:
    least = render_artist_report(counts={"tracks": 3})
    words = words_of(least)
    assert plots_of(least) == []
    for said in (
        "Nothing was scored in this run.", "No net was trained in this run.", "No artist set was drawn",
        "No track was left out", "No map was made.", "No artists were compared.",
    ):  # fmt: skip
        assert said in words
    assert not re.search(r"\bnan\b|\bNone\b", words)


def without_comparisons(inputs: dict[str, Any]) -> None:
    inputs["comparison_table"] = None


def without_intervals(inputs: dict[str, Any]) -> None:
    inputs["score_table"] = inputs["score_table"].assign(low=float("nan"), high=float("nan"))


def of_one_net(inputs: dict[str, Any]) -> None:
    table = inputs["score_table"]
    inputs["score_table"] = table[(table["system"] == "released Siamese") & (table["target"] == "composers")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_comparisons, "No two systems were compared"),
        (without_intervals, "(no interval)"),
        (of_one_net, "1 system scored on composers"),
    ],
)
def test_it_stands_with_less(change: Any, said: str) -> None:
    inputs = builder.report()
    change(inputs)
    words = words_of(render_artist_report(**inputs))
    assert said in words
    assert not re.search(r"\bnan\b|\bNone\b|NaN", words)


def test_a_table_that_lacks_a_column_is_named() -> None:
    inputs = builder.report()
    for name, column, said in (
        ("score_table", "unit", "score_table: columns missing"),
        ("comparison_table", "low", "comparison_table: columns missing"),
        ("history", "validation_loss", "history: columns missing"),
    ):
        with pytest.raises(ArtistTransferError, match=said):
            render_artist_report(**inputs | {name: inputs[name].drop(columns=column)})
    with pytest.raises(ArtistTransferError, match="map_table: columns missing"):
        render_artist_report(**inputs | {"maps": {"artist": pd.DataFrame({"x": [1.0]})}})


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_browser_draws_it_and_runs_nothing_else(page: str, tmp_path: Path) -> None:
    path = tmp_path / "artist.html"
    path.write_text(page, encoding="utf-8")
    with Browser(tmp_path / "profile") as browser:
        browser.open(path.as_uri())
        assert browser.run("document.querySelectorAll('div.js-plotly-plot').length") == FIGURES
    assert browser.complaints == []
    assert {each for each in browser.requests if not each.startswith(("data:", "blob:"))} == {path.as_uri()}
