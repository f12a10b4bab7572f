"""The tables of a study as they are read: intervals in words, failures with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import pandas as pd

from artist_transfer.reporting.paper import LABEL, TASK_NAMES
from artist_transfer.reporting.scores import METRICS, UNITS, number, percent, signed
from artist_transfer.reporting.study_paper import PAPER_METRICS, paper_direction
from artist_transfer.reporting.study_tables import ARCHITECTURES, NOT_RUN, of_one_seed, reason_of, rows_of
from artist_transfer.reporting.tables import Table, p_text, text_of, with_interval

ABLATIONS = {
    "dictionary": "words in the dictionary (k)",
    "groups": "number of groups",
    "targets": "targets",
    "fit_on": "factors fitted on",
    "split": "split",
    "draw": "task drawn by",
}
"""The choices that the paper left open, as they are called."""
COMPARISON_COLUMNS = ("comparison", "question", "first", "second", "metric", "effect", "low", "high")
ABLATION_COLUMNS = ("ablation", "value", "status", "reason", "is_default")
GROUP_COLUMNS = ("feature_set", "groups", "coherence", "held_out_bound")
GROUP_NAMES = {"with_g": "with\N{NO-BREAK SPACE}g", "without_g": "without\N{NO-BREAK SPACE}g"}


def view_3(table: pd.DataFrame, *, level: float = 0.95) -> Table:
    """Show table 3.

    Parameters
    ----------
    table : pd.DataFrame
        As `study_tables.table_3` makes it.
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    Table
    """
    caption = f"Table 3. Mean performance with and without genre among the tasks, {percent(level)} intervals"
    note = (
        "As in the paper the nets of one task count among the STN alone, so the rows of one architecture can be set "
        "side by side, those of the two cannot: the comparisons take the same sets of tasks."
    )
    return _mean_view(table, caption, "cases", note)


def view_figure_3(table: pd.DataFrame, *, level: float = 0.95) -> Table:
    """Show the numbers of figure 3.

    Parameters
    ----------
    table : pd.DataFrame
        As `study_tables.figure_3` makes it.
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    Table
    """
    shown = table[table["n_cases"] > 0] if (table["n_cases"] > 0).any() else table
    caption = f"Figure 3 in numbers. Mean performance by number of tasks, {percent(level)} intervals"
    return _mean_view(shown.assign(group=shown["n_tasks"]), caption, "tasks", "The paper prints no numbers here.")


def view_4(table: pd.DataFrame, *, level: float = 0.95) -> tuple[Table, Table]:
    """Show table 4, and what stands beneath it.

    Parameters
    ----------
    table : pd.DataFrame
        As `study_tables.table_4` makes it.
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    combinations, others : Table
    """
    rows = rows_of(table, ("section", "label"), "table_4")
    grid = [row for row in rows if row["section"] == "combinations"]
    others = [row for row in rows if row["section"] != "combinations"]
    both = [(each, metric) for each in ARCHITECTURES for metric in PAPER_METRICS]
    ours = [f"{each.upper()} {METRICS[metric]}" for each, metric in both]
    cells = [
        (
            row["label"],
            *(_case_cell(row, *pair) for pair in both),
            *(_plain(row[f"{each}_{metric} ({LABEL})"]) for each, metric in both),
        )
        for row in grid
    ]
    marked = frozenset(k for k, row in enumerate(grid) if _troubled(row))
    first = Table(
        f"Table 4. Every combination of tasks, {percent(level)} intervals",
        ("tasks", *ours, *(f"{name} ({LABEL})" for name in ours)),
        tuple(cells),
        frozenset(range(1, 9)),
        marked,
        "g genre, s subgenres, e Essentia, d dMFCC, m MFCC. A net of one task is the same net in both columns. "
        "The right half is of other music and another split and is there for orientation only.",
    )
    lines = [(row, each) for row in others for each in ARCHITECTURES if row[f"{each}_status"] != NOT_RUN]
    second = Table(
        f"Beneath table 4. Wide nets, baselines and controls, {percent(level)} intervals",
        ("case", "what it is", *UNITS.values()),
        tuple(
            (str(row[f"{each}_case"]), str(row["section"]), *(_case_cell(row, each, metric) for metric in METRICS))
            for row, each in lines
        ),
        frozenset({2, 3, 4}),
        frozenset(k for k, (row, each) in enumerate(lines) if row[f"{each}_status"] == "failed"),
        "Wide nets learn genre alone and have as many parameters as that number of nets. Controls: a is the artist's "
        "identity, capital letters are the factors shuffled among the artists, whose groups then mean nothing.",
    )
    return first, second


def view_5(table: pd.DataFrame, *, level: float = 0.95) -> Table:
    """Show table 5.

    Parameters
    ----------
    table : pd.DataFrame
        As `study_tables.table_5` makes it.
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    Table
    """
    rows = []
    for row in rows_of(table, ("metric", "n_tasks", "architecture"), "table_5"):
        if row["metric"] not in PAPER_METRICS or not isfinite(number(row["value"])):
            continue
        gap = "–"
        if isfinite(number(row["wstn_effect"])):
            gap = _gap(*(number(row[f"wstn_{key}"]) for key in ("effect", "low", "high")))
        rows.append(
            (
                METRICS.get(row["metric"], row["metric"]),
                str(row["n_tasks"]),
                "wSTN" if row["architecture"] == "wstn" else str(row["architecture"]).upper(),
                str(row["case"]),
                _spread(*(number(row[key]) for key in ("value", "low", "high"))),
                _spread(*(number(row[f"honest_{key}"]) for key in ("value", "low", "high"))),
                text_of(row["honest_case"]),
                gap,
                p_text(number(row["wstn_p_holm"])),
                _plain(row[f"value ({LABEL})"]),
            )
        )
    columns = (
        *("metric", "N", "net", "case", "best, the paper's way", "chosen on other artists", "which"),
        *("chosen on other artists, less wSTN", "p (Holm)", LABEL),
    )
    note = (
        "The paper chooses the best combination on the tracks on which it then reports it, so the best is too good by "
        "what chance contributes. ‘Chosen on other artists’ chooses it on the one half of the artists and scores it on "
        "the other."
    )
    caption = f"Table 5. The best combination of N tasks against the wide net of the same size, {percent(level)} "
    return Table(caption + "intervals", columns, tuple(rows), frozenset({1, 4, 5, 7, 8, 9}), note=note)


def comparisons(comparison_table: pd.DataFrame | None, *, level: float = 0.95) -> Table:
    """Show every paired comparison.

    Parameters
    ----------
    comparison_table : pd.DataFrame or None
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    Table
    """
    rows = []
    found = rows_of(comparison_table, COMPARISON_COLUMNS, "comparison_table")
    for row in found:
        paper = paper_direction(row)
        effect, low, high = (number(row[key]) for key in ("effect", "low", "high"))
        rows.append(
            (
                str(row["first"]),
                str(row["second"]),
                f"{text_of(row.get('n_first'))}/{text_of(row.get('n_second'))}",
                METRICS.get(str(row["metric"]), str(row["metric"])),
                signed(effect),
                _whole(f"{signed(low)} to {signed(high)}") if isfinite(low) and isfinite(high) else "none",
                p_text(number(row.get("p"))),
                p_text(number(row.get("p_holm"))),
                _whole(str(row.get("verdict", "–")).replace("no difference shown", "not shown")),
                signed(paper.effect, 4) if paper is not None else "–",
            )
        )
    columns = ("first", "second", "cases", "metric", "first less second", "interval", "p", "p (Holm)", "verdict")
    note = (
        "Both sides are scored on the same tracks and the same resamples of artists; interval and p are of the t test "
        "with the bootstrap's standard error. Less log loss is better, more of the others. The verdict goes by p after "
        "Holm's correction; the intervals themselves are not corrected."
    )
    if any(map(of_one_seed, found)):
        note += " Better is better for these nets (one seed): no interval holds what another seed would change."
    caption = f"Every paired comparison, {percent(level)} intervals"
    return Table(caption, (*columns, LABEL), tuple(rows), frozenset(range(4, 8)) | {9}, note=note)


def ablations(ablation_table: pd.DataFrame | None, *, level: float = 0.95) -> Table:
    """Show the choices that the paper left open.

    Parameters
    ----------
    ablation_table : pd.DataFrame or None
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    Table
        Values that were skipped or failed with their reason.
    """
    found = rows_of(ablation_table, ABLATION_COLUMNS, "ablation_table")
    rows = tuple(
        (
            ABLATIONS.get(str(row["ablation"]), str(row["ablation"])),
            value_tried(row),
            text_of(row.get("n_tracks")),
            *(_scored(row, metric) for metric in PAPER_METRICS),
            *(_difference(row, metric) for metric in PAPER_METRICS),
        )
        for row in found
    )
    names = [METRICS[metric] for metric in PAPER_METRICS]
    columns = ("choice", "value", "test tracks", *names, *(f"{name} less the default's" for name in names))
    note = (
        "The differences are paired, on the same tracks; where another choice changes the test tracks themselves there "
        "is none. Their p values are not corrected: read them as hints."
    )
    caption = f"Choices that the paper left open, {percent(level)} intervals"
    marked = frozenset(k for k, row in enumerate(found) if row["status"] == "failed")
    return Table(caption, columns, rows, frozenset(range(2, 7)), marked, note)


def value_tried(row: Mapping[str, Any]) -> str:
    """Return a value of a choice, and what it came to where the corpus could not carry it.

    Parameters
    ----------
    row : mapping
        Of a table of ablations.

    Returns
    -------
    str
    """
    value = f"{row['value']} (default)" if row["is_default"] else str(row["value"])
    reason = reason_of(row) if row["status"] == "done" else None
    return f"{value}: {reason}" if reason else value


def groups(groups_table: pd.DataFrame | None) -> Table:
    """Show how well each number of groups fits.

    Parameters
    ----------
    groups_table : pd.DataFrame or None

    Returns
    -------
    Table
    """
    found = rows_of(groups_table, GROUP_COLUMNS, "groups_table")
    rows = tuple(
        (
            TASK_NAMES.get(str(row["feature_set"]), str(row["feature_set"])),
            text_of(row["groups"]),
            text_of(number(row["coherence"])),
            text_of(number(row["held_out_bound"])),
            text_of(row.get("n_artists")),
            _status(row),
        )
        for row in found
    )
    columns = ("feature set", "groups", "coherence", "held-out bound", "artists", "status")
    marked = frozenset(k for k, row in enumerate(found) if row.get("status") == "failed")
    return Table("Number of groups", columns, rows, frozenset({1, 2, 3, 4}), marked, "Of both, more is better.")


def cases(case_table: pd.DataFrame | None) -> Table:
    """Show every case, done or not.

    Parameters
    ----------
    case_table : pd.DataFrame or None

    Returns
    -------
    Table
    """
    found = rows_of(case_table, ("case", "kind", "status", "reason"), "case_table")
    rows = tuple(
        (
            str(row["case"]),
            str(row["kind"]),
            text_of(row.get("n_tasks")),
            text_of(number(row.get("width"))),
            text_of(row.get("n_parameters")),
            _status(row),
        )
        for row in found
    )
    marked = frozenset(k for k, row in enumerate(found) if row["status"] == "failed")
    columns = ("case", "kind", "tasks", "width", "parameters", "status")
    return Table("Every case", columns, rows, frozenset({2, 3, 4}), marked)


def _mean_view(table: pd.DataFrame, caption: str, heading: str, note: str) -> Table:
    papers = [name for name in table.columns if LABEL in str(name)]
    rows = tuple(
        (
            GROUP_NAMES.get(str(row["group"]), str(row["group"])),
            str(row["architecture"]).upper(),
            text_of(row["n_cases"]) + (f" of {row['n_planned']}" if number(row["n_planned"]) > 0 else ""),
            *(_spread(*(number(row[metric + end]) for end in ("", "_low", "_high"))) for metric in PAPER_METRICS),
            *(_plain(row[name]) for name in papers),
        )
        for row in rows_of(table, ("group", "architecture", "n_cases"), "mean table")
    )
    names = [METRICS[metric] for metric in PAPER_METRICS]
    columns = (heading, "net", "cases here", *names, *(_heading(name) for name in papers))
    return Table(caption, columns, rows, frozenset(range(2, len(columns))), note=note)


def _heading(column: str) -> str:
    metric = column.split(" ")[0]
    return column.replace(metric, METRICS.get(metric, metric), 1)


def _whole(text: str) -> str:
    """Keep a text in one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _spread(value: float, low: float, high: float) -> str:
    """Return a score and its interval; a line may end between them only."""
    score, space, interval = with_interval(value, low, high).partition(" ")
    return score + space + _whole(interval)


