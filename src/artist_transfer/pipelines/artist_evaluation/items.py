"""Values of single tracks, as they come in from systems, folds and nets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.evaluation.tagging import TagScores

MANY_TRIALS = 1000  # trials of a classifier are numbered below this, nets above
CHANCE, PRIOR = "chance", "prior"
PROJECTED = " + discriminant"


@dataclass(frozen=True)
class Heard:
    """A system's vectors of a target's tracks.

    Attributes
    ----------
    system : str
        Its name.
    fold : int or None
        The fold of the run's own corpus that its net was trained for; None if it is the same for all.
    trial : int
        Which of several nets.
    vectors : callable
        Training ids of a fold → Embeddings; what is fitted to the target (a baseline's scale) is fitted to these.
    """

    system: str
    fold: int | None
    trial: int
    vectors: Callable[[Sequence[str]], Embeddings]


@dataclass
class Items:
    """Values of single tracks, by metric and system.

    Attributes
    ----------
    values : dict of metric to dict of system to list of pd.DataFrame
        ``track_id, trial, value`` and, for classifiers, ``label_true``.
    tags : dict of prefix to dict of system to dict of fold to list of TagScores
        Of a target with tags; the prefix of the metric's name tells the probes apart, the list the nets.
    counts : dict of str to int
        What was left out or is undefined.
    skipped : dict of str to str
        Metric to the reason why it is not there.
    """

    values: dict[str, dict[str, list[pd.DataFrame]]] = field(default_factory=dict)
    tags: dict[str, dict[str, dict[int, list[TagScores]]]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: set[tuple[str, str]] = field(default_factory=set)
    floors: set[tuple[str, int]] = field(default_factory=set)

    def add(self, metric: str, system: str, table: pd.DataFrame) -> None:
        """Keep the values of one system, fold and net."""
        self.values.setdefault(metric, {}).setdefault(system, []).append(table)

    def add_tags(self, prefix: str, system: str, fold: int, scores: TagScores) -> None:
        """Keep how one net's probe scores the tags of a fold."""
        self.tags.setdefault(prefix, {}).setdefault(system, {}).setdefault(fold, []).append(scores)

    def fail(self, metric: str, system: str, reason: str) -> None:
        """Leave a system out of a metric, for it cannot be scored on all tracks."""
        self.failed.add((metric, system))
        self.skipped[f"{metric} of {system}"] = reason

    def needs_floor(self, metric: str, fold: int) -> bool:
        """Say whether chance or prior of a fold is still to be kept; from now on it is not."""
        known = (metric, fold) in self.floors
        self.floors.add((metric, fold))
        return not known

    def count(self, name: str, number: int) -> None:
        """Keep the largest number of anything left out: systems differ in it only if one hears fewer tracks."""
        self.counts[name] = max(self.counts.get(name, 0), number)

    def of(self, metric: str) -> dict[str, pd.DataFrame]:
        """Return all values of a metric, by system; of no system if only chance or prior is left."""
        kept = {name: tables for name, tables in self.values[metric].items() if (metric, name) not in self.failed}
        if not set(kept) - {CHANCE, PRIOR}:
            return {}
        return {name: pd.concat(tables, ignore_index=True) for name, tables in kept.items()}

    def tags_of(self, prefix: str) -> dict[str, list[TagScores]]:
        """Return the tag scores of one kind of probe, by system and fold, nets as trials; as `of`."""
        found = {
            name: [_stacked(folds[fold]) for fold in sorted(folds)]
            for name, folds in self.tags.get(prefix, {}).items()
            if (f"{prefix}tags", name) not in self.failed
        }
        return found if set(found) - {PRIOR} else {}


def _stacked(nets: Sequence[TagScores]) -> TagScores:
    from dataclasses import replace

    import numpy as np

    return replace(nets[0], scores=np.concatenate([one.scores for one in nets]))


def item_values(table: pd.DataFrame, value: str, trial: int, *, label: str | None = None) -> pd.DataFrame:
    """Bring one system's values into the form of `Items.values`.

    Parameters
    ----------
    table : pd.DataFrame
        ``track_id``, the column `value` and, if there are several, ``trial``.
    value : str
        The column.
    trial : int
        Which of several nets.
    label : str, optional
        Column of the true label.

    Returns
    -------
    pd.DataFrame
        ``track_id, trial, value`` and, if asked for, ``label_true``.
    """
    inner = table.get("trial", 0)
    kept = pd.DataFrame(
        {"track_id": table["track_id"], "trial": MANY_TRIALS * trial + inner, "value": table[value].astype(float)}
    )
    return kept if label is None else kept.assign(label_true=table[label].to_numpy())
