"""FMA, a dataset for music analysis: ``fma_metadata/{tracks,genres}.csv`` and the ``000/000002.mp3`` tree.

Reference: M. Defferrard, K. Benzi, P. Vandergheynst, X. Bresson, "FMA: A Dataset For Music Analysis", ISMIR
2017, https://arxiv.org/abs/1612.01840; metadata CC BY 4.0, each track under its artist's licence.

Facts of the files: ``tracks.csv`` has two header rows and a third that names the index; cells may contain
line breaks; list columns are Python literals; a missing integer is -1; ``genre_top`` is empty where the roots
of a track's genres differ. The subsets nest: medium holds small, large holds both, full has the tracks of
large at their whole length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pandas as pd
from tqdm.auto import tqdm

from artist_transfer.corpora._csv import check_width, csv_rows, literal_list, refuse_cell
from artist_transfer.corpora.schema import SOURCE_ROW, make_track_table
from artist_transfer.errors import ArtistTransferError

SUBSETS = ("small", "medium", "large", "full")
CLIP_S = 30.0
"""Length of the clips of small, medium and large, in seconds (a shorter track is there as a whole)."""

_REQUIRED = (
    ("set", "split"),
    ("set", "subset"),
    ("artist", "id"),
    ("track", "genre_top"),
    ("track", "genres"),
)
_OPTIONAL = (("artist", "name"), ("album", "id"), ("track", "title"), ("track", "duration"))


@dataclass(frozen=True)
class _Row:
    """The cells of one track that are read, by ``section.name``, and where they stand."""

    path: Path
    line: int
    track: str
    cells: Mapping[str, str]

    def refuse(self, column: str, problem: str) -> NoReturn:
        refuse_cell(self.path, self.line, column, problem=problem)

    def text(self, column: str) -> str | None:
        return self.cells.get(column, "").strip() or None

    def integer(self, column: str) -> int | None:
        """Return a whole number, None for an empty cell and for -1."""
        text = self.text(column)
        if text is None:
            return None
        number = _integer(text)
        if number is None:
            self.refuse(column, f"must be an integer (-1: missing), found {text!r}")
        return number if number >= 0 else None


def read_fma(
    corpus_root: str | Path,
    *,
    subset: str,
    metadata_folder: str = "fma_metadata",
    audio_folder: str | None = None,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the track table of one FMA subset.

    Parameters
    ----------
    corpus_root : str or Path
        The folder that holds `metadata_folder` and `audio_folder`.
    subset : {"small", "medium", "large", "full"}
        Which tracks; medium contains small, large and full contain all.
    metadata_folder : str
        Folder of ``tracks.csv`` and ``genres.csv`` in `corpus_root`.
    audio_folder : str, optional
        Folder of the mp3 tree in `corpus_root`; default ``fma_<subset>``.

    Returns
    -------
    track_table : pd.DataFrame
        ``track_id`` is the six-digit name of the file; ``genres`` the titles of the track's own genres (not
        those of their parents); ``declared_s`` min(30, duration of the track) for the clip subsets.
    notes : dict of int
        Counts: ``tracks``, ``without genre``, ``without artist``, ``of other subsets``.

    Raises
    ------
    ArtistTransferError
        If a folder, file or column is missing or a cell malformed; names file, row and column.
    """
    root = Path(corpus_root)
    if subset not in SUBSETS:
        raise ArtistTransferError(f"ingestion.fma.subset={subset!r} is unknown; allowed: {', '.join(SUBSETS)}.")
    audio_folder = f"fma_{subset}" if audio_folder is None else audio_folder
    for folder in (root, root / metadata_folder, root / audio_folder):
        if not folder.is_dir():
            raise ArtistTransferError(f"corpus_root: folder {folder} is missing.")
    titles = _genre_titles(root / metadata_folder / "genres.csv")
    path = root / metadata_folder / "tracks.csv"
    records: list[dict[str, object]] = []
    others = 0
    for row in _track_rows(path):
        if _in_subset(row, subset):
            records.append(_record(row, titles, audio_folder=audio_folder, clips=subset != "full"))
        else:
            others += 1
    if not records:
        raise ArtistTransferError(f"{path}: no track of subset {subset!r} ({others} of other subsets).")
    table = make_track_table(pd.DataFrame(records), source=path)
    return table, {
        "tracks": len(table),
        "without genre": int(table["genre_top"].isna().sum()),
        "without artist": int(table["artist_id"].isna().sum()),
        "of other subsets": others,
    }


