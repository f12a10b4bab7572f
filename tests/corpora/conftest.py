"""Tiny corpora in the real formats, written by the tests themselves."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.corpora.msd_files import MsdWriter, write_msd

SECTIONS = ["", "album", "artist", "artist", "set", "set", "track", "track", "track", "track", "track"]
NAMES = ["", "id", "id", "name", "split", "subset", "duration", "genre_top", "genres", "genres_all", "title"]
FMA_ROWS = [
    ["2", "1", "1", "AWOL", "training", "small", "168", "Hip-Hop", "[21]", "[21]", "Food"],
    ["3", "1", "1", "AWOL", "validation", "medium", "12", "Hip-Hop", "[21, 83]", "[21, 83]", "Two\nlines"],
    ["1486", "-1", "-1", "", "test", "medium", "-1", "", "[]", "[]", "no, artist"],
    ["100017", "6", "9", "Ann", "test", "large", "300", "", "[83, 12]", "[12, 83, 21]", "Other"],
]
GENRES = [
    ["genre_id", "#tracks", "parent", "title", "top_level"],
    ["12", "32923", "0", "Rock", "12"],
    ["21", "8389", "0", "Hip-Hop", "21"],
    ["83", "1752", "21", "Alternative Hip-Hop", "21"],
]
FILES = {f"fma_small/000/{k:06d}.mp3": bytes([k]) * (1000 + k) for k in range(20)}
FmaWriter = Callable[..., Path]


def write_rows(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write a CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


@pytest.fixture
def write_fma(tmp_path: Path) -> FmaWriter:
    """Write an FMA of four tracks; cells of the track rows and whole columns can be changed."""

    def write(changes: dict[tuple[int, str], str] | None = None, without: Sequence[str] = ()) -> Path:
        root = tmp_path / "fma"
        header = [f"{section}.{name}" for section, name in zip(SECTIONS, NAMES, strict=True)]
        rows = [list(row) for row in FMA_ROWS]
        for (row, column), text in (changes or {}).items():
            rows[row][header.index(column) if column != "track_id" else 0] = text
        index = ["track_id", *[""] * (len(NAMES) - 1)]
        keep = [at for at, name in enumerate(header) if name not in without]
        table = [[row[at] for at in keep] for row in (SECTIONS, NAMES, index, *rows)]
        write_rows(root / "fma_metadata" / "tracks.csv", table)
        write_rows(root / "fma_metadata" / "genres.csv", GENRES)
        for subset in ("small", "medium", "large", "full"):
            (root / f"fma_{subset}").mkdir(exist_ok=True)
        return root

    return write


@pytest.fixture
def write_source(tmp_path: Path) -> MsdWriter:
    """Write one source of metadata of the Million Song Dataset, and a preview for every track."""
    return partial(write_msd, tmp_path / "msd")


@pytest.fixture
def table_root(tmp_path: Path) -> Path:
    """Write a collection that one CSV describes."""
    rows = [
        ["track_id", "artist_id", "genre_top", "subgenres", "path", "duration_s"],
        ["000002", "7", "folk", "['ballad', 'live']", "a/2.ogg", "30.0"],
        ["000001", "", "", "dub; live", "a/1.ogg", ""],
        ["000003", "8", "folk", "", "b/3.ogg", "12.5"],
    ]
    write_rows(tmp_path / "table" / "tracks.csv", rows)
    return tmp_path / "table"


@pytest.fixture
def folder_root(tmp_path: Path) -> Path:
    """Write a folder with two tagged files and one without tags."""
    root = tmp_path / "folder"
    (root / "sub").mkdir(parents=True)
    for name, tags in (
        ("sub/b.flac", {"artist": "Ann", "title": "B", "genre": "Folk; Ballad/Live", "album": "Songs"}),
        ("a.ogg", {"artist": "Various Artists", "albumartist": "Bob"}),
        ("c.wav", {}),
    ):
        write_audio(root / name, tags)
    return root


def write_audio(path: Path, tags: dict[str, str]) -> None:
    """Write a tenth of a second of noise and tag it."""
    import mutagen

    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 2205), 22050)
    if tags:
        audio = mutagen.File(path, easy=True)
        for name, value in tags.items():
            audio[name] = value
        audio.save()


def zip_of(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_BZIP2) -> Path:
    """Write a zip file with these members."""
    with zipfile.ZipFile(path, "w", method) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path
