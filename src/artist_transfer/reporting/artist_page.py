"""The report of artist-label nets: what was learned, on which tracks, and what it is worth beside the others.

Made from saved tables only; equal inputs give equal bytes; nothing is fetched. See `artist_transfer.reporting.shell`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting import artist_comparisons as differences
from artist_transfer.reporting import artist_figures as plots
from artist_transfer.reporting import artist_views as views
from artist_transfer.reporting import tables
from artist_transfer.reporting.artist_maps import tracks_by_artist_plot, tracks_by_genre_plot
from artist_transfer.reporting.artist_paper import EARLY_METRICS, METRICS, TABLE_NUMBERS, TABLES
from artist_transfer.reporting.artist_tables import WHOLE
from artist_transfer.reporting.page_tables import filled, left_out_tables, made_tables, unread_tables
from artist_transfer.reporting.scores import percent
from artist_transfer.reporting.shell import Figures, render

SECTIONS = {
    "data": "What went in, and what was left out",
    "sets": "The sets and the lists",
    "training": "Training",
    "scores": "Scores",
    "artists": "More artists to train on",
    "labels": "By genre and by tag",
    "maps": "Maps",
    "neighbours": "Nearest artists",
    "made": "How it was made",
}
BY_LABEL = ("knn_accuracy", "softmax_accuracy")  # figure 5 shows the first that there is
OPEN_MARKS = " Open marks are what the papers print, of nets trained on the Million Song Dataset and without intervals."
MOST_DIFFERENCES = 60
FIGURES = {"map": 2, "knn_accuracy": 3, "softmax_accuracy": 4}


def render_artist_report(
    *,
    counts: Mapping[str, int],
    quarantine_table: pd.DataFrame | None = None,
    exclusion_table: pd.DataFrame | None = None,
    exclusions: Mapping[str, int] | None = None,
    artist_set_table: pd.DataFrame | None = None,
    lists: Sequence[Mapping[str, object]] = (),
    leaks: Sequence[str] = (),
    history: pd.DataFrame | None = None,
    score_table: pd.DataFrame | None = None,
    comparison_table: pd.DataFrame | None = None,
    neighbours: pd.DataFrame | None = None,
    maps: Mapping[str, pd.DataFrame] | None = None,
    tracks_shown: str = "",
    notes: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    level: float = 0.95,
    title: str = "What nets learn from artist labels, and what it is worth elsewhere",
) -> str:
    """Write the page.

    Parameters
    ----------
    counts : mapping of str to int
        Tracks in, used, left out, artists, …, in the order to show them.
    quarantine_table : pd.DataFrame, optional [columns: track_id, reason, …]
    exclusion_table : pd.DataFrame, optional [columns: track_id, reason]
        Songs that the corpus names and its reader left out.
    exclusions : mapping of str to int, optional
        What else was left out and counted: ``artists with fewer than 20 songs``, ``tags that are not defined``, ….
    artist_set_table : pd.DataFrame, optional [columns: set, artist_id, track_id, position, side]
    lists : sequence of mapping
        Of each list that was scored on, as `artist_views.lists_view` takes it.
    leaks : sequence of str
        Sentences on what training and test share, and what failed; shown as alarms at the top.
    history : pd.DataFrame, optional [columns: net, epoch, loss, validation_loss, …]
    score_table : pd.DataFrame, optional
        See `artist_transfer.reporting.artist_tables`.
    comparison_table : pd.DataFrame, optional
        ``ScoreDraws.compare()`` with a column ``target``.
    neighbours : pd.DataFrame, optional
        As of `artist_transfer.search.retrieve.nearest_artists`.
    maps : mapping of {"artist", "genre"} to pd.DataFrame, optional
        As of `artist_transfer.evaluation.track_map.track_map`.
    tracks_shown : str
        A sentence that says of which tracks maps and neighbours are.
    notes : sequence of str
        Remarks on the data.
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
        If a table that has rows lacks a column.
    """
    scored = filled(score_table)
    whole = [row for row in differences.comparison_rows(comparison_table) if row["of"] in WHOLE]
    figures = _figures(scored, comparison_table, history, maps or {}, level)
    for name in ("artist", "genre"):
        if tracks_shown and (key := f"map-{name}") in figures:
            figures[key] = replace(figures[key], alt=f"{figures[key].alt} {tracks_shown}")
    context = {
        "title": title,
        "sections": list(SECTIONS.items()),
        "lead": _lead(counts, scored, level),
        "alarms": list(leaks),
        "findings": [differences.sentence(row, level=level) for row in whole],
        "method": _method(scored, whole),
        "counts": tables.pairs_table(counts, "Counts", ("what", "number")),
        **left_out_tables(quarantine_table),
        **unread_tables(exclusion_table),
        "exclusions": tables.pairs_table(exclusions or {}, "What else was left out", ("what", "number")),
        "notes": list(notes),
        "sets": views.sets_view(artist_set_table),
        "lists": views.lists_view(lists),
        "training": None if history is None or not len(history) else views.training_view(history),
        "papers": _papers(scored, level),
        "all_scores": None if scored is None else views.all_scores(scored),
        "comparisons": differences.comparisons(comparison_table, level=level),
        "by_label": _by_label_table(scored),
        "neighbours": views.neighbours_view(neighbours, tracks_shown),
        "groups": {name: [key for key in figures if key.split("-")[0] == name] for name in ("n", "label", "map")},
        **made_tables(provenance, parameters),
        "figures": figures,
    }
    return render("artist.html.j2", context)


def _method(score_table: pd.DataFrame | None, comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say how intervals and verdicts were made."""
    if score_table is None:
        return []
    units = sorted({str(each) for each in score_table["unit"].dropna()})
    said = [
        f"Intervals come from a bootstrap that draws whole {' or '.join(f'{each}s' for each in units)} anew, with all "
        "their tracks, and where a system has several nets or trainings these too. Of a score they are the expanded "
        "percentiles of that bootstrap. Of a difference, which is taken on the same tracks and the same draws, they "
        "are the t interval with the bootstrap's standard error, and p is of the t test with it. They hold what other "
        f"{' or '.join(f'{each}s' for each in units)} would change, not what other training music would."
    ]
    families: dict[tuple[object, object], int] = {}
    for row in comparisons:
        key = (row["target"], row["metric"])
        families[key] = families.get(key, 0) + 1
    if families:
        said.append(
            f"On each target and in each score the p values of all comparisons (at most "
            f"{max(families.values()):,}) are one family, corrected by Holm's method: the smallest is multiplied by "
            "their number, the next by one less, and so on. The verdicts go by the corrected p; they are not "
            "corrected for there being several scores and targets, and the intervals are those of one comparison each."
        )
    if score_table["metric"].isin(["ap", "neural_ap"]).any():
        said.append(
            "Intervals of the average precision of tags lie too high: where an artist is drawn twice, its songs stand "
            "beside copies of themselves in the ranking, which lifts the average precision of rare tags: a value may "
            "lie near the lower end of its interval or below it. In a difference of two systems much of this cancels "
            "out; AUC is hardly touched by it."
        )
    baselines = set(score_table["net"]) & {"chance", "prior"}
    if baselines:
        said.append(
            "Chance is the same candidates in random order, prior the label that most training tracks have (of tags: "
            "how frequent each is in training): what needs no ears."
        )
    return said


