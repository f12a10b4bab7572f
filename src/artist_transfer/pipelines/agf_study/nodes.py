"""Nodes of the study: its plan and splits, nets and predictions of all cases, scores, ablations."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError, NothingToFit
from artist_transfer.pipelines.agf_study import ablations, grid
from artist_transfer.pipelines.agf_study.params import StudyBlock, read_numbers
from artist_transfer.pipelines.feature_learning import learning
from artist_transfer.pipelines.feature_learning.params import TrainingBlock
from artist_transfer.pipelines.group_factors.params import FactorsBlock
from artist_transfer.pipelines.splitting.nodes import balanced_params
from artist_transfer.pipelines.splitting.params import SplittingBlock
from artist_transfer.pipelines.transfer_evaluation import probing
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock
from artist_transfer.study.cases import BASELINE, BASELINES, Case, multi, parse_cases, single, tasks_of

log = logging.getLogger(__name__)

METRICS = ("log_loss", "f1_macro", "accuracy")
DONE, FAILED, SKIPPED = "done", "failed", "skipped"
REPLICATE = ["seed", "split_seed"]


def plan_study(study: StudyBlock, tasks: str) -> tuple[dict[str, Any], str]:
    """Decide which cases are run, and which factors they need.

    Parameters
    ----------
    study : StudyBlock
        Cases and seeds.
    tasks : str
        The tasks that the sets of cases are made of.

    Returns
    -------
    study_plan_facts : dict
        Cases, seeds, split seeds.
    study_tasks_facts : str
        Tasks whose factors are needed.
    """
    cases = parse_cases(study.cases, tasks=tasks)
    ablated = ablations.ablated_case(study.ablations, tasks) if study.ablations.choices != "none" else None
    facts = {
        "cases": [case.name for case in cases],
        "ablated_case": ablated.name if ablated else None,
        "seeds": list(read_numbers(study.seeds)),
        "split_seeds": list(read_numbers(study.split_seeds)),
    }
    log.info("%d cases, seeds %s, split seeds %s", len(cases), study.seeds, study.split_seeds)
    return facts, tasks_of([*cases, ablated] if ablated else cases)


def split_for_study(
    usable_table: pd.DataFrame,
    study_plan_facts: dict[str, Any],
    split: str,
    splitting: SplittingBlock,
    folds: int,
) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame]:
    """Split the tracks once for each split seed; their folds lie one after the other.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The tracks.
    study_plan_facts : dict
        The split seeds.
    split : str
        Kind of split.
    splitting : SplittingBlock
        Shares.
    folds : int
        Folds of each split.

    Returns
    -------
    split_table : pd.DataFrame
        track_id, fold, side.
    split_facts : dict
        Kind and hashes.
    study_fold_table : pd.DataFrame
        fold, split_seed, and which fold of its split it is.

    Raises
    ------
    ArtistTransferError
        If the tracks have no genre to be scored on.
    """
    if usable_table["genre_top"].nunique() < 2:
        raise ArtistTransferError(
            f"agf_study scores genres, and the usable tracks have {usable_table['genre_top'].nunique()} of them "
            "(column genre_top). Allowed: a corpus with two or more; agf_multitask runs without"
        )
    seeds = study_plan_facts["split_seeds"]
    table, rows, hashes = split_by_seeds(usable_table, seeds, split=split, splitting=splitting, folds=folds)
    facts = {"kind": split, "folds": folds, "seeds": seeds, "hashes": hashes, "seed": seeds[0], "hash": hashes[0]}
    return table, facts, rows


def split_by_seeds(
    usable_table: pd.DataFrame, seeds: Sequence[int], *, split: str, splitting: SplittingBlock, folds: int
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Split once for each seed.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The tracks.
    seeds : sequence of int
        Seeds of the splits.
    split : str
        Their kind.
    splitting : SplittingBlock
        Shares.
    folds : int
        Folds of each.

    Returns
    -------
    table, rows : pd.DataFrame
        Sides; and what each fold is.
    hashes : list of str
        Of the splits.
    """
    from artist_transfer.corpora.splits import make_split, split_hash

    tables, rows, hashes = [], [], []
    for position, seed in enumerate(seeds):
        table = make_split(
            usable_table,
            kind=split,
            seed=seed,
            test_share=splitting.test_share,
            folds=folds,
            balanced=balanced_params(splitting.balanced),
        )
        hashes.append(split_hash(table))
        own = sorted(int(fold) for fold in table["fold"].unique())
        first = position * len(own)
        rows += [{"fold": first + fold, "split_seed": seed, "fold_of_split": fold} for fold in own]
        tables.append(table.assign(fold=table["fold"] + first))
    return pd.concat(tables, ignore_index=True), pd.DataFrame(rows), hashes


