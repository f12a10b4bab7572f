"""Trials of an evaluation (other choices of queries, other seeds): how they are drawn and how much they differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from artist_transfer.evaluation.small_samples import Between

TRIAL_STREAM = 7_031  # keeps the draws of trials apart from those of artists


def trial_draws(n_trials: Sequence[int], n_resamples: int, seed: int) -> dict[int, np.ndarray]:
    """Give how much each trial counts in each resample.

    Parameters
    ----------
    n_trials : sequence of int > 0
        Of several systems; those with equally many share a draw.
    n_resamples : int > 0
    seed : int >= 0

    Returns
    -------
    dict of number of trials to np.ndarray [shape=(n_resamples, n_trials)]
        Rows sum to 1.
    """
    found = {}
    for n in sorted(set(n_trials)):
        if n == 1:
            found[n] = np.ones((n_resamples, 1))
        else:
            draw = np.random.default_rng([seed, TRIAL_STREAM, n])
            found[n] = draw.multinomial(n - 1, np.full(n, 1 / n), size=n_resamples) / (n - 1)
    return found


def deviation(by_trial: np.ndarray) -> np.ndarray:
    """Return the standard deviation between trials.

    Parameters
    ----------
    by_trial : np.ndarray [shape=(n_trials, …)]

    Returns
    -------
    np.ndarray [shape=(…)]
        NaN of one trial.
    """
    if len(by_trial) < 2:
        return np.full(by_trial.shape[1:], np.nan)
    return np.asarray(by_trial.std(axis=0, ddof=1))


def between_trials(*systems: np.ndarray) -> list[Between]:
    """Say what trials add to the variance of a mean, or of a difference of two.

    Parameters
    ----------
    *systems : np.ndarray [shape=(n_trials, K)]
        Scores of every trial, or their differences where trials are paired.

    Returns
    -------
    list of Between
        One for each that has several trials.
    """
    return [Between.of(by_trial) for by_trial in systems if len(by_trial) > 1]
