"""A Dask cluster as an executor: the same function mapped over the processes of many machines.

The function runs on a worker as it would run here, so what it makes has the same bytes. For this every worker has to
have the same code and libraries, and to see the same files at the same paths; both are checked before the first task,
and by each task where it runs, because workers may join later. Nothing is lost with a worker that dies: Dask gives its
tasks to the others. One thing is not left to Dask: when a worker dies, all tasks that waited in its queue are blamed
with the one that ran, and after `distributed.scheduler.allowed-failures` (3) such deaths Dask gives a task up that may
never have begun. That setting belongs to the scheduler, so a task given up is handed in anew from here, `LIVES` times;
a task that really ends its workers still comes to an end.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, InvalidStateError, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from artist_transfer.errors import ArtistTransferError
from artist_transfer.places import Place

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 20.0  # for the scheduler to answer, which may be busy
WORKERS_S = 60.0  # without any worker
LIVES = 5  # times that a task may be given up by Dask, each after allowed-failures + 1 deaths of workers
RETRIES = 2  # of a task that raised: a network folder may have been away for a moment
PACKAGES = ("artist-transfer", "numpy", "scipy", "soundfile", "soxr", "essentia")  # they decide the bytes
_DASK = ("dask", "distributed")  # they have to talk to each other, the scheduler as well
_WATCH_S = 1.0
_SEE_S = 5.0  # for a network folder to show a file that was just written
_GONE = "the scheduler went away or was restarted, or the connection to it was lost"
_KEPT = "What is finished is kept; run the same command again"


def check_scheduler(scheduler: str, *, connect_s: float = CONNECT_S) -> None:
    """Make sure that a scheduler answers.

    Parameters
    ----------
    scheduler : str
        Its address, ``tcp://host:port``.
    connect_s : float [> 0, s]
        How long to wait.

    Raises
    ------
    ArtistTransferError
        If nobody answers.
    """
    try:
        with ThreadPoolExecutor(1) as thread:  # a notebook's own thread has a running event loop already
            thread.submit(asyncio.run, _knock(scheduler, connect_s)).result()
    except Exception as error:  # of many kinds: no answer, an unknown name, TLS without certificates
        told = str(error).partition("\n")[0] or type(error).__name__
        raise ArtistTransferError(
            f"cluster.scheduler={scheduler}: no Dask scheduler answers there within {connect_s:g} s ({told}). Start "
            f"one by `dask scheduler` and workers by `dask worker {scheduler}`, correct the address, or leave "
            "cluster.scheduler out to use the cores of this machine."
        ) from error


def dask_executor_factory(
    scheduler: str,
    *,
    corpus_root: str | Path,
    folder: str | Path,
    at_end: Callable[[], object] | None = None,
    connect_s: float = CONNECT_S,
    workers_s: float = WORKERS_S,
) -> Callable[[int], Executor]:
    """Return what connects to a Dask cluster.

    Parameters
    ----------
    scheduler : str
        Address of the scheduler, ``tcp://host:port``.
    corpus_root : str or Path
        Folder that every worker has to see as this machine does.
    folder : str or Path
        Folder that every worker has to write into; made if it is not there.
    at_end : callable, optional
        Called on every worker when all is done, to leave nothing running there.
    connect_s : float [> 0, s]
        How long the scheduler may take to answer.
    workers_s : float [> 0, s]
        How long to wait for a first worker, and how long to go on when all have gone.

    Returns
    -------
    callable
        From a number of workers, which means nothing to a cluster that has its own, to the executor. It raises an
        `ArtistTransferError` that names ``cluster.scheduler`` if nobody answers, if there is no worker, or if a worker
        has other versions or does not see one of the folders.
    """

    def factory(n_workers: int) -> Executor:
        check_scheduler(scheduler, connect_s=connect_s)  # a client that cannot connect is not easily got rid of
        client = _connect(scheduler, connect_s)
        place = None
        try:
            _wait_for_workers(client, scheduler, workers_s)
            _check_versions(cast("Any", client.get_versions(packages=[*PACKAGES])), scheduler)
            place = Place.mark(corpus_root, folder)
            _check_places(client, place, scheduler)
            return ClusterExecutor(client, place, scheduler=scheduler, workers_s=workers_s, at_end=at_end)
        except BaseException:
            if place is not None:
                place.unmark()
            _close(client)
            raise

    return factory


class ClusterExecutor(Executor):
    """Tasks on the workers of a cluster; made by `dask_executor_factory`.

    Parameters
    ----------
    client : distributed.Client
        Connected; closed by `shutdown`.
    place : Place
        What every worker has to see; unmarked by `shutdown`.
    scheduler : str
        Address, for errors.
    workers_s : float [> 0, s]
        How long to go on without any worker.
    at_end : callable, optional
        Called on every worker by `shutdown`.
    """

    def __init__(
        self,
        client: Client,
        place: Place,
        *,
        scheduler: str,
        workers_s: float = WORKERS_S,
        at_end: Callable[[], object] | None = None,
    ) -> None:
        self._client = client
        self._place = place
        self._scheduler = scheduler
        self._workers_s = workers_s
        self._at_end = at_end
        self._lock = threading.Lock()
        self._open: dict[Future[Any], Any] = {}  # ours to Dask's, which is cancelled when nobody holds it
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="cluster-watcher")
        self._watcher.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand in a task.

        Parameters
        ----------
        fn : callable
            Importable on the workers. It may be called more than once: what it makes must be the same each time.
        *args : object
            Its arguments.
        **kwargs : object
            Its arguments by name.

        Returns
        -------
        Future
            Its result, or an `ArtistTransferError` if the cluster is gone or no worker survives the task.
        """
        if self._ended.is_set():
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[Any] = Future()
        future.add_done_callback(self._settled)
        self._hand_in(future, partial(_there, self._place, partial(fn, *args, **kwargs)), lives=LIVES)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster as it was found.

        Parameters
        ----------
        wait : bool
            Wait for the tasks that are not done; otherwise they are cancelled.
        cancel_futures : bool
            Cancel them.
        """
        with self._lock:
            left = list(self._open)
        if wait and not cancel_futures:
            wait_for(left)
        for future in left:
            future.cancel()
        if self._ended.is_set():
            return
        self._ended.set()
        self._watcher.join(CONNECT_S)  # it may be asking a scheduler that is gone
        if self._at_end is not None and self._client.status == "running":
            with suppress(Exception):
                self._client.run(self._at_end, on_error="ignore")
        _close(self._client)
        self._place.unmark()
        with suppress(OSError), os.scandir(self._place.folder):
            pass  # opening a network folder makes this machine forget what was not there when it last looked

    def _hand_in(self, future: Future[Any], task: Callable[[], Any], *, lives: int) -> None:
        there = self._client.submit(task, pure=False, retries=RETRIES)
        with self._lock:
            self._open[future] = there
        if future.done():  # cancelled meanwhile
            self._settled(future)
        else:
            there.add_done_callback(partial(self._arrived, future, task, lives))

    def _arrived(self, future: Future[Any], task: Callable[[], Any], lives: int, there: Any) -> None:
        """Hand on what came back; called in a thread of Dask's."""
        from distributed import KilledWorker

        if future.done():
            return
        if there.status in ("cancelled", "lost"):
            self._fail(future, f"{_GONE}. {_KEPT} when it is back")
            return
        try:
            error = there.exception() if there.status == "error" else None
            if isinstance(error, KilledWorker) and lives > 1:
                self._hand_in(future, task, lives=lives - 1)
            elif isinstance(error, KilledWorker):
                last = error.last_worker.address
                self._fail(future, f"no worker survives a certain task; the last to die was {last}. {_KEPT}")
            elif error is not None:
                _set(future.set_exception, error)
            else:
                _set(future.set_result, there.result())
        except Exception as problem:  # whatever befell the connection, nobody may wait for this task for ever
            self._fail(future, f"{_GONE} ({type(problem).__name__}: {problem}). {_KEPT} when it is back")

    def _settled(self, future: Future[Any]) -> None:
        """Forget a task that is done, and cancel on the cluster what was cancelled here."""
        with self._lock:
            there = self._open.pop(future, None)
        if there is not None and not there.done():
            with suppress(Exception):
                there.cancel()

    def _fail(self, future: Future[Any], what: str) -> None:
        _set(future.set_exception, ArtistTransferError(f"cluster.scheduler={self._scheduler}: {what}"))

    def _watch(self) -> None:
        """Fail all tasks when there has been no worker for too long; Dask itself would wait for ever."""
        alone_since: float | None = None
        while not self._ended.wait(_WATCH_S):
            try:
                alone = not self._client.nthreads()
            except Exception:
                continue  # the connection is lost: Dask cancels the tasks, or finds it again
            now = time.monotonic()
            alone_since = (alone_since or now) if alone else None
            if alone_since is not None and now - alone_since > self._workers_s:
                with self._lock:
                    left = list(self._open)
                for future in left:
                    self._fail(future, f"there has been no worker for {self._workers_s:g} s. {_KEPT} with workers")


