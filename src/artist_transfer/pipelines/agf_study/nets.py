"""The nets of the cases, fold by fold: what the grid and the ablations share.

A fold here is one of the split table; the folds of several split seeds lie in it one after the other. Each net is
trained once for a fold and a seed, however many cases take its features, and is found again by what it was made from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.agf_study.failures import FAILURES, raise_if_full, reason_of
from artist_transfer.pipelines.feature_learning import bars, learning
from artist_transfer.pipelines.feature_learning.targets import fold_targets, tracks_of
from artist_transfer.study.cases import MTN, WSTN, Case
from artist_transfer.tasks import CONTROLS, FACTORS, SHUFFLED, TASKS, in_order

if TYPE_CHECKING:
    from artist_transfer.models.dcnn import DcnnConfig
    from artist_transfer.training.side_by_side import NetJob
    from artist_transfer.training.targets import TaskTarget

Net = dict[str, Any]  # fold, seed, net, tasks, width, n_parameters, folder, reason, loss
Targets = dict[str, "TaskTarget"]

CASES, ABLATED = "study.cases", "study.ablations.case"


@dataclass(frozen=True)
class NetSetting:
    """What all nets share.

    Attributes
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides in every fold.
    factor_tables : mapping of str to pd.DataFrame
        By task letter.
    around : learning.Surroundings
        How nets are trained, and where.
    groups : int
        Artist groups of a factor task, where there are as many artists.
    at_once : int
        Nets that are trained side by side on a GPU.
    hard : bool
        Whether a factor target is the artist's heaviest group instead of the whole distribution.
    """

    usable_table: pd.DataFrame
    split_table: pd.DataFrame
    factor_tables: Mapping[str, pd.DataFrame]
    around: learning.Surroundings
    groups: int
    at_once: int = 1
    hard: bool = False

    @property
    def folds(self) -> list[int]:
        """Folds of the split table."""
        return sorted(int(fold) for fold in self.split_table["fold"].unique())

    def training_tracks(self, fold: int) -> pd.DataFrame:
        """Return the training tracks of a fold, sorted."""
        return tracks_of(self.usable_table, self.split_table, fold=fold, side="train")


def targets_of(
    cases: Sequence[Case], setting: NetSetting, *, fold: int, seeds: Sequence[int], key: str = CASES
) -> dict[int, Targets]:
    """Make the targets of all tasks that some cases learn.

    Parameters
    ----------
    cases : sequence of Case
        The cases.
    setting : NetSetting
        Tracks and factors.
    fold : int
        The fold.
    seeds : sequence of int
        They deal out the shuffled factors; all other targets are made once and shared.
    key : str
        The parameter that the cases come from.

    Returns
    -------
    dict of int to dict of str to TaskTarget
        By seed and task letter.

    Raises
    ------
    ArtistTransferError
        If a task has no target, with the reason and what is allowed.
    """
    from artist_transfer.factors.shuffling import shuffle_artists

    letters = in_order("".join({task for case in cases for task in case.tasks}))
    shuffled = "".join(task for task in letters if task in SHUFFLED)
    tracks = setting.training_tracks(fold)
    plain = "".join(task for task in letters if task not in SHUFFLED)
    shared, without = fold_targets(plain, tracks, setting.factor_tables, fold=fold)
    shared = _hardened(shared, setting)
    targets = {}
    for seed in seeds:
        tables = {task: shuffle_artists(setting.factor_tables[task.lower()], seed=seed, salt=task) for task in shuffled}
        dealt, lacking = fold_targets(shuffled, tracks, tables, fold=fold)
        without |= lacking
        targets[seed] = shared | _hardened(dealt, setting)
    if without:
        raise ArtistTransferError(_no_target(without, letters, fold=fold, key=key))
    return targets


def check_targets(cases: Sequence[Case], setting: NetSetting, *, seeds: Sequence[int], key: str = CASES) -> None:
    """Make sure that there are targets in every fold, and keep none of them.

    Parameters
    ----------
    cases : sequence of Case
        The cases.
    setting : NetSetting
        Tracks and factors.
    seeds : sequence of int
        Of the study; one of them tells for all.
    key : str
        The parameter that the cases come from.

    Raises
    ------
    ArtistTransferError
        As `targets_of`.
    """
    for fold in setting.folds:
        targets_of(cases, setting, fold=fold, seeds=seeds[:1], key=key)


def all_nets(cases: Sequence[Case], setting: NetSetting, seeds: Sequence[int], *, key: str = CASES) -> Iterator[Net]:
    """Train every net that some cases need, in all folds.

    The targets of one fold at a time are in memory (those of the artist's identity alone are half a gigabyte for
    thousands of artists), so `check_targets` is to be called before.

    Parameters
    ----------
    cases : sequence of Case
        The cases.
    setting : NetSetting
        Tracks and parameters.
    seeds : sequence of int
        Of nets and shuffled factors.
    key : str
        The parameter that the cases come from.

    Yields
    ------
    dict
        Where each net is, or the reason why it is not.

    Raises
    ------
    ArtistTransferError
        As `targets_of`.
    """
    for fold in setting.folds:
        yield from train_nets(cases, setting, targets_of(cases, setting, fold=fold, seeds=seeds, key=key), fold=fold)


def train_nets(
    cases: Sequence[Case], setting: NetSetting, targets: Mapping[int, Targets], *, fold: int
) -> Iterator[Net]:
    """Train every net that some cases need, for one fold and all seeds.

    Parameters
    ----------
    cases : sequence of Case
        The cases.
    setting : NetSetting
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
    groups = _factor_outputs(setting.groups, tracks)
    planned = {
        (seed, name): _job(name, of_seed, setting, groups, seed=seed, label=f"fold {fold}, seed {seed}, {name}")
        for seed, of_seed in targets.items()
        for name in dict.fromkeys(name for case in cases for name in case.nets)
    }
    jobs = {which: job for which, job in planned.items() if not isinstance(job, ArtistTransferError)}
    with bars.jobs_bar(f"nets of fold {fold}", len(jobs)) as progress:
        results = dict(zip(jobs, _train_all(list(jobs.values()), setting, tracks, progress), strict=True))
    for (seed, name), job in planned.items():
        facts = _unbuilt(name, job, setting) if isinstance(job, Exception) else _described(job, results[seed, name])
        yield {"fold": fold, "seed": seed, "net": name} | facts