def _gap(effect: float, low: float, high: float) -> str:
    """Return a difference and its interval; a line may end between them only."""
    return f"{signed(effect)} {_whole(f'({signed(low)} to {signed(high)})')}"


def _plain(value: object) -> str:
    found = number(value)
    return f"{found:.4f}" if isfinite(found) else "–"


def _status(row: Mapping[str, Any]) -> str:
    reason, status = reason_of(row), str(row.get("status", "–"))
    return f"{status}: {reason}" if reason else status


def _case_cell(row: Mapping[str, Any], architecture: str, metric: str) -> str:
    status = str(row[f"{architecture}_status"])
    if status == "done":
        return _spread(*(number(row[f"{architecture}_{metric}{end}"]) for end in ("", "_low", "_high")))
    if metric != PAPER_METRICS[0]:
        return status  # the reason is in the first metric's cell
    return _status({"status": status, "reason": row[f"{architecture}_reason"]})


def _troubled(row: Mapping[str, Any]) -> bool:
    return any(row[f"{each}_status"] == "failed" for each in ARCHITECTURES)


def _scored(row: Mapping[str, Any], metric: str) -> str:
    if row["status"] != "done":
        return _status(row) if metric == PAPER_METRICS[0] else str(row["status"])
    return _spread(*(number(row.get(metric + end)) for end in ("", "_low", "_high")))


def _difference(row: Mapping[str, Any], metric: str) -> str:
    effect, low, high, p = (number(row.get(f"{metric}_difference{end}")) for end in ("", "_low", "_high", "_p"))
    if row["is_default"] or not isfinite(effect):
        return "–"
    return f"{_gap(effect, low, high)}, p\N{NO-BREAK SPACE}{p_text(p)}"
