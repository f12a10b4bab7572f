"""Find the 7digital preview of each track: by an id map, or by the name of the file.

The previews of the Million Song Dataset come named by 7digital's track id (``8/9/8947470.clip.mp3`` in the lists that
public code uses) or renamed to the Million Song Dataset's. An id map says which file belongs to which track, in any of
these forms, of which several may be given:

- JSON: one object; CSV (commas) or TSV (tabs): two or three columns, with or without a header;
- pickle: one dict, such as ``MSD_id_to_7D_id.pkl`` and ``7D_id_to_path.pkl``
  (https://github.com/jongpillee/music_dataset_split), read without running anything (`plain_pickle`).

What an entry means is seen from its cells: a track id (``TR…``) or a 7digital id (digits) on the left, a 7digital id
or a path on the right.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from artist_transfer.corpora._csv import csv_rows
from artist_transfer.corpora._lines import refuse_row, text_lines
from artist_transfer.corpora._msd_sources import TRACK_ID
from artist_transfer.corpora.plain_pickle import MAX_BYTES, read_plain_pickle
from artist_transfer.errors import ArtistTransferError

FORMATS = (".json", ".csv", ".tsv", ".txt", ".pkl", ".cP")
"""Endings of id maps; ``.txt`` is read as TSV."""
_DIGITS = re.compile(r"[0-9]{1,12}")


@dataclass
class IdMap:
    """What the id maps say.

    Attributes
    ----------
    seven_of : dict
        Track id to 7digital id.
    path_of : dict
        Track id or 7digital id to a path in the folder of the previews.
    """

    seven_of: dict[str, str] = field(default_factory=dict)
    path_of: dict[str, str] = field(default_factory=dict)


def read_id_maps(paths: Sequence[Path]) -> IdMap:
    """Read id maps.

    Parameters
    ----------
    paths : sequence of Path
        Files that end in one of `FORMATS`.

    Returns
    -------
    IdMap
        All their entries.

    Raises
    ------
    ArtistTransferError
        If a file is missing or malformed, or an entry contradicts another one; names file and row.
    """
    known = IdMap()
    for path in paths:
        for row, cells in _entries(path):
            _enter(path, row, cells, known)
    return known


def _entries(path: Path) -> Iterator[tuple[int, list[str]]]:
    if path.suffix not in FORMATS:
        allowed = ", ".join(FORMATS)
        raise ArtistTransferError(f"ingestion.msd.id_maps: {path} has an unknown ending; allowed: {allowed}.")
    if path.suffix in (".pkl", ".cP"):
        return _pairs(path, read_plain_pickle(path))
    if path.suffix == ".json":
        return _pairs(path, _json(path))
    rows = csv_rows(path) if path.suffix == ".csv" else _tabbed(path)
    return _without_header([(row, [cell.strip() for cell in cells]) for row, cells in rows])


def _tabbed(path: Path) -> Iterator[tuple[int, list[str]]]:
    return ((row, line.split("\t")) for row, line in text_lines(path) if line.strip())


def _without_header(rows: list[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    return iter(rows[1:] if rows and not _is_id(rows[0][1][0]) else rows)


def _json(path: Path) -> object:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ArtistTransferError(f"{path}: has more than {MAX_BYTES:,} bytes; that is no id map.")
        # as pairs, since an object would silently keep the last of two entries with one key
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=lambda pairs: pairs)
    except OSError as error:
        raise ArtistTransferError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise ArtistTransferError(f"{path}: not JSON in UTF-8 ({error}).") from None


def _pairs(path: Path, value: object) -> Iterator[tuple[int, list[str]]]:
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        raise ArtistTransferError(f"{path}: must hold one object of ids (a dict), found a {type(value).__name__}.")
    for row, pair in enumerate(pairs, start=1):
        if not all(isinstance(cell, (str, int)) for cell in pair):
            refuse_row(path, row, f"must map an id to an id or a path, found {pair!r:.80}")
        yield row, [str(cell) for cell in pair]


def _is_id(text: str) -> bool:
    return bool(TRACK_ID.fullmatch(text) or _DIGITS.fullmatch(text))


def _enter(path: Path, row: int, cells: Sequence[str], known: IdMap) -> None:
    key, rest = cells[0], cells[1:]
    if not _is_id(key) or not 1 <= len(rest) <= 2 or not all(rest):
        refuse_row(
            path, row, f"must be a track id or 7digital id, and a 7digital id or path, found {list(cells)!r:.80}"
        )
    for value in rest:
        if _DIGITS.fullmatch(value):
            if not TRACK_ID.fullmatch(key):
                refuse_row(path, row, f"maps the 7digital id {key} to {value}; a path is needed")
            target = known.seven_of
        else:
            target = known.path_of
            value = _inside(path, row, value)
        if target.setdefault(key, value) != value:
            refuse_row(path, row, f"{key} is {value!r} here, but {target[key]!r} further up or in another id map")


def _inside(path: Path, row: int, text: str) -> str:
    pure = PurePosixPath(text)
    if pure.is_absolute() or ".." in pure.parts or not pure.name or "\0" in text:
        refuse_row(path, row, f"must be a path in the folder of the previews, without '..', found {text!r:.80}")
    return pure.as_posix()


@dataclass(frozen=True)
class Previews:
    """Which track has which file.

    Attributes
    ----------
    path_of : dict
        Track id to path, relative to the corpus.
    reasons : dict
        Track id to why it has none.
    notes : dict of int
        Counts.
    """

    path_of: dict[str, str]
    reasons: dict[str, str]
    notes: dict[str, int]


def find_previews(songs: pd.DataFrame, files: Iterable[str], *, id_map: IdMap, folder: str = "") -> Previews:
    """Find the preview of each song.

    A file that the id map names comes first, then one named by the track id, then one named by the 7digital id (the
    id map's before the metadata's). Names count up to their first dot, in any folder: ``8/9/8947470.clip.mp3``.

    Parameters
    ----------
    songs : pd.DataFrame [index: track_id]
        With ``track_7digitalid``.
    files : iterable of str
        Audio files of the corpus, relative to it.
    id_map : IdMap
        May be empty.
    folder : str
        Folder of the previews in the corpus, which the id map's paths begin in; empty: the corpus itself.

    Returns
    -------
    Previews
        Paths and reasons: ``preview missing: …`` (the id map names a file that is not there), ``no 7digital id``, ``no
        file of this name``.
    """
    present = set(files)
    by_name = _by_name(present)
    sevens = songs["track_7digitalid"].to_dict()
    counts: Counter[str] = Counter()
    path_of: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for track in songs.index:
        own = sevens[track] if pd.notna(sevens[track]) else None
        mapped = id_map.seven_of.get(track)
        counts["7digital ids that the id map has otherwise"] += None not in (own, mapped) and own != mapped
        seven = mapped or own
        named = id_map.path_of.get(track) or id_map.path_of.get(seven or "")
        named = named and (PurePosixPath(folder) / named).as_posix()
        how, found = _look_up(track, seven, named, present, by_name)
        if found:
            path_of[track] = found[0]
            counts[f"previews by {how}"] += 1
            counts["previews with several files (the first by name is used)"] += len(found) > 1
        elif named:
            reasons[track] = f"preview missing: {named}"
        else:
            reasons[track] = f"no file of this name: {seven} or {track}" if seven else "no 7digital id"
    counts["audio files of no track"] = len(present - set(path_of.values()))
    counts["id map entries of other tracks"] = len(set(id_map.seven_of) - set(songs.index))
    return Previews(path_of, reasons, {name: count for name, count in counts.items() if count})


def _by_name(files: Iterable[str]) -> dict[str, list[str]]:
    by_name: dict[str, list[str]] = {}
    for file in sorted(files):
        stem = PurePosixPath(file).name.split(".", 1)[0]
        if _is_id(stem):
            by_name.setdefault(stem, []).append(file)
    return by_name


def _look_up(
    track: str, seven: str | None, named: str | None, present: set[str], by_name: Mapping[str, list[str]]
) -> tuple[str, list[str]]:
    if named is not None and named in present:
        return "id map", [named]
    for how, key in (("track id", track), ("7digital id", seven or "")):
        if key in by_name:
            return how, by_name[key]
    return "", []
