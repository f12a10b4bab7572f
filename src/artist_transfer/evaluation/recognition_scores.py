"""How well systems recognise artists: error rates with intervals, and paired differences, all on the same trials.

Conventions
-----------
* Verification (EER, minDCF, Cllr) is over all trials of a fold; see `artist_transfer.evaluation.verification`.
* Identification (top1, top5) is the share of test songs whose artist has the highest score, or one of the five highest,
  of all enrolled artists.
* Scores of two folds come from two nets and have no common threshold: a metric is taken of each fold, and the folds'
  mean by test songs is the score. Likewise for trials of a system (nets of several seeds), whose plain mean is taken.
* Resampled are the artists, each with model and test songs, over all folds at once; the same draw serves all systems.
  A target trial counts as often as its artist is drawn, a non-target trial as often as its model's artist times its
  song's; for identification songs are drawn and the enrolled artists stay. The variance between trials comes into the
  interval as in `artist_transfer.evaluation.item_scores`, which also makes the intervals and tests.
* minDCF takes the best threshold of the very trials it is of, which with few non-target trials flatters it: with fewer
  than 30 false alarms' worth the note says so.
* The tests of one metric are one family of Holm's correction.

References
----------
Bengio, Mariéthoz, "A statistical significance test for person authentication", Odyssey 2004, and Poh, Bengio,
"Estimating the confidence interval of expected performance curve in biometric authentication using joint bootstrap",
ICASSP 2007: trials of one person depend on each other, so persons are drawn.
Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1(2), 2007: two crossed factors.
Doddington, Przybocki, Martin, Reynolds, "The NIST speaker recognition evaluation", Speech Communication 31, 2000: the
rule of 30 errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import some
from artist_transfer.evaluation.item_scores import OVERALL, ScoreDraws
from artist_transfer.evaluation.recognition_draws import TOPS, identified, pair_counts, recognition_draws
from artist_transfer.evaluation.recognition_protocol import RecognitionProtocol
from artist_transfer.evaluation.resampling import Units, check_resampling, resamples, units_of
from artist_transfer.evaluation.small_samples import count_units
from artist_transfer.evaluation.trial_lists import check_scores
from artist_transfer.evaluation.trials import deviation, trial_draws
from artist_transfer.evaluation.verification import cost_weights, eer

P_TARGETS = (0.01, 0.05)
ENOUGH_ERRORS = 30  # Doddington's rule: of fewer errors no rate is known to a third with 90 % confidence
Key = tuple[str, int, int]


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores that one system gave the trials of one fold.

    Attributes
    ----------
    system : str
    fold : int
    trial : int
        0, 1, … where a system was made several times, such as nets of several seeds.
    scores : np.ndarray [shape=(M, n)], finite
        Higher for more alike; models and test songs in the order of the fold's protocol.
    calibrated : bool
        Whether they are log-likelihood ratios, so that Cllr means something.
    """

    system: str
    fold: int
    trial: int
    scores: np.ndarray
    calibrated: bool = False


@dataclass(frozen=True, eq=False)
class RecognitionResult:
    """Scores of systems.

    Attributes
    ----------
    score_table : pd.DataFrame
        One row a metric and system: ``system, metric, of`` (overall)``, value, low, high, trial_sd, n_trials, n_items``
        (test songs)``, n_undefined, n_units, unit, note, chance`` (what scores that know nothing would give).
    comparison_table : pd.DataFrame
        One row a metric and pair: ``metric, of, first, second, effect`` (first less second)``, low, high, p, p_holm,
        n_items, n_undefined, n_units, unit, note``.
    artist_table : pd.DataFrame
        One row a system, fold and artist: ``system, fold, artist_id, n_tests, eer`` (of the trials of the artist's own
        model)``, top1, top5``; means over the trials.
    draws : dict of metric to ScoreDraws
        For other comparisons.
    """

    score_table: pd.DataFrame
    comparison_table: pd.DataFrame
    artist_table: pd.DataFrame
    draws: dict[str, ScoreDraws]


def metric_names(p_targets: Sequence[float] = P_TARGETS) -> tuple[str, ...]:
    """Name the metrics.

    Parameters
    ----------
    p_targets : sequence of float in (0, 1)
        Priors of the detection costs.

    Returns
    -------
    tuple of str
        ``eer, min_dcf_0.01, min_dcf_0.05, cllr, top1, top5``.
    """
    return ("eer", *(f"min_dcf_{p:g}" for p in p_targets), "cllr", *(f"top{k}" for k in TOPS))


