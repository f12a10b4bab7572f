"""Scores of genre predictions by track.

References
----------
AGF: Kim, Won, Serrà, Liem, "Transfer Learning of Artist Group Factors to Musical Genre Classification",
Companion of The Web Conference 2018, sections 3.2.3 and 5.

Conventions
-----------
A table of predictions has one row a track, each track once: ``track_id, fold, artist_id, genre_true,
genre_predicted`` and one column ``p_<genre>`` for each genre of the training tracks; a row's probabilities sum to 1.
A track whose genre no training track had stays in the evaluation: its genre has the probability 0, so its log loss
is the floor's and its prediction is wrong; `validate` counts and names such genres.

Metrics
-------
* :func:`log_loss`: mean of −ln max(p, 1e-8) of the true genre, in nats
* :func:`f1_macro`: mean of the F1 of the genres that occur in the truth
* :func:`accuracy`: share of the tracks whose most probable genre is the true one
* :func:`f1_by_genre`: F1, precision, recall and support of each genre
* :func:`confusion_matrix`: tracks by true and predicted genre
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError

FLOOR = 1e-8
TOLERANCE = 1e-5
PREFIX = "p_"
FIXED_COLUMNS = ("track_id", "fold", "artist_id", "genre_true", "genre_predicted")
METRICS = ("log_loss", "f1_macro", "accuracy")


@dataclass(frozen=True)
class Checked:
    """What a valid table of predictions says.

    Attributes
    ----------
    classes : tuple of str, sorted
        Genres of the training tracks and of the truth.
    truth, predicted : np.ndarray [shape=(n,)], positions in `classes`
    p_true : np.ndarray [shape=(n,)], in [0, 1]
        Probability of the true genre.
    unseen : dict of str to int
        Tracks by genre that no training track had.
    """

    classes: tuple[str, ...]
    truth: np.ndarray
    predicted: np.ndarray
    p_true: np.ndarray
    unseen: dict[str, int]


def make_predictions(
    probabilities: pd.DataFrame,
    genres: Mapping[str, str | None],
    *,
    artists: Mapping[str, str | None] | None = None,
    fold: int = 0,
) -> pd.DataFrame:
    """Put probabilities and truth side by side.

    Parameters
    ----------
    probabilities : pd.DataFrame [shape=(n_tracks, n_classes)], index track_id
    genres : mapping of track id to genre
    artists : mapping of track id to artist id, optional
        None or NaN for a track without artist.
    fold : int >= 0

    Returns
    -------
    pd.DataFrame
        A table of predictions, sorted by track.

    Raises
    ------
    ArtistTransferError
        If a track has no genre to be compared with.
    """
    table = probabilities.loc[sorted(probabilities.index)]
    truth = [genres.get(track_id) for track_id in table.index]
    without = [track_id for track_id, genre in zip(table.index, truth, strict=True) if pd.isna(genre)]
    if without:
        raise ArtistTransferError(f"{len(without)} evaluated tracks have no genre: {_some(without)}")
    artist = [(artists or {}).get(track_id) for track_id in table.index]
    values = table.to_numpy(dtype=np.float64)
    first = pd.DataFrame(
        {
            "track_id": list(table.index),
            "fold": fold,
            "artist_id": pd.Series([None if pd.isna(x) else x for x in artist], dtype=object),
            "genre_true": truth,
            "genre_predicted": [str(table.columns[position]) for position in values.argmax(axis=1)],
        }
    )
    return pd.concat([first, pd.DataFrame(values, columns=[PREFIX + str(x) for x in table.columns])], axis=1)


def pool_predictions(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the predictions of several folds into one table.

    Parameters
    ----------
    tables : sequence of pd.DataFrame
        Each track in one of them only. A genre that a fold did not train on has probability 0 there.

    Returns
    -------
    pd.DataFrame
        Sorted by track.

    Raises
    ------
    ArtistTransferError
        If there is no table, or a track was predicted twice.
    """
    if not tables:
        raise ArtistTransferError("no predictions to pool")
    columns = sorted({name for table in tables for name in table.columns if name.startswith(PREFIX)})
    pooled = pd.concat([_with_columns(table, columns) for table in tables], ignore_index=True)
    _check_tracks(pooled)
    return pooled.sort_values("track_id", ignore_index=True)


