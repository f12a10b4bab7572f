"""Paired differences between systems: their table, what may be said of them, and their verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.artist_paper import METRICS
from artist_transfer.reporting.artist_tables import WHOLE
from artist_transfer.reporting.artist_views import target_name, whole
from artist_transfer.reporting.scores import number, percent, signed
from artist_transfer.reporting.tables import Table, p_text, text_of

COMPARISON_COLUMNS = ("target", "metric", "of", "first", "second", "effect", "low", "high")
BETTER, WORSE, OPEN = "first better", "second better", "no difference shown"


def verdict_of(row: Mapping[str, Any], *, level: float = 0.95) -> str:
    """Judge a paired difference; of all these metrics more is better.

    Parameters
    ----------
    row : mapping
        ``effect``, ``low``, ``high`` and, if it was corrected, ``p_holm``.
    level : float in (0, 1)

    Returns
    -------
    {"first better", "second better", "no difference shown"}
        By p after Holm's correction if there is one, else by the interval.
    """
    effect, low, high = (number(row[key]) for key in ("effect", "low", "high"))
    p = number(row.get("p_holm"))
    if not (isfinite(low) and isfinite(high)) or low <= 0 <= high or (isfinite(p) and p >= round(1 - level, 12)):
        return OPEN
    return BETTER if effect > 0 else WORSE


def comparisons(comparison_table: pd.DataFrame | None, *, level: float = 0.95) -> Table | None:
    """Show the paired differences.

    Parameters
    ----------
    comparison_table : pd.DataFrame or None
        target, metric, of, first, second, effect, low, high, p, p_holm, n_units, unit: ``ScoreDraws.compare()`` with
        the target.
    level : float in (0, 1)

    Returns
    -------
    Table or None
    """
    rows = []
    for row in comparison_rows(comparison_table):
        low, high = number(row["low"]), number(row["high"])
        part = "" if row["of"] in WHOLE else f", {row['of']}"
        rows.append(
            (
                f"{target_name(row['target'])}{part}",
                METRICS.get(str(row["metric"]), str(row["metric"])),
                str(row["first"]),
                str(row["second"]),
                signed(number(row["effect"])),
                f"{signed(low)} to {signed(high)}" if isfinite(low) and isfinite(high) else "none",
                p_text(number(row.get("p_holm"))),
                f"{text_of(whole(row.get('n_units')))} {row.get('unit', 'unit')}s",
                verdict_of(row, level=level),
            )
        )
    if not rows:
        return None
    heads = ("target", "metric", "first", "second", "first less second", "interval", "p (Holm)", "by", "verdict")
    note = (
        "Both systems are scored on the same tracks and the same resamples. The verdict goes by p after Holm's "
        "correction; the intervals themselves are not corrected."
    )
    caption = f"Paired differences, {percent(level)} intervals"
    return Table(caption, heads, tuple(rows), frozenset({4, 5, 6}), note=note)


def comparison_rows(comparison_table: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Return the rows of a table of comparisons that may be missing or empty.

    Parameters
    ----------
    comparison_table : pd.DataFrame or None

    Returns
    -------
    list of dict

    Raises
    ------
    ArtistTransferError
        If a column is missing.
    """
    if comparison_table is None or not len(comparison_table):
        return []
    missing = [name for name in COMPARISON_COLUMNS if name not in comparison_table.columns]
    if missing:
        raise ArtistTransferError(f"comparison_table: columns missing: {missing}")
    return [{str(key): value for key, value in row.items()} for row in comparison_table.to_dict("records")]


def sentence(row: Mapping[str, Any], *, level: float = 0.95) -> tuple[str, str]:
    """Say what a paired difference shows.

    Parameters
    ----------
    row : mapping
        Of a table of comparisons.
    level : float in (0, 1)

    Returns
    -------
    kind : {"better", "worse", "open"}
    sentence : str
    """
    verdict, effect = verdict_of(row, level=level), number(row["effect"])
    low, high = number(row["low"]), number(row["high"])
    where = f"On {target_name(row['target'])}, {METRICS.get(str(row['metric']), str(row['metric']))}"
    if not (isfinite(low) and isfinite(high)):
        return "open", (
            f"{where}: {row['first']} less {row['second']} is {signed(effect)}, without an interval (too few "
            f"{row.get('unit', 'unit')}s), so nothing follows from it."
        )
    gap = f"{signed(effect)}, {percent(level)} interval {signed(low)} to {signed(high)}"
    if verdict == OPEN:
        return "open", f"{where}: no difference could be shown between {row['first']} and {row['second']} ({gap})."
    kind = "better" if verdict == BETTER else "worse"
    return kind, f"{where}: {row['first']} is {kind} than {row['second']} ({gap})."
