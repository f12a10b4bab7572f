"""Node that scores a study: all cases on the same resamples of artists."""

from __future__ import annotations

from typing import Any

import pandas as pd

from artist_transfer.pipelines.agf_study.params import StudyBlock
from artist_transfer.study.cases import BASELINES, multi, single

METRICS = ("log_loss", "f1_macro", "accuracy")


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


def _metrics(score_table: pd.DataFrame, case_table: pd.DataFrame, tasks: str) -> dict[str, float]:
    """Name the scores: of every case its value, and the interval of those that a reader looks for first."""
    first = {*BASELINES, "g-stn", single(tasks).name, multi(tasks).name}
    metrics = {f"cases.{status}": float(n) for status, n in case_table["status"].value_counts().items()}
    for row in score_table.to_dict("records"):
        for metric in METRICS:
            for end in ("", "_low", "_high") if row["case"] in first else ("",):
                metrics[f"case.{row['case']}.{metric}{end}"] = row[f"{metric}{end}"]
    return metrics
