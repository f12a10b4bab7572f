"""Errors that end one net or case of several, and let the others go on.

A lost GPU (`artist_transfer.errors.DeviceLost`), an interruption and a mistake in the program end all.
"""

from __future__ import annotations

from artist_transfer.errors import ArtistTransferError

FAILURES: tuple[type[Exception], ...] = (
    ArtistTransferError,
    ArithmeticError,
    AssertionError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
