"""What a run prints at its end."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from artist_transfer.datasets import CsvDataset, JsonDataset, TextDataset
from artist_transfer.summary import SummaryHooks

KINDS = {"metrics": JsonDataset, "facts": JsonDataset, "csv": CsvDataset, "report": TextDataset}


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Save outputs as a run does, and give what is printed of them."""
    monkeypatch.setenv("COLUMNS", "120")

    def print_of(**outputs: Any) -> str:
        catalog = DataCatalog({name: KINDS[name.split("_")[-1]](str(tmp_path / name)) for name in outputs})
        for name, data in outputs.items():
            catalog.save(name, data)
        pipeline = Pipeline([Node(lambda: None, None, name, name=name) for name in outputs])
        SummaryHooks().after_pipeline_run({}, pipeline, catalog)
        return capsys.readouterr().out

    return print_of


def scores(*names: str) -> dict[str, float]:
    return {
        key: value
        for number, name in enumerate(names)
        for key, value in {name: number + 0.5, f"{name}_low": number + 0.25, f"{name}_high": number + 0.75}.items()
    }


def test_transfer_comes_first_and_then_the_baselines(summary: Any) -> None:
    names = ["baseline.stn_g", "difference.stn_g", "baseline.prior", "transfer"]
    said = summary(transfer_metrics=scores(*(f"{name}.log_loss" for name in names)))
    assert said.index("transfer (this run)") < said.index("class priors") < said.index("genre-only STN")
    assert "difference" not in said and "stn_g" not in said and "baseline" not in said
    assert "log loss" in said
    assert "3.500 [3.250, 3.750]" in said


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        ({"level": 0.95}, "Scores with their 95 % intervals"),
        ({"level": 0.9}, "Scores with their 90 % intervals"),
        ({"level": 0.975}, "Scores with their 97.5 % intervals"),
        ({"skipped": "no genres"}, "Scores with their intervals"),
        (None, "Scores with their intervals"),
    ],
)
def test_the_level_is_the_one_that_was_asked_for(summary: Any, facts: dict[str, Any] | None, title: str) -> None:
    known = {} if facts is None else {"interval_facts": facts}
    assert title in summary(transfer_metrics=scores("transfer.log_loss"), **known)


def test_a_bound_without_value_is_a_dash(summary: Any) -> None:
    metrics = scores("transfer.log_loss") | {"transfer.log_loss_low": math.nan, "transfer.log_loss_high": math.nan}
    said = summary(transfer_metrics=metrics)
    assert "0.500 [–, –]" in said
    assert "nan" not in said


def test_a_score_that_only_one_system_has_is_empty_for_the_other(summary: Any) -> None:
    said = summary(transfer_metrics=scores("transfer.log_loss", "baseline.prior.accuracy"))
    (row,) = [line for line in said.splitlines() if "transfer" in line]
    assert row.count("[") == 1


def test_without_scores_there_is_no_table(summary: Any) -> None:
    assert summary(transfer_metrics={}) == ""


def test_a_table_for_a_spreadsheet_is_printed_with_its_place(summary: Any, tmp_path: Path) -> None:
    table = pd.DataFrame({"path": [f"{k}.mp3" for k in range(43)], "p_rock": [0.25] * 43})
    said = summary(genre_csv=table)
    assert "p_rock" in said
    assert "0.250" in said
    assert "39.mp3" in said
    assert "40.mp3" not in said
    assert "3 more rows in the file" in " ".join(said.split())
    assert said.endswith(f"Table: {(tmp_path / 'genre_csv').as_posix()}\n")


def test_a_report_is_named(summary: Any, tmp_path: Path) -> None:
    said = summary(page_report="<p>")
    assert said == f"Report: {(tmp_path / 'page_report').as_posix()}\n"


def test_names_that_look_like_markup_are_printed_as_they_are(summary: Any) -> None:
    metrics = scores("transfer.[blue]loss", "baseline.[red]x.[blue]loss")
    said = summary(transfer_metrics=metrics, genre_csv=pd.DataFrame({"[b]path": ["[red]x", "[/]"]}))
    for text in ("│ [red]x ", "[blue]loss", "[b]path", "[red]x", "[/]"):
        assert text in said


