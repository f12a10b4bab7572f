"""Nodes of the report: plots for Kedro-Viz and MLflow, and the page."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from artist_transfer.provenance import git_state

PACKAGES = ("kedro", "mlflow", "torch", "librosa", "essentia", "gensim", "scikit-learn", "numpy", "scipy", "soundfile")


def gather_history(training_history: pd.DataFrame, genre_net_history: pd.DataFrame) -> pd.DataFrame:
    """Put the learning curves of all nets into one table, each net once.

    Parameters
    ----------
    training_history, genre_net_history : pd.DataFrame
        Curves of the nets, and of the genre-only baseline.

    Returns
    -------
    pd.DataFrame
        fold, net, epoch, task, loss, steps.
    """
    curves = [table for table in (training_history, genre_net_history) if len(table)]
    return pd.concat(curves, ignore_index=True) if curves else training_history


def plot_training(learning_curve_table: pd.DataFrame) -> go.Figure:
    """Draw the learning curves.

    Parameters
    ----------
    learning_curve_table : pd.DataFrame
        Mean loss by fold, net, epoch and task.

    Returns
    -------
    go.Figure
        The plot.
    """
    from artist_transfer.reporting.figures import training_curves_plot

    return training_curves_plot(learning_curve_table) if len(learning_curve_table) else _empty("No net was trained")


def plot_scores(
    transfer_metrics: dict[str, float],
    genre_score_table: pd.DataFrame,
    confusion_table: pd.DataFrame,
    evaluation_facts: dict[str, Any],
) -> tuple[go.Figure, go.Figure, go.Figure]:
    """Draw the scores with their intervals, the F1 of each genre, and the confusion matrix.

    Parameters
    ----------
    transfer_metrics : dict
        Flat metrics; empty where the evaluation was skipped.
    genre_score_table, confusion_table : pd.DataFrame
        By genre.
    evaluation_facts : dict
        Why it was skipped, if so.

    Returns
    -------
    score_plot, genre_f1_plot, confusion_plot : go.Figure
        The plots.
    """
    from artist_transfer.reporting.figures import confusion_plot, genre_f1_plot, scores_plot

    if evaluation_facts["skipped"]:
        nothing = _empty(f"Not evaluated: {evaluation_facts['skipped']}")
        return nothing, nothing, nothing
    confusion = confusion_table.set_index("genre_true")
    return scores_plot(transfer_metrics), genre_f1_plot(genre_score_table), confusion_plot(confusion)


def plot_artists(artist_map_table: pd.DataFrame) -> go.Figure:
    """Draw the map of artists.

    Parameters
    ----------
    artist_map_table : pd.DataFrame
        Artists with their coordinates.

    Returns
    -------
    go.Figure
        The plot.
    """
    from artist_transfer.reporting.figures import artist_map_plot

    return artist_map_plot(artist_map_table) if len(artist_map_table) else _empty("No artist is known")


def write_report(
    parameters: dict[str, Any],
    corpus_facts: dict[str, Any],
    count_facts: dict[str, Any],
    exclusion_table: pd.DataFrame,
    quarantine_table: pd.DataFrame,
    split_facts: dict[str, Any],
    leakage_table: pd.DataFrame,
    subgenres_factor_facts: dict[str, Any],
    subgenres_reading_table: pd.DataFrame,
    subgenres_factor_table: pd.DataFrame,
    essentia_factor_facts: dict[str, Any],
    essentia_reading_table: pd.DataFrame,
    essentia_factor_table: pd.DataFrame,
    dmfcc_factor_facts: dict[str, Any],
    dmfcc_reading_table: pd.DataFrame,
    dmfcc_factor_table: pd.DataFrame,
    mfcc_factor_facts: dict[str, Any],
    mfcc_reading_table: pd.DataFrame,
    mfcc_factor_table: pd.DataFrame,
    nets_weights: dict[str, Any],
    learning_curve_table: pd.DataFrame,
    evaluation_facts: dict[str, Any],
    transfer_metrics: dict[str, float],
    genre_score_table: pd.DataFrame,
    confusion_table: pd.DataFrame,
    interval_facts: dict[str, Any],
    artist_map_table: pd.DataFrame,
) -> str:
    """Write the page of the main job, from saved results only.

    Parameters
    ----------
    parameters : dict
        All parameters of the run.
    corpus_facts, count_facts, split_facts, evaluation_facts, interval_facts : dict
        Facts of the rooms.
    exclusion_table, quarantine_table, leakage_table, learning_curve_table : pd.DataFrame
        What was left out, what is shared, and the curves.
    subgenres_factor_facts, essentia_factor_facts, dmfcc_factor_facts, mfcc_factor_facts : dict
        Facts of the factors.
    subgenres_reading_table, essentia_reading_table, dmfcc_reading_table, mfcc_reading_table : pd.DataFrame
        What each factor is about.
    subgenres_factor_table, essentia_factor_table, dmfcc_factor_table, mfcc_factor_table : pd.DataFrame
        The factors.
    nets_weights : dict
        Which nets were trained, and where.
    transfer_metrics : dict
        Flat metrics.
    genre_score_table, confusion_table, artist_map_table : pd.DataFrame
        By genre and by artist.

    Returns
    -------
    str
        HTML.
    """
    from artist_transfer.reporting.page import render_report

    sets = {
        "s": (subgenres_factor_facts, subgenres_reading_table, subgenres_factor_table),
        "e": (essentia_factor_facts, essentia_reading_table, essentia_factor_table),
        "d": (dmfcc_factor_facts, dmfcc_reading_table, dmfcc_factor_table),
        "m": (mfcc_factor_facts, mfcc_reading_table, mfcc_factor_table),
    }
    made = {task: parts for task, parts in sets.items() if not parts[0]["skipped"]}
    skipped = evaluation_facts["skipped"]
    return render_report(
        counts={key: count_facts[key] for key in sorted(count_facts, key=_rank)},
        quarantine_table=quarantine_table,
        exclusion_table=exclusion_table,
        split_facts=split_facts,
        parameters=parameters | {"tasks": nets_weights.get("tasks", "")},
        provenance=_provenance(nets_weights),
        leakage_table=leakage_table,
        factor_readings={task: _readable(reading) for task, (_, reading, _) in made.items()},
        factor_facts={task: _facts_of_fold(facts) for task, (facts, _, _) in made.items()},
        factor_tables={task: table for task, (_, _, table) in made.items()},
        history=learning_curve_table if len(learning_curve_table) else None,
        metrics=transfer_metrics,
        per_genre=None if skipped else genre_score_table,
        confusion=None if skipped else confusion_table.set_index("genre_true"),
        map_table=artist_map_table if len(artist_map_table) else None,
        skipped=skipped,
        notes=_notes(corpus_facts, nets_weights, interval_facts, sets),
    )


def _rank(key: str) -> tuple[int, str]:
    """Order counts as a reader asks for them: what came in, what is used, what is not, and the rest."""
    first = ("tracks", "usable", "quarantined", "quarantined:", "usable without", "recordings", "artists", "genres")
    found = [i for i, start in enumerate(first) if key == start or (start[-1] in ":t" and key.startswith(start))]
    return (found[0] if found else len(first), key)


def _readable(reading: pd.DataFrame) -> pd.DataFrame:
    """Keep the first fold's factors that are heaviest for any artist, the greatest share of all mass first."""
    first = reading[reading["fold"] == reading["fold"].min()]
    return first[first["artists"] != ""].sort_values(["share", "factor"], ascending=[False, True], ignore_index=True)


