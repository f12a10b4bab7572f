"""Several nets trained side by side on one card, out of one frame store.

One such net leaves most of a large card idle. Here several take turns: each has its own graphs on its own CUDA stream
and its own generator, and one thread hands out one update at a time, which on a GPU takes it some microseconds, while
the card works on all of them. A net's updates are the same in any company. On a CPU one net is trained after the other.
"""

from __future__ import annotations

import signal
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning, DeviceLost
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.training.checkpoints import Interrupted, Stop, only_one, stop_on_sigterm
from artist_transfer.training.devices import OutOfMemory, raise_if_lost, surroundings
from artist_transfer.training.engine import resolve_engine
from artist_transfer.training.failures import FAILURES, raise_if_full
from artist_transfer.training.finished import NetPlace, TrainedNet
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.loop import updates
from artist_transfer.training.parameters import TrainParams, TrainResult
from artist_transfer.training.targets import TaskTargets

AT_ONCE = 8  # nets on a GPU
JobProgress = Callable[[str, int, int, Mapping[str, float]], None]  # label, then as for one net

_LOCKED_S = 1.0  # after which a net that another process trains is looked at again


@dataclass(frozen=True)
class NetJob:
    """A net to be trained.

    Parameters
    ----------
    config : DcnnConfig
        What to build; its outputs are those of the targets.
    targets : TaskTargets
        What to learn.
    params : TrainParams
        How to train.
    label : str
        What progress calls it.
    """

    config: DcnnConfig
    targets: TaskTargets
    params: TrainParams
    label: str


def train_cached_many(
    jobs: Sequence[NetJob],
    make_store: Callable[[], FrameStore],
    *,
    source_key: str,
    device: torch.device,
    cache_root: str | Path,
    at_once: int | None = None,
    progress: JobProgress | None = None,
    stop: Stop | None = None,
) -> list[TrainedNet | Exception]:
    """Return the nets of all jobs, from the cache or by training them; those that fail don't hurt the others.

    Parameters
    ----------
    jobs : sequence of NetJob
        All over the tracks of one frame store. Equal ones are trained once.
    make_store : callable
        Makes the frame store; called once at most, and only if there is something to train.
    source_key : str
        Fingerprint of the frames: front end, mel shards and training tracks.
    device : torch.device
        Where to train and where the nets are left.
    cache_root : str or Path
        Folder of all caches; each net lies where `train_cached` puts it.
    at_once : int >= 1 or None
        Nets that take turns; None is 8 on a GPU and 1 on a CPU. Nets of the plain engine never take turns, for they
        share torch's generator. No net depends on it. If memory runs out, fewer take turns.
    progress : callable or None
        As for `train`, with the job's label first.
    stop : callable or None
        As for `train`; SIGTERM ends all too, with exit code 143.

    Returns
    -------
    list of TrainedNet or Exception
        In the order of the jobs; an error in the place of a net that failed.

    Raises
    ------
    Interrupted, KeyboardInterrupt
        After `stop`, SIGTERM or SIGINT, once every net that was being trained has written its checkpoint.
    DeviceLost
        If the GPU has failed or the disk is full: no net can be trained any more. Checkpoints written before are kept.
    ArtistTransferError
        If `at_once` is out of bounds, or the frame store cannot be made.
    """
    if at_once is not None and at_once < 1:
        raise ArtistTransferError(f"at_once must be 1 or more, got {at_once}")
    root = Path(cache_root)
    places = [
        NetPlace(job.config, job.targets, job.params, source_key=source_key, device=device, cache_root=root)
        for job in jobs
    ]
    works: dict[str, _Work] = {}
    for job, place in zip(jobs, places, strict=True):
        works.setdefault(place.key, _Work(place, job.label))
    try:
        with stop_on_sigterm() as sigterm, stop_on_sigterm(signal.SIGINT) as sigint, ExitStack() as stack:
            crew = _Crew(
                list(works.values()),
                make_store,
                device=device,
                at_once=at_once or (AT_ONCE if device.type == "cuda" else 1),
                progress=progress,
                stop=lambda: sigint() or sigterm() or (stop is not None and stop()),
                stack=stack,
            )
            try:
                crew.work_off()
            except Interrupted:
                if sigint():
                    raise KeyboardInterrupt from None
                raise
    except torch.AcceleratorError as error:  # of making the frame store, or of leaving the surroundings
        raise_if_lost(error, device)
        raise
    return [crew.results[place.key] for place in places]


@dataclass(eq=False)
class _Work:
    """A net on its way: waiting, or in training."""

    place: NetPlace
    label: str
    later: float = 0.0  # not to be begun before this time
    net: MultiTaskNet | None = None
    steps: Generator[None, None, TrainResult] | None = None
    begun: bool = False  # the first update has been made
    held: ExitStack = field(default_factory=ExitStack)

    def drop(self) -> None:
        """Let go of the net, its graphs and its lock."""
        if self.steps is not None:
            self.steps.close()
        self.net, self.steps, self.begun = None, None, False
        self.held.close()