def evaluate_recognition(
    scored: Iterable[Scored],
    protocols: Mapping[int, RecognitionProtocol],
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    p_targets: Sequence[float] = P_TARGETS,
    pairs: Sequence[tuple[str, str]] | None = None,
    draw_trials: bool = True,
) -> RecognitionResult:
    """Score systems on the same trials.

    Parameters
    ----------
    scored : iterable of Scored
        Each system in every fold, with the same trials in all; read one at a time.
    protocols : mapping of fold to RecognitionProtocol
        An artist may be in several folds; it is drawn for all of them at once.
    n_resamples : int > 0
    level : float in (0, 1)
    seed : int >= 0
    p_targets : sequence of float in (0, 1)
        Priors of the detection costs, each once.
    pairs : sequence of (first, second), optional
        Systems to compare; default every two.
    draw_trials : bool
        Whether the trials are drawn too, so that the interval is for other seeds as well.

    Returns
    -------
    RecognitionResult

    Raises
    ------
    ArtistTransferError
        If there is no system or fold, a system lacks a fold or trial that others of it have or stands twice, a matrix
        is not of its fold's trials or not finite (the trial is named), a pair names a system that is not there, or a
        parameter is out of range.
    """
    check_resampling(n_resamples, level)
    for p in p_targets:
        cost_weights(p)
    metrics = metric_names(p_targets)
    if not protocols or len(set(metrics)) < len(metrics):
        raise ArtistTransferError(f"recognition: {len(protocols)} folds and the metrics {', '.join(metrics)}")
    cohort = _Cohort.of(protocols, n_resamples, seed)
    found: dict[Key, np.ndarray] = {}
    calibrated: dict[str, bool] = {}
    artists: list[pd.DataFrame] = []
    for one in scored:
        _check(one, protocols, found, calibrated)
        protocol = protocols[one.fold]
        scores = np.asarray(one.scores, dtype=np.float64)
        found[one.system, one.fold, one.trial] = recognition_draws(
            scores, protocol.truth, cohort.weights[one.fold], p_targets=p_targets, calibrated=one.calibrated
        )
        artists.append(_by_artist(one.system, one.fold, scores, protocol))
    trials = _trials(found, list(protocols))
    strange = sorted({name for pair in pairs or () for name in pair} - set(trials))
    if strange:
        raise ArtistTransferError(f"recognition: to be compared but not scored: {some(strange)}")
    draws = _score_draws(found, trials, cohort, calibrated, metrics, level=level, seed=seed, draw_trials=draw_trials)
    tables = [drawn.score_table().assign(chance=cohort.chance(name)) for name, drawn in draws.items()]
    for p, table in zip(p_targets, tables[1:]):
        table["note"] = [_noted(note, cohort.too_few(p)) for note in table["note"]]
    compared = [
        drawn.compare([pair for pair in pairs if set(pair) <= set(drawn.systems)] if pairs is not None else None)
        for drawn in draws.values()
    ]
    return RecognitionResult(
        pd.concat(tables, ignore_index=True),
        pd.concat(compared, ignore_index=True),
        pd.concat(artists).groupby(["system", "fold", "artist_id"], as_index=False).mean().astype({"n_tests": "int64"}),
        draws,
    )


@dataclass(frozen=True)
class _Cohort:
    """The artists of all folds and how often each is drawn; the first row of weights is no resample: all are 1."""

    units: Units
    sizes: np.ndarray  # test songs of each artist over all folds
    weights: dict[int, np.ndarray]  # of each fold (1 + resample, its artists)
    tests: dict[int, np.ndarray]  # of each fold test songs of each of its artists
    n_items: int

    @classmethod
    def of(cls, protocols: Mapping[int, RecognitionProtocol], n_resamples: int, seed: int) -> _Cohort:
        tests = pd.concat([protocol.tests for protocol in protocols.values()], ignore_index=True)
        units = units_of(tests)
        names, sizes = np.unique(tests["artist_id"].to_numpy(dtype=str), return_counts=True)
        every = [np.ones((1, len(names))), *resamples(len(names), n_resamples, seed)]
        drawn = np.concatenate(every)
        weights, heard = {}, {}
        for fold, protocol in protocols.items():
            weights[fold] = drawn[:, np.searchsorted(names, np.array(protocol.artists, dtype=str))]
            heard[fold] = np.bincount(protocol.truth).astype(np.float64)
        return cls(units, sizes, weights, heard, len(tests))

    def over_folds(self, by_fold: Mapping[int, np.ndarray]) -> np.ndarray:
        """Average folds by their drawn test songs, (1 + resample, metric); those that are not defined are left out."""
        total, size = 0.0, 0.0
        for fold, values in by_fold.items():
            defined = np.isfinite(values)
            heard = (self.weights[fold] @ self.tests[fold])[:, None] * defined
            total, size = total + heard * np.where(defined, values, 0.0), size + heard
        with np.errstate(invalid="ignore"):
            return np.asarray(total / size)

    def too_few(self, p_target: float) -> str:
        """Say so if there are too few non-target trials to find the threshold of a prior."""
        pairs = min(pair_counts(self.tests[fold], self.weights[fold][:1])[0] for fold in self.tests)
        of_miss, of_alarm = cost_weights(p_target)
        worth = pairs * of_miss / of_alarm
        if worth >= ENOUGH_ERRORS:
            return ""
        return (
            f"of {pairs:,.0f} non-target trials {worth:.1f} false alarms cost as much as to reject all songs: with"
            " so few the least cost is optimistic, and so is its interval"
        )

    def chance(self, metric: str) -> float:
        """Say what a metric is where scores know nothing."""
        if metric == "eer":
            return 0.5
        if not metric.startswith("top"):
            return 1.0
        top = int(metric.removeprefix("top"))
        shares = [(own.sum(), min(1.0, top / len(own))) for own in self.tests.values()]
        return float(np.average([share for _, share in shares], weights=[n for n, _ in shares]))


