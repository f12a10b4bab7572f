"""Tables of a run, ready to be read: captions, headings and cells as text.

Nothing is escaped here; the page's template does that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import pandas as pd

from artist_transfer.reporting.paper import TASK_NAMES, PaperResult
from artist_transfer.reporting.scores import (
    METRICS,
    UNITS,
    number,
    percent,
    score_of,
    signed,
    system_label,
    systems_of,
    verdict_of,
)

MOST_ROWS = 200
VERDICTS = {"better": "better", "worse": "worse", "open": "no difference shown"}
LEAKAGE_HEADINGS = {
    "shared_validation": "shared with validation",
    "shared_test": "with test",
    "shared_unseen": "with unseen",
    "test_tracks": "test tracks",
    "test_tracks_affected": "affected by it",
    "test_share_affected": "share of them",
}
SIDES = ("train", "validation", "test", "unseen", "unused")


@dataclass(frozen=True)
class Table:
    """A table as it is shown.

    Attributes
    ----------
    caption : str
    columns : tuple of str
    rows : tuple of tuple of str
    numeric : frozenset of int
        Positions of the columns that are aligned as numbers.
    marked : frozenset of int
        Positions of the rows that ask for attention.
    note : str
        What stands beneath; empty if nothing.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    marked: frozenset[int] = frozenset()
    note: str = ""


def text_of(value: object) -> str:
    """Return a cell as text: lists joined, numbers short, what is missing as a dash.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
    """
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(text_of(item) for item in value) or "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text_of(item)}" for key, item in value.items()) or "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    if isinstance(value, (float, np.floating)):
        return _float_text(float(value))
    return "–" if value is None or pd.isna(value) else str(value)


def _float_text(value: float) -> str:
    if not isfinite(value):
        return "–"
    return f"{int(value):,}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def frame_table(frame: pd.DataFrame, caption: str, *, most: int = MOST_ROWS) -> Table:
    """Show any table as it is.

    Parameters
    ----------
    frame : pd.DataFrame
    caption : str
    most : int > 0
        Rows shown at most; the note says how many more there are.

    Returns
    -------
    Table
    """
    shown = frame.head(most)
    rows = tuple(tuple(text_of(value) for value in row) for row in shown.itertuples(index=False, name=None))
    numeric = frozenset(
        k for k, name in enumerate(frame.columns) if pd.api.types.is_numeric_dtype(frame.dtypes.iloc[k]) and name
    )
    left = len(frame) - len(shown)
    note = f"{left:,} more rows are in the table that the run saved." if left else ""
    return Table(caption, tuple(str(name).replace("_", " ") for name in frame.columns), rows, numeric, note=note)


def pairs_table(pairs: Mapping[str, object], caption: str, columns: tuple[str, str]) -> Table:
    """Show names and values.

    Parameters
    ----------
    pairs : mapping
    caption : str
    columns : tuple of two str

    Returns
    -------
    Table
    """
    rows = tuple((str(key), text_of(value)) for key, value in pairs.items())
    numbers = all(isinstance(value, (int, float)) for value in pairs.values())
    return Table(caption, columns, rows, frozenset({1}) if numbers else frozenset())


def reasons_table(quarantine_table: pd.DataFrame, caption: str = "Tracks left out, by reason") -> Table:
    """Count what was left out, by reason.

    Parameters
    ----------
    quarantine_table : pd.DataFrame [columns: track_id, reason]
    caption : str

    Returns
    -------
    Table
        Reasons grouped by their text before the colon, most frequent first, with up to three tracks each.
    """
    kinds: dict[str, list[str]] = {}
    for reason, track in zip(quarantine_table["reason"], quarantine_table["track_id"], strict=True):
        kinds.setdefault(str(reason).partition(":")[0], []).append(str(track))
    ordered = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
    cells = tuple((kind, f"{len(tracks):,}", ", ".join(sorted(tracks)[:3])) for kind, tracks in ordered)
    return Table(caption, ("reason", "tracks", "for instance"), cells, frozenset({1}))


