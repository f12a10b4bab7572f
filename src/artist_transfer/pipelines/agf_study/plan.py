"""Nodes that plan a study: which cases and factors, and a split for each split seed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.agf_study import ablations
from artist_transfer.pipelines.agf_study.params import StudyBlock, read_numbers
from artist_transfer.pipelines.splitting.nodes import balanced_params
from artist_transfer.pipelines.splitting.params import SplittingBlock
from artist_transfer.pipelines.transfer_evaluation import probing
from artist_transfer.study.cases import parse_cases, tasks_of

log = logging.getLogger(__name__)


def plan_study(study: StudyBlock, tasks: str, embeddings: str | None) -> tuple[dict[str, Any], str]:
    """Decide which cases are run, and which factors they need.

    Parameters
    ----------
    study : StudyBlock
        Cases and seeds.
    tasks : str
        The tasks that the sets of cases are made of.
    embeddings : str or None
        Somebody else's features, which a study has no place for.

    Returns
    -------
    study_plan_facts : dict
        Cases, seeds, split seeds.
    study_tasks_facts : str
        Tasks whose factors are needed.

    Raises
    ------
    ArtistTransferError
        If `embeddings` are given.
    """
    if embeddings is not None:
        raise ArtistTransferError(
            f"embeddings={embeddings}: agf_study trains and compares nets of its own. Allowed are no embeddings here; "
            "--pipeline=agf_multitask evaluates somebody else's"
        )
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
        If the tracks have no genre to be scored on, all or those of a fold, or two split seeds give one split.
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

    Raises
    ------
    ArtistTransferError
        If genres cannot be scored in a fold, or two seeds give one split: counted twice it would look like two that
        agree.
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
        _check_folds(usable_table, table, split=split, folds=folds, seed=seed)
        hashes.append(split_hash(table))
        own = sorted(int(fold) for fold in table["fold"].unique())
        first = position * len(own)
        rows += [{"fold": first + fold, "split_seed": seed, "fold_of_split": fold} for fold in own]
        tables.append(table.assign(fold=table["fold"] + first))
    same = [seed for seed, digest in zip(seeds, hashes, strict=True) if hashes.count(digest) > 1]
    if same:
        raise ArtistTransferError(
            f"study.split_seeds={'+'.join(map(str, seeds))}: with split={split} the seeds "
            f"{', '.join(map(str, same))} give the same split on this corpus. Allowed are seeds of different splits"
            + (f", here one alone: study.split_seeds={seeds[0]}" if len(set(hashes)) == 1 else "")
        )
    return pd.concat(tables, ignore_index=True), pd.DataFrame(rows), hashes


def _check_folds(usable_table: pd.DataFrame, table: pd.DataFrame, *, split: str, folds: int, seed: int) -> None:
    """Make sure that every fold of a split has genres to be learned and a test track to be scored."""
    for fold in sorted(int(fold) for fold in table["fold"].unique()):
        reason = probing.why_not_scored(usable_table, table, fold)
        if reason:
            raise ArtistTransferError(
                f"agf_study scores genres in every fold, but with split={split}, folds={folds} and "
                f"study.split_seeds={seed} {reason} ({usable_table['genre_top'].notna().sum()} of "
                f"{len(usable_table)} usable tracks have one, column genre_top). Allowed is what leaves two genres in "
                f"training and one labelled test track in each fold: {'fewer folds, ' if folds > 1 else ''}another "
                "split, or other study.split_seeds"
            )
