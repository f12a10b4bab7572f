"""Error rates of recognition in every resample of artists: the trials are sorted and counted once.

If artist a is drawn w(a) times, its test songs and its model are there w(a) times, so a target trial counts w(a) times
and a non-target trial of model a with a song of artist b w(a) · w(b) times: models and test songs are two crossed
factors, and one draw of artists is taken for both, since an artist who is easy to know is so on both sides. A copy
of an artist against another copy of it is no trial at all.

Between two neighbouring target scores only the number of non-targets matters, and by what EER and minDCF are it has to
be known just at the target scores. So each non-target is put between two of them once, and a resample is a weighted
count of these places. Counting starts at the highest scores and ends where no metric of any resample can change any
more: most non-targets lie below that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from artist_transfer.evaluation.verification import cost_weights, trial_costs

TOPS = (1, 5)
RESAMPLES = 128  # that are counted at once
TRIALS = 4096  # non-targets whose weights are held at once, for so many resamples
PLACES = 512  # between target scores that are counted before looking whether more are needed
EXACT = 2**24  # whole numbers that single precision adds without rounding


@dataclass(frozen=True)
class SortedTrials:
    """Trials of one matrix of scores, in the order in which thresholds fall.

    Attributes
    ----------
    thresholds : np.ndarray [shape=(K,)], falling
        The different target scores.
    target_artist, target_place : np.ndarray [shape=(n,)]
        Of each test song its artist and which threshold its own model's score is.
    model, artist : np.ndarray [shape=(at most n (M - 1),)]
        Of non-targets that are not below all targets, sorted by place.
    starts : np.ndarray [shape=(2 K + 1,)]
        Where places begin in them: place 2 k lies between thresholds k - 1 and k, place 2 k + 1 on threshold k.
    """

    thresholds: np.ndarray
    target_artist: np.ndarray
    target_place: np.ndarray
    model: np.ndarray
    artist: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, truth: np.ndarray) -> SortedTrials:
        """Sort a matrix.

        Parameters
        ----------
        scores : np.ndarray [shape=(M, n)], finite
        truth : np.ndarray [shape=(n,)], in 0 … M - 1
        """
        n_models, n = scores.shape
        own = scores[truth, np.arange(n)]
        rising, inverse = np.unique(own, return_inverse=True)
        size = len(rising)
        model, test = np.divmod(np.flatnonzero(np.arange(n_models)[:, None] != truth[None, :]), n)
        values = scores[model, test]
        above = size - np.searchsorted(rising, values, side="right")  # thresholds that are higher
        equal = np.searchsorted(rising, values, side="left") < size - above
        place = 2 * above + equal
        order = np.argsort(place, kind="stable")[: int((place < 2 * size).sum())]
        starts = np.searchsorted(place[order], np.arange(2 * size + 1))
        kind = np.int16 if n_models < 2**15 else np.int32
        return cls(
            rising[::-1], truth, size - 1 - inverse, model[order].astype(kind), truth[test[order]].astype(kind), starts
        )


def recognition_draws(
    scores: np.ndarray,
    truth: np.ndarray,
    weights: np.ndarray,
    *,
    p_targets: Sequence[float],
    calibrated: bool = False,
) -> np.ndarray:
    """Score a matrix in every resample.

    Parameters
    ----------
    scores : np.ndarray [shape=(M, n)], finite
    truth : np.ndarray [shape=(n,)], in 0 … M - 1
        The artist of each test song.
    weights : np.ndarray [shape=(R, M)], whole numbers >= 0
        How often each artist is drawn; all 1 for the score itself.
    p_targets : sequence of float in (0, 1)
        Of the detection costs.
    calibrated : bool
        Whether the scores are log-likelihood ratios.

    Returns
    -------
    np.ndarray [shape=(R, len(p_targets) + 4)]
        EER, minDCF of each prior, Cllr (NaN unless calibrated), accuracy of the first and of the first five. NaN
        where fewer than two artists are drawn; accuracies are NaN where no artist with a test song is.
    """
    trials = SortedTrials.of(scores, truth)
    tests = np.bincount(truth, minlength=len(scores)).astype(np.float64)
    found = np.full((len(weights), len(p_targets) + 4), np.nan)
    costs = [cost_weights(p) for p in p_targets]
    for start in range(0, len(weights), RESAMPLES):
        drawn = weights[start : start + RESAMPLES]
        found[start : start + RESAMPLES, : 1 + len(costs)] = _detection(trials, tests, drawn, costs)
    heard = weights @ tests
    with np.errstate(invalid="ignore"):
        if calibrated:
            found[:, -3] = _cllr(scores, truth, tests, weights)
        hits = np.stack([np.bincount(truth, hit, minlength=len(scores)) for hit in identified(scores, truth)], axis=1)
        found[:, -2:] = weights @ hits / heard[:, None]
    return found


def identified(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Say which songs are found at the top.

    Parameters
    ----------
    scores : np.ndarray [shape=(M, n)]
    truth : np.ndarray [shape=(n,)]

    Returns
    -------
    np.ndarray [shape=(2, n)], in [0, 1]
        Whether the artist is the first, and among the first five. Where models have the same score, the chance of it
        if their order is drawn.
    """
    own = scores[truth, np.arange(scores.shape[1])]
    better = (scores > own).sum(axis=0)
    equal = (scores == own).sum(axis=0)  # the artist's own model among them
    return np.stack([np.clip((top - better) / equal, 0.0, 1.0) for top in TOPS])


