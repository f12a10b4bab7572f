"""The paper's tables 3, 4 and 5 and the numbers of its figure 3, from a study's tables, the paper's beside ours.

Cells are numbers and can be read by a program; `artist_transfer.reporting.study_views` makes text of them. A column
whose name ends in the paper's label is of other music (FMA medium) and another split: for orientation, not for
comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.paper import LABEL, TABLE_4, paper_result
from artist_transfer.reporting.scores import METRICS, number
from artist_transfer.reporting.study_paper import (
    COMPUTED,
    PAPER_METRICS,
    TABLE_3,
    TABLE_5,
    paper_mean,
    paper_value,
)

ARCHITECTURES = ("stn", "mtn")
ENDS = ("", "_low", "_high")
SECTIONS = {"grid": "combinations", "wide": "wide nets", "baseline": "baselines", "control": "controls"}
"""Kinds of case, in the order in which table 4 shows them."""
NOT_RUN = "not run"


def rows_of(table: pd.DataFrame | None, columns: Sequence[str], what: str) -> list[dict[str, Any]]:
    """Return the rows of a table that may be missing or empty.

    Parameters
    ----------
    table : pd.DataFrame or None
    columns : sequence of str
        What it must have if it has a row.
    what : str
        Its name, for the error.

    Returns
    -------
    list of dict

    Raises
    ------
    ArtistTransferError
        If a column is missing.
    """
    if table is None or not len(table):
        return []
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ArtistTransferError(f"{what}: columns missing: {missing}; it has {list(table.columns)}")
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def table_3(mean_table: pd.DataFrame) -> pd.DataFrame:
    """Average performance with and without genre among the tasks (AGF, table 3).

    Parameters
    ----------
    mean_table : pd.DataFrame [columns: group, architecture, n_cases, metric, value, low, high]

    Returns
    -------
    pd.DataFrame
        group, architecture, n_cases, n_planned; each metric with its interval; the paper's means. In both the nets
        of one task count for STN alone.
    """
    groups = [(group, each) for each in ARCHITECTURES for group in ("without_g", "with_g")]
    table = _means(mean_table, groups)
    for metric in PAPER_METRICS:
        table[f"{metric} ({LABEL})"] = [
            paper_value(TABLE_3, key, metric) for key in zip(table["group"], table["architecture"])
        ]
    return table


def figure_3(mean_table: pd.DataFrame) -> pd.DataFrame:
    """Average performance by number of tasks (AGF, figure 3).

    Parameters
    ----------
    mean_table : pd.DataFrame [columns: group, architecture, n_cases, metric, value, low, high]

    Returns
    -------
    pd.DataFrame
        n_tasks, group, architecture, n_cases, n_planned; each metric with its interval, and the paper's mean computed
        from its table 4.
    """
    table = _means(mean_table, [(f"n_tasks={size}", each) for each in ARCHITECTURES for size in range(1, 6)])
    table.insert(0, "n_tasks", [int(group.removeprefix("n_tasks=")) for group in table["group"]])
    for metric in PAPER_METRICS:
        table[f"{metric} ({COMPUTED})"] = [
            paper_mean(*key, metric) for key in zip(table["group"], table["architecture"])
        ]
    return table


def table_4(score_table: pd.DataFrame, case_table: pd.DataFrame) -> pd.DataFrame:
    """Every combination of tasks, and beneath it the wide nets, baselines and controls (AGF, table 4).

    Parameters
    ----------
    score_table : pd.DataFrame [columns: case, log_loss, log_loss_low, …]
    case_table : pd.DataFrame [columns: case, tasks, architecture, kind, status, reason]

    Returns
    -------
    pd.DataFrame
        section, label; for ``stn`` and ``mtn``: case, status (done, failed, skipped, not run), reason, each metric
        with its interval; the paper's numbers. The net of one task stands in both. A wide net or a baseline is one
        thing only and stands under ``stn``.
    """
    cases = rows_of(case_table, ("case", "tasks", "architecture", "kind", "status", "reason"), "case_table")
    scores = {str(row["case"]): row for row in rows_of(score_table, ("case",), "score_table")}
    grid = {(str(row["tasks"]), str(row["architecture"])): row for row in cases if row["kind"] == "grid"}
    rows = []
    for tasks in TABLE_4:
        pair: dict[str, Mapping[str, Any] | None] = {each: grid.pop((tasks, each), None) for each in ARCHITECTURES}
        if len(tasks) == 1:
            pair["mtn"] = pair["mtn"] or pair["stn"]
        rows.append({"section": "combinations", "label": tasks, **_cells(pair, scores), **_paper_cells(tasks)})
    for label, section, pair in _others([row for row in cases if row["kind"] != "grid"] + list(grid.values())):
        rows.append({"section": section, "label": label, **_cells(pair, scores), **_paper_cells("")})
    return pd.DataFrame(rows)


def table_5(best_table: pd.DataFrame, comparison_table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Set the best combination of each number of tasks beside the genre net of the same size (AGF, table 5).

    Parameters
    ----------
    best_table : pd.DataFrame [columns: n_tasks, architecture, case, metric, value, low, high, honest_value, …]
    comparison_table : pd.DataFrame, optional
        Where it compares the best combination with the wide net, effect, interval, corrected p and verdict are added.

    Returns
    -------
    pd.DataFrame
        metric, n_tasks, architecture, case, value and interval (the paper's way: chosen and scored on the same
        tracks), honest case, value and interval (chosen on the one half of the artists and scored on the other), the
        paper's, and the difference of the honest choice to the wide net.
    """
    needed = ("n_tasks", "architecture", "case", "metric", "value", "low", "high")
    found = {
        (str(row["metric"]), int(row["n_tasks"]), str(row["architecture"])): row
        for row in rows_of(best_table, needed, "best_table")
    }
    pairs = rows_of(comparison_table, ("comparison", "metric", "effect"), "comparison_table")
    rows = []
    for metric in _metrics_of(found):
        for size in sorted({2, 3, 4, 5} | {key[1] for key in found}):
            for architecture in ("wstn", "stn", "mtn"):
                row = found.get((metric, size, architecture), {})
                keys = ("value", "low", "high", "honest_value", "honest_low", "honest_high")
                rows.append(
                    {"metric": metric, "n_tasks": size, "architecture": architecture}
                    | {key: row.get(key) for key in ("case", "honest_case")}
                    | {key: number(row.get(key)) for key in keys}
                    | {f"value ({LABEL})": paper_value(TABLE_5, (size, architecture), metric)}
                    | _against_wide(pairs, metric, size, architecture)
                )
    return pd.DataFrame(rows)


