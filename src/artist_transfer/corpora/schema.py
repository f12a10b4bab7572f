"""The track table: one row a clip, the same columns for every corpus.

Conventions: ids are strings (``000002`` keeps its zeros), what is missing satisfies `pandas.isna`, rows are
sorted by ``track_id``. Artists, albums and titles are spelt in one way (`artist_transfer.corpora.names`), whoever
wrote them. ``genres`` holds a list of strings in memory; `pandas.read_parquet` returns a numpy
array of strings in its place, so code that uses the column iterates over it and asks for its length, never
for its truth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import NoReturn

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow

from artist_transfer.artifacts import atomic_path
from artist_transfer.corpora.names import normal_name
from artist_transfer.errors import ArtistTransferError

TRACK_COLUMNS = (
    "track_id", "recording_id", "artist_id", "artist", "album_id", "title", "genre_top", "genres", "path",
    "declared_s", "official_split",
)  # fmt: skip
OFFICIAL_SPLITS = ("training", "validation", "test")
SOURCE_ROW = "source_row"
"""Optional column that a reader adds: the 1-based line of its file, for the errors only."""


def _is_words(value: object) -> bool:
    return isinstance(value, (list, np.ndarray)) and all(isinstance(word, str) for word in value)


def _is_inside(path: object) -> bool:
    if not isinstance(path, str) or not path or "\0" in path:
        return False
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and pure.name != ""


def _cells(check: Callable[[object], bool], error: str) -> pa.Check:
    return pa.Check(lambda column: column.map(check).astype(bool), error=error, ignore_na=True)


TRACK_SCHEMA = pa.DataFrameSchema(
    {
        "track_id": pa.Column(str, unique=True),
        "recording_id": pa.Column(str),
        "artist_id": pa.Column(str, nullable=True),
        "artist": pa.Column(str, nullable=True),
        "album_id": pa.Column(str, nullable=True),
        "title": pa.Column(str, nullable=True),
        "genre_top": pa.Column(str, nullable=True),
        "genres": pa.Column(object, _cells(_is_words, "a list of strings")),
        "path": pa.Column(str, _cells(_is_inside, "a relative path inside the corpus")),
        "declared_s": pa.Column(float, pa.Check.gt(0), nullable=True),
        "official_split": pa.Column(str, pa.Check.isin(OFFICIAL_SPLITS), nullable=True),
    },
    strict=True,
    ordered=True,
    name="track_table",
)
"""pandera schema of the track table."""

TRACK_ARROW_SCHEMA = pyarrow.schema(
    [
        (name, pyarrow.list_(pyarrow.string()) if name == "genres" else pyarrow.string())
        if name != "declared_s"
        else (name, pyarrow.float64())
        for name in TRACK_COLUMNS
    ]
)
"""Column types in Parquet; without them a corpus with no genres would be written as list<null>."""


def make_track_table(df: pd.DataFrame, *, source: str | Path) -> pd.DataFrame:
    """Fill defaults, order columns, sort and check: what every reader returns.

    Parameters
    ----------
    df : pd.DataFrame [shape=(n, any)], n >= 1
        At least ``track_id`` and ``path``. Any other column of the track table may be absent. A column
        ``source_row`` gives the line of each row in its file (default: 1, 2, …); other columns are dropped.
    source : str or Path
        The file or folder that errors name.

    Returns
    -------
    pd.DataFrame [shape=(n, 11)]
        The track table, columns `TRACK_COLUMNS`, sorted by ``track_id``, index 0…n-1.

    Raises
    ------
    ArtistTransferError
        If the table is empty, a required column is absent or a cell is not what its column holds; names
        source, row and column.
    """
    absent = [name for name in ("track_id", "path") if name not in df.columns]
    if absent:
        found = ", ".join(map(str, df.columns))
        raise ArtistTransferError(f"{source}: column {absent[0]!r} is missing; found {found}.")
    if df.empty:
        raise ArtistTransferError(f"{source}: no tracks; at least one row is needed.")
    cells = {str(name): df[name].tolist() for name in df.columns}
    rows = cells.get(SOURCE_ROW) or list(range(1, len(df) + 1))
    table = pd.DataFrame({name: _column(name, cells, rows, source) for name in TRACK_COLUMNS})
    _check_unique(table["track_id"], rows, source)
    table = table.sort_values("track_id", ignore_index=True)
    return TRACK_SCHEMA.validate(table)


def _column(name: str, cells: dict[str, list[object]], rows: list[int], source: str | Path) -> pd.Series:
    given = cells.get(name)
    checker = _CHECKERS.get(name, _text)
    values: list[object] = []
    for position, row in enumerate(rows):
        value = given[position] if given is not None else None
        if name == "recording_id" and _missing(value):
            value = cells["track_id"][position]
        try:
            values.append(checker(value))
        except ValueError as error:
            _refuse(source, row, name, f"{error}; found {value!r}")
    dtype = {"genres": object, "declared_s": float}.get(name, "str")
    return pd.Series(values, dtype=dtype)


def _refuse(source: str | Path, row: int, column: str, problem: str) -> NoReturn:
    raise ArtistTransferError(f"{source}, row {row}, column {column!r}: {problem}.")


def _check_unique(ids: pd.Series, rows: list[int], source: str | Path) -> None:
    twice = ids.duplicated()
    if twice.any():
        position = int(np.flatnonzero(twice)[0])
        first = int(np.flatnonzero(ids == ids[position])[0])
        problem = f"track id {ids[position]!r} stands in row {rows[first]} too; each track needs its own"
        _refuse(source, rows[position], "track_id", problem)


def _missing(value: object) -> bool:
    if isinstance(value, (float, np.floating)):
        return math.isnan(value)
    return value is None or value is pd.NA or value == ""


def _text(value: object) -> str | None:
    if _missing(value):
        return None
    if not isinstance(value, str):
        raise ValueError("must be text (ids are strings, so that 000002 keeps its zeros)")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return value


def _name(value: object) -> str | None:
    text = _text(value)
    return None if text is None else normal_name(text) or None


def _required(value: object) -> str:
    text = _text(value)
    if text is None:
        raise ValueError("is empty; every row needs one")
    return text


def _path(value: object) -> str:
    text = _required(value)
    if not _is_inside(text):
        raise ValueError("must be a path relative to the corpus, with / between folders and without '..'")
    return text


def _words(value: object) -> list[str]:
    if isinstance(value, str) or not (isinstance(value, Iterable) or _missing(value)):
        raise ValueError("must be a list of words")
    words = [] if _missing_words(value) else list(value)  # type: ignore[call-overload]
    if not all(isinstance(word, str) for word in words):
        raise ValueError("must be a list of words")
    return list(dict.fromkeys(word for word in words if word))


def _missing_words(value: object) -> bool:
    return not isinstance(value, (list, tuple, np.ndarray)) and _missing(value)


def _seconds(value: object) -> float:
    if _missing(value):
        return math.nan
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float, np.number)):
        raise ValueError("must be a number of seconds")
    if not 0 < float(value) < math.inf:
        raise ValueError("must be a number of seconds above 0")
    return float(value)


def _official(value: object) -> str | None:
    text = _text(value)
    if text is not None and text not in OFFICIAL_SPLITS:
        raise ValueError(f"must be one of {', '.join(OFFICIAL_SPLITS)}, or empty")
    return text


_CHECKERS: dict[str, Callable[[object], object]] = {
    "track_id": _required,
    "recording_id": _required,
    "artist_id": _name,
    "artist": _name,
    "album_id": _name,
    "title": _name,
    "genres": _words,
    "path": _path,
    "declared_s": _seconds,
    "official_split": _official,
}


_SEPARATORS = re.compile(r"[;|]")


def split_words(text: str, *, separators: re.Pattern[str] = _SEPARATORS) -> list[str]:
    """Split words that stand in one text, such as the subgenres of a CSV cell or a genre tag.

    Parameters
    ----------
    text : str
        For instance ``"folk; singer-songwriter"``.
    separators : re.Pattern
        What stands between words; default ``;`` and ``|``.

    Returns
    -------
    list of str
        Words without surrounding space, each once, in order.
    """
    return list(dict.fromkeys(word for part in separators.split(text) if (word := part.strip())))


def write_track_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a track table as Parquet, atomically, with list<string> genres even if there are none.

    Parameters
    ----------
    path : str or Path
        Where it goes.
    table : pd.DataFrame
        A track table.
    """
    with atomic_path(path) as temporary:
        TRACK_SCHEMA.validate(table).to_parquet(temporary, index=False, schema=TRACK_ARROW_SCHEMA)


def read_track_table(path: str | Path) -> pd.DataFrame:
    """Read a track table from Parquet; equal to what was written, lists included.

    Parameters
    ----------
    path : str or Path
        A file of `write_track_table`, or of `pandas.DataFrame.to_parquet`.

    Returns
    -------
    pd.DataFrame
        The track table.

    Raises
    ------
    ArtistTransferError
        If the file holds something else.
    """
    return make_track_table(pd.read_parquet(path), source=path)
