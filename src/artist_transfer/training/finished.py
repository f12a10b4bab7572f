"""Trained nets in the cache: what one is made of names its folder, where weights and history lie once it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artist_transfer.artifacts import fingerprint, open_folder, read_json, write_json
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.models.files import load_net, save_net
from artist_transfer.training.checkpoints import remove_checkpoints
from artist_transfer.training.parameters import History, TrainParams, TrainResult
from artist_transfer.training.targets import TaskTargets

HISTORY = "history.json"


@dataclass(frozen=True)
class TrainedNet:
    """A finished net (on the device, in evaluation mode), where it lies, and whether it was there already."""

    net: MultiTaskNet
    history: History
    folder: Path
    details: dict[str, Any]
    reused: bool


@dataclass(frozen=True)
class NetPlace:
    """All that makes a net, and the folder that this names.

    Parameters
    ----------
    config : DcnnConfig
        What to build; its outputs are those of the targets.
    targets : TaskTargets
        What to learn.
    params : TrainParams
        How to train; the seed is also that of the initial weights.
    source_key : str
        Fingerprint of the frames: front end, mel shards and training tracks.
    device : torch.device
        Where to train and where the net is left.
    cache_root : Path
        Folder of all caches.
    """

    config: DcnnConfig
    targets: TaskTargets
    params: TrainParams
    source_key: str
    device: torch.device
    cache_root: Path

    @cached_property
    def key(self) -> str:
        """Fingerprint of config, parameters, frames, targets and kind of device."""
        identity = self.params.identity(), self.source_key, self.targets.identity(), self.device.type
        return fingerprint("net", self.config, *identity)

    @property
    def folder(self) -> Path:
        """Where the net lies, or will."""
        return self.cache_root / "nets" / self.key

    def open(self) -> TrainedNet | None:
        """Return the net if it is done and whole."""
        details = open_folder(self.folder)
        if details is None:
            return None
        history = read_json(self.folder / HISTORY)
        return TrainedNet(load_net(self.folder, self.device), history, self.folder, details=details, reused=True)

    def new_net(self, mean: np.ndarray, std: np.ndarray) -> MultiTaskNet:
        """Make the net with its initial weights.

        Parameters
        ----------
        mean, std : np.ndarray [shape=(n_mels,)], dB
            Band statistics of the training tracks.

        Returns
        -------
        MultiTaskNet
            On the CPU.
        """
        net = MultiTaskNet(self.config, seed=self.params.seed)
        net.set_band_statistics(mean, std)
        return net

    def finish(self, net: MultiTaskNet, result: TrainResult) -> TrainedNet:
        """Write the net that has been trained, and return it.

        Parameters
        ----------
        net : MultiTaskNet
            In evaluation mode.
        result : TrainResult
            Its history.

        Returns
        -------
        TrainedNet
            The same net.
        """
        facts = facts_of(self.params, self.device, self.source_key, result)
        details = save_finished(self.folder, net, self.targets, history=result.history, facts=facts)
        return TrainedNet(net, result.history, self.folder, details=details, reused=False)


def facts_of(params: TrainParams, device: torch.device, source_key: str, result: TrainResult) -> dict[str, Any]:
    """Return what the details of a trained net say about its training."""
    facts = {"training": params.identity(), "device": device.type, "threads": params.threads}
    return {**facts, "source": source_key, "steps": result.steps}


def save_finished(
    folder: str | Path,
    net: MultiTaskNet,
    targets: TaskTargets,
    *,
    history: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a trained net with its history, and drop its checkpoints.

    Parameters
    ----------
    folder : str or Path
        Its folder in the cache; counts as done when this returns.
    net : MultiTaskNet
        The net, on any device.
    targets : TaskTargets
        What it has learned; the tracks with and without a target are counted.
    history : sequence of mapping
        Losses by epoch and task.
    facts : mapping
        What else the details hold, for JSON.

    Returns
    -------
    dict
        The details as written.
    """
    folder = Path(folder)
    write_json(folder / HISTORY, list(history))
    details = {
        "config": {**asdict(net.config), "outputs": dict(net.config.outputs)},
        "tracks": {task: len(target.rows) for task, target in targets.items()},
        "tracks_without_target": {task: target.n_without for task, target in targets.items()},
        **facts,
    }
    details = save_net(folder, net, details=details, also=(HISTORY,))
    remove_checkpoints(folder)
    return details
