"""Training of artist-label and tag-label nets (ISMIR, section 3.3).

Stochastic gradient descent with Nesterov momentum; the learning rate falls a little with every update and to a fifth
whenever the validation loss has stopped falling; when it has fallen often enough, the training ends. The validation
loss is that of the same crops after every epoch, and the weights of its lowest value are those that are kept. Losses
stay on the device until an epoch ends; an update never waits for the GPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from artist_transfer.artifacts import fingerprint
from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.artist_net import ArtistNet, ArtistNetConfig
from artist_transfer.training.artist_batches import PlainSampler, SiameseSampler
from artist_transfer.training.artist_losses import artist_values, combined, siamese_values, tag_values
from artist_transfer.training.artist_parameters import ArtistTrainParams, Plateau
from artist_transfer.training.artist_songs import Songs
from artist_transfer.training.checkpoints import (
    Interrupted,
    Stop,
    load_checkpoint,
    optimiser_tensors,
    restore_optimisers,
    save_checkpoint,
)
from artist_transfer.training.devices import memory_errors, surroundings
from artist_transfer.training.frame_store import FrameStore

Progress = Callable[[int, int, Mapping[str, float]], None]  # updates done, updates at most, latest losses
History = list[dict[str, Any]]

_VALIDATION_CROPS = 256  # at once


@dataclass(frozen=True)
class ArtistTrainResult:
    """What a training leaves beside the weights.

    Parameters
    ----------
    history : list of dict
        ``epoch`` (from 1), ``loss`` and ``validation_loss`` (mean of a crop or anchor, without the L2 penalty; the
        first under dropout), ``learning_rate`` (of its last update), ``steps``.
    best_epoch : int >= 1
        Whose weights the net has.
    steps : int
        Updates in all.
    """

    history: History
    best_epoch: int
    steps: int


def train_artist(
    net: ArtistNet,
    store: FrameStore,
    songs: Songs,
    params: ArtistTrainParams,
    *,
    device: torch.device,
    folder: str | Path | None,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> ArtistTrainResult:
    """Train a net in place, going on from the newest checkpoint in the folder.

    Parameters
    ----------
    net : ArtistNet
        With its statistics set; is moved to the device and left there in evaluation mode, with the weights of the
        lowest validation loss.
    store : FrameStore
        Frames of training and validation songs.
    songs : Songs
        These songs, with labels of the net's kind.
    params : ArtistTrainParams
        How to train.
    device : torch.device
        Where to train.
    folder : str, Path or None
        Where checkpoints go; None writes none.
    progress : callable or None
        Called at the end of an epoch and once a second with updates done, updates at most and the latest losses,
        ``train`` and ``validation``.
    stop : callable or None
        Asked before every update; True writes a checkpoint and ends.

    Returns
    -------
    ArtistTrainResult
        History, best epoch and number of updates.

    Raises
    ------
    Interrupted
        After `stop` returned True.
    ArtistTransferError
        If net, songs and store don't belong together, the checkpoint is of another training, the loss is no longer
        finite, or memory runs out.
    """
    with (
        surroundings(device, seed=params.dropout_seed(), threads=params.threads),
        memory_errors(device, params.batch, kept=folder, key="artist_training.batch"),
    ):
        run = _Run(net, store, songs, params, device)
        if folder is not None:
            run.restore(folder)
        saved = told = time.monotonic()
        while not run.ended:
            if stop is not None and stop():
                if folder is not None:
                    run.save(folder)
                raise Interrupted(f"training was interrupted after {run.step} of {run.total} updates at most")
            run.advance()
            epoch_ends = run.step % run.epoch_steps == 0
            if epoch_ends:
                run.close_epoch()
            now = time.monotonic()
            if folder is not None and not run.ended and now - saved >= params.checkpoint_every_s:
                run.save(folder)
                saved = time.monotonic()
            if epoch_ends or now - told >= 1:
                run.tell(progress)
                told = now
        return run.finish()


class _Run:
    """All that changes while a net is trained."""

    def __init__(
        self, net: ArtistNet, store: FrameStore, songs: Songs, params: ArtistTrainParams, device: torch.device
    ) -> None:
        config = net.config
        _check(config, store, songs)
        self.net, self.params, self.device, self.kind = net.to(device).train(), params, device, config.kind
        self.loss_name = params.loss if config.kind == "siamese" else config.kind
        self.sampler = make_sampler(config, store, songs, params)
        self.passes = self.sampler.columns if params.statistics == "by_input" else 1
        self.labels = torch.from_numpy(songs.labels).to(device)
        rows, firsts = self.sampler.validation(params.validation_crops)
        self.validation_rows = torch.from_numpy(rows[:, 0].copy()).to(device)
        self.validation_firsts = torch.from_numpy(firsts).to(store.frames.device)
        kernels = net.kernels()
        others = [p for p in net.parameters() if not any(p is kernel for kernel in kernels)]
        # SGD adds weight_decay * w to the gradient; that of l2 * w² is 2 * l2 * w
        groups = [{"params": kernels, "weight_decay": 2 * params.l2}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.SGD(
            groups, lr=params.first_rate(config.kind), momentum=params.momentum, nesterov=params.momentum > 0
        )
        self.epoch_steps = params.steps_per_epoch(int(songs.training.sum()))
        self.total = params.epochs * self.epoch_steps
        self.losses = torch.zeros(self.epoch_steps, device=device, dtype=net.mean.dtype)  # of the current epoch
        self.plateau = Plateau(
            patience=params.patience, max_reductions=params.max_reductions, min_delta=params.min_delta
        )
        self.best: dict[str, Tensor] = {}
        self.history: History = []
        self.step = 0
        self.signature = fingerprint(
            "artist",
            config,
            params.identity(config.kind),
            store.lengths,
            songs.identity(),
            float(net.mean),
            float(net.std),
        )

    @property
    def ended(self) -> bool:
        return self.step >= self.total or self.plateau.ended

    @property
    def rate(self) -> float:
        return self.params.rate(self.kind, step=self.step, reductions=self.plateau.reductions)

    def values(self, crops: Tensor, rows: Tensor) -> Tensor:
        """Return the loss of each song (or anchor) of a batch."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.params.precision == "bfloat16"):
            outputs = self.outputs(self.net.standardise(crops))
        if self.kind == "siamese":
            p = self.params
            return siamese_values(outputs, loss=p.loss, margin=p.margin, temperature=p.temperature, distance=p.distance)
        logits, labels = outputs.squeeze(1), self.labels.index_select(0, rows)
        return artist_values(logits, labels) if self.kind == "basic" else tag_values(logits, labels)

    def outputs(self, x: Tensor) -> Tensor:
        """Return (batch, columns, n_outputs) of standardised crops."""
        columns, passes = self.sampler.columns, self.passes if self.net.training else 1
        parts = []
        for j in range(passes):
            if self.net.training:
                self.net.average_evenly(self.step * passes + j)
            parts.append(self.net(x[j::passes]))
        return parts[0].unflatten(0, (-1, columns)) if passes == 1 else torch.stack(parts, dim=1)

    def advance(self) -> None:
        """Make one update."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        values = self.values(*self.sampler.draw())
        combined(values, loss=self.loss_name).backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.losses[self.step % self.epoch_steps] = values.detach().mean()
        self.step += 1

    def close_epoch(self) -> None:
        """Compute the validation loss, keep the weights if it is the lowest, and see to the learning rate."""
        self.refuse()
        epoch, last_rate = self.step // self.epoch_steps, self.optimiser.param_groups[0]["lr"]
        validation_loss = self.validate()
        row = {"epoch": epoch, "loss": float(self.losses.double().mean()), "validation_loss": validation_loss}
        self.history.append({**row, "learning_rate": last_rate, "steps": self.epoch_steps})
        if not math.isfinite(validation_loss):
            raise ArtistTransferError(f"the validation loss is {validation_loss} after epoch {epoch}; {self._advice()}")
        if self.plateau.see(validation_loss, epoch=epoch):
            self.best = {name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()}

    def validate(self) -> float:
        """Return the mean loss of the validation crops."""
        self.net.eval()
        size, total = max(1, _VALIDATION_CROPS // self.sampler.columns), 0.0
        with torch.no_grad():
            for rows, firsts in zip(self.validation_rows.split(size), self.validation_firsts.split(size), strict=True):
                total += float(self.values(self.sampler.gather(firsts), rows).double().sum())
        self.net.train()
        return total / len(self.validation_rows)

    def refuse(self) -> None:
        """Refuse to go on if a loss of this epoch is not finite."""
        done = self.step % self.epoch_steps or self.epoch_steps
        bad = torch.nonzero(~self.losses[:done].isfinite()).flatten().tolist()
        if bad:
            step = self.step - done + bad[0] + 1
            raise ArtistTransferError(f"the loss is {float(self.losses[bad[0]])} at update {step}; {self._advice()}")

    def _advice(self) -> str:
        return f"make artist_training.learning_rate = {self.params.first_rate(self.kind)} smaller"

    def tell(self, progress: Progress | None) -> None:
        if progress is not None:
            last = self.history[-1] if self.history else {}
            names = {"train": "loss", "validation": "validation_loss"}
            progress(self.step, self.total, {ours: last[key] for ours, key in names.items() if last})

    def save(self, folder: str | Path) -> None:
        if self.step % self.epoch_steps:
            self.refuse()
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        tensors |= optimiser_tensors(self.net, {"all": self.optimiser})
        tensors |= {"losses": self.losses, "rng.cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["rng.cuda"] = torch.cuda.get_rng_state(self.device)
        state = {"signature": self.signature, "step": self.step, "history": self.history}
        state |= {"plateau": self.plateau.state_dict(), "sampler": self.sampler.state_dict()}
        save_checkpoint(folder, self.step, tensors=tensors, state=state)

    def restore(self, folder: str | Path) -> None:
        found = load_checkpoint(folder)
        if found is None:
            return
        tensors, state = found
        if state["signature"] != self.signature:
            raise ArtistTransferError(f"{folder} holds the checkpoint of another training; use another folder")
        self.net.load_state_dict(_of(tensors, "net."))
        self.best = {name: tensor.to(self.device) for name, tensor in _of(tensors, "best.").items()}
        restore_optimisers(self.net, {"all": self.optimiser}, tensors)
        self.losses.copy_(tensors["losses"])
        torch.set_rng_state(tensors["rng.cpu"])
        if self.device.type == "cuda" and "rng.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["rng.cuda"], self.device)
        self.step, self.history = state["step"], state["history"]
        self.plateau.load_state_dict(state["plateau"])
        self.sampler.load_state_dict(state["sampler"])

    def finish(self) -> ArtistTrainResult:
        self.net.load_state_dict(self.best)
        self.net.eval()
        return ArtistTrainResult(history=self.history, best_epoch=self.plateau.best_epoch, steps=self.step)


def _of(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _check(config: ArtistNetConfig, store: FrameStore, songs: Songs) -> None:
    if store.n_mels != config.n_mels:
        raise ArtistTransferError(f"the net takes {config.n_mels} bands, the frames have {store.n_mels}")
    if songs.of_tags != (config.kind == "tag"):
        raise ArtistTransferError(f"a {config.kind} net was asked for, but the labels are {songs.what}")
    if config.kind != "siamese" and config.n_outputs != len(songs.names):
        raise ArtistTransferError(f"the net has {config.n_outputs} outputs for {len(songs.names)} {songs.what}")


def make_sampler(config: ArtistNetConfig, store: FrameStore, songs: Songs, params: ArtistTrainParams) -> PlainSampler:
    """Make the sampler of a net's kind.

    Parameters
    ----------
    config : ArtistNetConfig
        Kind and crop.
    store : FrameStore
        Frames of the songs.
    songs : Songs
        The songs.
    params : ArtistTrainParams
        Batch, seed and negatives.

    Returns
    -------
    PlainSampler
        For a Siamese net a `SiameseSampler`.
    """
    if config.kind == "siamese":
        return SiameseSampler(
            store, songs, batch=params.batch, crop=config.crop, seed=params.seed, negatives=params.negatives
        )
    return PlainSampler(store, songs, batch=params.batch, crop=config.crop, seed=params.seed)
