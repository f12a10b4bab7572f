"""Who is trained on and who is tested when features are transferred to a labelled corpus, and what came out.

Conventions
-----------
* A track without a label takes no part on either side; it is counted.
* A label of training tracks only is a class that is never right. A test track whose label no training track has stays
  in the evaluation and is never right. Both are counted and named. A validation track of such a label is left out,
  since a classifier that does not know the class has no loss there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import some
from artist_transfer.evaluation.resampling import units_of

STREAM = 7_011  # keeps these draws apart from others that start from the same seed


@dataclass(frozen=True)
class LabelledSplit:
    """Labelled tracks by side.

    Attributes
    ----------
    train, validation, test : tuple of str, sorted
    labels : dict of track id to label
        Of these tracks.
    classes : tuple of str, sorted
        Labels of the training tracks.
    counts : dict of str to int
        ``n_train, n_validation, n_test``, and those left out: ``n_<side>_without_label``,
        ``n_validation_unknown_label``.
    only_in_train, only_in_test : dict of label to int
        Tracks of labels that the other side does not have.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    labels: dict[str, str]
    classes: tuple[str, ...]
    counts: dict[str, int]
    only_in_train: dict[str, int]
    only_in_test: dict[str, int]

    def codes(self, track_ids: Sequence[str]) -> np.ndarray:
        """Return the positions of tracks' labels in `classes`.

        Parameters
        ----------
        track_ids : sequence of str

        Returns
        -------
        np.ndarray [shape=(n,)], int64
            -1 for a label that no training track has.
        """
        position = {name: k for k, name in enumerate(self.classes)}
        return np.array([position.get(self.labels[x], -1) for x in track_ids], dtype=np.int64)


@dataclass(frozen=True)
class Classified:
    """What a classifier said of the test tracks.

    Attributes
    ----------
    table : pd.DataFrame
        ``track_id, trial, label_true, label_predicted, correct`` (bool), sorted by trial and track.
    counts : dict of str to int
        Those of the split, and the classifier's own.
    only_in_train, only_in_test : dict of label to int
        As in `LabelledSplit`.
    """

    table: pd.DataFrame
    counts: dict[str, int]
    only_in_train: dict[str, int]
    only_in_test: dict[str, int]

    @property
    def accuracy(self) -> float:
        """Share of the test tracks that are right, mean over the trials."""
        return float(self.table.groupby("trial")["correct"].mean().mean())


def labelled_split(
    labels: Mapping[str, str | None],
    *,
    train_ids: Iterable[str],
    test_ids: Iterable[str],
    validation_ids: Iterable[str] = (),
) -> LabelledSplit:
    """Sort labelled tracks by side.

    Parameters
    ----------
    labels : mapping of track id to label
        None, NaN or nothing for a track without.
    train_ids, test_ids, validation_ids : iterable of str

    Returns
    -------
    LabelledSplit

    Raises
    ------
    ArtistTransferError
        If a track is on two sides, the training tracks have fewer than two labels, or no test track has one.
    """
    sides = {"train": set(train_ids), "validation": set(validation_ids), "test": set(test_ids)}
    names = list(sides)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        shared = sorted(sides[names[first]] & sides[names[second]])
        if shared:
            raise ArtistTransferError(
                f"{len(shared)} tracks are both {names[first]} and {names[second]} tracks: {some(shared)}"
            )
    known = {x: str(labels[x]) for ids in sides.values() for x in sorted(ids) if not pd.isna(labels.get(x))}
    kept = {name: [x for x in sorted(ids) if x in known] for name, ids in sides.items()}
    classes = tuple(sorted({known[x] for x in kept["train"]}))
    if len(classes) < 2:
        found = ", ".join(map(repr, classes)) or "none"
        raise ArtistTransferError(
            f"a classifier needs training tracks of at least two labels; found {found} "
            f"among {len(sides['train'])} training tracks"
        )
    if not kept["test"]:
        raise ArtistTransferError(f"none of {len(sides['test'])} test tracks has a label: nothing to evaluate")
    heard = [x for x in kept["validation"] if known[x] in classes]
    counts = {f"n_{name}": len(ids) for name, ids in kept.items()} | {"n_validation": len(heard)}
    counts |= {f"n_{name}_without_label": len(sides[name]) - len(kept[name]) for name in names}
    counts["n_validation_unknown_label"] = len(kept["validation"]) - len(heard)
    by_side = {name: Counter(known[x] for x in kept[name]) for name in ("train", "test")}
    return LabelledSplit(
        tuple(kept["train"]),
        tuple(heard),
        tuple(kept["test"]),
        {x: known[x] for ids in (kept["train"], heard, kept["test"]) for x in ids},
        classes,
        counts,
        {name: n for name, n in sorted(by_side["train"].items()) if name not in by_side["test"]},
        {name: n for name, n in sorted(by_side["test"].items()) if name not in by_side["train"]},
    )


