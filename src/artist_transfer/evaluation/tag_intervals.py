"""Intervals of AUC and AP by tag and of their macro averages, and paired differences between systems.

Neither measure is a mean over tracks, so it is computed anew in every resample of artists (see
`artist_transfer.evaluation.weighted_ranking`). The macro average of a resample is over the tags that are defined in
it. Draws of artists and trials are those of `artist_transfer.evaluation.item_scores`.

With several folds tracks are ranked within their fold only, since scores of two probes are on no common scale; a tag's
score is the plain mean over the folds in which it is defined.

References
----------
Forman and Scholz, "Apples-to-Apples in Cross-Validation Studies: Pitfalls in Classifier Performance Measurement",
SIGKDD Explorations 12(1), 2010, section 2: AUC by fold, not of pooled scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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
    systems: Mapping[str, TagScores | Sequence[TagScores]],
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
    systems : mapping of name to TagScores, or to a sequence of them
        Of the same tracks, tags and truth; several are of different folds, which share no test track.
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
        Columns: ``macro``, then each tag that is defined in a fold. Of ``macro`` ``n_items`` is the number of tracks,
        of a tag the number of tracks that have it; ``n_undefined`` is the number of tags that are skipped.

    Raises
    ------
    ArtistTransferError
        If there is no system, they are not of the same tracks, tags and truth, folds share a track, or no tag is
        defined.
    """
    check_resampling(n_resamples, level)
    by_fold = {name: [one] if isinstance(one, TagScores) else list(one) for name, one in systems.items()}
    folds = _Folds.of(_checked(by_fold))
    units = units_in(folds.track_ids, tracks)
    rankings = [folds.ranked(scores) for scores in by_fold.values()]  # of each system, by trial and tag
    whole = [_by_trial(system, np.ones((len(folds.track_ids), 1)))[:, 0] for system in rankings]
    draws = _drawn(rankings, units, n_resamples=n_resamples, seed=seed, draw_trials=draw_trials, progress=progress)
    columns = (MACRO, *folds.defined)
    having, lacking = folds.sides()
    sizes = (len(folds.track_ids), *(int(n) for n in having.sum(axis=0)))
    counts = _unit_counts(having, lacking, units)
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
            folds.n_skipped,
            units,
            level,
            counts,
            tuple(x[..., m] if draw_trials else x[..., m].mean(axis=0, keepdims=True) for x in whole),
        )
        for m, measure in enumerate(MEASURES)
    }


@dataclass(frozen=True)
class _Part:
    """Ranked tracks of one fold, and where they stand among all."""

    rows: slice
    ranking: RankedRows


Rankings = list[list[list[_Part]]]  # by trial, tag and fold


@dataclass(frozen=True)
class _Folds:
    """Test tracks of all folds one after the other, and the tags that are defined in some of them."""

    folds: list[TagScores]
    track_ids: list[str]
    defined: list[str]
    n_skipped: int

    @classmethod
    def of(cls, folds: list[TagScores]) -> _Folds:
        ids = [track for fold in folds for track in fold.track_ids]
        if len(set(ids)) < len(ids):
            raise ArtistTransferError(f"tag scores: {len(ids) - len(set(ids))} tracks are tested in two folds")
        tags = list(dict.fromkeys(tag for fold in folds for tag in fold.tags))
        every = {*tags, *(tag for fold in folds for tag in fold.skipped)}
        found = {tag for fold in folds for tag, defined in zip(fold.tags, _defined(fold)) if defined}
        if not found:
            raise ArtistTransferError(f"tag scores: none of {len(tags)} tags has both positive and negative tracks")
        return cls(folds, ids, [tag for tag in tags if tag in found], len(every) - len(found))

    def parts(self, scores: Sequence[TagScores]) -> Iterator[tuple[slice, TagScores, dict[str, int]]]:
        """Give each fold with its rows and its defined tags' columns."""
        start = 0
        for fold in scores:
            rows = slice(start, start + len(fold.track_ids))
            start = rows.stop
            defined = _defined(fold)
            yield rows, fold, {tag: k for k, tag in enumerate(fold.tags) if defined[k]}

    def ranked(self, scores: Sequence[TagScores]) -> Rankings:
        found: Rankings = [[[] for _ in self.defined] for _ in scores[0].scores]
        for rows, fold, place in self.parts(scores):
            for trial, tags in enumerate(ranked(fold)):
                for k, tag in enumerate(self.defined):
                    if tag in place:
                        found[trial][k].append(_Part(rows, tags[place[tag]]))
        return found

    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Say which tracks have each tag and which lack it, in the folds where it is defined: (track, tag) each."""
        having, lacking = (np.zeros((len(self.track_ids), len(self.defined)), dtype=bool) for _ in range(2))
        for rows, fold, place in self.parts(self.folds):
            for k, tag in enumerate(self.defined):
                if tag in place:
                    column = fold.truth[:, place[tag]]
                    having[rows, k], lacking[rows, k] = column, ~column
        return having, lacking


def _defined(fold: TagScores) -> np.ndarray:
    return np.asarray(fold.truth.any(axis=0) & ~fold.truth.all(axis=0))


def _unit_counts(having: np.ndarray, lacking: np.ndarray, units: Units) -> tuple[UnitCount, ...]:
    """Count the units of the macro average, and of each tag those of the side of which fewer are (have it, or not)."""
    counts = [count_units(np.bincount(units.of_row, minlength=units.count))]
    for sides in zip(having.T, lacking.T):
        sizes = [np.bincount(units.of_row, weights=side, minlength=units.count) for side in sides]
        counts.append(min(map(count_units, sizes), key=lambda x: x.effective))
    return tuple(counts)


def _checked(systems: Mapping[str, list[TagScores]]) -> list[TagScores]:
    """Check that all systems are of the same folds, and give those of the first."""
    if not systems or not all(systems.values()):
        raise ArtistTransferError("tag scores: there is no system to score")
    (name, first), *others = systems.items()
    for each, scores in systems.items():
        if len({len(fold.scores) for fold in scores}) > 1:
            raise ArtistTransferError(f"tag scores: {each!r} has not the same number of trials in every fold")
    for other, scores in others:
        if len(scores) != len(first):
            raise ArtistTransferError(f"tag scores: {name!r} and {other!r} differ in folds")
        for mine, theirs in zip(first, scores):
            what = [
                label
                for label, same in (
                    ("tracks", theirs.track_ids == mine.track_ids),
                    ("tags", theirs.tags == mine.tags),
                    ("truth", np.array_equal(theirs.truth, mine.truth)),
                )
                if not same
            ]
            if what:
                raise ArtistTransferError(f"tag scores: {name!r} and {other!r} differ in {', '.join(what)}")
    return first


def _by_trial(rankings: Rankings, weights: np.ndarray) -> np.ndarray:
    """Measure each tag under each weighting, and put their mean before them: (trial, weighting, 1 + tag, measure)."""
    found = np.stack([np.stack([_over_folds(tag, weights) for tag in trial], axis=1) for trial in rankings])
    return np.concatenate([_mean(found, axis=2)[:, :, None], found], axis=2)


def _over_folds(tag: list[_Part], weights: np.ndarray) -> np.ndarray:
    return _mean(np.stack([part.ranking.measure(weights[part.rows]) for part in tag]), axis=0)


def _mean(found: np.ndarray, *, axis: int) -> np.ndarray:
    """Average what is defined; NaN where nothing is."""
    known = np.isfinite(found)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, found, 0.0).sum(axis=axis) / known.sum(axis=axis))


def _drawn(
    systems: list[Rankings],
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
