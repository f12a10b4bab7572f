"""What the nets of a fold learn: its training tracks with their targets, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from artist_transfer.tasks import ARTIST

if TYPE_CHECKING:
    from artist_transfer.training.targets import TaskTarget

_LABELS = {"g": ("genre_top", "genre"), ARTIST: ("artist_id", "artist")}


def tracks_of(usable_table: pd.DataFrame, split_table: pd.DataFrame, *, fold: int, side: str) -> pd.DataFrame:
    """Return the usable tracks on one side of a fold, sorted by track.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    fold : int
        The fold.
    side : str
        The side.

    Returns
    -------
    pd.DataFrame
        Rows of `usable_table`.
    """
    rows = split_table[(split_table["fold"] == fold) & (split_table["side"] == side)]
    return usable_table[usable_table["track_id"].isin(rows["track_id"])].sort_values("track_id", ignore_index=True)


def fold_targets(
    tasks: str, tracks: pd.DataFrame, factor_tables: Mapping[str, pd.DataFrame], *, fold: int
) -> tuple[dict[str, TaskTarget], dict[str, str]]:
    """Make the targets of the tasks that this fold has any for.

    Parameters
    ----------
    tasks : str
        Task letters; a is the artist's identity.
    tracks : pd.DataFrame
        Training tracks, sorted.
    factor_tables : mapping of str to pd.DataFrame
        By task letter.
    fold : int
        The fold.

    Returns
    -------
    targets : dict of str to TaskTarget
        By task letter.
    left_out : dict of str to str
        Task letter to the reason why it has no target.
    """
    targets: dict[str, TaskTarget] = {}
    left_out: dict[str, str] = {}
    for task in tasks:
        if task in _LABELS:
            made = label_target(task, tracks)
        else:
            made = factor_target(task, tracks, factor_tables[task], fold=fold)
        if isinstance(made, str):
            left_out[task] = made
        else:
            targets[task] = made
    return targets, left_out


def label_target(task: str, tracks: pd.DataFrame) -> TaskTarget | str:
    """Make one-hot targets of genre or artist, or say why there are none.

    Parameters
    ----------
    task : {"g", "a"}
        Genre or artist.
    tracks : pd.DataFrame
        Training tracks, sorted.

    Returns
    -------
    TaskTarget or str
        The targets over the classes of these tracks, or the reason.
    """
    from artist_transfer.training.targets import TaskTarget

    column, name = _LABELS[task]
    labels = [None if pd.isna(label) else str(label) for label in tracks[column]]
    classes = sorted({label for label in labels if label is not None})
    if len(classes) < 2:
        return f"the training tracks have {len(classes)} {name}(s), and a classifier needs two"
    return TaskTarget.from_labels(task, labels, classes)


def factor_target(task: str, tracks: pd.DataFrame, factor_table: pd.DataFrame, *, fold: int) -> TaskTarget | str:
    """Give every track the factors of its artist, or say why there are none.

    Parameters
    ----------
    task : str
        s, e, d or m.
    tracks : pd.DataFrame
        Training tracks, sorted.
    factor_table : pd.DataFrame
        The factors of the feature set.
    fold : int
        The fold.

    Returns
    -------
    TaskTarget or str
        The soft targets, or the reason.
    """
    from artist_transfer.training.targets import TaskTarget

    rows = factor_table[factor_table["fold"] == fold] if len(factor_table) else factor_table
    if not len(rows):
        return "no artist has a factor of this feature set"
    factors = rows.drop(columns=["fold"]).set_index("artist_id").dropna(axis=1, how="all")
    if factors.shape[1] < 2:
        return f"the feature set has {factors.shape[1]} artist group(s), and a target needs two"
    vectors = factors.reindex(tracks["artist_id"]).to_numpy(dtype=np.float32)
    if np.isnan(vectors).all():
        return "no training track has an artist with a factor of this feature set"
    return TaskTarget.from_vectors(task, vectors)
