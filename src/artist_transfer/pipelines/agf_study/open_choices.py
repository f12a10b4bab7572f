"""Nodes for what the paper left open: one choice changed after the other, and the number of groups."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from artist_transfer.errors import NothingToFit
from artist_transfer.pipelines.agf_study import ablations
from artist_transfer.pipelines.agf_study.failures import FAILED, FAILURES, SKIPPED, reason_of
from artist_transfer.pipelines.agf_study.params import StudyBlock, read_choices, read_numbers
from artist_transfer.pipelines.agf_study.trials import Trials
from artist_transfer.pipelines.feature_learning.params import TrainingBlock
from artist_transfer.pipelines.group_factors.params import FactorsBlock
from artist_transfer.pipelines.splitting.params import SplittingBlock
from artist_transfer.pipelines.transfer_evaluation import probing
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock
from artist_transfer.study.cases import parse_cases

log = logging.getLogger(__name__)

MEASURED = ("coherence", "held_out_bound", "n_artists")


def ablate(
    study_plan_facts: dict[str, Any],
    study_score_facts: dict[str, Any],
    usable_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    essentia_manifest: dict[str, Any],
    factors: FactorsBlock,
    study: StudyBlock,
    training: TrainingBlock,
    transfer: TransferBlock,
    split: str,
    splitting: SplittingBlock,
    folds: int,
    fit_on: str,
    device: str,
    threads: int | None,
    seed: int,
    cache_root: str,
) -> pd.DataFrame:
    """Change one choice after the other in one case, and score it.

    Parameters
    ----------
    study_plan_facts : dict
        Case and seeds.
    study_score_facts : dict
        Resamples and level of the study's scores, which are there before anything is ablated.
    usable_table : pd.DataFrame
        Tracks.
    mel_manifest, essentia_manifest : dict
        Spectrograms and Essentia's shards.
    factors : FactorsBlock
        Dictionary and groups.
    study : StudyBlock
        Which ablations.
    training : TrainingBlock
        How nets are trained.
    transfer : TransferBlock
        Segments and probe.
    split : str
        Kind of split.
    splitting : SplittingBlock
        Shares.
    folds : int
        Folds of an artist-disjoint split.
    fit_on : str
        train or all.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    seed : int
        Of factors and resamples.
    cache_root : str
        Where everything expensive is.

    Returns
    -------
    pd.DataFrame
        One row a value; those that the corpus cannot carry, or that change nothing about the case, are skipped with
        their reason, and of the run's own the reason says what it carries instead.
    """
    from artist_transfer.study.ablations import ablation_table

    settings = {
        "n_resamples": study_score_facts["resamples"],
        "level": study_score_facts["level"],
        "seed": seed,
    }
    name = study_plan_facts["ablated_case"]
    if name is None:
        return ablation_table([], {}, **settings)
    trials = Trials(
        case=parse_cases(name)[0],
        source=probing.feature_source(usable_table, mel_manifest, transfer, device, threads, cache_root),
        mel_manifest=mel_manifest,
        essentia_manifest=essentia_manifest,
        seeds=study_plan_facts["seeds"],
        split_seeds=study_plan_facts["split_seeds"],
        splitting=splitting,
        folds=folds,
        training=training,
        transfer=transfer,
        at_once=study.at_once,
        threads=threads,
        seed=seed,
    )
    choice = ablations.Choice(factors=factors, fit_on=fit_on, split=split, draw=training.draw)
    known = bool(usable_table["artist_id"].notna().any())
    rows: list[dict[str, Any]] = []
    predictions: dict[int, pd.DataFrame] = {}
    for variant in ablations.variants(study.ablations, choice, artists_known=known):
        found = trials.outcome(variant)
        if found.predictions is not None:
            predictions[len(rows)] = found.predictions
        row = {"ablation": variant.ablation, "value": variant.value, "case": name, "is_default": variant.is_default}
        rows.append(row | {"status": found.status, "reason": found.reason})
    return ablation_table(rows, predictions, **settings)


def choose_group_number(
    study_tasks_facts: str,
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    essentia_manifest: dict[str, Any],
    factors: FactorsBlock,
    study: StudyBlock,
    fit_on: str,
    seed: int,
    cache_root: str,
) -> pd.DataFrame:
    """Measure numbers of groups by coherence and held-out likelihood, on the training artists of the first fold.

    Parameters
    ----------
    study_tasks_facts : str
        Feature sets.
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    mel_manifest, essentia_manifest : dict
        Spectrograms and Essentia's shards.
    factors : FactorsBlock
        How groups are fitted.
    study : StudyBlock
        Which numbers; nothing is measured unless ``groups`` is among the ablations.
    fit_on : str
        train or all.
    seed : int
        Of the fits.
    cache_root : str
        Where they are kept.

    Returns
    -------
    pd.DataFrame
        One row a feature set and number; those of a feature set that fails with the reason.
    """
    from artist_transfer.factors.group_number import group_number_table
    from artist_transfer.pipelines.group_factors.work import first_bags

    numbers = sorted({factors.latent_dirichlet.groups, *read_numbers(study.ablations.groups, least=2)})
    tables = []
    wanted = "groups" in read_choices(study.ablations.choices)
    for task in study_tasks_facts if wanted else "":
        if task == "g":
            continue
        manifest = essentia_manifest if task == "e" else mel_manifest
        try:
            bags = first_bags(task, usable_table, split_table, manifest, factors, fit_on, seed, cache_root)
            table = group_number_table(
                bags,
                numbers=numbers,
                seed=seed,
                max_artists=study.ablations.max_artists,
                cache_root=cache_root,
                label=f"task {task}",
                **factors.latent_dirichlet.model_dump(include={"passes", "iterations", "restarts"}),
            )
        except FAILURES as error:
            status = SKIPPED if isinstance(error, NothingToFit) else FAILED
            log.log(logging.INFO if status == SKIPPED else logging.WARNING, "Groups of task %s: %s", task, error)
            table = pd.DataFrame({"groups": numbers, "status": status, "reason": reason_of(error)})
        tables.append(table.assign(feature_set=task))
    if not tables:
        return pd.DataFrame({"feature_set": pd.Series(dtype=str), "groups": pd.Series(dtype=int)})
    table = pd.concat(tables, ignore_index=True)
    return table.assign(**{name: float("nan") for name in MEASURED if name not in table})  # where all have failed
