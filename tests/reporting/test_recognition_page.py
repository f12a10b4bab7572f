from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.reporting import recognition_builder as builder
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
from artist_transfer.evaluation.recognition_protocol import RecognitionProtocol
from artist_transfer.evaluation.recognition_scores import Scored, evaluate_recognition
from artist_transfer.reporting.recognition_page import SECTIONS, render_recognition_page
from artist_transfer.reporting.recognition_saved import det_rows, histogram_rows

OVER = ("eer", "top1", "top5", "min_dcf_0.01", "min_dcf_0.05")
FIGURES = ["systems", "det", "histograms", "matrix-eer", "matrix-top1", *(f"over-{each}" for each in OVER), "hardest"]


@pytest.fixture(scope="module")
def page() -> str:
    return render_recognition_page(**builder.report())


def test_every_section_and_figure_is_there(page: str) -> None:
    assert_whole(page, headings=["findings", *SECTIONS], figures=FIGURES)
    assert page.count("<table") >= 15


def test_it_says_what_was_found_what_was_not_and_on_which_trials(page: str) -> None:
    words = words_of(page)
    for expected in (
        "late fusion (calibrated) · PLDA has the lowest EER 0.162 (95 % interval 0.132 to 0.197)",
        "No difference could be shown from",
        "(after Holm's correction)",
        "More training artists make EER better",
        "is not shown by a paired test",
        "Figures 2 and 3 of the paper print no numbers",
        "0.5852 0.6672 0.6893 0.6893 0.7617",
        "2 artists of the trials were heard",
        "open_music Only 8 unseen artists are tried: intervals are wide",
        "fewer songs than needed 2",
        "artists are drawn with replacement",
        *builder.HASHES,
    ):
        assert expected in words
    assert_nothing_is_empty(words)


def test_names_from_files_stay_text_and_nothing_is_fetched(page: str) -> None:
    assert_names_stay_text(page)
    assert_nothing_is_fetched(page)


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    inputs = builder.few(builder.report())
    page = render_recognition_page(**inputs)
    assert_equal_bytes_elsewhere(page, render_recognition_page, inputs, tmp_path)


def test_one_system_on_one_number_of_artists() -> None:
    page = render_recognition_page(**builder.only(builder.report(), "DeepArtistID", "cosine", 100.0))
    words = words_of(page)
    assert plots_of(page) == ["systems", "det", "histograms", "hardest"]
    for said in (
        "It is the only system.", "No two systems were compared", "trained on one number of artists at most",
        "there is nothing to set beside tables 1 and 2", "1 system, trained on 100 artists, scored on these trials",
        "Figures 2 and 3 of the paper print no numbers",
    ):  # fmt: skip
        assert said in words
    assert_nothing_is_empty(words)


def test_the_least_that_a_run_can_have() -> None:
    page = render_recognition_page(corpus="composers", recognition_score_table=None)
    words = words_of(page)
    assert plots_of(page) == []
    for said in (
        "Nothing was scored in this run.", "Nothing is known of the trials.", "No track was left out",
        "No curve was saved.", "No histogram of scores was saved.", "Nothing was saved by artist.",
        "No other corpus was tried.",
    ):  # fmt: skip
        assert said in words
    other = {"open_music": (builder.score_table().head(0), None)}
    alone = render_recognition_page(corpus="composers", recognition_score_table=None, other_corpora=other)
    assert "open_music Nothing was scored on it." in words_of(alone)
    empty = render_recognition_page(corpus="composers", recognition_score_table=builder.score_table().head(0))
    assert "Nothing was scored in this run." in words_of(empty)


