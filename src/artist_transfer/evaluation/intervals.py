"""Intervals of scores by bootstrap over artists, and paired differences between systems.

Tracks of one artist are alike, so tracks are not independent draws: what is resampled are artists, with all their
tracks. A track without an artist is a unit of its own (its recording is, where the table has ``recording_id``). If
no track has an artist the units are recordings or tracks, and the result says so. Every score is a function of sums
over units, so a resample is a product of its multiplicities with these sums.

References
----------
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993: percentile intervals (chapter 13).
Field and Welsh, "Bootstrapping clustered data", J. R. Stat. Soc. B 69(3), 2007: resampling whole clusters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.metrics import FLOOR, METRICS, Checked, validate

STREAM = 7_001  # keeps these draws apart from others that start from the same seed
CHUNK = 256  # resamples drawn at once


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
        Two-sided, by the share of resamples on the other side of 0; NaN with fewer than two units.
    """

    effect: float
    low: float
    high: float
    p: float


def bootstrap_intervals(
    predictions: pd.DataFrame, *, n_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Intervals:
    """Score predictions, with percentile intervals by bootstrap over artists.

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
    _check(n_resamples, level)
    units = _units(predictions)
    sums = _unit_sums(validate(predictions), units)
    values = _scores(sums.sum(axis=0, keepdims=True))[0]
    draws = [_scores(weights @ sums) for weights in _resamples(units.count, n_resamples, seed)]
    low, high = _percentiles(draws, level)
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
    _check(n_resamples, level)
    first, second = (table.sort_values("track_id", ignore_index=True) for table in (first, second))
    for column in ("track_id", "genre_true"):
        if len(first) != len(second) or not (first[column] == second[column]).all():
            raise ArtistTransferError(
                f"a paired difference needs two tables of the same tracks and truth; {column} differs "
                f"({len(first)} and {len(second)} rows)"
            )
    units = _units(first)
    sums = [_unit_sums(validate(table), units) for table in (first, second)]
    effects = _difference(*(x.sum(axis=0, keepdims=True) for x in sums))[0]
    draws = [
        _difference(weights @ sums[0], weights @ sums[1]) for weights in _resamples(units.count, n_resamples, seed)
    ]
    low, high = _percentiles(draws, level)
    p = _p_values(draws)
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


@dataclass(frozen=True)
class _Units:
    """What is resampled: a name, the unit of each row, how many there are."""

    name: str
    of_row: np.ndarray
    count: int
    note: str


def _check(n_resamples: int, level: float) -> None:
    if n_resamples < 1 or not 0 < level < 1:
        raise ArtistTransferError(
            f"bootstrap: resamples must be at least 1 (found {n_resamples}) and the level between 0 and 1 ({level})"
        )


def _units(predictions: pd.DataFrame) -> _Units:
    artists = predictions["artist_id"]
    known = artists.notna().to_numpy()
    has_recordings = "recording_id" in predictions.columns
    own = predictions["track_id"].astype(str)
    if has_recordings:
        own = predictions["recording_id"].fillna(predictions["track_id"]).astype(str)
    labels = np.where(known, "a:" + artists.astype(str), "t:" + own)
    distinct, of_row = np.unique(labels.astype(str), return_inverse=True)
    name = "artist" if known.any() else "recording" if has_recordings else "track"
    notes = []
    if name != "artist":
        notes.append(f"no track has an artist: the intervals are over {name}s and may be too narrow")
    elif not known.all():
        notes.append(f"{int((~known).sum())} tracks without artist are units of their own")
    if len(distinct) < 2:
        notes.append(f"with {len(distinct)} {name} there is nothing to resample: no interval")
    return _Units(name, of_row, len(distinct), "; ".join(notes))


def _unit_sums(checked: Checked, units: _Units) -> np.ndarray:
    """Sum what the scores need over each unit's tracks: n, log loss, then hits, truth and predictions by class."""
    size, n = len(checked.classes), len(checked.truth)
    rows = np.zeros((n, 2 + 3 * size))
    rows[:, 0] = 1
    rows[:, 1] = -np.log(np.maximum(checked.p_true, FLOOR))
    every = np.arange(n)
    rows[every, 2 + checked.truth] = checked.truth == checked.predicted
    rows[every, 2 + size + checked.truth] = 1
    rows[every, 2 + 2 * size + checked.predicted] = 1
    sums = np.zeros((units.count, rows.shape[1]))
    np.add.at(sums, units.of_row, rows)
    return sums


def _scores(sums: np.ndarray) -> np.ndarray:
    """Turn sums (resample, 2 + 3 C) into scores (resample, metric), in the order of METRICS."""
    n, loss = sums[:, 0], sums[:, 1]
    hit, true, predicted = np.split(sums[:, 2:], 3, axis=1)  # (resample, class) each
    occurs = true > 0
    f1 = np.where(occurs, 2 * hit / np.maximum(true + predicted, 1), 0.0).sum(axis=1) / occurs.sum(axis=1)
    return np.stack([loss / n, f1, hit.sum(axis=1) / n], axis=1)


def _difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return _scores(first) - _scores(second)


def _resamples(n_units: int, n_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Give how often each unit is drawn, (resample, unit); nothing with fewer than two units."""
    if n_units < 2:
        return
    draw = np.random.default_rng([seed, STREAM])
    even = np.full(n_units, 1 / n_units)
    for start in range(0, n_resamples, CHUNK):
        yield draw.multinomial(n_units, even, size=min(CHUNK, n_resamples - start)).astype(np.float64)


def _percentiles(draws: list[np.ndarray], level: float) -> np.ndarray:
    if not draws:
        return np.full((2, len(METRICS)), np.nan)
    tail = (1 - level) / 2
    return np.asarray(np.quantile(np.concatenate(draws), [tail, 1 - tail], axis=0))


def _p_values(draws: list[np.ndarray]) -> np.ndarray:
    if not draws:
        return np.full(len(METRICS), np.nan)
    drawn = np.concatenate(draws)
    # the resamples and one more: a p of exactly 0 would claim more than they can tell
    less, more = ((drawn <= 0).sum(axis=0) + 1, (drawn >= 0).sum(axis=0) + 1)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(less, more) / (len(drawn) + 1)))
