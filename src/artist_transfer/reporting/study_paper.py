"""What the paper says of all its cases together: its tables 3 and 5, its figure 3, and which way its differences point.

Kim, Won, Serrà, Liem: "Transfer Learning of Artist Group Factors to Musical Genre Classification", Companion of The
Web Conference 2018 (AGF). Figure 3 prints no numbers: its means are computed from table 4. In table 3 the multi-task
means leave out the nets of one task, which the single-task means include, so it cannot tell one from the other; the
differences here are of the same sets of tasks, computed from table 4. Table 5 is copied as printed: its F1 of the best
four STN is 0.6352, where table 4 has 0.6379 (gsdm).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import TypeVar

import numpy as np

from artist_transfer.reporting.paper import LABEL, TABLE_4

_Key = TypeVar("_Key", bound=tuple[object, str])

COMPUTED = f"{LABEL}; computed from table 4"
PAPER_METRICS = ("log_loss", "f1_macro")
PAPER_EPOCHS = 200  # a task

TABLE_3: dict[tuple[str, str], tuple[float, float]] = {
    ("without_g", "stn"): (1.0079, 0.4932),
    ("with_g", "stn"): (0.8540, 0.6154),
    ("without_g", "mtn"): (0.9618, 0.5168),
    ("with_g", "mtn"): (0.8486, 0.6155),
}
"""Group of cases and architecture → mean log loss, mean macro F1 (AGF, table 3)."""

TABLE_5: dict[tuple[int, str], tuple[float, float]] = {
    (2, "wstn"): (0.8688, 0.6071),
    (3, "wstn"): (0.8546, 0.6629),
    (4, "wstn"): (0.8278, 0.6451),
    (5, "wstn"): (0.8290, 0.6528),
    (2, "stn"): (0.8606, 0.6114),
    (3, "stn"): (0.8361, 0.6289),
    (4, "stn"): (0.8211, 0.6352),
    (5, "stn"): (0.7893, 0.6599),
    (2, "mtn"): (0.8578, 0.6190),
    (3, "mtn"): (0.8335, 0.6277),
    (4, "mtn"): (0.8132, 0.6328),
    (5, "mtn"): (0.7727, 0.6571),
}
"""Number of tasks and architecture → best log loss, best macro F1 (AGF, table 5)."""

PREMISES = {"true_vs_shuffled": True, "groups_vs_artist": True, "artist_vs_groups_alone": False}
"""Questions about controls → whether the first side is better if the paper's premise holds."""


@dataclass(frozen=True)
class Direction:
    """Which side of a comparison the paper would have better, and why one may say so.

    Attributes
    ----------
    first_better : bool
    effect : float
        The paper's first less second; NaN where it gives no numbers.
    source : str
        Where it stands in the paper.
    """

    first_better: bool
    effect: float
    source: str


def paper_mean(group: str, architecture: str, metric: str) -> float:
    """Return the paper's mean over a group of cases, computed from its table 4.

    Parameters
    ----------
    group : str
        ``with_g``, ``without_g`` or ``n_tasks=N``.
    architecture : {"stn", "mtn"}
        Of one task the single-task net counts for both.
    metric : {"log_loss", "f1_macro"}

    Returns
    -------
    float
        NaN where the paper has no such cases or no such metric.
    """
    if metric not in PAPER_METRICS or architecture not in ("stn", "mtn"):
        return nan
    found = [_case_value(tasks, architecture, metric) for tasks in TABLE_4 if _in_group(tasks, group)]
    return float(np.mean(found)) if found else nan


def paper_value(table: Mapping[_Key, tuple[float, float]], key: _Key, metric: str) -> float:
    """Look a number up in one of the paper's tables.

    Parameters
    ----------
    table : mapping
        `TABLE_3` or `TABLE_5`.
    key : tuple
        Its row and architecture.
    metric : str

    Returns
    -------
    float
        NaN where the paper has none.
    """
    if key not in table or metric not in PAPER_METRICS:
        return nan
    return table[key][PAPER_METRICS.index(metric)]


