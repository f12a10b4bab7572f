"""Predictions of the test tracks by the features of every case, and by the baselines.

The predictions of a case are found again by what they were made from. The features between them and the nets are
gigabytes: those of the single-task nets, which many cases share, stay until their fold is done, all others are removed
when their case is predicted.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import pandas as pd

from artist_transfer.artifacts import atomic_path, commit_folder, fingerprint, open_folder
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.agf_study.failures import FAILURES, reason_of
from artist_transfer.pipelines.agf_study.nets import Net
from artist_transfer.pipelines.agf_study.scratch import features_of_fold, split_key
from artist_transfer.pipelines.feature_learning import learning
from artist_transfer.pipelines.transfer_evaluation import probing
from artist_transfer.pipelines.transfer_evaluation.features import FeatureSource, feature_dtype
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock
from artist_transfer.study.cases import BASELINES, STN, Case

log = logging.getLogger(__name__)

PREDICTIONS = "predictions.parquet"
FIRST = ["case", "seed", "split_seed", "fold", "track_id", "artist_id", "recording_id", "genre_true"]


@dataclass(frozen=True)
class ProbeSetting:
    """What all cases share when they are evaluated.

    Attributes
    ----------
    split_table : pd.DataFrame
        Sides in every fold.
    source : FeatureSource
        All usable tracks, where nets run, and the cache.
    transfer : TransferBlock
        Segments and probe.
    """

    split_table: pd.DataFrame
    source: FeatureSource
    transfer: TransferBlock

    @property
    def folds(self) -> list[int]:
        """Folds of the split table."""
        return sorted(int(fold) for fold in self.split_table["fold"].unique())

    def of_fold(self, fold: int) -> FeatureSource:
        """Return the tracks of a fold that the probe is fitted or scored on; all folds in the same precision."""
        usable = self.source.usable_table
        train, test = probing.labelled(usable, self.split_table, fold)
        return replace(
            self.source,
            usable_table=usable[usable["track_id"].isin([*train, *test])].reset_index(drop=True),
            dtype=feature_dtype(usable, self.source.hop),
        )


def predict(
    case: Case, setting: ProbeSetting, nets: Sequence[Net], *, fold: int, seed: int, scratch: Path
) -> pd.DataFrame:
    """Predict the test tracks of a fold by the probe on a case's features.

    Parameters
    ----------
    case : Case
        The case.
    setting : ProbeSetting
        Tracks and parameters.
    nets : sequence of dict
        As `nets.train_nets` gives them, of this fold and seed.
    fold, seed : int
        The seed is that of the probe.
    scratch : Path
        Where the features of single-task nets are kept for the other cases.

    Returns
    -------
    pd.DataFrame
        Predictions; who the artists are is not among them.

    Raises
    ------
    ArtistTransferError
        If one of its nets failed.
    """
    by_name = {net["net"]: net for net in nets}
    mine = [by_name[name] for name in case.nets]
    failed = [f"net {net['net']}: {net['reason']}" for net in mine if net["reason"]]
    if failed:
        raise ArtistTransferError("; ".join(failed))
    source = setting.of_fold(fold)
    folder = _folder(mine, setting, source, fold=fold, seed=seed)
    own = scratch / case.name
    try:
        if open_folder(folder) is None:
            shared = scratch / "single" if case.architecture == STN else own
            features = replace(source, cache_root=shared, joined_root=own).of_nets(mine)
            table, _ = probing.probe_fold(
                features, source, setting.split_table, fold, setting.transfer, seed, keep=False
            )
            with atomic_path(folder / PREDICTIONS) as path:
                table.drop(columns="artist_id").to_parquet(path)
            commit_folder(folder, files=[PREDICTIONS], details={"case": case.name})
    except Exception:  # of a process that is stopped they are of use when it comes back
        shutil.rmtree(own, ignore_errors=True)
        raise
    shutil.rmtree(own, ignore_errors=True)
    return pd.read_parquet(folder / PREDICTIONS)


def predict_all(
    cases: Sequence[Case], setting: ProbeSetting, nets: Sequence[Net], seeds: Sequence[int]
) -> tuple[list[pd.DataFrame], dict[str, str]]:
    """Predict fold by fold; a case that fails once has failed, and the others go on.

    Parameters
    ----------
    cases : sequence of Case
        The cases.
    setting : ProbeSetting
        Tracks and parameters.
    nets : sequence of dict
        Of all folds and seeds.
    seeds : sequence of int
        Of nets and probe.

    Returns
    -------
    tables : list of pd.DataFrame
        With ``case``, ``seed`` and ``fold``; none of a case that failed.
    failed : dict of str to str
        Case to its first reason.

    Raises
    ------
    DeviceLost
        If the GPU has failed or the disk is full: no case can be evaluated any more.
    """
    from tqdm.auto import tqdm

    from artist_transfer.training.devices import raise_if_lost

    source = setting.source
    key = split_key(source.usable_table, setting.split_table, source.front_end)
    tables: list[tuple[str, pd.DataFrame]] = []
    failed: dict[str, str] = {}
    with tqdm(total=len(setting.folds) * len(seeds) * len(cases), desc="cases", unit="case") as bar:
        for fold in setting.folds:
            for seed in seeds:
                mine = [net for net in nets if net["fold"] == fold and net["seed"] == seed]
                with features_of_fold(source.cache_root, key, fold=fold, seed=seed) as scratch:
                    for case in cases:
                        bar.set_postfix_str(f"fold {fold}, seed {seed}, {case.name}", refresh=False)
                        try:
                            table = predict(case, setting, mine, fold=fold, seed=seed, scratch=scratch)
                            tables.append((case.name, table.assign(case=case.name, seed=seed, fold=fold)))
                        except FAILURES as error:
                            raise_if_lost(error, source.device)
                            failed.setdefault(case.name, f"fold {fold}, seed {seed}: {reason_of(error)}")
                            log.warning(
                                "Case %s failed in fold %d, seed %d: %s", case.name, fold, seed, reason_of(error)
                            )
                        bar.update(1)
    return [table for name, table in tables if name not in failed], failed


def predict_baselines(
    setting: ProbeSetting, seeds: Sequence[int], *, seed: int
) -> tuple[list[pd.DataFrame], dict[str, str]]:
    """Predict by what has no nets, so that it is the same for all seeds.

    Parameters
    ----------
    setting : ProbeSetting
        Tracks.
    seeds : sequence of int
        That the predictions are repeated for.
    seed : int
        Of the logistic regression.

    Returns
    -------
    tables : list of pd.DataFrame
        As of `predict_all`.
    failed : dict of str to str
        Baseline to its reason.
    """
    usable, split = setting.source.usable_table, setting.split_table
    statistics = cache(partial(probing.mfcc_statistics_of, setting.source))
    ways: dict[str, Callable[[int], pd.DataFrame]] = {
        "prior": lambda fold: probing.prior_table(usable, split, fold),
        "mfcc_logreg": lambda fold: probing.logistic_table(usable, split, statistics(), fold, seed),
    }
    tables: list[pd.DataFrame] = []
    failed: dict[str, str] = {}
    for name in BASELINES:
        try:
            made = {fold: ways[name](fold) for fold in setting.folds}
        except FAILURES as error:
            failed[name] = reason_of(error)
            log.warning("Baseline %s failed: %s", name, failed[name])
            continue
        tables += [table.assign(case=name, seed=other, fold=fold) for fold, table in made.items() for other in seeds]
    return tables, failed


def joined(tables: Sequence[pd.DataFrame], study_fold_table: pd.DataFrame, usable_table: pd.DataFrame) -> pd.DataFrame:
    """Put predictions together; what a fold's training never saw has probability 0 there.

    Parameters
    ----------
    tables : sequence of pd.DataFrame
        At least one, as `predict_all` gives them.
    study_fold_table : pd.DataFrame
        Which split a fold is of.
    usable_table : pd.DataFrame
        Who the tracks are by: predictions that were found again may be older than a correction of the artists.

    Returns
    -------
    pd.DataFrame
        study_predictions_table.
    """
    table = pd.concat(tables, ignore_index=True).drop(columns="artist_id", errors="ignore")
    columns = sorted(column for column in table.columns if column.startswith("p_"))
    table[columns] = table[columns].fillna(0.0)
    who = usable_table[["track_id", "artist_id", "recording_id"]]
    table = table.merge(study_fold_table, on="fold").merge(who, on="track_id")
    table["fold"] = table["fold_of_split"]
    table = table[[*FIRST, "genre_predicted", *columns]]
    return table.sort_values(FIRST[:5], kind="stable", ignore_index=True)


def _folder(nets: Sequence[Net], setting: ProbeSetting, source: FeatureSource, *, fold: int, seed: int) -> Path:
    """Name the folder of a case's predictions by all that they are made from."""
    usable = setting.source.usable_table
    genres, _ = probing.truth(source.usable_table)
    key = fingerprint(
        "study case",
        2,
        [Path(net["folder"]).name for net in nets],
        probing.probe_params(setting.transfer, source.device.type, seed=seed),
        source.hop,
        source.dtype,
        probing.labelled(usable, setting.split_table, fold),
        genres,
        learning.source_key(source.usable_table, source.front_end),
        source.device.type,
    )
    return source.cache_root / "study" / key
