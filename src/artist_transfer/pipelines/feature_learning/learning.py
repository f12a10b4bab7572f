"""What the nets of a fold learn, and the training of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from artist_transfer.artifacts import fingerprint
from artist_transfer.pipelines.feature_learning.params import TrainingBlock
from artist_transfer.tasks import ARTIST

if TYPE_CHECKING:
    import torch

    from artist_transfer.audio.store import MelStore
    from artist_transfer.models.dcnn import DcnnConfig
    from artist_transfer.training.crops import FrameStore
    from artist_transfer.training.loop import TrainedNet, TrainParams
    from artist_transfer.training.targets import TaskTarget, TaskTargets


_LABELS = {"g": ("genre_top", "genre"), ARTIST: ("artist_id", "artist")}


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


def tracks_of(usable_table: pd.DataFrame, split_table: pd.DataFrame, *, fold: int, side: str) -> pd.DataFrame:
    """Return the usable tracks on one side of a fold, sorted by track.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    fold : int
        The fold.
    side : str
        The side.

    Returns
    -------
    pd.DataFrame
        Rows of `usable_table`.
    """
    rows = split_table[(split_table["fold"] == fold) & (split_table["side"] == side)]
    return usable_table[usable_table["track_id"].isin(rows["track_id"])].sort_values("track_id", ignore_index=True)


def fold_targets(
    tasks: str, tracks: pd.DataFrame, factor_tables: Mapping[str, pd.DataFrame], *, fold: int
) -> tuple[dict[str, TaskTarget], dict[str, str]]:
    """Make the targets of the tasks that this fold has any for.

    Parameters
    ----------
    tasks : str
        Task letters; a is the artist's identity.
    tracks : pd.DataFrame
        Training tracks, sorted.
    factor_tables : mapping of str to pd.DataFrame
        By task letter.
    fold : int
        The fold.

    Returns
    -------
    targets : dict of str to TaskTarget
        By task letter.
    left_out : dict of str to str
        Task letter to the reason why it has no target.
    """
    targets: dict[str, TaskTarget] = {}
    left_out: dict[str, str] = {}
    for task in tasks:
        if task in _LABELS:
            made = label_target(task, tracks)
        else:
            made = factor_target(task, tracks, factor_tables[task], fold=fold)
        if isinstance(made, str):
            left_out[task] = made
        else:
            targets[task] = made
    return targets, left_out


def label_target(task: str, tracks: pd.DataFrame) -> TaskTarget | str:
    """Make one-hot targets of genre or artist, or say why there are none.

    Parameters
    ----------
    task : {"g", "a"}
        Genre or artist.
    tracks : pd.DataFrame
        Training tracks, sorted.

    Returns
    -------
    TaskTarget or str
        The targets over the classes of these tracks, or the reason.
    """
    from artist_transfer.training.targets import TaskTarget

    column, name = _LABELS[task]
    labels = [None if pd.isna(label) else str(label) for label in tracks[column]]
    classes = sorted({label for label in labels if label is not None})
    if len(classes) < 2:
        return f"the training tracks have {len(classes)} {name}(s), and a classifier needs two"
    return TaskTarget.from_labels(task, labels, classes)


def factor_target(task: str, tracks: pd.DataFrame, factor_table: pd.DataFrame, *, fold: int) -> TaskTarget | str:
    """Give every track the factors of its artist, or say why there are none.

    Parameters
    ----------
    task : str
        s, e, d or m.
    tracks : pd.DataFrame
        Training tracks, sorted.
    factor_table : pd.DataFrame
        The factors of the feature set.
    fold : int
        The fold.

    Returns
    -------
    TaskTarget or str
        The soft targets, or the reason.
    """
    from artist_transfer.training.targets import TaskTarget

    rows = factor_table[factor_table["fold"] == fold] if len(factor_table) else factor_table
    if not len(rows):
        return "no artist has a factor of this feature set"
    factors = rows.drop(columns=["fold"]).set_index("artist_id").dropna(axis=1, how="all")
    if factors.shape[1] < 2:
        return f"the feature set has {factors.shape[1]} artist group(s), and a target needs two"
    vectors = factors.reindex(tracks["artist_id"]).to_numpy(dtype=np.float32)
    if np.isnan(vectors).all():
        return "no training track has an artist with a factor of this feature set"
    return TaskTarget.from_vectors(task, vectors)


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

    keep = ["track_id", "n_frames", "shard", "offset"]
    return train_cached_distributed(
        config,
        partial(rank_store, around.mel_manifest, tracks[keep]),
        targets,
        params,
        launch=Launch(**around.training.distributed.model_dump()),
        source_key=source_key(tracks, around.front_end),
        device=around.device,
        cache_root=around.cache_root,
        progress=progress,
    )


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


def rank_store(mel_manifest: Mapping[str, Any], tracks: pd.DataFrame, device: torch.device) -> FrameStore:
    """Gather the training frames where the nets will draw from them; gigabytes for a large corpus.

    Opens the shards itself, so that what is handed to another process is small.

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
    from artist_transfer.training.crops import FrameStore

    store = MelStore(mel_manifest, tracks)
    ids = tracks["track_id"].tolist()
    lengths = tracks["n_frames"].astype(int).tolist()
    quiet = torch.distributed.is_initialized() and torch.distributed.get_rank() > 0
    with tqdm(total=len(ids), desc="training frames", unit="track", delay=2, leave=False, disable=quiet) as bar:

        class Counted:
            def frames(self, track_id: str, /) -> np.ndarray:
                bar.update(1)
                return store.frames(track_id)

        return FrameStore.build(Counted(), ids, device=device, n_frames=lengths)


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


