"""Whole runs of a tiny project, each in a process of its own, against a real MLflow."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from artist_transfer.tracking.facts import PROCESS

ARTIFACTS = {
    "outputs.json",
    "parameters.json",
    "05_model_input/mfcc/factor_table.parquet",
    "06_models/net_history.parquet",
    "06_models/net_weights.json",
    "06_models/net_weights/0123/net.json",
    "06_models/net_weights/0123/net.safetensors",
    "08_reporting/loss_plot.html",
    "08_reporting/loss_plot.json",
    "08_reporting/transfer_metrics.json",
    "memory/some_facts.json",
}


def artifacts(client, run_id: str, folder: str | None = None) -> set[str]:
    found: set[str] = set()
    for entry in client.list_artifacts(run_id, folder):
        found |= artifacts(client, run_id, entry.path) if entry.is_dir else {entry.path}
    return found


def outputs(client, run_id: str) -> dict:
    return json.loads(Path(client.download_artifacts(run_id, "outputs.json")).read_text())


def check_whole(tiny, run, uri: str | None = None) -> None:
    """Assert that a run has everything that the tiny project's run leaves."""
    client = tiny.client(uri)
    assert run.info.status == "FINISHED"
    assert artifacts(client, run.info.run_id) == ARTIFACTS
    assert run.data.metrics["transfer.log_loss"] == 1.5
    assert run.data.metrics["baseline.prior.log_loss"] == 1.75
    losses = client.get_metric_history(run.info.run_id, "fold1.train.s.loss")
    assert sorted((point.step, point.value) for point in losses) == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert run.data.params["training.epochs"] == "3"
    assert run.data.tags["kedro.pipeline"] == "tiny"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, empty_database):
    """A run that went well, in a git repository, and what it printed."""
    from .conftest import Tiny

    tiny = Tiny(tmp_path_factory.mktemp("finished"))
    shutil.copyfile(empty_database, tiny.folder / "mlflow.db")
    for command in (["init", "-q"], ["add", "pyproject.toml"], ["commit", "-q", "-m", "x"]):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *identity, *command], cwd=tiny.folder, check=True)
    return tiny, tiny.run("long=" + "x" * 7000)


def test_one_run_has_everything_that_the_nodes_returned(finished):
    tiny, _ = finished
    (run,) = tiny.runs()
    check_whole(tiny, run)
    records = outputs(tiny.client(), run.info.run_id)
    assert set(records) == {
        "mfcc.factor_table", "net_history", "loss_plot", "net_weights", "huge_table", "anything",
        "transfer_metrics", "some_facts",
    }  # fmt: skip
    assert records["anything"]["node"] == "train"
    assert "huge_table.parquet has" in records["huge_table"]["not_logged"]
    assert records["transfer_metrics"]["without_value"] == ["transfer.auc"]


def test_parameters_are_flat_and_long_ones_are_tags(finished):
    tiny, _ = finished
    (run,) = tiny.runs()
    assert run.data.params == {
        "training.epochs": "3",
        "training.optimiser.name": "adam",
        "training.optimiser.rates": "[0.1, 0.01]",
        "corpus": "synthetic",
        "letters": '["g", "s"]',
        "wait": "",
        "fault": "",
        "tracking": "True",
        "mlflow_run_id": "None",
    }
    assert run.data.tags["long"] == "x" * 7000


def test_the_tags_say_which_code_and_corpus(finished):
    tiny, _ = finished
    tags = tiny.runs()[0].data.tags
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tiny.folder, capture_output=True, text=True, check=True)
    assert tags["git.commit"] == head.stdout.strip()
    assert tags["git.dirty"] == "true"
    assert (tags["corpus"], tags["kedro.env"]) == ("synthetic", "local")
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", tags["artist_transfer.version"])


def test_the_end_says_where_the_run_is_and_what_it_lacks(finished):
    tiny, output = finished
    (run,) = tiny.runs()
    assert f"MLflow: run {run.info.run_id} (FINISHED)" in output
    assert "mlflow ui --backend-store-uri sqlite:///mlflow.db" in output
    (left_out,) = [line for line in output.splitlines() if "not logged in MLflow" in line]
    assert "huge_table.parquet has" in left_out
    assert not tiny.spools()