def pair_counts(tests: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Count non-target trials of resamples, (R,)."""
    weights = weights.astype(np.float64)
    return np.asarray(weights.sum(axis=1) * (weights @ tests) - weights**2 @ tests)


def _detection(
    trials: SortedTrials, tests: np.ndarray, weights: np.ndarray, costs: Sequence[tuple[float, float]]
) -> np.ndarray:
    """Give EER and minDCF of some resamples, (R, 1 + priors)."""
    pairs, heard = pair_counts(tests, weights), weights @ tests
    found = np.full((len(weights), 1 + len(costs)), np.nan)
    defined = np.flatnonzero((pairs > 0) & (heard > 0))
    if not len(defined):
        return found
    curve = _Curve(len(defined), costs)
    drawn = np.ascontiguousarray(weights[defined].T)  # (artist, resample)
    for false_before, false_at, hits in _counts(trials, drawn):
        if curve.follow(false_before / pairs[defined], false_at / pairs[defined], 1 - hits / heard[defined]):
            break
    found[defined, 0], found[defined, 1:] = curve.equal, curve.least.T
    return found


class _Curve:
    """Follow the error curves of resamples from high thresholds to low ones."""

    def __init__(self, n: int, costs: Sequence[tuple[float, float]]) -> None:
        self.equal = np.full(n, np.nan)
        self.miss = np.ones(n)  # at the last threshold
        self.costs = costs
        self.least = np.stack([np.full(n, of_miss) for of_miss, _ in costs]) if costs else np.empty((0, n))

    def follow(self, before: np.ndarray, at: np.ndarray, miss: np.ndarray) -> bool:
        """Go on by some thresholds, (threshold, resample) each; say whether all is known.

        `before`: false alarms above the threshold, `at`: on it too, `miss`: from it on.
        """
        self._cross(before, at, np.concatenate([self.miss[None], miss[:-1]]), miss)
        self.miss = miss[-1]
        for k, (of_miss, of_alarm) in enumerate(self.costs):
            np.minimum(self.least[k], (of_miss * miss + of_alarm * at).min(axis=0), out=self.least[k])
            # only false alarms grow from here; a share of 1 for them alone is what accepting everything costs
        floor = np.array([of_alarm for _, of_alarm in self.costs])[:, None] * at[-1]
        return bool(np.isfinite(self.equal).all() and (floor >= self.least).all())

    def _cross(self, before: np.ndarray, at: np.ndarray, miss_before: np.ndarray, miss: np.ndarray) -> None:
        beyond = at >= miss
        first = beyond.argmax(axis=0)
        new = np.flatnonzero(beyond.any(axis=0) & ~np.isfinite(self.equal))
        rows = first[new], new
        flat = before[rows] >= miss_before[rows]  # it crosses where only false alarms grow
        lead, after = before[rows] - miss_before[rows], at[rows] - miss[rows]
        step = np.divide(lead, lead - after, out=np.zeros_like(lead), where=~flat)
        slanting = before[rows] + (at[rows] - before[rows]) * step
        self.equal[new] = np.where(flat, miss_before[rows], slanting)


def _counts(trials: SortedTrials, drawn: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Count what is accepted in every resample, some thresholds at a time.

    Yields false alarms above and from each threshold, and hits from each, (threshold, resample) in double precision.
    """
    size, n = len(trials.thresholds), drawn.shape[1]
    false, hits = np.zeros(n), np.zeros(n)
    per_artist = np.bincount(trials.target_artist, minlength=len(drawn))
    # whole numbers in single precision are exact up to here, and twice as fast
    small = drawn.sum(axis=0).max() * (drawn * per_artist[:, None]).sum(axis=0).max() < EXACT
    drawn = drawn.astype(np.float32 if small else np.float64)
    order = np.argsort(trials.target_place, kind="stable")
    places = trials.target_place[order]
    for start in range(0, size, PLACES // 2):
        stop = min(start + PLACES // 2, size)
        counted = _by_place(trials, drawn, 2 * start, 2 * stop).cumsum(axis=0) + false
        low, high = np.searchsorted(places, [start, stop])
        own = np.zeros((stop - start, n))
        np.add.at(own, places[low:high] - start, drawn[trials.target_artist[order[low:high]]])
        own = own.cumsum(axis=0) + hits
        yield counted[::2], counted[1::2], own
        false, hits = counted[-1], own[-1]


def _by_place(trials: SortedTrials, drawn: np.ndarray, first: int, last: int) -> np.ndarray:
    """Count the non-targets of places first … last - 1, (place, resample)."""
    counted = np.zeros((last - first, drawn.shape[1]))
    bounds = trials.starts[first : last + 1]
    for start in range(int(bounds[0]), int(bounds[-1]), TRIALS):
        stop = min(start + TRIALS, int(bounds[-1]))
        products = drawn[trials.model[start:stop]]
        products *= drawn[trials.artist[start:stop]]
        low = int(np.searchsorted(bounds, start, side="right")) - 1
        high = int(np.searchsorted(bounds, stop, side="left"))
        rows = np.clip(bounds[low : high + 1], start, stop) - start
        ones = np.ones(stop - start, dtype=drawn.dtype)
        summed = csr_array((ones, np.arange(stop - start), rows), shape=(high - low, stop - start)) @ products
        counted[low:high] += summed
    return counted


def _cllr(scores: np.ndarray, truth: np.ndarray, tests: np.ndarray, weights: np.ndarray) -> np.ndarray:
    every = np.arange(scores.shape[1])
    hit = np.bincount(truth, trial_costs(scores[truth, every], np.ones(len(every), dtype=bool)), minlength=len(scores))
    false = trial_costs(scores, np.zeros(scores.shape, dtype=bool))
    false[truth, every] = 0.0
    by_artist = np.zeros((len(scores), len(scores)))  # (artist of the song, model)
    np.add.at(by_artist, truth, false.T)
    drawn = weights.astype(np.float64)
    alarms = np.einsum("rb,rb->r", drawn, drawn @ by_artist)
    pairs = pair_counts(tests, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(pairs > 0, (drawn @ hit / (drawn @ tests) + alarms / pairs) / 2, np.nan))
