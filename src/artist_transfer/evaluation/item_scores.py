"""From values of single tracks to scores with intervals, and paired differences between systems.

A score is a mean over tracks: of average precisions (MAP), of right and wrong (accuracy), of these by label. What is
resampled are artists with all their tracks (else recordings, else tracks, and the result says so), and where a system
has several trials, the trials; the same draw serves all systems, so differences are paired.

Conventions
-----------
* A NaN is a value that is not defined (a query without a relevant track): it is left out of the mean and counted.
* Of T trials T − 1 are drawn, since T of T would give only (T − 1) / T of the variance between them. Systems with
  equally many trials get the same draw: their trials are paired by number.
* A resample in which a score is not defined is left out of that score's interval.
* Scores have expanded percentile intervals, differences t intervals and t tests with the bootstrap's standard error, by
  the artists (and trials) that the score is of: see `artist_transfer.evaluation.small_samples`.

References
----------
Field and Welsh, "Bootstrapping clustered data", J. R. Stat. Soc. B 69(3), 2007: resampling whole clusters.
Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1(2), 2007: resampling two factors of crossed data.
Rao and Wu, "Resampling inference with complex survey data", J. Am. Stat. Assoc. 83, 1988: drawing n − 1 of n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import some
from artist_transfer.evaluation.multiple_testing import holm
from artist_transfer.evaluation.resampling import Units, check_resampling, resamples, units_of
from artist_transfer.evaluation.small_samples import MIN_UNITS, UnitCount, count_units, difference_test, percentiles
from artist_transfer.evaluation.trials import between_trials, deviation, trial_draws

OVERALL = "overall"


@dataclass(frozen=True)
class ScoreDraws:
    """Scores of systems, as they are and in every resample.

    Attributes
    ----------
    metric : str
    systems : tuple of str
    columns : tuple of str
        What is scored: ``overall``, a label, a tag.
    values : np.ndarray [shape=(n_systems, n_columns)]
        NaN where not defined.
    draws : np.ndarray [shape=(n_drawn, n_systems, n_columns)]
        None with fewer than two units.
    trial_sd : np.ndarray [shape=(n_systems, n_columns)]
        Standard deviation between trials; NaN of one.
    n_trials : tuple of int
        By system.
    n_items : tuple of int
        By column, those that are not defined left out.
    n_undefined : int
        Items that are not defined.
    units : Units
    level : float in (0, 1)
    unit_counts : tuple of UnitCount
        By column, how many units it is of.
    by_trial : tuple of np.ndarray [shape=(n_trials, n_columns)]
        Of each system the scores of the trials that were drawn; one row if they were not.
    """

    metric: str
    systems: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    draws: np.ndarray
    trial_sd: np.ndarray
    n_trials: tuple[int, ...]
    n_items: tuple[int, ...]
    n_undefined: int
    units: Units
    level: float
    unit_counts: tuple[UnitCount, ...]
    by_trial: tuple[np.ndarray, ...]

    def score_table(self) -> pd.DataFrame:
        """Tabulate the scores.

        Returns
        -------
        pd.DataFrame
            One row a system and column: ``system, metric, of, value, low, high, trial_sd, n_trials, n_items,
            n_undefined, n_units, unit, note``.
        """
        rows = []
        for s, system in enumerate(self.systems):
            for c, column in enumerate(self.columns):
                (low, high), note = self._interval(s, c)
                found = (self.values[s, c], low, high, self.trial_sd[s, c], self.n_trials[s], self.n_items[c])
                rows.append((system, self.metric, column, *found, *self._sizes(), note))
        names = ["system", "metric", "of", "value", "low", "high", "trial_sd", "n_trials", "n_items"]
        return pd.DataFrame(rows, columns=[*names, "n_undefined", "n_units", "unit", "note"])

    def compare(
        self, pairs: Sequence[tuple[str, str]] | None = None, *, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Compare systems on the same items and resamples.

        Parameters
        ----------
        pairs : sequence of (first, second), optional
            Default every two systems.
        columns : sequence of str, optional
            Default all.

        Returns
        -------
        pd.DataFrame
            One row a pair and column: ``metric, of, first, second, effect`` (first less second), ``low, high, p,
            p_holm, n_items, n_undefined, n_units, unit, note``. All rows are one family of Holm's correction.

        Raises
        ------
        ArtistTransferError
            If a system or column is not there, or a system is compared with itself.
        """
        chosen = list(combinations(self.systems, 2) if pairs is None else pairs)
        wanted = list(self.columns if columns is None else columns)
        for name, known in [(x, self.systems) for pair in chosen for x in pair] + [(x, self.columns) for x in wanted]:
            if name not in known:
                raise ArtistTransferError(f"compare: there is no {name!r}; known are {', '.join(known)}")
        rows = []
        for first, second in chosen:
            if first == second:
                raise ArtistTransferError(f"compare: {first!r} cannot be compared with itself")
            a, b = self.systems.index(first), self.systems.index(second)
            for column in wanted:
                c = self.columns.index(column)
                effect = self.values[a, c] - self.values[b, c]
                low, high, p, note = self._difference(effect, a, b, c)
                sizes = (self.n_items[c], *self._sizes())
                rows.append((self.metric, column, first, second, effect, low, high, p, *sizes, note))
        names = ["metric", "of", "first", "second", "effect", "low", "high", "p"]
        table = pd.DataFrame(rows, columns=[*names, "n_items", "n_undefined", "n_units", "unit", "note"])
        table.insert(len(names), "p_holm", holm(table["p"].to_numpy(dtype=np.float64)))
        return table

    def _sizes(self) -> tuple[int, int, str]:
        return self.n_undefined, self.units.count, self.units.name

    def _interval(self, system: int, column: int) -> tuple[tuple[float, float], str]:
        """Give low and high of a score and what a reader has to know."""
        drawn, note = self._defined(self.draws[:, system, column], column)
        between = between_trials(self.by_trial[system][:, [column]])
        low, high = percentiles(drawn, self.level, self.unit_counts[column], between)[:, 0]
        return (float(low), float(high)), note

    def _difference(self, effect: float, first: int, second: int, column: int) -> tuple[float, float, float, str]:
        """Give low, high and p of a difference and what a reader has to know."""
        drawn, note = self._defined(self.draws[:, first, column] - self.draws[:, second, column], column)
        a, b = (self.by_trial[system][:, [column]] for system in (first, second))
        between = between_trials(a - b) if len(a) == len(b) else between_trials(a, b)
        (low, high), p = difference_test(np.array([effect]), drawn, self.level, self.unit_counts[column], between)
        return float(low[0]), float(high[0]), float(p[0]), note

    def _defined(self, draws: np.ndarray, column: int) -> tuple[np.ndarray, str]:
        defined, count = draws[np.isfinite(draws)], self.unit_counts[column].count
        notes = [self.units.note] if self.units.note else []
        if len(defined) < len(draws):
            notes.append(f"not defined in {len(draws) - len(defined)} of {len(draws)} resamples, which are left out")
        if count < min(self.units.count, MIN_UNITS):
            short = "no interval" if count < 2 else "too few for a verdict"
            notes.append(f"of {count} {self.units.name}{'s' * (count != 1)}: {short}")
        return defined[:, None], "; ".join(notes)


