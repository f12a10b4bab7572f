"""Several labels a track: who has which tag, and how well scores rank the tracks of each tag.

Conventions
-----------
* A track with an empty list of tags has none of them: it is a negative of all. One whose list is missing takes no
  part and is counted.
* A tag that all or none of the test tracks have has no AUC; one that all or none of the training tracks have cannot
  be learned. Both are skipped in the macro averages, counted and named with the reason.
* AUC and AP are those of scikit-learn (see `artist_transfer.evaluation.weighted_ranking`), macro is their plain mean
  over the tags, and of several trials the mean is taken.

References
----------
DeepArtistID: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", first version,
section 4: MagnaTagATune with its 50 most frequent tags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import some
from artist_transfer.evaluation.target_labels import held_out_rows, units_of_tracks
from artist_transfer.evaluation.weighted_ranking import MEASURES, RankedRows

SIDES = ("train", "validation", "test")


@dataclass(frozen=True)
class TaggedSplit:
    """Tracks by side, and who has which tag.

    Attributes
    ----------
    train, validation, test : tuple of str, sorted
    tags : tuple of str
        Those that can be learned. Which of them can be evaluated is seen in `tag_metrics`: test tracks have no say in
        what is fitted.
    truth : dict of {"train", "validation", "test"} to np.ndarray [shape=(n, n_tags)], bool
    skipped : dict of tag to reason
        Those that cannot be learned.
    counts : dict of str to int
        ``n_<side>``, ``n_<side>_without_list``, ``n_<side>_untagged``, ``n_tags``, ``n_tags_not_learnable``.
    only_in_test : dict of tag to int
        Test tracks by tag that no training track has.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    tags: tuple[str, ...]
    truth: dict[str, np.ndarray]
    skipped: dict[str, str]
    counts: dict[str, int]
    only_in_test: dict[str, int]


@dataclass(frozen=True)
class TagScores:
    """How strongly each tag is predicted of each test track.

    Attributes
    ----------
    track_ids : tuple of str
    tags : tuple of str
    truth : np.ndarray [shape=(n, n_tags)], bool
    scores : np.ndarray [shape=(n_trials, n, n_tags)], finite
        Larger is more likely.
    skipped : dict of tag to reason
    counts : dict of str to int
    """

    track_ids: tuple[str, ...]
    tags: tuple[str, ...]
    truth: np.ndarray
    scores: np.ndarray
    skipped: dict[str, str]
    counts: dict[str, int]

    def __post_init__(self) -> None:
        """Check shapes and numbers."""
        shape = (len(self.track_ids), len(self.tags))
        if self.truth.shape != shape or self.scores.shape[1:] != shape or self.scores.ndim != 3:
            raise ArtistTransferError(
                f"tag scores: {shape[0]} tracks and {shape[1]} tags, but truth of shape {self.truth.shape} and scores "
                f"of shape {self.scores.shape}"
            )
        bad = np.flatnonzero(~np.isfinite(self.scores).all(axis=(0, 2)))
        if len(bad):
            raise ArtistTransferError(f"tag scores are not finite: {some([self.track_ids[k] for k in bad])}")


