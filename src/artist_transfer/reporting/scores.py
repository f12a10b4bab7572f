"""Read flat metrics: scores, intervals, differences, and what may be said of them in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

METRICS = {"log_loss": "log loss", "f1_macro": "macro F1", "accuracy": "accuracy"}
UNITS = {"log_loss": "log loss (nats)", "f1_macro": "macro F1", "accuracy": "accuracy"}
SAID = ("log_loss", "f1_macro")  # what the summary speaks of: the paper's two metrics
SYSTEMS = {
    "transfer": "transfer (this run)",
    "prior": "class priors",
    "stn_g": "genre-only STN",
    "mfcc_logreg": "MFCC statistics + logistic regression",
}
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Finding:
    """What may be said about two systems.

    Attributes
    ----------
    verdict : {"better", "worse", "mixed", "open"}
        ``open``: no difference could be shown.
    sentence : str
        The statement.
    details : tuple of str
        The differences and their intervals, one for each metric.
    """

    verdict: str
    sentence: str
    details: tuple[str, ...]


def system_label(name: str) -> str:
    """Return what to call a system in a table or a figure.

    Parameters
    ----------
    name : str
        ``transfer`` or the name of a baseline.

    Returns
    -------
    str
    """
    return SYSTEMS.get(name, name)


def systems_of(metrics: Mapping[str, float]) -> list[str]:
    """List the systems that flat metrics speak of: the transfer, then its baselines.

    Parameters
    ----------
    metrics : mapping
        ``transfer.log_loss``, ``baseline.<name>.log_loss``, …

    Returns
    -------
    list of str
    """
    found = ["transfer"] if "transfer.log_loss" in metrics else []
    names = {key.split(".")[1] for key in metrics if key.startswith("baseline.") and key.count(".") > 1}
    known = list(SYSTEMS)
    return found + sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def score_of(metrics: Mapping[str, float], system: str, metric: str) -> tuple[float, float, float]:
    """Return a score and its interval.

    Parameters
    ----------
    metrics : mapping
        Flat metrics.
    system, metric : str
        ``transfer`` or the name of a baseline; ``log_loss``, ``f1_macro`` or ``accuracy``.

    Returns
    -------
    value, low, high : float
        NaN where there is none.
    """
    at = f"{system}.{metric}" if system == "transfer" else f"baseline.{system}.{metric}"
    value, low, high = (number(metrics.get(at + end)) for end in ("", "_low", "_high"))
    return value, low, high


def comparisons_of(metrics: Mapping[str, float]) -> list[dict[str, object]]:
    """List the paired differences that flat metrics hold.

    Parameters
    ----------
    metrics : mapping
        ``difference.<baseline>.<metric>``, ``…_low``, ``…_high``, ``…_p``: transfer less baseline.

    Returns
    -------
    list of dict
        ``system``, ``baseline``, ``metric``, ``effect``, ``low``, ``high``, ``p``.
    """
    found: list[dict[str, object]] = []
    for baseline in systems_of(metrics)[1:]:
        for metric in METRICS:
            at = f"difference.{baseline}.{metric}"
            if at in metrics:
                numbers = {key: number(metrics.get(f"{at}_{key}")) for key in ("low", "high", "p")}
                pair = {"system": "transfer", "baseline": baseline, "metric": metric}
                found.append({**pair, "effect": number(metrics[at]), **numbers})
    return found


def verdict_of(comparison: Mapping[str, object], *, level: float = 0.95) -> str:
    """Judge one paired difference.

    Parameters
    ----------
    comparison : mapping
        ``metric``, ``effect``, ``low``, ``high`` and, if it is there, ``p``; of a log loss, less is better.
    level : float in (0, 1)
        Of the interval.

    Returns
    -------
    {"better", "worse", "open"}
        ``open`` where the interval includes 0 or there is none, or p is not below 1 − level: of very few artists p is
        large even where they all agree.
    """
    low, high, p = (number(comparison.get(key)) for key in ("low", "high", "p"))
    if not (isfinite(low) and isfinite(high)) or low <= 0 <= high or p >= round(1 - level, 12):
        return "open"
    return "better" if (high < 0) == (comparison["metric"] == "log_loss") else "worse"


def findings(comparisons: Sequence[Mapping[str, object]], *, level: float = 0.95) -> list[Finding]:
    """Say in plain words what the paired differences show, baseline by baseline.

    Parameters
    ----------
    comparisons : sequence of mapping
        As `comparisons_of` returns them.
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    list of Finding
        One for each baseline, by log loss and macro F1.
    """
    said = [row for row in comparisons if row["metric"] in SAID]
    return [
        _finding(baseline, [row for row in said if str(row["baseline"]) == baseline], level)
        for baseline in dict.fromkeys(str(row["baseline"]) for row in said)
    ]


def number(value: object) -> float:
    """Return a value as float, NaN if it is not a number."""
    return float(value) if isinstance(value, (int, float, np.number)) else float("nan")


def signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign, NaN as a dash."""
    if not isfinite(value):
        return "–"
    return f"{value:+.{digits}f}".replace("-", MINUS)


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.3g} %"


def _finding(baseline: str, rows: Sequence[Mapping[str, object]], level: float) -> Finding:
    by_verdict: dict[str, list[str]] = {}
    for row in rows:
        by_verdict.setdefault(verdict_of(row, level=level), []).append(METRICS[str(row["metric"])])
    parts = []
    for verdict in ("better", "worse"):
        if verdict in by_verdict:
            parts.append(f"{verdict} in {_joined(by_verdict[verdict])}")
    if "open" in by_verdict:
        parts.append(f"no difference could be shown in {' or '.join(by_verdict['open'])}")
    overall = next(iter(by_verdict)) if len(by_verdict) == 1 else "mixed"
    sentence = f"Against {_with_article(baseline)}: {'; '.join(parts)}."
    return Finding(overall, sentence, tuple(_detail(row, level) for row in rows))


def _detail(row: Mapping[str, object], level: float) -> str:
    effect, low, high = (number(row[key]) for key in ("effect", "low", "high"))
    name = METRICS[str(row["metric"])]
    if not (isfinite(low) and isfinite(high)):
        return f"{name} {signed(effect)}, without an interval (too few artists), so nothing follows from it"
    return f"{name} {signed(effect)} ({percent(level)} interval {signed(low)} to {signed(high)})"


def _with_article(baseline: str) -> str:
    label = system_label(baseline)
    return label if label == baseline or label.startswith("MFCC") else f"the {label}"


def _joined(names: Sequence[str]) -> str:
    return " and ".join(names)
