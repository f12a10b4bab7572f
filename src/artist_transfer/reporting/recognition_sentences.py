"""What a run of artist recognition shows and what it does not, in plain sentences.

A difference counts as shown if it stays significant after Holm's correction; one that does not is named as open, never
as equality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import pandas as pd

from artist_transfer.reporting.artist_comparisons import BETTER, OPEN
from artist_transfer.reporting.recognition_paper import less_is_better, metric_name
from artist_transfer.reporting.recognition_tables import at_size, metrics_of, shown_size, sizes_of
from artist_transfer.reporting.recognition_views import counted, sided
from artist_transfer.reporting.scores import number, percent, signed
from artist_transfer.reporting.tables import p_text

SAID = ("eer", "top1")
"""What the sentences speak of: verification and identification."""
TASKS = {"eer": "Verification", "top1": "Identification"}
MOST_NAMES, MOST_WINNERS, MOST_CHANGES = 8, 4, 4
Finding = tuple[str, str]
"""Kind (``better``, ``worse``, ``open``) and sentence."""


def findings(rows: pd.DataFrame, pairs: Sequence[Mapping[str, Any]], *, level: float = 0.95) -> list[Finding]:
    """Say what was found and what was not.

    Parameters
    ----------
    rows : pd.DataFrame
        As `artist_transfer.reporting.recognition_tables.scored_rows` returns them.
    pairs : sequence of mapping
        As `pair_rows` of that module returns them.
    level : float in (0, 1)

    Returns
    -------
    list of (kind, sentence)
        By metric: the best system, what its lead is worth, all differences, what more artists did; then who is not
        shown to be better than chance.
    """
    found: list[Finding] = []
    size = shown_size(rows)
    here = at_size(rows, size)
    for metric in (each for each in SAID if each in metrics_of(rows)):
        own = [row for row in pairs if row["metric"] == metric]
        shown = [row for row in own if at_one_size(row, size)]
        found += _best(here[here["metric"] == metric], shown, metric, level)
        found += _counts(shown, metric, level)
        found += _over_artists(rows[rows["metric"] == metric], own, metric)
    return found + _chance(here)


def at_one_size(row: Mapping[str, Any], size: float) -> bool:
    """Tell whether a comparison is of systems at one number of training artists, or without any.

    Parameters
    ----------
    row : mapping
        Of `artist_transfer.reporting.recognition_tables.pair_rows`.
    size : float

    Returns
    -------
    bool
    """
    sizes = (number(row["first_size"]), number(row["second_size"]))
    return all(not isfinite(each) or each == size for each in sizes)


def _best(rows: pd.DataFrame, pairs: Sequence[Mapping[str, Any]], metric: str, level: float) -> list[Finding]:
    known = rows[rows["value"].notna()]
    if not len(known):
        return [("open", f"{TASKS[metric]}: {metric_name(metric)} is not defined of any system.")]
    ordered = known.sort_values("value", ascending=less_is_better(metric), kind="stable").to_dict("records")
    best = ordered[0]
    score = f"{metric_name(metric)} {scored(best, level)}"
    if len(ordered) == 1:
        return [("open", f"{TASKS[metric]}: {best['family']} has {score}{_trained(best)}. It is the only system.")]
    most = "lowest" if less_is_better(metric) else "highest"
    sentence = f"{TASKS[metric]}: of {len(ordered)} systems {best['family']} has the {most} {score}{_trained(best)}."
    family = str(best["family"])
    ends: dict[str, list[str]] = {"won": [], "lost": [], OPEN: []}
    for row in pairs:
        if family in (row["first_family"], row["second_family"]) and row["first_family"] != row["second_family"]:
            first = row["first_family"] == family
            end = OPEN if row["verdict"] == OPEN else "won" if (row["verdict"] == BETTER) == first else "lost"
            ends[end].append(str(row["second_family" if first else "first_family"]))
    beaten, lost, even = ends.values()
    if not (beaten or lost or even):
        return [("open", f"{sentence} It was compared with no other, so nothing can be said of its lead.")]
    if beaten:
        sentence += f" It is better than {listed(beaten)} (after Holm's correction)."
    if even:
        sentence += f" No difference could be shown from {listed(even)}."
    if lost:
        sentence += f" Yet the paired test favours {listed(lost)}."
    if not beaten:
        sentence += " Which is best remains open."
    return [("better" if beaten else "open", sentence)]


def _counts(pairs: Sequence[Mapping[str, Any]], metric: str, level: float) -> list[Finding]:
    if len(pairs) < 2:
        return [_single(row, metric, level) for row in pairs]
    shown = [row for row in pairs if row["verdict"] != OPEN]
    lost = [row for row in pairs if row["verdict"] == OPEN and number(row.get("p")) < round(1 - level, 12)]
    left = len(pairs) - len(shown)
    said = [
        f"Of {len(pairs)} paired differences in {metric_name(metric)}, {_are(len(shown))} shown after Holm's correction"
    ]
    said[0] += f": {_wins(shown)}." if shown else "."
    if left:
        others = "other " if shown else ""
        said.append(f"Of the {others}{left} nothing can be said" if left > 1 else "Of the last one nothing can be said")
        alone = "each" if len(lost) > 1 else "it"
        said[1] += f"; {len(lost)} of them would count if {alone} had been the only question." if lost else "."
    return [("better" if shown else "open", " ".join(said))]


def _wins(pairs: Sequence[Mapping[str, Any]]) -> str:
    """Name who is better than whom, those that beat the most first."""
    beaten: dict[str, list[str]] = {}
    for row in pairs:
        better, worse = ("first", "second") if row["verdict"] == BETTER else ("second", "first")
        beaten.setdefault(str(row[f"{better}_family"]), []).append(str(row[f"{worse}_family"]))
    ordered = sorted(beaten.items(), key=lambda each: -len(each[1]))
    clauses = [f"{name} is better than {listed(worse)}" for name, worse in ordered[:MOST_WINNERS]]
    left = sum(len(worse) for _, worse in ordered[MOST_WINNERS:])
    return "; ".join(clauses) + (f"; the other {left} are in the table" if left else "")


def _are(n: int) -> str:
    return "none is" if not n else f"{n} {'is' if n == 1 else 'are'}"


def _single(row: Mapping[str, Any], metric: str, level: float) -> Finding:
    if row["verdict"] != OPEN:
        return "better", f"{metric_name(metric)}: {_clause(row)} {_spread(row, level)}."
    return "open", (
        f"{metric_name(metric)}: no difference could be shown between {sided(row, 'first')} and "
        f"{sided(row, 'second')} {_spread(row, level)}."
    )


def _clause(row: Mapping[str, Any]) -> str:
    better, worse = ("first", "second") if row["verdict"] == BETTER else ("second", "first")
    return f"{row[f'{better}_family']} is better than {row[f'{worse}_family']}"


def _spread(row: Mapping[str, Any], level: float) -> str:
    low, high = number(row["low"]), number(row["high"])
    gap = signed(number(row["effect"]))
    if not (isfinite(low) and isfinite(high)):
        return f"({gap}, without an interval, so nothing follows from it)"
    p = number(row.get("p_holm"))
    corrected = f", corrected p {p_text(p)}" if isfinite(p) else ""
    return f"({gap}, {percent(level)} interval {signed(low)} to {signed(high)}{corrected})"


def _over_artists(rows: pd.DataFrame, pairs: Sequence[Mapping[str, Any]], metric: str) -> list[Finding]:
    """Say what more training artists did, family by family."""
    clauses: dict[str, list[tuple[float, str]]] = {}
    for family, part in rows[rows["n_artists_trained"].notna() & rows["value"].notna()].groupby("family", sort=False):
        if len(part) < 2:
            continue
        ordered = part.sort_values("n_artists_trained")
        few, many = ordered.iloc[0].to_dict(), ordered.iloc[-1].to_dict()
        kind, ending = _trend(pairs, str(family), few, many)
        gap = abs(number(many["value"]) - number(few["value"]))
        change = f"{number(few['value']):.3f} to {number(many['value']):.3f}"
        sizes = f"{few['n_artists_trained']:,.0f} to {many['n_artists_trained']:,.0f} artists"
        clauses.setdefault(kind, []).append((gap, f"{family} goes from {change} ({sizes}{ending})"))
    name = metric_name(metric)
    starts = {
        "better": f"More training artists make {name} better: ",
        "worse": f"More training artists make {name} worse: ",
        "open": f"What more training artists do to {name} is not shown by a paired test: ",
    }
    return [(kind, f"{starts[kind]}{_largest(clauses[kind])}.") for kind in starts if kind in clauses]


def _largest(clauses: Sequence[tuple[float, str]]) -> str:
    """Join the clauses on the largest changes; the others are counted."""
    ordered = [clause for _, clause in sorted(clauses, key=lambda each: -each[0])]
    left = len(ordered) - MOST_CHANGES
    return "; ".join(ordered[:MOST_CHANGES]) + (
        f"; {left} more with smaller changes are in the table" if left > 0 else ""
    )


def _trend(
    pairs: Sequence[Mapping[str, Any]], family: str, few: Mapping[str, Any], many: Mapping[str, Any]
) -> tuple[str, str]:
    """Judge by the test of the most artists against the fewest, else by the steps between."""
    steps = []  # fewer, more, verdict of more artists, p
    for row in pairs:
        if row["first_family"] == row["second_family"] == family:
            first, second = number(row["first_size"]), number(row["second_size"])
            better = (row["verdict"] == BETTER) == (first > second)
            verdict = OPEN if row["verdict"] == OPEN else "better" if better else "worse"
            steps.append((min(first, second), max(first, second), verdict, number(row.get("p_holm"))))
    for start, end, verdict, p in steps:
        if (start, end) == (few["n_artists_trained"], many["n_artists_trained"]):
            return "open" if verdict == OPEN else verdict, f", corrected p {p_text(p)}"
    if not steps:
        return "open", ", not compared"
    ends = {
        kind: [f"{a:,.0f} to {b:,.0f}" for a, b, verdict, _ in sorted(steps) if verdict == kind]
        for kind in ("better", "worse")
    }
    won, lost = ends.values()
    said = [f"{kind} {listed(each)}" for kind, each in ends.items() if each]
    of = "the step is" if len(steps) == 1 else f"of {len(steps)} steps"
    shown = f"{of} shown: {', '.join(said)}" if said else f"{of} none is shown" if len(steps) > 1 else f"{of} not shown"
    return ("better" if won and not lost else "worse" if lost and not won else "open"), f"; {shown}"


def _chance(rows: pd.DataFrame) -> list[Finding]:
    if "chance" not in rows.columns:
        return []
    found: list[Finding] = []
    for metric in (each for each in SAID if each in set(rows["metric"])):
        names = []
        for row in rows[rows["metric"] == metric].to_dict("records"):
            chance, low, high = (number(row[key]) for key in ("chance", "low", "high"))
            near = high >= chance if less_is_better(metric) else low <= chance
            if isfinite(chance) and isfinite(low) and isfinite(high) and near:
                names.append(f"{row['family']} ({number(row['value']):.3f} against {chance:.3g})")
        if names:
            found.append(("open", f"Not shown to be better than chance in {metric_name(metric)}: {listed(names)}."))
    return found


def scored(row: Mapping[str, Any], level: float) -> str:
    """Return a score with its interval in words.

    Parameters
    ----------
    row : mapping
        ``value, low, high``.
    level : float in (0, 1)

    Returns
    -------
    str
    """
    value, low, high = (number(row[key]) for key in ("value", "low", "high"))
    if not (isfinite(low) and isfinite(high)):
        return f"{value:.3f} (without an interval)"
    return f"{value:.3f} ({percent(level)} interval {low:.3f} to {high:.3f})"


def _trained(row: Mapping[str, Any]) -> str:
    size = number(row["n_artists_trained"])
    return f", trained on {size:,.0f} artists" if isfinite(size) else ""


def listed(names: Sequence[str], *, most: int = MOST_NAMES) -> str:
    """Return names as a list in words.

    Parameters
    ----------
    names : sequence of str
    most : int > 0
        Named at most; the others are counted.

    Returns
    -------
    str
    """
    unique = list(dict.fromkeys(names))
    shown = unique[:most] + ([f"{len(unique) - most} more"] if len(unique) > most else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def lead(rows: pd.DataFrame | None, protocol: Mapping[object, Mapping[str, Any]], corpus: str) -> str:
    """Say in one paragraph what was done.

    Parameters
    ----------
    rows : pd.DataFrame or None
    protocol : mapping of fold to mapping
    corpus : str

    Returns
    -------
    str
    """
    if rows is None:
        return "Nothing was scored in this run."
    n, sizes = rows["family"].nunique(), sizes_of(rows)
    plural = "s" * (n != 1)
    trained = ""
    if sizes:
        trained = (
            f", trained on {sizes[0]:,} artists"
            if len(sizes) == 1
            else f", trained on {sizes[0]:,} to {sizes[-1]:,} artists"
        )
    facts = next(iter(protocol.values()), {})
    songs = [f"{counted(facts[key])} songs to {key}" for key in ("enrol", "test") if facts.get(key) is not None]
    own = own_folds(protocol)
    folds = f" in each of {len(own)} folds" if len(own) > 1 else ""
    unseen = f", {counted(facts['artists'])} unseen artists" if facts.get("artists") is not None else ""
    trials = f"{corpus}{unseen}{folds}{''.join(f', {each}' for each in songs)}"
    return f"{trials}. {n} system{plural}{trained}, scored on {'the same' if n > 1 else 'these'} trials."


def own_folds(protocol: Mapping[object, Mapping[str, Any]]) -> list[object]:
    """List the folds of the run's own corpus; other entries of the protocol are other corpora.

    Parameters
    ----------
    protocol : mapping of fold or corpus to mapping

    Returns
    -------
    list
    """
    return [fold for fold in protocol if str(fold).removeprefix("fold ").isdecimal()]


def method(rows: pd.DataFrame, *, level: float = 0.95) -> str:
    """Say how the intervals and tests were made.

    Parameters
    ----------
    rows : pd.DataFrame
    level : float in (0, 1)

    Returns
    -------
    str
    """
    trials = pd.to_numeric(rows["n_trials"], errors="coerce").max() if "n_trials" in rows.columns else 1
    nets = " Where a system has several nets, they are resampled too." if number(trials) > 1 else ""
    return (
        "A score is taken of each fold by itself, since two nets have no common threshold, and averaged by test songs. "
        "Intervals hold what other unseen artists would change: artists are drawn with replacement, each with its "
        "model and all its test songs. In verification a trial counts as often as its model's artist times its song's "
        "artist was drawn (a target trial as often as its artist); in identification the enrolled artists stay as they "
        f"are.{nets} A score has the expanded percentile interval of that bootstrap ({percent(level)}), a difference "
        "the t interval and the t test with its standard error on the same resamples. Holm's correction is for "
        "the tests of one metric and question at a time: between systems on one number of training artists, of fusions "
        "with what they fuse, of variants (a discriminant, normalised scores) with the same system without, and of a "
        "system on the most training artists with itself on the fewest."
    )