def test_own_warnings_are_shown_once_and_no_others(finished):
    _, output = finished
    assert output.count("warning: only 3 centres") == 1
    assert "Warning" not in output
    assert "INFO mlflow" not in output and "alembic" not in output


def test_with_the_server_gone_the_run_ends_well_and_the_next_one_catches_up(tiny, empty_database):
    began = time.monotonic()
    output = tiny.run(uri="http://127.0.0.1:9")
    assert time.monotonic() - began < 60
    assert "refused" in output and "parameters" in output and "transfer_metrics" in output
    assert "Traceback" not in output
    assert len(tiny.spools()) == 1
    shutil.copyfile(empty_database, tiny.folder / "mlflow.db")
    assert "1 earlier run is now logged" in tiny.run()
    assert not tiny.spools()
    runs = tiny.runs()
    assert len(runs) == 2
    for run in runs:
        check_whole(tiny, run)
    assert sum(run.data.tags.get("artist_transfer.replayed") == "true" for run in runs) == 1


def test_tracking_can_be_turned_off(tiny):
    assert "MLflow" not in tiny.run("tracking=false")
    assert not (tiny.folder / "mlflow.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("error", 1, "FAILED"),
        ("exit", 143, "KILLED"),
        ("sigterm", 143, "KILLED"),
        ("interrupt", None, "KILLED"),
    ],
)
def test_however_it_ends_the_run_has_its_status(tiny, empty_database, fault, code, status):
    shutil.copyfile(empty_database, tiny.folder / "mlflow.db")
    tiny.run(f"fault={fault}", code=code)
    (run,) = tiny.runs()
    assert run.info.status == status
    assert run.info.end_time
    if fault == "error":
        assert run.data.tags["error"] == "ArtistTransferError: the node has failed"
        assert run.data.tags["error.node"] == "score"
    assert "net_history" in outputs(tiny.client(), run.info.run_id)


@pytest.mark.slow
def test_sigterm_outside_training_ends_the_run(tiny, empty_database):
    shutil.copyfile(empty_database, tiny.folder / "mlflow.db")
    process = tiny.start("run", "--pipelines=tiny", "--params", "wait=go")
    tiny.wait_for("first_node", process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    (run,) = tiny.runs()
    assert (run.info.status, run.data.tags["error"]) == ("KILLED", "SIGTERM")


@pytest.mark.slow
def test_after_sigkill_the_next_run_tells_the_dead_from_the_living(tiny, empty_database):
    shutil.copyfile(empty_database, tiny.folder / "mlflow.db")
    tiny.run("fault=sigkill", code=-9)
    (dead,) = tiny.runs()
    assert dead.info.status == "RUNNING"
    living = tiny.start("run", "--pipelines=tiny", "--params", "wait=go")
    try:
        (tiny.folder / "first_node").unlink()
        tiny.wait_for("first_node", living)
        client = tiny.client()
        assert client.get_run(dead.info.run_id).info.status == "KILLED"
        tiny.run()
        statuses = {run.info.run_id: run.info.status for run in tiny.runs()}
        assert sorted(statuses.values()) == ["FINISHED", "KILLED", "RUNNING"]
    finally:
        (tiny.folder / "go").touch()
        living.communicate(timeout=60)
    assert living.returncode == 0
    assert all(run.data.tags[PROCESS] for run in tiny.runs())


@pytest.mark.slow
def test_a_resumed_run_goes_on_and_says_what_has_changed(tiny, empty_database):
    shutil.copyfile(empty_database, tiny.folder / "mlflow.db")
    tiny.run("fault=error", code=1)
    (run,) = tiny.runs()
    tiny.run(f"mlflow_run_id={run.info.run_id}", "training.epochs=4")
    (resumed,) = tiny.runs()
    assert resumed.info.run_id == run.info.run_id
    assert resumed.info.status == "FINISHED"
    assert resumed.data.params["training.epochs"] == "3"
    assert resumed.data.tags["changed_parameter.training.epochs"] == "4"
    assert len(tiny.client().get_metric_history(run.info.run_id, "train.g.loss")) >= 4


@pytest.mark.slow
def test_a_run_that_mlflow_does_not_know_cannot_be_resumed(tiny, empty_database):
    shutil.copyfile(empty_database, tiny.folder / "mlflow.db")
    output = tiny.run("mlflow_run_id=" + "ab" * 16, code=1)
    assert "mlflow_run_id" in output
    assert not (tiny.folder / "first_node").exists()


@pytest.mark.slow
def test_eight_runs_on_a_fresh_database_all_succeed(tmp_path):
    from .conftest import Tiny

    uri = f"sqlite:///{tmp_path / 'shared/mlflow.db'}"
    projects = [Tiny(tmp_path / str(number)) for number in range(8)]  # Kedro's Parquet files are not for sharing
    processes = [tiny.start("run", "--pipelines=tiny", uri=uri) for tiny in projects]
    results = [(*process.communicate(timeout=300), process.returncode) for process in processes]
    assert [code for _, _, code in results] == [0] * 8, results
    assert [tiny.spools() for tiny in projects] == [[]] * 8, [output[-600:] for output, _, _ in results]
    runs = projects[0].runs(uri)
    assert len(runs) == 8
    for run in runs:
        check_whole(projects[0], run, uri)
        assert "artist_transfer.replayed" not in run.data.tags


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["locked", "corrupt", "folder"])
def test_a_database_that_cannot_be_used_does_not_stop_the_run(tiny, kind):
    path = tiny.folder / "mlflow.db"
    with closing(sqlite3.connect(":memory:" if kind != "locked" else path, isolation_level=None)) as holder:
        if kind == "locked":
            holder.execute("CREATE TABLE t (x)")
            holder.execute("BEGIN EXCLUSIVE")
        elif kind == "corrupt":
            path.write_bytes(b"not what it says" * 500)
        else:
            path.mkdir()
        output = tiny.run()
    assert "not logged: " in output and "data/09_tracking/spool/" in output
    assert "Traceback" not in output
    (spool,) = tiny.spools()
    kinds = [json.loads(line)["kind"] for line in (spool / "operations.jsonl").read_text().splitlines()]
    assert kinds[-1] == "end" and kinds.count("metrics") == 2


