"""The page: whole, safe, self-contained, the same for the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.reporting.browser import assert_a_browser_draws, needs_browser
from tests.reporting.page_checks import (
    assert_equal_bytes_elsewhere,
    assert_names_stay_text,
    assert_nothing_is_fetched,
    assert_whole,
    plots_of,
    words_of,
)

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.page import SECTIONS, render_report

FIGURES = ["left_out", "factors", "training", "scores", "genres", "confusion", "map"]


@pytest.fixture
def page(inputs: dict[str, Any]) -> str:
    """A whole report."""
    return render_report(**inputs)


def test_every_section_and_figure_is_there(page: str) -> None:
    assert_whole(page, headings=["findings", *SECTIONS], figures=FIGURES)
    assert page.count("<table") > 10


def test_it_says_what_was_found(page: str) -> None:
    words = words_of(page)
    assert "Against the class priors: better in log loss and macro F1." in words
    assert "Against the genre-only STN: no difference could be shown in log loss or macro F1." in words
    assert "Training and test share artists (75 % of the test tracks): scores are then optimistic." in words
    assert "MTN gsedm (paper, FMA medium, stratified) 0.7727 0.6571" in words
    assert "921 tracks of 51 artists" in words
    assert "1900 centres instead of 2048" in words


def test_names_from_files_stay_text(page: str) -> None:
    assert_names_stay_text(page)


def test_nothing_is_fetched(page: str) -> None:
    assert_nothing_is_fetched(page)


def test_equal_results_give_equal_bytes(inputs: dict[str, Any], page: str, tmp_path: Path) -> None:
    assert_equal_bytes_elsewhere(page, render_report, inputs, tmp_path)


def test_a_corpus_without_genres_says_why_it_was_not_evaluated(inputs: dict[str, Any]) -> None:
    for name in ("metrics", "per_genre", "confusion"):
        inputs[name] = None
    with pytest.raises(ArtistTransferError, match="skipped"):
        render_report(**inputs)
    reason = "No usable track has a genre."
    page = render_report(**inputs, skipped=reason)
    words = words_of(page)
    assert words.count(reason) == 2
    assert "Against" not in words
    assert "paper, FMA" not in words
    assert plots_of(page) == ["left_out", "factors", "training", "map"]


def test_the_least_that_a_run_can_have(inputs: dict[str, Any]) -> None:
    """Somebody else's features: no factors, no training, nothing left out, nothing to compare with."""
    least = {key: inputs[key] for key in ("counts", "provenance")}
    words = words_of(
        render_report(
            **least,
            quarantine_table=inputs["quarantine_table"].head(0),
            split_facts={"kind": "artist_disjoint"},
            parameters={
                "embeddings": "mert.parquet",
                "corpus_root": "/data/fma",
                "corpus": "fma",
                "tasks": "g",
            },
            metrics={"transfer.log_loss": 1.0, "transfer.f1_macro": 0.5, "transfer.accuracy": 0.5},
        )
    )
    assert "No track was left out." in words
    assert "No net was trained" in words
    assert "learned no artist group factors" in words
    assert "nothing can be said" in words
    assert "Corpus: fma, fma" in words
    assert "features of a file" in words
    assert "paper, FMA" not in words


def test_factors_fitted_on_all_tracks_are_an_alarm(inputs: dict[str, Any], page: str) -> None:
    inputs["parameters"]["fit_on"] = "all"
    assert "fitted on all tracks" in words_of(render_report(**inputs))
    assert "fitted on all tracks" not in words_of(page)


def test_an_artist_disjoint_split_is_said_to_be_clean(inputs: dict[str, Any]) -> None:
    inputs["leakage_table"] = inputs["leakage_table"].assign(shared_test=0, test_tracks_affected=0)
    words = words_of(render_report(**inputs))
    assert "No artist, recording or exact duplicate stands in training and test at once." in words
    assert "optimistic" not in words


def test_a_table_that_lacks_a_column_is_named(inputs: dict[str, Any]) -> None:
    inputs["map_table"] = pd.DataFrame({"artist": ["a"]})
    with pytest.raises(ArtistTransferError, match="map_table: columns missing"):
        render_report(**inputs)


@pytest.mark.slow
@needs_browser
def test_a_browser_draws_it_and_runs_nothing_else(page: str, tmp_path: Path) -> None:
    assert_a_browser_draws(page, tmp_path, plots=len(FIGURES))
