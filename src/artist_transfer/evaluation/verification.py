"""Verification: are these two of one artist? Error rates of scores for which both answers are known.

Conventions
-----------
* A score is higher, the more alike; a trial is accepted if its score is at least the threshold.
* **Miss rate**: the share of target trials that are rejected. **False alarm rate**: the share of non-target trials that
  are accepted. Equal scores are accepted or rejected together.
* The **curve** joins the points of all thresholds (every score that occurs, and one above all) by straight lines, in
  the plane of false alarm and miss rate. It is a staircase; where a target and a non-target have the same score it has
  a slanting step, which is what breaking the tie at random would give on average.
* **EER** is where miss and false alarm rate are equal *on that curve* (``curve="steps"``). It depends on the order of
  scores alone, is ½ if all scores are equal, and turns into one less itself if targets and non-targets change places.
  ``curve="hull"`` gives the EER of the lower convex hull of the same points ("ROCCH-EER"), which is never larger, and
  markedly smaller where there are few trials: of its thresholds nobody knows beforehand which to take.
* **minDCF** is the least of c_miss · p_target · miss + c_fa · (1 − p_target) · false alarm over all thresholds,
  divided by what the better of accepting and rejecting everything costs: 1 means that the scores are of no use.
* **Cllr** is the mean cost of log-likelihood ratios in bits: 0 is perfect, 1 is worth no more than knowing nothing.
* Weights count a trial more than once.

References
----------
Martin, Doddington, Kamm, Ordowski, Przybocki, "The DET curve in assessment of detection task performance", Eurospeech
1997.
Brümmer, du Preez, "Application-independent evaluation of speaker detection", Computer Speech and Language 20, 2006:
Cllr, minDCF, the threshold of log-likelihood ratios.
Brümmer, "Measuring, refining and calibrating speaker and language information extracted from speech", PhD thesis,
Stellenbosch 2010: the convex hull of the ROC and its EER.
NIST, "The NIST Year 2012 Speaker Recognition Evaluation Plan": normalised costs with prior 0.01.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from artist_transfer.errors import ArtistTransferError

Curve = Literal["steps", "hull"]
CURVES = ("steps", "hull")


def validate(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> None:
    """Refuse scores of which no error rate can be taken.

    Parameters
    ----------
    scores : np.ndarray [shape=S], finite
        Of any shape.
    targets : np.ndarray [shape=S], bool
        Whether a trial is one of the same artist.
    weights : np.ndarray [shape=S], finite, >= 0, optional

    Raises
    ------
    ArtistTransferError
        If shapes differ, the targets are not bool, a score or weight is not finite (the first is named), or there is
        no target or no non-target trial.
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    if targets.dtype != np.bool_:
        raise ArtistTransferError(f"verification: targets must be bool, found {targets.dtype}")
    for name, other in (("targets", targets), ("weights", targets if weights is None else np.asarray(weights))):
        if other.shape != scores.shape:
            raise ArtistTransferError(f"verification: scores of shape {scores.shape}, but {name} of {other.shape}")
    if not np.issubdtype(scores.dtype, np.number) or np.iscomplexobj(scores):
        raise ArtistTransferError(f"verification: scores must be numbers, found {scores.dtype}")
    for name, values in (("scores", scores), ("weights", np.zeros(0) if weights is None else np.asarray(weights))):
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            at = ", ".join(str(k) for k in np.unravel_index(bad[0], values.shape))
            raise ArtistTransferError(
                f"verification: {len(bad):,} {name} are not finite, the first ({values.flat[bad[0]]}) at [{at}]"
            )
    if weights is not None and (np.asarray(weights) < 0).any():
        raise ArtistTransferError(f"verification: weights must not be negative, found {np.min(weights):g}")
    counted = np.ones(targets.shape) if weights is None else np.asarray(weights)
    if not counted[targets].sum() > 0 or not counted[~targets].sum() > 0:
        raise ArtistTransferError(
            f"verification: needs target and non-target trials, found {int(targets.sum()):,} target and"
            f" {int((~targets).sum()):,} non-target{'' if weights is None else ' (some have no weight)'}"
        )


