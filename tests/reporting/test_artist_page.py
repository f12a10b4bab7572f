from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.reporting import artist_builder as builder
from tests.reporting.browser import assert_a_browser_draws, needs_browser
from tests.reporting.page_checks import (
    assert_equal_bytes_elsewhere,
    assert_names_stay_text,
    assert_nothing_is_empty,
    assert_nothing_is_fetched,
    assert_whole,
    plots_of,
    words_of,
)

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.artist_page import SECTIONS, render_artist_report

FIGURES = [
    "training",
    "differences",
    *(f"n-{metric}" for metric in ("map", "knn_accuracy", "softmax_accuracy", "auc", "ap")),
    "label-gtzan-knn_accuracy",
    "label-magnatagatune-auc",
    "map-artist",
    "map-genre",
]


@pytest.fixture(scope="module")
def page() -> str:
    return render_artist_report(**builder.report())


def test_every_section_and_figure_is_there(page: str) -> None:
    assert_whole(page, headings=["findings", *SECTIONS], figures=FIGURES)
    assert page.count("<table") >= 15


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
    assert "all comparisons (at most 1) are one family, corrected by Holm's method" in words
    assert_nothing_is_empty(words)


def test_names_from_files_stay_text_and_nothing_is_fetched(page: str) -> None:
    assert_names_stay_text(page)
    assert_nothing_is_fetched(page)


def test_equal_results_give_equal_bytes(page: str, tmp_path: Path) -> None:
    assert_equal_bytes_elsewhere(page, render_artist_report, builder.report(), tmp_path)


def test_the_least_that_a_run_can_have() -> None:
    least = render_artist_report(counts={"tracks": 3})
    words = words_of(least)
    assert plots_of(least) == []
    for said in (
        "Nothing was scored in this run.", "No net was trained in this run.", "No artist set was drawn",
        "No track was left out", "No map was made.", "No artists were compared.",
    ):  # fmt: skip
        assert said in words
    assert_nothing_is_empty(words)


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
    assert_nothing_is_empty(words)


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
@needs_browser
def test_a_browser_draws_it_and_runs_nothing_else(page: str, tmp_path: Path) -> None:
    assert_a_browser_draws(page, tmp_path, plots=len(FIGURES))
