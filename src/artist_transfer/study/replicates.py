"""What the scores of a study are computed from: the sums over artists of every case, replicate by replicate.

A replicate is one pair (seed, split seed); its folds are pooled. Within a replicate all cases must have predicted the
same tracks with the same truth, or a difference between them could be one of the tracks. Between replicates the test
tracks may differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.metrics import PREFIX, Checked, validate
from artist_transfer.evaluation.resampling import Units, sums_by_unit, units_of
from artist_transfer.evaluation.small_samples import UnitCount, count_units

KEYS = ["case", "seed", "split_seed"]
_IDENTITY = ("genre_true", "artist_id", "recording_id")
_MOST_NAMED = 5


@dataclass(frozen=True)
class Replicate:
    """The sums of one seed and split.

    Attributes
    ----------
    seed, split_seed : int
    units : np.ndarray [shape=(U,)]
        Which of all units have a test track here, ascending.
    sums : np.ndarray [shape=(U, n_cases, 2 + 3 C)]
        As of `artist_transfer.evaluation.resampling.sums_by_unit`.
    """

    seed: int
    split_seed: int
    units: np.ndarray
    sums: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        """Tracks of each unit by true genre, (unit, genre); the same for all cases."""
        n_genres = (self.sums.shape[2] - 2) // 3
        return self.sums[:, 0, 2 + n_genres : 2 + 2 * n_genres]


@dataclass(frozen=True)
class StudySums:
    """The sums of a whole study.

    Attributes
    ----------
    cases : tuple of str, sorted
    replicates : tuple of Replicate
    unit : {"artist", "recording", "track"}
    n_units, n_tracks : int
        Different ones, over all replicates.
    note : str
        What a reader has to know about intervals over the units; empty if nothing.
    """

    cases: tuple[str, ...]
    replicates: tuple[Replicate, ...]
    unit: str
    n_units: int
    n_tracks: int
    note: str

    @property
    def unit_count(self) -> UnitCount:
        """How many units there are and what they are worth: each weighs by its shares of the replicates' tracks."""
        shares = np.zeros(self.n_units)
        for replicate in self.replicates:
            tracks = replicate.sums[:, 0, 0]
            shares[replicate.units] += tracks / tracks.sum()
        return count_units(shares)


def read_sums(predictions: pd.DataFrame, *, excluded: Mapping[str, str]) -> StudySums:
    """Check the predictions of a study and sum them by unit.

    Parameters
    ----------
    predictions : pd.DataFrame
        study_predictions_table: one row a case, replicate and test track, in any order. A ``p_<genre>`` column that
        is missing (NaN) throughout a case's replicate is a genre that it was not trained on: probability 0.
    excluded : mapping of case to reason
        Cases to leave out.

    Returns
    -------
    StudySums

    Raises
    ------
    ArtistTransferError
        If a column or a combination of case and replicate is missing, a case's table is not valid, the cases of a
        replicate were not tested on the same tracks with the same truth, or a track changes its artist. Names case
        and replicate.
    """
    groups = _groups(predictions, excluded)
    cases = tuple(sorted({case for case, _, _ in groups}))
    keys = sorted({(seed, split) for _, seed, split in groups})
    _check_complete(groups, cases, keys)
    # of the first case of each replicate: who was tested there
    tested = [_identity(predictions.iloc[groups[cases[0], *key]]) for key in keys]
    tracks = _distinct(tested)
    # genres that nothing was trained on have a place too, so that sums of all replicates are of the same genres
    columns = [str(name) for name in predictions.columns if str(name).startswith(PREFIX)]
    columns += sorted({PREFIX + str(genre) for genre in tracks["genre_true"].dropna()} - set(columns))
    units = units_of(tracks)
    unit_of = pd.Series(units.of_row, index=tracks["track_id"])
    replicates = []
    for (seed, split_seed), reference in zip(keys, tested, strict=True):
        present, of_row = np.unique(unit_of.loc[reference["track_id"]].to_numpy(), return_inverse=True)
        local = Units(units.name, of_row, len(present), "")
        sums = []
        for case in cases:
            rows = predictions.iloc[groups[case, seed, split_seed]].sort_values("track_id", ignore_index=True)
            where = f"case {case}, {_name(seed, split_seed)}"
            _check_same(_identity(rows), reference, where, cases[0])
            sums.append(sums_by_unit(_checked(rows, columns, where), local))
        replicates.append(Replicate(seed, split_seed, present, np.stack(sums, axis=1)))
    return StudySums(cases, tuple(replicates), units.name, units.count, len(tracks), units.note)