def hold_out(split: LabelledSplit, tracks: pd.DataFrame, *, share: float, seed: int) -> LabelledSplit:
    """Make validation tracks of some training artists; a split that has validation tracks stays as it is.

    Parameters
    ----------
    split : LabelledSplit
    tracks : pd.DataFrame
        ``track_id, artist_id`` and, if it is there, ``recording_id``, of all training tracks at least.
    share : float in (0, 1)
        Of each label's training tracks, at least; whole artists (else recordings, else tracks) are taken, and never
        the last one of a label.
    seed : int >= 0

    Returns
    -------
    LabelledSplit

    Raises
    ------
    ArtistTransferError
        If the share is impossible, a training track is not in the table, or every label has one artist only.
    """
    if split.validation:
        return split
    if not 0 < share < 1:
        raise ArtistTransferError(f"validation_share must lie between 0 and 1, found {share}")
    of_label = np.eye(len(split.classes), dtype=np.int64)[split.codes(split.train)]
    held = held_out_rows(of_label, of_label, units_of_tracks(split.train, tracks), share=share, seed=seed)
    if not held.any():
        raise ArtistTransferError(
            "no validation tracks can be held out: every label has one training artist only; name validation tracks"
        )
    validation = tuple(x for x, out in zip(split.train, held) if out)
    train = tuple(x for x, out in zip(split.train, held) if not out)
    counts = split.counts | {"n_train": len(train), "n_validation": len(validation)}
    return replace(split, train=train, validation=validation, counts=counts)


def classified(split: LabelledSplit, predicted: np.ndarray, **counts: int) -> Classified:
    """Put truth and predictions side by side.

    Parameters
    ----------
    split : LabelledSplit
    predicted : np.ndarray [shape=(n_trials, n_test)], positions in ``split.classes``
    **counts : int
        The classifier's own.

    Returns
    -------
    Classified
    """
    truth = [split.labels[x] for x in split.test]
    parts = []
    for trial, row in enumerate(predicted):
        said = [split.classes[k] for k in row]
        right = [a == b for a, b in zip(truth, said, strict=True)]
        columns = {"track_id": list(split.test), "trial": trial, "label_true": truth}
        parts.append(pd.DataFrame({**columns, "label_predicted": said, "correct": right}))
    table = pd.concat(parts, ignore_index=True)
    return Classified(table, split.counts | counts, split.only_in_train, split.only_in_test)


def prior_vote(split: LabelledSplit) -> Classified:
    """Call every test track what most training tracks are: what a classifier has to beat.

    Parameters
    ----------
    split : LabelledSplit

    Returns
    -------
    Classified
        Of equally frequent labels the alphabetically first.
    """
    sizes = np.bincount(split.codes(split.train), minlength=len(split.classes))
    return classified(split, np.full((1, len(split.test)), int(sizes.argmax())))


def units_of_tracks(track_ids: Sequence[str], tracks: pd.DataFrame) -> np.ndarray:
    """Find the artist of each track (else its recording, else the track itself), as a number.

    Parameters
    ----------
    track_ids : sequence of str
    tracks : pd.DataFrame
        ``track_id, artist_id`` and, if it is there, ``recording_id``.

    Returns
    -------
    np.ndarray [shape=(n,)], int64

    Raises
    ------
    ArtistTransferError
        If a track is not in the table.
    """
    rows = tracks.set_index("track_id")
    absent = [x for x in track_ids if x not in rows.index]
    if absent:
        raise ArtistTransferError(f"{len(absent)} training tracks are not in the track table: {some(absent)}")
    return units_of(rows.loc[list(track_ids)].reset_index()).of_row


def held_out_rows(
    quota: np.ndarray, protected: np.ndarray, units: np.ndarray, *, share: float, seed: int
) -> np.ndarray:
    """Take whole units in random order, as long as a quota is not full and nothing loses its last row.

    Parameters
    ----------
    quota : np.ndarray [shape=(n, q)], int64
        What is to be shared out, by row: a unit is taken if something it has still lacks its share.
    protected : np.ndarray [shape=(n, p)], int64
        What must stay with the other rows too.
    units : np.ndarray [shape=(n,)]
    share : float in (0, 1)
    seed : int >= 0

    Returns
    -------
    np.ndarray [shape=(n,)], bool
        The rows that are held out.
    """
    wants, keeps = (np.zeros((units.max() + 1, x.shape[1]), dtype=np.int64) for x in (quota, protected))
    np.add.at(wants, units, quota)
    np.add.at(keeps, units, protected)
    left, wanted, taken = keeps.sum(axis=0), share * wants.sum(axis=0), np.zeros(wants.shape[1])
    chosen = np.zeros(len(wants), dtype=bool)
    for unit in np.random.default_rng([seed, STREAM]).permutation(len(wants)):
        lacking = (taken < wanted)[wants[unit] > 0].any()
        if lacking and (left - keeps[unit])[keeps[unit] > 0].all():
            chosen[unit], left, taken = True, left - keeps[unit], taken + wants[unit]
    return chosen[units]
