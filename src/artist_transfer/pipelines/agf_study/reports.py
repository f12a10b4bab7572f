"""Nodes that show a study: MLflow's child runs, the paper's tables beside ours, plots, the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from kedro.pipeline import Node

from artist_transfer.pipelines.agf_study.children import child_runs
from artist_transfer.provenance import git_state

BOUND_UNIT = "nats a word"


def list_runs(
    study_plan_facts: dict[str, Any],
    study_predictions_table: pd.DataFrame,
    study_case_table: pd.DataFrame,
    study_nets_manifest: dict[str, Any],
    study_fold_table: pd.DataFrame,
    split: str,
    corpus: str,
) -> list[dict[str, Any]]:
    """Describe the runs that MLflow shows below this one.

    Parameters
    ----------
    study_plan_facts, study_nets_manifest : dict
        Seeds and nets.
    study_predictions_table, study_case_table, study_fold_table : pd.DataFrame
        Predictions, cases, folds.
    split, corpus : str
        What all of them share.

    Returns
    -------
    list of dict
        One a case, seed and split seed.
    """
    nets = study_nets_manifest["nets"]
    settings = {"corpus": corpus, "split": split, "epochs": nets[0]["epochs"] if nets else None}
    return child_runs(
        study_predictions_table, study_case_table, nets, study_fold_table, study_plan_facts["seeds"], settings
    )


def tabulate(
    study_case_table: pd.DataFrame,
    study_score_table: pd.DataFrame,
    study_mean_table: pd.DataFrame,
    study_best_table: pd.DataFrame,
    study_comparison_table: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Make the paper's tables 3, 4 and 5, the paper's values beside ours.

    Parameters
    ----------
    study_case_table, study_score_table, study_mean_table, study_best_table, study_comparison_table : pd.DataFrame
        Results of the study.

    Returns
    -------
    study_table_3_csv, study_table_4_csv, study_table_5_csv : pd.DataFrame
        The tables.
    """
    from artist_transfer.reporting.study_tables import table_3, table_4, table_5

    return (
        table_3(study_mean_table),
        table_4(study_score_table, study_case_table),
        table_5(study_best_table, study_comparison_table),
    )


def plot_study(
    study_case_table: pd.DataFrame,
    study_score_table: pd.DataFrame,
    study_mean_table: pd.DataFrame,
    study_comparison_table: pd.DataFrame,
    study_ablation_table: pd.DataFrame,
    study_groups_table: pd.DataFrame,
) -> tuple[go.Figure, go.Figure, go.Figure, go.Figure, go.Figure]:
    """Draw the study.

    Parameters
    ----------
    study_case_table, study_score_table, study_mean_table, study_comparison_table : pd.DataFrame
        Results of the study.
    study_ablation_table, study_groups_table : pd.DataFrame
        Open choices.

    Returns
    -------
    study_figure_3_plot, study_comparison_plot, study_case_plot, study_ablation_plot, study_groups_plot : go.Figure
        The plots.
    """
    from artist_transfer.reporting import study_choice_figures as choices
    from artist_transfer.reporting import study_figures as draw

    return (
        draw.figure_3_plot(study_mean_table),
        draw.forest_plot(study_comparison_table),
        draw.cases_plot(study_score_table, study_case_table),
        choices.ablation_plot(study_ablation_table),
        choices.groups_plot(study_groups_table, unit=BOUND_UNIT),
    )


def write_study(
    parameters: dict[str, Any],
    count_facts: dict[str, Any],
    usable_table: pd.DataFrame,
    split_facts: dict[str, Any],
    leakage_table: pd.DataFrame,
    study_plan_facts: dict[str, Any],
    study_score_facts: dict[str, Any],
    study_nets_manifest: dict[str, Any],
    study_case_table: pd.DataFrame,
    study_score_table: pd.DataFrame,
    study_mean_table: pd.DataFrame,
    study_best_table: pd.DataFrame,
    study_comparison_table: pd.DataFrame,
    study_ablation_table: pd.DataFrame,
    study_groups_table: pd.DataFrame,
) -> str:
    """Write the page of the study, from saved results only.

    Parameters
    ----------
    parameters : dict
        All parameters of the run.
    count_facts, split_facts, study_plan_facts, study_score_facts, study_nets_manifest : dict
        Facts of the rooms.
    usable_table, leakage_table : pd.DataFrame
        Tracks, and what the sides share.
    study_case_table, study_score_table, study_mean_table, study_best_table, study_comparison_table : pd.DataFrame
        Results of the study.
    study_ablation_table, study_groups_table : pd.DataFrame
        Open choices.

    Returns
    -------
    str
        HTML.
    """
    from artist_transfer.reporting.study_page import render_study

    nets = study_nets_manifest["nets"]
    facts = {
        "corpus": parameters["corpus"],
        "n_tracks": len(usable_table),
        "n_artists": int(usable_table["artist_id"].nunique()),
        "n_genres": int(usable_table["genre_top"].nunique()),
        "in quarantine": count_facts["quarantined"],
        "split": split_facts["kind"],
        "artists_shared": _artists_shared(leakage_table),
        "folds": split_facts["folds"],
        "split hashes": [digest[:12] for digest in split_facts["hashes"]],
        "seeds": study_plan_facts["seeds"],
        "split_seeds": study_plan_facts["split_seeds"],
        "epochs": nets[0]["epochs"] if nets else None,
        "fit_on": parameters["fit_on"],
        "device": study_nets_manifest["device"],
        "threads": study_nets_manifest["threads"],
        "level": study_score_facts["level"],
        "resamples": study_score_facts["resamples"],
        "held_out_unit": BOUND_UNIT,
        "left_out": study_score_facts["left_out"],
        "notes": study_score_facts["notes"],
        "git": {key: value for key, value in git_state(Path.cwd()).items() if value is not None},
        "parameters": parameters,
    }
    return render_study(
        case_table=study_case_table,
        score_table=study_score_table,
        mean_table=study_mean_table,
        comparison_table=study_comparison_table,
        best_table=study_best_table,
        ablation_table=study_ablation_table,
        groups_table=study_groups_table,
        facts=facts,
    )


def create_nodes(tables: Sequence[str]) -> list[Node]:
    """Wire saved results to tables, plots and the page.

    Parameters
    ----------
    tables : sequence of str
        Names of the study's tables: cases, scores, means, best, comparisons, ablations, groups.

    Returns
    -------
    list of Node
        Three.
    """
    case, score, mean, best, comparison, ablation, groups = tables
    return [
        Node(
            tabulate,
            inputs=[case, score, mean, best, comparison],
            outputs=["study_table_3_csv", "study_table_4_csv", "study_table_5_csv"],
            name="tabulate_study",
        ),
        Node(
            plot_study,
            inputs=[case, score, mean, comparison, ablation, groups],
            outputs=[
                "study_figure_3_plot",
                "study_comparison_plot",
                "study_case_plot",
                "study_ablation_plot",
                "study_groups_plot",
            ],
            name="plot_study",
        ),
        Node(
            write_study,
            inputs=[
                "parameters",
                "count_facts",
                "usable_table",
                "split_facts",
                "leakage_table",
                "study_plan_facts",
                "study_score_facts",
                "study_nets_manifest",
                *tables,
            ],
            outputs="agf_study_report",
            name="write_study",
        ),
    ]


def _artists_shared(leakage_table: pd.DataFrame) -> bool | None:
    rows = leakage_table[leakage_table["kind"] == "artists"]
    return bool((rows["shared_test"] > 0).any()) if len(rows) else None
