"""What a run saves of its scores for curves and histograms: small tables, whatever the number of trials.

Scores of two folds or two nets have no common threshold, so their trials are not pooled: a curve is the mean of their
misses at equal false alarms, and a histogram adds up counts in common bins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.verification import det_curve, validate

POINTS, BINS = 301, 60
EDGE = 4.0  # in standard deviations: rates from 0.003 % to 99.997 %
Part = tuple[np.ndarray, np.ndarray]
"""Scores and whether each is of a target, both of one shape, of one fold and net."""


def det_rows(system: str, n_artists_trained: float, parts: Sequence[Part], *, points: int = POINTS) -> pd.DataFrame:
    """Make a system's rows of the table of DET curves.

    Parameters
    ----------
    system : str
    n_artists_trained : float
        NaN where it means nothing.
    parts : sequence of (scores, targets)
        Each fold and net by itself.
    points : int > 1
        False alarms at which the curve is taken, evenly on the normal deviate scale.

    Returns
    -------
    pd.DataFrame
        ``system, n_artists_trained, false_alarm, miss``: at each false alarm rate the least miss rate that a threshold
        with no more false alarms gives, averaged over the parts by their targets.

    Raises
    ------
    ArtistTransferError
        If there is no part, or one has no target, no non-target or a score that is not finite.
    """
    grid = np.concatenate([[0.0], norm.cdf(np.linspace(-EDGE, EDGE, points)), [1.0]])
    misses, sizes = [], []
    for scores, targets in _some(system, parts):
        false_alarm, miss, _ = det_curve(scores, targets)
        misses.append(miss[np.searchsorted(false_alarm, grid, side="right") - 1])
        sizes.append(np.count_nonzero(targets))
    rates = {"false_alarm": grid, "miss": np.average(misses, axis=0, weights=sizes)}
    return pd.DataFrame({"system": system, "n_artists_trained": n_artists_trained, **rates})


def histogram_rows(system: str, n_artists_trained: float, parts: Sequence[Part], *, bins: int = BINS) -> pd.DataFrame:
    """Make a system's rows of the table of score histograms.

    Parameters
    ----------
    system : str
    n_artists_trained : float
    parts : sequence of (scores, targets)
    bins : int > 0
        From the least score of all parts to the largest.

    Returns
    -------
    pd.DataFrame
        ``system, n_artists_trained, target, left, right, count``; every trial is counted once.

    Raises
    ------
    ArtistTransferError
        As of `det_rows`.
    """
    known = _some(system, parts)
    for scores, targets in known:
        validate(scores, targets)
    low, high = min(float(np.min(scores)) for scores, _ in known), max(float(np.max(scores)) for scores, _ in known)
    # a range that rounding cannot part into bins is widened about its only score
    edges = np.histogram_bin_edges(np.array([low, high if high - low > 1e-9 * max(1.0, abs(low)) else low]), bins)
    tables = []
    for target in (True, False):
        count = sum(np.histogram(np.asarray(scores)[np.asarray(own) == target], edges)[0] for scores, own in known)
        tables.append(pd.DataFrame({"target": target, "left": edges[:-1], "right": edges[1:], "count": count}))
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "n_artists_trained", n_artists_trained)
    table.insert(0, "system", system)
    return table


def _some(system: str, parts: Sequence[Part]) -> list[Part]:
    if not len(parts):
        raise ArtistTransferError(f"recognition: there are no scores of {system!r}")
    return list(parts)