NAMES = ("cllr", "eer", "min_dcf_001", "min_dcf_005", "top1", "top5")


@pytest.mark.parametrize("columns", [80, 100, 250])
def test_many_scores_of_many_systems_can_be_read(summary: Any, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    systems = ("basic+discriminant.cosine_s_norm", "gmm_ubm", "late.cosine_calibrated")
    said = summary(recognition_metrics=scores(*(f"self.{system}.{name}" for system in systems for name in NAMES)))
    lines = said.splitlines()
    for system in systems:
        (row,) = [line for line in lines if f"│ {system} " in line]
        assert row.count("│") == 4 if columns < 250 else 8
    assert "…" not in said and "self." not in said
    assert max(map(len, lines)) <= columns
    left = "minDCF (0.01), minDCF (0.05), Cllr (bits), top-5 accuracy: in the report"
    assert (left in " ".join(said.split())) == (columns < 250)


def test_corpora_stay_in_the_names_where_there_are_several(summary: Any) -> None:
    said = summary(recognition_metrics=scores("self.gmm_ubm.eer", "other.gmm_ubm.eer"))
    assert "self: gmm_ubm" in said and "other: gmm_ubm" in said


def test_nets_go_by_the_names_of_the_page_and_few_scores_stand_in_a_narrow_terminal(
    summary: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    systems = ("basic-1000", "siamese-5-with-discriminant", "mfcc")
    names = ("map", "knn_accuracy", "softmax_accuracy", "neural_accuracy")
    said = summary(artist_metrics=scores(*(f"self.{system}.{name}" for system in systems for name in names)))
    lines = said.splitlines()
    for label in ("Basic, 1,000 artists", "Siamese + discriminant, 5 artists", "mfcc"):
        assert sum(f"│ {label} " in line and line.count("[") == 2 for line in lines) == 1, label
    assert "k-NN accuracy" in said and "linear softmax accuracy, neural network accuracy: in the report" in said


def test_cases_and_numbers_of_artists_are_told_in_words(summary: Any) -> None:
    said = summary(
        study_metrics=scores("case.gs-mtn.f1_macro", "case.prior.f1_macro"),
        recognition_metrics=scores("self.basic.cosine.1000.eer", "self.gmm_ubm.eer"),
    )
    for label in ("gs-mtn", "class priors", "macro F1", "basic.cosine (1,000)", "gmm_ubm", "EER"):
        assert label in said
    assert "case" not in said and "self" not in said


def test_scores_without_a_chosen_few_are_all_shown(summary: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    said = summary(transfer_metrics=scores(*(f"transfer.score{k}" for k in range(4))))
    assert said.count("[") == 4


def test_answers_are_a_line_a_file(summary: Any, tmp_path: Path) -> None:
    answers = pd.DataFrame(
        [
            ("song.mp3", "The Feral [b]Żuraw, No. 65", 1, "0065", "The Feral [b]Żuraw, No. 65", 7.0512, 6.93, ""),
            ("song.mp3", "The Feral [b]Żuraw, No. 65", 2, "0001", "Anna", 1.0, 6.93, ""),
            ("x.ogg", "none of them", 1, "0007", "007", 0.2, 6.93, ""),
            ("broken.wav", "", None, "", "", None, None, "unreadable"),
        ],
        columns=["file", "answer", "rank", "artist_id", "artist", "score", "threshold", "reason"],
    )
    assert summary(recognised_csv=answers).splitlines() == [
        "song.mp3: The Feral [b]Żuraw, No. 65 (7.05, threshold 6.93)",
        "x.ogg: none of them (closest: 007 0.20, threshold 6.93)",
        "broken.wav: not recognised (unreadable)",
        f"Table: {(tmp_path / 'recognised_csv').as_posix()}",
    ]
