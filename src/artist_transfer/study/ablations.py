"""Scores of ablations, each against the run's own choice on the same test tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from artist_transfer.evaluation.metrics import METRICS
from artist_transfer.study.scores import CaseScores

COLUMNS = ["ablation", "value", "case", "status", "reason", "is_default", "n_tracks", "n_replicates"]
PARTS = ("", "_low", "_high")
DIFFERENCE = ("", "_low", "_high", "_p")


def ablation_table(
    rows: Sequence[Mapping[str, Any]],
    predictions: Mapping[int, pd.DataFrame],
    *,
    n_resamples: int,
    level: float,
    seed: int,
) -> pd.DataFrame:
    """Score every variant, and its difference to the default where the test tracks are the same.

    Parameters
    ----------
    rows : sequence of mapping
        ``ablation``, ``value``, ``case``, ``status``, ``reason``, ``is_default``.
    predictions : mapping of int to pd.DataFrame
        Position of a row that is done to its predictions.
    n_resamples : int > 0
        Resamples of artists.
    level : float in (0, 1)
        Of the intervals.
    seed : int
        Of the resamples.

    Returns
    -------
    pd.DataFrame
        A row for each of `rows`; NaN for what was skipped or failed, and for differences to the default itself or
        between different test tracks.
    """
    table = []
    for position, row in enumerate(rows):
        made = dict(row)
        if position in predictions:
            made |= _scored(rows, predictions, position, n_resamples=n_resamples, level=level, seed=seed)
        table.append(made)
    values = [f"{metric}{part}" for metric in METRICS for part in PARTS]
    differences = [f"{metric}_difference{part}" for metric in METRICS for part in DIFFERENCE]
    return pd.DataFrame(table, columns=[*COLUMNS, *values, *differences])


def _scored(
    rows: Sequence[Mapping[str, Any]],
    predictions: Mapping[int, pd.DataFrame],
    position: int,
    *,
    n_resamples: int,
    level: float,
    seed: int,
) -> dict[str, Any]:
    settings: dict[str, Any] = {"n_resamples": n_resamples, "level": level, "seed": seed}
    own = predictions[position].assign(case="variant")
    default = next(
        (k for k in predictions if rows[k]["is_default"] and rows[k]["ablation"] == rows[position]["ablation"]), None
    )
    paired = default is not None and default != position and _same_tracks(own, predictions[default])
    tables = [own, predictions[default].assign(case="default")] if paired and default is not None else [own]
    scores = CaseScores.from_predictions(pd.concat(tables, ignore_index=True), **settings)
    score = scores.score_cases().set_index("case").loc["variant"]
    made = {key: score[key] for key in ("n_tracks", "n_replicates")}
    made |= {f"{metric}{part}": score[f"{metric}{part}"] for metric in METRICS for part in PARTS}
    if paired:
        for metric, found in scores.contrast({"variant": 1.0}, {"default": 1.0}).items():
            name = f"{metric}_difference"
            made |= {name: found.effect, f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_p": found.p}
    return made


def _same_tracks(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    keys = ["seed", "split_seed", "track_id"]
    one, other = (table[keys].sort_values(keys, ignore_index=True) for table in (first, second))
    return len(one) == len(other) and bool((one == other).all(axis=None))
