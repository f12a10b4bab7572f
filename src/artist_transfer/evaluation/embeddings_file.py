"""Somebody else's features: a file of vectors by track, as segment features for the same probe.

A Parquet, CSV or npz file with a ``track_id`` for each row and the vector either in one column (``embedding`` or
``vector``) or in numeric columns. Several rows of one track are its segments. Ids are compared as text, exactly but
for how Unicode spells a letter.
"""

from __future__ import annotations

import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from artist_transfer.corpora.names import normal_name
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.evaluation.csv_file import read_csv_strictly
from artist_transfer.evaluation.segments import SegmentFeatures

KEY = "embeddings"  # the parameter that names the file
VECTOR_COLUMNS = ("embedding", "vector")
SUFFIXES = (".parquet", ".csv", ".npz")
DAMAGED = (ValueError, OSError, EOFError, RuntimeError, MemoryError, KeyError, struct.error, zlib.error,
           zipfile.BadZipFile)  # fmt: skip
"""What numpy and zipfile raise of a damaged file."""


@dataclass(frozen=True)
class Embeddings:
    """What a file holds of the wanted tracks.

    Attributes
    ----------
    segments : SegmentFeatures
        Of the wanted tracks that the file has, sorted.
    missing : tuple of str
        Wanted tracks that the file does not have.
    unused : tuple of str
        Tracks of the file that were not asked for.
    """

    segments: SegmentFeatures
    missing: tuple[str, ...]
    unused: tuple[str, ...]


