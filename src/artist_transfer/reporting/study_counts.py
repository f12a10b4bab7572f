"""What a study did, what it left out and why, and what nobody should conclude from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import pandas as pd

from artist_transfer.reporting.scores import number
from artist_transfer.reporting.study_tables import reason_of, rows_of

STATUSES = ("done", "failed", "skipped")


def counts(case_table: pd.DataFrame) -> str:
    """Count the cases by what became of them.

    Parameters
    ----------
    case_table : pd.DataFrame [columns: case, kind, status, reason]

    Returns
    -------
    str
        One sentence.
    """
    rows = rows_of(case_table, ("case", "kind", "status", "reason"), "case_table")
    if not rows:
        return "There was no case."
    found = [str(row["status"]) for row in rows]
    known = [*STATUSES, *sorted(set(found) - set(STATUSES))]
    parts = [f"{found.count(status)} {status}" for status in known if status in found or status in STATUSES]
    kinds = [str(row["kind"]) for row in rows]
    of_kinds = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    grid = [row for row in rows if row["kind"] == "grid"]
    short = "" if len(grid) >= 57 else f" The paper's grid has 57 different cases; {len(grid)} of them were asked for."
    return f"Of {len(rows)} cases ({of_kinds}): {', '.join(parts)}.{short}"


def troubles(case_table: pd.DataFrame) -> list[str]:
    """Name every case that was not done, with the reason.

    Parameters
    ----------
    case_table : pd.DataFrame [columns: case, status, reason]

    Returns
    -------
    list of str
        Cases of one reason together.
    """
    rows = rows_of(case_table, ("case", "status", "reason"), "case_table")
    by_reason: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["status"] != "done":
            key = (str(row["status"]).capitalize(), reason_of(row) or "no reason was noted")
            by_reason.setdefault(key, []).append(str(row["case"]))
    return [f"{status}: {', '.join(names)}: {_ended(why)}" for (status, why), names in by_reason.items()]


def left_out(comparisons: object) -> list[str]:
    """Name every comparison that could not be made, with the reason.

    Parameters
    ----------
    comparisons : mapping of comparison to reason, or sequence of str or of mapping (comparison, reason)

    Returns
    -------
    list of str
    """
    if isinstance(comparisons, Mapping):
        return [_ended(f"{name}: {why}") for name, why in comparisons.items()]
    found = []
    for each in comparisons if isinstance(comparisons, (list, tuple)) else ():
        if isinstance(each, Mapping):
            found.append(_ended(f"{each.get('comparison', 'unnamed')}: {each.get('reason', 'no reason was noted')}"))
        else:
            found.append(_ended(str(each)))
    return found


def reservations(
    facts: Mapping[str, Any],
    case_table: pd.DataFrame,
    score_table: pd.DataFrame,
    comparison_table: pd.DataFrame | None,
) -> list[str]:
    """Say what a careful reader would object.

    Parameters
    ----------
    facts : mapping
    case_table, score_table : pd.DataFrame
    comparison_table : pd.DataFrame or None

    Returns
    -------
    list of str
    """
    said = []
    pairs = rows_of(comparison_table, ("comparison", "metric"), "comparison_table")
    tested = [row["metric"] for row in pairs if isfinite(number(row.get("p_holm")))]
    tests = max((tested.count(metric) for metric in tested), default=0)
    if tests:
        said.append(
            f"In each metric the p values of {tests} comparisons are one family, corrected by Holm's method, and the "
            "verdicts go by the corrected p. Each p is of a t test with the bootstrap's standard error. The metrics "
            "are not corrected for being more than one, and the intervals are those of one comparison each."
        )
    done = [row for row in rows_of(case_table, ("case", "kind", "status"), "case_table") if row["status"] == "done"]
    if not any(row["kind"] == "control" for row in done):
        said.append(
            "No control was run (factors shuffled among the artists, artist identity), so a gain could as well come "
            "from any second task that tells artists apart."
        )
    elif pairs:
        said.append(
            "A gain of the real factors means something only where it is also one over the controls: the same factors "
            "shuffled among the artists, and the artist's identity. Both tell artists apart, and not who is like whom."
        )
    if not any(row["kind"] == "wide" for row in done):
        said.append("No wide net was run, so more tasks and more parameters are not told apart.")
    said += _about_replicates(rows_of(score_table, ("case",), "score_table"))
    said.append(
        "The paper's numbers are of other music, other genres, another split and one run each without intervals: they "
        "stand beside ours for orientation, and no number here confirms or contradicts them one by one."
    )
    return said + [_ended(str(note)) for note in facts.get("notes") or ()]


def _about_replicates(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    replicates = [number(row.get("n_replicates")) for row in scores]
    most = max((each for each in replicates if isfinite(each)), default=0)
    if not most:
        return []
    if most < 2:
        return ["One seed and one split: how much a new seed would change is not known and not in the intervals."]
    few = [str(row["case"]) for row, n in zip(scores, replicates) if n < most]
    tail = f" Fewer for {', '.join(few)}." if few else ""
    return [f"Scores are means over {int(most)} replicates (seed and split).{tail}"]


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
