from __future__ import annotations

import socket
import sqlite3
import time
from contextlib import closing

import pytest

from artist_transfer.tracking import reach
from artist_transfer.tracking.reach import NoAnswerError, sqlite_path, why_not, within


def test_within_gives_the_answer_or_the_error():
    assert within(5, lambda: 7) == 7
    assert within(5, lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


def test_within_waits_no_longer_than_allowed():
    began = time.monotonic()
    with pytest.raises(NoAnswerError):
        within(0.2, lambda: time.sleep(30))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:///mlflow.db", "mlflow.db"),
        ("sqlite:////a/b.db?timeout=3", "/a/b.db"),
        ("sqlite:///:memory:", None),
        ("http://x:1", None),
        ("postgresql://x/y", None),
    ],
)
def test_the_file_of_an_address(uri, path):
    found = sqlite_path(uri)
    assert (None if found is None else found.as_posix()) == path


def test_a_database_that_can_be_used_or_made(tmp_path):
    assert why_not(f"sqlite:///{tmp_path / 'new/deep.db'}") is None
    with closing(sqlite3.connect(tmp_path / "there.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert why_not(f"sqlite:///{tmp_path / 'there.db'}") is None


def test_a_database_that_cannot(tmp_path):
    (tmp_path / "corrupt.db").write_bytes(b"this is no database, and never was one" * 100)
    assert "not a database" in why_not(f"sqlite:///{tmp_path / 'corrupt.db'}")
    (tmp_path / "folder.db").mkdir()
    assert "not a file" in why_not(f"sqlite:///{tmp_path / 'folder.db'}")
    assert why_not("sqlite:////proc/version/mlflow.db") is not None


def test_a_locked_database_is_told_within_seconds(tmp_path):
    path = tmp_path / "locked.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("CREATE TABLE t (x)")
        holder.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        assert "locked" in why_not(f"sqlite:///{path}")
        assert time.monotonic() - began < 2 * reach.PATIENCE_S + 1


def test_a_server_that_is_not_there_and_one_that_never_answers():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert "refused" in why_not(f"http://127.0.0.1:{port}")
        silent.listen()
        began = time.monotonic()
        assert "no answer" in why_not(f"http://127.0.0.1:{port}")
        assert time.monotonic() - began < 2 * reach.PATIENCE_S + 1
