"""MTG-Jamendo: tracks under Creative Commons licences with genre, instrument and mood tags, in official splits.

Reference: D. Bogdanov, M. Won, P. Tovstogan, A. Porter, X. Serra, "The MTG-Jamendo Dataset for Automatic Music
Tagging", ML4MD at ICML 2019; metadata CC BY-NC-SA 4.0, each track under its own licence.

Facts of the files: ``<subset>-{train,validation,test}.tsv`` of a split have five named columns and then as many
tab-separated tags as a track has; in a split no artist is on two sides; the audio is ``14/214.mp3``, in the
low-quality edition ``14/214.low.mp3``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pandas as pd

from artist_transfer.corpora._lines import text_lines
from artist_transfer.corpora.listed_audio import AUDIO_ENDINGS, exclusions, find_audio, find_folder, tell_absent
from artist_transfer.corpora.official_lists import OfficialLists, Published, SideList, find_lists
from artist_transfer.corpora.schema import make_track_table
from artist_transfer.errors import ArtistTransferError

COLUMNS = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")
AUDIO_FOLDERS = ("", "audio", "audio-low", "raw_30s/audio", "raw_30s/audio-low")
"""Where the download scripts and users put the folders 00 to 99."""
ENDINGS = (".mp3", ".low.mp3", *AUDIO_ENDINGS[1:])
CATEGORY_MARK = "---"

_SOURCE = "data/splits of github.com/MTG/mtg-jamendo-dataset"
_GENRE = Published(
    counts={"training": 32572, "validation": 11043, "test": 11479},
    source=f"{_SOURCE} (split-0)",
    sha256="7717e788f8289a554a948253d8937ace12e6b17047a8cf9f7881a63c0e541cea",
)
"""Split 0 of the genre subset."""


@dataclass(frozen=True)
class _Row:
    """One track of a TSV, and where it stands."""

    line: int
    side: str
    track: str
    artist: str
    album: str
    stem: str
    seconds: float
    tags: tuple[str, ...]


def read_jamendo(
    corpus_root: str | Path,
    *,
    subset: str = "autotagging_genre",
    lists: str | Path | None = None,
    audio_folder: str | None = None,
) -> tuple[pd.DataFrame, dict[str, int], dict[str, object], pd.DataFrame]:
    """Read the track table of one subset of MTG-Jamendo in one of its official splits.

    Parameters
    ----------
    corpus_root : str or Path
        The folder that holds the audio.
    subset : str
        First part of the names of the TSVs: ``autotagging``, ``autotagging_genre``,
        ``autotagging_instrument``, ``autotagging_moodtheme``, ``autotagging_top50tags``.
    lists : str or Path, optional
        The folder of ``<subset>-train.tsv``, ``<subset>-validation.tsv`` and ``<subset>-test.tsv`` (a folder
        ``split-0`` … ``split-4`` of the repository); default `corpus_root`.
    audio_folder : str, optional
        Folder of the folders 00 to 99 in `corpus_root`; default: the first of `AUDIO_FOLDERS` that has them.

    Returns
    -------
    track_table : pd.DataFrame
        ``genres`` the tags without their category (``rock`` of ``genre---rock``; where two categories share a
        tag, ``genre/rock``), ``declared_s`` the stated length, ``official_split`` by the file. Listed tracks
        without a file are left out (a warning names them).
    notes : dict of int
        Counts: ``tracks``, ``without genre`` (a tag corpus: all), ``without tag``, ``without artist``;
        ``listed`` = ``tracks`` + ``listed but not there``; ``of low quality``; ``artists on two sides``.
    list_facts : dict
        `artist_transfer.corpora.official_lists.OfficialLists.facts`; the tags are part of the hash.
    exclusions : pd.DataFrame [columns: track_id, reason]
        Every listed track that is left out.

    Raises
    ------
    ArtistTransferError
        If a folder or TSV is missing, a row malformed (names file, row, column), or none of the listed tracks
        is there.
    """
    root = Path(corpus_root)
    if not root.is_dir():
        raise ArtistTransferError(f"corpus_root: folder {root} is missing.")
    rows, official = _read_lists(root if lists is None else Path(lists), subset)
    folders = {row.stem.split("/")[0] for row in rows}
    folder = find_folder(root, AUDIO_FOLDERS, wanted=folders) if audio_folder is None else audio_folder
    stems = {row.track: f"{folder}/{row.stem}".lstrip("/") for row in rows}
    paths = find_audio(root, stems.values(), endings=ENDINGS)
    there = [row for row in rows if stems[row.track] in paths]
    absent = {row.track: f"{row.stem}.mp3" for row in rows if stems[row.track] not in paths}
    tell_absent(
        [f"{track} ({name})" for track, name in absent.items()],
        listed=len(rows),
        name=official.name,
        where=root / folder,
    )
    words = _plain_tags({tag for row in rows for tag in row.tags})
    records = [_record(row, words, path=paths[stems[row.track]]) for row in there]
    table = make_track_table(pd.DataFrame(records), source=root)
    notes = {
        "tracks": len(table),
        "without genre": len(table),
        "without tag": int((table["genres"].map(len) == 0).sum()),
        "without artist": int(table["artist_id"].isna().sum()),
        "listed": len(rows),
        "listed but not there": len(absent),
        "of low quality": sum(path.lower().endswith(".low.mp3") for path in paths.values()),
        "artists on two sides": _artists_on_two_sides(there),
    }
    return table, notes, official.facts(), exclusions(absent)


def _read_lists(folder: Path, subset: str) -> tuple[list[_Row], OfficialLists]:
    name = f"MTG-Jamendo ({subset})"
    ends = {"training": "train", "validation": "validation", "test": "test"}
    files = {side: (f"{subset}-{end}.tsv",) for side, end in ends.items()}
    published = _GENRE if subset == "autotagging_genre" else None
    paths = find_lists(folder, files, name=name, key="ingestion.jamendo.lists", published=published, source=_SOURCE)
    rows: list[_Row] = []
    lists = []
    for side, path in paths.items():
        own = _read_tsv(path, side)
        entries: dict[str, int] = {}
        for row in own:
            if row.track in entries:
                problem = f"track {row.track!r} stands in row {entries[row.track]} too; allowed: once"
                _refuse(path, row.line, "TRACK_ID", problem)
            entries[row.track] = row.line
        lists.append(SideList(path.name, side, entries, {row.track: "\t".join(sorted(row.tags)) for row in own}))
        rows += own
    return rows, OfficialLists(name, tuple(lists), published)


def _read_tsv(path: Path, side: str) -> list[_Row]:
    lines = ((line, text) for line, text in text_lines(path) if text.strip())
    _, header = next(lines, (1, ""))
    if tuple(header.split("\t")) != COLUMNS:
        raise ArtistTransferError(f"{path}, row 1: the header is {header!r}; allowed: {' TAB '.join(COLUMNS)}.")
    return [_row(path, line, side, text.split("\t")) for line, text in lines]


def _row(file: Path, line: int, side: str, cells: list[str]) -> _Row:
    if len(cells) < len(COLUMNS) - 1:
        raise ArtistTransferError(
            f"{file}, row {line}: {len(cells)} cells; allowed: {', '.join(COLUMNS[:5])} and then a tag a cell."
        )
    track, artist, album, path, duration, *tags = (cell.strip() for cell in cells)
    for name, text in (("TRACK_ID", track), ("PATH", path)):
        if not text:
            _refuse(file, line, name, "is empty; every row needs one")
    if not path.endswith(".mp3"):
        _refuse(file, line, "PATH", f"must end in .mp3, found {path!r}")
    for tag in tags:
        category, mark, word = tag.partition(CATEGORY_MARK)
        if not (category and mark and word):
            _refuse(file, line, "TAGS", f"must be <category>---<tag> such as genre---rock, found {tag!r}")
    seconds = _seconds(file, line, duration)
    return _Row(line, side, track, artist, album, path.removesuffix(".mp3"), seconds, tuple(tags))


def _seconds(file: Path, line: int, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        _refuse(file, line, "DURATION", f"must be a number of seconds above 0, found {text!r}")
    return seconds


def _refuse(file: Path, line: int, column: str, problem: str) -> NoReturn:
    raise ArtistTransferError(f"{file}, row {line}, column {column!r}: {problem}.")


def _plain_tags(tags: Iterable[str]) -> dict[str, str]:
    """Return the word of each tag: without its category, unless two categories share the word."""
    categories: dict[str, set[str]] = defaultdict(set)
    parts = {tag: tuple(tag.split(CATEGORY_MARK, 1)) for tag in tags}
    for category, word in parts.values():
        categories[word].add(category)
    return {
        tag: word if len(categories[word]) == 1 else f"{category}/{word}" for tag, (category, word) in parts.items()
    }


def _record(row: _Row, words: Mapping[str, str], *, path: str) -> dict[str, object]:
    return {
        "track_id": row.track,
        "artist_id": row.artist,
        "album_id": row.album,
        "genres": [words[tag] for tag in row.tags],
        "path": path,
        "declared_s": row.seconds,
        "official_split": row.side,
    }


def _artists_on_two_sides(rows: Iterable[_Row]) -> int:
    sides: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.artist:
            sides[row.artist].add(row.side)
    return sum(len(own) > 1 for own in sides.values())
