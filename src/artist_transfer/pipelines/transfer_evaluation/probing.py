"""The probe of a fold, and what every system that is scored shares: tracks, truth, baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.pipelines.feature_learning.targets import tracks_of
from artist_transfer.pipelines.transfer_evaluation.features import FeatureSource
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock

if TYPE_CHECKING:
    from artist_transfer.evaluation.probe import ProbeParams
    from artist_transfer.evaluation.segments import SegmentFeatures


def feature_source(
    usable_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    transfer: TransferBlock,
    device: str,
    threads: int | None,
    cache_root: str | Path,
) -> FeatureSource:
    """Gather what features are made from, and pin torch's threads.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The tracks.
    mel_manifest : dict
        Their spectrograms.
    transfer : TransferBlock
        Its hop.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    cache_root : str or Path
        Where finished features are kept.

    Returns
    -------
    FeatureSource
        The source.
    """
    from artist_transfer.audio.store import MelStore
    from artist_transfer.training.devices import pin_threads, resolve_device

    pin_threads(threads)
    store = MelStore(mel_manifest, usable_table)
    return FeatureSource(
        usable_table, store, mel_manifest["front_end"], transfer.hop, resolve_device(device), Path(cache_root)
    )


def truth(usable_table: pd.DataFrame) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Look up genre and artist of every track.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The tracks.

    Returns
    -------
    genres, artists : dict
        By track; None where there is none.
    """
    columns = (
        {
            key: None if pd.isna(value) else str(value)
            for key, value in zip(usable_table["track_id"], usable_table[name])
        }
        for name in ("genre_top", "artist_id")
    )
    genres, artists = columns
    return genres, artists


def labelled(usable_table: pd.DataFrame, split_table: pd.DataFrame, fold: int) -> tuple[list[str], list[str]]:
    """List the tracks with a genre on both sides of a fold.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    fold : int
        The fold.

    Returns
    -------
    train, test : list of str
        Track ids, sorted.
    """
    sides = (tracks_of(usable_table, split_table, fold=fold, side=side) for side in ("train", "test"))
    train, test = (tracks.loc[tracks["genre_top"].notna(), "track_id"].tolist() for tracks in sides)
    return train, test


def why_not_scored(usable_table: pd.DataFrame, split_table: pd.DataFrame, fold: int) -> str | None:
    """Say why no probe can be fitted or scored in a fold.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    fold : int
        The fold.

    Returns
    -------
    str or None
        The reason, as a clause; None if the training tracks have two genres and a test track has one.
    """
    train, test = (tracks_of(usable_table, split_table, fold=fold, side=side) for side in ("train", "test"))
    if train["genre_top"].nunique() < 2:
        return f"the training tracks of fold {fold} have fewer than two genres"
    if not test["genre_top"].notna().any():
        return f"no test track of fold {fold} has a genre"
    return None


def probe_params(transfer: TransferBlock, device_type: str, *, seed: int, standardise: bool = False) -> ProbeParams:
    """Turn the block of parameters into what the library takes.

    Parameters
    ----------
    transfer : TransferBlock
        The block.
    device_type : str
        cpu or cuda, which the number of epochs may depend on.
    seed : int
        Of the probe.
    standardise : bool
        For somebody else's features.

    Returns
    -------
    ProbeParams
        The same.
    """
    from artist_transfer.evaluation.probe import ProbeParams

    settings = transfer.model_dump(include={"hidden", "dropout", "batch", "learning_rate", "l2"})
    epochs = transfer.epochs or getattr(transfer.epochs_by_device, device_type)
    return ProbeParams(epochs=epochs, seed=seed, standardise=standardise, **settings)


