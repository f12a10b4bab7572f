"""Intervals of scores by bootstrap over artists, and paired differences between systems.

Tracks of one artist are alike, so tracks are not independent draws: what is resampled are artists, with all their
tracks (see `artist_transfer.evaluation.resampling`). If no track has an artist the units are recordings or tracks, and
the result says so. Scores have expanded percentile intervals, differences t intervals and t tests with the bootstrap's
standard error (see `artist_transfer.evaluation.small_samples`), for artists are often few.

References
----------
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993: standard errors and percentiles (chapters 6, 13).
Hesterberg, "What Teachers Should Know About the Bootstrap", Am. Stat. 69(4), 2015: what few units ask for.
Field and Welsh, "Bootstrapping clustered data", J. R. Stat. Soc. B 69(3), 2007: resampling whole clusters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.metrics import METRICS, validate
from artist_transfer.evaluation.resampling import (
    check_resampling,
    resamples,
    scores_of_sums,
    sums_by_unit,
    units_of,
)
from artist_transfer.evaluation.small_samples import count_units, difference_test, percentiles


@dataclass(frozen=True)
class Intervals:
    """Scores with their intervals.

    Attributes
    ----------
    scores : dict of str to (value, low, high)
        ``log_loss``, ``f1_macro``, ``accuracy``; low and high are NaN with fewer than two units.
    unit : {"artist", "recording", "track"}
        What was resampled.
    n_units, n_tracks : int
    note : str
        What a reader has to know about the intervals; empty if nothing.
    """

    scores: dict[str, tuple[float, float, float]]
    unit: str
    n_units: int
    n_tracks: int
    note: str


@dataclass(frozen=True)
class Difference:
    """One system's score less another's on the same tracks.

    Attributes
    ----------
    effect, low, high : float
        For log loss a negative effect favours the first system, for the others a positive one.
    p : float in (0, 1]
        Two-sided, by the t test with the bootstrap's standard error; NaN with fewer than two units. Below 1 − level
        just where the interval excludes 0, unless so few units cannot show it: never below 2^(1 − units).
    """

    effect: float
    low: float
    high: float
    p: float


def bootstrap_intervals(
    predictions: pd.DataFrame, *, n_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Intervals:
    """Score predictions, with expanded percentile intervals by bootstrap over artists.

    Parameters
    ----------
    predictions : pd.DataFrame
        One row a track (see `artist_transfer.evaluation.metrics`); of several folds, pooled. The optional column
        ``recording_id`` keeps clips of one recording together where the artist is unknown.
    n_resamples : int > 0
    level : float in (0, 1)
    seed : int >= 0

    Returns
    -------
    Intervals
        Macro F1 of a resample is over the genres that occur in its truth.

    Raises
    ------
    ArtistTransferError
        If the table is not valid, or a parameter out of range.
    """
    check_resampling(n_resamples, level)
    units = units_of(predictions)
    sums = sums_by_unit(validate(predictions), units)
    values = scores_of_sums(sums.sum(axis=0, keepdims=True))[0]
    draws = [scores_of_sums(weights @ sums) for weights in resamples(units.count, n_resamples, seed)]
    low, high = percentiles(_joined(draws), level, count_units(sums[:, 0]))
    scores = {name: (float(values[k]), float(low[k]), float(high[k])) for k, name in enumerate(METRICS)}
    return Intervals(scores, units.name, units.count, len(predictions), units.note)


def paired_difference(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare two systems on the same tracks, by the same resamples of artists.

    Parameters
    ----------
    first, second : pd.DataFrame
        Predictions of the same tracks with the same truth; rows in any order.
    n_resamples : int > 0
    level : float in (0, 1)
    seed : int >= 0

    Returns
    -------
    dict of str to Difference
        First less second, for each of log_loss, f1_macro, accuracy.

    Raises
    ------
    ArtistTransferError
        If the tables are not valid, or not of the same tracks and truth.
    """
    check_resampling(n_resamples, level)
    first, second = (table.sort_values("track_id", ignore_index=True) for table in (first, second))
    for column in ("track_id", "genre_true"):
        if len(first) != len(second) or not (first[column] == second[column]).all():
            raise ArtistTransferError(
                f"a paired difference needs two tables of the same tracks and truth; {column} differs "
                f"({len(first)} and {len(second)} rows)"
            )
    units = units_of(first)
    sums = [sums_by_unit(validate(table), units) for table in (first, second)]
    effects = _difference(*(x.sum(axis=0, keepdims=True) for x in sums))[0]
    draws = [_difference(weights @ sums[0], weights @ sums[1]) for weights in resamples(units.count, n_resamples, seed)]
    (low, high), p = difference_test(effects, _joined(draws), level, count_units(sums[0][:, 0]))
    return {
        name: Difference(float(effects[k]), float(low[k]), float(high[k]), float(p[k]))
        for k, name in enumerate(METRICS)
    }


def evaluate(
    predictions: pd.DataFrame,
    *,
    prefix: str = "transfer",
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, float]:
    """Score one system, as flat metrics.

    Parameters
    ----------
    predictions : pd.DataFrame
    prefix : str
        ``transfer`` or ``baseline.<name>``.
    n_resamples, level, seed
        As in `bootstrap_intervals`.

    Returns
    -------
    dict of str to float
        ``<prefix>.<metric>``, ``…_low``, ``…_high`` for log_loss, f1_macro, accuracy; ``<prefix>.n_tracks``,
        ``.n_units`` and ``.n_unseen_genre`` (tracks whose genre no training track had).
    """
    result = bootstrap_intervals(predictions, n_resamples=n_resamples, level=level, seed=seed)
    flat: dict[str, float] = {}
    for name, (value, low, high) in result.scores.items():
        flat |= {f"{prefix}.{name}": value, f"{prefix}.{name}_low": low, f"{prefix}.{name}_high": high}
    flat[f"{prefix}.n_tracks"] = float(result.n_tracks)
    flat[f"{prefix}.n_units"] = float(result.n_units)
    flat[f"{prefix}.n_unseen_genre"] = float(sum(validate(predictions).unseen.values()))
    return flat


def evaluate_against(
    predictions: pd.DataFrame,
    baselines: Mapping[str, pd.DataFrame],
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, float]:
    """Score the transferred features, each baseline, and what lies between them.

    Parameters
    ----------
    predictions : pd.DataFrame
    baselines : mapping of name to pd.DataFrame
        Predictions of the same tracks.
    n_resamples, level, seed
        As in `bootstrap_intervals`.

    Returns
    -------
    dict of str to float
        `evaluate` of each under ``transfer`` and ``baseline.<name>``, and
        ``difference.<name>.<metric>``, ``…_low``, ``…_high``, ``…_p``: transfer less baseline, paired.
    """
    flat = evaluate(predictions, n_resamples=n_resamples, level=level, seed=seed)
    for name, table in baselines.items():
        prefix = f"baseline.{name}"
        flat |= evaluate(table, prefix=prefix, n_resamples=n_resamples, level=level, seed=seed)
        paired = paired_difference(predictions, table, n_resamples=n_resamples, level=level, seed=seed)
        for metric, found in paired.items():
            at = f"difference.{name}.{metric}"
            flat |= {at: found.effect, f"{at}_low": found.low, f"{at}_high": found.high, f"{at}_p": found.p}
    return flat


def _difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return scores_of_sums(first) - scores_of_sums(second)


def _joined(draws: Sequence[np.ndarray]) -> np.ndarray:
    """Put chunks of resamples together, (resample, metric)."""
    return np.concatenate([np.zeros((0, len(METRICS))), *draws])