@pytest.mark.slow
def test_the_server_is_killed_in_the_middle(tiny, server):
    process = tiny.start("run", "--pipelines=tiny", "--params", "wait=go", uri=server.uri)
    tiny.wait_for("first_node", process)
    server.kill()
    (tiny.folder / "go").touch()
    began = time.monotonic()
    output, errors = process.communicate(timeout=120)
    assert time.monotonic() - began < 30
    assert process.returncode == 0, errors
    assert "refused" in output and "net_history" in output
    assert "Traceback" not in output + errors
    server.restart()
    assert "now logged" in tiny.run(uri=server.uri)
    runs = tiny.runs(server.uri)
    assert len(runs) == 2
    for run in runs:
        check_whole(tiny, run, server.uri)
        assert "artist_transfer.replayed" not in run.data.tags


@pytest.mark.slow
def test_a_server_that_hangs_and_comes_back_before_the_end_misses_nothing(tiny, server):
    process = tiny.start("run", "--pipelines=tiny", "--params", "wait=go", uri=server.uri)
    tiny.wait_for("first_node", process)
    server.send(signal.SIGSTOP)
    (tiny.folder / "go").touch()
    output, errors = process.communicate(timeout=120)
    server.send(signal.SIGCONT)
    assert process.returncode == 0, errors
    assert "no answer" in output
    script = [sys.executable, "-m", "artist_transfer.tracking", "--uri", server.uri]
    subprocess.run(script, cwd=tiny.folder, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    (run,) = tiny.runs(server.uri)
    check_whole(tiny, run, server.uri)


@pytest.mark.slow
def test_kedro_mlflow_commands_know_the_address(tiny, tmp_path):
    fake = tmp_path / "bin/mlflow"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$@" > called\n')
    fake.chmod(0o755)
    process = tiny.start("mlflow", "ui", env={"PATH": f"{fake.parent}:{os.environ['PATH']}"})
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, output + errors
    assert f"--backend-store-uri {tiny.uri}" in (tiny.folder / "called").read_text()
    assert not (tiny.folder / "mlflow.db").exists()