def _papers(score_table: pd.DataFrame | None, level: float) -> list[tables.Table]:
    if score_table is None:
        return []
    found = [views.view_of_nets(score_table, metric, level=level) for metric in METRICS]
    return tables.present([*found[: len(TABLE_NUMBERS)], views.view_4(score_table), *found[len(TABLE_NUMBERS) :]])


def _by_label_table(score_table: pd.DataFrame | None) -> tables.Table | None:
    if score_table is None:
        return None
    parts = score_table[~score_table["of"].isin(WHOLE)]
    if not len(parts):
        return None
    rows = tuple(
        (
            views.target_name(row["target"]),
            METRICS.get(str(row["metric"]), str(row["metric"])).replace(" (macro)", ""),
            str(row["of"]),
            str(row["system"]),
            views.score_text(float(row["value"]), float(row["low"]), float(row["high"])),
            tables.text_of(row.get("n_items")),
        )
        for row in parts.to_dict("records")
    )
    most = 600
    note = f"{len(rows) - most:,} more rows are in the table that the run saved." if len(rows) > most else ""
    heads = ("target", "metric", "genre or tag", "system", "score", "tracks")
    return tables.Table("Scores by genre and by tag", heads, rows[:most], frozenset({4, 5}), note=note)


def _figures(
    score_table: pd.DataFrame | None,
    comparison_table: pd.DataFrame | None,
    history: pd.DataFrame | None,
    maps: Mapping[str, pd.DataFrame],
    level: float,
) -> Figures:
    """Draw what there is data for."""
    found = Figures()
    if history is not None and len(history):
        found.draw("training", plots.training_plot(history), "Training and validation loss of each net by epoch.")
    drawn, which = _drawn_differences(comparison_table, level)
    if drawn is not None:
        found.draw(
            "differences",
            plots.differences_plot(drawn, level=level),
            f"{which}Paired differences with {percent(level)} intervals. After Holm's correction: blue circles, the "
            "first is better; orange squares, the second; open grey circles, no difference could be shown.",
        )
    if score_table is not None:
        _draw_scores(found, score_table, level)
    for name, kind in (("artist", tracks_by_artist_plot), ("genre", tracks_by_genre_plot)):
        table = maps.get(name)
        if table is not None and len(table):
            total = int(table.attrs.get("n_tracks", len(table)))
            of = f" {len(table):,} of {total:,} tracks were drawn." if total > len(table) else ""
            found.draw(
                f"map-{name}",
                kind(table),
                f"As figure {6 if name == 'artist' else 7} of the paper: each point is a track (t-SNE of the "
                f"embeddings, by cosine), coloured by {name}. Point at one to see its name.{of}",
            )
    return found


