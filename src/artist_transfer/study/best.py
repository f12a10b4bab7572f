"""The best of several combinations of tasks, chosen and scored on different artists (AGF, table 5).

The paper took the best of all combinations of N tasks by the score that it then reported. The best of ten equally
good ones looks better than each of them, so that number is too good, and more so the more there are to choose from;
the wide net beside it had no such choice. Here the combination is chosen on one half of the artists and scored on the
other, and the other way round; the two halves' predictions together are one system, which is scored and compared like
any other. The choice is held fixed over the resamples.

The halves keep nothing apart but the artists: both are scored by the same nets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artist_transfer.evaluation.metrics import METRICS
from artist_transfer.study.cases import MTN, STN, WSTN
from artist_transfer.study.lookup import CaseLookup, subsets
from artist_transfer.study.scores import CaseScores, resampled_scores, whole_scores
from artist_transfer.tasks import TASKS

HALVES_STREAM = 7_003  # keeps these draws apart from others that start from the same seed
LOWER_IS_BETTER = ("log_loss",)


@dataclass(frozen=True)
class HonestBest:
    """A system that is the chosen combination on either half of the artists.

    Attributes
    ----------
    chosen : tuple of two str
        What scores the first half (best on the second), and what scores the second half (best on the first).
    by_replicate : np.ndarray [shape=(n_replicates, 3)]
        Its scores on all test tracks, in the order of METRICS.
    draws : np.ndarray [shape=(n_drawn, 3)]
        The same in the resamples of the study.
    """

    chosen: tuple[str, str]
    by_replicate: np.ndarray
    draws: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """Mean over the replicates, (metric)."""
        return np.asarray(self.by_replicate.mean(axis=0))

    @property
    def name(self) -> str:
        """The chosen cases, once if both halves chose the same."""
        return " / ".join(dict.fromkeys(self.chosen))


def halves(scores: CaseScores) -> np.ndarray:
    """Split the artists into two halves with about the same genres.

    The artists of one genre (the most frequent of their test tracks) are dealt out in random order, in turn.

    Parameters
    ----------
    scores : CaseScores
        Its seed decides the order.

    Returns
    -------
    np.ndarray [shape=(n_units,)], bool
        Of either half as many, or one more in the first (False).
    """
    sums = scores.sums
    counts = np.zeros((sums.n_units, sums.replicates[0].truth.shape[1]))
    for replicate in sums.replicates:
        counts[replicate.units] += replicate.truth
    genre = counts.argmax(axis=1)
    shuffled = np.random.default_rng([scores.seed, HALVES_STREAM]).permutation(sums.n_units)
    order = shuffled[np.argsort(genre[shuffled], kind="stable")]
    second = np.zeros(sums.n_units, dtype=bool)
    second[order[1::2]] = True
    return second


def honest_best(scores: CaseScores, groups: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], HonestBest]:
    """Choose the best case of each group on one half of the artists and score it on the other, both ways.

    Parameters
    ----------
    scores : CaseScores
    groups : mapping of name to sequence of str
        The cases to choose from; of equally good ones the first is chosen.

    Returns
    -------
    dict of (name, metric) to HonestBest
        The choice is by that metric. Empty if there is but one artist, so no second half.
    """
    if scores.sums.n_units < 2 or not groups:
        return {}
    second = halves(scores)
    by_half = [_half_scores(scores, second == half) for half in (False, True)]  # (case, metric) each
    chosen = {
        (name, metric): (_best(scores, cases, by_half[1], metric), _best(scores, cases, by_half[0], metric))
        for name, cases in groups.items()
        for metric in METRICS
    }
    ends = [np.array([scores.position(pair[half]) for pair in chosen.values()]) for half in (0, 1)]
    systems = []
    for replicate in scores.sums.replicates:
        of_second = second[replicate.units][:, None, None]
        systems.append(np.where(of_second, replicate.sums[:, ends[1]], replicate.sums[:, ends[0]]))
    whole = whole_scores(systems)
    draws = resampled_scores(scores.sums, systems, n_resamples=scores.n_resamples, seed=scores.seed)
    return {key: HonestBest(pair, whole[:, k], draws[:, k]) for k, (key, pair) in enumerate(chosen.items())}


def best_in_sample(scores: CaseScores, cases: Sequence[str], metric: str) -> str:
    """Return the best of some cases by the score itself, the paper's way.

    Parameters
    ----------
    scores : CaseScores
    cases : sequence of str
        At least one; of equally good ones the first is taken.
    metric : str

    Returns
    -------
    str
    """
    return _best(scores, cases, scores.values, metric)


def best_table(scores: CaseScores, case_table: pd.DataFrame, *, tasks: str = TASKS) -> pd.DataFrame:
    """Tabulate the best combination of N tasks beside the wide net of the same size (AGF, table 5).

    Parameters
    ----------
    scores : CaseScores
    case_table : pd.DataFrame
        study_case_table.
    tasks : str
        The tasks of the study.

    Returns
    -------
    pd.DataFrame
        study_best_table: ``n_tasks`` (from 2), ``architecture, case, metric, value, low, high`` of the best by that
        metric on all artists; ``honest_value, honest_low, honest_high`` of the one chosen on the other half
        (NaN with fewer than two artists) and ``honest_case``, which these were; ``n_cases``, how many there were to
        choose from. Only what was scored.
    """
    lookup = CaseLookup(case_table, scores)
    groups = {(n, architecture): lookup.done(subsets(tasks, n, architecture)) for n, architecture in _cells(tasks)}
    chosen = {_group(*cell): cases for cell, cases in groups.items() if cases and cell[1] != WSTN}
    honest = honest_best(scores, chosen)
    rows = []
    for (n, architecture), cases in groups.items():
        for metric in METRICS if cases else ():
            case = best_in_sample(scores, cases, metric)
            plain = scores.mean_of([case])[metric]
            found = honest.get((_group(n, architecture), metric))
            fair = plain if architecture == WSTN else (np.nan,) * 3
            if found is not None:
                fair = scores.interval(found.by_replicate, found.draws)[metric]
            chosen_cases = found.name if found else case if architecture == WSTN else None
            rows.append((n, architecture, case, metric, *plain, *fair, chosen_cases, len(cases)))
    columns = ["n_tasks", "architecture", "case", "metric", "value", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "honest_value", "honest_low", "honest_high", "honest_case", "n_cases"])


def _cells(tasks: str) -> list[tuple[int, str]]:
    return [(n, architecture) for n in range(2, len(tasks) + 1) for architecture in (WSTN, STN, MTN)]


def _group(n: int, architecture: str) -> str:
    return f"{architecture}:{n}"


def _half_scores(scores: CaseScores, of_half: np.ndarray) -> np.ndarray:
    """Score one half of the artists, (case, metric): the mean over the replicates that tested any of them."""
    systems = [replicate.sums[of_half[replicate.units]] for replicate in scores.sums.replicates]
    return np.asarray(np.nanmean(whole_scores(systems), axis=0))


def _best(scores: CaseScores, cases: Sequence[str], values: np.ndarray, metric: str) -> str:
    column = values[[scores.position(case) for case in cases], METRICS.index(metric)]
    return cases[int(column.argmin() if metric in LOWER_IS_BETTER else column.argmax())]