def tagged_split(
    words: Mapping[str, Iterable[str] | None],
    *,
    train_ids: Iterable[str],
    test_ids: Iterable[str],
    validation_ids: Iterable[str] = (),
    tags: Sequence[str] | None = None,
) -> TaggedSplit:
    """Sort tagged tracks by side.

    Parameters
    ----------
    words : mapping of track id to tags
        None, NaN or nothing for a track whose tags are not known.
    train_ids, test_ids, validation_ids : iterable of str
    tags : sequence of str, optional
        Which tags; default all of the training tracks, sorted.

    Returns
    -------
    TaggedSplit

    Raises
    ------
    ArtistTransferError
        If a track is on two sides, a side is empty, or no tag can be learned.
    """
    asked = {"train": set(train_ids), "validation": set(validation_ids), "test": set(test_ids)}
    shared = sorted(x for x, n in Counter(x for ids in asked.values() for x in ids).items() if n > 1)
    if shared:
        raise ArtistTransferError(f"{len(shared)} tracks are on two sides of the split: {some(shared)}")
    known = {side: {x: _words(words.get(x)) for x in sorted(ids)} for side, ids in asked.items()}
    lists = {side: {x: found for x, found in of.items() if found is not None} for side, of in known.items()}
    for side in ("train", "test"):
        if not lists[side]:
            raise ArtistTransferError(f"tags: none of {len(asked[side])} {side} tracks has a list of tags")
    in_train = {word for found in lists["train"].values() for word in found}
    wanted = sorted(in_train) if tags is None else list(dict.fromkeys(tags))
    truth = {side: _matrix(lists[side].values(), wanted) for side in SIDES}
    skipped = {tag: why for tag, column in zip(wanted, truth["train"].T) if (why := _reason(column, "training"))}
    kept = [k for k, tag in enumerate(wanted) if tag not in skipped]
    if not kept:
        raise ArtistTransferError(f"tags: none of {len(wanted)} can be learned: {_told(skipped)}")
    missing = Counter(word for found in lists["test"].values() for word in found if word not in in_train)
    counts = {"n_tags": len(kept), "n_tags_not_learnable": len(skipped)}
    for side in SIDES:
        counts |= {f"n_{side}": len(lists[side]), f"n_{side}_without_list": len(asked[side]) - len(lists[side])}
        counts[f"n_{side}_untagged"] = int((~truth[side].any(axis=1)).sum())
    return TaggedSplit(
        tuple(lists["train"]),
        tuple(lists["validation"]),
        tuple(lists["test"]),
        tuple(wanted[k] for k in kept),
        {side: matrix[:, kept] for side, matrix in truth.items()},
        skipped,
        counts,
        dict(sorted(missing.items())),
    )


def hold_out_tagged(split: TaggedSplit, tracks: pd.DataFrame, *, share: float, seed: int) -> TaggedSplit:
    """Make validation tracks of some training artists; a split that has validation tracks stays as it is.

    Parameters
    ----------
    split : TaggedSplit
    tracks : pd.DataFrame
        ``track_id, artist_id`` and, if it is there, ``recording_id``, of all training tracks at least.
    share : float in (0, 1)
        Of the training tracks, at least; whole artists (else recordings, else tracks), never the last one of a tag.
    seed : int >= 0

    Returns
    -------
    TaggedSplit

    Raises
    ------
    ArtistTransferError
        If no artist can be spared.
    """
    if split.validation:
        return split
    truth = split.truth["train"].astype(np.int64)
    every = np.ones((len(truth), 1), dtype=np.int64)
    held = held_out_rows(every, truth, units_of_tracks(split.train, tracks), share=share, seed=seed)
    if not held.any():
        raise ArtistTransferError("tags: no validation tracks can be held out: every artist is the last one of a tag")
    train, validation = (tuple(x for x, out in zip(split.train, held) if out == side) for side in (False, True))
    parts = {"train": split.truth["train"][~held], "validation": split.truth["train"][held]}
    counts = split.counts | {"n_train": len(train), "n_validation": len(validation)}
    return replace(split, train=train, validation=validation, truth=split.truth | parts, counts=counts)


def undefined_tags(split: TaggedSplit) -> dict[str, str]:
    """Say which tags can be learned and not evaluated.

    Parameters
    ----------
    split : TaggedSplit

    Returns
    -------
    dict of tag to reason
    """
    return {tag: why for tag, column in zip(split.tags, split.truth["test"].T) if (why := _reason(column, "test"))}