def _with_columns(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    fixed = [name for name in table.columns if not name.startswith(PREFIX)]
    values = {name: table[name].to_numpy() if name in table else np.zeros(len(table)) for name in columns}
    return pd.concat([table[fixed].reset_index(drop=True).astype({"artist_id": object}), pd.DataFrame(values)], axis=1)


def validate(predictions: pd.DataFrame) -> Checked:
    """Check a table of predictions.

    Parameters
    ----------
    predictions : pd.DataFrame

    Returns
    -------
    Checked

    Raises
    ------
    ArtistTransferError
        For a missing column, no row, a track that comes twice, a missing genre, probabilities that are not
        finite, outside [0, 1] or do not sum to 1, or a predicted genre that is unknown or not the most probable.
    """
    missing = [name for name in FIXED_COLUMNS if name not in predictions.columns]
    named = [str(name)[len(PREFIX) :] for name in predictions.columns if str(name).startswith(PREFIX)]
    if missing or not named:
        raise ArtistTransferError(f"predictions: columns missing: {missing or [PREFIX + '<genre>']}")
    if not len(predictions):
        raise ArtistTransferError("predictions: there is no row, so there is nothing to evaluate")
    _check_tracks(predictions)
    tracks = predictions["track_id"].to_numpy()
    probabilities = _checked_probabilities(predictions[[PREFIX + name for name in named]], tracks)
    genres = predictions["genre_true"]
    if genres.isna().any():
        raise ArtistTransferError(f"predictions: genre_true is missing for {_some(tracks[genres.isna()])}")
    column = {name: position for position, name in enumerate(named)}
    _check_predicted(predictions["genre_predicted"], probabilities, column, tracks)
    unseen = Counter(str(name) for name in genres if name not in column)
    classes = tuple(sorted(set(named) | set(unseen)))
    code = {name: position for position, name in enumerate(classes)}
    where = np.array([column.get(name, -1) for name in genres])
    p_true = np.where(where < 0, 0.0, probabilities[np.arange(len(where)), where])
    return Checked(
        classes,
        np.array([code[name] for name in genres]),
        np.array([code[name] for name in predictions["genre_predicted"]]),
        p_true,
        dict(sorted(unseen.items())),
    )


def _check_tracks(predictions: pd.DataFrame) -> None:
    twice = predictions["track_id"][predictions["track_id"].duplicated()]
    if len(twice):
        raise ArtistTransferError(f"predictions: tracks that come more than once: {_some(sorted(set(twice)))}")


def _checked_probabilities(table: pd.DataFrame, tracks: np.ndarray) -> np.ndarray:
    values = table.to_numpy(dtype=np.float64)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise ArtistTransferError(f"predictions: probabilities are not finite for {_some(tracks[~finite])}")
    sums = values.sum(axis=1)
    wrong = (np.abs(sums - 1) > TOLERANCE) | (values < -TOLERANCE).any(axis=1)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ArtistTransferError(
            f"predictions: probabilities must be in [0, 1] and sum to 1; track {tracks[first]!r} has the sum "
            f"{sums[first]:.6g} and the least value {values[first].min():.6g} ({int(wrong.sum())} such tracks)"
        )
    return np.clip(values, 0.0, 1.0)


def _check_predicted(
    predicted: pd.Series, probabilities: np.ndarray, column: Mapping[str, int], tracks: np.ndarray
) -> None:
    unknown = sorted({str(name) for name in predicted if name not in column})
    if unknown:
        raise ArtistTransferError(f"predictions: unknown genre_predicted {unknown}; known are {sorted(column)}")
    chosen = probabilities[np.arange(len(tracks)), [column[name] for name in predicted]]
    below = chosen < probabilities.max(axis=1)
    if below.any():
        raise ArtistTransferError(f"predictions: genre_predicted is not the most probable for {_some(tracks[below])}")


def _some(names: Sequence[object] | np.ndarray, most: int = 5) -> str:
    shown = ", ".join(str(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def log_loss(predictions: pd.DataFrame) -> float:
    """Return the mean of −ln max(p, 1e-8) of the true genre (AGF's convention).

    Parameters
    ----------
    predictions : pd.DataFrame

    Returns
    -------
    float in [0, 18.43], nats
    """
    return float(-np.log(np.maximum(validate(predictions).p_true, FLOOR)).mean())


def accuracy(predictions: pd.DataFrame) -> float:
    """Return the share of tracks whose most probable genre is the true one.

    Parameters
    ----------
    predictions : pd.DataFrame

    Returns
    -------
    float in [0, 1]
    """
    checked = validate(predictions)
    return float((checked.truth == checked.predicted).mean())


def f1_macro(predictions: pd.DataFrame) -> float:
    """Return the mean F1 of the genres that occur in the truth.

    Parameters
    ----------
    predictions : pd.DataFrame

    Returns
    -------
    float in [0, 1]
    """
    return float(f1_by_genre(predictions)["f1"].mean())


def f1_by_genre(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of each genre that occurs in the truth.

    Parameters
    ----------
    predictions : pd.DataFrame

    Returns
    -------
    pd.DataFrame [columns: genre, f1, precision, recall, n_tracks, n_predicted]
        F1 is 0 where nothing is hit, precision 0 where nothing is predicted.
    """
    matrix = confusion_matrix(predictions)
    hit, true, predicted = np.diag(matrix), matrix.to_numpy().sum(axis=1), matrix.to_numpy().sum(axis=0)
    table = pd.DataFrame(
        {
            "genre": matrix.index,
            "f1": 2 * hit / np.maximum(true + predicted, 1),
            "precision": hit / np.maximum(predicted, 1),
            "recall": hit / np.maximum(true, 1),
            "n_tracks": true,
            "n_predicted": predicted,
        }
    )
    return table[table["n_tracks"] > 0].reset_index(drop=True)


def confusion_matrix(predictions: pd.DataFrame) -> pd.DataFrame:
    """Count tracks by true and predicted genre.

    Parameters
    ----------
    predictions : pd.DataFrame

    Returns
    -------
    pd.DataFrame [shape=(n_classes, n_classes)], int64
        Rows: true genre, columns: predicted genre; both all genres of training and truth, sorted.
    """
    checked = validate(predictions)
    size = len(checked.classes)
    counts = np.bincount(checked.truth * size + checked.predicted, minlength=size * size).reshape(size, size)
    names = list(checked.classes)
    return pd.DataFrame(
        counts, index=pd.Index(names, name="genre_true"), columns=pd.Index(names, name="genre_predicted")
    )
