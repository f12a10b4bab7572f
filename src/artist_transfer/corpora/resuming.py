"""A downloader for pooch that goes on where a broken download stopped.

Bytes go to a ``.part`` file that outlives the process. A later request asks for the rest of the same version
of the file only (``Range`` with ``If-Range``, RFC 9110, sections 13.1.5 and 14); a server that knows no
ranges, or a file that has changed, means starting over. Whether the whole is right is for pooch to say, by
its checksum.
"""

from __future__ import annotations

import errno
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tqdm.auto import tqdm

from artist_transfer.artifacts import read_json, write_json
from artist_transfer.corpora.disk import FULL, require_space
from artist_transfer.errors import ArtistTransferError

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 16  # what a broken connection can cost at most
PROGRESS = 1 << 20  # an attempt that got this far was not in vain
RETRY_STATUS = (408, 425, 429, 500, 502, 503, 504)
LONGEST_PAUSE = 120.0


class _TryAgainError(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(self, reason: str, *, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class ResumingDownloader:
    """A downloader for pooch that goes on from a ``.part`` file.

    Parameters
    ----------
    part : Path
        Where the bytes are kept until they are complete; what the server said of them is beside it, in
        ``<part>.json``.
    size : int, bytes, optional
        The expected size, used where the server does not say.
    retries : int >= 0
        Attempts in a row without progress.
    pause_s : float >= 0, s
        First pause between attempts.
    """

    def __init__(self, part: Path, *, size: int | None = None, retries: int = 8, pause_s: float = 1.0) -> None:
        self._part, self._notes = part, part.with_name(part.name + ".json")
        self._size, self._retries, self._pause_s = size, retries, pause_s

    def __call__(self, url: str, output_file: str | os.PathLike[str], _: object = None) -> None:
        """Download `url` to `output_file`; pooch calls it.

        Parameters
        ----------
        url : str
            The address.
        output_file : path
            Where the complete file goes.

        Raises
        ------
        ArtistTransferError
            If it cannot be completed.
        """
        import requests  # comes with pooch, and is slow to import

        self._part.parent.mkdir(parents=True, exist_ok=True)
        with (
            requests.Session() as session,
            open(self._part, "ab", buffering=0) as stream,
            tqdm(initial=self._got(), total=self._total(), unit="B", unit_scale=True, desc=self._part.stem) as bar,
        ):
            self._insist(url, session, stream, bar)
        self._part.replace(output_file)
        self._notes.unlink(missing_ok=True)

    def _insist(self, url: str, session: requests.Session, stream: BinaryIO, bar: tqdm) -> None:
        failures, best = 0, self._got()
        while not self._complete():
            try:
                self._attempt(url, session, stream, bar)
                return
            except _TryAgainError as failure:
                if self._got() >= best + PROGRESS:
                    failures, best = 0, self._got()
                failures += 1
                if failures > self._retries:
                    raise self._gave_up(url, failures, str(failure)) from failure
                time.sleep(max(failure.wait_s, min(LONGEST_PAUSE, self._pause_s * 2 ** (failures - 1))))
            except OSError as error:
                raise self._disk_error(error) from error

    def _attempt(self, url: str, session: requests.Session, stream: BinaryIO, bar: tqdm) -> None:
        import requests

        headers = {"Accept-Encoding": "identity", **self._range()}
        try:
            with session.get(url, headers=headers, stream=True, timeout=(20, 60)) as response:
                self._prepare(url, response, stream, bar)
                for chunk in response.iter_content(CHUNK):
                    _write_all(stream, chunk)
                    bar.update(len(chunk))
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise ArtistTransferError(f"{url} is not an address to download from: {error}") from error
        except (requests.exceptions.RequestException, ConnectionError, TimeoutError) as error:
            raise _TryAgainError(f"{type(error).__name__}: {error}") from error
        total = self._total()
        if total is not None and self._got() < total:
            raise _TryAgainError("the connection was closed early")

    def _range(self) -> dict[str, str]:
        if not self._got():
            return {}
        headers = {"Range": f"bytes={self._got()}-"}
        validator = self._noted().get("validator")
        if validator:
            headers["If-Range"] = str(validator)  # a file that has changed comes whole, from its beginning
        return headers

    def _prepare(self, url: str, response: requests.Response, stream: BinaryIO, bar: tqdm) -> None:
        status = response.status_code
        if status in RETRY_STATUS:
            raise _TryAgainError(f"HTTP {status} {response.reason}", wait_s=_retry_after(response))
        if status == 416:  # the part is as long as the file or longer, and not known to be complete
            self._restart(stream, bar)
            raise _TryAgainError("the server has no such range; starting over")
        if status not in (200, 206):
            raise ArtistTransferError(
                f"{url}: the server answered HTTP {status} {response.reason}. Is the address right?"
            )
        total = _whole_size(response)
        if status == 200 and self._got():
            self._restart(stream, bar)  # no ranges there, or the file has changed
        if status == 206 and not self._fits(response, total):
            found = response.headers.get("Content-Range")
            self._restart(stream, bar)
            raise _TryAgainError(f"the server sent another range than was asked for ({found}); starting over")
        write_json(self._notes, {"total": total, "validator": _validator(response)})
        bar.total = self._total()
        bar.refresh()
        require_space(self._part.parent, (self._total() or 0) - self._got(), what=url)

    def _fits(self, response: requests.Response, total: int | None) -> bool:
        """Whether a partial answer goes on where the part stops, in the same version of the file."""
        found = re.match(r"bytes (\d+)-(\d+)/(\d+|\*)$", response.headers.get("Content-Range", ""))
        noted = self._noted()
        same_size = noted.get("total") is None or total is None or noted["total"] == total
        same_version = noted.get("validator") in (None, _validator(response))
        return bool(found) and int(found[1]) == self._got() and same_size and same_version  # type: ignore[index]

    def _restart(self, stream: BinaryIO, bar: tqdm) -> None:
        stream.truncate(0)
        self._notes.unlink(missing_ok=True)
        bar.reset(total=self._size)

    def _got(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _noted(self) -> dict[str, object]:
        try:
            noted = read_json(self._notes)
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def _total(self) -> int | None:
        total = self._noted().get("total")
        return total if isinstance(total, int) else self._size

    def _complete(self) -> bool:
        return self._got() > 0 and self._noted().get("total") == self._got()

    def _gave_up(self, url: str, failures: int, reason: str) -> ArtistTransferError:
        total = self._total()
        of = f"{total:,}" if total is not None else "an unknown number of"
        return ArtistTransferError(
            f"{url}: the download stopped after {self._got():,} of {of} bytes, {failures} attempts in a "
            f"row without progress (last: {reason}). They are kept in {self._part}; the same "
            "command goes on from there."
        )

    def _disk_error(self, error: OSError) -> ArtistTransferError:
        if error.errno in FULL:
            missing = (self._total() or 0) - self._got()
            return ArtistTransferError(
                f"the disk of {self._part.parent} is full ({os.strerror(error.errno or errno.ENOSPC)}); "
                f"{missing:,} bytes are still missing. Make room, then the same command goes on."
            )
        return ArtistTransferError(f"{self._part} cannot be written: {error}")


def _write_all(stream: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:  # an unbuffered write may take only a part, on a disk that is nearly full for instance
        view = view[stream.write(view) :]


def _validator(response: requests.Response) -> str | None:
    etag = response.headers.get("ETag")
    if etag and not etag.startswith("W/"):  # a weak one does not promise the same bytes
        return str(etag)
    return response.headers.get("Last-Modified")


def _whole_size(response: requests.Response) -> int | None:
    if response.status_code == 206:
        found = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
        return int(found[1]) if found else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _retry_after(response: requests.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(LONGEST_PAUSE, float(value)) if value.isdigit() else 0.0