def _facts_of_fold(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of the first fold that has factors; their remarks are those of all folds."""
    folds = {fold: found for fold, found in facts["folds"].items() if not found.get("skipped")}
    first = dict(folds[min(folds, key=int)])
    dictionary = first.pop("dictionary", {})
    notes = dict.fromkeys(note for fold in folds.values() for note in fold["notes"])
    notes["Below, the first fold's groups that hold an artist; the tables hold all."] = None
    notes |= {
        f"Left out of fold {fold}: {found['skipped']}": None
        for fold, found in facts["folds"].items()
        if found.get("skipped")
    }
    return first | {"dictionary_rows": dictionary.get("n_rows"), "notes": list(notes)}


def _notes(
    corpus_facts: dict[str, Any], nets_weights: dict[str, Any], interval_facts: dict[str, Any], sets: dict[str, Any]
) -> list[str]:
    notes = [f"The reader found: {what}: {count}." for what, count in corpus_facts["notes"].items()]
    notes += [f"Task {task} was left out: {why}." for task, why in nets_weights.get("left_out", {}).items()]
    notes += [
        f"No factors of task {task}: {parts[0]['skipped']}." for task, parts in sets.items() if parts[0]["skipped"]
    ]
    if nets_weights.get("skipped"):
        notes.append(f"No net was trained: {nets_weights['skipped']}.")
    if interval_facts.get("unit"):
        notes.append(f"Intervals resample {interval_facts['n_units']} units: {interval_facts['unit']}.")
    if interval_facts.get("note"):
        notes.append(interval_facts["note"])
    return notes


def _provenance(nets_weights: dict[str, Any]) -> dict[str, Any]:
    facts = {key: value for key, value in git_state(Path.cwd()).items() if value is not None}
    facts |= {key: nets_weights[key] for key in ("architecture", "tasks", "device", "threads") if key in nets_weights}
    return facts | {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def _empty(message: str) -> go.Figure:
    return go.Figure(layout={"title": {"text": message}, "template": "plotly_white"})