def read_embeddings(path: str | Path, *, track_ids: Sequence[str], min_share: float = 0.5) -> Embeddings:
    """Read vectors by track.

    Parameters
    ----------
    path : str or Path
        ``.parquet``, ``.csv`` or ``.npz`` (arrays ``track_id`` and ``embedding`` or ``vector``; no pickles).
    track_ids : sequence of str
        Tracks that are wanted.
    min_share : float in [0, 1]
        Share of them that the file must have. Those it lacks are warned of and named.

    Returns
    -------
    Embeddings

    Raises
    ------
    ArtistTransferError
        Naming file, row and the key ``embeddings``: no such file or column, vectors of unequal width or not
        finite, too few of the wanted tracks, or ids that agree as numbers but not as text.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ArtistTransferError(f"{KEY}: {path} must end in one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise ArtistTransferError(f"{KEY}: there is no file {path}")
    ids, matrix = _read_npz(path) if path.suffix.lower() == ".npz" else _read_table(path)
    _check_matrix(path, ids, matrix)
    wanted = sorted(set(track_ids))
    ids = _spelt_as(wanted, ids)
    found = set(ids)
    missing = tuple(x for x in wanted if x not in found)
    unused = tuple(sorted(found.difference(wanted)))
    _check_spelling(path, missing, unused)
    _check_coverage(path, wanted, missing, min_share)
    kept = tuple(x for x in wanted if x in found)
    position = {track_id: k for k, track_id in enumerate(kept)}
    index = np.array([position.get(x, -1) for x in ids], dtype=np.int64)
    order = np.argsort(index, kind="stable")
    order = order[index[order] >= 0]
    return Embeddings(SegmentFeatures(np.ascontiguousarray(matrix[order]), index[order], kept), missing, unused)


def _read_npz(path: Path) -> tuple[list[str], np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise ArtistTransferError(f"{KEY}: {path} cannot be read as npz: it is none, or its end is missing")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
    except DAMAGED as error:
        raise ArtistTransferError(f"{KEY}: {path} cannot be read as npz without pickles: {error}") from error
    vector = next((name for name in VECTOR_COLUMNS if name in arrays), None)
    if "track_id" not in arrays or vector is None:
        raise ArtistTransferError(
            f"{KEY}: {path} needs the arrays track_id and {' or '.join(VECTOR_COLUMNS)}, it has {sorted(arrays)}"
        )
    ids, matrix = arrays["track_id"], arrays[vector]
    if matrix.ndim != 2 or ids.shape != (len(matrix),) or matrix.dtype.kind not in "fiu":
        raise ArtistTransferError(
            f"{KEY}: {path}: {vector} must be a numeric matrix with one row a track_id; "
            f"found shapes {matrix.shape} ({matrix.dtype}) and {ids.shape}"
        )
    try:
        names = [x.decode() if isinstance(x, bytes) else str(x) for x in ids.tolist()]
    except UnicodeDecodeError as error:
        raise ArtistTransferError(f"{KEY}: {path}: track_id is not text in UTF-8: {error}") from error
    return names, matrix.astype(np.float32)


def _read_table(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        if path.suffix.lower() == ".csv":
            table = _read_csv(path)
        else:
            table = pd.read_parquet(path)
            if "track_id" not in table.columns and table.index.name == "track_id":
                table = table.reset_index()
    except (ValueError, OSError) as error:  # pandas' and pyarrow's own errors are ValueErrors
        raise ArtistTransferError(f"{KEY}: {path} cannot be read: {error}") from error
    if "track_id" not in table.columns:
        raise ArtistTransferError(f"{KEY}: {path} has no column track_id; it has {list(map(str, table.columns))[:20]}")
    if not len(table):
        raise ArtistTransferError(f"{KEY}: {path} has no row")
    empty = (table["track_id"].isna() | (table["track_id"] == "")).to_numpy(dtype=bool)
    if empty.any():
        row = int(empty.argmax())
        raise ArtistTransferError(f"{KEY}: {path}, row {row}: track_id is missing")
    ids = [str(x) for x in table["track_id"]]
    vector = next((name for name in VECTOR_COLUMNS if name in table.columns), None)
    if vector is not None:
        return ids, _stacked(path, table[vector])
    rest = table.drop(columns="track_id")
    text = [str(name) for name in rest.columns if not pd.api.types.is_numeric_dtype(rest[name])]
    if text or rest.shape[1] == 0:
        raise ArtistTransferError(
            f"{KEY}: {path} needs a column {' or '.join(VECTOR_COLUMNS)}, or numeric columns only beside track_id; "
            f"found {f'text in {text[:5]}' if text else 'no other column'}"
        )
    return ids, rest.to_numpy(dtype=np.float32, na_value=np.nan)


def _read_csv(path: Path) -> pd.DataFrame:
    table = read_csv_strictly(path)
    if "track_id" in table.columns:  # as text, each as it is written: a track may be called 007, or NA
        own = read_csv_strictly(path, usecols=["track_id"], dtype=str, na_filter=False)
        table["track_id"] = own["track_id"]
    return table


def _stacked(path: Path, column: pd.Series) -> np.ndarray:
    rows: list[np.ndarray] = []
    for row, value in enumerate(column):
        try:
            vector = np.asarray(json.loads(value) if isinstance(value, str) else value, dtype=np.float32)
        except (ValueError, TypeError):
            vector = np.empty((0, 0), dtype=np.float32)
        at = f"{KEY}: {path}, row {row}: {column.name}"
        if vector.ndim != 1 or not len(vector):
            raise ArtistTransferError(f"{at} is not a list of numbers: {value!r:.60}")
        if rows and len(vector) != len(rows[0]):
            raise ArtistTransferError(f"{at} has {len(vector)} numbers, the rows before have {len(rows[0])}")
        rows.append(vector)
    return np.stack(rows)


def _check_matrix(path: Path, ids: Sequence[str], matrix: np.ndarray) -> None:
    if not len(ids):
        raise ArtistTransferError(f"{KEY}: {path} has no row")
    bad = ~np.isfinite(matrix).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ArtistTransferError(
            f"{KEY}: {path}, row {row} (track {ids[row]!r}): the vector is not finite ({int(bad.sum())} such rows)"
        )


def _spelt_as(wanted: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Spell ids as the corpus does where only Unicode's spelling of a letter differs."""
    known, spelt = set(wanted), {normal_name(x): x for x in wanted}
    return [x if x in known or x.isascii() else spelt.get(normal_name(x), x) for x in ids]


def _check_spelling(path: Path, missing: Sequence[str], unused: Sequence[str]) -> None:
    """Refuse ids that would agree as numbers: '2' is not '000002', and guessing could join the wrong tracks."""
    by_number = {int(x): x for x in missing if x.isdecimal()}
    alike = [(x, by_number[int(x)]) for x in unused if x.isdecimal() and int(x) in by_number]
    if alike:
        theirs, ours = alike[0]
        raise ArtistTransferError(
            f"{KEY}: {path} writes track_id {theirs!r} where the corpus has {ours!r} ({len(alike)} such ids); ids are "
            "compared as text: write them as the corpus does"
        )


def _check_coverage(path: Path, wanted: Sequence[str], missing: Sequence[str], min_share: float) -> None:
    found = len(wanted) - len(missing)
    if not found or found < min_share * len(wanted):
        raise ArtistTransferError(
            f"{KEY}: {path} has vectors for {found} of the {len(wanted)} tracks; at least {min_share:.0%} are needed "
            f"(missing are {', '.join(missing[:5])}…)"
        )
    if missing:
        shown = ", ".join(missing[:5]) + ("…" if len(missing) > 5 else "")
        warnings.warn(
            f"{KEY}: {path} has no vector for {len(missing)} of {len(wanted)} tracks, which are left out: {shown}",
            ArtistTransferWarning,
            stacklevel=3,
        )
