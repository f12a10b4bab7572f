"""The training of the nets of a fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from artist_transfer.artifacts import fingerprint
from artist_transfer.pipelines.feature_learning.bars import training_bar
from artist_transfer.pipelines.feature_learning.params import TrainingBlock

if TYPE_CHECKING:
    import torch

    from artist_transfer.audio.store import MelStore
    from artist_transfer.models.dcnn import DcnnConfig
    from artist_transfer.training.frame_store import FrameStore
    from artist_transfer.training.loop import TrainedNet, TrainParams
    from artist_transfer.training.targets import TaskTarget, TaskTargets


@dataclass(frozen=True)
class Surroundings:
    """What every training of a run shares."""

    store: MelStore
    mel_manifest: Mapping[str, Any]
    training: TrainingBlock
    device: torch.device
    seed: int
    threads: int
    cache_root: Path

    @property
    def front_end(self) -> Mapping[str, Any]:
        """How the spectrograms were made."""
        return self.mel_manifest["front_end"]


def surroundings(
    usable_table: pd.DataFrame,
    mel_manifest: Mapping[str, Any],
    training: TrainingBlock,
    device: str,
    threads: int | None,
    seed: int,
    cache_root: str,
) -> Surroundings:
    """Gather what every training of a run shares, and pin torch's threads.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The tracks.
    mel_manifest : mapping
        Their spectrograms.
    training : TrainingBlock
        How nets are trained.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    seed : int
        Of weights, batches and dropout.
    cache_root : str
        Where finished nets are.

    Returns
    -------
    Surroundings
        All of it.
    """
    from artist_transfer.audio.store import MelStore
    from artist_transfer.training.devices import pin_threads, resolve_device

    return Surroundings(
        store=MelStore(mel_manifest, usable_table),
        mel_manifest=mel_manifest,
        training=training,
        device=resolve_device(device),
        seed=seed,
        threads=pin_threads(threads),
        cache_root=Path(cache_root),
    )


def train_nets(
    targets: Mapping[str, TaskTarget],
    tracks: pd.DataFrame,
    around: Surroundings,
    *,
    architecture: str,
    label: str,
) -> list[TrainedNet]:
    """Train one net for all tasks (mtn), or one for each (stn); what is finished is taken from the cache.

    Parameters
    ----------
    targets : mapping of str to TaskTarget
        At least one.
    tracks : pd.DataFrame
        Training tracks, sorted as the targets.
    around : Surroundings
        Store, parameters, device, seed.
    architecture : str
        mtn or stn.
    label : str
        What the progress bar says.

    Returns
    -------
    list of TrainedNet
        In the order of the tasks.
    """
    from artist_transfer.training.targets import TaskTargets

    groups = [list(targets.values())] if architecture == "mtn" else [[target] for target in targets.values()]
    return [_train_net(TaskTargets(group), tracks, around, label=label) for group in groups]


def _train_net(targets: TaskTargets, tracks: pd.DataFrame, around: Surroundings, *, label: str) -> TrainedNet:
    from artist_transfer.models.dcnn import DcnnConfig

    with training_bar(f"{label}, tasks {''.join(targets)}") as progress:
        return train_one(
            DcnnConfig(outputs=targets.outputs, shared=len(targets) > 1, width=around.training.width),
            targets,
            train_params(around),
            around,
            tracks,
            progress=progress,
        )


def train_one(
    config: DcnnConfig,
    targets: TaskTargets,
    params: TrainParams,
    around: Surroundings,
    tracks: pd.DataFrame,
    *,
    progress: Callable[[int, int, Mapping[str, float]], None],
) -> TrainedNet:
    """Train one net in this process, or in several; what is finished is taken from the cache.

    Parameters
    ----------
    config : DcnnConfig
        What to build.
    targets : TaskTargets
        What to learn.
    params : TrainParams
        How.
    around : Surroundings
        Where, and in how many processes.
    tracks : pd.DataFrame
        Training tracks, sorted as the targets.
    progress : callable
        Told how far it is.

    Returns
    -------
    TrainedNet
        The net.
    """
    from artist_transfer.training.distributed import Launch, train_cached_distributed

    return train_cached_distributed(
        config,
        _store_of_ranks(around, tracks),
        targets,
        params,
        launch=Launch(**around.training.distributed.model_dump()),
        source_key=source_key(tracks, around.front_end),
        device=around.device,
        cache_root=around.cache_root,
        progress=progress,
    )


def check_processes(around: Surroundings, tracks: pd.DataFrame) -> None:
    """Find what cannot work with the processes that are asked for, before any net is trained.

    Parameters
    ----------
    around : Surroundings
        How many, and where.
    tracks : pd.DataFrame
        Training tracks.

    Raises
    ------
    ArtistTransferError
        If there are fewer GPUs than processes, or something else that `train_one` would refuse for every net.
    """
    from artist_transfer.training.distributed import Launch, check_launch

    launch = Launch(**around.training.distributed.model_dump())
    if launch.world > 1:
        check_launch(launch, train_params(around), _store_of_ranks(around, tracks), around.device)


def train_params(around: Surroundings, *, seed: int | None = None) -> TrainParams:
    """Turn the block of parameters into what the training loop takes.

    Parameters
    ----------
    around : Surroundings
        Its block, device, seed and threads.
    seed : int or None
        Another seed than that of the surroundings.

    Returns
    -------
    TrainParams
        The same.
    """
    from artist_transfer.training.loop import TrainParams

    training = around.training
    shared = training.model_dump(include={"batch", "learning_rate", "l2", "optimiser", "draw", "precision", "engine"})
    return TrainParams(
        epochs=training.epochs or getattr(training.epochs_by_device, around.device.type),
        seed=around.seed if seed is None else seed,
        threads=around.threads,
        checkpoint_every_s=training.checkpoint_every_s,
        **shared,
    )


def store_for_all(around: Surroundings, tracks: pd.DataFrame) -> FrameStore:
    """Gather the training frames for nets that are trained in this process, if their engine can work on them.

    Parameters
    ----------
    around : Surroundings
        Spectrograms, device and engine.
    tracks : pd.DataFrame
        Training tracks, sorted.

    Returns
    -------
    FrameStore
        Their frames.

    Raises
    ------
    ArtistTransferError
        If the fast engine is asked for, and the GPU does not hold the frames: every net would fail by it.
    """
    from artist_transfer.training.engine import resolve_engine

    store = rank_store(around.mel_manifest, tracks, around.device)
    resolve_engine(around.training.engine, store)
    return store


def _store_of_ranks(around: Surroundings, tracks: pd.DataFrame) -> partial[FrameStore]:
    return partial(rank_store, around.mel_manifest, tracks[["track_id", "n_frames", "shard", "offset"]])


def rank_store(mel_manifest: Mapping[str, Any], tracks: pd.DataFrame, device: torch.device) -> FrameStore:
    """Gather the training frames where the nets will draw from them; gigabytes for a large corpus.

    Frames that fit into no memory stay in the shards, and nothing is copied. Opens the shards itself, so that what is
    handed to another process is small.

    Parameters
    ----------
    mel_manifest : mapping
        The spectrograms.
    tracks : pd.DataFrame
        Training tracks, sorted.
    device : torch.device
        Where they are wanted.

    Returns
    -------
    FrameStore
        Their frames.
    """
    import torch.distributed
    from tqdm.auto import tqdm

    from artist_transfer.audio.store import MelStore
    from artist_transfer.training.frame_store import FrameStore
    from artist_transfer.training.mapped_frames import FramePlaces

    store = MelStore(mel_manifest, tracks)
    ids = tracks["track_id"].tolist()
    lengths = tracks["n_frames"].astype(int).tolist()
    quiet = torch.distributed.is_initialized() and torch.distributed.get_rank() > 0
    with tqdm(total=len(ids), desc="training frames", unit="track", delay=2, leave=False, disable=quiet) as bar:

        class Counted:
            def frames(self, track_id: str, /) -> np.ndarray:
                bar.update(1)
                return store.frames(track_id)

        return FrameStore.build(
            Counted(), ids, device=device, n_frames=lengths, places=lambda: FramePlaces(*store.places(ids))
        )


def source_key(tracks: pd.DataFrame, front_end: Mapping[str, Any]) -> str:
    """Fingerprint the frames of some tracks by their audio, not by their place.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks.
    front_end : mapping
        How their spectrograms were made.

    Returns
    -------
    str
        The fingerprint.
    """
    return fingerprint(front_end, tracks["track_id"].tolist(), tracks["audio_hash"].tolist())