def learn_study_nets(
    study_plan_facts: dict[str, Any],
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    subgenres: pd.DataFrame,
    essentia: pd.DataFrame,
    dmfcc: pd.DataFrame,
    mfcc: pd.DataFrame,
    study: StudyBlock,
    training: TrainingBlock,
    transfer: TransferBlock,
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
    study : StudyBlock
        How many nets at once on a GPU.
    training : TrainingBlock
        How.
    transfer : TransferBlock
        Not used by the training; part of the setting.
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
        If a task has no target on this corpus; before any training.
    """
    cases = _cases(study_plan_facts)
    setting = _setting(
        (usable_table, split_table, mel_manifest),
        {"s": subgenres, "e": essentia, "d": dmfcc, "m": mfcc},
        (study, training, transfer, device, threads, cache_root),
    )
    nets = list(_all_nets(cases, setting, study_plan_facts["seeds"]))
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
    study: StudyBlock,
    training: TrainingBlock,
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
    study : StudyBlock
        Unused but for the setting.
    training : TrainingBlock
        Unused but for the setting.
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
    """
    cases = _cases(study_plan_facts)
    tables = (usable_table, split_table, mel_manifest)
    setting = _setting(tables, {}, (study, training, transfer, device, threads, cache_root))
    seeds = study_plan_facts["seeds"]
    nets = study_nets_manifest["nets"]
    predictions, failed = _all_predictions(cases, setting, nets, seeds)
    predictions += _baselines(setting, mel_manifest, device, threads, seeds, seed)
    table = _joined(predictions, study_fold_table, usable_table)
    return table[~table["case"].isin(failed)].reset_index(drop=True), _case_table(cases, nets, failed)


def score_study(
    study_predictions_table: pd.DataFrame, study_case_table: pd.DataFrame, study: StudyBlock, tasks: str, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any], dict[str, float]]:
    """Score all cases on the same resamples of artists, and make the planned comparisons.

    Parameters
    ----------
    study_predictions_table, study_case_table : pd.DataFrame
        Predictions and cases.
    study : StudyBlock
        Number of resamples, level.
    tasks : str
        The tasks that combinations are made of.
    seed : int
        Of the resamples.

    Returns
    -------
    study_score_table, study_mean_table, study_best_table, study_comparison_table : pd.DataFrame
        Scores, means, best combinations, comparisons.
    study_score_facts : dict
        What could not be compared, and why.
    study_metrics : dict
        Scores and comparisons, flat.
    """
    from artist_transfer.study.best import best_table
    from artist_transfer.study.comparisons import compare
    from artist_transfer.study.means import mean_table
    from artist_transfer.study.scores import CaseScores

    scores = CaseScores.from_predictions(
        study_predictions_table, n_resamples=study.resamples, level=study.level, seed=seed
    )
    comparisons, left_out = compare(scores, study_case_table, tasks=tasks)
    score_table = scores.score_cases()
    facts = {
        "left_out": left_out,
        "resamples": study.resamples,
        "level": study.level,
        "notes": [scores.note] if scores.note else [],
    }
    return (
        score_table,
        mean_table(scores, study_case_table, tasks=tasks),
        best_table(scores, study_case_table, tasks=tasks),
        comparisons,
        facts,
        _metrics(score_table, study_case_table, tasks),
    )


