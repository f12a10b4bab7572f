"""Fetch the archives of FMA, going on where a broken download stopped.

Defferrard, Benzi, Vandergheynst, Bresson: *FMA: A Dataset For Music Analysis*, ISMIR 2017. Addresses and
SHA-1s are those of the README of https://github.com/mdeff/fma (release of 2017-05-09); the sizes serve
estimates only. The metadata are under CC BY 4.0, each track under its artist's own licence.
"""

from __future__ import annotations

import logging
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from artist_transfer.corpora.archives import extract, find_extracted
from artist_transfer.corpora.disk import exclusive, sha1_of
from artist_transfer.corpora.resuming import ResumingDownloader
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

STAGE = ".download"


@dataclass(frozen=True)
class Archive:
    """A file on the network and how to know that it is the right one.

    Parameters
    ----------
    name : str
        File name.
    url : str
        Its address.
    sha1 : str, 40 hexadecimal digits
        Its checksum, which alone decides whether it is right.
    size : int, bytes, optional
        For the estimate of disk space before the server has answered.
    """

    name: str
    url: str
    sha1: str
    size: int | None = None


def _fma(name: str, sha1: str, size: int | None) -> Archive:
    return Archive(name, f"https://os.unil.cloud.switch.ch/fma/{name}", sha1, size)


FMA_ARCHIVES: Mapping[str, Archive] = {
    "metadata": _fma("fma_metadata.zip", "f0df49ffe5f2a6008d7dc83c6915b31835dfe733", 358_412_441),
    "small": _fma("fma_small.zip", "ade154f733639d52e35e32f5593efe5be76c6d70", 7_679_594_875),
    "medium": _fma("fma_medium.zip", "c67b69ea232021025fca9231fc1c7c1a063ab50b", 23_825_005_356),
    "large": _fma("fma_large.zip", "497109f4dd721066b5ce5e5f250ec604dc78939e", 100_306_112_191),
    "full": _fma("fma_full.zip", "0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab", None),
}


def fma_archives(subset: str) -> tuple[Archive, Archive]:
    """Return what a subset of FMA consists of: the metadata and its audio.

    Parameters
    ----------
    subset : str
        One of small, medium, large, full; a leading ``fma_`` is allowed.

    Returns
    -------
    tuple of Archive

    Raises
    ------
    ArtistTransferError
        If there is no such subset.
    """
    key = subset.removeprefix("fma_")
    if key == "metadata" or key not in FMA_ARCHIVES:
        allowed = ", ".join(name for name in FMA_ARCHIVES if name != "metadata")
        raise ArtistTransferError(f"FMA has no subset {subset!r}; allowed are {allowed}.")
    return FMA_ARCHIVES["metadata"], FMA_ARCHIVES[key]


def fetch(
    archives: Sequence[Archive],
    *,
    folder: str | Path,
    base_url: str | None = None,
    retries: int = 8,
    pause_s: float = 1.0,
) -> list[Path]:
    """Download archives and check them; what is there and right is not fetched again.

    Parameters
    ----------
    archives : sequence of Archive
        What to fetch.
    folder : str or Path
        Where the files go; made if missing.
    base_url : str, optional
        Take the files from this address instead of their own (a mirror).
    retries : int >= 0
        How many attempts in a row may end without progress (1 MiB) before it gives up.
    pause_s : float >= 0, s
        Pause before the second attempt; doubled for each further one, 120 s at most.

    Returns
    -------
    list of Path
        One file for each archive, in their order.

    Raises
    ------
    ArtistTransferError
        If a server refuses, keeps breaking off or sends something else, or the disk is full. What was fetched
        stays, and the same call goes on from there.
    """
    folder = Path(folder)
    if base_url is not None and not re.match(r"https?://", base_url):
        raise ArtistTransferError(f"base_url is {base_url!r}; allowed is an address that starts with http(s)://.")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for archive in archives:
        url = f"{base_url.rstrip('/')}/{archive.name}" if base_url else archive.url
        paths.append(_fetch_one(archive, folder, url=url, retries=retries, pause_s=pause_s))
    return paths


def fetch_and_extract(
    archives: Sequence[Archive], *, folder: str | Path, base_url: str | None = None, retries: int = 8
) -> list[dict[str, object]]:
    """Download, check and unpack archives; what has been unpacked is neither fetched nor unpacked again.

    Parameters
    ----------
    archives : sequence of Archive
        What to fetch.
    folder : str or Path
        Where archives and files go.
    base_url : str, optional
        A mirror.
    retries : int, >= 0
        How often a broken transfer is taken up again.

    Returns
    -------
    list of dict
        For each archive ``archive``, ``sha1``, ``files`` and ``bytes``. An archive may be deleted afterwards.

    Raises
    ------
    ArtistTransferError
        As `fetch` and `artist_transfer.corpora.archives.extract` raise it.
    """
    records = []
    for archive in archives:
        record = find_extracted(folder, archive.name, sha1=archive.sha1)
        if record is None:
            (path,) = fetch([archive], folder=folder, base_url=base_url, retries=retries)
            record = extract(path, folder, sha1=archive.sha1)
        records.append(record)
    return records


def _fetch_one(archive: Archive, folder: Path, *, url: str, retries: int, pause_s: float) -> Path:
    import pooch  # slow to import, and needed by nobody else

    target, stage = folder / archive.name, folder / STAGE / archive.name
    with exclusive(folder / STAGE / f"{archive.name}.lock", what=f"downloading {archive.name} into {folder}"):
        if target.is_file():
            if sha1_of(target) == archive.sha1:
                return target
            _keep_aside(target, archive)
        stage.mkdir(parents=True, exist_ok=True)
        downloader = ResumingDownloader(
            stage / f"{archive.name}.part", size=archive.size, retries=retries, pause_s=pause_s
        )
        try:
            with _quiet(pooch.get_logger()):
                found = pooch.retrieve(
                    url, f"sha1:{archive.sha1}", fname=archive.name, path=stage, downloader=downloader
                )
        except ValueError as error:
            raise ArtistTransferError(
                f"{url}: the file is not the one expected (SHA-1 {archive.sha1}): {error} What was "
                "downloaded has been removed; the same command fetches it anew. If it happens again, "
                "the file at that address has changed."
            ) from error
        Path(found).replace(target)
        shutil.rmtree(stage, ignore_errors=True)  # with what killed runs left there
    return target


def _keep_aside(path: Path, archive: Archive) -> None:
    aside = path.with_name(path.name + ".wrong")
    path.replace(aside)
    warnings.warn(
        f"{path} does not have the SHA-1 {archive.sha1}; it was renamed to {aside.name} and is fetched anew.",
        ArtistTransferWarning,
        stacklevel=4,
    )


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.WARNING)  # its notes break the progress bar and name temporary files
    try:
        yield
    finally:
        logger.setLevel(level)
