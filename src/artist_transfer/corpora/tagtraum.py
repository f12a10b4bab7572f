"""Genres of the Million Song Dataset by tagtraum: ``msd_tagtraum_cd1.cls``, ``…_cd2.cls``, ``…_cd2c.cls``.

Reference: H. Schreiber, "Improving Genre Annotations for the Million Song Dataset", ISMIR 2015,
http://www.tagtraum.com/msd_genre_datasets.html. Lines of track id, genre and, in CD1 and CD2, a second (minority)
genre, with tabs between; ``#`` begins a comment. CD2C leaves ambiguous tracks out. The files of the Vienna genre
sets (MAGD, MASD) have the same form.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pandas as pd

from artist_transfer.corpora._lines import refuse_row, text_lines
from artist_transfer.errors import ArtistTransferError

Ambiguous = Literal["first", "missing"]
FILES = tuple(f"msd_tagtraum_{name}.cls{packed}" for name in ("cd2c", "cd2", "cd1") for packed in ("", ".gz"))
"""Names that are looked for, the least ambiguous set first."""

_TRACK = re.compile(r"TR[A-Z0-9]{16}")


def read_tagtraum(path: str | Path, *, ambiguous: Ambiguous = "first") -> tuple[pd.DataFrame, dict[str, int]]:
    """Read one genre file.

    Parameters
    ----------
    path : str or Path
        The file; gzipped if its name ends in ``.gz``.
    ambiguous : {"first", "missing"}
        ``genre_top`` of a track with two genres: the first (majority) one, or none.

    Returns
    -------
    genre_table : pd.DataFrame [shape=(n, 3)]
        ``track_id``, ``genre_top`` (may be missing), ``genres`` (list of one or two), sorted by ``track_id``.
    notes : dict of int
        ``genre rows``, ``genre rows with two genres``, ``genre rows that repeat another``.

    Raises
    ------
    ArtistTransferError
        If the file is missing, a row is malformed or two rows give one track different genres; names file and row.
    """
    if ambiguous not in ("first", "missing"):
        raise ArtistTransferError(f"ingestion.msd.ambiguous_genre={ambiguous!r} is unknown; allowed: first, missing.")
    path = Path(path)
    genres: dict[str, list[str]] = {}
    first_row: dict[str, int] = {}
    rows = repeats = 0
    for row, line in text_lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        rows += 1
        track, *words = (cell.strip() for cell in line.split("\t"))
        if not _TRACK.fullmatch(track) or not 1 <= len(words) <= 2 or not words[0]:
            refuse_row(path, row, f"must be a track id, a genre and perhaps a second one, tabs between: {line!r:.80}")
        words = list(dict.fromkeys(word for word in words if word))
        if genres.setdefault(track, words) != words:
            other = f"{' and '.join(genres[track])} in row {first_row[track]}"
            refuse_row(path, row, f"track {track} is {' and '.join(words)} here, but {other}")
        repeats += track in first_row
        first_row.setdefault(track, row)
    if not genres:
        raise ArtistTransferError(f"{path}: no track has a genre; this is no genre file.")
    table = pd.DataFrame({"track_id": list(genres), "genres": list(genres.values())})
    table["genre_top"] = pd.Series(
        [words[0] if ambiguous == "first" or len(words) == 1 else None for words in table["genres"]], dtype="str"
    )
    table = table.sort_values("track_id", ignore_index=True).loc[:, ["track_id", "genre_top", "genres"]]
    return table, {
        "genre rows": rows,
        "genre rows with two genres": int(table["genres"].map(len).eq(2).sum()),
        "genre rows that repeat another": repeats,
    }