def ablate(
    study_plan_facts: dict[str, Any],
    study_case_table: pd.DataFrame,
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
    study_case_table : pd.DataFrame
        Not looked at: it makes the ablations come after the cases.
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
        One row a value; those that the corpus cannot carry are skipped with their reason.
    """
    from artist_transfer.study.ablations import ablation_table

    name = study_plan_facts["ablated_case"]
    if name is None:
        return ablation_table([], {}, n_resamples=study.resamples, level=study.level, seed=seed)
    case = parse_cases(name)[0]
    choice = ablations.Choice(factors=factors, fit_on=fit_on, split=split, draw=training.draw)
    manifests = {"m": mel_manifest, "d": mel_manifest, "s": mel_manifest, "e": essentia_manifest}
    blocks = (study, training, transfer, device, threads, cache_root)
    rows: list[dict[str, Any]] = []
    predictions: dict[int, pd.DataFrame] = {}
    known = bool(usable_table["artist_id"].notna().any())
    for variant in ablations.variants(study.ablations, choice, artists_known=known):
        row = {"ablation": variant.ablation, "value": variant.value, "case": name, "is_default": variant.is_default}
        own_folds = folds if variant.choice.split == "artist_disjoint" else 1
        try:
            sides, what, _ = split_by_seeds(
                usable_table,
                study_plan_facts["split_seeds"],
                split=variant.choice.split,
                splitting=splitting,
                folds=own_folds,
            )
            tables, found = ablations.factors_of(
                tasks_of([case]),
                variant.choice,
                usable_table=usable_table,
                split_table=sides,
                manifests=manifests,
                seed=seed,
                cache_root=cache_root,
            )
            reason = None if variant.is_default else ablations.too_large(variant, found)
            if reason:
                rows.append(row | {"status": SKIPPED, "reason": reason})
                continue
            changed = (study, training.model_copy(update={"draw": variant.choice.draw}), *blocks[2:])
            setting = _setting((usable_table, sides, mel_manifest), tables, changed, hard=variant.choice.hard)
            nets = list(_all_nets([case], setting, study_plan_facts["seeds"]))
            made, failed = _all_predictions([case], setting, nets, study_plan_facts["seeds"])
        except grid.FAILURES as error:
            rows.append(row | {"status": FAILED, "reason": f"{type(error).__name__}: {error}"})
            continue
        if failed:
            rows.append(row | {"status": FAILED, "reason": failed[name]})
            continue
        predictions[len(rows)] = _joined(made, what, usable_table)
        rows.append(row | {"status": DONE, "reason": None})
    return ablation_table(rows, predictions, n_resamples=study.resamples, level=study.level, seed=seed)


def choose_group_number(
    study_plan_facts: dict[str, Any],
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
    study_plan_facts : dict
        Whether ablations are wanted.
    study_tasks_facts : str
        Feature sets.
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    mel_manifest, essentia_manifest : dict
        Spectrograms and Essentia's shards.
    factors : FactorsBlock
        How groups are fitted.
    study : StudyBlock
        Which numbers.
    fit_on : str
        train or all.
    seed : int
        Of the fits.
    cache_root : str
        Where they are kept.

    Returns
    -------
    pd.DataFrame
        One row a feature set and number.
    """
    from artist_transfer.factors.group_number import group_number_table
    from artist_transfer.pipelines.group_factors.nodes import first_bags

    empty = pd.DataFrame({"feature_set": pd.Series(dtype=str), "groups": pd.Series(dtype=int)})
    if study_plan_facts["ablated_case"] is None:
        return empty
    numbers = sorted({factors.latent_dirichlet.groups, *read_numbers(study.ablations.groups, least=2)})
    tables = []
    for task in study_tasks_facts:
        if task == "g":
            continue
        manifest = essentia_manifest if task == "e" else mel_manifest
        try:
            bags = first_bags(task, usable_table, split_table, manifest, factors, fit_on, seed, cache_root)
        except NothingToFit as error:
            reasons = {"status": SKIPPED, "reason": str(error)}
            tables.append(pd.DataFrame([{"feature_set": task, "groups": number} | reasons for number in numbers]))
            continue
        table = group_number_table(
            bags,
            numbers=numbers,
            seed=seed,
            max_artists=study.ablations.max_artists,
            cache_root=cache_root,
            label=f"task {task}",
            **factors.latent_dirichlet.model_dump(include={"passes", "iterations", "restarts"}),
        )
        tables.append(table.assign(feature_set=task))
    return pd.concat(tables, ignore_index=True) if tables else empty


def _metrics(score_table: pd.DataFrame, case_table: pd.DataFrame, tasks: str) -> dict[str, float]:
    """Name the scores: of every case its value, and the interval of those that a reader looks for first."""
    first = {*BASELINES, "g-stn", single(tasks).name, multi(tasks).name}
    metrics = {f"cases.{status}": float(n) for status, n in case_table["status"].value_counts().items()}
    for row in score_table.to_dict("records"):
        for metric in METRICS:
            for end in ("", "_low", "_high") if row["case"] in first else ("",):
                metrics[f"case.{row['case']}.{metric}{end}"] = row[f"{metric}{end}"]
    return metrics


def _cases(study_plan_facts: dict[str, Any]) -> tuple[Case, ...]:
    return parse_cases("+".join(study_plan_facts["cases"]))


def _setting(
    tables: tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]],
    factor_tables: dict[str, pd.DataFrame],
    blocks: tuple[StudyBlock, TrainingBlock, TransferBlock, str, int | None, str],
    *,
    hard: bool = False,
) -> grid.Setting:
    usable_table, split_table, mel_manifest = tables
    study, training, transfer, device, threads, cache_root = blocks
    around = learning.surroundings(usable_table, mel_manifest, training, device, threads, 0, cache_root)
    return grid.Setting(
        usable_table=usable_table,
        split_table=split_table,
        factor_tables=factor_tables,
        mel_manifest=mel_manifest,
        around=around,
        transfer=transfer,
        at_once=study.at_once,
        hard=hard,
    )


