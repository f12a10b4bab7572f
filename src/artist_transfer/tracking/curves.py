"""Training histories as MLflow metrics by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("epoch", "task", "fold", "net")
BASELINE = "baseline "
"""How the name of a net begins that the run's own nets are compared with."""


def curves(history: pd.DataFrame) -> list[tuple[str, float, int]]:
    """Name every value of a training history.

    Parameters
    ----------
    history : pd.DataFrame
        Columns ``epoch`` and, where there are several, ``task``, ``fold``, ``net``; every other column of numbers is
        a curve (``loss``).

    Returns
    -------
    list of (str, float, int)
        ``train.<task>.<column>``, value, epoch; of the net "baseline x" ``baseline.x.train.<task>.<column>``.
        Fold k > 0 is ``fold<k>.train.…``. Where two of the run's own nets learned the same task in the same fold the
        net's name comes first. Missing values are left out.
    """
    import pandas as pd

    if "epoch" not in history.columns or history.empty:
        return []
    columns = [
        column
        for column in history.columns
        if column not in KEYS and pd.api.types.is_numeric_dtype(history[column].dtype)
    ]
    prefixes = _prefixes(history)
    found: list[tuple[str, float, int]] = []
    for column in columns:
        for prefix, value, epoch in zip(prefixes, history[column].tolist(), history["epoch"].tolist(), strict=True):
            if not pd.isna(value):
                found.append((f"{prefix}.{column}", float(value), int(epoch)))
    return found


def _prefixes(history: pd.DataFrame) -> list[str]:
    rows = len(history)
    tasks = history["task"].tolist() if "task" in history else [None] * rows
    folds = history["fold"].tolist() if "fold" in history else [0] * rows
    nets = history["net"].tolist() if "net" in history else [None] * rows
    learned: dict[tuple[object, object], set[object]] = {}
    for fold, task, net in zip(folds, tasks, nets, strict=True):
        if not _is_baseline(net):
            learned.setdefault((fold, task), set()).add(net)
    prefixes = []
    for fold, task, net in zip(folds, tasks, nets, strict=True):
        parts = ["train"] if task is None else ["train", str(task)]
        if _is_baseline(net):
            parts[:0] = ["baseline", str(net).removeprefix(BASELINE)]
        elif len(learned[fold, task]) > 1:
            parts.insert(0, str(net))
        if fold:
            parts.insert(0, f"fold{fold}")
        prefixes.append(".".join(parts))
    return prefixes


def _is_baseline(net: object) -> bool:
    return isinstance(net, str) and net.startswith(BASELINE)