class _Crew:
    """The nets that take turns, and those that wait."""

    def __init__(
        self,
        works: Sequence[_Work],
        make_store: Callable[[], FrameStore],
        *,
        device: torch.device,
        at_once: int,
        progress: JobProgress | None,
        stop: Stop,
        stack: ExitStack,
    ) -> None:
        self.results: dict[str, TrainedNet | Exception] = {}
        self._waiting: deque[_Work] = deque(works)
        self._working: list[_Work] = []
        self._make_store, self._device, self._at_once = make_store, device, at_once
        self._progress, self._stop, self._stack = progress, stop, stack
        self._store: FrameStore | None = None
        self._statistics: tuple[np.ndarray, np.ndarray] | None = None
        self._alone = True  # whether a net has the surroundings to itself
        self._ending = False

    def work_off(self) -> None:
        """Train all; the errors of a net go into the results, what ends all is raised when all have saved."""
        try:
            while self._waiting or self._working:
                while len(self._working) < self._at_once and (work := self._next()) is not None:
                    self._begin(work)
                for work in tuple(self._working):
                    self._turn(work)
        except BaseException:
            self._wind_up()
            raise

    def _next(self) -> _Work | None:
        """Take the next net that waits; one that another process had shortly before only if there is no other."""
        now = time.monotonic()
        ready = next((work for work in self._waiting if work.later <= now), None)
        if ready is None and not self._working and self._waiting:
            ready = self._waiting[0]
        if ready is not None:
            self._waiting.remove(ready)
        return ready

    def _begin(self, work: _Work) -> None:
        # who holds a lock must not wait for another, or two processes wait for each other
        stop = (lambda: True) if self._working else self._stop
        try:
            work.held.enter_context(only_one(work.place.folder, stop=stop))
        except Interrupted:
            if not self._working:
                raise
            work.later = time.monotonic() + _LOCKED_S
            self._waiting.append(work)
            return
        except OSError as error:
            self._end(work, error)
            return
        self._working.append(work)
        try:
            found = work.place.open()
        except FAILURES as error:
            self._end(work, error)
            return
        if found is not None:
            self._end(work, found)
            return
        store, statistics = self._frames()
        params = work.place.params
        try:
            if self._alone:
                around = surroundings(self._device, seed=params.dropout_seed(), threads=params.threads)
                work.held.enter_context(around)
            work.net = work.place.new_net(*statistics)
        except FAILURES as error:
            self._end(work, error)
            return
        work.steps = updates(
            work.net,
            store,
            work.place.targets,
            params,
            device=self._device,
            folder=work.place.folder,
            progress=None if self._progress is None else self._teller(work.label, self._progress),
            stop=self._asked,
        )

    def _frames(self) -> tuple[FrameStore, tuple[np.ndarray, np.ndarray]]:
        """Make the store when it is first needed, and decide whether nets can take turns on it."""
        if self._store is None or self._statistics is None:
            store = self._store = self._make_store()
            self._statistics = store.band_statistics()
            every = [work.place.params for work in (*self._waiting, *self._working)]
            engines = {resolve_engine("auto", store) if params.engine == "auto" else params.engine for params in every}
            threads = {params.threads for params in every}
            if self._at_once > 1 and engines == {"fast"} and len(threads) == 1:
                self._alone = False  # fast engines have generators of their own: they share the settings only
                self._stack.enter_context(surroundings(self._device, seed=0, threads=every[0].threads))
            else:
                self._at_once = 1
        return self._store, self._statistics

    def _turn(self, work: _Work) -> None:
        """Make one update of a net."""
        assert work.steps is not None and work.net is not None
        try:
            next(work.steps)
            work.begun = True
        except StopIteration as end:
            work.steps = None
            try:
                self._end(work, work.place.finish(work.net, end.value))
            except FAILURES as error:
                self._end(work, error)
        except OutOfMemory as error:
            if len(self._working) == 1:
                self._end(work, error)
                return
            self._at_once = len(self._working) - 1  # the others go on, and this one waits for room
            self._working.remove(work)
            work.drop()
            self._waiting.appendleft(work)
        except FAILURES as error:
            self._end(work, error)
        except BaseException:
            work.steps = None  # it has written its checkpoint if it could
            raise

    def _end(self, work: _Work, result: TrainedNet | Exception) -> None:
        if isinstance(result, Exception):
            raise_if_lost(result, self._device)  # the others would only fail in turn
            raise_if_full(result)
            _forget_frames(result)
        self.results[work.place.key] = result
        if work in self._working:
            self._working.remove(work)
        work.drop()

    def _wind_up(self) -> None:
        """Have every net that is in training write its checkpoint; those that have just ended are kept."""
        self._ending = True
        for work in tuple(self._working):
            try:
                while work.begun and work.steps is not None:
                    self._turn(work)
            except (Interrupted, DeviceLost):
                pass
            finally:
                work.drop()
            result = self.results.get(work.place.key)
            if isinstance(result, Exception):
                warnings.warn(f"{work.label}: {result}", ArtistTransferWarning, stacklevel=2)

    def _asked(self) -> bool:
        return self._ending or self._stop()

    @staticmethod
    def _teller(label: str, progress: JobProgress) -> Callable[[int, int, Mapping[str, float]], None]:
        return lambda done, total, losses: progress(label, done, total, losses)


def _forget_frames(error: BaseException | None) -> None:
    """Cut an error loose from where it was raised: those frames hold the net, its graphs and a card's memory."""
    while error is not None:
        inner = error.__cause__ or error.__context__
        error.__traceback__ = error.__cause__ = error.__context__ = None
        error = inner
