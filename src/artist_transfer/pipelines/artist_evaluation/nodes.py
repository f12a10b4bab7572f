"""Nodes of the evaluation of artist-label nets: vectors of every target, scores, MLflow's child runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from artist_transfer.pipelines.artist_evaluation.items import PROJECTED, Items
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
    quarantine_table: pd.DataFrame,
    corpus_facts: dict[str, Any],
    mel_manifest: dict[str, Any],
    split: str,
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
    quarantine_table : pd.DataFrame
        Its tracks that are not usable.
    corpus_facts : dict
        Its official lists.
    mel_manifest : dict
        Its spectrograms.
    split : str
        Kind of its split.
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
    from artist_transfer.reporting.artist_gaps import failed_scores
    from artist_transfer.training.devices import pin_threads, resolve_device

    pin_threads(threads)
    setting = Setting(encoding, resolve_device(device), cache_root)
    names = read_targets(evaluation.targets)
    own = (usable_table, split_table, mel_manifest)
    told = {**corpus_facts, "quarantined": len(quarantine_table)}
    targets = list(
        open_targets(
            names,
            cache_root=cache_root,
            own=own,
            own_facts=told,
            own_official=split == "official",
            folds=evaluation.folds,
            seed=evaluation.seed,
        )
    )
    failed = failed_systems(artist_nets_manifest)
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
        scores.append(failed_scores(table, failed))
        comparisons.append(differences)
        skipped = items.skipped | unfitted | {name: f"failed: {each['reason']}" for name, each in failed.items()}
        facts[target.name] = target_facts(target, items) | {"skipped": skipped}
        for metric, reason in skipped.items():
            log.warning("Target %s: %s is not scored: %s", target.name, metric, reason)
    score_table = pd.concat(scores, ignore_index=True)
    return score_table, pd.concat(comparisons, ignore_index=True), facts, flat_scores(score_table)


def target_facts(target: Target, items: Items) -> dict[str, Any]:
    """Say what was scored of a target, and what was left out.

    Parameters
    ----------
    target : Target
        The corpus.
    items : Items
        Its scores.

    Returns
    -------
    dict
        ``tracks``, ``folds``, ``list_hash``, ``split_hash``, ``listed``, ``missing``, ``lists``; ``moved`` from the
        list's side to training, lest a song be on two sides; ``left_out`` by reason, ``named`` (reason to
        tracks), ``tags`` that are not scored.
    """
    before = {
        "quarantined as unusable": target.facts.get("quarantined", 0),
        "named by the corpus and left out by its reader": target.facts.get("left_out", 0),
    }
    return {
        "tracks": len(target.usable_table),
        "folds": len(target.folds),
        **target.list_facts,
        "lists": target.lists,
        "moved": target.moved,
        "left_out": {name: count for name, count in (before | items.counts).items() if count},
        "named": {reason: sorted(tracks) for reason, tracks in items.tracks.items()},
        "tags": items.told_tags(target.folds),
    }


def failed_systems(artist_nets_manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Say which systems have a net that could not be trained.

    Parameters
    ----------
    artist_nets_manifest : mapping
        The nets.

    Returns
    -------
    dict of name to dict
        ``net``, ``n_artists_trained``, and as ``reason`` the first one.
    """
    found: dict[str, dict[str, Any]] = {}
    for net in artist_nets_manifest.get("failed", []):
        reason = f"fold {net['fold']}, seed {net['seed']}: {net['reason']}"
        found.setdefault(net["system"], {"net": net["kind"], "n_artists_trained": net["artists"], "reason": reason})
    return found


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
        for row in whole[whole["value"].notna()].to_dict("records")
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
    if not len(artist_score_table):
        return []
    whole = artist_score_table[artist_score_table["of"].isin(["overall", "macro"])]
    failed, runs = failed_systems(artist_nets_manifest), []
    for name, rows in whole.groupby("system", sort=True):
        system = str(name)
        nets = [net for net in artist_nets_manifest["nets"] if net["system"] == system.removesuffix(PROJECTED)]
        kind, artists = str(rows["net"].iloc[0]), nets[0]["artists"] if nets else None
        reason = {"reason": failed[system]["reason"]} if system in failed else {}
        params: dict[str, Any] = {"net": kind if nets or reason else system}
        params |= {"artists": failed[system]["n_artists_trained"] if reason else artists}
        params |= {"folds": _joined(nets, "fold"), "seeds": _joined(nets, "seed")}
        metrics = {f"{row.target}.{row.metric}": row.value for row in rows.itertuples() if row.value == row.value}
        runs.append(
            {
                "name": system,
                "params": params | {"split": split, "corpus": corpus},
                "metrics": metrics,
                "tags": {"folds": len({net["fold"] for net in nets}), "nets": len(nets), **reason},
                "failed": bool(reason),
            }
        )
    return runs


def _joined(nets: Sequence[Mapping[str, Any]], key: str) -> str | None:
    """List the folds or seeds of some nets as parameters write lists."""
    return "+".join(str(each) for each in sorted({net[key] for net in nets})) or None
