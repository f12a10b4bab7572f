"""Mean scores of groups of cases (AGF, table 3 and figure 3)."""

from __future__ import annotations

import pandas as pd

from artist_transfer.study.cases import MTN, STN
from artist_transfer.study.lookup import CaseLookup, subsets
from artist_transfer.study.scores import CaseScores
from artist_transfer.tasks import TASKS


def mean_groups(tasks: str = TASKS) -> dict[tuple[str, str], list[str]]:
    """Say which cases stand behind each mean.

    By number of tasks a net of one task counts for both architectures: it is the same net. In the means with and
    without g it counts for STN alone, as in the paper: its table 3 is the mean of 16 and 15 STN cases (one-task nets
    included) beside 15 and 11 MTN cases (more tasks only), which its table 4 reproduces to the last digit. So table 3
    cannot tell STN from MTN: most of the difference without g is that the one-task nets, the worst ones, stand on
    one side only. `artist_transfer.study.comparisons` compares the same sets of tasks.

    Parameters
    ----------
    tasks : str
        The tasks of the study, in canonical order.

    Returns
    -------
    dict of (group, architecture) to list of case
        ``with_g``, ``without_g``, ``n_tasks=1`` … of ``stn`` and ``mtn``.
    """
    sizes = range(1, len(tasks) + 1)
    found: dict[tuple[str, str], list[str]] = {}
    for group, with_g in (("with_g", True), ("without_g", False)):
        for architecture in (STN, MTN):
            cases = [case for n in sizes[architecture == MTN :] for case in subsets(tasks, n, architecture)]
            found[group, architecture] = [case for case in cases if ("g" in case.split("-")[0]) == with_g]
    by_size = {
        (f"n_tasks={n}", architecture): subsets(tasks, n, architecture) for n in sizes for architecture in (STN, MTN)
    }
    return found | by_size


def mean_table(scores: CaseScores, case_table: pd.DataFrame, *, tasks: str = TASKS) -> pd.DataFrame:
    """Tabulate the mean scores with and without genre as a task, and by number of tasks.

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
        study_mean_table: ``group, architecture, n_cases, n_planned, metric, value, low, high``, the groups as of
        `mean_groups`; over the cases that were scored, ``n_cases`` of ``n_planned``. A group without any is left out.
    """
    lookup = CaseLookup(case_table, scores)
    rows = []
    for (group, architecture), planned in mean_groups(tasks).items():
        cases = lookup.done(planned)
        found = scores.mean_of(cases) if cases else {}
        rows += [(group, architecture, len(cases), len(planned), metric, *ends) for metric, ends in found.items()]
    columns = ["group", "architecture", "n_cases", "n_planned", "metric", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
