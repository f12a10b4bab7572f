"""Scores of all cases of a study, resampled together.

A resample draws artists with replacement, seeds with replacement and split seeds with replacement, each for itself,
and it is the same draw for every case: differences between cases are paired. A case's score in a resample is the mean
over the replicates (pairs of seed and split seed) of the score within each with that resample's artists; a replicate
counts as often as its seed was drawn times as often as its split was. So an interval holds who was tested, which random
numbers the nets started from, and how the tracks were split. A replicate without a test track in a resample is left
out of that resample.

Two replicates of one split are not two draws of splits, so it is not replicates that are drawn. What has one level only
is not drawn. Where every split has seeds of its own, splits alone are drawn; where every seed comes with one split and
every split with one seed, the two are one.

Of n seeds or splits n − 1 are drawn, since n of n would give only (n − 1) / n of the variance between them, a third
less with three. Three seeds lie on one side of the truth by chance one time in four, and then every resample does: so
the degrees of freedom of intervals and p values are those of artists, seeds and splits together. Three seeds that
happen to be alike still deceive: where seeds differ several times more than artists, more false findings than 1 − level
get through. `CaseScores.note` says how many there were. With one replicate the seed is not in the intervals at all.

Scores have expanded percentile intervals, differences t intervals and t tests with the bootstrap's standard error (see
`artist_transfer.evaluation.small_samples`). The interval of a score cannot reach beyond the best and worst resample, so
of few seeds that differ much it is too narrow; that of a difference does not have this limit.

References
----------
Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1(2), 2007: resampling the factors of crossed data, each for itself;
the weight of a cell is the product of its factors' weights.
Rao and Wu, "Resampling inference with complex survey data", J. Am. Stat. Assoc. 83, 1988: drawing n − 1 of n.
Field and Welsh, "Bootstrapping clustered data", J. R. Stat. Soc. B 69(3), 2007: resampling whole clusters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.intervals import Difference
from artist_transfer.evaluation.metrics import METRICS
from artist_transfer.evaluation.resampling import check_resampling, resamples, scores_of_sums
from artist_transfer.evaluation.small_samples import ROUNDING, Between, UnitCount, difference_test, percentiles
from artist_transfer.study.replicates import Replicate, StudySums, read_sums

REPLICATE_STREAM = 7_002  # keeps the draws of seeds and splits apart from those of artists


@dataclass(frozen=True)
class CaseScores:
    """Scores of every case, in every replicate and every resample.

    Attributes
    ----------
    sums : StudySums
        What they were computed from.
    by_replicate : np.ndarray [shape=(n_replicates, n_cases, 3)]
        In the order of METRICS.
    draws : np.ndarray [shape=(n_drawn, n_cases, 3)]
        Of the resamples; none with fewer than two units.
    n_resamples : int > 0
        How many were asked for.
    level : float in (0, 1)
    seed : int >= 0
    excluded : dict of case to reason
    """

    sums: StudySums
    by_replicate: np.ndarray
    draws: np.ndarray
    n_resamples: int
    level: float
    seed: int
    excluded: dict[str, str]

    @classmethod
    def from_predictions(
        cls,
        predictions: pd.DataFrame,
        *,
        n_resamples: int = 10_000,
        level: float = 0.95,
        seed: int = 0,
        excluded: Mapping[str, str] | None = None,
    ) -> CaseScores:
        """Score the cases of a study.

        Parameters
        ----------
        predictions : pd.DataFrame
            study_predictions_table: one row a case, replicate and test track, in any order.
        n_resamples : int > 0
        level : float in (0, 1)
        seed : int >= 0
        excluded : mapping of case to reason, optional
            Cases to leave out, those that lack a replicate for instance.

        Returns
        -------
        CaseScores

        Raises
        ------
        ArtistTransferError
            If a combination of case and replicate is missing, the cases of a replicate were not tested on the same
            tracks, a table is not valid, or a parameter is out of range.
        """
        check_resampling(n_resamples, level)
        excluded = dict(excluded or {})
        sums = read_sums(predictions, excluded=excluded)
        systems = [replicate.sums for replicate in sums.replicates]
        draws = resampled_scores(sums, systems, n_resamples=n_resamples, seed=seed)
        return cls(sums, whole_scores(systems), draws, n_resamples, level, seed, excluded)

    @property
    def cases(self) -> tuple[str, ...]:
        """The cases that were scored, sorted."""
        return self.sums.cases

    @property
    def values(self) -> np.ndarray:
        """Mean over the replicates, (case, metric)."""
        return np.asarray(self.by_replicate.mean(axis=0))

    @property
    def units(self) -> UnitCount:
        """How many units there are, and what they are worth."""
        return self.sums.unit_count

    @property
    def note(self) -> str:
        """What a reader has to know about the intervals; empty if nothing."""
        notes = [self.sums.note] if self.sums.note else []
        seeds, splits = (len({getattr(x, key) for x in self.sums.replicates}) for key in ("seed", "split_seed"))
        if seeds == splits == 1:
            notes.append("one seed and split: what another seed would change is not in the intervals")
        else:
            counted = f"{_counted(seeds, 'seed')} and {_counted(splits, 'split')}"
            notes.append(f"{counted}: few to tell the tasks' effect from theirs")
        if 0 < len(self.draws) < self.n_resamples:
            notes.append(f"{self.n_resamples - len(self.draws)} resamples that held no test track are left out")
        return "; ".join(notes)

    def score_cases(self) -> pd.DataFrame:
        """Tabulate the scores.

        Returns
        -------
        pd.DataFrame
            study_score_table, sorted by case: ``case``; for each metric its mean over the replicates, ``_low``,
            ``_high`` (expanded percentiles of the resamples) and ``_seed_sd`` (standard deviation between replicates,
            NaN of one); ``n_replicates, n_tracks, n_units, unit`` and ``n_effective``, how many units of equal size
            are worth as much.
        """
        low, high = self._ends()
        n = len(self.by_replicate)
        spread = self.by_replicate.std(axis=0, ddof=1) if n > 1 else np.full_like(self.values, np.nan)
        table: dict[str, object] = {"case": list(self.cases)}
        for k, metric in enumerate(METRICS):
            table |= {metric: self.values[:, k], f"{metric}_low": low[:, k], f"{metric}_high": high[:, k]}
            table[f"{metric}_seed_sd"] = spread[:, k]
        sizes = {"n_replicates": n, "n_tracks": self.sums.n_tracks, "n_units": self.sums.n_units}
        return pd.DataFrame(table).assign(**sizes, unit=self.sums.unit, n_effective=self.units.effective)

    def mean_of(self, cases: Iterable[str]) -> dict[str, tuple[float, float, float]]:
        """Score the mean of some cases.

        Parameters
        ----------
        cases : iterable of str
            At least one.

        Returns
        -------
        dict of metric to (value, low, high)

        Raises
        ------
        ArtistTransferError
            If there is none, or one was not scored.
        """
        weights = self._weights(dict.fromkeys(cases, 1.0))
        return self.interval(*(np.einsum("c,rcm->rm", weights, x) for x in (self.by_replicate, self.draws)))

    def contrast(self, first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, Difference]:
        """Compare the weighted mean of some cases with that of others, by the same resamples.

        Parameters
        ----------
        first, second : mapping of case to weight > 0
            Weights count in proportion. A case may stand on both sides.

        Returns
        -------
        dict of metric to Difference
            First less second.

        Raises
        ------
        ArtistTransferError
            If a side is empty, a case was not scored, or a weight is not positive.
        """
        weights = self._weights(first) - self._weights(second)
        return self.difference(*(np.einsum("c,rcm->rm", weights, x) for x in (self.by_replicate, self.draws)))

    def effects(self, first: Mapping[str, float], second: Mapping[str, float]) -> np.ndarray:
        """Return the effects of `contrast` within each replicate, (replicate, metric)."""
        weights = self._weights(first) - self._weights(second)
        return np.einsum("c,rcm->rm", weights, self.by_replicate)

    def interval(self, by_replicate: np.ndarray, draws: np.ndarray) -> dict[str, tuple[float, float, float]]:
        """Put scores, (replicate, metric), and their resamples, (resample, metric), into values with intervals."""
        low, high = percentiles(draws, self.level, self.units, self._between(by_replicate))
        values = by_replicate.mean(axis=0)
        return {name: (float(values[k]), float(low[k]), float(high[k])) for k, name in enumerate(METRICS)}

    def difference(self, by_replicate: np.ndarray, draws: np.ndarray) -> dict[str, Difference]:
        """Put differences, (replicate, metric), and their resamples, (resample, metric), into effects with p."""
        # two sides of equal scores differ by rounding alone
        by_replicate = np.where(np.abs(by_replicate) < ROUNDING, 0.0, by_replicate)
        effects = by_replicate.mean(axis=0)
        (low, high), p = difference_test(effects, draws, self.level, self.units, self._between(by_replicate))
        return {
            name: Difference(float(effects[k]), float(low[k]), float(high[k]), float(p[k]))
            for k, name in enumerate(METRICS)
        }

    def position(self, case: str) -> int:
        """Return where a case stands in `cases`; an error says why it is not there."""
        if case not in self.cases:
            reason = self.excluded.get(case, "it has no predictions")
            raise ArtistTransferError(f"case {case!r} was not scored: {reason}; scored are {', '.join(self.cases)}")
        return self.cases.index(case)

    def _between(self, scores: np.ndarray) -> list[Between]:
        """Give what seeds and splits add to the variance of the mean of scores, (replicate, metric)."""
        found = []
        for levels in factors(self.sums.replicates):
            means = [scores[levels == level].mean(axis=0) for level in range(int(levels.max()) + 1)]
            found.append(Between.of(np.stack(means)))
        return found

    def _ends(self) -> np.ndarray:
        """Low and high of every case, (2, case, metric)."""
        cases = range(len(self.cases))
        between = [self._between(self.by_replicate[:, case]) for case in cases]
        ends = [percentiles(self.draws[:, case], self.level, self.units, between[case]) for case in cases]
        return np.stack(ends, axis=1)

    def _weights(self, cases: Mapping[str, float]) -> np.ndarray:
        if not cases or not all(0 < weight < np.inf for weight in cases.values()):
            raise ArtistTransferError(f"a mean needs cases with weights above 0; found {dict(cases)}")
        weights = np.zeros(len(self.cases))
        for case, weight in cases.items():
            weights[self.position(case)] = weight
        return weights / weights.sum()


def whole_scores(systems: Sequence[np.ndarray]) -> np.ndarray:
    """Score all tracks.

    Parameters
    ----------
    systems : sequence of np.ndarray [shape=(U, S, 2 + 3 C)], one a replicate
        Sums by unit of S systems.

    Returns
    -------
    np.ndarray [shape=(n_replicates, S, 3)]
        NaN in a replicate without a track.
    """
    found = np.full((len(systems), systems[0].shape[1], len(METRICS)), np.nan)
    for k, sums in enumerate(systems):
        total = sums.sum(axis=0)
        if total[0, 0] > 0:
            found[k] = scores_of_sums(total)
    return found


def factors(replicates: Sequence[Replicate]) -> list[np.ndarray]:
    """Say what is drawn beside artists: of seeds and split seeds those with two levels at least.

    Parameters
    ----------
    replicates : sequence of Replicate

    Returns
    -------
    list of np.ndarray [shape=(n_replicates,)], in 0 … levels − 1
        The level of each replicate. Seeds that each come with one split only are no factor of their own beside the
        splits, nor the other way round: their replicates vary together.
    """
    seeds, splits = (
        np.unique([getattr(x, name) for x in replicates], return_inverse=True)[1] for name in ("seed", "split_seed")
    )
    drawn = [levels for levels in (seeds, splits) if levels.max() > 0]
    if len(drawn) < 2:
        return drawn
    cells = len(replicates)  # each pair of seed and split is there at most once
    if cells == splits.max() + 1:
        return [seeds]
    return [splits] if cells == seeds.max() + 1 else drawn


def replicate_draws(replicates: Sequence[Replicate], n_resamples: int, seed: int) -> np.ndarray:
    """Give how often each replicate counts in each resample.

    Parameters
    ----------
    replicates : sequence of Replicate
    n_resamples : int > 0
    seed : int >= 0

    Returns
    -------
    np.ndarray [shape=(n_resamples, n_replicates)]
        The product of how often its seed and its split were drawn, each one time less than there are of it.
    """
    times = np.ones((n_resamples, len(replicates)))
    draw = np.random.default_rng([seed, REPLICATE_STREAM])
    for levels in factors(replicates):
        n = int(levels.max()) + 1
        times *= draw.multinomial(n - 1, np.full(n, 1 / n), size=n_resamples)[:, levels]
    return times


def resampled_scores(study: StudySums, systems: Sequence[np.ndarray], *, n_resamples: int, seed: int) -> np.ndarray:
    """Score resamples of artists, seeds and splits: of one seed the same ones, whatever the systems.

    Parameters
    ----------
    study : StudySums
    systems : sequence of np.ndarray [shape=(U, S, 2 + 3 C)], one a replicate of `study`
        Sums of S systems by the units of that replicate.
    n_resamples : int > 0
    seed : int >= 0

    Returns
    -------
    np.ndarray [shape=(n_drawn, S, 3)]
        Resamples that held no test track are left out; there is none with fewer than two units.
    """
    times = replicate_draws(study.replicates, n_resamples, seed)
    found = [np.zeros((0, systems[0].shape[1], len(METRICS)))]
    start = 0
    for weights in resamples(study.n_units, n_resamples, seed):
        found.append(_mean_scores(weights, times[start : start + len(weights)], study.replicates, systems))
        start += len(weights)
    return np.concatenate(found)


def _mean_scores(
    weights: np.ndarray, times: np.ndarray, replicates: Sequence[Replicate], systems: Sequence[np.ndarray]
) -> np.ndarray:
    """Score some resamples, (resample, system, metric): the mean over replicates, each as often as it was drawn."""
    n_systems = systems[0].shape[1]
    total = np.zeros((len(weights), n_systems, len(METRICS)))
    counted = np.zeros(len(weights))
    for k, (replicate, sums) in enumerate(zip(replicates, systems, strict=True)):
        of_units = weights[:, replicate.units]  # (resample, unit)
        tracks = of_units @ sums[:, 0, 0]
        rows = np.flatnonzero((times[:, k] > 0) & (tracks > 0))
        drawn = of_units[rows] @ sums.reshape(len(sums), -1)  # (resample, system × sum)
        scores = scores_of_sums(drawn.reshape(len(rows) * n_systems, sums.shape[2]))
        total[rows] += times[rows, k, None, None] * scores.reshape(len(rows), n_systems, len(METRICS))
        counted[rows] += times[rows, k]
    kept = counted > 0
    return total[kept] / counted[kept, None, None]


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