def score_items(
    systems: Mapping[str, pd.DataFrame],
    tracks: pd.DataFrame,
    *,
    value: str,
    metric: str | None = None,
    by: str | None = None,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    draw_trials: bool = True,
) -> ScoreDraws:
    """Average values of single tracks, with intervals by bootstrap over artists.

    Parameters
    ----------
    systems : mapping of name to pd.DataFrame
        One row a track and trial: ``track_id``, the column `value`, ``trial`` if there are several, and the column
        `by` if it is asked for. All systems of the same tracks, defined for the same tracks.
    tracks : pd.DataFrame
        ``track_id, artist_id`` and, if it is there, ``recording_id``.
    value : str
        ``ap``, ``correct``, ….
    metric : str, optional
        What it is called in the tables; default `value`.
    by : str, optional
        Score the tracks of each value of this column by themselves: ``label_true`` gives the accuracy of each genre
        (ISMIR, figure 5).
    n_resamples : int > 0
    level : float in (0, 1)
    seed : int >= 0
    draw_trials : bool
        Whether trials are resampled too, where there are at least two.

    Returns
    -------
    ScoreDraws

    Raises
    ------
    ArtistTransferError
        If there is no system, a column is missing, a track comes twice in a trial, trials or systems differ in
        their tracks, or a track is not in the table.
    """
    check_resampling(n_resamples, level)
    if not systems:
        raise ArtistTransferError("item scores: there is no system to score")
    matrices = {name: _matrix(name, table, value) for name, table in systems.items()}
    ids, known = _same_items(matrices)
    units = units_in(ids, tracks)
    columns, member = _columns(systems, ids, by)  # (track, column)
    counted = member * known[:, None]
    sizes = _summed(counted, units)  # (unit, column)
    sums = [
        np.stack([_summed(counted * np.nan_to_num(trial)[:, None], units) for trial in matrix.to_numpy().T])
        for matrix in matrices.values()
    ]  # (trial, unit, column) of each system
    with np.errstate(invalid="ignore"):
        by_trial = [system.sum(axis=1) / sizes.sum(axis=0) for system in sums]
        draws = _drawn(sums, sizes, n_resamples=n_resamples, seed=seed, draw_trials=draw_trials)
    return ScoreDraws(
        metric or value,
        tuple(systems),
        columns,
        np.stack([found.mean(axis=0) for found in by_trial]),
        draws,
        np.stack([deviation(found) for found in by_trial]),
        tuple(len(found) for found in by_trial),
        tuple(int(n) for n in counted.sum(axis=0)),
        int((~known).sum()),
        units,
        level,
        tuple(count_units(size) for size in sizes.T),
        tuple(found if draw_trials else found.mean(axis=0, keepdims=True) for found in by_trial),
    )


