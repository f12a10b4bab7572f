"""Log to one MLflow run; from the first failure on, keep everything instead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from artist_transfer.tracking import operations
from artist_transfer.tracking.operations import Operation, RefusedError
from artist_transfer.tracking.quiet import silence_mlflow
from artist_transfer.tracking.reach import shortly, sqlite_path, why_not, within

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from artist_transfer.tracking.spool import Spool

ANSWER_S = 5.0
SQLITE_ANSWER_S = 10.0  # others may be writing to the same file
ATTEMPTS = 2


@dataclass
class Tracker:
    """The way into one run.

    Parameters
    ----------
    uri : str
        MLflow's tracking address.
    spool : Spool
        Where it is kept what cannot be logged.
    client : MlflowClient or None
        None if MLflow was away from the beginning.
    run_id : str or None
        The run.

    Attributes
    ----------
    away : str or None
        Why MLflow cannot be reached, once it could not.
    no_files : str or None
        Why MLflow, though it is there, does not take files.
    kept : list of str
        Labels of what is in the spool.
    lost : list of str
        What could neither be logged nor kept, or was refused, and why.
    """

    uri: str
    spool: Spool
    client: MlflowClient | None = None
    run_id: str | None = None
    away: str | None = None
    no_files: str | None = None
    kept: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def log(self, operation: Operation) -> None:
        """Log it, or keep it. Never raises an Exception; waits some seconds once, never again.

        Parameters
        ----------
        operation : dict
            See `artist_transfer.tracking.operations`.
        """
        with self._lock:
            barred = self.away or (self.no_files if operation["kind"] == "artifact" else None)
            if barred is None and self._logged(operation):
                return
            try:
                self.spool.append(operation)
                self.kept.append(operation["label"])
            except OSError as error:
                self.lost.append(f"{operation['label']}: {shortly(error)}")

    def _logged(self, operation: Operation) -> bool:
        client, run_id = self.client, self.run_id
        if client is None or run_id is None:
            return False
        try:
            within(self._patience, lambda: operations.perform(operation, client, run_id))
        except RefusedError as error:
            self.lost.append(f"{operation['label']}: {shortly(error)}")
        except Exception as error:
            self._failed(operation, error)
            return False
        return True

    @property
    def _patience(self) -> float:
        return ANSWER_S if sqlite_path(self.uri) is None else SQLITE_ANSWER_S

    def _failed(self, operation: Operation, error: Exception) -> None:
        silence_mlflow()  # its retries would go on telling what is told once, at the end
        reason = why_not(self.uri)
        if reason is None and operation["kind"] == "artifact":
            self.no_files = shortly(error)  # the place for files is full or closed; numbers still go through
        else:
            self.away = reason or shortly(error)

    def catch_up(self) -> bool:
        """Try once more to log what was kept.

        Returns
        -------
        bool
            Whether nothing is left in the spool.
        """
        with self._lock:
            self.spool.close()
            attempts = ATTEMPTS if sqlite_path(self.uri) else 1  # a file that others write to is soon free again
            return not self.kept or any(self._caught_up() for _ in range(attempts))

    def _caught_up(self) -> bool:
        from artist_transfer.tracking.spool import replay

        reason = why_not(self.uri)
        if reason:
            self.away = reason
            return False
        try:
            done = replay(self.spool.folder, self.uri, mine=True)
        except Exception as error:
            if self.no_files is None:
                self.away = shortly(error)
            return False
        if done.busy:
            return False
        self.lost += [f"{label}: MLflow refused it" for label in done.refused]
        self.kept.clear()
        self.run_id = done.run_id
        return True


def replay_others(root: Path, uri: str, *, own: Path, more: Callable[[], bool]) -> tuple[int, list[str]]:
    """Log the spools of earlier runs.

    Parameters
    ----------
    root : Path
        Where spools are kept.
    uri : str
        MLflow's tracking address.
    own : Path
        The spool of this run, which is left alone.
    more : callable
        Whether there is time for another one.

    Returns
    -------
    (int, list of str)
        How many runs were logged; which spools cannot be, and why.
    """
    from artist_transfer.tracking.spool import pending, replay

    count, failed = 0, []
    for folder in pending(root):
        if folder == own or not more():
            continue
        try:
            count += not replay(folder, uri).busy
        except Exception as error:
            if why_not(uri):
                break  # MLflow has gone again; the spools wait
            failed.append(f"{folder}: {shortly(error)}")
    return count, failed
