"""Read pickles of others without running anything: plain lists, dicts, strings and numbers, or an error.

A pickle is a program. Two locks are on the door. Before anything is loaded, its instructions are listed and each one
that does more than build plain containers is refused, as are memo numbers that would make the reader set aside
gigabytes. Then it is loaded by a reader whose lookup of classes and functions always raises.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import Path
from typing import NoReturn

from artist_transfer.errors import ArtistTransferError

MAX_BYTES = 256 << 20  # the largest of the Million Song Dataset's public lists has about 40 MB

_PLAIN = frozenset(
    {
        "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE",
        "GET", "BINGET", "LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2",
        "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE",
        "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "EMPTY_LIST", "LIST",
        "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_TUPLE", "TUPLE", "TUPLE1",
        "TUPLE2", "TUPLE3",
    }
)  # fmt: skip
"""Instructions that build plain containers, text and numbers."""

_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")


class PlainUnpickler(pickle.Unpickler):
    """An unpickler that knows no class and no function."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse.

        Parameters
        ----------
        module, name : str
            What the pickle asks for.

        Raises
        ------
        ArtistTransferError
            Always.
        """
        raise ArtistTransferError(f"the pickle asks for {module}.{name}; only plain lists and texts are read.")

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuse objects that live outside the file.

        Parameters
        ----------
        pid : object
            What the pickle asks for.

        Raises
        ------
        ArtistTransferError
            Always.
        """
        raise ArtistTransferError(f"the pickle asks for the outside object {pid!r:.80}; only plain lists are read.")


def read_plain_pickle(path: str | Path, *, max_bytes: int = MAX_BYTES) -> object:
    """Load a pickle of plain containers, of any protocol, of Python 2 or 3.

    Parameters
    ----------
    path : str or Path
        The file.
    max_bytes : int, >= 1
        Largest file that is read.

    Returns
    -------
    object
        Lists, tuples, dicts, texts (byte strings of Python 2 are read as UTF-8, in protocol 0 as ASCII), numbers.

    Raises
    ------
    ArtistTransferError
        If the file is missing, too large or damaged, or asks for anything else; nothing of it has run then.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise ArtistTransferError(f"{path}: has {size:,} bytes; at most {max_bytes:,} are read.")
        data = path.read_bytes()
    except OSError as error:
        raise ArtistTransferError(f"{path}: cannot be read ({error.strerror or error}).") from error
    _check_instructions(path, data)
    try:
        return PlainUnpickler(io.BytesIO(data), encoding="utf-8").load()
    except ArtistTransferError as error:
        raise ArtistTransferError(f"{path}: {error}") from None
    except Exception as error:  # whatever a damaged pickle makes the reader raise, the file is damaged and no more
        raise ArtistTransferError(f"{path}: a damaged pickle ({type(error).__name__}: {error}).") from None


def _check_instructions(path: Path, data: bytes) -> None:
    count = position = 0
    try:
        for count, (opcode, argument, at) in enumerate(pickletools.genops(data), start=1):  # noqa: B007
            position = at or 0
            if opcode.name not in _PLAIN:
                what = f" for {argument!r:.80}" if argument is not None else ""
                raise ArtistTransferError(
                    f"{path}: the pickle asks for more than plain lists and texts: instruction {opcode.name}{what}"
                    f" at byte {position}. It was not loaded."
                )
            if opcode.name in _PUTS and isinstance(argument, int) and argument > len(data):
                raise ArtistTransferError(
                    f"{path}: memo number {argument:,} at byte {position} of a pickle of {len(data):,} bytes."
                    " It was not loaded."
                )
    except ArtistTransferError:
        raise
    except Exception as error:  # pickletools raises many kinds on damaged data
        raise ArtistTransferError(f"{path}: a damaged pickle behind byte {position} ({error}).") from None
    if position != len(data) - 1:
        raise ArtistTransferError(f"{path}: {len(data) - 1 - position:,} bytes behind the end of the pickle.")