def _means(mean_table: pd.DataFrame, groups: Sequence[tuple[str, str]]) -> pd.DataFrame:
    needed = ("group", "architecture", "n_cases", "metric", "value", "low", "high")
    found = {
        (str(row["group"]), str(row["architecture"]), str(row["metric"])): row
        for row in rows_of(mean_table, needed, "mean_table")
    }
    rows = []
    for group, architecture in groups:
        own = [row for key, row in found.items() if key[:2] == (group, architecture)]
        cells: dict[str, object] = {"group": group, "architecture": architecture}
        cells |= {key: max((int(row.get(key, 0)) for row in own), default=0) for key in ("n_cases", "n_planned")}
        for metric in METRICS:
            row = found.get((group, architecture, metric), {})
            cells |= {metric + end: number(row.get(end[1:] or "value")) for end in ENDS}
        rows.append(cells)
    return pd.DataFrame(rows)


def _cells(pair: Mapping[str, Mapping[str, Any] | None], scores: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    cells: dict[str, object] = {}
    for architecture in ARCHITECTURES:
        row = pair.get(architecture)
        score = scores.get(str(row["case"]), {}) if row else {}
        cells[f"{architecture}_case"] = str(row["case"]) if row else None
        cells[f"{architecture}_status"] = str(row["status"]) if row else NOT_RUN
        cells[f"{architecture}_reason"] = reason_of(row) if row else None
        for metric in METRICS:
            cells |= {f"{architecture}_{metric}{end}": number(score.get(metric + end)) for end in ENDS}
    return cells


def of_one_seed(row: Mapping[str, Any]) -> bool:
    """Tell whether a comparison rests on the nets of one seed, so that it can be shown for these alone.

    Parameters
    ----------
    row : mapping
        Of a table of comparisons; without ``n_seeds`` nothing is known.

    Returns
    -------
    bool
    """
    return number(row.get("n_seeds")) == 1


def reason_of(row: Mapping[str, Any]) -> str | None:
    """Return why a case was not done.

    Parameters
    ----------
    row : mapping
        Of a table with ``reason``.

    Returns
    -------
    str or None
    """
    reason = row.get("reason")
    return None if reason is None or reason is pd.NA or reason != reason or reason == "" else str(reason)


def _paper_cells(tasks: str) -> dict[str, float]:
    cells = {}
    for architecture in ARCHITECTURES:
        found = paper_result(tasks, architecture)
        there = found is not None and found.architecture == architecture  # of one task it has the STN only
        for metric in PAPER_METRICS:
            cells[f"{architecture}_{metric} ({LABEL})"] = float(getattr(found, metric)) if there else nan
    return cells


def _others(cases: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, dict[str, Mapping[str, Any] | None]]]:
    found: dict[tuple[str, str], dict[str, Mapping[str, Any] | None]] = {}
    for row in cases:
        section = SECTIONS.get(str(row["kind"]), str(row["kind"]))
        paired = row["kind"] == "control" and row["architecture"] in ARCHITECTURES
        label = str(row["tasks"] if paired else row["case"])
        found.setdefault((section, label), {})[str(row["architecture"]) if paired else "stn"] = row
    order = list(SECTIONS.values())
    ranked = sorted(found, key=lambda key: order.index(key[0]) if key[0] in order else len(order))
    return [(label, section, found[section, label]) for section, label in ranked]


def _metrics_of(found: Mapping[tuple[str, int, str], object]) -> list[str]:
    there = {key[0] for key in found}
    return [metric for metric in METRICS if metric in there] or list(PAPER_METRICS)


def _against_wide(pairs: Sequence[Mapping[str, Any]], metric: str, size: int, architecture: str) -> dict[str, object]:
    name = f"best_vs_wide:{architecture}:{size}"
    row = next((row for row in pairs if row["comparison"] == name and row["metric"] == metric), {})
    cells: dict[str, object] = {f"wstn_{key}": number(row.get(key)) for key in ("effect", "low", "high", "p_holm")}
    return cells | {"wstn_verdict": row.get("verdict")}