def probe_fold(
    features: SegmentFeatures,
    source: FeatureSource,
    split_table: pd.DataFrame,
    fold: int,
    transfer: TransferBlock,
    seed: int,
    *,
    external: bool = False,
    keep: bool = True,
) -> tuple[pd.DataFrame, str]:
    """Fit the probe on the training side of a fold and predict its test side.

    Parameters
    ----------
    features : SegmentFeatures
        Of all tracks that have any.
    source : FeatureSource
        Tracks, device and cache.
    split_table : pd.DataFrame
        Sides.
    fold : int
        The fold.
    transfer : TransferBlock
        The probe.
    seed : int
        Of the probe.
    external : bool
        Whether these are somebody else's features, of any scale.
    keep : bool
        Whether the probe goes into the cache.

    Returns
    -------
    predictions : pd.DataFrame
        Test tracks with genre.
    folder : str
        Where the probe is; empty if it is not kept.
    """
    from artist_transfer.evaluation.metrics import make_predictions
    from artist_transfer.evaluation.probe import fit_probe, fit_probe_cached, predict_tracks

    params = probe_params(transfer, source.device.type, seed=seed, standardise=external)
    genres, artists = truth(source.usable_table)
    there = set(features.track_ids)
    train, test = (
        [track for track in side if track in there] for side in labelled(source.usable_table, split_table, fold)
    )
    folder = ""
    if keep:
        probe, place = fit_probe_cached(
            features, genres, train, cache_root=source.cache_root, params=params, device=source.device
        )
        folder = place.as_posix()
    else:
        probe = fit_probe(features, genres, train, params=params, device=source.device)
    probabilities = predict_tracks(probe, features, test, device=source.device)
    return make_predictions(probabilities, genres, artists=artists, fold=int(fold)), folder


def prior_table(usable_table: pd.DataFrame, split_table: pd.DataFrame, fold: int) -> pd.DataFrame:
    """Predict the test side of a fold by class priors.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    fold : int
        The fold.

    Returns
    -------
    pd.DataFrame
        Predictions.
    """
    from artist_transfer.evaluation.baselines import prior_predictions
    from artist_transfer.evaluation.metrics import make_predictions

    genres, artists = truth(usable_table)
    train, test = labelled(usable_table, split_table, fold)
    return make_predictions(prior_predictions(genres, train, test), genres, artists=artists, fold=int(fold))


def logistic_table(
    usable_table: pd.DataFrame, split_table: pd.DataFrame, statistics: pd.DataFrame, fold: int, seed: int
) -> pd.DataFrame:
    """Predict the test side of a fold by logistic regression on MFCC statistics.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    statistics : pd.DataFrame
        MFCC statistics by track.
    fold : int
        The fold.
    seed : int
        Of the regression.

    Returns
    -------
    pd.DataFrame
        Predictions.
    """
    from artist_transfer.evaluation.baselines import logistic_predictions
    from artist_transfer.evaluation.metrics import make_predictions

    genres, artists = truth(usable_table)
    train, test = labelled(usable_table, split_table, fold)
    found = logistic_predictions(statistics, genres, train, test, artists=artists, seed=seed)
    return make_predictions(found.probabilities, genres, artists=artists, fold=int(fold))


def simple_predictions(
    usable_table: pd.DataFrame, split_table: pd.DataFrame, statistics: pd.DataFrame, fold: int, seed: int
) -> dict[str, pd.DataFrame]:
    """Predict the test side of a fold by class priors, and by logistic regression on MFCC statistics.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    statistics : pd.DataFrame
        MFCC statistics by track.
    fold : int
        The fold.
    seed : int
        Of the regression.

    Returns
    -------
    dict of str to pd.DataFrame
        ``prior`` and ``mfcc_logreg``.
    """
    return {
        "prior": prior_table(usable_table, split_table, fold),
        "mfcc_logreg": logistic_table(usable_table, split_table, statistics, fold, seed),
    }


def mfcc_statistics_of(source: FeatureSource) -> pd.DataFrame:
    """Describe every track by statistics of its MFCC.

    Parameters
    ----------
    source : FeatureSource
        Tracks and spectrograms.

    Returns
    -------
    pd.DataFrame
        One row a track.
    """
    import numpy as np
    from tqdm.auto import tqdm

    from artist_transfer.features.mfcc import mfcc_statistics

    ids = source.usable_table["track_id"].tolist()
    rows = [
        mfcc_statistics(np.asarray(source.store.frames(track_id), dtype=np.float32))
        for track_id in tqdm(ids, desc="MFCC statistics", unit="track", leave=False)
    ]
    return pd.DataFrame(np.stack(rows), index=pd.Index(ids, name="track_id"))


def pooled(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the predictions of several folds together.

    Parameters
    ----------
    tables : sequence of pd.DataFrame
        Of one system.

    Returns
    -------
    pd.DataFrame
        All of them; an empty table with the columns if there is none.
    """
    from artist_transfer.evaluation.metrics import FIXED_COLUMNS, pool_predictions

    return pool_predictions(tables) if tables else pd.DataFrame(columns=list(FIXED_COLUMNS))
