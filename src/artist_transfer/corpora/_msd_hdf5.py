"""Song tables of the Million Song Dataset's HDF5 files: their columns, a reader and a writer.

A song file has three tables with one row, ``/metadata/songs``, ``/analysis/songs`` and ``/musicbrainz/songs``; the
summary file (and any aggregate file) has the same three with one row a song, in one order. Texts are fixed-length
UTF-8 bytes, year 0 means unknown. Reference: http://millionsongdataset.com/pages/field-list/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from artist_transfer.artifacts import atomic_path
from artist_transfer.errors import ArtistTransferError

CHUNK = 8192  # rows that are read at a time: a million rows of the summary file are 4 GB
MAX_FIELD = 1 << 16  # bytes of one text; the format has 1,024
MAX_CHUNK = 1 << 28  # bytes that one compressed piece of a table may unpack to

NO_TABLES = "no song tables"
"""How the error begins of a file that is HDF5, but none of the Million Song Dataset's."""

METADATA = np.dtype(
    [
        ("analyzer_version", "S32"), ("artist_7digitalid", "<i4"), ("artist_familiarity", "<f8"),
        ("artist_hotttnesss", "<f8"), ("artist_id", "S32"), ("artist_latitude", "<f8"), ("artist_location", "S1024"),
        ("artist_longitude", "<f8"), ("artist_mbid", "S40"), ("artist_name", "S1024"), ("artist_playmeid", "<i4"),
        ("genre", "S1024"), ("idx_artist_terms", "<i4"), ("idx_similar_artists", "<i4"), ("release", "S1024"),
        ("release_7digitalid", "<i4"), ("song_hotttnesss", "<f8"), ("song_id", "S32"), ("title", "S1024"),
        ("track_7digitalid", "<i4"),
    ]
)  # fmt: skip
ANALYSIS = np.dtype(
    [
        ("analysis_sample_rate", "<i4"), ("audio_md5", "S32"), ("danceability", "<f8"), ("duration", "<f8"),
        ("end_of_fade_in", "<f8"), ("energy", "<f8"), ("idx_bars_confidence", "<i4"), ("idx_bars_start", "<i4"),
        ("idx_beats_confidence", "<i4"), ("idx_beats_start", "<i4"), ("idx_sections_confidence", "<i4"),
        ("idx_sections_start", "<i4"), ("idx_segments_confidence", "<i4"), ("idx_segments_loudness_max", "<i4"),
        ("idx_segments_loudness_max_time", "<i4"), ("idx_segments_loudness_start", "<i4"),
        ("idx_segments_pitches", "<i4"), ("idx_segments_start", "<i4"), ("idx_segments_timbre", "<i4"),
        ("idx_tatums_confidence", "<i4"), ("idx_tatums_start", "<i4"), ("key", "<i4"), ("key_confidence", "<f8"),
        ("loudness", "<f8"), ("mode", "<i4"), ("mode_confidence", "<f8"), ("start_of_fade_out", "<f8"),
        ("tempo", "<f8"), ("time_signature", "<i4"), ("time_signature_confidence", "<f8"), ("track_id", "S32"),
    ]
)  # fmt: skip
MUSICBRAINZ = np.dtype([("idx_artist_mbtags", "<i4"), ("year", "<i4")])
TABLES = {"metadata": METADATA, "analysis": ANALYSIS, "musicbrainz": MUSICBRAINZ}
"""Columns of the three tables, as the files have them."""

_WANTED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "metadata": (
        ("artist_id", "artist_name", "song_id", "title"),
        ("release", "track_7digitalid", "artist_7digitalid", "release_7digitalid"),
    ),
    "analysis": (("track_id",), ("duration",)),
    "musicbrainz": ((), ("year",)),
}
"""Columns that are read of each table: those that must be there, those that may be."""


