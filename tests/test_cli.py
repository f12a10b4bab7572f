"""Errors of `kedro run` are lines for people, not tracebacks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from kedro.io import DataCatalog, DatasetError
from tests.pipelines.conftest import Project, environment

from artist_transfer.cli import _with_plain_errors, run
from artist_transfer.datasets import CsvDataset, JsonDataset, PlotDataset, TableDataset, TextDataset
from artist_transfer.errors import ArtistTransferError, DeviceLost
from artist_transfer.parameters import check_parameters
from artist_transfer.pipeline_registry import jobs_that_make, pipeline_names


def invoke(callback: Callable[..., Any], *arguments: str) -> Result:
    """Run the command with Kedro's options and with something else than Kedro behind them."""
    return CliRunner().invoke(click.Command("run", params=run.params, callback=_with_plain_errors(callback)), arguments)


def raising(error: Exception) -> Callable[..., Any]:
    def callback(**kwargs: Any) -> None:
        raise error

    return callback


@pytest.mark.parametrize("kind", [CsvDataset, JsonDataset, PlotDataset, TableDataset, TextDataset])
def test_an_input_that_is_not_there_is_one_line_with_what_to_run(
    kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    catalog = DataCatalog({"training_history": kind(str(tmp_path / "data/a b: c.x"))})
    done = invoke(lambda **kwargs: catalog.load("training_history"), "--pipeline=reporting")
    assert done.exit_code == 1
    assert done.stderr == (
        "Error: training_history: data/a b: c.x is not there yet: run `kedro run --pipeline=agf_multitask` first\n"
    )


ANY_NET = "first (or artist_siamese, artist_study, tag_basic)"


@pytest.mark.parametrize(
    ("pipeline", "dataset", "advice"),
    [
        ("artist_evaluation", "artist_nets_manifest", f"artist_basic` {ANY_NET}"),
        ("artist_learning", "usable_table", f"artist_basic` {ANY_NET}"),
        ("recognition", "artist_nets_manifest", "artist_recognition` first (or recognition_study)"),
        ("transfer_evaluation", "nets_weights", "agf_multitask` first"),
        ("group_factors", "usable_table", "agf_multitask` first (or agf_study)"),
        ("artist_study", "artist_nets_manifest", "artist_study` first (or artist_basic, artist_siamese, tag_basic)"),
    ],
)
def test_the_job_that_is_named_makes_what_is_missing(pipeline: str, dataset: str, advice: str, tmp_path: Path) -> None:
    catalog = DataCatalog({dataset: JsonDataset(str(tmp_path / "x"))})
    done = invoke(lambda **kwargs: catalog.load(dataset), f"--pipeline={pipeline}")
    assert done.stderr.endswith(f"is not there yet: run `kedro run --pipeline={advice}\n")


def test_every_table_that_a_room_needs_is_made_by_the_job_that_is_named() -> None:
    for name in pipeline_names():
        room = import_module(f"artist_transfer.pipelines.{name}").create_pipeline()
        for dataset in sorted(each for each in room.inputs() if not each.startswith("param")):
            (job, *_) = jobs_that_make(dataset, asked=name)
            made = import_module(f"artist_transfer.pipelines.{job}").create_pipeline()
            assert dataset in made.all_outputs()
            assert all(each.startswith("param") for each in made.inputs())


def test_a_file_elsewhere_is_named_in_full(tmp_path: Path) -> None:
    catalog = DataCatalog({"x_facts": JsonDataset(str(tmp_path / "x.json"))})
    done = invoke(lambda **kwargs: catalog.load("x_facts"))
    assert done.stderr == f"Error: x_facts: {tmp_path / 'x.json'} is not there yet\n"  # and no job makes it


@pytest.mark.parametrize("error", [DatasetError("x_table: the disk is full"), KeyError("x")])
def test_any_other_error_keeps_its_traceback(error: Exception) -> None:
    assert invoke(raising(error)).exception is error


@pytest.mark.parametrize("kind", [ArtistTransferError, DeviceLost])
def test_the_projects_own_errors_are_one_line(kind: type[Exception]) -> None:
    done = invoke(raising(kind("seed=-1: must be 0 or more")))
    assert (done.exit_code, done.stderr) == (1, "Error: seed=-1: must be 0 or more\n")


def test_an_unknown_pipeline_is_refused_before_kedro_is_called() -> None:
    done = invoke(raising(AssertionError("was called")), "--pipeline=reportin")
    assert done.exit_code == 1
    assert "Did you mean reporting?" in done.stderr


def test_a_good_command_reaches_kedro_with_its_options() -> None:
    seen: dict[str, Any] = {}
    assert invoke(seen.update, "--pipeline=reporting", "--params=seed=3").exit_code == 0
    assert (seen["pipeline"], seen["params"]) == ("reporting", {"seed": 3})


def test_a_file_whose_name_is_a_number_is_told_how_to_be_written() -> None:
    def check(*, params: dict[str, Any], **kwargs: Any) -> None:
        check_parameters({"corpus": "synthetic", **params})

    for key in ("audio", "corpus_root", "embeddings", "cache_root"):
        done = invoke(check, f"--params={key}=000002")
        assert done.exit_code == 1
        assert f"{key}=2: input should be a valid string (Kedro reads bare numbers as numbers" in done.stderr
        assert "./000002" in done.stderr
        assert invoke(check, f"--params={key}=./000002").exit_code == 0
    done = invoke(check, "--params=mlflow_run_id=12")
    assert "Kedro reads bare numbers as numbers" in done.stderr
    assert "./000002" not in done.stderr  # a run is no file
    assert "bare numbers" not in invoke(check, "--params=audio=true").stderr
    assert "bare numbers" not in invoke(check, "--params=seed=x").stderr


@pytest.mark.slow
def test_a_report_on_a_fresh_clone_is_refused_in_words(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kedro", "run", "--pipeline=reporting", "--params=tracking=false"]
    folder = Project.copy(tmp_path / "project").path
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "is not there yet: run `kedro run --pipeline=agf_multitask` first" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


MEL = {"probe": {"min_duration_s": 3}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("query=000002", {"query": "000002"}),
        ("seed=1,query=Albeniz, Isaac", {"seed": 1, "query": "Albeniz, Isaac"}),
        ("query=a, b,search.k=3", {"query": "a, b", "search": {"k": 3}}),
        ("query=1e5,seed=2", {"query": "1e5", "seed": 2}),
        ("encoder=basic,query=/music/a=b.mp3", {"encoder": "basic", "query": "/music/a=b.mp3"}),
        ("query=/music/one, two=three.mp3", {"query": "/music/one, two=three.mp3"}),
        ("query=one, two=three.mp3 , seed=2", {"query": "one, two=three.mp3", "seed": 2}),
        ("query=x, search_k=3,search.k=3", {"query": "x, search_k=3", "search": {"k": 3}}),
        ('query="a, seed=3.mp3",seed=2', {"query": "a, seed=3.mp3", "seed": 2}),
        ('seed=2,query="000002"', {"query": "000002", "seed": 2}),
        ('query="Heroes" (live), 1977', {"query": '"Heroes" (live), 1977'}),
        ("query=a, folds=2,mel.probe.min_duration_s=3", {"query": "a", "folds": 2, "mel": MEL}),
        ("seed=1", {"seed": 1}),
        ("", {}),
    ],
)
def test_a_query_is_taken_as_it_is_written(text: str, found: dict[str, Any]) -> None:
    seen: dict[str, Any] = {}
    done = invoke(lambda **kwargs: seen.update(kwargs["params"] or {}), f"--params={text}")
    assert done.exit_code == 0, done.output
    assert seen == found
