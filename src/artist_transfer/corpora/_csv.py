"""CSV rows with the line each starts at, and errors that name it."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from artist_transfer.errors import ArtistTransferError

LONGEST_CELL = 1 << 24  # FMA's artist biographies exceed the csv module's default of 128 KiB


def csv_rows(path: Path, *, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield each row of a CSV file (UTF-8, with or without byte order mark) with its 1-based line.

    Parameters
    ----------
    path : Path
        The file. Empty lines are passed over; a row whose cells contain line breaks counts at its first line.
    delimiter : str
        What stands between cells: a comma, or a tab.

    Yields
    ------
    (int, list of str)
        Line and cells.

    Raises
    ------
    ArtistTransferError
        If the file is missing, not UTF-8 or has an open quote; names file and line.
    """
    if not path.is_file():
        raise ArtistTransferError(f"corpus_root: file {path} is missing.")
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    line = 1
    with open(path, encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except UnicodeDecodeError:
                raise ArtistTransferError(f"{path}, row {_undecodable_line(path)}: not UTF-8 text.") from None
            except csv.Error as error:
                raise ArtistTransferError(f"{path}, row {line}: malformed CSV ({error}).") from None
            if cells:
                yield line, cells
            line = reader.line_num + 1


def _undecodable_line(path: Path) -> int:
    with open(path, "rb") as stream:
        for line, text in enumerate(stream, start=1):
            try:
                text.decode("utf-8")
            except UnicodeDecodeError:
                return line
    return 1


def check_width(path: Path, line: int, cells: Sequence[str], *, width: int) -> None:
    """Refuse a row with more or fewer cells than the header.

    Parameters
    ----------
    path : Path
        The file, for the error.
    line : int
        The row's line, for the error.
    cells : sequence of str
        The row.
    width : int
        Number of columns in the header.

    Raises
    ------
    ArtistTransferError
        If the number of cells differs.
    """
    if len(cells) != width:
        where = f"after column {len(cells)}" if len(cells) < width else f"from column {width + 1} on"
        raise ArtistTransferError(
            f"{path}, row {line}: {len(cells)} cells ({where}), but the header has {width} columns."
        )


def refuse_cell(path: Path, line: int, column: str, *, problem: str) -> NoReturn:
    """Raise the error of a malformed cell.

    Parameters
    ----------
    path, line, column
        Where it stands.
    problem : str
        What was found and what is allowed.

    Raises
    ------
    ArtistTransferError
        Always.
    """
    raise ArtistTransferError(f"{path}, row {line}, column {column!r}: {problem}.")


def literal_list(text: str) -> list[object] | None:
    """Read a Python list literal such as ``"[21, 103]"`` without running anything.

    Parameters
    ----------
    text : str
        The cell.

    Returns
    -------
    list or None
        The list; None if the text is something else.
    """
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list) else None
