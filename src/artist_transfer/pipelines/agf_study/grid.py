"""Nodes of the grid: every net that the cases need, then the predictions of every case."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.agf_study.failures import DONE, FAILED
from artist_transfer.pipelines.agf_study.nets import ABLATED, Net, NetSetting, all_nets, check_targets
from artist_transfer.pipelines.agf_study.params import StudyBlock
from artist_transfer.pipelines.agf_study.predictions import ProbeSetting, joined, predict_all, predict_baselines
from artist_transfer.pipelines.agf_study.scratch import drop_leftovers, split_key
from artist_transfer.pipelines.feature_learning import learning
from artist_transfer.pipelines.feature_learning.params import TrainingBlock
from artist_transfer.pipelines.group_factors.params import FactorsBlock
from artist_transfer.pipelines.transfer_evaluation import probing
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock
from artist_transfer.study.cases import BASELINE, BASELINES, Case, parse_cases

log = logging.getLogger(__name__)

SAID = 3  # failed cases in the error of a study of which none is left


def learn_study_nets(
    study_plan_facts: dict[str, Any],
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    subgenres: pd.DataFrame,
    essentia: pd.DataFrame,
    dmfcc: pd.DataFrame,
    mfcc: pd.DataFrame,
    factors: FactorsBlock,
    study: StudyBlock,
    training: TrainingBlock,
    device: str,
    threads: int | None,
    cache_root: str,
) -> dict[str, Any]:
    """Train every net that the cases need, once for each fold and seed.

    Parameters
    ----------
    study_plan_facts : dict
        Cases and seeds.
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    mel_manifest : dict
        The spectrograms.
    subgenres, essentia, dmfcc, mfcc : pd.DataFrame
        Factor tables.
    factors : FactorsBlock
        Number of groups, which the size of wide nets goes by.
    study : StudyBlock
        How many nets at once on a GPU.
    training : TrainingBlock
        How.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    cache_root : str
        Where finished nets are.

    Returns
    -------
    dict
        ``nets``: where each is, or the reason why it is not; ``device`` and ``threads``.

    Raises
    ------
    ArtistTransferError
        If a task of a case or of the ablated case has no target on this corpus, or nets cannot be trained by the
        processes that are asked for; before any training.
    DeviceLost
        If the GPU has failed or the disk is full.
    """
    seeds = study_plan_facts["seeds"]
    key = split_key(usable_table, split_table, mel_manifest["front_end"])
    drop_leftovers(Path(cache_root), key, seeds)
    setting = NetSetting(
        usable_table=usable_table,
        split_table=split_table,
        factor_tables={"s": subgenres, "e": essentia, "d": dmfcc, "m": mfcc},
        around=learning.surroundings(usable_table, mel_manifest, training, device, threads, 0, cache_root),
        groups=factors.latent_dirichlet.groups,
        at_once=study.at_once,
    )
    cases = _cases(study_plan_facts)
    check_targets(cases, setting, seeds=seeds)
    if study_plan_facts["ablated_case"] is not None:
        check_targets(parse_cases(study_plan_facts["ablated_case"]), setting, seeds=seeds, key=ABLATED)
    learning.check_processes(setting.around, setting.training_tracks(setting.folds[0]))
    nets = list(all_nets(cases, setting, seeds))
    for net in nets:
        if net["reason"]:
            log.warning("Net %s of fold %d, seed %d failed: %s", net["net"], net["fold"], net["seed"], net["reason"])
    return {"device": str(setting.around.device), "threads": setting.around.threads, "nets": nets}


def evaluate_study(
    study_plan_facts: dict[str, Any],
    study_nets_manifest: dict[str, Any],
    study_fold_table: pd.DataFrame,
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    transfer: TransferBlock,
    device: str,
    threads: int | None,
    seed: int,
    cache_root: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict the test tracks by the features of every case, and by the baselines.

    Parameters
    ----------
    study_plan_facts, study_nets_manifest : dict
        Cases, seeds, nets.
    study_fold_table : pd.DataFrame
        Which split a fold is of.
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    mel_manifest : dict
        The spectrograms.
    transfer : TransferBlock
        Segments and probe.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    seed : int
        Of the logistic regression.
    cache_root : str
        Where finished predictions are.

    Returns
    -------
    study_predictions_table : pd.DataFrame
        Of all cases that are done.
    study_case_table : pd.DataFrame
        All cases, those that failed with their reason.

    Raises
    ------
    ArtistTransferError
        If all have failed: baselines alone are no study.
    DeviceLost
        If the GPU has failed or the disk is full.
    """
    cases = _cases(study_plan_facts)
    seeds, nets = study_plan_facts["seeds"], study_nets_manifest["nets"]
    source = probing.feature_source(usable_table, mel_manifest, transfer, device, threads, cache_root)
    setting = ProbeSetting(split_table, source, transfer)
    tables, failed = predict_all(cases, setting, nets, seeds)
    if not tables:
        raise ArtistTransferError(_none_is_done(failed))
    simple, failed_too = predict_baselines(setting, seeds, seed=seed)
    failed |= failed_too
    return joined([*tables, *simple], study_fold_table, usable_table), _case_table(cases, nets, failed)


def _cases(study_plan_facts: Mapping[str, Any]) -> tuple[Case, ...]:
    return parse_cases("+".join(study_plan_facts["cases"]))


def _none_is_done(failed: Mapping[str, str]) -> str:
    said = [f"{case}: {reason}" for case, reason in list(failed.items())[:SAID]]
    more = f"; {len(failed) - SAID} more, by the warnings above" if len(failed) > SAID else ""
    return f"all {len(failed)} cases of the study failed, so there is nothing to compare. {'; '.join(said)}{more}"


def _case_table(cases: Sequence[Case], nets: Sequence[Net], failed: Mapping[str, str]) -> pd.DataFrame:
    by_name = {net["net"]: net for net in nets}
    rows: list[dict[str, Any]] = [
        {
            "case": case.name,
            "tasks": case.tasks,
            "architecture": case.architecture,
            "n_tasks": case.n,
            "kind": case.kind,
            "width": max(by_name[name]["width"] or 0.0 for name in case.nets) or None,  # None of a net without size
            "n_parameters": sum(by_name[name]["n_parameters"] or 0 for name in case.nets) or None,
        }
        for case in cases
    ]
    rows += [
        {"case": name, "tasks": "", "architecture": BASELINE, "n_tasks": 0, "kind": BASELINE} for name in BASELINES
    ]
    for row in rows:
        row |= {"status": FAILED if row["case"] in failed else DONE, "reason": failed.get(row["case"])}
    table = pd.DataFrame(rows).astype({"n_parameters": "Int64", "width": float})
    return table.assign(reason=table["reason"].where(table["reason"].notna(), None))
