"""Unpack archives from the network without trusting them.

Nothing leaves the folder it is unpacked into: absolute names, ``..``, links, device files and names that two
systems read differently are refused before the first file is written, and so is an archive that would swell
beyond a limit. Files are written under a temporary name and moved into place, with the rights a new file gets
here and not those the archive asks for (FMA made its files and folders read-only). A killed run goes on: a
file that is there with the right size and CRC is not unpacked again. A finished archive is recorded in
``<folder>/.extracted/``.

FMA's zip files are packed with bzip2 (method 12), which some unpackers cannot read; Python's ``zipfile`` can
(https://github.com/mdeff/fma, thread "zip: compress with deflate instead of bzip2").
"""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from tqdm.auto import tqdm

from artist_transfer.artifacts import read_json, write_json
from artist_transfer.corpora.disk import CHUNK, FULL, exclusive, require_space, sha1_of
from artist_transfer.errors import ArtistTransferError

RECORDS = ".extracted"
MAX_RATIO = 20  # FMA's metadata, the most compressible of its archives, swells fourfold
MAX_MEMBERS = 1_000_000
SMALL = 64 << 20  # below this an archive may swell freely
MAX_HEADER_READ = 16 << 20  # tarfile reads an extended header in one piece, whatever size it claims
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@dataclass(frozen=True)
class _Member:
    """One file of an archive, judged harmless."""

    name: str
    size: int
    crc: int | None
    open: Callable[[], AbstractContextManager[IO[bytes]]]


