"""Values of single tracks, as they come in from systems, folds and nets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.evaluation.tagging import TagScores

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
        ``track_id, net, trial, value`` and, for classifiers, ``label_true``.
    tags : dict of prefix to dict of system to dict of fold to list of TagScores
        Of a target with tags; the prefix of the metric's name tells the probes apart, the list the nets.
    skipped : dict of str to str
        Metric, fold or system to the reason why it is not there.
    tracks : dict of reason to set of str
        Tracks that are left out of all systems' scores.
    tag_reasons : dict of tag to dict of fold to reason
        Tags that are not scored in a fold.
    only_in_test : dict of tag to dict of fold to int
        Test tracks by tag that no training track of their fold has.
    failed : set of (metric, system)
        Not scored, with a reason in `skipped`.
    silent : set of str
        Systems that are not scored at all.
    floors : set of (metric, fold)
        Of which chance or prior is kept.
    by_fold : dict of str to dict of fold to int
        What was left out of the test side, or is undefined.
    """

    values: dict[str, dict[str, list[pd.DataFrame]]] = field(default_factory=dict)
    tags: dict[str, dict[str, dict[int, list[TagScores]]]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    tracks: dict[str, set[str]] = field(default_factory=dict)
    tag_reasons: dict[str, dict[int, str]] = field(default_factory=dict)
    only_in_test: dict[str, dict[int, int]] = field(default_factory=dict)
    failed: set[tuple[str, str]] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    floors: set[tuple[str, int]] = field(default_factory=set)
    by_fold: dict[str, dict[int, int]] = field(default_factory=dict)

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

    def silence(self, system: str, reason: str) -> None:
        """Leave a system out of everything."""
        self.silent.add(system)
        self.skipped[system] = reason

    def leave_out(self, reason: str, track_ids: Iterable[str]) -> None:
        """Name tracks that no system is scored on."""
        if found := set(track_ids):
            self.tracks.setdefault(reason, set()).update(found)

    def count(self, name: str, number: int, fold: int) -> None:
        """Count what is left out of the test side of a fold, where systems differ the most of them."""
        folds = self.by_fold.setdefault(name, {})
        folds[fold] = max(folds.get(fold, 0), number)

    @property
    def counts(self) -> dict[str, int]:
        """What was left out or is undefined: sums over the test sides of all folds, and tracks by reason."""
        found = {name: sum(folds.values()) for name, folds in self.by_fold.items()}
        return found | {reason: len(tracks) for reason, tracks in self.tracks.items()}

    def told_tags(self, folds: Sequence[int]) -> dict[str, dict[str, str | int]]:
        """Say which tags are scored in no fold, which not in all, and which only test tracks have."""
        told = {tag: _by_fold(by, one_fold=len(folds) == 1) for tag, by in sorted(self.tag_reasons.items())}
        nowhere = {tag: why for tag, why in told.items() if len(self.tag_reasons[tag]) == len(folds)}
        return {
            "not scored": dict(nowhere),
            "not scored in all folds": {tag: why for tag, why in told.items() if tag not in nowhere},
            "test tracks of tags that training lacks": {
                tag: sum(by.values()) for tag, by in sorted(self.only_in_test.items())
            },
        }

    def of(self, metric: str) -> dict[str, pd.DataFrame]:
        """Return all values of a metric, by system, nets as trials; of no system if only chance or prior is left."""
        kept = {name: tables for name, tables in self.values[metric].items() if self._kept(metric, name)}
        if not set(kept) - {CHANCE, PRIOR}:
            return {}
        return {name: nets_as_trials(pd.concat(tables, ignore_index=True)) for name, tables in kept.items()}

    def _kept(self, metric: str, system: str) -> bool:
        return (metric, system) not in self.failed and system not in self.silent

    def tags_of(self, prefix: str) -> dict[str, list[TagScores]]:
        """Return the tag scores of one kind of probe, by system and fold, nets as trials; as `of`."""
        found = {
            name: [_stacked(folds[fold]) for fold in sorted(folds)]
            for name, folds in self.tags.get(prefix, {}).items()
            if self._kept(f"{prefix}tags", name)
        }
        return found if set(found) - {PRIOR} else {}


def _stacked(nets: Sequence[TagScores]) -> TagScores:
    from dataclasses import replace

    import numpy as np

    return replace(nets[0], scores=np.concatenate([one.scores for one in nets]))


def _by_fold(reasons: Mapping[int, str], *, one_fold: bool) -> str:
    """Say in which folds each reason holds."""
    if one_fold:
        return next(iter(reasons.values()))
    parts = []
    for why in sorted(set(reasons.values())):
        folds = sorted(fold for fold, own in reasons.items() if own == why)
        parts.append(f"{why} (fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))})")
    return "; ".join(parts)


def nets_as_trials(table: pd.DataFrame) -> pd.DataFrame:
    """Make each net one trial; the trainings of a classifier on one net are no nets of their own.

    What is drawn anew for an interval are nets, where there are several: ten classifiers on each of five nets tell no
    more about a sixth net than five averages do. Of a single net the classifier's trainings stay the trials, for there
    is nothing above them to draw.

    Parameters
    ----------
    table : pd.DataFrame
        ``track_id, net, trial, value`` and, perhaps, ``label_true``.

    Returns
    -------
    pd.DataFrame
        The same columns; with several nets ``trial`` is the net and ``value`` the mean over its trainings.
    """
    if table["net"].nunique() < 2:
        return table
    keys = [name for name in table.columns if name not in ("trial", "value")]
    means = table.groupby(keys, sort=True, dropna=False, as_index=False)["value"].mean(skipna=False)
    return means.assign(trial=means["net"])[list(table.columns)]


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
        ``track_id, net, trial, value`` and, if asked for, ``label_true``.
    """
    columns = {"track_id": table["track_id"], "net": trial, "trial": table.get("trial", 0)}
    kept = pd.DataFrame({**columns, "value": table[value].astype(float)})
    return kept if label is None else kept.assign(label_true=table[label].to_numpy())