def units_in(track_ids: Sequence[str], tracks: pd.DataFrame) -> Units:
    """Find what is resampled of some tracks.

    Parameters
    ----------
    track_ids : sequence of str
    tracks : pd.DataFrame
        ``track_id, artist_id`` and, if it is there, ``recording_id``.

    Returns
    -------
    Units
        In the order of the ids.

    Raises
    ------
    ArtistTransferError
        If a track is not in the table.
    """
    rows = tracks.set_index("track_id")
    absent = [x for x in track_ids if x not in rows.index]
    if absent:
        raise ArtistTransferError(f"{len(absent)} scored tracks are not in the track table: {some(absent)}")
    return units_of(rows.loc[list(track_ids)].reset_index())


def _matrix(name: str, table: pd.DataFrame, value: str) -> pd.DataFrame:
    """Give values by track and trial."""
    missing = [column for column in ("track_id", value) if column not in table.columns]
    if missing or not len(table):
        raise ArtistTransferError(f"item scores of {name!r}: {f'no column {missing}' if missing else 'no row'}")
    trial = table["trial"] if "trial" in table.columns else pd.Series(0, index=table.index)
    long = pd.DataFrame({"track_id": table["track_id"], "trial": trial, "value": table[value].astype(np.float64)})
    twice = long[long.duplicated(["track_id", "trial"])]
    if len(twice):
        raise ArtistTransferError(f"item scores of {name!r}: tracks that come twice: {some(list(twice['track_id']))}")
    here = long.assign(here=1).pivot(index="track_id", columns="trial", values="here")
    if here.isna().any(axis=None):
        absent = list(here.index[here.isna().any(axis=1)])
        raise ArtistTransferError(f"item scores of {name!r}: tracks that some trials lack: {some(absent)}")
    matrix = long.pivot(index="track_id", columns="trial", values="value")
    part = matrix.isna().any(axis=1) & ~matrix.isna().all(axis=1)
    if part.any():
        raise ArtistTransferError(
            f"item scores of {name!r}: not defined in some trials: {some(list(part[part].index))}"
        )
    return matrix


def _same_items(matrices: Mapping[str, pd.DataFrame]) -> tuple[list[str], np.ndarray]:
    """Check that systems are of the same tracks, and give those and which are defined."""
    (first, reference), *others = matrices.items()
    known = reference.notna().all(axis=1)
    for name, matrix in others:
        different = matrix.index.symmetric_difference(reference.index)
        if not len(different):
            different = known.index[known != matrix.notna().all(axis=1)]
        if len(different):
            raise ArtistTransferError(
                f"item scores: {first!r} and {name!r} are not of the same tracks, so they cannot be compared; "
                f"they differ in {len(different)}: {some(list(different))}"
            )
    return list(reference.index), known.to_numpy()


def _columns(
    systems: Mapping[str, pd.DataFrame], ids: Sequence[str], by: str | None
) -> tuple[tuple[str, ...], np.ndarray]:
    if by is None:
        return (OVERALL,), np.ones((len(ids), 1))
    found: pd.Series | None = None
    for name, table in systems.items():
        if by not in table.columns:
            raise ArtistTransferError(f"item scores of {name!r}: no column {by!r}")
        own = table.drop_duplicates("track_id").set_index("track_id")[by].loc[list(ids)].astype(str)
        if found is not None and not own.equals(found):
            raise ArtistTransferError(f"item scores: the column {by!r} differs between the systems")
        found = own
    assert found is not None
    names, codes = np.unique(found.to_numpy(dtype=str), return_inverse=True)
    return tuple(str(name) for name in names), np.eye(len(names))[codes]


def _summed(rows: np.ndarray, units: Units) -> np.ndarray:
    sums = np.zeros((units.count, rows.shape[1]))
    np.add.at(sums, units.of_row, rows)
    return sums


def _drawn(
    sums: Sequence[np.ndarray], sizes: np.ndarray, *, n_resamples: int, seed: int, draw_trials: bool
) -> np.ndarray:
    """Score every system in every resample, (resample, system, column)."""
    n_trials = [len(system) for system in sums]
    weights_of_trials = trial_draws(n_trials, n_resamples, seed)
    parts, done = [], 0
    for weights in resamples(sizes.shape[0], n_resamples, seed):
        here = slice(done, done + len(weights))
        scored = []
        for system in sums:
            by_trial = np.stack([weights @ trial for trial in system])  # (trial, resample, column)
            even = np.full((len(weights), len(system)), 1 / len(system))
            of_trial = weights_of_trials[len(system)][here] if draw_trials else even
            scored.append(np.einsum("rt,trc->rc", of_trial, by_trial) / (weights @ sizes))
        parts.append(np.stack(scored, axis=1))
        done += len(weights)
    return np.concatenate(parts) if parts else np.empty((0, len(sums), sizes.shape[1]))
