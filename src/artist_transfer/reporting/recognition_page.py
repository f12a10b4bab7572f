"""The report of artist recognition: which system tells unseen artists apart, how well, and what that rests on.

Made from saved tables only; equal inputs give equal bytes; nothing is fetched. See `artist_transfer.reporting.shell`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import pandas as pd

from artist_transfer.reporting import recognition_cautions as cautions
from artist_transfer.reporting import recognition_curves as curves
from artist_transfer.reporting import recognition_figures as plots
from artist_transfer.reporting import recognition_sentences as said
from artist_transfer.reporting import recognition_views as views
from artist_transfer.reporting import tables
from artist_transfer.reporting.page_tables import filled, left_out_tables, made_tables
from artist_transfer.reporting.recognition_artist_figure import hardest_artists_plot
from artist_transfer.reporting.recognition_paper import FIGURE_2_AND_3, metric_name
from artist_transfer.reporting.recognition_paper_tables import table_1_view, table_2_view
from artist_transfer.reporting.recognition_tables import (
    at_size,
    metrics_of,
    named_systems,
    pair_rows,
    scored_rows,
    shown_size,
    sizes_of,
)
from artist_transfer.reporting.scores import percent
from artist_transfer.reporting.shell import Figures, render

SECTIONS = {
    "trials": "The trials, and what was left out",
    "systems": "All systems",
    "curves": "Error trade-off and scores",
    "differences": "Who is better than whom",
    "artists": "More artists to train on",
    "hardest": "The hardest artists",
    "others": "On other corpora",
    "papers": "Classification and tagging beside the paper",
    "made": "How it was made",
}
MAIN = ("eer", "top1")
OVER_ARTISTS = {"eer": 2, "top1": 3, "top5": None, "min_dcf_0.01": None, "min_dcf_0.05": None}
"""Metric → number of the figure of the paper."""


def render_recognition_page(
    *,
    corpus: str,
    recognition_score_table: pd.DataFrame | None,
    recognition_comparison_table: pd.DataFrame | None = None,
    det_table: pd.DataFrame | None = None,
    score_histogram_table: pd.DataFrame | None = None,
    artist_table: pd.DataFrame | None = None,
    other_corpora: Mapping[str, tuple[pd.DataFrame, pd.DataFrame | None]] | None = None,
    transfer_score_table: pd.DataFrame | None = None,
    protocol_facts: Mapping[object, Mapping[str, Any]] | None = None,
    corpus_facts: Mapping[str, object] | None = None,
    quarantine_table: pd.DataFrame | None = None,
    leaks: Sequence[str] = (),
    notes: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    level: float = 0.95,
    title: str = "Artist recognition: verification and identification of unseen artists",
) -> str:
    """Write the page.

    Parameters
    ----------
    corpus : str
        Its name.
    recognition_score_table, recognition_comparison_table : pd.DataFrame, optional
        See `artist_transfer.reporting.recognition_tables`.
    det_table : pd.DataFrame, optional [columns: system, n_artists_trained, false_alarm, miss]
        See `artist_transfer.reporting.recognition_curves.det_plot`.
    score_histogram_table : pd.DataFrame, optional [columns: system, n_artists_trained, target, left, right, count]
        See `artist_transfer.reporting.recognition_curves.histograms_plot`.
    artist_table : pd.DataFrame, optional [columns: system, n_artists_trained, artist_id, eer, top1, …]
        See `artist_transfer.reporting.recognition_views.artists_view`.
    other_corpora : mapping of corpus to (score table, comparison table), optional
        What the same systems do on artists of other corpora.
    transfer_score_table : pd.DataFrame, optional
        The ``artist_score_table``, for tables 1 and 2; see `recognition_paper_tables.transfer_rows`.
    protocol_facts : mapping of fold to mapping, optional
        See `artist_transfer.reporting.recognition_views.protocol_view` and `left_out_view`.
    corpus_facts : mapping, optional
        Tracks in, used, artists, …, in the order to show them.
    quarantine_table : pd.DataFrame, optional [columns: track_id, reason, …]
        Tracks that could not be used, enrolments of silence among them.
    leaks : sequence of str
        Sentences on what training and trials share; shown as alarms at the top.
    notes : sequence of str
        Remarks on data and systems.
    parameters, provenance : mapping, optional
        No times, no hosts.
    level : float in (0, 1)
        Of the intervals.
    title : str

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ArtistTransferError
        If a table that has rows lacks a column, or speaks of a system that has no score.
    """
    protocol = dict(protocol_facts or {})
    scores = filled(recognition_score_table)
    rows = None if scores is None else filled(scored_rows(scores))
    pairs = [] if rows is None else pair_rows(rows, recognition_comparison_table, level=level)
    size = float("nan") if rows is None else shown_size(rows)
    here = [row for row in pairs if said.at_one_size(row, size)]
    artists = None if rows is None else _artists(rows, artist_table, size)
    found = Figures()
    if rows is not None:
        _draw(found, rows, here, size, level)
        _draw_curves(found, rows, det_table, score_histogram_table, len(said.own_folds(protocol)))
        if artists is not None:
            found.draw(
                "hardest",
                hardest_artists_plot(artists, plots.looks_of(rows)),
                "Each artist's own equal error rate: its test songs against its model, and the other artists' songs "
                "against it. Bars are means over the systems, points single systems.",
            )
    alarms, remarks = ([], []) if rows is None else cautions.cautions(rows, protocol)
    context = {
        "title": title,
        "sections": list(SECTIONS.items()),
        "lead": said.lead(rows, protocol, corpus),
        "alarms": [*leaks, *alarms],
        "remarks": remarks,
        "findings": [] if rows is None else said.findings(rows, pairs, level=level),
        "counts": tables.pairs_table(corpus_facts or {}, "The corpus", ("what", "number")),
        "protocol": views.protocol_view(protocol),
        "fold_counts": views.counts_by_fold(protocol),
        "left_out": views.left_out_view(protocol),
        **left_out_tables(quarantine_table),
        "notes": list(notes),
        "method": "" if rows is None else said.method(rows, level=level),
        "scores": None if rows is None else views.scores_view(at_size(rows, size), size, level=level),
        "all_scores": None
        if rows is None or len(sizes_of(rows)) < 2
        else views.scores_view(rows, float("nan"), level=level),
        "counted": None if rows is None else views.counts_view(rows),
        "pairs": _pair_tables(pairs, MAIN, level),
        "more_pairs": _pair_tables(pairs, [m for m in _metrics(pairs) if m not in MAIN], level),
        "over": [name for name in found if name.startswith("over-")],
        "figure_words": FIGURE_2_AND_3,
        "artists": None if artists is None else views.artists_view(artists),
        "others": [_other(name, *each, level=level) for name, each in (other_corpora or {}).items()],
        "papers": tables.present(
            [view(transfer_score_table, corpus, level=level) for view in (table_1_view, table_2_view)]
        ),
        **made_tables(provenance, parameters),
        "figures": found,
    }
    return render("recognition.html.j2", context)


def _other(corpus: str, scores: pd.DataFrame, comparisons: pd.DataFrame | None, *, level: float) -> dict[str, object]:
    if not len(scores):
        return {"corpus": corpus, "findings": [], "alarms": [], "scores": None, "pairs": []}
    rows = scored_rows(scores)
    pairs, size = pair_rows(rows, comparisons, level=level), shown_size(rows)
    alarms, remarks = cautions.few_artists(rows)
    return {
        "corpus": corpus,
        "findings": said.findings(rows, pairs, level=level),
        "alarms": [*alarms, *remarks],
        "scores": views.scores_view(at_size(rows, size), size, level=level),
        "pairs": _pair_tables(pairs, _metrics(pairs), level),
    }


def _metrics(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    return metrics_of(pd.DataFrame({"metric": [row["metric"] for row in pairs]})) if pairs else []


def _pair_tables(pairs: Sequence[Mapping[str, Any]], metrics: Sequence[str], level: float) -> list[tables.Table]:
    return tables.present([views.pairs_view(pairs, metric, level=level) for metric in metrics])


def _artists(rows: pd.DataFrame, artist_table: pd.DataFrame | None, size: float) -> pd.DataFrame | None:
    if artist_table is None or not len(artist_table):
        return None
    return filled(at_size(named_systems(rows, artist_table, "artist_table"), size))


def _draw(found: Figures, rows: pd.DataFrame, pairs: Sequence[Mapping[str, Any]], size: float, level: float) -> None:
    spread = f"{percent(level)} intervals"
    at = f", each trained on {size:,.0f} artists where it was trained on artists here" if isfinite(size) else ""
    main = [metric for metric in MAIN if metric in metrics_of(at_size(rows, size))]
    if main:
        names = " and ".join(metric_name(metric) for metric in main)
        found.draw(
            "systems", plots.systems_plot(rows, main, level=level),
            f"{names} of all systems with {spread}{at}. The dotted line is what guessing gives.",
        )  # fmt: skip
    for metric in MAIN:
        if any(row["metric"] == metric and row["first_family"] != row["second_family"] for row in pairs):
            found.draw(
                f"matrix-{metric}", plots.differences_matrix(pairs, metric),
                f"{metric_name(metric)} of the system of the row less that of the column{at}. After Holm's correction: "
                "blue, the row's system is better; orange, the column's; grey, no difference could be shown.",
            )  # fmt: skip
    for metric, figure in OVER_ARTISTS.items():
        own = rows[rows["metric"] == metric]
        if len(sizes_of(own)) > 1:
            of = f"As figure {figure} of the paper, which prints no numbers: " if figure else ""
            found.draw(
                f"over-{metric}", plots.over_artists_plot(rows, metric),
                f"{of}{metric_name(metric)} over the number of artists trained on, with {spread}. Lines across are "
                "systems that were trained on no set of artists here.",
            )  # fmt: skip


def _draw_curves(
    found: Figures,
    rows: pd.DataFrame,
    det_table: pd.DataFrame | None,
    score_histogram_table: pd.DataFrame | None,
    folds: int,
) -> None:
    if det_table is not None and len(det_table):
        of_folds = " They are means over the folds, so a mark may lie beside its curve." if folds > 1 else ""
        found.draw(
            "det", curves.det_plot(det_table, rows),
            "Misses over false alarms at every threshold, both on normal deviate scales: the lower left is better. "
            f"Marks on the diagonal are the equal error rates of the table, with their intervals.{of_folds}",
        )  # fmt: skip
    if score_histogram_table is not None and len(score_histogram_table):
        found.draw(
            "histograms", curves.histograms_plot(score_histogram_table, rows),
            "Scores of target trials (the song is of the model's artist) and of the others, each kind with area 1: the "
            "less they overlap the better. Systems have different scales.",
        )  # fmt: skip
