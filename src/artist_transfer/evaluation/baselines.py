"""What any learned feature has to beat: class priors, and MFCC statistics with logistic regression.

Both give what `probe.predict_tracks` gives: a table of genre probabilities by track. The third baseline, the
genre-only net, is a probe on that net's features.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.metrics import FLOOR

DEFAULT_C = (0.01,)


@dataclass(frozen=True)
class LogisticBaseline:
    """Probabilities of the logistic regression, and how it was chosen.

    Attributes
    ----------
    probabilities : pd.DataFrame [shape=(n_tracks, n_classes)], index track_id
    C : float
        Inverse strength of the L2 penalty.
    inner_log_loss : dict of float to float
        By C, over folds of the training artists; empty if there was nothing to choose.
    n_train : int
    """

    probabilities: pd.DataFrame
    C: float
    inner_log_loss: dict[float, float]
    n_train: int


def prior_predictions(
    genres: Mapping[str, str | None], train_ids: Iterable[str], track_ids: Iterable[str]
) -> pd.DataFrame:
    """Give every track the shares of the genres among the training tracks.

    Parameters
    ----------
    genres : mapping of track id to genre
    train_ids, track_ids : iterable of str
        Training tracks without a genre do not count.

    Returns
    -------
    pd.DataFrame [shape=(n_tracks, n_classes)], index track_id
        Its most probable genre is the majority's, everywhere (the alphabetically first of equals).

    Raises
    ------
    ArtistTransferError
        If no training track has a genre.
    """
    _, labels = _labelled(genres, train_ids)
    shares = pd.Series(labels).value_counts(normalize=True).sort_index()
    ids = list(track_ids)
    table = np.tile(shares.to_numpy(dtype=np.float64), (len(ids), 1))
    return pd.DataFrame(table, index=pd.Index(ids, name="track_id"), columns=list(shares.index))


def logistic_predictions(
    statistics: pd.DataFrame,
    genres: Mapping[str, str | None],
    train_ids: Iterable[str],
    track_ids: Iterable[str],
    *,
    C: Sequence[float] = DEFAULT_C,
    artists: Mapping[str, str | None] | None = None,
    seed: int = 0,
) -> LogisticBaseline:
    """Fit multinomial logistic regression on standardised statistics of training tracks, and predict.

    Parameters
    ----------
    statistics : pd.DataFrame [shape=(n_tracks, n_statistics)], index track_id
    genres : mapping of track id to genre
    train_ids, track_ids : iterable of str
        Training tracks without a genre take no part.
    C : sequence of float > 0
        Of more than one, that with the least log loss over 5 inner folds of the training tracks is taken, in which
        no artist is on both sides.
    artists : mapping of track id to artist id, optional
        A track without artist is a group of its own.
    seed : int >= 0
        Of the inner folds.

    Returns
    -------
    LogisticBaseline

    Raises
    ------
    ArtistTransferError
        With fewer than two genres, statistics that are not finite or missing, or no possible C.
    """
    if not len(C) or min(C) <= 0:
        raise ArtistTransferError(f"logistic regression: C must be positive, found {list(C)}")
    ids, labels = _labelled(genres, train_ids)
    if len(set(labels)) < 2:
        raise ArtistTransferError(
            f"logistic regression needs training tracks of at least two genres, found only {labels[0]!r}"
        )
    x, wanted = _matrix(statistics, ids), list(track_ids)
    y = np.array(labels)
    inner: dict[float, float] = {}
    if len(C) > 1:
        groups = np.array([_group(track_id, artists) for track_id in ids])
        inner = {float(value): _inner_log_loss(x, y, groups, C=value, seed=seed) for value in C}
    chosen = min(inner, key=lambda value: (inner[value], value)) if inner else float(C[0])
    model = _model(chosen).fit(x, y)
    probabilities = model.predict_proba(_matrix(statistics, wanted)) if wanted else np.empty((0, len(set(labels))))
    table = pd.DataFrame(probabilities, index=pd.Index(wanted, name="track_id"), columns=list(model.classes_))
    return LogisticBaseline(table, chosen, inner, len(ids))


def _labelled(genres: Mapping[str, str | None], train_ids: Iterable[str]) -> tuple[list[str], list[str]]:
    ids = [track_id for track_id in sorted(set(train_ids)) if not pd.isna(genres.get(track_id))]
    if not ids:
        raise ArtistTransferError("no training track has a genre, so a baseline has nothing to learn from")
    return ids, [str(genres[track_id]) for track_id in ids]


def _matrix(statistics: pd.DataFrame, ids: Sequence[str]) -> np.ndarray:
    missing = [track_id for track_id in ids if track_id not in statistics.index]
    if missing:
        raise ArtistTransferError(f"statistics are missing for {len(missing)} tracks, the first is {missing[0]!r}")
    matrix = statistics.loc[list(ids)].to_numpy(dtype=np.float64)
    bad = ~np.isfinite(matrix).all(axis=1)
    if bad.any():
        raise ArtistTransferError(f"statistics of track {ids[int(bad.argmax())]!r} are not finite")
    return matrix


def _model(C: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=5000))


def _group(track_id: str, artists: Mapping[str, str | None] | None) -> str:
    artist = (artists or {}).get(track_id)
    return f"t:{track_id}" if pd.isna(artist) else f"a:{artist}"


def _inner_log_loss(x: np.ndarray, y: np.ndarray, groups: np.ndarray, *, C: float, seed: int) -> float:
    n_splits = min(5, len(set(groups)), int(min(np.unique(y, return_counts=True)[1])))
    if n_splits < 2:
        raise ArtistTransferError(
            "to choose C, every genre needs two training tracks and there must be two training artists; "
            "give one C instead"
        )
    losses: list[float] = []
    folds = StratifiedGroupKFold(n_splits=n_splits, shuffle=True, random_state=seed)
    for fit, held in folds.split(x, y, groups):
        if len(set(y[fit])) < 2:
            continue  # all artists of the other genres are held out: nothing to fit
        model = _model(C).fit(x[fit], y[fit])
        table = pd.DataFrame(model.predict_proba(x[held]), columns=model.classes_)
        p = [table.at[row, genre] if genre in table else 0.0 for row, genre in enumerate(y[held])]
        losses.extend(-np.log(np.maximum(p, FLOOR)))
    return float(np.mean(losses)) if losses else float("inf")