def _all_nets(cases: Sequence[Case], setting: grid.Setting, seeds: Iterable[int]) -> Iterable[grid.Net]:
    """Make the targets of all folds before the first net is trained."""
    targets = {
        fold: {seed: grid.targets_of(cases, setting, fold=fold, seed=seed) for seed in seeds} for fold in setting.folds
    }
    for fold in setting.folds:
        yield from grid.train_nets(cases, setting, targets[fold], fold=fold)


def _all_predictions(
    cases: Sequence[Case], setting: grid.Setting, nets: Sequence[grid.Net], seeds: Iterable[int]
) -> tuple[list[pd.DataFrame], dict[str, str]]:
    """Predict fold by fold; a case that fails once has failed, and the others go on."""
    from tqdm.auto import tqdm

    seeds = list(seeds)
    tables: list[pd.DataFrame] = []
    failed: dict[str, str] = {}
    with tqdm(total=len(setting.folds) * len(seeds) * len(cases), desc="cases", unit="case") as bar:
        for fold in setting.folds:
            for seed in seeds:
                mine = [net for net in nets if net["fold"] == fold and net["seed"] == seed]
                with grid.features_of_fold(setting, fold=fold, seed=seed) as scratch:
                    for case in cases:
                        bar.set_postfix_str(f"fold {fold}, seed {seed}, {case.name}", refresh=False)
                        try:
                            table = grid.predict(case, setting, mine, fold=fold, seed=seed, scratch=scratch)
                            tables.append(table.assign(case=case.name, seed=seed, fold=fold))
                        except grid.FAILURES as error:
                            failed.setdefault(case.name, f"fold {fold}, seed {seed}: {error}")
                            log.warning("Case %s failed in fold %d, seed %d: %s", case.name, fold, seed, error)
                        bar.update(1)
    return tables, failed


def _baselines(
    setting: grid.Setting,
    mel_manifest: dict[str, Any],
    device: str,
    threads: int | None,
    seeds: Iterable[int],
    seed: int,
) -> list[pd.DataFrame]:
    """Predict by what has no nets, so that it is the same for all seeds."""
    source = probing.feature_source(
        setting.usable_table, mel_manifest, setting.transfer, device, threads, setting.around.cache_root
    )
    statistics = probing.mfcc_statistics_of(source)
    tables = []
    for fold in setting.folds:
        made = probing.simple_predictions(setting.usable_table, setting.split_table, statistics, fold, seed)
        tables += [made[name].assign(case=name, seed=other, fold=fold) for name in BASELINES for other in seeds]
    return tables


def _joined(tables: Sequence[pd.DataFrame], study_fold_table: pd.DataFrame, usable_table: pd.DataFrame) -> pd.DataFrame:
    """Put predictions together; what a fold's training never saw has probability 0 there."""
    table = pd.concat(tables, ignore_index=True)
    columns = sorted(column for column in table.columns if column.startswith("p_"))
    table[columns] = table[columns].fillna(0.0)
    table = table.merge(study_fold_table, on="fold").merge(usable_table[["track_id", "recording_id"]], on="track_id")
    table["fold"] = table["fold_of_split"]
    first = ["case", "seed", "split_seed", "fold", "track_id", "artist_id", "recording_id", "genre_true"]
    order = [*first, "genre_predicted", *columns]
    return table[order].sort_values(first[:5], kind="stable", ignore_index=True)


def _case_table(cases: Sequence[Case], nets: Sequence[grid.Net], failed: dict[str, str]) -> pd.DataFrame:
    by_name = {net["net"]: net for net in nets}
    rows = [
        {
            "case": case.name,
            "tasks": case.tasks,
            "architecture": case.architecture,
            "n_tasks": case.n,
            "kind": case.kind,
            "width": max(by_name[name]["width"] for name in case.nets),
            "n_parameters": sum(by_name[name]["n_parameters"] for name in case.nets),
            "status": FAILED if case.name in failed else DONE,
            "reason": failed.get(case.name),
        }
        for case in cases
    ]
    rows += [
        {"case": name, "tasks": "", "architecture": BASELINE, "n_tasks": 0, "kind": BASELINE, "status": DONE}
        for name in BASELINES
    ]
    table = pd.DataFrame(rows)
    return table.astype({"n_parameters": "Int64"}).assign(reason=table["reason"].where(table["reason"].notna(), None))
