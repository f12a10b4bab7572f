from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from artist_transfer.tracking import operations
from artist_transfer.tracking.mlflow_run import GuardedMlflowHook
from artist_transfer.tracking.process import identity
from artist_transfer.tracking.spool import LINES, REPLAYED, Spool, pending, replay


@pytest.fixture(scope="module")
def uri(tmp_path_factory, empty_database) -> str:
    path = shutil.copyfile(empty_database, tmp_path_factory.mktemp("mlflow") / "mlflow.db")
    return f"sqlite:///{path}"


@pytest.fixture
def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


@pytest.fixture
def run_id(client, tmp_path) -> str:
    found = client.get_experiment_by_name("kept")
    experiment = found.experiment_id if found else client.create_experiment("kept", tmp_path.as_uri())
    return client.create_run(experiment).info.run_id


def dead() -> str | None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = identity(process.pid)
    process.kill()
    process.wait()
    return name


def kept(root: Path, run_id: str | None, *, process: str | None = None, end: bool = True) -> Spool:
    header = {"run_id": run_id, "experiment": "kept", "run_name": "agf", "start": operations.now()}
    header |= {"process": process, "tags": {"corpus": "tiny"}, "params": {"seed": "0"}}
    spool = Spool(root / "one", header)
    file = root / "factor_table.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("as it was")
    spool.append(operations.params({"epochs": "3", "seed": "0"}, label="parameters"))
    spool.append(operations.metrics([("train.g.loss", 1.0 / (n + 1), n) for n in range(2500)], label="history"))
    spool.append(operations.artifact(str(file), folder="05_model_input/mfcc", label="table"))
    file.write_text("as the next run wrote it")
    if end:
        spool.append(operations.end("FINISHED"))
    return spool


def text(client, run_id: str) -> str:
    return Path(client.download_artifacts(run_id, "05_model_input/mfcc/factor_table.txt")).read_text()


def test_everything_goes_into_the_run_it_belongs_to(tmp_path, uri, client, run_id):
    kept(tmp_path, run_id)
    assert pending(tmp_path) == [tmp_path / "one"]
    done = replay(tmp_path / "one", uri)
    run = client.get_run(run_id)
    assert (done.run_id, done.operations, done.refused, done.busy) == (run_id, 4, [], False)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"epochs": "3", "seed": "0"}
    history = client.get_metric_history(run_id, "train.g.loss")
    assert {point.step: point.value for point in history} == {n: 1.0 / (n + 1) for n in range(2500)}
    assert text(client, run_id) == "as it was"
    assert REPLAYED not in run.data.tags
    assert pending(tmp_path) == []


@pytest.mark.parametrize("gone", [None, "0" * 32, "deleted"])
def test_without_its_run_a_new_one_is_made_and_tagged(tmp_path, uri, client, run_id, gone):
    if gone == "deleted":
        client.delete_run(run_id)
        gone = run_id
    spool = kept(tmp_path, gone)
    start = json.loads((spool.folder / "header.json").read_text())["start"]
    done = replay(spool.folder, uri)
    run = client.get_run(done.run_id)
    assert run.data.tags[REPLAYED] == "true"
    assert run.data.tags["corpus"] == "tiny"
    assert run.data.params == {"epochs": "3", "seed": "0"}
    assert (run.info.start_time, run.info.run_name, run.info.status) == (start, "agf", "FINISHED")


def test_a_replay_that_broke_off_logs_nothing_twice(tmp_path, uri, client, run_id, monkeypatch):
    spool = kept(tmp_path, run_id)
    with monkeypatch.context() as patched:
        patched.setitem(operations._PERFORM, "artifact", lambda *_: (_ for _ in ()).throw(ConnectionError("gone")))
        with pytest.raises(ConnectionError):
            replay(spool.folder, uri)
    assert pending(tmp_path) == [spool.folder]
    replay(spool.folder, uri)
    assert len(client.get_metric_history(run_id, "train.g.loss")) == 2500
    assert client.get_run(run_id).info.status == "FINISHED"


def test_the_spool_of_a_process_that_was_killed_ends_the_run_as_killed(tmp_path, uri, client, run_id):
    spool = kept(tmp_path, run_id, process=dead(), end=False)
    with (spool.folder / LINES).open("a") as stream:
        stream.write('{"kind": "metrics", "metr')  # killed while it wrote
    assert replay(spool.folder, uri).operations == 3
    assert client.get_run(run_id).info.status == "KILLED"
    assert text(client, run_id) == "as it was"


def test_the_spool_of_a_run_that_goes_on_is_left_alone(tmp_path, uri, client, run_id):
    spool = kept(tmp_path, run_id, process=identity(), end=False)
    if identity() is not None:
        assert replay(spool.folder, uri).busy
        assert pending(tmp_path) == [spool.folder]
    spool.close()
    assert not replay(spool.folder, uri).busy
    assert client.get_run(run_id).info.status == "RUNNING"  # its process has said, or will say, how it ended