def _genre_titles(path: Path) -> dict[int, str]:
    rows = csv_rows(path)
    line, header = next(rows, (1, []))
    for name in ("genre_id", "title"):
        if name not in header:
            refuse_cell(path, line, name, problem=f"missing column; found {', '.join(header)}")
    id_at, title_at = header.index("genre_id"), header.index("title")
    titles: dict[int, str] = {}
    for line, cells in rows:
        check_width(path, line, cells, width=len(header))
        genre = _integer(cells[id_at])
        if genre is None:
            refuse_cell(path, line, "genre_id", problem=f"must be an integer, found {cells[id_at]!r}")
        if not cells[title_at].strip():
            refuse_cell(path, line, "title", problem="is empty; every genre needs one")
        titles[genre] = cells[title_at].strip()
    return titles


def _track_rows(path: Path) -> Iterator[_Row]:
    rows = csv_rows(path)
    sections, names = next(rows, (1, []))[1], next(rows, (2, []))[1]
    if len(sections) != len(names) or not sections:
        raise ArtistTransferError(
            f"{path}, row 2: the two header rows have {len(sections)} and {len(names)} cells;"
            " FMA's tracks.csv has two header rows of equal length."
        )
    columns = _find_columns(path, list(zip(sections, names, strict=True)))
    for line, cells in tqdm(rows, desc=f"reading {path.name}", unit=" rows", delay=2, leave=False):
        if cells[0] == "track_id" and not any(cells[1:]):
            continue  # the third header row, which names the index
        check_width(path, line, cells, width=len(sections))
        number = _integer(cells[0])
        if number is None or number < 0:
            refuse_cell(path, line, "track_id", problem=f"must be an integer from 0 on, found {cells[0]!r}")
        yield _Row(path, line, f"{number:06d}", {name: cells[at] for name, at in columns.items()})


def _find_columns(path: Path, header: Sequence[tuple[str, str]]) -> dict[str, int]:
    for section, name in _REQUIRED:
        if (section, name) not in header:
            found = ", ".join(".".join(pair) for pair in header[1:])
            raise ArtistTransferError(
                f"{path}, row 2, column '{section}.{name}': missing column; found {found or 'none'}."
            )
    wanted = [pair for pair in _REQUIRED + _OPTIONAL if pair in header]
    return {".".join(pair): header.index(pair) for pair in wanted}


def _in_subset(row: _Row, subset: str) -> bool:
    own = row.text("set.subset")
    if own not in SUBSETS:
        row.refuse("set.subset", f"must be one of {', '.join(SUBSETS)}, found {own!r}")
    return SUBSETS.index(own) <= SUBSETS.index(subset)


def _record(row: _Row, titles: Mapping[int, str], *, audio_folder: str, clips: bool) -> dict[str, object]:
    artist, album = row.integer("artist.id"), row.integer("album.id")
    return {
        SOURCE_ROW: row.line,
        "track_id": row.track,
        "artist_id": None if artist is None else str(artist),
        "artist": row.text("artist.name"),
        "album_id": None if album is None else str(album),
        "title": row.text("track.title"),
        "genre_top": row.text("track.genre_top"),
        "genres": _genres(row, titles),
        "path": f"{audio_folder}/{row.track[:3]}/{row.track}.mp3",
        "declared_s": _declared_s(row) if clips else None,
        "official_split": row.text("set.split"),
    }


def _genres(row: _Row, titles: Mapping[int, str]) -> list[str]:
    text = row.text("track.genres") or "[]"
    ids = literal_list(text)
    if ids is None:
        row.refuse("track.genres", f"must be a Python list such as [21, 103], found {text!r}")
    words = []
    for genre in ids:
        if isinstance(genre, bool) or not isinstance(genre, int):
            row.refuse("track.genres", f"must be a list of integers, found {genre!r}")
        if genre not in titles:
            row.refuse("track.genres", f"unknown genre id {genre}; genres.csv has {len(titles)} others")
        words.append(titles[genre])
    return words


def _declared_s(row: _Row) -> float | None:
    text = row.text("track.duration")
    if text is None:
        return CLIP_S
    try:
        duration = float(text)
    except ValueError:
        duration = math.nan
    if not math.isfinite(duration):
        row.refuse("track.duration", f"must be a number of seconds, found {text!r}")
    return min(CLIP_S, duration) if duration > 0 else CLIP_S  # 0 and -1: not known


def _integer(text: str) -> int | None:
    digits = text.strip().removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None
