"""Training: one loop for single-task and multi-task nets (AGF, section 3.2.4).

A task is drawn, its next batch of random crops comes from the store, and the trunk and that task's tower take a step
of Adam. The parameters of the other towers have no gradient then, so Adam leaves them bit-unchanged, moments and all.
With ``optimiser="per_task"`` each task has an Adam of its own, over the trunk and its tower, as in the released code.

An epoch here is ``steps_per_epoch * number of tasks`` updates, so that each task sees one permutation of its tracks
in the mean. Losses stay on the device until an epoch ends; an update never waits for the GPU.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from artist_transfer.artifacts import fingerprint
from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.training.checkpoints import (
    Interrupted,
    Stop,
    load_checkpoint,
    only_one,
    optimiser_tensors,
    restore_optimisers,
    save_checkpoint,
    stop_on_sigterm,
)
from artist_transfer.training.crops import CropSampler
from artist_transfer.training.devices import memory_errors, surroundings
from artist_transfer.training.engine import FastEngine, Fetched, resolve_engine
from artist_transfer.training.finished import NetPlace, TrainedNet
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.losses import make_optimisers, update
from artist_transfer.training.parameters import History, TrainParams, TrainResult
from artist_transfer.training.ranks import ALONE, Ranks
from artist_transfer.training.targets import TaskTargets

Progress = Callable[[int, int, Mapping[str, float]], None]  # updates done, updates in all, latest loss by task

_TASKS = 37  # keeps these random numbers apart from the others that a seed makes
_OPEN_EPOCHS = 16  # whose losses may still be on their way from the device


def train(
    net: MultiTaskNet,
    store: FrameStore,
    targets: TaskTargets,
    params: TrainParams,
    *,
    device: torch.device,
    folder: str | Path | None,
    progress: Progress | None = None,
    stop: Stop | None = None,
    ranks: Ranks = ALONE,
) -> TrainResult:
    """Train a net in place, going on from the newest checkpoint in the folder.

    Parameters
    ----------
    net : MultiTaskNet
        With its band statistics set; is moved to the device and left there in evaluation mode.
    store : FrameStore
        Frames of the training tracks.
    targets : TaskTargets
        Targets over these tracks, of the net's tasks.
    params : TrainParams
        How to train.
    device : torch.device
        Where to train.
    folder : str, Path or None
        Where checkpoints go; None writes none.
    progress : callable or None
        Called at the end of an epoch and once a second with updates done, updates in all and the latest mean loss by
        task.
    stop : callable or None
        Asked before every update; True writes a checkpoint and ends.
    ranks : Ranks
        Of a training by several processes: each calls this with its own.

    Returns
    -------
    TrainResult
        History and number of updates.

    Raises
    ------
    Interrupted
        After `stop` returned True.
    DeviceLost
        If the GPU has failed; checkpoints written before are kept.
    ArtistTransferError
        If the net, the targets and the store don't belong together, the checkpoint is of another training, the loss
        is no longer finite, or memory runs out.
    """
    with surroundings(device, seed=params.dropout_seed(ranks.rank), threads=params.threads):
        steps = updates(
            net, store, targets, params, device=device, folder=folder, progress=progress, stop=stop, ranks=ranks
        )
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: TrainResult = end.value
                return result


def updates(
    net: MultiTaskNet,
    store: FrameStore,
    targets: TaskTargets,
    params: TrainParams,
    *,
    device: torch.device,
    folder: str | Path | None,
    progress: Progress | None = None,
    stop: Stop | None = None,
    ranks: Ranks = ALONE,
) -> Generator[None, None, TrainResult]:
    """Train a net update by update, so that several can take turns; all else is as in `train`.

    Parameters
    ----------
    net, store, targets, params, device, folder, progress, stop, ranks
        As `train` takes them. The caller sets up the surroundings (`artist_transfer.training.devices.surroundings`).

    Yields
    ------
    None
        After each update.

    Returns
    -------
    TrainResult
        History and number of updates.
    """
    with (
        memory_errors(device, params.batch, kept=folder),
        closing(_Run(net, store, targets, params, device, ranks)) as run,
    ):
        if folder is not None:
            run.restore(folder)
        run.begin()
        saved = told = time.monotonic()
        while run.step < run.total:
            if ranks.any(stop is not None and stop(), run.step):
                if folder is not None:
                    run.save(folder)
                raise Interrupted(f"training was interrupted after {run.step} of {run.total} updates")
            run.advance()
            now, epoch_ends = time.monotonic(), run.step % run.epoch_steps == 0
            if epoch_ends:
                run.close_epoch()
            due = now - saved >= params.checkpoint_every_s
            if folder is not None and run.step < run.total and ranks.any(due, run.step):
                run.save(folder)
                saved = time.monotonic()
            if epoch_ends or now - told >= 1:
                run.tell(progress)
                told = now
            yield
    net.eval()
    return TrainResult(history=run.history, steps=run.total)


class _Run:
    """All that changes while a net is trained."""

    def __init__(
        self,
        net: MultiTaskNet,
        store: FrameStore,
        targets: TaskTargets,
        params: TrainParams,
        device: torch.device,
        ranks: Ranks,
    ) -> None:
        if targets.outputs != net.config.outputs:
            raise ArtistTransferError(f"the net has outputs {net.config.outputs}, the targets {targets.outputs}")
        if store.n_mels != net.config.n_mels:
            raise ArtistTransferError(f"the net takes {net.config.n_mels} bands, the frames have {store.n_mels}")
        layout = torch.channels_last if params.channels_last else torch.contiguous_format
        net.to(device).to(memory_format=layout)  # type: ignore[call-overload]
        self.net, self.params, self.device = net.train(), params, device
        self.tasks, crop, part = net.config.tasks, net.config.crop, (ranks.rank, ranks.world)
        self.sampler = CropSampler(store, targets, batch=params.batch, crop=crop, seed=params.seed, part=part)
        self.ranks, self.after_backward = ranks, ranks.reducer(net)
        self.optimisers = make_optimisers(net, learning_rate=params.learning_rate, l2=params.l2, kind=params.optimiser)
        steps = params.steps_per_epoch(len(store.track_ids))
        self.epoch_steps = steps * len(self.tasks)
        self.total = params.epochs * self.epoch_steps
        self.schedule = _schedule(params, n_tasks=len(self.tasks), steps_per_epoch=steps)
        self.losses = torch.zeros(self.epoch_steps, device=device, dtype=net.band_mean.dtype)  # of the current epoch
        self.closing: deque[tuple[int, Fetched]] = deque()  # epochs by their last update
        self.history: History = []
        self.fast = self._engine(store)
        self.step = 0
        self.signature = fingerprint(
            net.config,
            params.identity(),
            store.track_ids,
            store.lengths,
            targets.identity(),
            net.band_mean.cpu().numpy(),
            net.band_std.cpu().numpy(),
            *([ranks.world] if ranks.world > 1 else []),
        )
        ranks.same(self.signature)

    def _engine(self, store: FrameStore) -> FastEngine | None:
        if resolve_engine(self.params.engine, store, world=self.ranks.world) == "plain":
            return None
        return FastEngine(
            self.net,
            self.optimisers,
            store,
            self.sampler,
            self.losses,
            precision=self.params.precision,
            seed=self.params.dropout_seed(),
            must_capture=self.params.engine == "fast",
        )

    def begin(self) -> None:
        """Get the engine ready; what was to be restored is."""
        if self.fast is not None and self.step < self.total:
            self.fast.begin(self.step % self.epoch_steps)

    def close(self) -> None:
        if self.fast is not None:
            self.fast.close()

    def advance(self) -> None:
        task = self.tasks[self.schedule[self.step]]
        if self.fast is not None:
            self.fast.advance(task)
        else:
            crops, soft = self.sampler.draw(task)
            self.losses[self.step % self.epoch_steps] = update(
                self.net,
                self.optimisers[task],
                crops,
                soft,
                task=task,
                precision=self.params.precision,
                after_backward=self.after_backward,
            )
        self.step += 1

    def close_epoch(self) -> None:
        """Add the losses of the epoch that has ended to the history, as soon as they are on the host."""
        fetched = Fetched(self.losses.to("cpu", copy=True)) if self.fast is None else self.fast.fetch()
        self.closing.append((self.step, fetched))
        self.settle(wait=self.step == self.total)

    def settle(self, *, wait: bool) -> None:
        while self.closing and (wait or len(self.closing) > _OPEN_EPOCHS or self.closing[0][1].ready()):
            end, fetched = self.closing.popleft()
            losses = fetched.get()
            self.refuse(losses, first=end - self.epoch_steps)
            drawn = self.schedule[end - self.epoch_steps : end]
            for i, task in enumerate(self.tasks):
                mine = losses[drawn == i]
                if len(mine):
                    row = {"epoch": end // self.epoch_steps, "task": task, "loss": float(mine.mean())}
                    self.history.append({**row, "steps": len(mine)})

    def check(self) -> None:
        """Wait for all updates, and refuse to go on if one of their losses is not finite."""
        self.settle(wait=True)
        if self.fast is not None:
            self.fast.wait()
        done = self.step % self.epoch_steps
        if done:
            self.refuse(self.losses[:done].cpu().numpy().astype(np.float64), first=self.step - done)

    def refuse(self, losses: np.ndarray, *, first: int) -> None:
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            step = first + int(bad[0])
            raise ArtistTransferError(
                f"the loss of task {self.tasks[self.schedule[step]]!r} is {losses[bad[0]]} at update {step + 1} of "
                f"{self.total} with training.learning_rate = {self.params.learning_rate}; make it smaller"
            )

    def tell(self, progress: Progress | None) -> None:
        if self.step % self.epoch_steps:
            self.check()
        if progress is not None:
            progress(self.step, self.total, {row["task"]: row["loss"] for row in self.history[-len(self.tasks) :]})

    def save(self, folder: str | Path) -> None:
        self.check()
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        tensors |= optimiser_tensors(self.net, self.optimisers)
        tensors["losses"] = self.losses
        own = None if self.fast is None else self.fast.random.get_state()
        if self.device.type == "cuda":
            tensors |= self._gathered("cuda", torch.cuda.get_rng_state(self.device) if own is None else own)
            own = None
        tensors |= self._gathered("cpu", torch.get_rng_state() if own is None else own)
        if self.ranks.rank > 0:
            return
        state = {"signature": self.signature, "step": self.step, "history": self.history}
        save_checkpoint(folder, self.step, tensors=tensors, state={**state, "sampler": self.sampler.state_dict()})

    def _gathered(self, kind: str, state: torch.Tensor) -> dict[str, torch.Tensor]:
        return {f"rng.{kind}.{rank}": each for rank, each in enumerate(self.ranks.gather(state))}

    def restore(self, folder: str | Path) -> None:
        found = self.ranks.from_first(lambda: load_checkpoint(folder))
        if found is None:
            return
        tensors, state = found
        if state["signature"] != self.signature:
            raise ArtistTransferError(f"{folder} holds the checkpoint of another training; use another folder")
        self.net.load_state_dict({key[4:]: value for key, value in tensors.items() if key.startswith("net.")})
        restore_optimisers(self.net, self.optimisers, tensors)
        self.losses.copy_(tensors["losses"])
        rank = self.ranks.rank
        if self.fast is not None:
            self.fast.random.set_state(tensors[f"rng.{self.device.type}.{rank}"])
        else:
            torch.set_rng_state(tensors[f"rng.cpu.{rank}"])
            if self.device.type == "cuda" and f"rng.cuda.{rank}" in tensors:
                torch.cuda.set_rng_state(tensors[f"rng.cuda.{rank}"], self.device)
        self.step, self.history = state["step"], state["history"]
        self.sampler.load_state_dict(state["sampler"])


def _schedule(params: TrainParams, *, n_tasks: int, steps_per_epoch: int) -> np.ndarray:
    """Return the index of the task of every update, uint8."""
    generator = np.random.default_rng([params.seed, _TASKS])
    n_steps = params.epochs * n_tasks * steps_per_epoch
    if params.draw == "batch":
        return generator.integers(n_tasks, size=n_steps, dtype=np.uint8)
    return np.repeat(generator.integers(n_tasks, size=params.epochs * n_tasks, dtype=np.uint8), steps_per_epoch)


def train_cached(
    config: DcnnConfig,
    make_store: Callable[[], FrameStore],
    targets: TaskTargets,
    params: TrainParams,
    *,
    source_key: str,
    device: torch.device,
    cache_root: str | Path,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> TrainedNet:
    """Return the net of these inputs and parameters, from ``<cache_root>/nets/<fingerprint>`` or by training it.

    Parameters
    ----------
    config : DcnnConfig
        What to build; its outputs are those of the targets.
    make_store : callable
        Makes the frame store; called only if there is something to train.
    targets : TaskTargets
        What to learn.
    params : TrainParams
        How to train; the seed is also that of the initial weights.
    source_key : str
        Fingerprint of the frames: front end, mel shards and training tracks.
    device : torch.device
        Where to train and where the net is left.
    cache_root : str or Path
        Folder of all caches.
    progress, stop : callable or None
        As for `train`; without `stop`, SIGTERM writes the checkpoint and ends with exit code 143.

    Returns
    -------
    TrainedNet
        Net, history and folder.

    Raises
    ------
    Interrupted, ArtistTransferError
        As `train` does.
    """
    place = NetPlace(config, targets, params, source_key=source_key, device=device, cache_root=Path(cache_root))
    with stop_on_sigterm() as sigterm, only_one(place.folder, stop=stop or sigterm):
        found = place.open()
        if found is not None:
            return found
        store = make_store()
        net = place.new_net(*store.band_statistics())
        result = train(
            net, store, targets, params, device=device, folder=place.folder, progress=progress, stop=stop or sigterm
        )
        return place.finish(net, result)