def paper_direction(comparison: Mapping[str, object]) -> Direction | None:
    """Find which way the paper has a comparison.

    Parameters
    ----------
    comparison : mapping
        ``comparison``, its id (``with_g:stn``, ``stn_vs_mtn:3``, ``n_tasks:mtn:3-2``, ``best_vs_wide:stn:4``,
        ``all_vs_g:mtn``, …), ``first`` (of ``all_vs_g`` the case), and ``metric``.

    Returns
    -------
    Direction or None
        By the paper's numbers over its whole grid; for the controls, which it did not run, by its premise that groups
        of artists say more than groups dealt out at random or artists one by one. None where it says nothing.
    """
    question, *parts = str(comparison.get("comparison", "")).split(":")
    if question in PREMISES:
        return Direction(PREMISES[question], nan, "by its premise, not by numbers: it ran no controls")
    metric = str(comparison.get("metric", ""))
    try:
        if question == "all_vs_g":  # of a study of fewer tasks these are not five
            parts = str(comparison.get("first", "")).split("-")
        effect = _effect(question, parts, metric) if metric in PAPER_METRICS else nan
    except (ValueError, LookupError):  # an id of another form: nothing is known of it
        return None
    if not isfinite(effect) or effect == 0:
        return None
    source = LABEL if question in ("all_vs_g", "best_vs_wide") else COMPUTED
    return Direction((effect < 0) == (metric == "log_loss"), effect, source)


def main_gain(metric: str) -> float:
    """Return by how much the paper's net of all five tasks beats its net of genre alone.

    Parameters
    ----------
    metric : {"log_loss", "f1_macro"}

    Returns
    -------
    float
        Of the multi-task net, as a size without sign; NaN for other metrics.
    """
    if metric not in PAPER_METRICS:
        return nan
    return abs(_case_value("gsedm", "mtn", metric) - _case_value("g", "mtn", metric))


def _case_value(tasks: str, architecture: str, metric: str) -> float:
    single, multi = TABLE_4[tasks]
    chosen = multi if architecture == "mtn" and multi is not None else single
    return chosen[PAPER_METRICS.index(metric)]


def _in_group(tasks: str, group: str) -> bool:
    if group.startswith("n_tasks="):
        return len(tasks) == int(group.removeprefix("n_tasks="))
    return group in ("with_g", "without_g") and ("g" in tasks) == (group == "with_g")


def _effect(question: str, parts: list[str], metric: str) -> float:
    """Return the paper's first less second."""
    if question == "with_g":
        nets = {"stn": ["stn"], "mtn": ["mtn"], "both": ["stn", "mtn"]}[parts[0]]
        return float(np.mean([_gain_by_g(each, metric) for each in nets]))
    if question == "stn_vs_mtn":
        stn, mtn = (paper_mean(f"n_tasks={int(parts[0])}", each, metric) for each in ("stn", "mtn"))
        return stn - mtn
    if question == "n_tasks":
        more, fewer = (paper_mean(f"n_tasks={int(n)}", parts[0], metric) for n in parts[1].split("-"))
        return more - fewer
    if question == "best_vs_wide":
        best, wide = (paper_value(TABLE_5, (int(parts[1]), each), metric) for each in (parts[0], "wstn"))
        return best - wide
    if question == "all_vs_g":
        tasks, architecture = parts
        return _case_value(tasks, architecture, metric) - _case_value("g", "stn", metric)
    return nan


def _gain_by_g(architecture: str, metric: str) -> float:
    """Return the mean over all sets of other tasks of the set with g less the set alone."""
    sets = [tasks for tasks in TABLE_4 if "g" not in tasks]
    return float(
        np.mean([_case_value(f"g{x}", architecture, metric) - _case_value(x, architecture, metric) for x in sets])
    )
