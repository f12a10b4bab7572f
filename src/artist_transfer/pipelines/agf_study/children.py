"""What MLflow's comparison view shows of a study: a run for each case, seed and split seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from artist_transfer.tasks import in_order


def child_runs(
    predictions: pd.DataFrame,
    case_table: pd.DataFrame,
    nets: Sequence[Mapping[str, Any]],
    fold_table: pd.DataFrame,
    seeds: Sequence[int],
    settings: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Describe a run for every case and replicate.

    Parameters
    ----------
    predictions : pd.DataFrame
        study_predictions_table.
    case_table : pd.DataFrame
        study_case_table.
    nets : sequence of mapping
        What was trained.
    fold_table : pd.DataFrame
        Which folds a split seed has.
    seeds : sequence of int
        Seeds of the study, for the cases that have no predictions.
    settings : mapping
        Parameters that all runs share.

    Returns
    -------
    list of dict
        ``name``, ``params``, ``metrics``, ``tags``, ``failed``. Parameters: ``architecture``, ``genre`` (whether it is
        learned), ``n_tasks``, ``seed``, ``size`` (parameters of the nets), ``split_seed``, ``task_s`` …, ``tasks``,
        ``width``; metrics: ``log_loss``, ``f1_macro``, ``accuracy`` and ``train_loss.<task>``; tags: ``case``,
        ``kind``, ``status``, ``reason``.
    """
    groups = dict(list(predictions.groupby(["case", "seed", "split_seed"], sort=True)))
    replicates = [(seed, split_seed) for split_seed in fold_table["split_seed"].unique() for seed in seeds]
    runs = []
    for row in case_table.to_dict("records"):
        for seed, split_seed in replicates:
            own = groups.get((row["case"], seed, split_seed))
            folds = set(fold_table.loc[fold_table["split_seed"] == split_seed, "fold"])
            losses = _training_losses(row, nets, folds, seed)
            runs.append(
                {
                    "name": f"{row['case']} seed {seed} split {split_seed}",
                    "params": _parameters(row, seed, int(split_seed)) | dict(settings),
                    "metrics": ({} if own is None else _scores(own)) | losses,
                    "tags": {key: row[key] for key in ("case", "kind", "status")}
                    | ({} if pd.isna(row["reason"]) else {"reason": row["reason"]}),
                    "failed": row["status"] == "failed",
                }
            )
    return runs


def _parameters(row: Mapping[str, Any], seed: int, split_seed: int) -> dict[str, Any]:
    """Name what is compared: MLflow draws the first three parameters that differ, in the order of their names."""
    known = {
        "architecture": row["architecture"],
        "genre": "yes" if "g" in row["tasks"] else "no",
        "n_tasks": row["n_tasks"],
        "seed": seed,
        "split_seed": split_seed,
        "tasks": row["tasks"],
    }
    known |= {f"task_{task}": task in row["tasks"] for task in "sedm"}
    for key, name in (("n_parameters", "size"), ("width", "width")):
        known[name] = None if pd.isna(row[key]) else row[key]
    return known


def _scores(predictions: pd.DataFrame) -> dict[str, float]:
    from artist_transfer.evaluation.metrics import accuracy, f1_macro, log_loss

    table = predictions.drop(columns=["case", "seed", "split_seed"])
    return {"log_loss": log_loss(table), "f1_macro": f1_macro(table), "accuracy": accuracy(table)}


def _training_losses(
    row: Mapping[str, Any], nets: Sequence[Mapping[str, Any]], folds: set[int], seed: int
) -> dict[str, float]:
    """Return the last training loss of every task, mean over the folds; of the nets that this case takes."""
    stn = row["architecture"] == "stn"
    names = {f"{task}-stn" for task in row["tasks"]} if stn else {row["case"]}
    found: dict[str, list[float]] = {}
    for net in nets:
        if net["net"] in names and net["seed"] == seed and net["fold"] in folds:
            for task, loss in net["loss"].items():
                found.setdefault(task, []).append(loss)
    return {f"train_loss.{task}": sum(found[task]) / len(found[task]) for task in in_order("".join(found))}