def _name(seed: int, split_seed: int) -> str:
    return f"seed {seed}, split seed {split_seed}"


def _groups(predictions: pd.DataFrame, excluded: Mapping[str, str]) -> dict[tuple[str, int, int], np.ndarray]:
    needed = [*KEYS, "track_id", "artist_id", "genre_true", "genre_predicted"]
    missing = [name for name in needed if name not in predictions.columns]
    if missing:
        raise ArtistTransferError(f"predictions of the study: columns missing: {missing}")
    if predictions[KEYS].isna().any(axis=None):
        raise ArtistTransferError(f"predictions of the study: {', '.join(KEYS)} must be in every row")
    found = predictions.groupby(KEYS, sort=True).indices
    groups = {(str(c), int(s), int(p)): rows for (c, s, p), rows in found.items() if str(c) not in excluded}
    if not groups:
        raise ArtistTransferError(
            f"predictions of the study: nothing to score ({len(found)} tables of predictions, "
            f"{len(excluded)} cases excluded)"
        )
    return groups


def _check_complete(
    groups: Mapping[tuple[str, int, int], np.ndarray], cases: Sequence[str], keys: Sequence[tuple[int, int]]
) -> None:
    missing = [f"{case} ({_name(*key)})" for case in cases for key in keys if (case, *key) not in groups]
    if missing:
        raise ArtistTransferError(
            f"predictions of the study: {len(missing)} combinations of case and replicate are missing: "
            f"{_some(missing)}; a case that is not there in every replicate must be excluded by name"
        )


def _identity(rows: pd.DataFrame) -> pd.DataFrame:
    """Who the tracks of a table are, sorted; a missing value is None whatever it was."""
    rows = rows.sort_values("track_id", ignore_index=True)
    found = {"track_id": rows["track_id"].astype(str)}
    for name in _IDENTITY:
        if name in rows:
            values = [None if pd.isna(value) else str(value) for value in rows[name]]
            found[name] = pd.Series(values, dtype=object)
    return pd.DataFrame(found)


def _distinct(tested: Sequence[pd.DataFrame]) -> pd.DataFrame:
    tracks = pd.concat(tested).drop_duplicates().sort_values("track_id", ignore_index=True)
    twice = sorted(set(tracks["track_id"][tracks["track_id"].duplicated()]))
    if twice:
        raise ArtistTransferError(
            "predictions of the study: genre, artist and recording of a track must be the same in every replicate; "
            f"they are not for {_some(twice)}"
        )
    return tracks


def _check_same(found: pd.DataFrame, expected: pd.DataFrame, where: str, reference: str) -> None:
    if found.equals(expected):
        return
    here, there = set(found["track_id"]), set(expected["track_id"])
    said = f"{where}: not tested as case {reference} of the same replicate was"
    if here != there:
        raise ArtistTransferError(
            f"{said}: {len(there - here)} tracks are missing ({_some(sorted(there - here))}), "
            f"{len(here - there)} are more ({_some(sorted(here - there))})"
        )
    if len(found) != len(expected):
        raise ArtistTransferError(f"{said}: {len(found)} rows instead of {len(expected)}: tracks come more than once")
    for name in expected.columns:
        differs = ~((found[name] == expected[name]) | (found[name].isna() & expected[name].isna()))
        if differs.any():
            raise ArtistTransferError(f"{said}: {name} differs for {_some(list(found['track_id'][differs]))}")


def _checked(rows: pd.DataFrame, columns: Sequence[str], where: str) -> Checked:
    untrained = {name: 0.0 for name in columns if name not in rows or rows[name].isna().all()}
    try:
        return validate(rows.assign(fold=0, **untrained))
    except ArtistTransferError as error:
        raise ArtistTransferError(f"{where}: {error}") from error


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED]) or "none"
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more"
