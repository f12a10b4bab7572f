"""SQLite files of others: opened for reading only, real tables only, errors that name file, table and column."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from artist_transfer.errors import ArtistTransferError


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a SQLite file for reading; nothing that its schema defines runs.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    sqlite3.Connection
        Texts that are not UTF-8 come with U+FFFD.

    Raises
    ------
    ArtistTransferError
        If the file is missing or is no SQLite database, also while it is read.
    """
    if not path.is_file():
        raise ArtistTransferError(f"{path}: there is no such file.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            connection.execute("PRAGMA trusted_schema = OFF")
            yield connection
    except (sqlite3.Error, OverflowError) as error:
        raise ArtistTransferError(f"{path}: not a readable SQLite database ({error}).") from error


def columns_of(connection: sqlite3.Connection, path: Path, table: str, *, required: Sequence[str]) -> list[str]:
    """Name the columns of a table.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of `open_database`.
    path : Path
        The file, for errors.
    table : str
        Name of the table; a view is refused, since reading one runs what somebody else wrote.
    required : sequence of str
        Columns that must be there.

    Returns
    -------
    list of str
        All columns.

    Raises
    ------
    ArtistTransferError
        If the table or a required column is missing.
    """
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if table not in tables:
        raise ArtistTransferError(f"{path}: table {table!r} is missing; found {', '.join(sorted(tables)) or 'none'}.")
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    for name in required:
        if name not in columns:
            found = ", ".join(columns)
            raise ArtistTransferError(f"{path}, table {table!r}, column {name!r}: missing column; found {found}.")
    return columns