def tag_metrics(scores: TagScores) -> pd.DataFrame:
    """Score each tag.

    Parameters
    ----------
    scores : TagScores

    Returns
    -------
    pd.DataFrame
        ``tag, auc, ap, n_positive, n_tracks, reason``: the tags in their order, then those that could not be learned;
        where a tag is undefined NaN and the reason, else None.
    """
    values = measures_of(ranked(scores), np.ones((len(scores.track_ids), 1)))[0]
    rows: list[tuple[object, ...]] = [
        (tag, auc, ap, int(column.sum()), len(scores.track_ids), _reason(column, "test"))
        for tag, (auc, ap), column in zip(scores.tags, values, scores.truth.T)
    ]
    rows += [(tag, np.nan, np.nan, None, len(scores.track_ids), why) for tag, why in scores.skipped.items()]
    columns = ["tag", *MEASURES, "n_positive", "n_tracks", "reason"]
    table = pd.DataFrame(rows, columns=columns).astype({"n_positive": "Int64"})
    return table.assign(reason=pd.Series([row[-1] for row in rows], dtype=object))


def macro(metrics: pd.DataFrame) -> dict[str, float]:
    """Average over the tags.

    Parameters
    ----------
    metrics : pd.DataFrame
        As of `tag_metrics`.

    Returns
    -------
    dict of str to float
        ``auc, ap, n_tags, n_tags_skipped``.
    """
    defined = metrics[metrics["auc"].notna()]
    sizes = {"n_tags": float(len(defined)), "n_tags_skipped": float(len(metrics) - len(defined))}
    return {name: float(defined[name].mean()) for name in MEASURES} | sizes


def prior_tags(split: TaggedSplit) -> TagScores:
    """Score every test track by how frequent a tag is in training: what a probe has to beat.

    Parameters
    ----------
    split : TaggedSplit

    Returns
    -------
    TagScores
        All tracks alike, so AUC is 0.5 and AP the share of the test tracks that have the tag.
    """
    shares = split.truth["train"].mean(axis=0)
    return tag_scores(split, np.tile(shares, (1, len(split.test), 1)))


def tag_scores(split: TaggedSplit, scores: np.ndarray) -> TagScores:
    """Put truth and scores of the test tracks side by side.

    Parameters
    ----------
    split : TaggedSplit
    scores : np.ndarray [shape=(n_trials, n_test, n_tags)]

    Returns
    -------
    TagScores
    """
    return TagScores(split.test, split.tags, split.truth["test"], scores, split.skipped, split.counts)


def ranked(scores: TagScores) -> list[list[RankedRows]]:
    """Sort the tracks by score, for each trial and tag.

    Parameters
    ----------
    scores : TagScores

    Returns
    -------
    list (by trial) of list (by tag) of RankedRows
    """
    tags = range(len(scores.tags))
    return [[RankedRows.of(trial[:, k], scores.truth[:, k]) for k in tags] for trial in scores.scores]


def measures_of(rankings: list[list[RankedRows]], weights: np.ndarray) -> np.ndarray:
    """Compute AUC and AP of each tag under each weighting, mean over the trials.

    Parameters
    ----------
    rankings : list of list of RankedRows
        As of `ranked`.
    weights : np.ndarray [shape=(n, m)]

    Returns
    -------
    np.ndarray [shape=(m, n_tags, 2)]
        NaN where a tag is undefined.
    """
    by_trial = [np.stack([tag.measure(weights) for tag in trial], axis=1) for trial in rankings]
    return np.asarray(np.mean(by_trial, axis=0))


def _words(value: object) -> list[str] | None:
    """Give a list of tags; a table read from Parquet holds arrays."""
    if isinstance(value, str):
        raise ArtistTransferError(f"tags: a list of words is needed, found the text {value!r}")
    if isinstance(value, Iterable):
        return [str(word) for word in value]
    return None


def _matrix(lists: Iterable[Sequence[str]], tags: Sequence[str]) -> np.ndarray:
    position = {tag: k for k, tag in enumerate(tags)}
    rows = list(lists)
    matrix = np.zeros((len(rows), len(tags)), dtype=bool)
    for row, found in enumerate(rows):
        matrix[row, [position[word] for word in found if word in position]] = True
    return matrix


def _reason(column: np.ndarray, side: str) -> str | None:
    if not column.any():
        return f"no {side} track has it"
    return f"every {side} track has it" if column.all() else None


def _told(skipped: Mapping[str, str]) -> str:
    return "; ".join(f"{why}: {n} tags" for why, n in sorted(Counter(skipped.values()).items())) or "no tag was given"
