"""The fast engine: the updates of the plain loop, with nothing of them left on the host.

These nets are small, so a step that Python launches operation by operation is bound by the launches. Here the frames,
the plan of an epoch (which track and from which frame), the counters and the losses all lie on the device, and a step
is a function without arguments: it looks up the batch at its counter, gathers the crops, makes the update and writes
the loss. On a GPU each task's step is captured once as a CUDA graph, and an update is one replay. On a CPU the same
function is simply called.

What an update is does not change: the same `update` is called as in the plain loop, on the same crops. A task's graph
holds the trunk and that task's tower only, so the other towers keep their weights, moments and step counters, as they
do when Adam passes over parameters without a gradient. Dropout draws from a generator of this engine's own, which CUDA
advances at each replay; several nets that are trained side by side don't disturb each other.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.models.dcnn import MultiTaskNet
from artist_transfer.training.crops import CropSampler
from artist_transfer.training.devices import OwnGenerator
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.graphs import CaptureError, capture, set_capturable
from artist_transfer.training.losses import Precision, update
from artist_transfer.training.parameters import Engine

WINDOW = 64  # batches that a plan holds at least: refilling it takes a transfer
WARM_UP = 3  # steps before a capture, in which cuDNN chooses its kernels and Adam makes its moments


def resolve_engine(engine: Engine, store: FrameStore, *, world: int = 1) -> Engine:
    """Turn the parameter into the engine that these frames are trained with.

    Parameters
    ----------
    engine : {"auto", "plain", "fast"}
        The parameter.
    store : FrameStore
        The frames.
    world : int >= 1
        Processes that train one net together; several talk in each update, which no graph holds.

    Returns
    -------
    {"plain", "fast"}
        ``auto`` is fast where a GPU holds the frames.

    Raises
    ------
    ArtistTransferError
        If ``fast`` is asked for on a GPU that does not hold them, or for several processes.
    """
    if engine == "fast" and world > 1:
        raise ArtistTransferError(
            f"training.engine: 'fast' is for one process, but {world} train together; allowed here are auto and plain"
        )
    far = store.frames.device.type != store.device.type
    if engine == "fast" and far:
        raise ArtistTransferError(
            f"training.engine: 'fast' needs the frames in the memory of the GPU, but they are on the {store.place}; "
            "allowed here are auto and plain"
        )
    if engine == "auto":
        return "fast" if store.device.type == "cuda" and not far and world == 1 else "plain"
    return engine


@dataclass(frozen=True)
class Fetched:
    """Losses on their way to the host."""

    values: Tensor
    event: torch.cuda.Event | None = None

    def ready(self) -> bool:
        """Say whether they have come."""
        return self.event is None or bool(self.event.query())

    def get(self) -> np.ndarray:
        """Wait for them and return them as float64."""
        if self.event is not None:
            self.event.synchronize()
        return self.values.numpy().astype(np.float64)


class Plan:
    """The next batches of a task on the device, and the counter that says which of them comes next.

    Parameters
    ----------
    task : str
        The task.
    sampler : CropSampler
        Says which crops come.
    steps : int >= 1
        Batches that are planned ahead.
    device : torch.device
        Where they are wanted.
    """

    def __init__(self, task: str, sampler: CropSampler, *, steps: int, device: torch.device) -> None:
        self.task, self.left = task, 0
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        self._sampler = sampler
        self._batches = torch.zeros(steps, 2, sampler.batch, dtype=torch.int64, device=device)

    def refill(self) -> None:
        """Plan ahead from where the sampler stands."""
        steps, _, batch = self._batches.shape
        order, firsts = self._sampler.upcoming(self.task, steps * batch)
        ahead = torch.from_numpy(np.stack([order.reshape(steps, batch), firsts.reshape(steps, batch)], axis=1))
        # from pinned memory the copy waits in the stream and not here
        self._batches.copy_(ahead.pin_memory() if self._batches.is_cuda else ahead, non_blocking=True)
        self.position.zero_()
        self.left = steps

    def next(self) -> tuple[Tensor, Tensor]:
        """Look up the batch at the counter and move that on, all on the device.

        Returns
        -------
        order : Tensor [shape=(batch,)], int64
            Rows of the task's targets.
        firsts : Tensor [shape=(batch,)], int64
            First frame of each crop in the store.
        """
        batch = self._batches.index_select(0, self.position)[0]  # (2, batch)
        self.position.add_(1)
        return batch[0], batch[1]


class FastEngine:
    """Makes updates out of what lies on the device.

    Parameters
    ----------
    net : MultiTaskNet
        In training mode, on the device.
    optimisers : mapping of str to Adam
        By task.
    store : FrameStore
        Frames, on the device.
    sampler : CropSampler
        Which crops come; each update moves it on.
    losses : Tensor [shape=(n,)], n >= 1
        Where the losses of an epoch's updates go, one after the other.
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass.
    seed : int >= 0
        Of dropout.
    must_capture : bool
        Whether a GPU that cannot capture a step is an error, or a warning and slow.
    """

    def __init__(
        self,
        net: MultiTaskNet,
        optimisers: Mapping[str, torch.optim.Adam],
        store: FrameStore,
        sampler: CropSampler,
        losses: Tensor,
        *,
        precision: Precision,
        seed: int,
        must_capture: bool = False,
    ) -> None:
        self.net, self.optimisers, self.losses = net, optimisers, losses
        self.random = OwnGenerator(store.device, seed=seed)
        self._store, self._sampler, self._precision, self._must_capture = store, sampler, precision, must_capture
        device = store.device
        self._slot = torch.zeros(1, dtype=torch.int64, device=device)  # where the next loss goes
        self._frames = torch.arange(sampler.crop, device=device)
        ahead = {task: max(WINDOW, -(-len(sampler.soft(task)) // sampler.batch)) for task in net.config.tasks}
        self._plans = {task: Plan(task, sampler, steps=steps, device=device) for task, steps in ahead.items()}
        self._graphs: dict[str, torch.cuda.CUDAGraph] = {}
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def begin(self, slot: int) -> None:
        """Get ready, once weights, moments, sampler and generator are those that the training goes on from.

        Parameters
        ----------
        slot : int >= 0
            Place of the next update's loss.

        Raises
        ------
        ArtistTransferError
            If the step cannot be captured and must be.
        """
        self._slot.fill_(slot)
        for plan in self._plans.values():
            plan.left = 0
        if self._stream is None:
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        self.warm_up()
        try:
            self._capture()
        except CaptureError as error:
            self._graphs.clear()
            self._set_capturable(False)
            if self._must_capture:
                raise ArtistTransferError(f"training.engine: 'fast' was asked for, but {error}; use plain") from error
            warnings.warn(
                f"{error}; the nets are the same, but are trained more slowly", ArtistTransferWarning, stacklevel=2
            )

    def advance(self, task: str) -> None:
        """Make one update.

        Parameters
        ----------
        task : str
            The task drawn.
        """
        plan = self._plans[task]
        with self._work():
            if not plan.left:
                plan.refill()
            if task in self._graphs:
                self._graphs[task].replay()
            else:
                with self.random.in_use():
                    self._step(task)
        plan.left -= 1
        self._sampler.skip(task)

    def fetch(self) -> Fetched:
        """Start to copy the losses of an epoch that has ended to the host, and begin the next.

        Returns
        -------
        Fetched
            Their values can be asked for once they have come.
        """
        if self._stream is None:
            self._slot.zero_()
            return Fetched(self.losses.clone())
        host = torch.empty(self.losses.shape, dtype=self.losses.dtype, pin_memory=True)
        with self._work():
            host.copy_(self.losses, non_blocking=True)
            event = torch.cuda.Event()
            event.record(self._stream)
            self._slot.zero_()
        return Fetched(host, event)

    def wait(self) -> None:
        """Wait until all updates are made; then weights, moments, losses and generator can be read."""
        if self._stream is not None:
            self._stream.synchronize()

    def close(self) -> None:
        """Wait, and let go of the graphs and their memory."""
        self.wait()
        self._graphs.clear()
        self._set_capturable(False)

    def warm_up(self, steps: int = WARM_UP) -> None:
        """Make some updates of every task and put back all that they changed.

        Parameters
        ----------
        steps : int >= 0
            Updates of each task.
        """
        before, generator = self._snapshot(), self.random.get_state()
        with self._work():
            for task, plan in self._plans.items():
                if not plan.left:
                    plan.refill()
                position = plan.position.clone()
                with self.random.in_use():
                    for _ in range(steps):
                        plan.position.copy_(position)
                        self._slot.zero_()  # there may be no room for so many losses behind the next one's place
                        self._step(task)
                plan.position.copy_(position)
            for tensor in self._state():
                if tensor.data_ptr() in before:
                    tensor.copy_(before[tensor.data_ptr()])
                else:
                    tensor.zero_()  # moments that Adam has made only now
        self.wait()
        self.random.set_state(generator)

    def _step(self, task: str) -> None:
        """Make an update out of what lies on the device: what a graph captures."""
        order, firsts = self._plans[task].next()
        crops = self._store.gather(firsts, self._frames)  # (batch, 1, band, frame)
        soft = self._sampler.soft(task).index_select(0, order)  # (batch, n_out)
        loss = update(self.net, self.optimisers[task], crops, soft, task=task, precision=self._precision)
        self.losses.index_copy_(0, self._slot, loss.reshape(1).to(self.losses.dtype))
        self._slot.add_(1)

    def _capture(self) -> None:
        """Record each task's step; nothing is computed meanwhile, and all graphs share their scratch memory."""
        assert self._stream is not None
        pool: object = None
        self._set_capturable(True)
        for task in self._plans:
            graph = capture(partial(self._step, task), stream=self._stream, random=self.random, pool=pool)
            self._graphs[task] = graph
            pool = graph.pool()

    def _set_capturable(self, capturable: bool) -> None:
        for optimiser in self.optimisers.values():
            set_capturable(optimiser, capturable)

    def _work(self) -> AbstractContextManager[object]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _state(self) -> Iterator[Tensor]:
        """Yield all tensors that an update changes, but for the positions in the plans."""
        yield from self.net.state_dict().values()
        for optimiser in dict.fromkeys(self.optimisers.values()):
            for state in optimiser.state.values():
                yield from state.values()
        yield self.losses
        yield self._slot

    def _snapshot(self) -> dict[int, Tensor]:
        with self._work():
            return {tensor.data_ptr(): tensor.clone() for tensor in self._state()}
