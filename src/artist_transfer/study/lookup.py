"""Which cases of a study can be compared, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.study.cases import STN, WSTN, Case, multi, single
from artist_transfer.study.scores import CaseScores

COLUMNS = ("case", "tasks", "architecture", "n_tasks", "kind", "status", "reason")
DONE = "done"
ABSENT = "not in the study"


class CaseLookup:
    """The cases of a study by name.

    Parameters
    ----------
    case_table : pd.DataFrame
        study_case_table.
    scores : CaseScores, optional
        A case that has none is not done, whatever the table says.

    Raises
    ------
    ArtistTransferError
        If a column is missing or a case stands twice.
    """

    def __init__(self, case_table: pd.DataFrame, scores: CaseScores | None = None) -> None:
        missing = [name for name in COLUMNS if name not in case_table.columns]
        twice = sorted(set(case_table["case"][case_table["case"].duplicated()])) if not missing else []
        if missing or twice:
            raise ArtistTransferError(f"table of cases: columns missing: {missing}, cases that stand twice: {twice}")
        self.rows = case_table.to_dict("records")
        self._reasons = {str(row["case"]): _reason(row) for row in self.rows}
        if scores is not None:
            for case, reason in self._reasons.items():
                if reason is None and case not in scores.cases:
                    self._reasons[case] = scores.excluded.get(case, "no predictions")

    def reason(self, case: str) -> str | None:
        """Say why a case cannot be compared; None if it can."""
        return self._reasons.get(case, ABSENT)

    def done(self, cases: Iterable[str]) -> list[str]:
        """Keep the cases that can be compared."""
        return [case for case in cases if self.reason(case) is None]


def subsets(tasks: str, n: int, architecture: str) -> list[str]:
    """Name the cases of all sets of n tasks.

    Parameters
    ----------
    tasks : str
        Letters in canonical order.
    n : int >= 1
    architecture : {"stn", "mtn", "wstn"}
        A multi-task net of one task is the single-task net; of a wide net there is one case.

    Returns
    -------
    list of str
    """
    if architecture == WSTN:
        return [Case("g", WSTN, n).name]
    return [named("".join(letters), architecture) for letters in combinations(tasks, n)]


def named(tasks: str, architecture: str) -> str:
    """Name the case of some tasks, in any order; of one task it is the single-task net."""
    return (single if architecture == STN else multi)(tasks).name


def _reason(row: dict[object, object]) -> str | None:
    if row["status"] == DONE:
        return None
    said = "" if pd.isna(row["reason"]) else f": {row['reason']}"
    return f"{row['status']}{said}"