def test_what_the_evaluation_gives_can_be_shown_as_it_is() -> None:
    songs = pd.DataFrame([(f"a{k}", f"a{k}.{song}") for k in range(8) for song in range(4)])
    songs.columns = pd.Index(["artist_id", "track_id"])
    enrolled = songs.index % 4 < 2
    protocol = RecognitionProtocol(songs[enrolled], songs[~enrolled], {"candidates": 9}, {"few": {"b": 1}})
    draw, systems = np.random.default_rng(5), {"near": 2.0, "far": 0.1}
    given = {name: draw.normal(size=(8, 16)) + apart * protocol.targets() for name, apart in systems.items()}
    found = evaluate_recognition([Scored(name, 0, 0, given[name]) for name in systems], {0: protocol}, n_resamples=200)
    labels = found.score_table["system"]
    scores = found.score_table.assign(encoder=labels, scoring="cosine", n_artists_trained=100)
    parts = {name: [(given[name], protocol.targets())] for name in systems}
    page = render_recognition_page(
        corpus="toy",
        recognition_score_table=scores,
        recognition_comparison_table=found.comparison_table,
        det_table=pd.concat([det_rows(name, 100, part) for name, part in parts.items()]),
        score_histogram_table=pd.concat([histogram_rows(name, 100, part) for name, part in parts.items()]),
        artist_table=found.artist_table,
        protocol_facts={0: {"artists": 8, "trials": 128, "hash": protocol.hash, "left_out": protocol.left_out}},
    )
    words = words_of(page)
    assert plots_of(page) == ["systems", "det", "histograms", "matrix-eer", "matrix-top1", "hardest"]
    assert "of 2 systems near · cosine has the lowest EER" in words
    assert protocol.hash in words
    assert "0 few 1 b (1 song)" in words
    assert "Only 8 unseen artists are tried" in words
    assert_nothing_is_empty(words)


def without_intervals(inputs: dict[str, Any]) -> None:
    inputs["recognition_score_table"] = inputs["recognition_score_table"].assign(low=float("nan"), high=float("nan"))


def of_few_artists(inputs: dict[str, Any]) -> None:
    inputs["recognition_score_table"] = inputs["recognition_score_table"].assign(n_units=4)


def without_numbers_of_artists(inputs: dict[str, Any]) -> None:
    table = inputs["recognition_score_table"]
    kept = table["n_artists_trained"].isna()
    names = set(table.loc[kept, "system"])
    for key in ("recognition_score_table", "det_table", "score_histogram_table", "artist_table"):
        inputs[key] = inputs[key][inputs[key]["system"].isin(names)]
    pairs = inputs["recognition_comparison_table"]
    inputs["recognition_comparison_table"] = pairs[pairs["first"].isin(names) & pairs["second"].isin(names)]


def of_albums_left_out(inputs: dict[str, Any]) -> None:
    for facts in inputs["protocol_facts"].values():
        facts["left_out"] = {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_intervals, "(no interval)"),
        (of_few_artists, "Only 4 unseen artists are tried: so few can show no difference"),
        (without_numbers_of_artists, "Systems were trained on one number of artists at most"),
        (of_albums_left_out, "No artist and no song was left out of the trials."),
    ],
)
def test_it_stands_with_less(change: Any, said: str) -> None:
    inputs = builder.few(builder.report())
    change(inputs)
    words = words_of(render_recognition_page(**inputs))
    assert said in words
    assert_nothing_is_empty(words)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("recognition_score_table", "encoder"),
        ("recognition_comparison_table", "low"),
        ("det_table", "miss"),
        ("score_histogram_table", "left"),
        ("artist_table", "eer"),
        ("transfer_score_table", "target"),
    ],
)
def test_a_table_that_lacks_a_column_is_named(name: str, column: str) -> None:
    inputs = builder.few(builder.report())
    what = "transfer scores" if name == "transfer_score_table" else name
    with pytest.raises(ArtistTransferError, match=rf"{what}: columns missing: \['{column}'\]"):
        render_recognition_page(**inputs | {name: inputs[name].drop(columns=column)})


def test_curves_of_a_system_without_a_score_are_refused() -> None:
    inputs = builder.few(builder.report())
    curves = pd.concat([inputs["det_table"], inputs["det_table"].head(3).assign(system="who")])
    with pytest.raises(ArtistTransferError, match="det_table: the system 'who' has no score"):
        render_recognition_page(**inputs | {"det_table": curves})


@pytest.mark.slow
@needs_browser
def test_a_browser_draws_it_and_runs_nothing_else(page: str, tmp_path: Path) -> None:
    assert_a_browser_draws(page, tmp_path, plots=len(FIGURES))