def _hardened(targets: Targets, setting: NetSetting) -> Targets:
    """Harden the targets if that is wanted; those of labels are hard."""
    if not setting.hard:
        return targets
    return {task: target.hardened() if task.lower() in FACTORS else target for task, target in targets.items()}


def _train_all(jobs: Sequence[NetJob], setting: NetSetting, tracks: pd.DataFrame, progress: Any) -> list[Any]:
    """Train side by side on one device, or one after the other in several processes."""
    from artist_transfer.training.side_by_side import train_cached_many

    around = setting.around
    if not jobs:
        return []
    if around.training.distributed.processes * around.training.distributed.nodes == 1:
        return train_cached_many(
            jobs,
            partial(learning.store_for_all, around, tracks),
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
            raise_if_full(error)  # the others would only fail in turn
            results.append(error)
    return results


def _job(
    name: str, targets: Targets, setting: NetSetting, groups: int, *, seed: int, label: str
) -> NetJob | ArtistTransferError:
    """Say what a net is and learns, or why there is no such net."""
    from artist_transfer.models.dcnn import DcnnConfig
    from artist_transfer.training.side_by_side import NetJob
    from artist_transfer.training.targets import TaskTargets

    letters, _, architecture = name.partition("-")
    chosen = TaskTargets([targets[task] for task in letters])
    config = DcnnConfig(outputs=chosen.outputs, shared=architecture == MTN, width=setting.around.training.width)
    if architecture.startswith(WSTN):
        try:
            config = replace(config, width=wide_width(config, groups, n=int(architecture.removeprefix(WSTN))))
        except ArtistTransferError as error:
            return error
    params = learning.train_params(setting.around, seed=seed)
    return NetJob(config=config, targets=chosen, params=params, label=label)


def wide_width(config: DcnnConfig, groups: int, *, n: int) -> float:
    """Return the width at which a genre net has the parameters of n nets: one of genre, the others of factors.

    It goes by the corpus and the parameters alone, so that a wide net is the same whatever other cases are asked for.

    Parameters
    ----------
    config : DcnnConfig
        The genre net of ordinary width.
    groups : int
        Outputs of a factor task.
    n : int
        Number of nets.

    Returns
    -------
    float
        The width.

    Raises
    ------
    ArtistTransferError
        If no width comes near enough, as for nets so narrow that a channel more is several per cent of them.
    """
    from artist_transfer.models.width import solve_width

    try:
        return solve_width(config, [config, *[replace(config, outputs=(("m", groups),))] * (n - 1)])
    except ArtistTransferError as error:
        raise ArtistTransferError(
            f"training.width={config.width:g}: a wide net as large as {n} nets of this width cannot be made: {error}. "
            "Allowed are a larger training.width, such as 0.25, or study.cases without it"
        ) from error


def _factor_outputs(groups: int, tracks: pd.DataFrame) -> int:
    """Return the outputs of a factor task: a corpus carries as many groups as artists."""
    artists = int(tracks["artist_id"].nunique())
    return max(2, min(groups, artists)) if artists else groups


def _no_target(without: Mapping[str, str], letters: str, *, fold: int, key: str) -> str:
    """Say which tasks have no target, why, and what is allowed."""
    reasons = "; ".join(f"task {task}: {reason}" for task, reason in without.items())
    said = f"{key}: there is no target in fold {fold} for some tasks ({reasons}). Allowed are "
    if key == ABLATED:
        return said + f"a case of other tasks as {key}, or no ablations: --params study.ablations.choices=none"
    there = in_order("".join((set(letters) - set(without)) & set(TASKS)))
    ways = []
    if {task.lower() if task in SHUFFLED else task for task in without} & set(TASKS):
        ways.append(f"tasks={there or '…'}")
    if set(without) & set(CONTROLS):
        ways.append("study.cases=grid+wide")
    return said + (
        f"cases of the tasks {there or 'of another corpus'}: --params {','.join(ways)} leaves the others out of the "
        "sets of cases"
    )


def _unbuilt(name: str, error: Exception, setting: NetSetting) -> dict[str, Any]:
    """Describe a net that has no size, in the words of `_described`."""
    epochs = learning.train_params(setting.around).epochs
    facts = {"tasks": name.partition("-")[0], "width": None, "n_parameters": None, "epochs": epochs}
    return facts | {"folder": None, "reason": reason_of(error), "loss": {}}


def _described(job: NetJob, result: Any) -> dict[str, Any]:
    from artist_transfer.models.width import parameters_of

    facts = {
        "tasks": "".join(job.config.tasks),
        "width": job.config.width,
        "n_parameters": parameters_of(job.config),
        "epochs": job.params.epochs,
    }
    if isinstance(result, BaseException):
        return facts | {"folder": None, "reason": reason_of(result), "loss": {}}
    last = {row["task"]: row["loss"] for row in result.history}
    return facts | {"folder": result.folder.as_posix(), "reason": None, "loss": last}
