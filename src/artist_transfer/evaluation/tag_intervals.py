"""Intervals of AUC and AP by tag and of their macro averages, and paired differences between systems.

Neither measure is a mean over tracks, so it is computed anew in every resample of artists (see
`artist_transfer.evaluation.weighted_ranking`). The macro average of a resample is over the tags that are defined in
it. Draws of artists and trials are those of `artist_transfer.evaluation.item_scores`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.item_scores import ScoreDraws, units_in
from artist_transfer.evaluation.resampling import Units, check_resampling, resamples
from artist_transfer.evaluation.small_samples import UnitCount, count_units
from artist_transfer.evaluation.tagging import TagScores, ranked
from artist_transfer.evaluation.trials import deviation, trial_draws
from artist_transfer.evaluation.weighted_ranking import MEASURES, RankedRows

MACRO = "macro"


def score_tags(
    systems: Mapping[str, TagScores],
    tracks: pd.DataFrame,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    draw_trials: bool = True,
    progress: bool = False,
) -> dict[str, ScoreDraws]:
    """Score rankings of tags, with intervals by bootstrap over artists.

    Parameters
    ----------
    systems : mapping of name to TagScores
        Of the same tracks, tags and truth.
    tracks : pd.DataFrame
        ``track_id, artist_id`` and, if it is there, ``recording_id``.
    n_resamples : int > 0
    level : float in (0, 1)
    seed : int >= 0
    draw_trials : bool
        Whether trials are resampled too, where there are at least two.
    progress : bool

    Returns
    -------
    dict of {"auc", "ap"} to ScoreDraws
        Columns: ``macro``, then each tag that is defined. Of ``macro`` ``n_items`` is the number of tracks, of a tag
        the number of tracks that have it; ``n_undefined`` is the number of tags that are skipped.

    Raises
    ------
    ArtistTransferError
        If there is no system, they are not of the same tracks, tags and truth, or no tag is defined.
    """
    check_resampling(n_resamples, level)
    first = _checked(systems)
    defined = np.flatnonzero(first.truth.any(axis=0) & ~first.truth.all(axis=0))
    if not len(defined):
        raise ArtistTransferError(f"tag scores: none of {len(first.tags)} tags has both positive and negative tracks")
    units = units_in(first.track_ids, tracks)
    rankings = [
        [[tags[k] for k in defined] for tags in ranked(scores)] for scores in systems.values()
    ]  # of each system, by trial and tag
    whole = [_by_trial(system, np.ones((len(first.track_ids), 1)))[:, 0] for system in rankings]
    draws = _drawn(rankings, units, n_resamples=n_resamples, seed=seed, draw_trials=draw_trials, progress=progress)
    columns = (MACRO, *(first.tags[k] for k in defined))
    sizes = (len(first.track_ids), *(int(n) for n in first.truth[:, defined].sum(axis=0)))
    skipped = len(first.tags) - len(defined) + len(first.skipped)
    counts = _unit_counts(first.truth[:, defined], units)
    return {
        measure: ScoreDraws(
            measure,
            tuple(systems),
            columns,
            np.stack([found[..., m].mean(axis=0) for found in whole]),
            draws[..., m],
            np.stack([deviation(found[..., m]) for found in whole]),
            tuple(len(found) for found in whole),
            sizes,
            skipped,
            units,
            level,
            counts,
            tuple(x[..., m] if draw_trials else x[..., m].mean(axis=0, keepdims=True) for x in whole),
        )
        for m, measure in enumerate(MEASURES)
    }


def _unit_counts(truth: np.ndarray, units: Units) -> tuple[UnitCount, ...]:
    """Count the units of the macro average, and of each tag those of the side of which fewer are (have it, or not)."""
    every = np.bincount(units.of_row, minlength=units.count)
    counts = [count_units(every)]
    for column in truth.T:
        having = np.bincount(units.of_row, weights=column, minlength=units.count)
        counts.append(min((count_units(side) for side in (having, every - having)), key=lambda x: x.effective))
    return tuple(counts)


def _checked(systems: Mapping[str, TagScores]) -> TagScores:
    if not systems:
        raise ArtistTransferError("tag scores: there is no system to score")
    (name, first), *others = systems.items()
    for other, scores in others:
        what = [
            label
            for label, same in (
                ("tracks", scores.track_ids == first.track_ids),
                ("tags", scores.tags == first.tags),
                ("truth", np.array_equal(scores.truth, first.truth)),
            )
            if not same
        ]
        if what:
            raise ArtistTransferError(f"tag scores: {name!r} and {other!r} differ in {', '.join(what)}")
    return first


def _by_trial(rankings: list[list[RankedRows]], weights: np.ndarray) -> np.ndarray:
    """Measure each tag under each weighting, and put their mean before them: (trial, weighting, 1 + tag, measure)."""
    found = np.stack([np.stack([tag.measure(weights) for tag in trial], axis=1) for trial in rankings])
    known = np.isfinite(found)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, found, 0.0).sum(axis=2, keepdims=True) / known.sum(axis=2, keepdims=True)
    return np.concatenate([mean, found], axis=2)


def _drawn(
    systems: list[list[list[RankedRows]]],
    units: Units,
    *,
    n_resamples: int,
    seed: int,
    draw_trials: bool,
    progress: bool,
) -> np.ndarray:
    """Measure every system in every resample: (resample, system, 1 + tag, measure)."""
    of_trials = trial_draws([len(system) for system in systems], n_resamples, seed)
    parts, done = [], 0
    with tqdm(total=n_resamples, desc="tags", unit="resample", leave=False, disable=not progress) as bar:
        for drawn in resamples(units.count, n_resamples, seed):
            weights = np.ascontiguousarray(drawn.T)[units.of_row]  # (track, resample)
            scored = []
            for system in systems:
                by_trial = _by_trial(system, weights)
                even = np.full((len(drawn), len(system)), 1 / len(system))
                share = of_trials[len(system)][done : done + len(drawn)] if draw_trials else even
                scored.append(np.einsum("rt,trcm->rcm", share, by_trial))
            parts.append(np.stack(scored, axis=1))
            done += len(drawn)
            bar.update(len(drawn))
    size = len(systems[0][0]) + 1
    return np.concatenate(parts) if parts else np.empty((0, len(systems), size, len(MEASURES)))