def _there(place: Place, task: Callable[[], Any]) -> Any:
    """Run a task on a worker, unless it is in the wrong place: there, all files would be missing files."""
    complaint = place.complaint()
    if complaint is not None:
        from distributed import get_worker

        raise ArtistTransferError(f"worker {get_worker().address}: {complaint}. {_KEPT} without that worker")
    return task()


async def _knock(scheduler: str, connect_s: float) -> None:
    from distributed import Security
    from distributed.comm import connect

    async with asyncio.timeout(connect_s + 0.5):  # Dask's own does not count what listens and never speaks
        connection = await connect(scheduler, timeout=connect_s, **Security().get_connection_args("client"))
    connection.abort()


def _connect(scheduler: str, connect_s: float) -> Client:
    from distributed import Client

    try:
        return Client(scheduler, timeout=connect_s, set_as_default=False)
    except Exception as error:
        raise ArtistTransferError(
            f"cluster.scheduler={scheduler}: what answers there is no Dask scheduler ({type(error).__name__}: {error})"
        ) from error


def _close(client: Client) -> None:
    with suppress(Exception):  # the scheduler may be gone before us
        client.close(timeout=CONNECT_S)


def _wait_for_workers(client: Client, scheduler: str, workers_s: float) -> None:
    try:
        client.wait_for_workers(1, timeout=workers_s)
    except TimeoutError as error:
        raise ArtistTransferError(
            f"cluster.scheduler={scheduler}: the scheduler answers, but no worker has come within {workers_s:g} s. "
            f"Start some by `dask worker {scheduler}`; a cluster that scales itself needs a minimum of 1."
        ) from error


