"""What a case, a baseline or an ablation may fail by while the others go on, and how that is said."""

from __future__ import annotations

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.failures import FAILURES, raise_if_full

__all__ = ["DONE", "FAILED", "FAILURES", "SKIPPED", "raise_if_full", "reason_of"]

DONE, FAILED, SKIPPED = "done", "failed", "skipped"


def reason_of(error: BaseException) -> str:
    """Say why something failed.

    Parameters
    ----------
    error : BaseException
        What was raised.

    Returns
    -------
    str
        Its message, and its type unless the message was written to be read: ``KeyError: 'p_rock'``.

    Raises
    ------
    DiskFull
        If it is a full disk, which is no failure of this one thing: the others could not be kept either.
    """
    raise_if_full(error)
    return str(error) if isinstance(error, ArtistTransferError) else f"{type(error).__name__}: {error}"