def hdf5_songs(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield each song of a song file, aggregate file or the summary file.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    (int, dict)
        Row from 1 and the raw cells (bytes, numbers) by column.

    Raises
    ------
    ArtistTransferError
        If the file cannot be read as HDF5, has no song tables, or its tables do not fit each other.
    """
    try:
        with h5py.File(path, "r") as file:
            columns = _columns(file)
            rows = {name: file[name]["songs"].shape[0] for name in columns}
            if len(set(rows.values())) > 1:
                raise ArtistTransferError(f"song tables of different lengths: {rows}")
            n_rows = next(iter(rows.values()))
            for start in range(0, n_rows, CHUNK):
                stop = min(n_rows, start + CHUNK)
                cells: dict[str, list[object]] = {}
                for name, wanted in columns.items():
                    part = file[name]["songs"].fields(list(wanted))[start:stop]
                    cells.update({key: part[key].tolist() for key in wanted})
                for at, values in enumerate(zip(*cells.values(), strict=True)):
                    yield start + at + 1, dict(zip(cells, values, strict=True))
    except ArtistTransferError as error:
        raise ArtistTransferError(f"{path}: {error}.") from None
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise ArtistTransferError(f"{path}: unreadable as HDF5 ({_first_line(error)}).") from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _columns(file: h5py.File) -> dict[str, tuple[str, ...]]:
    columns = {}
    for name, (required, optional) in _WANTED.items():
        group = file.get(name)
        table = group.get("songs") if isinstance(group, h5py.Group) else None
        if not isinstance(table, h5py.Dataset) or table.dtype.names is None or table.ndim != 1:
            if not required:
                continue
            raise ArtistTransferError(f"{NO_TABLES}: /{name}/songs is missing")
        if table.chunks is not None and table.chunks[0] * table.dtype.itemsize > MAX_CHUNK:
            raise ArtistTransferError(f"{NO_TABLES}: /{name}/songs is packed in pieces of {table.chunks[0]} rows")
        for key in required:
            if key not in table.dtype.names:
                raise ArtistTransferError(f"{NO_TABLES}: /{name}/songs has no column {key!r}")
        wanted = (*required, *(key for key in optional if key in table.dtype.names))
        for key in wanted:
            if table.dtype[key].itemsize > MAX_FIELD or table.dtype[key].kind not in "SOiuf":
                raise ArtistTransferError(f"{NO_TABLES}: /{name}/songs, column {key!r} is a {table.dtype[key]}")
        columns[name] = wanted
    return columns


def write_hdf5_songs(path: str | Path, songs: Sequence[Mapping[str, object]]) -> None:
    """Write songs as the Million Song Dataset does; equal songs give equal bytes.

    Parameters
    ----------
    path : str or Path
        A song file (one song) or a summary file (any number).
    songs : sequence of mappings
        Values by column name of `TABLES`; texts are encoded as UTF-8, absent columns are empty or 0.

    Raises
    ------
    ArtistTransferError
        If a column is unknown or a text does not fit.
    """
    known = {key for dtype in TABLES.values() for key in dtype.names or ()}
    for song in songs:
        for key in song:
            if key not in known:
                raise ArtistTransferError(f"{path}: column {key!r} is unknown; allowed: {', '.join(sorted(known))}.")
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for name, dtype in TABLES.items():
            table = np.zeros(len(songs), dtype=dtype)
            for key in dtype.names or ():
                for row, song in enumerate(songs):
                    if key in song:
                        table[key][row] = _encoded(path, key, song[key], dtype[key].itemsize)
            file.create_group(name).create_dataset("songs", data=table, maxshape=(None,), compression="gzip")


def _encoded(path: str | Path, key: str, value: object, size: int) -> object:
    if not isinstance(value, str):
        return value
    raw = value.encode("utf-8")
    if len(raw) > size:
        raise ArtistTransferError(f"{path}, column {key!r}: {len(raw)} bytes; the format has room for {size}.")
    return raw
