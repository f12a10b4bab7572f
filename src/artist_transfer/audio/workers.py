"""Processes that decode, and that may die.

A `Worker` owns one process (`artist_transfer.audio.extract.serve`) and hands it file after file. When the
process dies, only the file it was at is affected: one that crashed or ran out of memory is tried once more in
a fresh process, in case somebody else's memory was the trouble, one that hung is not, and the next file goes
on in a fresh process. A worker is driven by whoever calls it, a thread or a process of any pool: nothing in
it needs a main thread.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from artist_transfer.audio.extract import READY
from artist_transfer.audio.probe import CRASHED, HUNG, fault_row
from artist_transfer.errors import ArtistTransferError

_START_S = 120.0
_GRACE_S = 10.0  # beyond its own alarm, for a process that cannot be alarmed
_MAIN = (
    "import sys, json; from multiprocessing.connection import Connection as C; "
    "sys.path[:] = json.loads(sys.argv[3]); from artist_transfer.audio.extract import serve; "
    "serve(C(int(sys.argv[1]), writable=False), C(int(sys.argv[2]), readable=False))"
)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

Answer = tuple[dict[str, Any], np.ndarray | None]


@dataclass(frozen=True)
class Limits:
    """What one file may cost.

    Attributes
    ----------
    seconds : float [> 0, s], wall clock
    memory_bytes : int [> 0], address space of the decoding process
    """

    seconds: float = 9.0
    memory_bytes: int = 2 << 30

    def __post_init__(self) -> None:
        """Refuse impossible settings before any work."""
        if not self.seconds > 0 or not self.memory_bytes > 0:
            raise ArtistTransferError(f"limits {self.seconds} s and {self.memory_bytes} bytes: allowed is > 0")


class Worker:
    """One decoding process, started when first needed and again whenever it died.

    Parameters
    ----------
    limits : Limits
        What one file may cost.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._send: Connection | None = None
        self._receive: Connection | None = None

    def extract_all(self, requests: Iterable[Mapping[str, Any]]) -> Iterator[Answer]:
        """Extract file after file.

        Parameters
        ----------
        requests : iterable of mapping
            Keys ``track_id, path, declared_s, front_end, probe, decoder`` (see `extract.extract`); read one
            ahead, so that the process has work while its last answer is written.

        Yields
        ------
        row : dict
            Probe of the file.
        frames : np.ndarray [shape=(n_frames, n_mels), float16] or None
            Its log-mel frames, if it is usable.
        """
        pending: deque[Mapping[str, Any]] = deque()
        for request in requests:
            pending.append(request)
            self._ask(request)
            if len(pending) > 1:
                yield self._next(pending)
        while pending:
            yield self._next(pending)

    def close(self) -> None:
        """End the process."""
        for connection in (self._send, self._receive):
            if connection is not None:
                connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._send = self._receive = None

    def _next(self, pending: deque[Mapping[str, Any]]) -> Answer:
        """Return the answer to the oldest request, in two attempts at most."""
        request = pending[0]
        answer, fault = self._attempt()
        if fault is not None and fault != HUNG:
            self._restart(pending)
            answer, fault = self._attempt()
        pending.popleft()
        if fault is not None:
            self._restart(pending)
            answer = fault_row(request["track_id"], fault), None
        assert answer is not None
        return answer

    def _attempt(self) -> tuple[Answer | None, str | None]:
        """Return an answer, or why there is none."""
        receive = self._receive
        assert receive is not None
        try:
            if not receive.poll(self.limits.seconds + _GRACE_S):
                return None, HUNG
            row = json.loads(receive.recv_bytes())
            if row.pop("retire", False):
                return None, row["reason"]
            if row["reason"] is not None:
                return (row, None), None
            frames = np.frombuffer(receive.recv_bytes(), np.float16).reshape(row["n_frames"], -1)
            return (row, frames), None
        except (EOFError, OSError):
            return None, self._cause_of_death()

    def _cause_of_death(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            return HUNG
        return HUNG if code == -signal.SIGALRM else CRASHED

    def _ask(self, request: Mapping[str, Any]) -> None:
        """Send a request; a process that is dead is noticed when its answer is missed."""
        if self._process is None:
            self._start()
        assert self._send is not None
        limits = {"seconds": self.limits.seconds, "memory_bytes": self.limits.memory_bytes}
        try:
            self._send.send_bytes(json.dumps({**request, **limits}).encode())
        except OSError:
            return

    def _restart(self, requests: Iterable[Mapping[str, Any]]) -> None:
        self.close()
        for request in requests:
            self._ask(request)

    def _start(self) -> None:
        """Start the process on two pipes of its own; nothing else inherits them."""
        inbox, send = os.pipe()
        receive, outbox = os.pipe()
        command = [sys.executable, "-c", _MAIN, str(inbox), str(outbox), json.dumps(sys.path)]
        try:
            self._process = subprocess.Popen(
                command,
                pass_fds=(inbox, outbox),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **_ONE_THREAD},
            )
        finally:
            os.close(inbox)
            os.close(outbox)
            self._send, self._receive = Connection(send, readable=False), Connection(receive, writable=False)
        try:
            ready = self._receive.poll(_START_S) and self._receive.recv_bytes() == READY
        except (EOFError, OSError):
            ready = False
        if not ready:
            code = self._process.poll()
            self.close()
            raise ArtistTransferError(
                f"the decoding process did not start (exit status {code}); what it said stands above. "
                f"It is {sys.executable} and has to import artist_transfer."
            )


_idle: list[Worker] = []
_lock = threading.Lock()
os.register_at_fork(after_in_child=_idle.clear)  # a forked child must not talk through its parent's pipes


@contextmanager
def borrowed_worker(limits: Limits) -> Iterator[Worker]:
    """Lend a worker with a running process, if there is an idle one, else a new one.

    Parameters
    ----------
    limits : Limits
        What one file may cost.

    Yields
    ------
    Worker
        Kept for the next borrower, unless the block raises.
    """
    with _lock:
        worker = _idle.pop() if _idle else Worker()
    worker.limits = limits
    try:
        yield worker
    except BaseException:
        worker.close()
        raise
    with _lock:
        _idle.append(worker)


def close_idle_workers() -> None:
    """End the processes of all workers that nobody has borrowed."""
    with _lock:
        workers, _idle[:] = list(_idle), []
    for worker in workers:
        worker.close()