class training_bar:  # noqa: N801 - used as a function
    """A progress bar that appears with the first report, so that a cached net shows none."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.bar: Any = None

    def __enter__(self) -> Callable[[int, int, Mapping[str, float]], None]:
        """Return the callback that the training loop calls."""
        return self.report

    def report(self, done: int, total: int, losses: Mapping[str, float]) -> None:
        """Show how far the training is.

        Parameters
        ----------
        done, total : int
            Updates.
        losses : mapping of str to float
            Latest mean loss by task.
        """
        from tqdm.auto import tqdm

        if self.bar is None:
            self.bar = tqdm(total=total, initial=done, desc=self.label, unit="step")
        self.bar.set_postfix({task: f"{loss:.2f}" for task, loss in losses.items()}, refresh=False)
        self.bar.update(done - self.bar.n)

    def __exit__(self, *error: object) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()


class jobs_bar:  # noqa: N801 - used as a function
    """A progress bar over several nets: how many are done, and how far the current one is.

    A net that was finished before, or that fails, reports nothing at its end: they are counted when all is done.
    """

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total
        self.done: set[str] = set()
        self.bar: Any = None

    def __enter__(self) -> Callable[[str, int, int, Mapping[str, float]], None]:
        """Return the callback of `train_cached_many`."""
        return self.report

    def report(self, label: str, done: int, total: int, losses: Mapping[str, float]) -> None:
        """Show how far the trainings are.

        Parameters
        ----------
        label : str
            The net.
        done, total : int
            Its updates.
        losses : mapping of str to float
            Its latest mean loss by task.
        """
        from tqdm.auto import tqdm

        if self.bar is None:
            self.bar = tqdm(total=self.total, desc=self.label, unit="net")
        if done >= total:
            self.done.add(label)
        values = " ".join(f"{task} {loss:.2f}" for task, loss in losses.items())
        self.bar.set_postfix_str(f"{label}: {done}/{total} {values}", refresh=False)
        self.bar.update(len(self.done) - self.bar.n)

    def __exit__(self, kind: object, *error: object) -> None:
        """Close the bar, full if nothing has ended it early."""
        if self.bar is not None:
            if kind is None:
                self.bar.update(self.total - self.bar.n)
            self.bar.close()
