"""Nodes that draw and write what recognition found."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from artist_transfer.pipelines.recognition.params import RecognitionBlock
from artist_transfer.pipelines.recognition.unheard import unheard_note
from artist_transfer.provenance import git_state

log = logging.getLogger(__name__)


def plot_recognition(
    recognition_score_table: pd.DataFrame,
    recognition_artist_table: pd.DataFrame,
    det_table: pd.DataFrame,
    score_histogram_table: pd.DataFrame,
) -> tuple[go.Figure, go.Figure, go.Figure, go.Figure, go.Figure]:
    """Draw what the run's own corpus shows.

    Parameters
    ----------
    recognition_score_table, recognition_artist_table : pd.DataFrame
        Scores of all systems, and by artist.
    det_table, score_histogram_table : pd.DataFrame
        Curves and bins.

    Returns
    -------
    det_plot, score_histogram_plot : go.Figure
        Curves, scores.
    verification_plot, identification_plot : go.Figure
        Equal error rate and accuracy over the number of training artists (figures 2 and 3 of the paper).
    hardest_artist_plot : go.Figure
        Artists by their own error.
    """
    from artist_transfer.reporting import recognition_curves as curves
    from artist_transfer.reporting import recognition_figures as figures
    from artist_transfer.reporting.recognition_artist_figure import hardest_artists_plot
    from artist_transfer.reporting.recognition_tables import named_systems, scored_rows

    scores, artists, det, bins = (
        own(table) for table in (recognition_score_table, recognition_artist_table, det_table, score_histogram_table)
    )
    named = named_systems(scored_rows(scores), artists, "recognition_artist_table")
    return (
        curves.det_plot(det, scores),
        curves.histograms_plot(bins, scores),
        figures.over_artists_plot(scores, "eer"),
        figures.over_artists_plot(scores, "top1"),
        hardest_artists_plot(named),
    )


def write_report(
    parameters: dict[str, Any],
    corpus_facts: dict[str, Any],
    count_facts: dict[str, Any],
    quarantine_table: pd.DataFrame,
    recognition_protocol_facts: dict[str, Any],
    recognition_system_facts: dict[str, Any],
    artist_set_facts: dict[str, Any],
    usable_table: pd.DataFrame,
    artist_set_table: pd.DataFrame,
    recognition_song_table: pd.DataFrame,
    recognition_score_table: pd.DataFrame,
    recognition_comparison_table: pd.DataFrame,
    recognition_artist_table: pd.DataFrame,
    det_table: pd.DataFrame,
    score_histogram_table: pd.DataFrame,
    recognition: RecognitionBlock,
    artist_score_table: pd.DataFrame | None = None,
) -> str:
    """Write the page.

    Parameters
    ----------
    parameters : dict
        Of the run.
    corpus_facts, count_facts : dict
        The corpus, and how many tracks of it are used.
    quarantine_table : pd.DataFrame
        Tracks that are not.
    recognition_protocol_facts, recognition_system_facts : dict
        Trials, and systems that were not possible.
    artist_set_facts : dict
        Artists that systems learned from.
    usable_table, artist_set_table, recognition_song_table : pd.DataFrame
        Tracks, those that systems learned from, and those of the trials.
    recognition_score_table, recognition_comparison_table, recognition_artist_table : pd.DataFrame
        Scores, differences, artists.
    det_table, score_histogram_table : pd.DataFrame
        Curves and bins.
    recognition : RecognitionBlock
        Level of the intervals.
    artist_score_table : pd.DataFrame, optional
        What the features transfer to.

    Returns
    -------
    str
        HTML.
    """
    from artist_transfer.reporting.recognition_cautions import few_to_calibrate
    from artist_transfer.reporting.recognition_page import render_recognition_page
    from artist_transfer.reporting.recognition_tables import scored_rows

    protocols = _protocols(recognition_protocol_facts)
    leaks = shared_with_training(usable_table, artist_set_table, recognition_song_table)
    for sentence in leaks + few_to_calibrate(scored_rows(own(recognition_score_table)), protocols):
        log.warning("%s", sentence)
    named = usable_table.dropna(subset=["artist_id", "artist"])
    names = dict(zip(named["artist_id"], named["artist"], strict=True))
    corpora = list(dict.fromkeys(recognition_score_table["corpus"]))
    others = {
        corpus: (own(recognition_score_table, corpus), own(recognition_comparison_table, corpus))
        for corpus in corpora
        if corpus != "self"
    }
    return render_recognition_page(
        corpus=str(corpus_facts["corpus"]),
        recognition_score_table=own(recognition_score_table),
        recognition_comparison_table=own(recognition_comparison_table),
        det_table=own(det_table),
        score_histogram_table=own(score_histogram_table),
        artist_table=own(recognition_artist_table).assign(artist=lambda table: table["artist_id"].map(names)),
        transfer_score_table=artist_score_table,
        other_corpora=others,
        protocol_facts=protocols,
        corpus_facts=_counts(corpus_facts, count_facts, artist_set_facts),
        quarantine_table=quarantine_table,
        leaks=leaks,
        notes=_notes(recognition_protocol_facts, recognition_system_facts),
        parameters=parameters,
        provenance={key: value for key, value in git_state(Path.cwd()).items() if value is not None},
        level=recognition.level,
    )


def shared_with_training(
    usable_table: pd.DataFrame, artist_set_table: pd.DataFrame, recognition_song_table: pd.DataFrame
) -> list[str]:
    """Say what songs of the trials share with those that systems learned from.

    Parameters
    ----------
    usable_table : pd.DataFrame
        Artist, recording and audio of every track.
    artist_set_table : pd.DataFrame
        Songs that systems learned from.
    recognition_song_table : pd.DataFrame
        Songs of the trials; those of the run's own corpus are looked at.

    Returns
    -------
    list of str
        Sentences; none if nothing is shared.
    """
    from artist_transfer.corpora.leakage import leakage_report

    trials = recognition_song_table[recognition_song_table["target"] == "self"]
    sides = [artist_set_table.assign(side="train"), trials.assign(side=trials["role"])]
    table = pd.concat([part[["track_id", "fold", "side"]] for part in sides]).drop_duplicates()
    report = leakage_report(usable_table, table)
    return [
        f"Fold {row['fold']}: {row[f'shared_{role}']} {row['kind']} stand both in training and in the {role} trials: "
        + ("error rates are optimistic." if role == "test" else "calibrated scores are too sure of themselves.")
        for row in report[report["kind"] != "albums"].to_dict("records")
        for role in ("validation", "test")
        if row[f"shared_{role}"]
    ]


def own(table: pd.DataFrame, corpus: str = "self") -> pd.DataFrame:
    """Take the rows of one corpus.

    Parameters
    ----------
    table : pd.DataFrame
        With ``corpus``.
    corpus : str
        Its name.

    Returns
    -------
    pd.DataFrame
        Without that column.
    """
    if "corpus" not in table.columns:
        return table
    return table[table["corpus"] == corpus].drop(columns="corpus").reset_index(drop=True)


def _protocols(facts: dict[str, Any]) -> dict[object, dict[str, Any]]:
    """Give the trials of each fold as the page shows them."""
    held = {entry["fold"]: entry["artists"] for entry in facts["protocols"] if entry["role"] == "validation"}
    found: dict[object, dict[str, Any]] = {}
    for entry in facts["protocols"]:
        if entry["role"] != "test":
            continue
        own = entry["target"] == "self"
        name = entry["fold"] if own else entry["target"]
        found[name] = {
            "artists": entry["artists"],
            "enrol": entry["enrol"],
            "test": entry["test"],
            "albums": facts["albums"],
            "trials": entry["trials"],
            "targets": entry["tests"],
            "hash": entry["hash"],
            "counts": entry["counts"],
            "left_out": entry["left_out"],
        }
        if own:
            found[name]["validation_artists"] = held.get(entry["fold"])
    return found


def _counts(
    corpus_facts: dict[str, Any], count_facts: dict[str, Any], artist_set_facts: dict[str, Any]
) -> dict[str, Any]:
    counts = {key: value for key, value in count_facts.items() if isinstance(value, (int, str))}
    sizes = ", ".join(str(size) for size in artist_set_facts["sizes"])
    return {"corpus": corpus_facts["corpus"]} | counts | {"training artists": sizes}


def _notes(protocol: dict[str, Any], systems: dict[str, Any]) -> list[str]:
    notes = [f"{system} was not scored: {reason}." for system, reason in systems["skipped"].items()]
    notes += [unheard_note(encoder, what) for encoder, what in systems.get("unheard", {}).items()]
    for target, names in protocol.get("known artists", {}).items():
        if names:
            some = f"{', '.join(names[:10])}{f' and {len(names) - 10} more' if len(names) > 10 else ''}"
            notes.append(f"{len(names)} artists of {target} are in the run's own corpus, too, and in no trial: {some}.")
    for target, tracks in protocol["unusable"].items():
        if tracks:
            some = "; ".join(f"{track}: {reason}" for track, reason in list(tracks.items())[:10])
            more = f"; and {len(tracks) - 10} more" if len(tracks) > 10 else ""
            notes.append(f"{len(tracks)} tracks of {target} are in no trial ({some}{more}).")
    return notes
