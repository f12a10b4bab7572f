"""Any collection whose CSV has a column of labels, one or several a track, and perhaps a split of its own.

This is where a set like NAVER's Korean one of the ISMIR 2018 paper (8 genres, one a song) comes in: a CSV with a
path, a label and perhaps an artist and a side for each track.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from artist_transfer.corpora._csv import csv_rows
from artist_transfer.corpora.listed_audio import exclusions, is_there, tell_absent
from artist_transfer.corpora.names import normal_name
from artist_transfer.corpora.official_lists import table_facts
from artist_transfer.corpora.schema import split_words
from artist_transfer.corpora.table import read_table
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

FEW = 0.05  # of the labelled tracks with several labels: fewer may be a slip of the separators
LABELS = ("auto", "one", "several")


def read_labelled(
    corpus_root: str | Path,
    *,
    label: str = "label",
    labels: str = "auto",
    separators: str = ";|",
    file: str = "tracks.csv",
    columns: Mapping[str, str | None] | None = None,
    split_names: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, dict[str, int], dict[str, object] | None, pd.DataFrame]:
    """Read the track table of a collection with labels.

    Parameters
    ----------
    corpus_root : str or Path
        The folder that holds `file` and that ``path`` cells are relative to, or the CSV itself.
    label : str
        The CSV's column of labels.
    labels : {"auto", "one", "several"}
        Whether a cell is one label or several joined by `separators`; auto: several if any cell holds more than
        one. In a collection with several labels those of a track are tags, and no track has a genre: a genre of the
        few tracks that happen to have one label would be another task.
    separators : str
        The characters that may stand between labels.
    file : str
        Name of the CSV.
    columns : mapping, optional
        Our name to the CSV's name, as in `artist_transfer.corpora.table.read_table`; a CSV without track ids
        may use ``{"track_id": "path"}``.
    split_names : mapping, optional
        The CSV's words for the sides of its split to ours, beside train, valid, val, dev, test, ….

    Returns
    -------
    track_table : pd.DataFrame
        ``genre_top`` the label in a collection with one a track, ``genres`` the labels in one with several; the
        other is empty. Tracks without a file are left out (a warning names them).
    notes : dict of int
        Counts: ``tracks``, ``without genre`` (all, if there are several labels), ``without artist``, ``without label``,
        ``with several labels``; ``listed`` = ``tracks`` + ``listed but not there``.
    list_facts : dict or None
        Hash and counts of the CSV's own split; None if it has none.
    exclusions : pd.DataFrame [columns: track_id, reason]
        Every listed track that is left out.

    Raises
    ------
    ArtistTransferError
        If the file, the column of labels or all labels are missing, a row is malformed, or none of the tracks
        is there.
    """
    if labels not in LABELS:
        raise ArtistTransferError(f"ingestion.labelled.labels={labels!r} is unknown; allowed: {', '.join(LABELS)}.")
    given = Path(corpus_root)
    root, path = (given.parent, given) if given.is_file() else (given, given / file)
    if not root.is_dir():
        raise ArtistTransferError(f"corpus_root: folder {root} is missing.")
    _check_label(path, label)
    everything, _ = read_table(
        path, columns={**(columns or {}), "genre_top": label}, split_names=split_names, key="ingestion.labelled"
    )
    everything, several = _with_labels(everything, labels, separators)
    if not (everything["genre_top"].notna() | everything["genres"].map(bool)).any():
        raise ArtistTransferError(f"{path}, column {label!r}: every cell is empty; at least one track needs a label.")
    there = everything["path"].map(lambda name: is_there(root, name)).astype(bool)
    absent = dict(zip(everything.loc[~there, "track_id"], everything.loc[~there, "path"], strict=True))
    tell_absent(list(absent), listed=len(everything), name=path.name, where=root)
    table = everything[there].reset_index(drop=True)
    words = table["genres"].map(len) if several else table["genre_top"].notna().astype(int)
    notes = {
        "tracks": len(table),
        "without genre": int(table["genre_top"].isna().sum()),
        "without artist": int(table["artist_id"].isna().sum()),
        "without label": int((words == 0).sum()),
        "with several labels": int((words > 1).sum()),
        "listed": len(everything),
        "listed but not there": len(absent),
    }
    official = everything["official_split"].notna().any()
    facts = table_facts(everything, name=path.name) if official else None
    return table, notes, facts, exclusions(absent)


def _check_label(path: Path, label: str) -> None:
    _, header = next(csv_rows(path), (1, []))
    names = [normal_name(name) for name in header]
    if normal_name(label) not in names:
        found = ", ".join(names) or "an empty file"
        raise ArtistTransferError(
            f"{path}: ingestion.labelled.label is {label!r}, but the file has no such column; allowed: one of {found}."
        )


def _with_labels(table: pd.DataFrame, labels: str, separators: str) -> tuple[pd.DataFrame, bool]:
    """Part cells of several labels; say whether the collection has such."""
    cells = table["genre_top"]
    if not separators or labels == "one":
        return table, False
    between = re.compile(f"[{re.escape(separators)}]")
    words = [[] if pd.isna(cell) else split_words(cell, separators=between) for cell in cells]
    many, labelled = (sum(len(own) > least for own in words) for least in (1, 0))
    if labels == "auto" and not many:
        return table, False
    if labels == "auto" and many < FEW * labelled:
        warnings.warn(
            f"ingestion.labelled: {many} of {labelled} labelled tracks have several labels, so all labels are taken as "
            "tags and no track has a genre. If each cell is one label, say ingestion.labelled.labels=one",
            ArtistTransferWarning,
            stacklevel=3,
        )
    top = pd.Series([None] * len(table), dtype="str")
    return table.assign(genre_top=top, genres=pd.Series(words, dtype=object)), True
