"""What a study shows and what it does not, in plain sentences.

A comparison ends in one of three ways: a difference is shown the way the paper has it, it is shown the other way, or
none is shown. The last never means that there is none, so its sentence says what the interval still allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import pandas as pd

from artist_transfer.reporting.scores import METRICS, SAID, number, percent, signed
from artist_transfer.reporting.study_paper import paper_direction
from artist_transfer.reporting.study_tables import of_one_seed, reason_of, rows_of
from artist_transfer.reporting.study_views import COMPARISON_COLUMNS
from artist_transfer.reporting.tables import p_text

WINNERS = {"first better": "first", "second better": "second"}
ENDINGS = {
    "paper": "Shown, in the paper's direction",
    "against": "Shown, against the paper's direction",
    "unspoken": "Shown, where the paper says nothing",
    "mixed": "Not the same in both metrics",
    "open": "Not shown",
}
"""How a question can end."""
THESE_NETS = "for these nets (one seed)"
COUNTED = {
    "paper": "a difference is shown in the paper's direction in {}",
    "against": "against it in {}",
    "unspoken": "where the paper says nothing in {}",
    "mixed": "the metrics do not end alike in {}",
    "open": "no difference could be shown in {}",
}
FAMILIES = {
    "all_vs_g": "All tasks against genre alone",
    "with_g": "With genre among the tasks, and without",
    "stn_vs_mtn": "Separate nets against one that shares its first layer",
    "n_tasks": "Number of tasks",
    "best_vs_wide": "The best combination against a genre net of the same size",
    "true_vs_shuffled": "Controls",
    "shuffled_vs_g": "Controls",
    "groups_vs_artist": "Controls",
    "artist_vs_g": "Controls",
    "artist_vs_groups_alone": "Controls",
    "baseline": "Simple baselines",
}
"""Start of a comparison's id → what its questions are about, in the order in which they are read."""
OTHERS = "Further questions"


@dataclass(frozen=True)
class StudyFinding:
    """What may be said on one question.

    Attributes
    ----------
    family : str
        What it is about, see `FAMILIES`.
    kind : {"paper", "against", "unspoken", "mixed", "open"}
        See `ENDINGS`.
    question : str
    sentence : str
        The statement with effect, interval and corrected p, by log loss and macro F1.
    details : str
        How many cases stand behind each side, and what else is to be known.
    one_seed : bool
        Whether it rests on the nets of one seed: no interval then holds how nets are drawn.
    """

    family: str
    kind: str
    question: str
    sentence: str
    details: str
    one_seed: bool = False

    @property
    def ending(self) -> str:
        """The kind in words."""
        ending = ENDINGS[self.kind]
        return ending.replace("Shown", f"Shown {THESE_NETS}") if self.one_seed else ending


def findings(comparison_table: pd.DataFrame | None, *, level: float = 0.95) -> list[StudyFinding]:
    """Say what each comparison shows.

    Parameters
    ----------
    comparison_table : pd.DataFrame or None [columns: comparison, question, first, second, metric, effect, …]
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    list of StudyFinding
        One for each comparison, family by family.

    Raises
    ------
    ArtistTransferError
        If a column is missing.
    """
    rows = rows_of(comparison_table, (*COMPARISON_COLUMNS, "p_holm", "verdict"), "comparison_table")
    found = []
    for name in dict.fromkeys(str(row["comparison"]) for row in rows):
        own = [row for row in rows if str(row["comparison"]) == name]
        found.append(_finding([row for row in own if row["metric"] in SAID] or own, level))
    order = list(dict.fromkeys([*FAMILIES.values(), OTHERS]))
    return sorted(found, key=lambda each: order.index(each.family))


def by_family(found: Sequence[StudyFinding]) -> dict[str, list[StudyFinding]]:
    """Put findings under their headings.

    Parameters
    ----------
    found : sequence of StudyFinding

    Returns
    -------
    dict of heading to list of StudyFinding
    """
    families: dict[str, list[StudyFinding]] = {}
    for each in found:
        families.setdefault(each.family, []).append(each)
    return families