def split_table(sizes: Mapping[str, Mapping[str, int]]) -> Table:
    """Show the sizes of the sides.

    Parameters
    ----------
    sizes : mapping of fold to mapping of side to number of tracks

    Returns
    -------
    Table
    """
    found = {side for counts in sizes.values() for side in counts}
    sides = [side for side in SIDES if side in found] + sorted(found - set(SIDES))
    rows = tuple(
        (str(fold).removeprefix("fold "), *(f"{int(counts.get(side, 0)):,}" for side in sides))
        for fold, counts in sizes.items()
    )
    return Table("Tracks by side", ("fold", *sides), rows, frozenset(range(1, len(sides) + 1)))


def leakage_view(leakage_table: pd.DataFrame) -> tuple[Table, list[str]]:
    """Show what training shares with the other sides, and say what that means.

    Parameters
    ----------
    leakage_table : pd.DataFrame
        ``kind`` (artists, recordings, exact duplicates, albums), ``shared_test``, ``test_share_affected``, …

    Returns
    -------
    table : Table
        Rows in which something is shared with the test are marked.
    alarms : list of str
        One sentence for each kind that makes the scores optimistic.
    """
    table = leakage_table.reset_index(drop=True)
    shown = table.rename(columns=LEAKAGE_HEADINGS)
    if "test_share_affected" in table:
        shown["share of them"] = [percent(round(share, 2)) for share in table["test_share_affected"]]
    view = frame_table(shown, "What stands in training and on another side too")
    shared = table["shared_test"] if "shared_test" in table else pd.Series(0, index=table.index)
    marked = frozenset(int(k) for k in table.index[(shared > 0) & (table["kind"] != "albums")])
    numeric = view.numeric | {k for k, name in enumerate(table.columns) if name == "test_share_affected"}
    alarms = [
        _alarm(str(kind), table.loc[rows.index])
        for kind, rows in shared.groupby(table["kind"], sort=False)
        if kind != "albums" and (rows > 0).any()
    ]
    return Table(view.caption, view.columns, view.rows, frozenset(numeric), marked, view.note), alarms


def _alarm(kind: str, rows: pd.DataFrame) -> str:
    share = ""
    if {"test_tracks", "test_tracks_affected"} <= set(rows.columns) and rows["test_tracks"].sum():
        part = rows["test_tracks_affected"].sum() / rows["test_tracks"].sum()
        share = f" ({percent(round(part, 2))} of the test tracks)"
    sentence = f"Training and test share {kind}{share}: scores are then optimistic."
    if kind == "artists":
        sentence += " They say nothing about music of artists whom the nets have never heard."
    return sentence


def facts_table(facts: Mapping[str, Mapping[str, object]]) -> Table:
    """Show what is known of each feature set's factors, side by side.

    Parameters
    ----------
    facts : mapping of task letter to mapping
        ``notes`` are left out.

    Returns
    -------
    Table
    """
    keys = list(dict.fromkeys(str(key) for each in facts.values() for key in each if key != "notes"))
    rows = tuple(
        (key.replace("_", " "), *(text_of(each[key]) if key in each else "–" for each in facts.values()))
        for key in keys
    )
    names = (TASK_NAMES.get(letter, letter) for letter in facts)
    note = ""
    if any("uniformity" in each for each in facts.values()):
        note = (
            "Uniformity is the artists' mean entropy as a part of the greatest possible one: 0 if each "
            "artist is in one group, 1 if all artists are in all groups alike, a target that says nothing."
        )
    numeric = frozenset(range(1, len(facts) + 1))
    return Table("The factor tables at a glance", ("", *names), rows, numeric, note=note)