def det_curve(
    scores: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give both error rates at every threshold.

    Parameters
    ----------
    scores : np.ndarray [shape=S], finite
    targets : np.ndarray [shape=S], bool
    weights : np.ndarray [shape=S], >= 0, optional

    Returns
    -------
    false_alarm : np.ndarray [shape=(k + 1,)], in [0, 1], not falling
        From 0 (nothing accepted) to 1.
    miss : np.ndarray [shape=(k + 1,)], in [0, 1], not rising
        From 1 to 0.
    thresholds : np.ndarray [shape=(k + 1,)], falling
        Infinity, then the k different scores.

    Raises
    ------
    ArtistTransferError
        As of `validate`.
    """
    validate(scores, targets, weights)
    flat = np.asarray(scores, dtype=np.float64).ravel()
    order = np.argsort(-flat, kind="stable")
    flat, own = flat[order], np.asarray(targets).ravel()[order]
    counted = np.ones(len(flat)) if weights is None else np.asarray(weights, dtype=np.float64).ravel()[order]
    last = np.append(np.flatnonzero(np.diff(flat)), len(flat) - 1)  # of each group of equal scores
    hit, wrong = (np.cumsum(np.where(own == side, counted, 0.0))[last] for side in (True, False))
    false_alarm, miss = np.append(0.0, wrong / wrong[-1]), 1 - np.append(0.0, hit / hit[-1])
    return false_alarm, miss, np.append(np.inf, flat[last])


def equal_error(false_alarm: np.ndarray, miss: np.ndarray) -> float:
    """Find where a curve has equal error rates.

    Parameters
    ----------
    false_alarm : np.ndarray [shape=(k,)], from 0 to 1, not falling
    miss : np.ndarray [shape=(k,)], from 1 to 0, not rising
        Points in order, joined by straight lines.

    Returns
    -------
    float in [0, 1]
    """
    lead = false_alarm - miss
    at = int(np.argmax(lead >= 0))  # never the first point, where all is missed
    before, after = lead[at - 1], lead[at]
    return float(false_alarm[at - 1] + (false_alarm[at] - false_alarm[at - 1]) * before / (before - after))


def eer(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None, *, curve: Curve = "steps") -> float:
    """Equal error rate.

    Parameters
    ----------
    scores : np.ndarray [shape=S], finite
    targets : np.ndarray [shape=S], bool
    weights : np.ndarray [shape=S], >= 0, optional
    curve : {"steps", "hull"}
        The curve through all thresholds, or its lower convex hull.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ArtistTransferError
        As of `validate`, and if there is no such curve.
    """
    if curve not in CURVES:
        raise ArtistTransferError(f"eer: curve={curve!r}; allowed: {', '.join(CURVES)}")
    false_alarm, miss, _ = det_curve(scores, targets, weights)
    if curve == "hull":
        false_alarm, miss = _lower_hull(false_alarm, miss)
    return equal_error(false_alarm, miss)


def min_dcf(
    scores: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    p_target: float,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Least detection cost of any threshold, normalised.

    Parameters
    ----------
    scores : np.ndarray [shape=S], finite
    targets : np.ndarray [shape=S], bool
    weights : np.ndarray [shape=S], >= 0, optional
    p_target : float in (0, 1)
        How likely a trial is one of the same artist where the system is to be used, not in the list.
    c_miss, c_fa : float > 0
        What the errors cost.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ArtistTransferError
        As of `validate`, and if prior or costs are out of range.
    """
    of_miss, of_alarm = cost_weights(p_target, c_miss, c_fa)
    false_alarm, miss, _ = det_curve(scores, targets, weights)
    return float((of_miss * miss + of_alarm * false_alarm).min())


def bayes_threshold(p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """Threshold of log-likelihood ratios from which on accepting costs less than rejecting.

    Parameters
    ----------
    p_target : float in (0, 1)
    c_miss, c_fa : float > 0

    Returns
    -------
    float
        Natural logarithm.

    Raises
    ------
    ArtistTransferError
        If one is out of range.
    """
    cost_weights(p_target, c_miss, c_fa)
    return float(np.log(c_fa * (1 - p_target)) - np.log(c_miss * p_target))


def cost_weights(p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> tuple[float, float]:
    """Say what miss rate and false alarm rate count in a normalised cost.

    Parameters
    ----------
    p_target : float in (0, 1)
    c_miss, c_fa : float > 0

    Returns
    -------
    (float, float)
        At least 1 each, and one of them is 1.

    Raises
    ------
    ArtistTransferError
        If one is out of range.
    """
    if not 0 < p_target < 1 or not (0 < c_miss < np.inf and 0 < c_fa < np.inf):
        raise ArtistTransferError(
            f"detection cost: p_target={p_target!r} must lie between 0 and 1, c_miss={c_miss!r} and c_fa={c_fa!r}"
            " above 0"
        )
    of_miss, of_alarm = c_miss * p_target, c_fa * (1 - p_target)
    least = min(of_miss, of_alarm)
    return of_miss / least, of_alarm / least


def cllr(llrs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Cost of log-likelihood ratios.

    Parameters
    ----------
    llrs : np.ndarray [shape=S], finite
        Natural logarithms of likelihood ratios: calibrated scores.
    targets : np.ndarray [shape=S], bool
    weights : np.ndarray [shape=S], >= 0, optional

    Returns
    -------
    float >= 0
        In bits.

    Raises
    ------
    ArtistTransferError
        As of `validate`.
    """
    validate(llrs, targets, weights)
    own = np.asarray(targets)
    costs = trial_costs(np.asarray(llrs, dtype=np.float64), own)
    counted = np.ones(costs.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    return float(sum(np.average(costs[side], weights=counted[side]) for side in (own, ~own)) / 2)


def trial_costs(llrs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Give what `cllr` averages.

    Parameters
    ----------
    llrs : np.ndarray [shape=S]
    targets : np.ndarray [shape=S], bool

    Returns
    -------
    np.ndarray [shape=S], >= 0
        In bits.
    """
    return np.asarray(np.logaddexp(0.0, np.where(targets, -llrs, llrs)) / np.log(2))


def _lower_hull(false_alarm: np.ndarray, miss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the corners of the lower convex hull of a curve that falls from (0, 1) to (1, 0)."""
    moves = np.append(True, (np.diff(false_alarm) > 0) | (np.diff(miss) < 0))  # not by a trial without weight
    false_alarm, miss = false_alarm[moves], miss[moves]
    corner = np.ones(len(miss), dtype=bool)  # only where a fall ends: half of the points of a staircase or fewer
    corner[1:-1] = (np.diff(miss)[:-1] < 0) & (np.diff(false_alarm)[1:] > 0)
    hull: list[tuple[float, float]] = []
    for x, y in zip(false_alarm[corner].tolist(), miss[corner].tolist()):
        while len(hull) > 1 and _turns_up(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    found = np.array(hull)
    return found[:, 0], found[:, 1]


def _turns_up(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    """Whether the middle one lies on or above the line of the others."""
    return (middle[0] - first[0]) * (last[1] - first[1]) <= (middle[1] - first[1]) * (last[0] - first[0])
