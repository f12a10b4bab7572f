"""Nodes of the transfer evaluation: features, probes, baselines, scores with their intervals, the map of artists."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.pipelines.transfer_evaluation import probing
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock

if TYPE_CHECKING:
    from artist_transfer.evaluation.segments import SegmentFeatures

log = logging.getLogger(__name__)

BASELINES = ("prior", "stn_g", "mfcc_logreg")


def why_not_evaluated(usable_table: pd.DataFrame, split_table: pd.DataFrame) -> dict[str, Any]:
    """Say whether this corpus and split can be evaluated for genre, and if not, why.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.

    Returns
    -------
    dict
        ``skipped``: a reason or None; ``folds``: training and test tracks with a genre in each fold.
    """
    folds: dict[str, Any] = {}
    skipped = None
    if not usable_table["genre_top"].notna().any():
        skipped = "no track of this corpus has a genre (genre_top), so there is nothing to score"
    for fold in sorted(split_table["fold"].unique()):
        train, test = probing.labelled(usable_table, split_table, fold)
        folds[str(fold)] = {"train": len(train), "test": len(test)}
        skipped = skipped or probing.why_not_scored(usable_table, split_table, fold)
    if skipped:
        log.warning("The evaluation is skipped: %s", skipped)
    return {"skipped": skipped, "folds": folds}


def predict_genres(
    nets_weights: dict[str, Any],
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    evaluation_facts: dict[str, Any],
    embeddings: str | None,
    transfer: TransferBlock,
    device: str,
    threads: int | None,
    seed: int,
    cache_root: str,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Embed all tracks, fit the probe on the training side of each fold, and predict its test side.

    Parameters
    ----------
    nets_weights : dict
        The nets of each fold.
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    mel_manifest : dict
        The spectrograms.
    evaluation_facts : dict
        Whether there is anything to score.
    embeddings : str or None
        Somebody else's features, instead of the nets'.
    transfer : TransferBlock
        Segments and probe.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    seed : int
        Of the probe.
    cache_root : str
        Where finished features and probes are.

    Returns
    -------
    transfer_predictions_table : pd.DataFrame
        Test tracks of all folds.
    track_vector_table : pd.DataFrame
        Mean feature vector of every track, by the nets of the first fold.
    model_weights : dict
        The nets and the probe of the first fold, for new audio.
    """
    source = probing.feature_source(usable_table, mel_manifest, transfer, device, threads, cache_root)
    vectors: pd.DataFrame | None = None
    model: dict[str, Any] = {}
    tables: list[pd.DataFrame] = []
    for fold in sorted(split_table["fold"].unique()):
        nets = nets_weights["folds"].get(str(fold), [])
        features = source.of_nets(nets) if embeddings is None else source.of_file(embeddings)
        if vectors is None:
            vectors = _track_vectors(features)
        if evaluation_facts["skipped"]:
            break
        table, probe = probing.probe_fold(
            features, source, split_table, fold, transfer, seed, external=embeddings is not None
        )
        tables.append(table)
        if not model and embeddings is None:
            model = {"nets": nets, "probe": probe, "hop": transfer.hop, "front_end": mel_manifest["front_end"]}
    assert vectors is not None  # a split has at least one fold
    return probing.pooled(tables), vectors, model


def predict_baselines(
    genre_net_weights: dict[str, Any],
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    evaluation_facts: dict[str, Any],
    transfer: TransferBlock,
    device: str,
    threads: int | None,
    seed: int,
    cache_root: str,
) -> pd.DataFrame:
    """Predict the same test tracks by class priors, the genre-only net, and MFCC statistics.

    Parameters
    ----------
    genre_net_weights : dict
        The genre-only nets of each fold.
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    mel_manifest : dict
        The spectrograms.
    evaluation_facts : dict
        Whether there is anything to score.
    transfer : TransferBlock
        Segments and probe, the same as for the transferred features.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    seed : int
        Of the probe.
    cache_root : str
        Where finished features and probes are.

    Returns
    -------
    pd.DataFrame
        Predictions with a column ``system``.
    """
    if evaluation_facts["skipped"]:
        return probing.pooled([]).assign(system=pd.Series(dtype=str))
    source = probing.feature_source(usable_table, mel_manifest, transfer, device, threads, cache_root)
    statistics = probing.mfcc_statistics_of(source)
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in BASELINES}
    for fold in sorted(split_table["fold"].unique()):
        for name, table in probing.simple_predictions(usable_table, split_table, statistics, fold, seed).items():
            tables[name].append(table)
        features = source.of_nets(genre_net_weights["folds"][str(fold)])
        tables["stn_g"].append(probing.probe_fold(features, source, split_table, fold, transfer, seed)[0])
    return pd.concat([probing.pooled(rows).assign(system=name) for name, rows in tables.items()], ignore_index=True)