def scores_table(metrics: Mapping[str, float], paper: PaperResult | None, *, level: float = 0.95) -> Table:
    """Show each system's scores with their intervals, and the paper's beneath.

    Parameters
    ----------
    metrics : mapping
        Flat metrics.
    paper : PaperResult or None
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    Table
    """
    rows = []
    for name in systems_of(metrics):
        cells = [with_interval(*score_of(metrics, name, metric)) for metric in METRICS]
        rows.append((system_label(name), *cells))
    note = ""
    if paper is not None:
        rows.append((paper.label, f"{paper.log_loss:.4f}", f"{paper.f1_macro:.4f}", "not given"))
        note = (
            "The last row is of other music, other genres and another split (artists on both sides); it is "
            "shown for orientation and cannot be compared with the rows above."
        )
    caption = f"Scores on the test tracks, with {percent(level)} intervals"
    return Table(caption, ("system", *UNITS.values()), tuple(rows), frozenset({1, 2, 3}), note=note)


def comparisons_table(comparisons: Sequence[Mapping[str, object]], *, level: float = 0.95) -> Table:
    """Show the paired differences.

    Parameters
    ----------
    comparisons : sequence of mapping
        ``system``, ``baseline``, ``metric``, ``effect``, ``low``, ``high``, ``p``.
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    Table
    """
    rows = tuple(
        (
            system_label(str(row["baseline"])),
            METRICS.get(str(row["metric"]), str(row["metric"])),
            *(signed(number(row[key])) for key in ("effect", "low", "high")),
            p_text(number(row.get("p"))),
            VERDICTS[verdict_of(row, level=level)],
        )
        for row in comparisons
    )
    columns = ("baseline", "metric", "transfer less baseline", "low", "high", "p", "transfer is")
    note = (
        "Both systems are scored on the same test tracks and the same resamples; interval and p are of the t test with "
        "the bootstrap's standard error. Of log loss less is better, of the others more. The intervals are not "
        "corrected for the number of comparisons."
    )
    caption = f"Paired differences, with {percent(level)} intervals"
    return Table(caption, columns, rows, frozenset({2, 3, 4, 5}), note=note)


def training_table(history: pd.DataFrame) -> Table:
    """Show first and last training loss of each net and task, over the folds.

    Parameters
    ----------
    history : pd.DataFrame [columns: fold, net, epoch, task, loss]

    Returns
    -------
    Table
    """
    rows = []
    for (net, task), part in history.groupby(["net", "task"], sort=True):
        ordered = part.sort_values("epoch", kind="stable").groupby("fold", sort=True)
        first, last = ordered["loss"].first().mean(), ordered["loss"].last().mean()
        name = TASK_NAMES.get(str(task), str(task))
        rows.append((str(net), name, f"{int(part['epoch'].max()):,}", f"{first:.3f}", f"{last:.3f}"))
    columns = ("net", "task", "epochs", "first loss", "last loss")
    return Table("Mean training cross-entropy (nats)", columns, tuple(rows), frozenset({2, 3, 4}))


def flat_parameters(parameters: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Flatten nested parameters to dotted keys, sorted.

    Parameters
    ----------
    parameters : mapping
    prefix : str
        Put before each key.

    Returns
    -------
    dict
    """
    flat: dict[str, object] = {}
    for key in sorted(parameters, key=str):
        value = parameters[key]
        if isinstance(value, Mapping) and value:
            flat |= flat_parameters(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = _parameter_text(value)
    return flat


def _parameter_text(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, (list, tuple)):
        return ", ".join(_parameter_text(item) for item in value) or "none"
    return str(value)


def with_interval(value: float, low: float, high: float) -> str:
    """Return a score and its interval as text, a missing score as a dash."""
    if not isfinite(value):
        return "–"
    return (
        f"{value:.3f} ({low:.3f} to {high:.3f})" if isfinite(low) and isfinite(high) else f"{value:.3f} (no interval)"
    )


def p_text(p: float) -> str:
    """Return a p value as text, a missing one as a dash."""
    if not isfinite(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def present(tables: Iterable[Table | None]) -> list[Table]:
    """Return the tables that are there and have rows."""
    return [table for table in tables if table is not None and table.rows]