def summary(found: Sequence[StudyFinding]) -> str:
    """Count how the questions ended.

    Parameters
    ----------
    found : sequence of StudyFinding

    Returns
    -------
    str
        One sentence, and another one if something is shown for the nets of one seed.
    """
    if not found:
        return "No comparison could be made, so nothing is shown."
    counts = {kind: sum(each.kind == kind for each in found) for kind in ENDINGS}
    said = [text.format(counts[kind]) for kind, text in COUNTED.items() if counts[kind] or kind != "mixed"]
    what = "question" if len(found) == 1 else "questions"
    few = any(each.one_seed and each.kind != "open" for each in found)
    tail = f" What is shown is shown {THESE_NETS}." if few else ""
    return f"Of {len(found)} {what}: {', '.join(said)}.{tail}"


def size_text(value: float) -> str:
    """Return a difference without its sign."""
    return f"{abs(value):.3f}"


def _finding(rows: Sequence[Mapping[str, Any]], level: float) -> StudyFinding:
    endings = [_ending(row) for row in rows]
    kind = endings[0] if len(set(endings)) == 1 else "mixed"
    sentence = "; ".join(_clause(row, ending, level) for row, ending in zip(rows, endings)) + "."
    first = rows[0]
    sides = [f"{first[side]}{_cases(first.get(f'n_{side}'))}" for side in ("first", "second")]
    family = FAMILIES.get(str(first["comparison"]).partition(":")[0], OTHERS)
    details = "; ".join([f"{sides[0]} less {sides[1]}", *_notes(rows)]) + "."
    sentence = sentence[:1].upper() + sentence[1:]
    return StudyFinding(family, kind, str(first["question"]), sentence, details, of_one_seed(first))


def _notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the notes of all metrics, each once; one that is not of all of them with its metrics."""
    metrics: dict[str, list[str]] = {}
    for row in rows:
        for note in (reason_of({"reason": row.get("note")}) or "").split("; "):
            if note:
                metrics.setdefault(note.rstrip("."), []).append(METRICS.get(str(row["metric"]), str(row["metric"])))
    return [note if len(names) == len(rows) else f"{note} ({', '.join(names)})" for note, names in metrics.items()]


def _ending(row: Mapping[str, Any]) -> str:
    winner = WINNERS.get(str(row["verdict"]))
    paper = paper_direction(row)
    if winner is None:
        return "open"
    if paper is None:
        return "unspoken"
    return "paper" if paper.first_better == (winner == "first") else "against"


def _clause(row: Mapping[str, Any], ending: str, level: float) -> str:
    effect, low, high = (number(row[key]) for key in ("effect", "low", "high"))
    metric, p = METRICS.get(str(row["metric"]), str(row["metric"])), number(row.get("p_holm"))
    there = isfinite(low) and isfinite(high)
    spread = f"{percent(level)} interval {signed(low)} to {signed(high)}" if there else "no interval"
    numbers = f"({signed(effect)}, {spread}, corrected p {p_text(p)})"
    if ending == "open":
        return f"in {metric} no difference could be shown {numbers}: {_allowed(row, low, high, level)}"
    better, worse = ("first", "second") if row["verdict"] == "first better" else ("second", "first")
    of_these = f", {THESE_NETS}," if of_one_seed(row) else ""
    return f"in {metric}{of_these} {row[better]} is better than {row[worse]} {numbers}{_beside_paper(row, ending)}"


def _beside_paper(row: Mapping[str, Any], ending: str) -> str:
    paper = paper_direction(row)
    if paper is None:
        return "; of this the paper says nothing"
    way = "as the paper has it" if ending == "paper" else "the other way than the paper has it"
    return f", {way} ({paper.source}{': ' + signed(paper.effect) if isfinite(paper.effect) else ''})"


def _allowed(row: Mapping[str, Any], low: float, high: float, level: float) -> str:
    if not (isfinite(low) and isfinite(high)):
        return "without an interval nothing follows from the number"
    gain, loss = (-low, high) if row["metric"] == "log_loss" else (high, -low)
    if min(gain, loss) < 0:
        side = row["first"] if loss < 0 else row["second"]
        alone = number(row.get("p"))
        but = (
            f"so few that all of them agree by chance with p {p_text(alone)} cannot show it"
            if alone >= round(1 - level, 12)
            else "that does not hold once the number of comparisons is corrected for"
        )
        return (
            f"the interval alone would favour {side} by {size_text(-min(gain, loss))} to "
            f"{size_text(max(gain, loss))}, but {but}"
        )
    return (
        f"the interval allows for {row['first']} to be better by up to {size_text(gain)} and to be worse by up to "
        f"{size_text(loss)}"
    )


def _cases(count: object) -> str:
    n = number(count)
    return f" ({int(n)} {'case' if n == 1 else 'cases'})" if isfinite(n) else ""
