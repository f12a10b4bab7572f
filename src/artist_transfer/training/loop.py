"""Training: one loop for single-task and multi-task nets (AGF, section 3.2.4).

A task is drawn, its next batch of random crops comes from the store, and the trunk and that task's tower take a step
of Adam. The parameters of the other towers have no gradient then, so Adam leaves them bit-unchanged, moments and all.
With ``optimiser="per_task"`` each task has an Adam of its own, over the trunk and its tower, as in the released code.

An epoch here is ``steps_per_epoch * number of tasks`` updates, so that each task sees one permutation of its tracks
in the mean. Losses stay on the device until an epoch ends; an update never waits for the GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from artist_transfer.artifacts import fingerprint, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.models.files import load_net, save_net
from artist_transfer.training.checkpoints import (
    Interrupted,
    Stop,
    load_checkpoint,
    only_one,
    optimiser_tensors,
    remove_checkpoints,
    restore_optimisers,
    save_checkpoint,
    stop_on_sigterm,
)
from artist_transfer.training.crops import CropSampler, FrameStore
from artist_transfer.training.devices import memory_errors, surroundings
from artist_transfer.training.losses import Optimiser, Precision, make_optimisers, update
from artist_transfer.training.targets import TaskTargets

Draw = Literal["batch", "epoch"]
Progress = Callable[[int, int, Mapping[str, float]], None]  # updates done, updates in all, latest loss by task
History = list[dict[str, Any]]

HISTORY = "history.json"
_DROPOUT, _TASKS = 31, 37  # keep these random numbers apart from the others that a seed makes
_NO_EFFECT = ("checkpoint_every_s", "threads")  # parameters that are no part of what a net is


@dataclass(frozen=True)
class TrainParams:
    """How a net is trained.

    Parameters
    ----------
    epochs : int >= 1
        Epochs for each task (200 in the paper); a net of N tasks makes N times as many updates.
    batch : int >= 2
        Crops in a batch.
    learning_rate : float > 0
        Of Adam.
    l2 : float >= 0
        The loss gets ``l2 * sum(w²)`` over kernels of convolutions and dense layers, as in Keras and Lasagne.
    optimiser : {"shared", "per_task"}
        One Adam, or one for each task.
    draw : {"batch", "epoch"}
        Whether a task is drawn for each update or for each run of `steps_per_epoch` updates.
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass (autocast); weights and losses are float32.
    channels_last : bool
        Memory layout; faster on CPUs.
    checkpoint_every_s : float >= 0, seconds
        Time between checkpoints; 0 writes one after every update.
    seed : int >= 0
        Dropout, order of tasks, permutations and crops.
    threads : int >= 1 or None
        Threads of torch; None leaves them as they are. Results on a CPU are bit-identical for one number only.

    Raises
    ------
    ArtistTransferError
        If a value is out of bounds; its key is named.
    """

    epochs: int
    batch: int = 64
    learning_rate: float = 1e-3
    l2: float = 1e-5
    optimiser: Optimiser = "shared"
    draw: Draw = "batch"
    precision: Precision = "float32"
    channels_last: bool = True
    checkpoint_every_s: float = 60.0
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        least = {"epochs": 1, "batch": 2, "l2": 0, "checkpoint_every_s": 0, "seed": 0}
        if self.threads is not None:
            least["threads"] = 1
        for key, bound in least.items():
            if not getattr(self, key) >= bound:
                raise ArtistTransferError(f"training.{key} must be {bound} or more, got {getattr(self, key)}")
        if not self.learning_rate > 0:
            raise ArtistTransferError(f"training.learning_rate must be above 0, got {self.learning_rate}")
        for key, allowed in (("optimiser", Optimiser), ("draw", Draw), ("precision", Precision)):
            if getattr(self, key) not in get_args(allowed):
                raise ArtistTransferError(
                    f"training.{key}: {getattr(self, key)!r} is unknown; allowed are {', '.join(get_args(allowed))}"
                )

    def steps_per_epoch(self, n_train: int) -> int:
        """Return the updates that one task's epoch of `n_train` tracks takes."""
        return max(1, n_train // self.batch)

    def identity(self) -> dict[str, Any]:
        """Return the parameters that change what a net becomes."""
        return {key: value for key, value in asdict(self).items() if key not in _NO_EFFECT}


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves beside the weights.

    Parameters
    ----------
    history : list of dict
        ``epoch`` (from 1), ``task``, ``loss`` (mean training cross-entropy, nats, without the L2 penalty), ``steps``.
    steps : int
        Updates in all.
    """

    history: History
    steps: int


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

    Returns
    -------
    TrainResult
        History and number of updates.

    Raises
    ------
    Interrupted
        After `stop` returned True.
    ArtistTransferError
        If the net, the targets and the store don't belong together, the checkpoint is of another training, the loss
        is no longer finite, or memory runs out.
    """
    seed = int(np.random.SeedSequence([params.seed, _DROPOUT]).generate_state(1)[0])
    with surroundings(device, seed=seed, threads=params.threads), memory_errors(device, params.batch, kept=folder):
        run = _Run(net, store, targets, params, device)
        if folder is not None:
            run.restore(folder)
        saved = told = time.monotonic()
        while run.step < run.total:
            if stop is not None and stop():
                if folder is not None:
                    run.save(folder)
                raise Interrupted(f"training was interrupted after {run.step} of {run.total} updates")
            run.advance()
            now, epoch_ends = time.monotonic(), run.step % run.epoch_steps == 0
            if epoch_ends:
                run.close_epoch()
            if folder is not None and run.step < run.total and now - saved >= params.checkpoint_every_s:
                run.save(folder)
                saved = time.monotonic()
            if epoch_ends or now - told >= 1:
                run.tell(progress)
                told = now
    net.eval()
    return TrainResult(history=run.history, steps=run.total)


class _Run:
    """All that changes while a net is trained."""

    def __init__(
        self, net: MultiTaskNet, store: FrameStore, targets: TaskTargets, params: TrainParams, device: torch.device
    ) -> None:
        if targets.outputs != net.config.outputs:
            raise ArtistTransferError(f"the net has outputs {net.config.outputs}, the targets {targets.outputs}")
        if store.n_mels != net.config.n_mels:
            raise ArtistTransferError(f"the net takes {net.config.n_mels} bands, the frames have {store.n_mels}")
        layout = torch.channels_last if params.channels_last else torch.contiguous_format
        net.to(device).to(memory_format=layout)  # type: ignore[call-overload]
        self.net, self.params, self.device = net.train(), params, device
        self.tasks = net.config.tasks
        self.sampler = CropSampler(store, targets, batch=params.batch, crop=net.config.crop, seed=params.seed)
        self.optimisers = make_optimisers(net, learning_rate=params.learning_rate, l2=params.l2, kind=params.optimiser)
        steps = params.steps_per_epoch(len(store.track_ids))
        self.epoch_steps = steps * len(self.tasks)
        self.total = params.epochs * self.epoch_steps
        self.schedule = _schedule(params, n_tasks=len(self.tasks), steps_per_epoch=steps)
        self.losses = torch.zeros(self.epoch_steps, device=device)  # of the current epoch
        self.history: History = []
        self.step = 0
        self.signature = fingerprint(
            net.config,
            params.identity(),
            store.track_ids,
            store.lengths,
            targets.identity(),
            net.band_mean.cpu().numpy(),
            net.band_std.cpu().numpy(),
        )

    def advance(self) -> None:
        task = self.tasks[self.schedule[self.step]]
        crops, soft = self.sampler.draw(task)
        self.losses[self.step % self.epoch_steps] = update(
            self.net, self.optimisers[task], crops, soft, task=task, precision=self.params.precision
        )
        self.step += 1

    def losses_so_far(self) -> np.ndarray:
        """Fetch the losses of the current epoch and refuse to go on if one is not finite."""
        first = (self.step - 1) // self.epoch_steps * self.epoch_steps if self.step else 0
        losses = self.losses[: self.step - first].cpu().numpy().astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            step = first + int(bad[0])
            raise ArtistTransferError(
                f"the loss of task {self.tasks[self.schedule[step]]!r} is {losses[bad[0]]} at update {step + 1} of "
                f"{self.total} with training.learning_rate = {self.params.learning_rate}; make it smaller"
            )
        return losses

    def close_epoch(self) -> None:
        losses = self.losses_so_far()
        drawn = self.schedule[self.step - self.epoch_steps : self.step]
        for i, task in enumerate(self.tasks):
            mine = losses[drawn == i]
            if len(mine):
                row = {"epoch": self.step // self.epoch_steps, "task": task, "loss": float(mine.mean())}
                self.history.append({**row, "steps": len(mine)})

    def tell(self, progress: Progress | None) -> None:
        self.losses_so_far()
        if progress is not None:
            progress(self.step, self.total, {row["task"]: row["loss"] for row in self.history[-len(self.tasks) :]})

    def save(self, folder: str | Path) -> None:
        self.losses_so_far()
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        tensors |= optimiser_tensors(self.net, self.optimisers)
        tensors |= {"losses": self.losses, "rng.cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["rng.cuda"] = torch.cuda.get_rng_state(self.device)
        state = {
            "signature": self.signature,
            "step": self.step,
            "history": self.history,
            "sampler": self.sampler.state_dict(),
        }
        save_checkpoint(folder, self.step, tensors=tensors, state=state)

    def restore(self, folder: str | Path) -> None:
        found = load_checkpoint(folder)
        if found is None:
            return
        tensors, state = found
        if state["signature"] != self.signature:
            raise ArtistTransferError(f"{folder} holds the checkpoint of another training; use another folder")
        self.net.load_state_dict({key[4:]: value for key, value in tensors.items() if key.startswith("net.")})
        restore_optimisers(self.net, self.optimisers, tensors)
        self.losses.copy_(tensors["losses"])
        torch.set_rng_state(tensors["rng.cpu"])
        if self.device.type == "cuda" and "rng.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["rng.cuda"], self.device)
        self.step, self.history = state["step"], state["history"]
        self.sampler.load_state_dict(state["sampler"])


def _schedule(params: TrainParams, *, n_tasks: int, steps_per_epoch: int) -> np.ndarray:
    """Return the index of the task of every update, uint8."""
    generator = np.random.default_rng([params.seed, _TASKS])
    n_steps = params.epochs * n_tasks * steps_per_epoch
    if params.draw == "batch":
        return generator.integers(n_tasks, size=n_steps, dtype=np.uint8)
    return np.repeat(generator.integers(n_tasks, size=params.epochs * n_tasks, dtype=np.uint8), steps_per_epoch)


@dataclass(frozen=True)
class TrainedNet:
    """A finished net (on the device, in evaluation mode), where it lies, and whether it was there already."""

    net: MultiTaskNet
    history: History
    folder: Path
    details: dict[str, Any]
    reused: bool


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
    key = fingerprint("net", config, params.identity(), source_key, targets.identity(), device.type)
    folder = Path(cache_root) / "nets" / key
    with stop_on_sigterm() as sigterm, only_one(folder, stop=stop or sigterm):
        details = open_folder(folder)
        if details is not None:
            history = read_json(folder / HISTORY)
            return TrainedNet(load_net(folder, device), history, folder, details=details, reused=True)
        store = make_store()
        net = MultiTaskNet(config, seed=params.seed)
        net.set_band_statistics(*store.band_statistics())
        result = train(
            net, store, targets, params, device=device, folder=folder, progress=progress, stop=stop or sigterm
        )
        write_json(folder / HISTORY, result.history)
        details = {
            "config": {**asdict(config), "outputs": dict(config.outputs)},
            "training": params.identity(),
            "device": device.type,
            "threads": params.threads,
            "source": source_key,
            "steps": result.steps,
            "tracks": {task: len(target.rows) for task, target in targets.items()},
            "tracks_without_target": {task: target.n_without for task, target in targets.items()},
        }
        details = save_net(folder, net, details=details, also=(HISTORY,))
        remove_checkpoints(folder)
    return TrainedNet(net, result.history, folder, details=details, reused=False)
