"""Errors that end one net or case of several, and let the others go on.

A lost GPU (`artist_transfer.errors.DeviceLost`), a full disk (`DiskFull`), an interruption and a mistake in the program
end all.
"""

from __future__ import annotations

import errno

from artist_transfer.errors import ArtistTransferError, DiskFull

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

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SAID = ("no space left on device", "disk quota exceeded")  # by what has no error number: safetensors, another process


def raise_if_full(error: BaseException) -> None:
    """Raise that a disk is full, if an error says so: all that is tried after it would fail by the same.

    Parameters
    ----------
    error : BaseException
        Any.

    Raises
    ------
    DiskFull
        If it, or what it was made from, is a lack of room on a disk.
    """
    inner: BaseException | None = error
    while inner is not None:
        if getattr(inner, "errno", None) in _FULL or any(words in str(inner).lower() for words in _SAID):
            raise DiskFull(
                f"a disk is full ({error}), so all that was to follow has been left out. Make room and run the same "
                "command again: it goes on from what is finished."
            ) from error
        inner = inner.__cause__
