"""One Kedro run, from before its first node to its end, as one MLflow run."""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artist_transfer.errors import ArtistTransferError
from artist_transfer.tracking import operations
from artist_transfer.tracking.facts import pipeline_name, run_tags
from artist_transfer.tracking.flatten import divide_by_length, flat_parameters
from artist_transfer.tracking.operations import now
from artist_transfer.tracking.outputs import LIMIT_BYTES, OutputRule
from artist_transfer.tracking.process import identity
from artist_transfer.tracking.quiet import silence_mlflow
from artist_transfer.tracking.reach import shortly, sqlite_path, within
from artist_transfer.tracking.spool import Spool
from artist_transfer.tracking.tracker import Tracker, replay_others

if TYPE_CHECKING:
    from artist_transfer.tracking.mlflow_run import GuardedMlflowHook

SPOOL = Path("data/09_tracking/spool")
START_S = 10.0
CREATION_S = 40.0  # a fresh database, made by one of many processes while the others wait for it
REPLAY_S = 30.0
TERMINATED = 143


class TrackedRun:
    """What is known of the run that goes on.

    Parameters
    ----------
    hook : GuardedMlflowHook
        kedro-mlflow, configured.
    project : Path
        The project's folder.
    spool_root : Path
        Where it is kept what cannot be logged; relative to the project.
    limit : int, bytes
        No larger artifact is logged.
    """

    def __init__(
        self, hook: GuardedMlflowHook, project: Path, *, spool_root: Path = SPOOL, limit: int = LIMIT_BYTES
    ) -> None:
        self._hook = hook
        self._project = project
        self._root = project / spool_root
        self._scratch = tempfile.TemporaryDirectory(prefix="artist-transfer-")
        self._rule = OutputRule(project, Path(self._scratch.name), limit)
        self._outputs: dict[str, dict[str, Any]] = {}
        self._left_out: list[str] = []
        self._owner = os.getpid()
        self._terminated = False
        self._failed_node: str | None = None
        self._previous: Any = None
        self.ended = False

    def begin(self, run_params: dict[str, Any], parameters: dict[str, Any], *, pipeline: Any, catalog: Any) -> None:
        """Start the MLflow run, or the spool in its place.

        Parameters
        ----------
        run_params : dict
            What Kedro tells its hooks of the run.
        parameters : dict
            All parameters, typed or not.
        pipeline : Pipeline
            The nodes that will run.
        catalog : CatalogProtocol
            The catalogue.

        Raises
        ------
        ArtistTransferError
            If MLflow is there and does not know the run that is to be resumed.
        """
        self._catalog = catalog
        texts = flat_parameters(parameters)
        short, long = divide_by_length(texts)
        tags = {**run_tags(run_params, parameters, self._project), **long}
        header = self._header(pipeline_name(run_params), tags, short)
        self.tracker = Tracker(uri=self._hook.uri, spool=Spool(self._root / self._spool_name(), header))
        self._open(run_params, pipeline, catalog)
        header["run_id"] = self.tracker.run_id
        self._watch()
        self.tracker.log(operations.tags(tags, label=f"{len(tags)} tags"))
        self.tracker.log(operations.params(short, label=f"{len(short)} parameters"))
        self._log_json("parameters.json", texts)

    def _header(self, name: str, tags: dict[str, str | None], short: dict[str, str]) -> dict[str, Any]:
        run = self._hook.mlflow_config.tracking.run
        return {
            "run_id": run.id,
            "experiment": self._hook.mlflow_config.tracking.experiment.name,
            "run_name": run.name or name,
            "start": now(),
            "process": identity(),
            "tags": tags,
            "params": short,
        }

    @staticmethod
    def _spool_name() -> str:
        return f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}-{time.time_ns() % 10**6:06d}"

    def _open(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        uri, tracker = self._hook.uri, self.tracker
        patience = START_S if sqlite_path(uri) is None else CREATION_S
        try:
            tracker.client, tracker.run_id = within(
                patience, lambda: self._hook.open_run(run_params, pipeline, catalog)
            )
        except Exception as error:
            if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                run_id = self._hook.mlflow_config.tracking.run.id
                raise ArtistTransferError(
                    f"mlflow_run_id={run_id}: there is no such run in {uri}. Allowed: the id of one of its runs."
                ) from error
            self._hook.given_up = True
            tracker.away = shortly(error)
            silence_mlflow()
            return
        self._bury()

    def _bury(self) -> None:
        client = self.tracker.client
        try:
            if client is not None:
                within(START_S, lambda: self._hook.bury_the_dead(client))
        except Exception as error:
            self._left_out.append(f"whether earlier runs were killed: {shortly(error)}")

    def _watch(self) -> None:
        """See to it that the run is ended however this process ends, SIGKILL excepted."""
        atexit.register(self._at_exit)
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) in (
            signal.SIG_DFL,
            None,
        ):
            self._previous = signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, number: int, frame: object) -> None:
        if os.getpid() != self._owner:  # a forked worker has inherited this handler
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._terminated = True
        raise SystemExit(TERMINATED)

    def _at_exit(self) -> None:
        if os.getpid() != self._owner or self.ended:
            return
        error = getattr(sys, "last_value", None)  # what Python has just printed, if anything
        if isinstance(error, Exception):
            self.end("FAILED", error)
        else:
            self.end("KILLED")

    def saved(self, name: str, data: Any, node_name: str) -> None:
        """Log one output, after the catalogue saved it.

        Parameters
        ----------
        name : str
            The dataset.
        data : object
            What the node returned.
        node_name : str
            The node.
        """
        if os.getpid() != self._owner:
            return
        try:
            found = self._rule.apply(name, data, self._catalog.get(name))
        except Exception as error:  # an output of an odd kind is no reason to lose a training
            self._left_out.append(f"{name}: {type(error).__name__}: {shortly(error)}")
            return
        for operation in found.operations:
            self.tracker.log(operation)
        self._outputs[name] = {"node": node_name, **found.record}
        self._left_out += found.left_out

    def failed(self, node_name: str) -> None:
        """Remember which node raised.

        Parameters
        ----------
        node_name : str
            The node.
        """
        self._failed_node = node_name

    def end(self, status: str, error: BaseException | None = None) -> None:
        """End the run and say where it is and what it lacks.

        Parameters
        ----------
        status : str
            FINISHED, FAILED or KILLED.
        error : BaseException, optional
            Why it failed.
        """
        if self.ended or os.getpid() != self._owner:
            return
        self.ended = True
        signal_name = "SIGTERM" if self._terminated else None
        text = f"{type(error).__name__}: {error}" if error else signal_name
        if text or self._failed_node:
            values = {"error": text, "error.node": self._failed_node}
            self.tracker.log(operations.tags(values, label="the error"))
        self._log_json("outputs.json", self._outputs)
        if self._hook.external_run is None:
            self.tracker.log(operations.end(status))
        whole = self.tracker.catch_up()
        self._replay_others(whole)
        self._say(status, whole)
        self._unwatch()

    def _unwatch(self) -> None:
        atexit.unregister(self._at_exit)
        if self._previous is not None and signal.getsignal(signal.SIGTERM) == self._on_sigterm:
            signal.signal(signal.SIGTERM, self._previous)
        self._scratch.cleanup()

    def _replay_others(self, reachable: bool) -> None:
        if not reachable or not self._root.is_dir():
            return
        until = time.monotonic() + REPLAY_S
        count, failed = replay_others(
            self._root, self._hook.uri, own=self.tracker.spool.folder, more=lambda: time.monotonic() < until
        )
        self._left_out += failed
        if count:
            print(f"MLflow: what was kept of {count} earlier {'run' if count == 1 else 'runs'} is now logged.")

    def _log_json(self, name: str, values: dict[str, Any]) -> None:
        path = Path(self._scratch.name) / name
        path.write_text(json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        self.tracker.log(operations.artifact(os.fspath(path), folder="", label=name))

    def _say(self, status: str, whole: bool) -> None:
        tracker = self.tracker
        if whole:
            print(f"MLflow: run {tracker.run_id} ({status}). {_where(self._hook.uri, self._project)}")
            if tracker.away:
                print(f"MLflow was away for a while ({tracker.away}); everything has been logged since.")
        else:
            folder = tracker.spool.folder
            shown = folder.relative_to(self._project) if folder.is_relative_to(self._project) else folder
            print(f"MLflow ({self._hook.uri}): {tracker.away or tracker.no_files}")
            print(f"  not logged: {'; '.join(_counted(tracker.kept))}")
            print(f"  kept in {shown}; the next run that reaches MLflow logs it,")
            print(f"  or: python -m artist_transfer.tracking --uri {self._hook.uri}")
        for label in [*tracker.lost, *self._left_out]:
            print(f"  not logged in MLflow: {label}")


def _counted(labels: list[str]) -> list[str]:
    """Name the first dozen, count the rest."""
    unique = list(dict.fromkeys(labels))
    return unique if len(unique) <= 12 else [*unique[:12], f"and {len(unique) - 12} more"]


def _where(uri: str, project: Path) -> str:
    path = sqlite_path(uri)
    if path is not None and project == Path.cwd() and path.is_relative_to(project):
        uri = f"sqlite:///{path.relative_to(project)}"
    if uri.startswith("http"):
        return f"Look at it: {uri}"
    return f"Look at it: mlflow ui --backend-store-uri {uri}"
