"""Starting and ending the ranks of one machine: torch's elastic agent, in a thread of the calling process.

The thread leaves the main one free to hear signals, to ask `stop` and to call `progress` where the caller expects
it. Ranks are told to end by a file that vanishes, which works for every rank at any time, and after a kill.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.processes import light_spawn
from artist_transfer.training.checkpoints import Interrupted, Stop
from artist_transfer.training.loop import Progress
from artist_transfer.training.rank_worker import GO, GRACE_S, Job, work

MakeJob = Callable[[Path, Connection], Job]

_JOIN_S = 3600  # between the first machine and the last
_SIGNALS = "TORCHELASTIC_SIGNALS_TO_HANDLE"
_NOISY = (  # they repeat with a traceback what is raised here as one error
    "torch.distributed.launcher.api",
    "torch.distributed.elastic.agent.server.api",
    "torch.distributed.elastic.agent.server.local_elastic_agent",
    "torch.distributed.elastic.multiprocessing.api",
    "torch.distributed.elastic.rendezvous.dynamic_rendezvous",
    "torch.multiprocessing.spawn",
)


def run_ranks(
    make_job: MakeJob,
    *,
    processes: int,
    nodes: int,
    rendezvous: str | None,
    run_id: str,
    stop: Stop,
    progress: Progress | None,
) -> None:
    """Run this machine's ranks to their end.

    Parameters
    ----------
    make_job : callable
        Takes the control folder and the connection for reports.
    processes, nodes : int >= 1
        Ranks a machine, machines.
    rendezvous : str or None
        ``host:port`` where the machines meet.
    run_id : str
        The same on all machines, and for no other training.
    stop : callable
        Asked ten times a second; True lets the ranks write a checkpoint and end.
    progress : callable or None
        As for `artist_transfer.training.loop.train`.

    Raises
    ------
    Interrupted
        After `stop` returned True, or a rank got SIGTERM.
    ArtistTransferError
        If a rank failed or was killed (its number and reason are named), or the machines did not find each other.
    """
    with (
        tempfile.TemporaryDirectory(prefix="artist-transfer-ranks-", ignore_cleanup_errors=True) as name,
        light_spawn() as context,
        _quiet(),
    ):
        control = Path(name)
        (control / GO).touch()
        reader, writer = context.Pipe(duplex=False)
        config = LaunchConfig(
            min_nodes=nodes,
            max_nodes=nodes,
            nproc_per_node=processes,
            run_id=run_id,
            role="training",
            rdzv_backend="c10d",
            rdzv_endpoint=rendezvous if nodes > 1 and rendezvous else "localhost:0",
            rdzv_configs={"join_timeout": _JOIN_S, "read_timeout": _JOIN_S},
            local_addr="localhost" if nodes == 1 else None,
            max_restarts=0,  # a failure is told; going on is the caller's next run
            monitor_interval=0.1,
            logs_specs=DefaultLogsSpecs(log_dir=str(control / "logs")),
        )
        agent = _Agent(config, make_job(control, writer))
        asked = started = False
        agent.start()
        try:
            while agent.is_alive() or reader.poll():
                if not asked and stop():
                    (control / GO).unlink()
                    asked = True
                started |= _deliver(reader, progress)
                if asked and not started and nodes > 1:
                    break  # the agent still waits for the other machines, and nothing wakes it
        finally:
            (control / GO).unlink(missing_ok=True)
            agent.join(GRACE_S + 10 if started or nodes == 1 else 0)
            reader.close()
            writer.close()
    agent.conclude(world=processes * nodes, asked=asked, rendezvous=rendezvous)


def _deliver(reader: Connection, progress: Progress | None) -> bool:
    """Pass on what the ranks report, waiting a moment for it; say whether there was anything."""
    if not reader.poll(0.1):
        return False
    kind, *news = reader.recv()
    if kind == "progress" and progress is not None:
        progress(*news)
    elif kind == "warning":
        warnings.warn(news[0], ArtistTransferWarning, stacklevel=4)
    return True


class _Agent(threading.Thread):
    """The elastic agent."""

    def __init__(self, config: LaunchConfig, job: Job) -> None:
        super().__init__(daemon=True, name="elastic_agent")
        self._config, self._job = config, job
        self._results: dict[int, str | None] | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        before = os.environ.get(_SIGNALS)
        try:
            self._results = elastic_launch(self._config, work)(self._job)
        except BaseException as error:  # the thread that waits for this one raises it
            self._error = error
        finally:
            if before is None:
                os.environ.pop(_SIGNALS, None)

    def conclude(self, *, world: int, asked: bool, rendezvous: str | None) -> None:
        """Raise what the caller has to know."""
        error = self._error
        if self.is_alive() or (asked and _was_ended(error)):
            raise Interrupted("training was interrupted before it could write another checkpoint")
        if isinstance(error, ChildFailedError):
            rank, failure = error.get_first_failure()
            raise ArtistTransferError(
                f"rank {rank} of {world} ended: {_reason(failure)}. All ranks were ended; checkpoints written "
                f"before are kept in {self._job.folder}."
            ) from error
        if isinstance(error, RendezvousError):
            raise ArtistTransferError(
                f"training.distributed.rendezvous = {rendezvous}: the machines did not find each other: {error}"
            ) from error
        if error is not None:
            raise error
        if not self._results:
            raise ArtistTransferError("the ranks of this machine ended without a result: another machine gave up")
        for message in self._results.values():
            if message is not None:
                raise Interrupted(message)


def _was_ended(error: BaseException | None) -> bool:
    return isinstance(error, ChildFailedError) and error.get_first_failure()[1].exitcode in (143, -signal.SIGTERM)


def _reason(failure: ProcessFailure) -> str:
    """Say in one line why a rank ended."""
    message: Any = failure.message
    if isinstance(message, dict):  # what the rank itself wrote to its error file
        return str(message["message"]).removeprefix("ArtistTransferError: ").rstrip(".")
    if failure.exitcode == -signal.SIGKILL:
        return "it was killed (SIGKILL), which the system does when memory runs out"
    if failure.exitcode < 0:
        return f"it got signal {failure.signal_name()}"
    return f"exit code {failure.exitcode}, without a reason; what it printed says more"


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _NOISY]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