def score_predictions(
    transfer_predictions_table: pd.DataFrame,
    baseline_predictions_table: pd.DataFrame,
    usable_table: pd.DataFrame,
    evaluation_facts: dict[str, Any],
    transfer: TransferBlock,
    seed: int,
) -> tuple[dict[str, float], pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Score all systems on the same tracks, with intervals by artist.

    Parameters
    ----------
    transfer_predictions_table, baseline_predictions_table : pd.DataFrame
        The predictions.
    usable_table : pd.DataFrame
        Which recording each track is a clip of.
    evaluation_facts : dict
        Whether there is anything to score.
    transfer : TransferBlock
        How many resamples.
    seed : int
        Of the resamples.

    Returns
    -------
    transfer_metrics : dict
        Flat; empty if there is nothing to score.
    genre_score_table : pd.DataFrame
        F1, precision and recall of each genre.
    confusion_table : pd.DataFrame
        True genre by predicted genre.
    interval_facts : dict
        What was resampled.
    """
    from artist_transfer.evaluation.intervals import bootstrap_intervals, evaluate_against
    from artist_transfer.evaluation.metrics import confusion_matrix, f1_by_genre

    if evaluation_facts["skipped"]:
        return (
            {},
            pd.DataFrame({"genre": []}),
            pd.DataFrame({"genre_true": []}),
            {"skipped": evaluation_facts["skipped"]},
        )
    recordings = usable_table[["track_id", "recording_id"]]
    predictions = transfer_predictions_table.merge(recordings, on="track_id", how="left")
    others = baseline_predictions_table.merge(recordings, on="track_id", how="left")
    common = others[others["track_id"].isin(predictions["track_id"])]  # somebody's features may lack some tracks
    baselines = {name: rows.drop(columns="system") for name, rows in common.groupby("system", sort=True)}
    settings: dict[str, Any] = {
        "n_resamples": transfer.bootstrap.resamples,
        "level": transfer.bootstrap.level,
        "seed": seed,
    }
    metrics = evaluate_against(predictions, baselines, **settings)
    intervals = bootstrap_intervals(predictions, **settings)
    facts = {"unit": intervals.unit, "n_units": intervals.n_units, "n_tracks": intervals.n_tracks}
    confusion = confusion_matrix(predictions).reset_index()
    return metrics, f1_by_genre(predictions), confusion, facts | {"note": intervals.note, **settings}


def map_artists(track_vector_table: pd.DataFrame, usable_table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Lay the artists out in two dimensions.

    Parameters
    ----------
    track_vector_table : pd.DataFrame
        Vectors of the tracks.
    usable_table : pd.DataFrame
        Their artists and genres.
    seed : int
        Of the embedding.

    Returns
    -------
    pd.DataFrame
        One row an artist; empty where no artist is known.
    """
    import numpy as np

    from artist_transfer.evaluation.artist_map import COLUMNS, artist_map
    from artist_transfer.evaluation.segments import SegmentFeatures

    if not usable_table["artist_id"].notna().any():
        return pd.DataFrame(columns=COLUMNS)

    ids = tuple(track_vector_table["track_id"])
    vectors = np.stack(track_vector_table["vector"].to_numpy()).astype(np.float32)
    features = SegmentFeatures(vectors, np.arange(len(ids), dtype=np.int64), ids)
    return artist_map(features, usable_table[usable_table["track_id"].isin(ids)], seed=seed)


def _track_vectors(features: SegmentFeatures) -> pd.DataFrame:
    means = features.track_means()
    return pd.DataFrame({"track_id": features.track_ids, "vector": list(means)})