def extract(
    archive: str | Path, folder: str | Path, *, sha1: str | None = None, max_bytes: int | None = None
) -> dict[str, object]:
    """Unpack a zip or tar archive, once, and nowhere but into `folder`.

    Parameters
    ----------
    archive : str or Path
        A zip file, or a tar file, plain or packed with gzip, bzip2 or xz.
    folder : str or Path
        Where the files go; made if missing.
    sha1 : str, optional, 40 hexadecimal digits
        The archive's checksum if it is known already (it is not checked again); else it is computed.
    max_bytes : int > 0, optional
        How much the files may take together; by default 20 times the archive, and at least 64 MiB.

    Returns
    -------
    dict
        ``archive`` (name), ``sha1``, ``files`` and ``bytes``.

    Raises
    ------
    ArtistTransferError
        If the archive is damaged, encrypted, packed by an unknown method or holds something that does not
        belong there, if the disk is full, or if another run is unpacking it at this moment.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise ArtistTransferError(f"{archive}: there is no such archive to unpack.")
    sha1 = sha1 or sha1_of(archive)
    record = find_extracted(folder, archive.name, sha1=sha1)
    if record is not None:
        return record
    limit = max_bytes or max(SMALL, MAX_RATIO * archive.stat().st_size)
    (folder / RECORDS).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(exclusive(folder / RECORDS / f"{archive.name}.lock", what=f"unpacking {archive}"))
        stack.enter_context(_as_our_error(archive, folder))
        members = _open_members(archive, stack, limit=limit)
        _unpack(members, folder, temporary=folder / RECORDS / f"{archive.name}.part", label=archive.name)
        sizes = {member.name: member.size for member in members}
        if hasattr(os, "sync"):
            os.sync()  # the record must not outlive files that a power cut takes
        write_json(_record_path(folder, archive.name), {"sha1": sha1, "files": sizes})
    return _details(archive.name, sha1, sizes)


def find_extracted(folder: str | Path, name: str, *, sha1: str) -> dict[str, object] | None:
    """Tell whether an archive has been unpacked into a folder, even if the archive itself is gone.

    Parameters
    ----------
    folder : str or Path
        Where it would have been unpacked.
    name : str
        File name of the archive.
    sha1 : str
        Its checksum.

    Returns
    -------
    dict or None
        What `extract` returned; None if it was not finished or a file is missing or has another size.
    """
    folder = Path(folder)
    try:
        record = read_json(_record_path(folder, name))
        sizes = {str(key): int(value) for key, value in record["files"].items()}
        whole = record["sha1"] == sha1 and all((folder / key).stat().st_size == size for key, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return _details(name, sha1, sizes) if whole else None


def _record_path(folder: Path, name: str) -> Path:
    return folder / RECORDS / f"{name}.json"


def _details(name: str, sha1: str, sizes: dict[str, int]) -> dict[str, object]:
    return {"archive": name, "sha1": sha1, "files": len(sizes), "bytes": sum(sizes.values())}


@contextmanager
def _as_our_error(archive: Path, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise ArtistTransferError(
                f"the disk of {folder} is full ({error.strerror}) while unpacking {archive}; make room, then "
                "the same command goes on with the files that are missing."
            ) from error
        if error.errno is None:  # raised by a decompressor, not by the system
            raise ArtistTransferError(f"{archive} is damaged: {error}") from error
        raise ArtistTransferError(f"{archive} cannot be unpacked into {folder}: {error}") from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise ArtistTransferError(f"{archive} is damaged or not what it claims to be: {error}") from error


def _open_members(archive: Path, stack: ExitStack, *, limit: int) -> list[_Member]:
    with open(archive, "rb") as stream:
        magic = stream.read(2)
    if magic == b"PK":
        found = _zip_members(stack.enter_context(zipfile.ZipFile(archive)), archive)
    else:
        raw = stack.enter_context(_decompressed(archive))
        bounded = _Bounded(raw, archive=archive)
        tar: tarfile.TarFile = tarfile.open(fileobj=bounded, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
        stack.callback(tar.close)
        found = _tar_members(tar, archive)
    members: list[_Member] = []
    total = 0
    for member in found:
        members.append(member)
        total += member.size
        if total > limit or len(members) > MAX_MEMBERS:
            raise ArtistTransferError(
                f"{archive} is refused: unpacked it would take {total:,} bytes or more in {len(members):,} "
                f"files; allowed are {limit:,} bytes and {MAX_MEMBERS:,} files (it may be an archive bomb)."
            )
    _check_distinct([member.name for member in members], archive)
    return members


def _zip_members(source: zipfile.ZipFile, archive: Path) -> Iterator[_Member]:
    for info in source.infolist():
        name = _safe_name(info.orig_filename, archive)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refusal(archive, info.filename, "it is a link or a device, not a file")
        if info.flag_bits & 0x1:
            raise _refusal(archive, info.filename, "it is encrypted")
        if info.is_dir() or kind == stat.S_IFDIR:
            continue
        if info.compress_type not in METHODS:
            why = f"compression method {info.compress_type} is unknown here; unpack it by 7-Zip"
            raise _refusal(archive, info.filename, why)
        yield _Member(name, info.file_size, info.CRC, lambda info=info: source.open(info))  # type: ignore[misc]


def _tar_members(source: tarfile.TarFile, archive: Path) -> Iterator[_Member]:
    for info in source:
        name = _safe_name(info.name, archive)
        if info.isdir():
            continue
        if not info.isreg() or info.issparse():
            raise _refusal(archive, info.name, "it is a link, a device or a sparse file, not a plain one")
        try:
            tarfile.data_filter(info, "/nowhere")
        except tarfile.FilterError as error:
            raise _refusal(archive, info.name, str(error)) from error
        yield _Member(name, info.size, None, lambda info=info: _content(source, info))  # type: ignore[misc]


def _content(source: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = source.extractfile(info)
    if stream is None:
        raise ValueError(f"{info.name!r} has no content")
    return stream


def _safe_name(name: str, archive: Path) -> str:
    if "\\" in name or re.match(r"^[A-Za-z]:", name):
        raise _refusal(archive, name, "other systems read it as an absolute path or a folder")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise _refusal(archive, name, "it has control characters")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _refusal(archive, name, "it leads out of the folder")
    if path.parts[:1] == (RECORDS,):
        raise _refusal(archive, name, "it would overwrite the record of what was unpacked")
    return path.as_posix()


def _check_distinct(names: Sequence[str], archive: Path) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen or name == ".":
            raise _refusal(archive, name, "two files would have that name")
        seen.add(name.casefold())
    for name in names:
        for parent in list(PurePosixPath(name.casefold()).parents)[:-1]:
            if parent.as_posix() in seen:
                raise _refusal(archive, name, "one of its folders is also a file")


def _refusal(archive: Path, name: str, why: str) -> ArtistTransferError:
    return ArtistTransferError(f"{archive} is refused because of {name!r}: {why}. Nothing was unpacked.")


def _unpack(members: Sequence[_Member], folder: Path, *, temporary: Path, label: str) -> None:
    root = folder.resolve()
    total = sum(member.size for member in members)
    with tqdm(total=total, unit="B", unit_scale=True, desc=f"unpacking {label}") as bar:
        missing = []
        inside = functools.cache(lambda parent: parent.resolve().is_relative_to(root))
        for member in members:
            target = root / member.name
            if not inside(target.parent) or target.is_symlink():
                raise ArtistTransferError(
                    f"{target} leads out of {root} by a link; unpack into the folder itself instead."
                )
            if _is_whole(target, member):
                bar.update(member.size)
            else:
                missing.append((member, target))
        require_space(folder, sum(member.size for member, _ in missing), what=f"unpacking {label}")
        for member, target in missing:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(member, temporary, bar)
            temporary.replace(target)


def _is_whole(path: Path, member: _Member) -> bool:
    if member.crc is None or not path.is_file() or path.stat().st_size != member.size:
        return False
    crc = 0
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc == member.crc


def _write(member: _Member, temporary: Path, bar: tqdm) -> None:
    written = 0
    with member.open() as source, open(temporary, "wb") as target:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > member.size:
                break
            target.write(chunk)
            bar.update(len(chunk))
    if written != member.size:
        raise ValueError(f"{member.name!r} does not have the {member.size:,} bytes that its header declares")


@contextmanager
def _decompressed(path: Path) -> Iterator[BinaryIO]:
    with open(path, "rb") as stream:
        magic = stream.read(6)
    opener: Callable[[Path], BinaryIO]
    if magic.startswith(b"\x1f\x8b"):
        opener = gzip.open  # type: ignore[assignment]
    elif magic.startswith(b"BZh"):
        opener = bz2.open  # type: ignore[assignment]
    elif magic.startswith(b"\xfd7zXZ"):
        opener = lzma.open  # type: ignore[assignment]
    else:
        opener = lambda name: open(name, "rb")  # noqa: E731, SIM115
    with opener(path) as stream:
        yield stream


class _Bounded:
    """A stream that refuses to hand out more at once than an honest tar header can ask for."""

    def __init__(self, stream: BinaryIO, *, archive: Path) -> None:
        self._stream, self._archive = stream, archive

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > MAX_HEADER_READ:
            raise ArtistTransferError(f"{self._archive} is refused: it has a header of {size:,} bytes.")
        return self._stream.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()
