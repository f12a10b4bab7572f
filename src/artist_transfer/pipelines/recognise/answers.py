"""What is said of every file: a table with the closest artists, and a line for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from artist_transfer.pipelines.recognise.recogniser import Recogniser

NOBODY = "none of them"
COLUMNS = ["file", "answer", "rank", "artist_id", "artist", "score", "threshold", "reason"]
DIGITS = 4


def answer_table(
    recogniser: Recogniser, files: Sequence[str], ratios: np.ndarray, threshold: float, top: int
) -> pd.DataFrame:
    """Name the closest artists of each file.

    Parameters
    ----------
    recogniser : Recogniser
        Who is enrolled.
    files : sequence of str
        Names.
    ratios : np.ndarray [shape=(n_artists, n_files)], nats
        Log-likelihood ratios.
    threshold : float
        A file whose highest ratio is below is nobody's.
    top : int > 0
        Artists a file.

    Returns
    -------
    pd.DataFrame
        `COLUMNS`, a row for each file and artist, the closest first.
    """
    artists = list(recogniser.enrolments)
    rows = []
    for column, file in enumerate(files):
        order = np.argsort(-ratios[:, column], kind="stable")[:top]
        first = artists[order[0]]
        answer = recogniser.names.get(first, first) if ratios[order[0], column] >= threshold else NOBODY
        for rank, row in enumerate(order, start=1):
            name = recogniser.names.get(artists[row], artists[row])
            score = round(float(ratios[row, column]), DIGITS)
            rows.append((file, answer, rank, artists[row], name, score, round(threshold, DIGITS), ""))
    return _typed(pd.DataFrame(rows, columns=COLUMNS))


def with_reasons(table: pd.DataFrame, reasons: Mapping[str, str]) -> pd.DataFrame:
    """Add the files that have no answer.

    Parameters
    ----------
    table : pd.DataFrame
        As `answer_table` gives it.
    reasons : mapping of file to str
        Why.

    Returns
    -------
    pd.DataFrame
        With a row for each of them.
    """
    if not reasons:
        return table
    left = pd.DataFrame({"file": list(reasons), "reason": list(reasons.values())}).reindex(columns=COLUMNS)
    return _typed(pd.concat([table.astype(object), left.astype(object)], ignore_index=True))


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype({"rank": "Int64", "score": "float64", "threshold": "float64"})


def lines_of(table: pd.DataFrame) -> list[str]:
    """Say of every file what was found, in a line.

    Parameters
    ----------
    table : pd.DataFrame
        As it was saved.

    Returns
    -------
    list of str
        In the order of the table.
    """
    said = []
    for file, rows in table.groupby("file", sort=False):
        first = rows.iloc[0]
        if pd.notna(first["reason"]) and str(first["reason"]):
            said.append(f"{file}: not recognised ({first['reason']})")
            continue
        score, threshold = (f"{float(first[key]):.2f}" for key in ("score", "threshold"))
        if first["answer"] == NOBODY:
            said.append(f"{file}: {NOBODY} (closest: {first['artist']} {score}, threshold {threshold})")
        else:
            said.append(f"{file}: {first['answer']} ({score}, threshold {threshold})")
    return said
