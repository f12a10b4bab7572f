"""What a worker on another machine must have: the same code, and the same files at the same paths."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from artist_transfer.errors import ArtistTransferError

_CODE = ("artifacts.py", "cluster.py", "places.py", "processes.py", "audio/*.py", "features/*.py")  # decides the bytes
_LEFTOVER_S = 7 * 86_400.0
_PREFIX = ".cluster."


@dataclass(frozen=True)
class Place:
    """What a worker must see, and which code it must have.

    Attributes
    ----------
    folder : str, absolute
    mark_name : str, of a file in `folder` that holds its own name
    corpus_root : str, absolute
    sample : str or None, a file in `corpus_root`, relative to it
    sample_size : int [bytes]
    code : str, `code_digest` of the client
    """

    folder: str
    mark_name: str
    corpus_root: str
    sample: str | None
    sample_size: int
    code: str

    @classmethod
    def mark(cls, corpus_root: str | Path, folder: str | Path) -> Place:
        """Write the mark.

        Parameters
        ----------
        corpus_root : str or Path
            Folder that is read.
        folder : str or Path
            Folder that is written, made if it is not there.

        Returns
        -------
        Place

        Raises
        ------
        ArtistTransferError
            If a folder cannot be read or written here.
        """
        root, out = Path(corpus_root).absolute(), Path(folder).absolute()
        name = f"{_PREFIX}{uuid4().hex}"
        try:
            sample = _any_file(root)
            size = (root / sample).stat().st_size if sample is not None else 0
            out.mkdir(parents=True, exist_ok=True)
            for old in out.glob(f"{_PREFIX}*"):  # of runs that were killed
                with suppress(OSError):
                    if time.time() - old.stat().st_mtime > _LEFTOVER_S:
                        old.unlink()
            (out / name).write_text(name)
        except OSError as error:
            raise ArtistTransferError(
                f"the folders of the cluster, {root} and {out}: {error.strerror} ({error.filename})"
            ) from error
        return cls(str(out), name, str(root), sample, size, code_digest())

    def unmark(self) -> None:
        """Remove the mark."""
        with suppress(OSError):
            Path(self.folder, self.mark_name).unlink()

    def complaint(self, patience_s: float = 0.0) -> str | None:
        """Say what is wrong with the process that calls.

        Parameters
        ----------
        patience_s : float [>= 0, s]
            How long a network folder may take to show a file that was just written.

        Returns
        -------
        str or None
            None if it has the client's code and sees the client's folders.
        """
        if code_digest() != self.code:
            return (
                "its code of artist_transfer is not that of this machine. Install the same commit there, and restart "
                "the workers"
            )
        if self.sample is None:
            seen = os.path.isdir(self.corpus_root)
        else:
            seen = _sees(Path(self.corpus_root, self.sample), lambda path: path.stat().st_size == self.sample_size, 0)
        if not seen:
            return f"it does not see the corpus folder {self.corpus_root} as this machine does"
        if not _sees(Path(self.folder, self.mark_name), lambda path: path.read_text() == self.mark_name, patience_s):
            return f"it does not see the cache folder {self.folder} as this machine does"
        try:
            with tempfile.TemporaryFile(dir=self.folder):
                return None
        except OSError as error:
            return f"it cannot write into the cache folder {self.folder} ({error.strerror})"


@cache
def code_digest() -> str:
    """Hash the code of this package, as it was when this process first asked.

    Returns
    -------
    str
        SHA-256 over names and contents of the Python files that decide the bytes of a shard, and over the version of
        libsndfile, which the wheel of soundfile brings along and other builds do not.
    """
    import soundfile

    digest = sha256(str(soundfile.__libsndfile_version__).encode())
    package = Path(__file__).parent
    for path in sorted(path for pattern in _CODE for path in package.glob(pattern)):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _any_file(folder: Path, depth: int = 4) -> str | None:
    """Find some file, without reading a folder of a million to its end."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                return entry.name
            if entry.is_dir():
                folders.append(entry.name)
    for name in folders if depth else ():
        with suppress(PermissionError):
            found = _any_file(folder / name, depth - 1)
            if found is not None:
                return f"{name}/{found}"
    return None


def _sees(path: Path, is_right: Callable[[Path], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while True:
        with suppress(OSError, UnicodeError):
            if is_right(path):
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
