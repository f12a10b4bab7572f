"""The comparisons of a study: what the paper compared by eye, controls and simple baselines, with intervals and p.

Every comparison is a mean over pairs of cases, the first less the second, resampled by artist and replicate (see
`artist_transfer.study.scores`). A pair counts if both its cases are done, so both sides are always made of the same
things; what is lacking is named. The p values of all comparisons of one metric are one family and corrected by Holm.

Conventions
-----------
* A multi-task net of one task is the single-task net: gs-mtn against s-mtn is gs-mtn against s-stn.
* N + 1 tasks against N: pairs of a set and the same set less one task. Over the whole grid that is exactly the
  difference of the means of all sets of N + 1 and of N tasks (AGF, figure 3).
* Shuffled factors: pairs of a set with g and the same set with all its factors shuffled. These still tell artists
  apart, so they are a control of the likeness between artists, not of all that a second task can say.
* Nets of one seed: the resamples hold other artists and splits, not other draws of the nets, so what is shown is shown
  for these nets. ``n_seeds`` says so; no comparison is without nets.

References
----------
AGF: Kim, Won, Serrà, Liem, "Transfer Learning of Artist Group Factors to Musical Genre Classification",
Companion of The Web Conference 2018, section 5: "further work will need to be done to assess whether observed effects
are truly significant".
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferWarning
from artist_transfer.evaluation.intervals import Difference
from artist_transfer.evaluation.metrics import METRICS
from artist_transfer.evaluation.multiple_testing import holm
from artist_transfer.study.best import LOWER_IS_BETTER, HonestBest, honest_best
from artist_transfer.study.cases import MTN, STN, WSTN, Case
from artist_transfer.study.lookup import ABSENT, CaseLookup, named, subsets
from artist_transfer.study.scores import CaseScores
from artist_transfer.tasks import ARTIST, SHUFFLED, TASKS

FIRST, SECOND, NEITHER = "first better", "second better", "no difference shown"
BOTH = "both"
ARCHITECTURES = (STN, MTN)
COLUMNS = ["comparison", "question", "first", "second", "n_first", "n_second", "metric", "effect", "low", "high"]
COLUMNS += ["p", "p_holm", "verdict", "n_seeds", "note"]
_MOST_NAMED = 5


@dataclass(frozen=True)
class Comparison:
    """One question that a study answers.

    Attributes
    ----------
    name : str
        Its id in the tables.
    question : str
        In plain words.
    first, second : str
        What is compared with what.
    pairs : tuple of (str, str)
        The cases that are compared, those that are not done included. Of a choice: every candidate with the other.
    choice : bool
        The first side is not the mean of its cases but the best of them, chosen on other artists.
    note : str
        What a reader has to know; empty if nothing.
    """

    name: str
    question: str
    first: str
    second: str
    pairs: tuple[tuple[str, str], ...]
    choice: bool = False
    note: str = ""


@dataclass(frozen=True)
class _Made:
    """A comparison with what is left of its pairs."""

    comparison: Comparison
    pairs: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = field(default=())


def planned(case_table: pd.DataFrame, *, tasks: str = TASKS) -> list[Comparison]:
    """List every comparison of a study.

    Parameters
    ----------
    case_table : pd.DataFrame
        study_case_table; only which shuffled controls there are is read from it.
    tasks : str
        The tasks of the study, in canonical order.

    Returns
    -------
    list of Comparison
        Whether their cases are done or not.
    """
    found = [*_with_g(tasks), *_architectures(tasks), *_numbers(tasks), *_best(tasks), *_all_tasks(tasks)]
    found += [*_shuffled(case_table), *_artist(tasks), *_baselines(tasks)]
    # of one or two tasks some questions are one: an MTN of one task is the STN, all tasks may be g alone
    asked = {(x.pairs, x.choice): x for x in reversed(found) if all(first != second for first, second in x.pairs)}
    return [x for x in found if not x.pairs or asked.get((x.pairs, x.choice)) is x]


def compare(scores: CaseScores, case_table: pd.DataFrame, *, tasks: str = TASKS) -> tuple[pd.DataFrame, dict[str, str]]:
    """Make every comparison that can be made.

    Parameters
    ----------
    scores : CaseScores
    case_table : pd.DataFrame
        study_case_table.
    tasks : str
        The tasks of the study, in canonical order.

    Returns
    -------
    comparison_table : pd.DataFrame
        study_comparison_table: three rows a comparison, one a metric: ``comparison, question, first, second,
        n_first, n_second`` (different cases behind each side), ``metric, effect`` (first less second), ``low, high``
        (not corrected for the number of comparisons), ``p, p_holm, verdict, n_seeds, note``. The verdict is by p_holm
        at 1 − level; so few artists that no p can be small enough have none, and the note says so. Of one seed it
        holds for these nets alone.
    left_out : dict of comparison to reason

    Warns
    -----
    ArtistTransferWarning
        If there are too few artists for any verdict after the correction.
    """
    lookup = CaseLookup(case_table, scores)
    made, left_out = _complete(planned(case_table, tasks=tasks), lookup)
    choices = honest_best(scores, {x.comparison.name: [p[0] for p in x.pairs] for x in made if x.comparison.choice})
    for x in [x for x in made if x.comparison.choice and (x.comparison.name, METRICS[0]) not in choices]:
        left_out[x.comparison.name] = "fewer than two artists: there is no second half to choose on"
        made.remove(x)
    few = _too_few(len(made), scores)
    rows = [row for x in made for row in _rows(x, scores, choices, few)]
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in ("p_holm", "verdict", "n_seeds")])
    table["n_seeds"] = len({replicate.seed for replicate in scores.sums.replicates})
    table["p_holm"] = table.groupby("metric")["p"].transform(lambda p: holm(p.to_numpy()))
    alpha = 1 - scores.level
    table["verdict"] = [
        verdict(metric, effect, p, alpha)
        for metric, effect, p in zip(table["metric"], table["effect"], table["p_holm"])
    ]
    return table[COLUMNS], left_out


def verdict(metric: str, effect: float, p: float, alpha: float) -> str:
    """Say which side is better, if that was shown.

    Parameters
    ----------
    metric : str
        Of log loss less is better.
    effect : float
        First less second.
    p : float in [0, 1] or NaN
        Corrected.
    alpha : float in (0, 1)

    Returns
    -------
    {"first better", "second better", "no difference shown"}
    """
    if not p < alpha or effect == 0:
        return NEITHER
    return FIRST if (effect < 0) == (metric in LOWER_IS_BETTER) else SECOND


def _complete(comparisons: Sequence[Comparison], lookup: CaseLookup) -> tuple[list[_Made], dict[str, str]]:
    """Keep the pairs both of whose cases are done, and say what became of the others."""
    made, left_out = [], {}
    for comparison in comparisons:
        pairs = tuple(pair for pair in comparison.pairs if lookup.done(pair) == list(pair))
        lacking = {case: lookup.reason(case) for pair in comparison.pairs for case in pair}
        told = _told({case: reason for case, reason in lacking.items() if reason is not None})
        if not pairs:
            left_out[comparison.name] = f"no complete pair of cases: {told}" if told else "no such case in the study"
            continue
        notes = [comparison.note] if comparison.note else []
        if len(pairs) < len(comparison.pairs):
            notes.append(f"{len(pairs)} of {len(comparison.pairs)} pairs: {told}")
        if comparison.choice and len(pairs) > 1:
            notes.append(f"chosen from {len(pairs)} on one half of the artists, scored on the other")
            notes.append("the choice is held fixed over the resamples")
        made.append(_Made(comparison, pairs, tuple(notes)))
    return made, left_out


def _told(lacking: dict[str, str]) -> str:
    """Name the cases that failed with their reasons, and some of those that nobody asked for."""
    absent = [case for case, reason in lacking.items() if reason == ABSENT]
    parts = [f"{case} {reason}" for case, reason in lacking.items() if reason != ABSENT]
    if absent:
        more = f" and {len(absent) - _MOST_NAMED} more" if len(absent) > _MOST_NAMED else ""
        parts.append(f"{ABSENT}: {', '.join(absent[:_MOST_NAMED])}{more}")
    return "; ".join(parts)


def _rows(
    made: _Made, scores: CaseScores, choices: dict[tuple[str, str], HonestBest], few: str
) -> Iterator[tuple[object, ...]]:
    comparison = made.comparison
    first, second = (Counter(pair[side] for pair in made.pairs) for side in (0, 1))
    for k, metric in enumerate(METRICS):
        notes = list(made.notes)
        if comparison.choice:
            chosen = choices[comparison.name, metric]
            notes.append(f"chosen: {chosen.name}" if len(made.pairs) > 1 else f"the only combination: {chosen.name}")
            found, by_replicate = _against(scores, chosen, next(iter(second)))
        else:
            found, by_replicate = scores.contrast(first, second), scores.effects(first, second)
        difference = found[metric]
        if len(by_replicate) > 1:
            same = int((np.sign(by_replicate[:, k]) == np.sign(difference.effect)).sum())
            notes.append(f"of this sign in {same} of {len(by_replicate)} replicates")
        if few:
            notes.append(few)
        sizes = (len(first), len(second))
        values = (difference.effect, difference.low, difference.high, difference.p)
        texts = (comparison.name, comparison.question, comparison.first, comparison.second)
        yield (*texts, *sizes, metric, *values, "; ".join(notes))


def _against(scores: CaseScores, chosen: HonestBest, other: str) -> tuple[dict[str, Difference], np.ndarray]:
    at = scores.position(other)
    by_replicate = chosen.by_replicate - scores.by_replicate[:, at]
    return scores.difference(by_replicate, chosen.draws - scores.draws[:, at]), by_replicate


def _too_few(family: int, scores: CaseScores) -> str:
    """Say why no comparison can have a verdict, however large its effect; empty if one can."""
    units, alpha, unit = scores.units, 1 - scores.level, scores.sums.unit
    if len(scores.draws) < 2:
        return f"fewer than two {unit if units.count < 2 else 'resample'}s: no interval and no p"
    if not family or family * units.least_p < alpha:
        return ""
    said = f"{units.count} {unit}s are too few for a verdict"
    if units.least_p < alpha:
        said += f" among {family} comparisons"
    warnings.warn(
        f"{said}: the least possible p, {units.least_p:.2g}, is {min(1.0, family * units.least_p):.2g} after the "
        "correction, so no difference can be shown",
        ArtistTransferWarning,
        stacklevel=3,
    )
    return said


def _with_g(tasks: str) -> Iterator[Comparison]:
    others = tasks.replace("g", "")
    sets = ["".join(x) for n in range(1, len(others) + 1) for x in combinations(others, n)]
    pairs = {a: tuple((named(f"g{x}", a), named(x, a)) for x in sets) for a in ARCHITECTURES}
    pairs[BOTH] = pairs[STN] + pairs[MTN]
    for architecture, of_sets in pairs.items():
        label = "STN and MTN" if architecture == BOTH else architecture.upper()
        question = f"Does genre help as one of the tasks ({label})?"
        yield Comparison(f"with_g:{architecture}", question, f"{label} with g", f"{label}, the same without g", of_sets)


def _architectures(tasks: str) -> Iterator[Comparison]:
    for n in range(2, len(tasks) + 1):
        pairs = tuple(zip(subsets(tasks, n, STN), subsets(tasks, n, MTN), strict=True))
        question = f"Of {n} tasks, do separate nets differ from one that shares its first layer?"
        yield Comparison(f"stn_vs_mtn:{n}", question, f"STN of {n} tasks", f"MTN of the same {n} tasks", pairs)


def _numbers(tasks: str) -> Iterator[Comparison]:
    steps = [(n + 1, n) for n in range(1, len(tasks))]
    if len(tasks) > 2:
        steps.append((len(tasks), 1))
    note = "with more tasks g is more often one of them"
    for architecture in ARCHITECTURES:
        label = architecture.upper()
        for more, fewer in steps:
            large, small = (["".join(x) for x in combinations(tasks, n)] for n in (more, fewer))
            pairs = tuple(
                (named(x, architecture), named(y, architecture)) for x in large for y in small if set(y) < set(x)
            )
            question = f"Are {more} tasks better than {fewer} ({label})?"
            labels = (f"{label} of {more} tasks", f"{label} of {fewer}" + (" task" if fewer == 1 else " tasks"))
            yield Comparison(f"n_tasks:{architecture}:{more}-{fewer}", question, *labels, pairs, note=note)


def _best(tasks: str) -> Iterator[Comparison]:
    for architecture in ARCHITECTURES:
        label = architecture.upper()
        for n in range(2, len(tasks) + 1):
            wide = Case("g", WSTN, n).name
            pairs = tuple((case, wide) for case in subsets(tasks, n, architecture))
            best = f"best {label} of {n} tasks" if len(pairs) > 1 else f"{label} of all {n} tasks"
            question = f"Is the {best} better than a genre net of the same size?"
            labels = (best, f"wide genre net as large as {n}")
            yield Comparison(f"best_vs_wide:{architecture}:{n}", question, *labels, pairs, choice=True)


def _all_tasks(tasks: str) -> Iterator[Comparison]:
    for architecture in ARCHITECTURES:
        first, second = named(tasks, architecture), named("g", STN)
        question = f"Are all tasks together better than genre alone ({architecture.upper()})?"
        yield Comparison(f"all_vs_g:{architecture}", question, first, second, ((first, second),))


def _shuffled(case_table: pd.DataFrame) -> Iterator[Comparison]:
    """Compare with the sets g + shuffled factors that there are; those with some true factors are another question."""
    rows = case_table.to_dict("records")
    for architecture in ARCHITECTURES:
        label = architecture.upper()
        there = [str(row["tasks"]) for row in rows if row["kind"] == "control" and row["architecture"] == architecture]
        sets = [x for x in there if x[0] == "g" and x[1:] and not set(x[1:]) - set(SHUFFLED)]
        pairs = tuple((named(x.lower(), architecture), named(x, architecture)) for x in sets)
        question = f"Is it who is like whom that helps, not any second task that tells artists apart ({label})?"
        labels = (f"{label} of g and factors", f"{label} of g and the same factors shuffled among the artists")
        yield Comparison(f"true_vs_shuffled:{architecture}", question, *labels, pairs)
        alone = named("g", STN)
        against = tuple((case, alone) for _, case in pairs)
        question = f"Does a second task help that tells artists apart but whose groups mean nothing ({label})?"
        yield Comparison(
            f"shuffled_vs_g:{architecture}", question, f"{label} of g and shuffled factors", alone, against
        )


def _artist(tasks: str) -> Iterator[Comparison]:
    factors = tasks.replace("g", "")
    for architecture in ARCHITECTURES if factors else ():
        label = architecture.upper()
        with_artist, alone, artist = named(f"g{ARTIST}", architecture), named("g", STN), named(ARTIST, STN)
        every, grouped = named(tasks, architecture), named(factors, architecture)
        question = f"Does the artist's identity help as a second task ({label})?"
        yield Comparison(f"artist_vs_g:{architecture}", question, with_artist, alone, ((with_artist, alone),))
        question = f"Are artist groups better than raw artist labels beside genre ({label})?"
        yield Comparison(f"groups_vs_artist:{architecture}", question, every, with_artist, ((every, with_artist),))
        question = f"Without genre, are raw artist labels better than artist groups ({label})?"
        yield Comparison(f"artist_vs_groups_alone:{architecture}", question, artist, grouped, ((artist, grouped),))


def _baselines(tasks: str) -> Iterator[Comparison]:
    plain = "mfcc_logreg"
    pairs = [
        (named(tasks, STN), plain),
        (named(tasks, MTN), plain),
        (named("g", STN), plain),
        (named("g", STN), "prior"),
    ]
    means = {plain: "MFCC statistics with logistic regression", "prior": "the genres' frequencies alone"}
    for first, second in pairs:
        question = f"Is {first} better than {means[second]}?"
        yield Comparison(f"baseline:{first}:{second}", question, first, second, ((first, second),))
