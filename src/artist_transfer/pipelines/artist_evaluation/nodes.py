"""Nodes of the evaluation of artist-label nets: vectors of every target, scores, MLflow's child runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.pipelines.artist_evaluation.params import ArtistEvaluationBlock, read_targets
from artist_transfer.pipelines.artist_evaluation.scoring import Heard, evaluate, score_tables
from artist_transfer.pipelines.artist_evaluation.targets import Target, open_targets
from artist_transfer.pipelines.artist_learning.encoders import RELEASED, NamedNet, embed, find_encoder
from artist_transfer.pipelines.artist_learning.params import EncodingBlock

if TYPE_CHECKING:
    import torch

    from artist_transfer.evaluation.embeddings import Embeddings

log = logging.getLogger(__name__)

MFCC = "mfcc"


def evaluate_nets(
    artist_nets_manifest: dict[str, Any],
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
    where = resolve_device(device)
    names = read_targets(evaluation.targets)
    own = (usable_table, split_table, mel_manifest)
    targets = list(open_targets(names, cache_root=cache_root, own=own, folds=evaluation.folds, seed=evaluation.seed))
    nets = list(_named(artist_nets_manifest["nets"], evaluation, cache_root, released_weights))
    systems = {named.name: {"net": kind, "n_artists_trained": artists} for named, kind, artists, _, _ in nets}
    if evaluation.mfcc:
        systems[MFCC] = {"net": MFCC}
    scores, comparisons, facts = [], [], {}
    for target in targets:
        heard = [
            _heard(target, named, fold, trial, evaluation, encoding, where, cache_root)
            for named, _, _, fold, trial in nets
        ]
        if evaluation.mfcc:
            heard.append(Heard(MFCC, None, 0, partial(_mfcc, target)))
        items = evaluate(target, heard, evaluation)
        table, differences = score_tables(items, target, systems, evaluation)
        scores.append(table)
        comparisons.append(differences)
        facts[target.name] = {
            "tracks": len(target.usable_table),
            "folds": len(target.folds),
            "list_hash": target.list_hash,
            "skipped": items.skipped,
            "left_out": {name: count for name, count in items.counts.items() if count},
        }
        for metric, reason in items.skipped.items():
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
        f"{row['target']}.{row['system']}.{row['metric']}{end}": float(row[column])
        for row in whole.to_dict("records")
        for column, end in (("value", ""), ("low", "_low"), ("high", "_high"))
    }


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
        nets = [net for net in artist_nets_manifest["nets"] if net["system"] == system]
        params = {"net": nets[0]["kind"] if nets else system, "artists": nets[0]["artists"] if nets else None}
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


def _named(
    nets: Sequence[dict[str, Any]], evaluation: ArtistEvaluationBlock, cache_root: str, released_weights: str | None
) -> Iterator[tuple[NamedNet, str, int | None, int | None, int]]:
    """Give every net with its kind, artists, fold and number among its system's nets."""
    from artist_transfer.models.files import load_artist_net

    seeds = sorted({net["seed"] for net in nets})
    for net in nets:
        named = NamedNet.of(net["system"], load_artist_net(net["folder"]))
        yield named, net["kind"], net["artists"], net["fold"], seeds.index(net["seed"])
    if evaluation.released:
        named = find_encoder(RELEASED, cache_root=cache_root, released_weights=released_weights)
        yield named, "released", 10_000, None, 0


def _heard(
    target: Target,
    named: NamedNet,
    fold: int | None,
    trial: int,
    evaluation: ArtistEvaluationBlock,
    encoding: EncodingBlock,
    device: torch.device,
    cache_root: str,
) -> Heard:
    number = trial if target.own or fold is None else trial * 100 + fold  # elsewhere a net of each fold is a trial
    get = partial(_vectors, target, named, evaluation, encoding, device, cache_root)
    return Heard(named.name, fold, number, get)


def _vectors(
    target: Target,
    named: NamedNet,
    evaluation: ArtistEvaluationBlock,
    encoding: EncodingBlock,
    device: torch.device,
    cache_root: str,
    train_ids: Sequence[str],
) -> Embeddings:
    from artist_transfer.evaluation.linear_discriminant import fit_linear_discriminant

    embeddings, _ = embed(
        named, target.usable_table, target.mel_manifest, encoding, device=device, cache_root=cache_root
    )
    if evaluation.discriminant is None:
        return embeddings
    there = set(embeddings.track_ids)
    fitted = fit_linear_discriminant(
        embeddings,
        target.labels("artist_id"),
        [track for track in train_ids if track in there],
        n_components=evaluation.discriminant,
    )
    return fitted.transform(embeddings)


def _mfcc(target: Target, train_ids: Sequence[str]) -> Embeddings:
    from artist_transfer.audio.store import MelStore
    from artist_transfer.evaluation.embedding_baselines import mfcc_embeddings
    from artist_transfer.models.artist_net import CROP

    tracks = target.usable_table[target.usable_table["n_frames"] >= CROP]  # as many as the nets can encode
    store = MelStore(target.mel_manifest, tracks)
    known = set(tracks["track_id"])
    fit = [track for track in train_ids if track in known]
    return mfcc_embeddings(store, sorted(known), fit_ids=fit)
