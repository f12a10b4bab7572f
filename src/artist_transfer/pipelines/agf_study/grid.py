"""Nets and predictions of the cases, fold by fold: what the grid and the ablations share.

A fold here is one of the split table; the folds of several split seeds lie in it one after the other. Each net is
trained once for a fold and a seed, however many cases take its features, and is found again by what it was made from.
So are the predictions of a case; the features between them are gigabytes, and are removed when a fold is done.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.artifacts import atomic_path, commit_folder, fingerprint, open_folder
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.feature_learning import learning
from artist_transfer.pipelines.transfer_evaluation import probing
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock
from artist_transfer.study.cases import MTN, WSTN, Case
from artist_transfer.tasks import SHUFFLED, in_order

if TYPE_CHECKING:
    from artist_transfer.models.dcnn import DcnnConfig
    from artist_transfer.pipelines.transfer_evaluation.features import FeatureSource
    from artist_transfer.training.side_by_side import NetJob
    from artist_transfer.training.targets import TaskTarget

FAILURES = (ArtistTransferError, ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, ValueError)
PREDICTIONS = "predictions.parquet"

Net = dict[str, Any]  # fold, seed, net, tasks, width, n_parameters, folder, reason, loss
Targets = dict[str, "TaskTarget"]


@dataclass(frozen=True)
class Setting:
    """What all cases share.

    Attributes
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides in every fold.
    factor_tables : mapping of str to pd.DataFrame
        By task letter.
    mel_manifest : dict
        The spectrograms.
    around : learning.Surroundings
        How nets are trained, and where.
    transfer : TransferBlock
        How features are evaluated.
    at_once : int
        Nets that are trained side by side on a GPU.
    hard : bool
        Whether a factor target is the artist's heaviest group instead of the whole distribution.
    """

    usable_table: pd.DataFrame
    split_table: pd.DataFrame
    factor_tables: Mapping[str, pd.DataFrame]
    mel_manifest: dict[str, Any]
    around: learning.Surroundings
    transfer: TransferBlock
    at_once: int = 1
    hard: bool = False

    @property
    def folds(self) -> list[int]:
        """Folds of the split table."""
        return sorted(int(fold) for fold in self.split_table["fold"].unique())

    def training_tracks(self, fold: int) -> pd.DataFrame:
        """Return the training tracks of a fold, sorted."""
        return learning.tracks_of(self.usable_table, self.split_table, fold=fold, side="train")


def targets_of(cases: Sequence[Case], setting: Setting, *, fold: int, seed: int) -> Targets:
    """Make the targets of all tasks that some cases learn.

    Parameters
    ----------
    cases : sequence of Case
        The cases.
    setting : Setting
        Tracks and factors.
    fold, seed : int
        The seed deals out the shuffled factors.

    Returns
    -------
    dict of str to TaskTarget
        By task letter.

    Raises
    ------
    ArtistTransferError
        If a task has no target, with the reason and the tasks that have one.
    """
    from artist_transfer.factors.shuffling import shuffle_artists

    letters = in_order("".join({task for case in cases for task in case.tasks}))
    tables = dict(setting.factor_tables)
    for task in set(letters) & set(SHUFFLED):
        tables[task] = shuffle_artists(tables[task.lower()], seed=seed, salt=task)
    targets, without = learning.fold_targets(letters, setting.training_tracks(fold), tables, fold=fold)
    if without:
        reasons = "; ".join(f"task {task}: {reason}" for task, reason in without.items())
        there = in_order("".join(set(targets) & set("gsedm")))
        raise ArtistTransferError(
            f"study.cases: there is no target in fold {fold} for some tasks ({reasons}). Allowed are cases of the "
            f"tasks {there or 'of another corpus'}: --params tasks={there or '…'} leaves the others out of the study"
        )
    if setting.hard:
        targets = {task: target.hardened() for task, target in targets.items()}
    return targets


def train_nets(cases: Sequence[Case], setting: Setting, targets: Mapping[int, Targets], *, fold: int) -> Iterator[Net]:
    """Train every net that some cases need, for one fold and all seeds.

    Parameters
    ----------
    cases : sequence of Case
        The cases.
    setting : Setting
        Tracks and parameters.
    targets : mapping of int to dict
        Seed to the targets of the tasks.
    fold : int
        The fold.

    Yields
    ------
    dict
        Where each net is, or the reason why it is not.
    """
    tracks = setting.training_tracks(fold)
    jobs = {
        (seed, name): _job(name, of_seed, setting, seed=seed, label=f"fold {fold}, seed {seed}, {name}")
        for seed, of_seed in targets.items()
        for name in dict.fromkeys(name for case in cases for name in case.nets)
    }
    with learning.jobs_bar(f"nets of fold {fold}", len(jobs)) as progress:
        results = _train_all(list(jobs.values()), setting, tracks, progress)
    for ((seed, name), job), result in zip(jobs.items(), results, strict=True):
        yield {"fold": fold, "seed": seed, "net": name} | _described(job, result)


def predict(case: Case, setting: Setting, nets: Sequence[Net], *, fold: int, seed: int, scratch: Path) -> pd.DataFrame:
    """Predict the test tracks of a fold by the probe on a case's features.

    Parameters
    ----------
    case : Case
        The case.
    setting : Setting
        Tracks and parameters.
    nets : sequence of dict
        As `train_nets` gives them, of this fold and seed.
    fold, seed : int
        The seed is that of the probe.
    scratch : Path
        Where features are kept for the other cases.

    Returns
    -------
    pd.DataFrame
        Predictions.

    Raises
    ------
    ArtistTransferError
        If one of its nets failed.
    """
    mine = {net["net"]: net for net in nets if net["net"] in case.nets}
    failed = [f"net {name}: {net['reason']}" for name, net in mine.items() if net["reason"]]
    if failed:
        raise ArtistTransferError("; ".join(failed))
    source = _source(setting, fold, scratch)
    sides = probing.labelled(setting.usable_table, setting.split_table, fold)
    genres, _ = probing.truth(source.usable_table)
    folder = (
        setting.around.cache_root
        / "study"
        / fingerprint(
            "study case",
            1,
            [Path(mine[name]["folder"]).name for name in case.nets],
            probing.probe_params(setting.transfer, source.device.type, seed=seed),
            setting.transfer.hop,
            sides,
            genres,
            learning.source_key(source.usable_table, setting.around.front_end),
            source.device.type,
        )
    )
    if open_folder(folder) is None:
        features = source.of_nets([mine[name] for name in case.nets])
        table, _ = probing.probe_fold(features, source, setting.split_table, fold, setting.transfer, seed, keep=False)
        with atomic_path(folder / PREDICTIONS) as path:
            table.to_parquet(path)
        commit_folder(folder, files=[PREDICTIONS], details={"case": case.name})
    return pd.read_parquet(folder / PREDICTIONS)


@contextmanager
def features_of_fold(setting: Setting, *, fold: int, seed: int) -> Iterator[Path]:
    """Give a folder for the features of a fold's nets, and remove it afterwards.

    Parameters
    ----------
    setting : Setting
        Its cache root.
    fold, seed : int
        Whose features.

    Yields
    ------
    Path
        The folder; one process at a time has it, and one that was killed left what is of use.
    """
    from artist_transfer.training.checkpoints import only_one

    root = setting.around.cache_root / "study"
    key = fingerprint(setting.split_table, learning.source_key(setting.usable_table, setting.around.front_end))
    name = f"{key}-{fold}-{seed}"
    with only_one(root / "locks" / name):
        yield root / "features" / name
        shutil.rmtree(root / "features" / name, ignore_errors=True)


def _train_all(jobs: Sequence[NetJob], setting: Setting, tracks: pd.DataFrame, progress: Any) -> list[Any]:
    """Train side by side on one device, or one after the other in several processes."""
    from artist_transfer.training.side_by_side import train_cached_many

    around = setting.around
    if around.training.distributed.processes * around.training.distributed.nodes == 1:
        return train_cached_many(
            jobs,
            partial(learning.rank_store, around.mel_manifest, tracks, around.device),
            source_key=learning.source_key(tracks, around.front_end),
            device=around.device,
            cache_root=around.cache_root,
            at_once=setting.at_once,
            progress=progress,
        )
    results: list[Any] = []
    for job in jobs:
        told = partial(progress, job.label)
        try:
            results.append(learning.train_one(job.config, job.targets, job.params, around, tracks, progress=told))
        except FAILURES as error:
            results.append(error)
    return results


def _source(setting: Setting, fold: int, scratch: Path) -> FeatureSource:
    """Embed what is fitted on or scored, and nothing else."""
    from artist_transfer.pipelines.transfer_evaluation.features import FeatureSource

    train, test = probing.labelled(setting.usable_table, setting.split_table, fold)
    wanted = setting.usable_table["track_id"].isin([*train, *test])
    return FeatureSource(
        setting.usable_table[wanted].reset_index(drop=True),
        setting.around.store,
        setting.around.front_end,
        setting.transfer.hop,
        setting.around.device,
        scratch,
    )


def _job(name: str, targets: Targets, setting: Setting, *, seed: int, label: str) -> NetJob:
    from artist_transfer.training.side_by_side import NetJob
    from artist_transfer.training.targets import TaskTargets

    letters, _, architecture = name.partition("-")
    chosen = TaskTargets([targets[task] for task in letters])
    config = _config(chosen.outputs, setting, shared=architecture == MTN)
    if architecture.startswith(WSTN):
        config = replace(config, width=_wide(config, targets, setting, n=int(architecture.removeprefix(WSTN))))
    params = learning.train_params(setting.around, seed=seed)
    return NetJob(config=config, targets=chosen, params=params, label=label)


def _config(outputs: tuple[tuple[str, int], ...], setting: Setting, *, shared: bool) -> DcnnConfig:
    from artist_transfer.models.dcnn import DcnnConfig

    return DcnnConfig(outputs=outputs, shared=shared, width=setting.around.training.width)


def _wide(config: DcnnConfig, targets: Targets, setting: Setting, *, n: int) -> float:
    """Solve the width for the parameters of the genre net and n - 1 nets of factors."""
    from artist_transfer.models.width import solve_width

    factors = [targets[task].n_out for task in "sedm" if task in targets] or [config.outputs[0][1]]
    others = [_config((("s", factors[i % len(factors)]),), setting, shared=False) for i in range(n - 1)]
    return solve_width(config, [config, *others])


def _described(job: NetJob, result: Any) -> dict[str, Any]:
    from artist_transfer.models.width import parameters_of

    facts = {
        "tasks": "".join(job.config.tasks),
        "width": job.config.width,
        "n_parameters": parameters_of(job.config),
        "epochs": job.params.epochs,
    }
    if isinstance(result, BaseException):
        return facts | {"folder": None, "reason": f"{type(result).__name__}: {result}", "loss": {}}
    last = {row["task"]: row["loss"] for row in result.history}
    return facts | {"folder": result.folder.as_posix(), "reason": None, "loss": last}
