"""What the Million Song Dataset says of its tracks, from whichever of its files are there.

Four sources hold the same facts more or less completely; each becomes one table, and `merge_sources` takes each fact
from the first that has it and counts where a later one differs.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from artist_transfer.corpora._lines import refuse_row, text_lines
from artist_transfer.corpora._msd_hdf5 import NO_TABLES, hdf5_songs
from artist_transfer.corpora._sqlite import columns_of, open_database
from artist_transfer.corpora.names import normal_name
from artist_transfer.errors import ArtistTransferError

TRACK_ID = re.compile(r"TR[A-Z0-9]{16}")
_IDS = {"song_id": re.compile(r"SO[A-Z0-9]{16}"), "artist_id": re.compile(r"AR[A-Z0-9]{16}")}
SEPARATOR = "<SEP>"

SONG_COLUMNS = (
    "song_id", "artist_id", "artist", "release", "title", "duration_s", "year", "track_7digitalid",
    "artist_7digitalid", "release_7digitalid",
)  # fmt: skip
_THEIRS = {"artist_name": "artist", "duration": "duration_s"}
_NUMBERS = ("track_7digitalid", "artist_7digitalid", "release_7digitalid")
_DTYPES = {"duration_s": "float64", "year": "Int64"}


@dataclass
class Source:
    """One source: its songs, what was odd about it, and which tracks it could not give.

    Attributes
    ----------
    songs : pd.DataFrame [index: track_id; columns: SONG_COLUMNS]
        Missing facts satisfy `pandas.isna`.
    counts : Counter
        Oddities by name.
    exclusions : list of (str, str)
        Track id and reason.
    """

    songs: pd.DataFrame
    counts: Counter[str] = field(default_factory=Counter)
    exclusions: list[tuple[str, str]] = field(default_factory=list)


class _MalformedError(ValueError):
    """A cell that cannot be what its column holds, as ``column 'x': problem``."""


def read_summary(path: Path) -> Source:
    """Read ``msd_summary_file.h5``.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Source
        Its songs.

    Raises
    ------
    ArtistTransferError
        If it cannot be read or a row is malformed; names file, row and column.
    """
    counts: Counter[str] = Counter()
    rows = tqdm(hdf5_songs(path), desc=f"reading {path.name}", unit=" songs", delay=2, leave=False)
    return Source(_table(path, ((row, _record(path, row, cells, counts)) for row, cells in rows)), counts)


def read_song_files(paths: Sequence[Path]) -> Source:
    """Read song files; one that is malformed is left out with its reason.

    Parameters
    ----------
    paths : sequence of Path
        Files named by their track id.

    Returns
    -------
    Source
        Their songs, sorted by file.
    """
    counts: Counter[str] = Counter()
    records: dict[str, dict[str, object]] = {}
    exclusions = []
    for path in tqdm(paths, desc="reading song files", unit=" files", delay=2, leave=False):
        try:
            songs = [_record(path, row, cells, counts) for row, cells in hdf5_songs(path)]
            if not songs:
                raise ArtistTransferError(f"{path}: {NO_TABLES}: they have no row.")
        except ArtistTransferError as error:
            reason = str(error).removeprefix(str(path)).lstrip(":, ").rstrip(".")
            bare = reason.startswith(NO_TABLES)
            kind = "without song tables" if bare else "malformed"
            exclusions.append((path.stem, f"song file {kind}: {reason.removeprefix(NO_TABLES).lstrip(': ')}"))
            continue
        for song in songs:
            track = str(song["track_id"])
            counts["song files named otherwise"] += len(songs) == 1 and track != path.stem
            counts["songs that stand in two song files"] += track in records
            records.setdefault(track, song)
    return Source(_frame(records.values()), counts, exclusions)


def read_database(path: Path) -> Source:
    """Read ``track_metadata.db``; its early edition has no 7digital ids.

    Parameters
    ----------
    path : Path
        The file: SQLite, table ``songs``.

    Returns
    -------
    Source
        Its songs.

    Raises
    ------
    ArtistTransferError
        If it is no such database or a row is malformed; names file, row and column.
    """
    counts: Counter[str] = Counter()
    required = ["track_id", "title", "artist_id", "artist_name"]
    optional = ["song_id", "release", "duration", "year", *_NUMBERS]
    with open_database(path) as connection:
        there = columns_of(connection, path, "songs", required=required)
        wanted = [*required, *(name for name in optional if name in there)]
        rows = connection.execute(f"SELECT rowid, {', '.join(wanted)} FROM songs ORDER BY rowid")
        cells = ((row, dict(zip(wanted, values, strict=True))) for row, *values in rows)
        return Source(_table(path, ((row, _record(path, row, found, counts)) for row, found in cells)), counts)


def read_unique_tracks(path: Path, artists_path: Path | None) -> Source:
    """Read ``unique_tracks.txt`` and, for the ids of the artists, ``unique_artists.txt``.

    Parameters
    ----------
    path : Path
        Lines ``track id<SEP>song id<SEP>artist<SEP>title``.
    artists_path : Path, optional
        Lines ``artist id<SEP>MusicBrainz id<SEP>a track id<SEP>artist``. A name that belongs to several artists gives
        no id, except to the tracks that the lines name.

    Returns
    -------
    Source
        Their songs; counts ``artist names with several ids``.

    Raises
    ------
    ArtistTransferError
        If a line has another form; names file and row.
    """
    counts: Counter[str] = Counter()
    by_name: dict[str, set[str]] = {}
    by_track: dict[str, str] = {}
    for row, (artist_id, _, track, name) in _separated(artists_path):
        if not _IDS["artist_id"].fullmatch(artist_id):
            refuse_row(artists_path or path, row, f"must begin with an artist id 'AR…', found {artist_id!r:.40}")
        by_name.setdefault(name, set()).add(artist_id)
        by_track[track] = artist_id
    counts["artist names with several ids"] = sum(len(ids) > 1 for ids in by_name.values())

    def id_of(track: str, name: str) -> str | None:
        ids = by_name.get(name, set())
        return by_track.get(track) or (next(iter(ids)) if len(ids) == 1 else None)

    rows = (
        (
            row,
            {"track_id": track, "song_id": song, "artist_name": name, "title": title, "artist_id": id_of(track, name)},
        )
        for row, (track, song, name, title) in _separated(path)
    )
    return Source(_table(path, ((row, _record(path, row, cells, counts)) for row, cells in rows)), counts)


def _separated(path: Path | None) -> Iterable[tuple[int, list[str]]]:
    for row, line in text_lines(path, errors="replace") if path else ():
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split(SEPARATOR, maxsplit=3)]
        if len(cells) != 4:
            refuse_row(path or Path(), row, f"must have 4 cells with {SEPARATOR} between, found {len(cells)}")
        yield row, cells


def _record(path: Path, row: int, cells: Mapping[str, object], counts: Counter[str]) -> dict[str, object]:
    try:
        record = {_THEIRS.get(name, name): _cell(name, value, counts) for name, value in cells.items()}
    except _MalformedError as error:
        raise ArtistTransferError(f"{path}, row {row}, {error}.") from None
    return record


def _cell(name: str, value: object, counts: Counter[str]) -> object:
    if value is None:
        if name == "track_id":
            raise _MalformedError("column 'track_id': is empty; every song needs one")
        return None
    if name in ("duration", "year", *_NUMBERS):
        number = _number(name, value)
        if number is None:
            return None
        return number if name == "duration" else int(number) if name == "year" else str(int(number))
    text = _text(name, value, counts)
    pattern = TRACK_ID if name == "track_id" else _IDS.get(name)
    if pattern is not None and not pattern.fullmatch(text) and (text or name == "track_id"):
        raise _MalformedError(
            f"column {name!r}: must be an id such as {pattern.pattern[:2]}… of 18 characters, found {text!r}"
        )
    return text or None


def _text(name: str, value: object, counts: Counter[str]) -> str:
    if isinstance(value, bytes):
        text = value.rstrip(b"\0").decode("utf-8", "replace")
    elif isinstance(value, str):
        text = value
    else:
        raise _MalformedError(f"column {name!r}: must be text, found {value!r:.40}")
    counts["texts that are not UTF-8"] += "\ufffd" in text
    return normal_name(" ".join(text.replace("\0", " ").split()))


def _number(name: str, value: object) -> float | None:
    """Return a number above 0; 0, negative numbers and NaN mean unknown."""
    if isinstance(value, (str, bytes)) or not isinstance(value, (int, float, np.number)):
        raise _MalformedError(f"column {name!r}: must be a number, found {value!r:.40}")
    number = float(value)
    return number if 0 < number < math.inf else None


def _table(path: Path, rows: Iterable[tuple[int, dict[str, object]]]) -> pd.DataFrame:
    row_of: dict[str, int] = {}

    def once() -> Iterator[dict[str, object]]:
        for row, record in rows:
            track = str(record["track_id"])
            if track in row_of:
                problem = f"column 'track_id': {track} stands in row {row_of[track]} too; each track needs its own"
                raise ArtistTransferError(f"{path}, row {row}, {problem}.")
            row_of[track] = row
            yield record

    return _frame(once())


def _frame(records: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    columns: dict[str, list[object]] = {name: [] for name in ("track_id", *SONG_COLUMNS)}
    for record in records:
        for name, values in columns.items():
            values.append(record.get(name))
    frame = pd.DataFrame({name: pd.Series(values, dtype=_DTYPES.get(name, "str")) for name, values in columns.items()})
    return frame.set_index("track_id").sort_index()


def merge_sources(sources: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Take each fact from the first source that has it, and count where a later one differs.

    Parameters
    ----------
    sources : sequence of pd.DataFrame, at least one
        Song tables in the order of preference.

    Returns
    -------
    songs : pd.DataFrame [index: track_id; columns: SONG_COLUMNS]
        The union of the tracks, sorted.
    counts : dict of int
        ``conflicts in <column>``: tracks of which a later source says something else (durations: by more than
        0.01 s). Only columns with conflicts.
    """
    songs, counts = sources[0], Counter[str]()
    for other in sources[1:]:
        common = songs.index.intersection(other.index)
        for name in SONG_COLUMNS:
            ours, theirs = songs.loc[common, name], other.loc[common, name]
            both = ours.notna() & theirs.notna()
            ours, theirs = ours[both], theirs[both]
            differ = (ours - theirs).abs() > 0.01 if name == "duration_s" else ours != theirs
            counts[f"conflicts in {name}"] += int(differ.sum())
        union = songs.index.union(other.index)
        songs, other = songs.reindex(union), other.reindex(union)
        songs = pd.DataFrame({name: songs[name].where(songs[name].notna(), other[name]) for name in SONG_COLUMNS})
    songs.index.name = "track_id"
    return songs.sort_index(), {name: count for name, count in counts.items() if count}
