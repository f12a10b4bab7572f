"""Which labels stand on which sides of a split: one that training has not seen cannot be predicted."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from artist_transfer.errors import ArtistTransferError

_SIDES = {"training": "train", "validation": "validation", "test": "test"}


def labels_by_side(
    track_table: pd.DataFrame, sides: Sequence[str | None] | pd.Series | None = None, *, column: str = "genre_top"
) -> pd.DataFrame:
    """Count the tracks of each label on each side of a split.

    Parameters
    ----------
    track_table : pd.DataFrame [shape=(n, any)]
        The tracks.
    sides : sequence of str [shape=(n,)], optional
        Side of each row, in the names of the track table or of the split table; default: ``official_split``.
        Rows of other sides, or of none, are not counted.
    column : {"genre_top", "genres"}
        The label of a track, or its words.

    Returns
    -------
    pd.DataFrame [shape=(labels, 4)]
        ``label``, ``train``, ``validation``, ``test``: tracks, sorted by label.

    Raises
    ------
    ArtistTransferError
        If the column is unknown, or `sides` has another length.
    """
    if column not in ("genre_top", "genres"):
        raise ArtistTransferError(f"labels: column {column!r} is unknown; allowed: genre_top, genres.")
    given = track_table["official_split"] if sides is None else sides
    if len(given) != len(track_table):
        raise ArtistTransferError(f"labels: {len(given)} sides for {len(track_table)} tracks; allowed: one a track.")
    names = [None if pd.isna(side) else _SIDES.get(str(side), str(side)) for side in given]
    both = pd.DataFrame({"label": track_table[column].tolist(), "side": names}).explode("label").dropna()
    both = both[both["side"].isin(_SIDES.values())]
    counts = pd.crosstab(both["label"], both["side"]).reindex(columns=list(_SIDES.values()), fill_value=0)
    counts.columns.name = None
    return counts.sort_index().reset_index().astype({"label": "str"})


def labels_in_training(
    track_table: pd.DataFrame, sides: Sequence[str | None] | pd.Series | None = None, *, column: str = "genre_top"
) -> tuple[tuple[str, ...], dict[str, object]]:
    """Return the labels that a classifier can learn, and name those that stand in one split only.

    Parameters
    ----------
    track_table : pd.DataFrame [shape=(n, any)]
        The tracks.
    sides : sequence of str [shape=(n,)], optional
        Side of each row; default: ``official_split``.
    column : {"genre_top", "genres"}
        The label of a track, or its words.

    Returns
    -------
    labels : tuple of str
        Labels with a training track, sorted: the classes. No classifier can be right on a track of another one.
    facts : dict
        ``labels``; ``not in training``: label to its validation and test tracks; ``tracks of
        them``: their sum; ``not in test``: label to its training tracks (trained on, nothing to measure);
        ``in one split only``: all labels that are.

    Raises
    ------
    ArtistTransferError
        If no label has a training track, or none of those has a test track.
    """
    counts = labels_by_side(track_table, sides, column=column).set_index("label")
    taught = counts[counts["train"] > 0]
    if taught.empty:
        raise ArtistTransferError(f"labels: no {column} has a training track; at least 1 is needed.")
    if not taught["test"].any():
        raise ArtistTransferError(
            f"labels: none of the {len(taught)} labels in training has a test track ({', '.join(taught.index[:5])});"
            " at least 1 is needed."
        )
    untaught = counts[counts["train"] == 0]
    elsewhere = (untaught["validation"] + untaught["test"]).to_dict()
    untested = taught.loc[taught["test"] == 0, "train"].to_dict()
    alone = counts[(counts > 0).sum(axis=1) == 1].index.tolist()
    return tuple(taught.index), {
        "labels": len(taught),
        "not in training": {str(label): int(count) for label, count in elsewhere.items()},
        "tracks of them": int(sum(elsewhere.values())),
        "not in test": {str(label): int(count) for label, count in untested.items()},
        "in one split only": alone,
    }
