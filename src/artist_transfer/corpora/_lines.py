"""Lines of text files with the row each stands in, plain or gzipped, and errors that name it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn, cast

from artist_transfer.errors import ArtistTransferError

LONGEST_LINE = 1 << 20  # a longer one is no list of tracks, whatever its name says


def text_lines(path: Path, *, errors: str = "strict") -> Iterator[tuple[int, str]]:
    """Yield each line of a UTF-8 text file with its 1-based row; a name that ends in ``.gz`` is unpacked.

    Parameters
    ----------
    path : Path
        The file.
    errors : {"strict", "replace"}
        What becomes of bytes that are not UTF-8: an error that names the row, or U+FFFD.

    Yields
    ------
    (int, str)
        Row and text, without the line break and without a byte order mark.

    Raises
    ------
    ArtistTransferError
        If the file is missing, cannot be read or unpacked, or a line is too long or not UTF-8.
    """
    row = 0
    try:
        with _open(path) as stream:
            while raw := stream.readline(LONGEST_LINE + 1):
                row += 1
                if len(raw) > LONGEST_LINE:
                    refuse_row(path, row, f"is longer than {LONGEST_LINE:,} bytes; this is no text list")
                raw = raw.removeprefix(b"\xef\xbb\xbf") if row == 1 else raw
                yield row, raw.rstrip(b"\r\n").decode("utf-8", errors)
    except UnicodeDecodeError:
        refuse_row(path, row, "is not UTF-8 text")
    except (OSError, EOFError, zlib.error) as error:
        raise ArtistTransferError(f"{path}: cannot be read after row {row} ({error}).") from error


def _open(path: Path) -> IO[bytes]:
    if not path.is_file():
        raise ArtistTransferError(f"{path}: there is no such file.")
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else open(path, "rb")


def refuse_row(path: Path, row: int, problem: str) -> NoReturn:
    """Raise the error of a malformed row.

    Parameters
    ----------
    path : Path
        The file.
    row : int, >= 1
        The row.
    problem : str
        What was found and what is allowed, as the rest of a sentence.

    Raises
    ------
    ArtistTransferError
        Always.
    """
    raise ArtistTransferError(f"{path}, row {row}: {problem}.")
