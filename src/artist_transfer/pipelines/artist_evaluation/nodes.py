"""Nodes of the evaluation of artist-label nets: vectors of every target, scores, MLflow's child runs."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from artist_transfer.pipelines.artist_evaluation.items import PROJECTED
from artist_transfer.pipelines.artist_evaluation.params import ArtistEvaluationBlock, read_targets
from artist_transfer.pipelines.artist_evaluation.scoring import evaluate, score_tables
from artist_transfer.pipelines.artist_evaluation.systems import (
    Setting,
    facts_of,
    heard_of,
    plain_systems,
    projected_systems,
)
from artist_transfer.pipelines.artist_evaluation.targets import Target, open_targets
from artist_transfer.pipelines.artist_learning.params import EncodingBlock

log = logging.getLogger(__name__)


def evaluate_nets(
    artist_nets_manifest: dict[str, Any],
    artist_set_table: pd.DataFrame,
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    evaluation: ArtistEvaluationBlock,
    encoding: EncodingBlock,
    released_weights: str | None,
    device: str,
    threads: int | None,
    cache_root: str,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any], dict[str, float]]:
    """Encode every target with every net, and score them beside the baselines on the same tracks.

    Parameters
    ----------
    artist_nets_manifest : dict
        The nets.
    artist_set_table : pd.DataFrame
        Which songs they learned: a discriminant is fitted on these.
    usable_table, split_table : pd.DataFrame
        Tracks and sides of the run's own corpus.
    mel_manifest : dict
        Its spectrograms.
    evaluation : ArtistEvaluationBlock
        Targets and scores.
    encoding : EncodingBlock
        Segments of a song.
    released_weights : str or None
        The authors' file.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    cache_root : str
        Where vectors are kept.

    Returns
    -------
    artist_score_table, artist_comparison_table : pd.DataFrame
        Scores with intervals; paired differences.
    artist_evaluation_facts : dict
        What was left out or skipped, by target.
    artist_metrics : dict
        The scores, flat.
    """
    from artist_transfer.training.devices import pin_threads, resolve_device

    pin_threads(threads)
    setting = Setting(encoding, resolve_device(device), cache_root)
    names = read_targets(evaluation.targets)
    own = (usable_table, split_table, mel_manifest)
    targets = list(open_targets(names, cache_root=cache_root, own=own, folds=evaluation.folds, seed=evaluation.seed))
    systems = list(
        plain_systems(
            artist_nets_manifest["nets"], evaluation, cache_root=cache_root, released_weights=released_weights
        )
    )
    unfitted: dict[str, str] = {}
    if evaluation.discriminant is not None:
        home = Target("self", usable_table, mel_manifest, split_table, own=True)
        projected, unfitted = projected_systems(systems, home, artist_set_table, evaluation, setting)
        systems += projected
    scores, comparisons, facts = [], [], {}
    for target in targets:
        items = evaluate(target, heard_of(target, systems, evaluation, setting), evaluation)
        table, differences = score_tables(items, target, facts_of(systems), evaluation)
        scores.append(table)
        comparisons.append(differences)
        skipped = items.skipped | unfitted
        facts[target.name] = {
            "tracks": len(target.usable_table),
            "folds": len(target.folds),
            "list_hash": target.list_hash,
            "skipped": skipped,
            "left_out": {name: count for name, count in items.counts.items() if count},
        }
        for metric, reason in skipped.items():
            log.warning("Target %s: %s is not scored: %s", target.name, metric, reason)
    score_table = pd.concat(scores, ignore_index=True)
    return score_table, pd.concat(comparisons, ignore_index=True), facts, flat_scores(score_table)


def flat_scores(score_table: pd.DataFrame) -> dict[str, float]:
    """Name the scores over all tracks: ``<target>.<system>.<metric>``, with their intervals.

    Parameters
    ----------
    score_table : pd.DataFrame
        All scores.

    Returns
    -------
    dict of str to float
        For MLflow.
    """
    if not len(score_table):
        return {}
    whole = score_table[score_table["of"].isin(["overall", "macro"])]
    return {
        f"{row['target']}.{_flat(row['system'])}.{row['metric']}{end}": float(row[column])
        for row in whole.to_dict("records")
        for column, end in (("value", ""), ("low", "_low"), ("high", "_high"))
    }


def _flat(system: str) -> str:
    """Spell a system so that MLflow takes it as part of a metric's name."""
    return system.replace(" + ", "-with-")


def list_runs(
    artist_nets_manifest: dict[str, Any], artist_score_table: pd.DataFrame, split: str, corpus: str
) -> list[dict[str, Any]]:
    """Describe the runs that MLflow shows below a study: one for each kind of net and number of artists.

    Parameters
    ----------
    artist_nets_manifest : dict
        The nets.
    artist_score_table : pd.DataFrame
        Their scores.
    split, corpus : str
        What all of them share.

    Returns
    -------
    list of dict
        ``name``, ``params``, ``metrics``, ``tags``, ``failed``.
    """
    whole = artist_score_table[artist_score_table["of"].isin(["overall", "macro"])]
    runs = []
    for system, rows in whole.groupby("system", sort=True):
        nets = [net for net in artist_nets_manifest["nets"] if net["system"] == str(system).removesuffix(PROJECTED)]
        kind = str(rows["net"].iloc[0])
        params = {"net": kind if nets else system, "artists": nets[0]["artists"] if nets else None}
        metrics = {f"{row.target}.{row.metric}": row.value for row in rows.itertuples() if row.value == row.value}
        runs.append(
            {
                "name": str(system),
                "params": params | {"split": split, "corpus": corpus},
                "metrics": metrics,
                "tags": {"folds": len({net["fold"] for net in nets})},
                "failed": False,
            }
        )
    return runs