def _drawn_differences(comparison_table: pd.DataFrame | None, level: float) -> tuple[pd.DataFrame | None, str]:
    """Choose the overall differences that a figure has room for: all, or those that were shown, and say so."""
    rows = [row for row in differences.comparison_rows(comparison_table) if row["of"] in WHOLE]
    if len(rows) <= MOST_DIFFERENCES:
        return (pd.DataFrame(rows) if rows else None), ""
    found = [row for row in rows if differences.verdict_of(row, level=level) != differences.OPEN]
    which = f"Of {len(rows):,} comparisons only those that show a difference. " if found else ""
    return (pd.DataFrame(found[:MOST_DIFFERENCES]) if found else None), which


def _draw_scores(found: Figures, score_table: pd.DataFrame, level: float) -> None:
    spread = f"with {percent(level)} intervals"
    for metric in METRICS:
        own = score_table[score_table["metric"] == metric]
        if own["of"].isin(WHOLE).any():
            of = f"As figure {FIGURES[metric]} of the paper: " if metric in FIGURES else ""
            printed = {*TABLES.get(metric, {}), *(each for each, scores in EARLY_METRICS.items() if metric in scores)}
            marks = OPEN_MARKS if own["target"].isin(printed).any() else ""
            found.draw(
                f"n-{metric}",
                plots.by_artists_plot(score_table, metric),
                f"{of}{METRICS[metric]} over the number of artists trained on, {spread}. Lines across are systems that "
                f"were not trained on a set of artists here.{marks}",
            )
    for target in dict.fromkeys(score_table["target"]):
        parts = score_table[(score_table["target"] == target) & ~score_table["of"].isin(WHOLE)]
        there = set(parts.loc[parts["value"].notna(), "metric"])
        accuracy = next((metric for metric in BY_LABEL if metric in there), None)
        for metric in [*([accuracy] if accuracy else []), *(each for each in ("auc", "ap") if each in there)]:
            what = "genre" if metric in BY_LABEL else "tag"
            of = "As figure 5 of the paper, which is of NAVER Korean: " if what == "genre" else ""
            found.draw(
                f"label-{target}-{metric}",
                plots.by_label_plot(score_table, str(target), metric, what=what),
                f"{of}{METRICS[metric].replace(' (macro)', '')} of each {what} of {views.target_name(target)}, "
                f"{spread}.",
            )


def _lead(counts: Mapping[str, int], score_table: pd.DataFrame | None, level: float) -> str:
    if score_table is None:
        return "Nothing was scored in this run."
    missing = [name for name in ("target", "unit", "system") if name not in score_table.columns]
    if missing:
        raise ArtistTransferError(f"score_table: columns missing: {missing}")
    targets = ", ".join(views.target_name(each) for each in dict.fromkeys(score_table["target"]))
    units = " and ".join(sorted({str(each) for each in score_table["unit"].dropna()}))
    tracks = f"{counts['usable']:,} usable tracks. " if "usable" in counts else ""
    systems = score_table["system"].nunique()
    plural = "s" * (systems != 1)
    return f"{tracks}{systems} system{plural} scored on {targets}. Intervals are {percent(level)}, by {units}."
