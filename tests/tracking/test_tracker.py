from __future__ import annotations

import shutil
import socket
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from artist_transfer.tracking import operations, tracker
from artist_transfer.tracking.spool import Spool
from artist_transfer.tracking.tracker import Tracker, replay_others


@pytest.fixture
def tracked(tmp_path, empty_database) -> Tracker:
    from mlflow import MlflowClient

    shutil.copyfile(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    run = client.create_run(client.create_experiment("tiny", (tmp_path / "mlruns").as_uri()))
    header = {"run_id": run.info.run_id, "experiment": "tiny", "run_name": "x", "start": 0, "process": None}
    spool = Spool(tmp_path / "spool/one", {**header, "tags": {}, "params": {}})
    return Tracker(uri=uri, spool=spool, client=client, run_id=run.info.run_id)


def one(name: str, value: float = 1.0) -> operations.Operation:
    return operations.metrics([(name, value, 0)], label=name)


def logged(tracked: Tracker) -> dict[str, float]:
    return tracked.client.get_run(tracked.run_id).data.metrics


def test_while_mlflow_is_there_nothing_is_kept(tracked):
    tracked.log(one("a"))
    assert logged(tracked) == {"a": 1.0}
    assert not tracked.kept
    assert tracked.catch_up()
    assert not tracked.spool.folder.exists()


def test_a_locked_database_costs_one_wait_and_everything_is_caught_up(tracked, tmp_path, monkeypatch):
    monkeypatch.setattr(tracker, "SQLITE_ANSWER_S", 0.5)
    tracked.log(one("before"))
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        tracked.log(one("during"))
        began = time.monotonic()
        for number in range(50):
            tracked.log(one(f"more{number}"))
        assert time.monotonic() - began < 1
        assert "locked" in tracked.away
        assert not tracked.catch_up()
        assert tracked.kept[0] == "during"
    assert tracked.catch_up()
    assert set(logged(tracked)) == {"before", "during", *[f"more{number}" for number in range(50)]}


def test_a_database_that_is_overwritten_is_told_and_survived(tracked, tmp_path):
    tracked.log(one("before"))
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    tracked.log(one("after"))
    assert not tracked.catch_up()
    assert tracked.kept == ["after"]
    assert "malformed" in tracked.away or "not a database" in tracked.away


def test_what_is_refused_is_named_and_does_not_stop_the_rest(tracked):
    tracked.log({"kind": "metrics", "metrics": [["bad(name)", 1.0, 1, 0]], "label": "bad one"})
    tracked.log(operations.artifact("/no/such/file", folder="", label="gone"))
    tracked.log(one("good"))
    assert logged(tracked) == {"good": 1.0}
    assert [label.split(":")[0] for label in tracked.lost] == ["bad one", "gone"]
    assert not tracked.kept


def test_where_only_files_are_not_taken_numbers_still_are(tracked, tmp_path):
    (tmp_path / "mlruns").write_text("a file in the way of the folder")
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(name)
        tracked.log(operations.artifact(str(tmp_path / name), folder="", label=name))
    tracked.log(one("number"))
    tracked.log(operations.end("FINISHED"))
    assert logged(tracked) == {"number": 1.0}
    assert tracked.kept == ["one.txt", "two.txt"]
    assert not tracked.catch_up()
    (tmp_path / "mlruns").unlink()
    assert tracked.catch_up()
    names = {entry.path for entry in tracked.client.list_artifacts(tracked.run_id)}
    assert names == {"one.txt", "two.txt"}
    assert tracked.client.get_run(tracked.run_id).info.status == "FINISHED"


def test_a_disk_that_takes_no_spool_is_told(tracked, tmp_path):
    tracked.away = "gone"
    (tmp_path / "spool").write_text("a file in the way of the folder")
    tracked.log(one("x"))
    assert not tracked.kept
    assert tracked.lost[0].startswith("x: ")


def test_a_server_that_accepts_and_never_answers_costs_seconds(tmp_path, monkeypatch):
    from mlflow import MlflowClient

    from artist_transfer.tracking.quiet import ENVIRONMENT

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        header = {"run_id": "0" * 32, "experiment": "x", "run_name": "x", "start": 0, "process": None}
        spool = Spool(tmp_path / "spool", {**header, "tags": {}, "params": {}})
        there = Tracker(uri=uri, spool=spool, client=MlflowClient(tracking_uri=uri), run_id="0" * 32)
        began = time.monotonic()
        for number in range(20):
            there.log(one(f"m{number}"))
        assert time.monotonic() - began < 12
        assert len(there.kept) == 20
        assert "no answer" in there.away


def test_threads_may_log_at_once(tracked):
    threads = [threading.Thread(target=tracked.log, args=(one(f"m{n}", n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logged(tracked) == {f"m{n}": float(n) for n in range(8)}


def test_a_damaged_spool_does_not_hold_up_the_others(tracked, tmp_path):
    root = tmp_path / "spool"
    (root / "0damaged").mkdir(parents=True)
    (root / "0damaged/header.json").write_text("{")
    tracked.away = "gone"
    tracked.log(one("x"))
    tracked.spool.close()
    count, failed = replay_others(root, tracked.uri, own=Path("none"), more=lambda: True)
    assert count == 1
    assert len(failed) == 1 and "0damaged" in failed[0]
    assert logged(tracked) == {"x": 1.0}
