"""Any collection that one CSV describes: a row a clip, the user's column names mapped onto ours.

Ids, names and words are spelt in one way (`artist_transfer.corpora.names`): one artist typed on two systems is one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from artist_transfer.corpora._csv import check_width, csv_rows, literal_list, refuse_cell
from artist_transfer.corpora.listed_audio import spelt_as_there
from artist_transfer.corpora.names import normal_name
from artist_transfer.corpora.official_lists import official_side
from artist_transfer.corpora.schema import SOURCE_ROW, make_track_table, split_words
from artist_transfer.errors import ArtistTransferError

REQUIRED = ("track_id", "path")
DEFAULT_COLUMNS: Mapping[str, str] = {
    name: name
    for name in (
        "track_id", "recording_id", "artist_id", "artist", "album_id", "title", "genre_top", "subgenres",
        "path", "duration_s", "official_split",
    )
}  # fmt: skip
"""Our column names and the names that a CSV has by default; required are `REQUIRED`."""

_TO_TRACK_TABLE = {"subgenres": "genres", "duration_s": "declared_s"}


def read_table(
    corpus_root: str | Path,
    *,
    columns: Mapping[str, str | None] | None = None,
    file: str = "tracks.csv",
    split_names: Mapping[str, str] | None = None,
    key: str = "ingestion.table",
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the track table of a collection described by one CSV.

    Parameters
    ----------
    corpus_root : str or Path
        The folder that holds `file` and that ``path`` cells are relative to. Or the CSV itself: then the
        folder is the CSV's.
    columns : mapping, optional
        Our name to the CSV's name, for those that differ from `DEFAULT_COLUMNS`; None: the collection has no
        such column. A column that is named must be there; one under its default name may be absent unless
        required.
    file : str
        Name of the CSV: UTF-8 with or without byte order mark, commas, one header row.
    split_names : mapping, optional
        The CSV's words for the sides of its split to ours (training, validation, test), beside the usual ones
        of `artist_transfer.corpora.official_lists.official_side`.
    key : str
        Where the parameters stand, for errors.

    Returns
    -------
    track_table : pd.DataFrame
        ``path`` as it is written, or in the other normal form of Unicode if only that is there;
        ``genres`` from ``subgenres`` (a Python list literal, or words between ``;`` or ``|``), ``declared_s`` from
        ``duration_s``. Empty cells are missing.
    notes : dict of int
        Counts: ``tracks``, ``without genre``, ``without artist``.

    Raises
    ------
    ArtistTransferError
        If the file, a mapped column or a required cell is missing, or a row is malformed; names file, row and
        column, or the dotted key ``ingestion.table.columns.<name>``.
    """
    root = Path(corpus_root)
    path = root if root.is_file() else root / file
    if not root.exists():
        raise ArtistTransferError(f"corpus_root: folder {root} is missing.")
    rows = csv_rows(path)
    line, header = next(rows, (1, []))
    header = [normal_name(name) for name in header]
    places = _find_columns(path, header, columns or {}, key=key)
    folder, records = root.parent if root.is_file() else root, []
    for line, cells in rows:
        check_width(path, line, cells, width=len(header))
        texts = {ours: normal_name(cells[at]) for ours, at in places.items()}
        texts["path"] = spelt_as_there(folder, cells[places["path"]].strip())
        if "official_split" in texts:
            texts["official_split"] = official_side(texts["official_split"], split_names)
        records.append(_record(path, line, texts))
    if not records:
        raise ArtistTransferError(f"{path}: no rows below the header; at least one track is needed.")
    table = make_track_table(pd.DataFrame(records), source=path)
    return table, {
        "tracks": len(table),
        "without genre": int(table["genre_top"].isna().sum()),
        "without artist": int(table["artist_id"].isna().sum()),
    }


def _find_columns(path: Path, header: Sequence[str], columns: Mapping[str, str | None], *, key: str) -> dict[str, int]:
    found = ", ".join(header) or "an empty file"
    for name in header:
        if name and header.count(name) > 1:
            raise ArtistTransferError(f"{path}, row 1, column {name!r}: the header names it twice.")
    for ours in columns:
        if ours not in DEFAULT_COLUMNS:
            allowed = ", ".join(DEFAULT_COLUMNS)
            raise ArtistTransferError(f"{key}.columns.{ours}: unknown column; allowed: {allowed}.")
    places: dict[str, int] = {}
    for ours, default in DEFAULT_COLUMNS.items():
        theirs = columns.get(ours, default)
        theirs = None if theirs is None else normal_name(theirs)
        if theirs is None and ours not in REQUIRED:
            continue
        if theirs in header:
            places[ours] = header.index(theirs)
        elif ours in REQUIRED or theirs != default:
            optional = "" if ours in REQUIRED else ", or null for a collection without it"
            raise ArtistTransferError(
                f"{path}: {key}.columns.{ours} is {theirs!r}, but the file has no such column;"
                f" found: {found}; allowed: one of these{optional}."
            )
    return places


def _record(path: Path, line: int, cells: Mapping[str, str]) -> dict[str, object]:
    record: dict[str, object] = {SOURCE_ROW: line}
    for ours, text in cells.items():
        record[_TO_TRACK_TABLE.get(ours, ours)] = text or None
    if cells.get("subgenres"):
        record["genres"] = _words(path, line, cells["subgenres"])
    if cells.get("duration_s"):
        record["declared_s"] = _seconds(path, line, cells["duration_s"])
    return record


def _words(path: Path, line: int, text: str) -> list[str]:
    if not text.startswith("["):
        return split_words(text)
    words = literal_list(text)
    if words is None or not all(isinstance(word, str) for word in words):
        problem = f"must be a list of words such as ['folk', 'dub'], found {text!r}"
        refuse_cell(path, line, "subgenres", problem=problem)
    return [word.strip() for word in words if isinstance(word, str)]


def _seconds(path: Path, line: int, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        refuse_cell(path, line, "duration_s", problem=f"must be a number of seconds above 0, found {text!r}")
    return seconds
