"""Systems and the files of their scores: those of the run, and those that others hand in on the same trials."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from artist_transfer.artifacts import sha256_of
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_learning.encoders import RELEASED

if TYPE_CHECKING:
    from artist_transfer.evaluation.recognition import RecognitionProtocol

ROLES = ("validation", "test")


@dataclass(frozen=True)
class Cell:
    """A system trained on so many artists, and the files of its scores.

    Attributes
    ----------
    system, encoder, scoring : str
        Its name, and what it is made of.
    artists : int or None
        Training artists; None where nothing is learned from them.
    rows : list of dict
        ``target, role, fold, trial, file``.
    """

    system: str
    encoder: str
    scoring: str
    artists: int | None
    rows: list[dict[str, Any]]

    @property
    def key(self) -> str:
        """Name that no other cell has."""
        return self.system if self.artists is None else f"{self.system} {self.artists}"


def cells_of(rows: Sequence[dict[str, Any]]) -> list[Cell]:
    """Put the entries of a manifest together by system and number of training artists.

    Parameters
    ----------
    rows : sequence of dict
        ``scores`` of the manifest.

    Returns
    -------
    list of Cell
        In the order of the manifest. What learns from no artist (the authors' net by cosine) comes once, from the
        largest set.
    """
    largest = max(row["artists"] for row in rows)
    found: dict[tuple[str, int | None], Cell] = {}
    for row in rows:
        fixed = (row["encoder"], row["scoring"]) == (RELEASED, "cosine")
        if fixed and row["artists"] != largest:
            continue
        size = None if fixed else row["artists"]
        cell = found.setdefault((row["system"], size), Cell(row["system"], row["encoder"], row["scoring"], size, []))
        cell.rows.append(row)
    return list(found.values())


def others_scores(
    score_lists: str | None, recognition_song_table: pd.DataFrame, *, taken: Collection[str]
) -> list[Cell]:
    """Find the scores of other systems on the trials of the run.

    Parameters
    ----------
    score_lists : str or None
        Folder with ``SYSTEM.csv`` or ``SYSTEM__anything.csv``, whose first line says which trials they are of.
    recognition_song_table : pd.DataFrame
        The trials.
    taken : collection of str
        Names of the systems of the run.

    Returns
    -------
    list of Cell
        Read and checked later, one by one.

    Raises
    ------
    ArtistTransferError
        If there is no such folder or no list in it, a list is of other trials, a name is taken, or a system lacks the
        scores of some fold.
    """
    from artist_transfer.evaluation.trial_lists import MARK
    from artist_transfer.pipelines.recognition.protocols import protocols_of

    if score_lists is None:
        return []
    files = sorted(Path(score_lists).glob("*.csv"))
    if not files:
        raise ArtistTransferError(f"recognition.score_lists={score_lists}: there is no CSV in such a folder")
    places = {}
    for target in dict.fromkeys(recognition_song_table["target"]):
        for role in ROLES:
            for fold, protocol in protocols_of(recognition_song_table, target, role).items():
                places[protocol.hash] = {"target": target, "role": role, "fold": fold, "trial": None}
    cells: dict[str, Cell] = {}
    for file in files:
        system = file.stem.split("__")[0]
        with file.open(encoding="utf-8", errors="replace") as stream:
            first = stream.readline()
        found = first.removeprefix(MARK).strip()
        if not first.startswith(MARK) or found not in places:
            lists = (f"{digest} ({p['target']}, fold {p['fold']}, {p['role']})" for digest, p in places.items())
            raise ArtistTransferError(
                f"{file}: the first line must be '{MARK}HASH' with the hash of one of the run's lists of trials, found "
                f"{first.strip()[:80]!r}; allowed: {', '.join(lists)}"
            )
        if system in taken:
            raise ArtistTransferError(f"{file}: a system of the run is called {system!r} already; give it another name")
        cell = cells.setdefault(system, Cell(system, system, "", None, []))
        cell.rows.append(places[found] | {"file": file.as_posix(), "sha256": sha256_of(file)})
    wanted = {(p["target"], p["fold"]) for p in places.values() if p["role"] == "test"}
    for cell in cells.values():
        missing = wanted - {(row["target"], row["fold"]) for row in cell.rows if row["role"] == "test"}
        if missing:
            some = "; ".join(f"{target}, fold {fold}" for target, fold in sorted(missing))
            raise ArtistTransferError(
                f"recognition.score_lists={score_lists}: {cell.system!r} has no scores of the test trials of {some}"
            )
    return list(cells.values())


def read_matrix(file: str, protocol: RecognitionProtocol) -> np.ndarray:
    """Read scores.

    Parameters
    ----------
    file : str
        A matrix of the run (``.npy``) or a list that was handed in (``.csv``).
    protocol : RecognitionProtocol
        Its trials.

    Returns
    -------
    np.ndarray [shape=(M, n)]
        Models and test songs in the protocol's order.

    Raises
    ------
    ArtistTransferError
        If a list has missing, unknown or repeated trials, or a score that is no finite number; the row is named.
    """
    from artist_transfer.evaluation.trial_lists import read_scores

    if file.endswith(".csv"):
        return read_scores(file, protocol)
    return np.asarray(np.load(file, allow_pickle=False))
