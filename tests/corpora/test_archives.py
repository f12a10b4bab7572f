"""Archives that are whole, damaged, or mean harm."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.corpora.conftest import FILES, zip_of

from artist_transfer.corpora import archives
from artist_transfer.corpora.archives import extract, find_extracted
from artist_transfer.errors import ArtistTransferError


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".extracted" not in path.parts
    }


@pytest.mark.parametrize("method", archives.METHODS)
def test_zip_files_of_every_method_come_out_whole(tmp_path: Path, method: int) -> None:
    details = extract(zip_of(tmp_path / "a.zip", FILES, method), tmp_path / "out")
    assert contents(tmp_path / "out") == FILES
    assert details["files"] == 20
    assert details["bytes"] == sum(map(len, FILES.values()))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_files_come_out_whole(tmp_path: Path, mode: str) -> None:
    with tarfile.open(tmp_path / "a.tar", mode) as target:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    extract(tmp_path / "a.tar", tmp_path / "out")
    assert contents(tmp_path / "out") == FILES


def test_nothing_is_unpacked_twice(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", FILES)
    first = extract(source, tmp_path / "out")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert extract(source, tmp_path / "out") == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == times
    source.unlink()
    assert find_extracted(tmp_path / "out", "a.zip", sha1=str(first["sha1"])) == first
    assert find_extracted(tmp_path / "out", "a.zip", sha1="0" * 40) is None


def test_a_lost_or_damaged_file_is_unpacked_again_and_only_that(tmp_path: Path) -> None:
    source, out = zip_of(tmp_path / "a.zip", FILES), tmp_path / "out"
    extract(source, out)
    names = sorted(FILES)
    (out / names[0]).unlink()
    (out / names[1]).write_bytes(b"?" * len(FILES[names[1]]))  # the right size, and wrong
    inodes = {name: (out / name).stat().st_ino for name in names[1:]}
    extract(source, out)
    assert contents(out) == FILES
    again = [name for name in names[1:] if (out / name).stat().st_ino != inodes[name]]
    assert again == [names[1]]


EXTRACT = "import sys; from artist_transfer.corpora.archives import extract; extract(*sys.argv[1:])"


def test_a_killed_unpacking_goes_on(tmp_path: Path) -> None:
    noise = np.random.default_rng([0, 2])
    files = {f"fma_small/{k:03d}/{k:06d}.mp3": noise.bytes(60_000) for k in range(300)}
    source, out = zip_of(tmp_path / "a.zip", files), tmp_path / "out"
    child = subprocess.Popen([sys.executable, "-c", EXTRACT, str(source), str(out)], stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 30
    while not (out / "fma_small/030").exists() and time.monotonic() < give_up:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    before = contents(out)
    assert 0 < len(before) < len(files)
    assert all(files[name] == content for name, content in before.items())  # whole or absent
    inodes = {name: (out / name).stat().st_ino for name in before}
    extract(source, out)
    assert contents(out) == files
    assert {name: (out / name).stat().st_ino for name in before} == inodes
    assert not list(out.rglob("*.part"))


EVIL_NAMES = ["../evil", "a/../../evil", "/tmp/evil", "C:/evil", "a\\..\\evil", "a\nb", ".extracted/a.json"]


@pytest.mark.parametrize("name", EVIL_NAMES)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    source, out = tmp_path / f"a.{kind}", tmp_path / "deep" / "out"
    if kind == "zip":
        zip_of(source, {"good": b"1", name: b"evil"})
    else:
        with tarfile.open(source, "w") as target:
            for each in ("good", name):
                target.addfile(tarfile.TarInfo(each))
    with pytest.raises(ArtistTransferError, match="refused"):
        extract(source, out)
    assert contents(tmp_path) == {source.name: source.read_bytes()}
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_zip_files_are_refused(tmp_path: Path, mode: int) -> None:
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, (mode | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr(info, "/etc/passwd")
        target.writestr("link/file", "through it")
    with pytest.raises(ArtistTransferError, match="link or a device"):
        extract(tmp_path / "a.zip", tmp_path / "out")
    assert contents(tmp_path / "out") == {}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar_files_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "a.tar", "w") as target:
        target.addfile(info)
    with pytest.raises(ArtistTransferError, match="not a plain one"):
        extract(tmp_path / "a.tar", tmp_path / "out")
    assert contents(tmp_path / "out") == {}


def test_a_link_that_is_there_already_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "fma_small").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtistTransferError, match="by a link"):
        extract(zip_of(tmp_path / "a.zip", FILES), tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_bombs_are_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    bomb = zip_of(tmp_path / "bomb.zip", {f"{k}": bytes(8 << 20) for k in range(10)}, zipfile.ZIP_DEFLATED)
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as target:
        info = tarfile.TarInfo("zeros")
        info.size = 80 << 20
        target.addfile(info, io.BytesIO(bytes(info.size)))
    for source in (bomb, tmp_path / "bomb.tar.gz"):
        assert source.stat().st_size < 200_000
        with pytest.raises(ArtistTransferError, match="bomb"):
            extract(source, tmp_path / "out")
    with pytest.raises(ArtistTransferError, match="allowed are 100 bytes"):
        extract(zip_of(tmp_path / "a.zip", FILES), tmp_path / "out", max_bytes=100)
    assert contents(tmp_path / "out") == {}


def test_a_tar_header_that_claims_a_gigabyte_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(4096))
    with pytest.raises(ArtistTransferError, match="header of 1,073,741,824 bytes"):
        extract(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("names", [("a", "A"), ("a", "a/b"), ("x/../a", "b")])
def test_names_that_clash_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(ArtistTransferError, match="refused"):
        extract(zip_of(tmp_path / "a.zip", dict.fromkeys(names, b"1")), tmp_path / "out")


def test_a_damaged_archive_is_an_error_and_the_rest_goes_on(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", FILES, zipfile.ZIP_STORED)
    whole = source.read_bytes()
    at = whole.index(FILES[sorted(FILES)[10]])
    source.write_bytes(whole[:at] + b"?" + whole[at + 1 :])
    with pytest.raises(ArtistTransferError, match=r"a\.zip is damaged"):
        extract(source, tmp_path / "out")
    assert len(contents(tmp_path / "out")) == 10
    for junk in (whole[: len(whole) // 2], b"PK nothing", b"nothing", b"", b"\x1f\x8bnothing"):
        source.write_bytes(junk)
        with pytest.raises(ArtistTransferError, match="damaged"):
            extract(source, tmp_path / "out")
    source.write_bytes(whole)
    extract(source, tmp_path / "out")
    assert contents(tmp_path / "out") == FILES


def test_an_encrypted_or_unknown_member_is_named(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", {"song.mp3": b"1" * 50}, zipfile.ZIP_STORED)
    whole = source.read_bytes()
    entry = whole.index(b"PK\x01\x02")
    for offset, value, match in ((8, 1, "encrypted"), (10, 97, "method 97 .* 7-Zip")):
        changed = bytearray(whole)
        changed[entry + offset] = value
        source.write_bytes(bytes(changed))
        with pytest.raises(ArtistTransferError, match=match):
            extract(source, tmp_path / "out")
