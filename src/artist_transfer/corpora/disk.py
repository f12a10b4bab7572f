"""What downloads and archives both ask of the disk: checksums, room, and to be alone with a file."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm.auto import tqdm

from artist_transfer.errors import ArtistTransferError

try:
    import fcntl
except ImportError:  # no locks on Windows; files are still moved into place whole
    fcntl = None  # type: ignore[assignment]

CHUNK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def sha1_of(path: str | Path) -> str:
    """Return the SHA-1 of a file, with a progress bar for a large one.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    str
        40 hexadecimal digits.
    """
    path, digest = Path(path), hashlib.sha1(usedforsecurity=False)
    size = path.stat().st_size
    with (
        open(path, "rb") as stream,
        tqdm(total=size, unit="B", unit_scale=True, desc=f"checking {path.name}", disable=size < 1 << 30) as bar,
    ):
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


@contextmanager
def exclusive(path: Path, *, what: str) -> Iterator[None]:
    """Hold a lock that dies with the process, or say that another run holds it.

    Parameters
    ----------
    path : Path
        The lock file; it stays.
    what : str
        What the lock is for, to follow "another run is".

    Raises
    ------
    ArtistTransferError
        If another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as stream:
        if fcntl is not None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ArtistTransferError(
                    f"another run is {what} at this moment (lock {path}); wait until it has ended."
                ) from None
        yield


def require_space(folder: Path, needed: int, *, what: str) -> None:
    """Refuse work that cannot end well because the disk is too small.

    Parameters
    ----------
    folder : Path
        A folder on that disk.
    needed : int, bytes
        What will be written.
    what : str
        What it is, for the message.

    Raises
    ------
    ArtistTransferError
        If less is free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ArtistTransferError(
            f"{what} needs {needed:,} bytes more in {folder}, but only {free:,} bytes are free there."
        )
