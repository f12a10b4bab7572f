"""Is MLflow there? Asked so that the answer, yes or no, comes within seconds and says why not."""

from __future__ import annotations

import contextvars
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

PATIENCE_S = 3.0

Answer = TypeVar("Answer")


class NoAnswerError(Exception):
    """Nothing came back within the time allowed."""


def within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """Call a function, and wait for it no longer than allowed.

    A call that is overdue is left alone in its daemon thread: nothing else ends a hanging name server or disk.

    Parameters
    ----------
    seconds : float [> 0]
        How long to wait.
    call : callable
        Takes nothing.

    Returns
    -------
    object
        What the call returned.

    Raises
    ------
    NoAnswerError
        If it has not returned in time.
    Exception
        What the call raised.
    """
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    try:
        thread.start()
    except RuntimeError:  # Python 3.12 and later start no thread while the interpreter shuts down
        return call()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise NoAnswerError(f"no answer within {seconds:g} s")
    return answers[0]


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite address.

    Parameters
    ----------
    uri : str
        An MLflow tracking address.

    Returns
    -------
    Path or None
        None for any other address, and for a database in memory.
    """
    if not uri.startswith("sqlite:///"):
        return None
    name = uri.removeprefix("sqlite:///").partition("?")[0]
    return Path(name) if name and name != ":memory:" else None


def why_not(uri: str) -> str | None:
    """Try an address quickly.

    Parameters
    ----------
    uri : str
        An MLflow tracking address.

    Returns
    -------
    str or None
        Why it cannot be used, in a few words; None if it answers, or is of a kind that is not tried.
    """
    try:
        if uri.startswith(("http://", "https://")):
            return within(2 * PATIENCE_S, lambda: _try_http(uri))
        path = sqlite_path(uri)
        return None if path is None else within(2 * PATIENCE_S, lambda: _try_sqlite(path))
    except Exception as error:
        return shortly(error)


def shortly(error: BaseException) -> str:
    """Put an error on one line.

    Parameters
    ----------
    error : BaseException
        Any.

    Returns
    -------
    str
        At most 200 characters.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"


def _try_http(uri: str) -> str | None:
    import requests

    try:
        answer = requests.get(uri.rstrip("/") + "/health", timeout=PATIENCE_S)
    except requests.exceptions.Timeout:
        return f"no answer within {PATIENCE_S:g} s"
    except requests.exceptions.ConnectionError:
        return "the connection was refused or broke off"
    return None if answer.status_code < 500 else f"the server answers {answer.status_code}"


def _try_sqlite(path: Path) -> str | None:
    if not path.exists():
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        return None if folder.is_dir() and os.access(folder, os.W_OK) else f"{folder} cannot be written to"
    if not path.is_file():
        return f"{path} is not a file"
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA schema_version").fetchall()
            connection.execute("BEGIN IMMEDIATE")  # fails on a locked and on a read-only file
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return str(error)
    return None
