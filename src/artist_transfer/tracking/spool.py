"""What could not be logged is kept here, and logged when MLflow is back.

A spool is a folder: ``header.json`` (the run it belongs to), ``operations.jsonl`` (one line each, in order) and
``files/`` (copies, for the next run writes over the originals).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from artist_transfer.artifacts import read_json, write_json
from artist_transfer.tracking import operations
from artist_transfer.tracking.operations import Operation, RefusedError
from artist_transfer.tracking.process import is_dead, scope
from artist_transfer.tracking.reach import within

if TYPE_CHECKING:
    from mlflow import MlflowClient

HEADER = "header.json"
LINES = "operations.jsonl"
FILES = "files"
REPLAYED = "artist_transfer.replayed"
ANSWER_S = 10.0
IDLE_S = 86_400.0


class Spool:
    """The spool of one run, while it goes on.

    Parameters
    ----------
    folder : Path
        Made with the first operation.
    header : dict
        ``run_id`` (or None), ``experiment``, ``run_name``, ``start``, ``process``, ``tags``, ``params``.
    """

    def __init__(self, folder: Path, header: dict[str, Any]) -> None:
        self.folder = folder
        self._header = header
        self._count = 0

    def append(self, operation: Operation) -> None:
        """Keep one operation; the file of an artifact is copied.

        Parameters
        ----------
        operation : dict
            See `artist_transfer.tracking.operations`.

        Raises
        ------
        OSError
            If the disk does not take it.
        """
        if not self._count:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / HEADER, self._header)
        self._count += 1
        if operation["kind"] == "artifact":
            operation = {**operation, "file": self._copy(Path(operation["file"]))}
        with (self.folder / LINES).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(operation) + "\n")

    def close(self) -> None:
        """Say that the run has ended, so that others may replay it although the process (a notebook's) lives on."""
        if self._count:
            write_json(self.folder / HEADER, {**self._header, "ended": True})

    def _copy(self, file: Path) -> str:
        relative = Path(FILES) / f"{self._count:04d}" / file.name
        (self.folder / relative).parent.mkdir(parents=True)
        shutil.copyfile(file, self.folder / relative)
        return relative.as_posix()


@dataclass
class Replayed:
    """What came of a replay.

    Attributes
    ----------
    run_id : str or None
        The run it went into; None if nothing was done.
    operations : int
        How many.
    refused : list of str
        Labels of what MLflow would not have.
    busy : bool
        Whether the spool belongs to a run that still goes on, or somebody else replays it.
    """

    run_id: str | None = None
    operations: int = 0
    refused: list[str] = field(default_factory=list)
    busy: bool = False


def pending(root: Path) -> list[Path]:
    """List the spools that wait.

    Parameters
    ----------
    root : Path
        Where spools are kept.

    Returns
    -------
    list of Path
        Oldest first.
    """
    return sorted(header.parent for header in root.glob(f"*/{HEADER}"))


def replay(folder: Path, uri: str, *, mine: bool = False, force: bool = False) -> Replayed:
    """Log a spool into its run and remove it.

    The run is the one that it belongs to, if MLflow has it; else a new one with the tag ``artist_transfer.replayed``.
    A replay that breaks off is begun again later: nothing is logged twice.

    Parameters
    ----------
    folder : Path
        The spool.
    uri : str
        MLflow's tracking address.
    mine : bool
        Whether it is this process's own: then it is replayed although the process lives.
    force : bool
        Whether the spool of another machine, or of this one before it was started anew, is replayed at once. Else it
        is only after a day without a word of its process.

    Returns
    -------
    Replayed
        What was done.

    Raises
    ------
    Exception
        If MLflow cannot be reached; the spool stays.
    """
    from mlflow import MlflowClient

    with _claimed(folder) as claimed:
        header = read_json(folder / HEADER) if claimed else {}
        if not claimed or not (mine or _abandoned(folder, header, force=force)):
            return Replayed(busy=True)
        client = within(ANSWER_S, lambda: MlflowClient(tracking_uri=uri))
        run_id = within(ANSWER_S, lambda: _run_of(header, client))
        if run_id != header["run_id"]:
            write_json(folder / HEADER, {**header, "run_id": run_id})
        result = _log_all(folder, client, run_id, ended=header.get("ended", False))
        shutil.rmtree(folder)
    return result


def _abandoned(folder: Path, header: dict[str, Any], *, force: bool) -> bool:
    name = header["process"]
    if header.get("ended") or name is None or is_dead(name):
        return True
    if name.startswith(f"{scope()}/"):
        return False  # alive
    # Another boot, machine or container cannot be asked.
    return force or time.time() - (folder / LINES).stat().st_mtime > IDLE_S


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    lock = FileLock(folder.parent / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield (folder / HEADER).is_file()  # another process may have replayed and removed it
    finally:
        lock.release()


def _run_of(header: dict[str, Any], client: MlflowClient) -> str:
    from mlflow.exceptions import MlflowException

    if header["run_id"]:
        try:
            if client.get_run(header["run_id"]).info.lifecycle_stage == "active":
                return str(header["run_id"])
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    experiment = client.get_experiment_by_name(header["experiment"])
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(header["experiment"])
    run = client.create_run(experiment_id, start_time=header["start"], run_name=header["run_name"])
    made = {**header["tags"], REPLAYED: "true"}
    operations.perform(operations.tags(made, label="tags"), client, run.info.run_id)
    operations.perform(operations.params(header["params"], label="parameters"), client, run.info.run_id)
    return str(run.info.run_id)


def _log_all(folder: Path, client: MlflowClient, run_id: str, *, ended: bool) -> Replayed:
    from tqdm import tqdm

    result = Replayed(run_id=run_id)
    lines = _read(folder)
    for operation in tqdm(lines, desc="Logging to MLflow what was kept", unit="op", delay=2, leave=False):
        try:
            within(ANSWER_S, lambda now=operation: operations.perform(now, client, run_id))  # type: ignore[misc]
            result.operations += 1
        except RefusedError:
            result.refused.append(operation["label"])
        ended = ended or operation["kind"] == "end"
    if not ended:  # its process died before it could say more
        within(ANSWER_S, lambda: operations.perform(operations.end("KILLED"), client, run_id))
    return result


def _read(folder: Path) -> list[Operation]:
    found: list[Operation] = []
    path = folder / LINES
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            operation = json.loads(line)
        except ValueError:
            break  # the process was killed while it wrote this line
        if operation["kind"] == "artifact":
            operation["file"] = os.fspath(folder / operation["file"])
        found.append(operation)
    return found
