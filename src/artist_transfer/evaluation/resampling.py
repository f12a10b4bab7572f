"""What a bootstrap over artists is made of: units, their sums, scores of sums, and how often each is drawn.

A track without an artist is a unit of its own (its recording is, where the table has ``recording_id``). Every score
is a function of sums over units, so a resample is a product of its multiplicities with these sums. Intervals and p
values are made of the resamples in `artist_transfer.evaluation.small_samples`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.metrics import FLOOR, Checked
from artist_transfer.evaluation.small_samples import MIN_UNITS

STREAM = 7_001  # keeps these draws apart from others that start from the same seed
CHUNK = 256  # resamples drawn at once


@dataclass(frozen=True)
class Units:
    """What is resampled.

    Attributes
    ----------
    name : {"artist", "recording", "track"}
        What a unit is.
    of_row : np.ndarray [shape=(n_tracks,)], in 0 … count − 1
        The unit of each row.
    count : int > 0
        How many there are.
    note : str
        What a reader has to know about intervals over them; empty if nothing.
    """

    name: str
    of_row: np.ndarray
    count: int
    note: str


def check_resampling(n_resamples: int, level: float) -> None:
    """Refuse a number of resamples or a level of which no interval can be made.

    Parameters
    ----------
    n_resamples : int > 0
    level : float in (0, 1)

    Raises
    ------
    ArtistTransferError
        If one is out of range.
    """
    if n_resamples < 1 or not 0 < level < 1:
        raise ArtistTransferError(
            f"bootstrap: resamples must be at least 1 (found {n_resamples}) and the level between 0 and 1 ({level})"
        )


def units_of(tracks: pd.DataFrame) -> Units:
    """Find what is to be resampled: the artist of a track, else its recording, else the track itself.

    Units are called recordings only if one of them has several tracks.

    Parameters
    ----------
    tracks : pd.DataFrame
        ``track_id, artist_id`` and, if it is there, ``recording_id``; each track once.

    Returns
    -------
    Units
        Numbered in the order of their names, so independently of the order of the rows.
    """
    artists = tracks["artist_id"]
    known = artists.notna().to_numpy()
    own = tracks["track_id"].astype(str)
    if "recording_id" in tracks.columns:
        own = tracks["recording_id"].fillna(tracks["track_id"]).astype(str)
    several = own.duplicated().any()  # else a recording is a track, and no more is known than that
    labels = np.where(known, "a:" + artists.astype(str), "t:" + own)
    distinct, of_row = np.unique(labels.astype(str), return_inverse=True)
    name = "artist" if known.any() else "recording" if several else "track"
    notes = []
    if name != "artist":
        notes.append(f"no track has an artist: the intervals are over {name}s and may be too narrow")
    elif not known.all():
        notes.append(f"{int((~known).sum())} tracks without artist are units of their own")
    if len(distinct) < 2:
        notes.append(f"with {len(distinct)} {name} there is nothing to resample: no interval")
    elif len(distinct) < MIN_UNITS:
        notes.append(f"{len(distinct)} {name}s are too few for a verdict on any difference: it takes {MIN_UNITS}")
    return Units(name, of_row, len(distinct), "; ".join(notes))


def sums_by_unit(checked: Checked, units: Units) -> np.ndarray:
    """Sum what the scores need over each unit's tracks.

    Parameters
    ----------
    checked : Checked
        Of n tracks and C classes.
    units : Units
        Of the same rows.

    Returns
    -------
    np.ndarray [shape=(count, 2 + 3 C)]
        Tracks, log loss (nats), then by class: hits, truth, predictions.
    """
    size, n = len(checked.classes), len(checked.truth)
    rows = np.zeros((n, 2 + 3 * size))
    rows[:, 0] = 1
    rows[:, 1] = -np.log(np.maximum(checked.p_true, FLOOR))
    every = np.arange(n)
    rows[every, 2 + checked.truth] = checked.truth == checked.predicted
    rows[every, 2 + size + checked.truth] = 1
    rows[every, 2 + 2 * size + checked.predicted] = 1
    sums = np.zeros((units.count, rows.shape[1]))
    np.add.at(sums, units.of_row, rows)
    return sums


def scores_of_sums(sums: np.ndarray) -> np.ndarray:
    """Turn sums over tracks into scores.

    Parameters
    ----------
    sums : np.ndarray [shape=(n, 2 + 3 C)]
        As of `sums_by_unit`, summed over units; each row of at least one track.

    Returns
    -------
    np.ndarray [shape=(n, 3)]
        In the order of `METRICS`; macro F1 is over the genres that occur in the row's truth.
    """
    n, loss = sums[:, 0], sums[:, 1]
    hit, true, predicted = np.split(sums[:, 2:], 3, axis=1)  # (row, class) each
    occurs = true > 0
    f1 = np.where(occurs, 2 * hit / np.maximum(true + predicted, 1), 0.0).sum(axis=1) / occurs.sum(axis=1)
    return np.stack([loss / n, f1, hit.sum(axis=1) / n], axis=1)


def resamples(n_units: int, n_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Give how often each unit is drawn.

    Parameters
    ----------
    n_units : int >= 0
    n_resamples : int > 0
    seed : int >= 0

    Yields
    ------
    np.ndarray [shape=(at most 256, n_units)]
        Whole numbers that sum to n_units by row; nothing comes with fewer than two units.
    """
    if n_units < 2:
        return
    draw = np.random.default_rng([seed, STREAM])
    even = np.full(n_units, 1 / n_units)
    for start in range(0, n_resamples, CHUNK):
        yield draw.multinomial(n_units, even, size=min(CHUNK, n_resamples - start)).astype(np.float64)