def _check_versions(found: Mapping[str, Any], scheduler: str) -> None:
    """Refuse workers whose results may differ, and a Dask that does not understand the others."""
    here = _versions(found["client"])
    others = {f"worker {address}": _versions(facts) for address, facts in sorted(found["workers"].items())}
    talk = {name: version for name, version in _versions(found["scheduler"]).items() if name in ("python", *_DASK)}
    wrong = {
        who: [
            f"{name} {version or 'not at all'} (here {here[name]})"
            for name, version in versions.items()
            if version != here[name]
        ]
        for who, versions in {"the scheduler": talk, **others}.items()
    }
    told = [f"{who} has {', '.join(differences)}" for who, differences in wrong.items() if differences]
    if told:
        more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
        raise ArtistTransferError(
            f"cluster.scheduler={scheduler}: {'; '.join(told[:3])}{more}. The same versions are needed everywhere: "
            "install requirements.lock there."
        )


def _versions(facts: Mapping[str, Any]) -> dict[str, str | None]:
    packages = facts["packages"]
    versions = {name: packages.get(name) for name in (*PACKAGES, *_DASK)}
    return {"python": ".".join(str(packages.get("python")).split(".")[:2]), **versions}


def _check_places(client: Client, place: Place, scheduler: str) -> None:
    answers = client.run(place.complaint, _SEE_S, on_error="return")
    wrong = []
    for address, answer in sorted(answers.items()):
        if isinstance(answer, OSError):  # it died just now; another that joins is asked by its first task
            continue
        if isinstance(answer, Exception):
            answer = f"it cannot run artist_transfer ({type(answer).__name__}: {answer})"
        if answer is not None:
            wrong.append(f"worker {address}: {answer}")
    if wrong:
        raise ArtistTransferError(
            f"cluster.scheduler={scheduler}: {'; '.join(wrong)}. All machines have to see both folders at the same "
            "path (NFS, say) and to run the same code."
        )


def _set(setter: Callable[[Any], None], value: Any) -> None:
    with suppress(InvalidStateError):  # it was cancelled meanwhile
        setter(value)