def _check(
    one: Scored,
    protocols: Mapping[int, RecognitionProtocol],
    found: Mapping[Key, np.ndarray],
    calibrated: dict[str, bool],
) -> None:
    where = f"scores of {one.system!r}, fold {one.fold}, trial {one.trial}"
    if one.fold not in protocols:
        raise ArtistTransferError(f"{where}: no such fold; there are {some(sorted(protocols))}")
    if (one.system, one.fold, one.trial) in found:
        raise ArtistTransferError(f"{where}: stand twice")
    if calibrated.setdefault(one.system, one.calibrated) != one.calibrated:
        raise ArtistTransferError(f"{where}: are calibrated in one fold or trial and not in another")
    check_scores(one.scores, protocols[one.fold], name=where)


def _trials(found: Mapping[Key, np.ndarray], folds: Sequence[int]) -> dict[str, list[int]]:
    """Name the trials of each system; they are the same in every fold."""
    if not found:
        raise ArtistTransferError("recognition: no scores of any system")
    trials: dict[str, list[int]] = {}
    for system in dict.fromkeys(system for system, _, _ in found):
        trials[system] = sorted({trial for name, _, trial in found if name == system})
        missing = [
            f"fold {fold}, trial {trial}"
            for fold in folds
            for trial in trials[system]
            if (system, fold, trial) not in found
        ]
        if missing:
            raise ArtistTransferError(f"scores of {system!r}: missing are {'; '.join(missing[:5])}")
    return trials


def _score_draws(
    found: Mapping[Key, np.ndarray],
    trials: Mapping[str, Sequence[int]],
    cohort: _Cohort,
    calibrated: Mapping[str, bool],
    metrics: Sequence[str],
    *,
    level: float,
    seed: int,
    draw_trials: bool,
) -> dict[str, ScoreDraws]:
    folds = list(cohort.weights)
    scores = {
        system: np.stack([cohort.over_folds({fold: found[system, fold, trial] for fold in folds}) for trial in own])
        for system, own in trials.items()
    }  # (trial, 1 + resample, metric) of each
    n_resamples = len(next(iter(cohort.weights.values()))) - 1
    of_trial = trial_draws([len(own) for own in trials.values()], max(n_resamples, 1), seed)
    result = {}
    for m, metric in enumerate(metrics):
        systems = [system for system in scores if calibrated[system] or metric != "cllr"]
        if not systems:
            continue
        by_trial = [scores[system][:, 0, m][:, None] for system in systems]
        drawn = []
        for system in systems:
            own = scores[system][:, 1:, m].T  # (resample, trial)
            share = of_trial[own.shape[1]][: len(own)] if draw_trials else np.full(own.shape, 1 / own.shape[1])
            drawn.append((own * share).sum(axis=1))
        result[metric] = ScoreDraws(
            metric,
            tuple(systems),
            (OVERALL,),
            np.stack([one.mean(axis=0) for one in by_trial]),
            np.stack(drawn, axis=1)[:, :, None],
            np.stack([deviation(one) for one in by_trial]),
            tuple(len(one) for one in by_trial),
            (cohort.n_items,),
            0,
            cohort.units,
            level,
            (count_units(cohort.sizes),),
            tuple(one if draw_trials else one.mean(axis=0, keepdims=True) for one in by_trial),
        )
    return result


def _noted(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _by_artist(system: str, fold: int, scores: np.ndarray, protocol: RecognitionProtocol) -> pd.DataFrame:
    targets = protocol.targets()
    heard = np.bincount(protocol.truth)
    table = {
        "system": system,
        "fold": fold,
        "artist_id": list(protocol.artists),
        "n_tests": heard,
        "eer": [eer(row, own) for row, own in zip(scores, targets)],
    }
    for top, hit in zip(TOPS, identified(scores, protocol.truth)):
        table[f"top{top}"] = np.bincount(protocol.truth, hit) / heard
    return pd.DataFrame(table)
