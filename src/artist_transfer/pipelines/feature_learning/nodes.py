"""Nodes of feature learning: nets on the chosen tasks, and the genre-only net that they are compared with."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.feature_learning import learning
from artist_transfer.pipelines.feature_learning.params import TrainingBlock, normalised_tasks
from artist_transfer.pipelines.feature_learning.targets import fold_targets, label_target, tracks_of

if TYPE_CHECKING:
    from artist_transfer.training.loop import TrainedNet

log = logging.getLogger(__name__)

HISTORY_COLUMNS = ["fold", "net", "epoch", "task", "loss", "steps"]


def learn_features(
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    subgenres: pd.DataFrame,
    essentia: pd.DataFrame,
    dmfcc: pd.DataFrame,
    mfcc: pd.DataFrame,
    tasks: str,
    architecture: str,
    embeddings: str | None,
    training: TrainingBlock,
    device: str,
    threads: int | None,
    seed: int,
    cache_root: str,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Train the nets of every fold on the chosen tasks.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    mel_manifest : dict
        The spectrograms.
    subgenres, essentia, dmfcc, mfcc : pd.DataFrame
        Factor tables.
    tasks : str
        Letters of the tasks; one without any target on this corpus is left out with a message.
    architecture : str
        mtn or stn.
    embeddings : str or None
        With somebody else's features no net is trained.
    training : TrainingBlock
        How.
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
    nets_weights : dict
        Where the nets of each fold are, with what they were made of.
    training_history : pd.DataFrame
        Mean loss by fold, net, epoch and task.

    Raises
    ------
    ArtistTransferError
        If none of the tasks has a target.
    """
    if embeddings is not None:
        return {"folds": {}, "skipped": f"embeddings={embeddings} are evaluated instead"}, _history([])
    around = learning.surroundings(usable_table, mel_manifest, training, device, threads, seed, cache_root)
    factor_tables = {"s": subgenres, "e": essentia, "d": dmfcc, "m": mfcc}
    wanted = normalised_tasks(tasks)
    folds: dict[str, Any] = {}
    rows: list[pd.DataFrame] = []
    left_out: dict[str, str] = {}
    for fold in sorted(split_table["fold"].unique()):
        tracks = tracks_of(usable_table, split_table, fold=fold, side="train")
        targets, without = fold_targets(wanted, tracks, factor_tables, fold=fold)
        left_out |= without
        if not targets:
            reasons = "; ".join(f"{task}: {reason}" for task, reason in without.items())
            raise ArtistTransferError(f"tasks={wanted}: none of them has a target on this corpus ({reasons})")
        label = f"{architecture} fold {fold}"
        nets = learning.train_nets(targets, tracks, around, architecture=architecture, label=label)
        folds[str(fold)] = [_describe(net) for net in nets]
        rows += [_net_history(net, fold) for net in nets]
    for task, reason in left_out.items():
        log.warning("Task %s is left out: %s", task, reason)
    facts = {
        "architecture": architecture,
        "tasks": "".join(task for task in wanted if task not in left_out),
        "left_out": left_out,
        "device": str(around.device),
        "threads": around.threads,
        "folds": folds,
    }
    return facts, _history(rows)


def learn_genre_baseline(
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    training: TrainingBlock,
    device: str,
    threads: int | None,
    seed: int,
    cache_root: str,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Train the genre-only single-task net of every fold, the baseline of the paper.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    mel_manifest : dict
        The spectrograms.
    training : TrainingBlock
        The same as for the other nets.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    seed : int
        The same as for the other nets.
    cache_root : str
        Where finished nets are.

    Returns
    -------
    genre_net_weights : dict
        Where the nets are; ``skipped`` says why there are none.
    genre_net_history : pd.DataFrame
        Mean loss by fold and epoch.
    """
    around = learning.surroundings(usable_table, mel_manifest, training, device, threads, seed, cache_root)
    folds: dict[str, Any] = {}
    rows: list[pd.DataFrame] = []
    for fold in sorted(split_table["fold"].unique()):
        tracks = tracks_of(usable_table, split_table, fold=fold, side="train")
        target = label_target("g", tracks)
        if isinstance(target, str):
            return {"folds": {}, "skipped": target}, _history([])
        label = f"genre-only net fold {fold}"
        nets = learning.train_nets({"g": target}, tracks, around, architecture="stn", label=label)
        folds[str(fold)] = [_describe(net) for net in nets]
        rows += [_net_history(net, fold, name="baseline stn_g") for net in nets]
    return {"architecture": "stn", "tasks": "g", "folds": folds}, _history(rows)


def _describe(net: TrainedNet) -> dict[str, Any]:
    return {"tasks": "".join(net.net.config.tasks), "folder": net.folder.as_posix(), "details": net.details}


def _net_history(net: TrainedNet, fold: int, name: str | None = None) -> pd.DataFrame:
    table = pd.DataFrame(net.history)
    return table.assign(fold=int(fold), net=name or "".join(net.net.config.tasks))


def _history(rows: list[pd.DataFrame]) -> pd.DataFrame:
    empty = pd.DataFrame(
        {"fold": pd.Series(dtype=int), "net": pd.Series(dtype=str), "epoch": pd.Series(dtype=int)}
        | {"task": pd.Series(dtype=str), "loss": pd.Series(dtype=float), "steps": pd.Series(dtype=int)}
    )
    return pd.concat(rows, ignore_index=True)[HISTORY_COLUMNS] if rows else empty