def test_the_spool_of_another_boot_waits_a_day_unless_it_is_asked_for(tmp_path, uri, client, run_id):
    spool = kept(tmp_path, run_id, process="another-boot/1/2/3", end=False)
    assert replay(spool.folder, uri).busy
    assert not replay(spool.folder, uri, force=True).busy
    old = kept(tmp_path, run_id, process="another-boot/1/2/3", end=False)
    a_day_ago = time.time() - 86_500
    os.utime(old.folder / LINES, (a_day_ago, a_day_ago))
    assert not replay(old.folder, uri).busy


def test_a_changed_parameter_becomes_a_tag(client, run_id):
    operations.perform(operations.params({"epochs": "3", "seed": "0"}, label=""), client, run_id)
    operations.perform(operations.params({"epochs": "9", "seed": "0", "new": "1"}, label=""), client, run_id)
    run = client.get_run(run_id)
    assert run.data.params == {"epochs": "3", "seed": "0", "new": "1"}
    assert run.data.tags["changed_parameter.epochs"] == "9"
    assert "changed_parameter.seed" not in run.data.tags


def test_what_mlflow_refuses_is_named_and_the_rest_logged(tmp_path, uri, client, run_id):
    spool = kept(tmp_path, run_id, end=False)
    spool.append({"kind": "metrics", "metrics": [["bad(name)", 1.0, 1, 0]], "label": "bad one"})
    spool.append(operations.end("FAILED"))
    assert replay(spool.folder, uri).refused == ["bad one"]
    assert client.get_run(run_id).info.status == "FAILED"


def test_the_command_replays_and_says_so(tmp_path, uri, client, run_id, capsys):
    from artist_transfer.tracking.__main__ import main

    kept(tmp_path, run_id)
    assert main(["--uri", "http://127.0.0.1:9", "--spool", str(tmp_path)]) == 1
    assert "refused" in capsys.readouterr().err
    assert main(["--uri", uri, "--spool", str(tmp_path)]) == 0
    assert run_id in capsys.readouterr().out
    assert client.get_run(run_id).info.status == "FINISHED"


def children_of(client, run_id: str) -> dict:
    found = client.search_runs([client.get_run(run_id).info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return {run.info.run_name: run for run in found}


CHILD = {"name": "gs-mtn seed 0", "params": {"case": "gs-mtn", "width": None}, "metrics": {"f1_macro": 0.5}}


def test_a_child_run_is_made_once_however_often_it_is_logged(client, run_id):
    operation = operations.child({**CHILD, "tags": {"status": "done"}, "failed": False}, label="a case")
    for _ in range(2):
        operations.perform(operation, client, run_id)
    (run,) = children_of(client, run_id).values()
    assert run.data.params == {"case": "gs-mtn"}
    assert run.data.metrics == {"f1_macro": 0.5}
    assert run.info.status == "FINISHED"
    failed = operations.child({**CHILD, "name": "it's", "metrics": {}, "tags": {}, "failed": True}, label="a case")
    for _ in range(2):
        operations.perform(failed, client, run_id)
    assert {name: run.info.status for name, run in children_of(client, run_id).items()} == {
        "gs-mtn seed 0": "FINISHED",
        "it's": "FAILED",
    }


def test_child_runs_that_were_kept_are_logged_later(tmp_path, uri, client, run_id):
    spool = kept(tmp_path, run_id, end=False)
    spool.append(operations.child({**CHILD, "tags": {}, "failed": False}, label="a case"))
    spool.close()
    assert not replay(spool.folder, uri).refused
    assert list(children_of(client, run_id)) == ["gs-mtn seed 0"]


def test_a_child_run_whose_process_was_killed_is_ended_by_the_next_run(client, run_id, monkeypatch):
    killed = dead()
    if killed is None:
        pytest.skip("this system does not name processes")
    operation = operations.child({**CHILD, "tags": {}, "failed": False}, label="a case")

    def never(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(operations, "identity", lambda: killed)
        patch.setattr(client, "set_terminated", never)
        operations.perform(operation, client, run_id)
    (child,) = children_of(client, run_id).values()
    assert child.info.status == "RUNNING"
    experiment = SimpleNamespace(_experiment=SimpleNamespace(experiment_id=child.info.experiment_id))
    hook = SimpleNamespace(mlflow_config=SimpleNamespace(tracking=SimpleNamespace(experiment=experiment)))
    assert GuardedMlflowHook.bury_the_dead(hook, client) == [child.info.run_id]
    assert client.get_run(child.info.run_id).info.status == "KILLED"
    operations.perform(operation, client, run_id)  # what was kept is written after all
    (again,) = children_of(client, run_id).values()
    assert (again.info.run_id, again.info.status) == (child.info.run_id, "FINISHED")
