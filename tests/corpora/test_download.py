"""Downloads from a real local server that misbehaves, and archives that mean harm."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from artist_transfer.corpora import archives, resuming
from artist_transfer.corpora.archives import extract, find_extracted
from artist_transfer.corpora.disk import exclusive
from artist_transfer.corpora.download import FMA_ARCHIVES, Archive, fetch, fetch_and_extract, fma_archives
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

CONTENT = np.random.default_rng([0, 1]).bytes(900_000)


@dataclass
class Behaviour:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    etag: str | None = '"one"'
    ranges: bool = True
    sends_length: bool = True
    wrong_range: bool = False
    break_after: list[int] = field(default_factory=list)  # bytes of the body, one for each answer
    statuses: list[int] = field(default_factory=list)  # answers before the first right one
    bytes_per_s: int | None = None
    before: Callable[[int], None] = lambda request: None
    asked: list[tuple[int, int, str | None]] = field(default_factory=list)  # (start, bytes sent, If-Range)


class Handler(BaseHTTPRequestHandler):
    """Serve one content under any path."""

    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        """Answer, well or badly."""
        does = self.behaviour
        does.before(len(does.asked))
        if does.statuses:
            does.asked.append((0, 0, None))
            self.send_error(does.statuses.pop(0))
            return
        start = self._start(does)
        if start >= len(does.content) > 0:
            does.asked.append((start, 0, self.headers.get("If-Range")))
            self.send_error(416)
            return
        body = does.content[start:]
        self._head(does, start, len(body))
        cut = does.break_after.pop(0) if does.break_after else len(body)
        does.asked.append((start, min(cut, len(body)), self.headers.get("If-Range")))
        with contextlib.suppress(OSError):  # the client has been killed
            self._body(does, body[:cut])
        if cut < len(body) or not does.sends_length:
            self.close_connection = True

    def _start(self, does: Behaviour) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range") in (None, does.etag)
        return int(asked[1]) if asked and does.ranges and fresh else 0

    def _head(self, does: Behaviour, start: int, length: int) -> None:
        self.send_response(206 if start else 200)
        if start:
            first = start + 7 if does.wrong_range else start
            total = len(does.content)
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        if does.sends_length:
            self.send_header("Content-Length", str(length))
        if does.etag:
            self.send_header("ETag", does.etag)
        self.end_headers()

    def _body(self, does: Behaviour, body: bytes) -> None:
        step = 20_000
        for at in range(0, len(body), step):
            self.wfile.write(body[at : at + step])
            if does.bytes_per_s:
                self.wfile.flush()
                time.sleep(step / does.bytes_per_s)


class Server(ThreadingHTTPServer):
    """A server that does not print a traceback for a client that was killed."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet."""


@pytest.fixture
def behaviour() -> Behaviour:
    """What a test changes."""
    return Behaviour()


@pytest.fixture
def url(behaviour: Behaviour) -> Iterator[str]:
    """Address of a running server."""
    handler = type("Handler", (Handler,), {"behaviour": behaviour})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def archive_of(content: bytes, name: str = "data.bin") -> Archive:
    return Archive(name, f"http://nowhere.invalid/{name}", hashlib.sha1(content).hexdigest(), len(content))


def get(folder: Path, url: str, archive: Archive | None = None, retries: int = 3) -> Path:
    archive = archive or archive_of(CONTENT)
    (path,) = fetch([archive], folder=folder, base_url=url, retries=retries, pause_s=0)
    return path


def part_of(folder: Path, name: str = "data.bin") -> Path:
    return folder / ".download" / name / f"{name}.part"


# --- the list ---


def test_the_list_of_fma_is_complete() -> None:
    assert set(FMA_ARCHIVES) == {"metadata", "small", "medium", "large", "full"}
    assert len({archive.sha1 for archive in FMA_ARCHIVES.values()}) == 5
    for key, archive in FMA_ARCHIVES.items():
        assert archive.name == f"fma_{key}.zip"
        assert archive.url == f"https://os.unil.cloud.switch.ch/fma/{archive.name}"
        assert re.fullmatch("[0-9a-f]{40}", archive.sha1)
    gib = {key: archive.size / 2**30 for key, archive in FMA_ARCHIVES.items() if archive.size}
    assert gib == pytest.approx({"metadata": 342 / 1024, "small": 7.2, "medium": 22.2, "large": 93.4}, rel=0.01)


def test_a_subset_is_metadata_and_audio() -> None:
    assert [archive.name for archive in fma_archives("fma_medium")] == ["fma_metadata.zip", "fma_medium.zip"]
    with pytest.raises(ArtistTransferError, match=r"'huge'.*small, medium, large, full"):
        fma_archives("huge")


# --- downloading ---


def test_a_whole_file_is_fetched_once(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    path = get(tmp_path, url)
    assert path == tmp_path / "data.bin"
    assert path.read_bytes() == CONTENT
    assert get(tmp_path, url) == path
    assert behaviour.asked == [(0, len(CONTENT), None)]


def test_it_goes_on_where_the_connection_broke(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    behaviour.break_after = [200_000, 150_000, 300_000]
    assert get(tmp_path, url).read_bytes() == CONTENT
    starts = [start for start, _, _ in behaviour.asked]
    assert len(starts) == 4
    assert starts[0] == 0
    for (start, sent, _), following in zip(behaviour.asked, starts[1:], strict=False):
        assert start + sent - resuming.CHUNK <= following <= start + sent  # a broken chunk may be lost
        assert following > start
    assert [etag for _, _, etag in behaviour.asked] == [None, '"one"', '"one"', '"one"']


def test_it_gives_up_after_a_bounded_number_and_goes_on_next_time(
    tmp_path: Path, url: str, behaviour: Behaviour
) -> None:
    behaviour.break_after = [200_000, 0, 0]
    with pytest.raises(ArtistTransferError, match=r"of 900,000 bytes.*same command goes on") as caught:
        get(tmp_path, url, retries=2)
    assert len(behaviour.asked) == 3
    kept = part_of(tmp_path).stat().st_size
    assert f"{kept:,} of" in str(caught.value)
    assert f"{url}/data.bin" in str(caught.value)
    assert 200_000 - resuming.CHUNK <= kept <= 200_000
    assert get(tmp_path, url).read_bytes() == CONTENT
    assert behaviour.asked[3] == (kept, len(CONTENT) - kept, '"one"')


def test_progress_gives_new_attempts(
    tmp_path: Path, url: str, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "PROGRESS", 50_000)
    behaviour.break_after = [150_000] * 5
    assert get(tmp_path, url, retries=1).read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    behaviour.ranges = False
    behaviour.break_after = [400_000]
    assert get(tmp_path, url).read_bytes() == CONTENT
    assert behaviour.asked[1][:2] == (0, len(CONTENT))


def test_a_server_without_ranges_that_always_breaks_off_ends(
    tmp_path: Path, url: str, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "PROGRESS", 50_000)
    behaviour.ranges = False
    behaviour.break_after = [400_000] * 50
    with pytest.raises(ArtistTransferError, match="attempts in a row"):
        get(tmp_path, url, retries=2)
    assert len(behaviour.asked) <= 4


def test_a_file_that_changed_in_between_starts_over(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    new = CONTENT[::-1]
    behaviour.break_after = [400_000]

    def change(request: int) -> None:
        if request == 1:
            behaviour.content, behaviour.etag = new, '"two"'

    behaviour.before = change
    assert get(tmp_path, url, archive_of(new)).read_bytes() == new
    assert behaviour.asked[1] == (0, len(new), '"one"')


def test_a_range_that_was_not_asked_for_is_not_appended(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    behaviour.wrong_range = True
    behaviour.break_after = [400_000]
    assert get(tmp_path, url).read_bytes() == CONTENT
    assert [start for start, _, _ in behaviour.asked][2:] == [0]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_tag_the_checksum_decides(
    tmp_path: Path, url: str, behaviour: Behaviour, etag: str | None
) -> None:
    behaviour.etag = etag
    behaviour.break_after = [400_000]
    assert get(tmp_path, url).read_bytes() == CONTENT
    assert behaviour.asked[1][0] > 0
    assert behaviour.asked[1][2] is None


def test_without_a_length_the_expected_size_tells_a_break(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    behaviour.sends_length = False
    behaviour.break_after = [400_000]
    assert get(tmp_path, url).read_bytes() == CONTENT
    assert behaviour.asked[1][:2] == (400_000, 500_000)


def test_a_wrong_checksum_is_an_error_and_leaves_nothing(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    behaviour.content = CONTENT[:-1] + b"?"
    with pytest.raises(ArtistTransferError, match="removed") as caught:
        get(tmp_path, url)
    assert hashlib.sha1(CONTENT).hexdigest() in str(caught.value)
    assert not (tmp_path / "data.bin").exists()
    assert not part_of(tmp_path).exists()
    behaviour.content = CONTENT
    assert get(tmp_path, url).read_bytes() == CONTENT


def test_a_wrong_file_of_that_name_is_kept_aside(tmp_path: Path, url: str) -> None:
    (tmp_path / "data.bin").write_bytes(b"mine")
    with pytest.warns(ArtistTransferWarning, match=r"data\.bin\.wrong"):
        path = get(tmp_path, url)
    assert path.read_bytes() == CONTENT
    assert (tmp_path / "data.bin.wrong").read_bytes() == b"mine"


def test_a_part_that_is_complete_needs_no_request(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    part = part_of(tmp_path)
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    part.with_name(part.name + ".json").write_text('{"total": 900000, "validator": "x"}')
    assert get(tmp_path, url).read_bytes() == CONTENT
    assert behaviour.asked == []


def test_a_part_that_is_too_long_starts_over(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    part = part_of(tmp_path)
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"more")
    assert get(tmp_path, url).read_bytes() == CONTENT
    assert [start for start, _, _ in behaviour.asked] == [900_004, 0]


def test_passing_trouble_is_waited_out_and_refusals_are_not(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    behaviour.statuses = [503, 500]
    assert get(tmp_path / "a", url).read_bytes() == CONTENT
    behaviour.statuses = [404]
    asked = len(behaviour.asked)
    with pytest.raises(ArtistTransferError, match=r"data\.bin.*HTTP 404"):
        get(tmp_path / "b", url)
    assert len(behaviour.asked) == asked + 1


def test_no_server_at_all(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match="0 of 900,000 bytes, 2 attempts"):
        get(tmp_path, "http://127.0.0.1:9", retries=1)
    with pytest.raises(ArtistTransferError, match="base_url is 'file:///etc'"):
        get(tmp_path, "file:///etc")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path: Path, url: str) -> None:
    part = part_of(tmp_path)
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")  # every write to it fails as on a full disk
    with pytest.raises(ArtistTransferError, match=r"is full \(No space left.*the same command goes on"):
        get(tmp_path, url)


def test_too_little_room_is_found_before_the_download(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(ArtistTransferError, match=r"needs 900,000 bytes more.*only 1,000 bytes"):
        get(tmp_path, url)


def test_two_runs_do_not_write_one_file(tmp_path: Path, url: str) -> None:
    with (
        exclusive(tmp_path / ".download" / "data.bin.lock", what="testing"),
        pytest.raises(ArtistTransferError, match="another run is downloading"),
    ):
        get(tmp_path, url)


CHILD = """
import sys
from artist_transfer.corpora.download import Archive, fetch
name, url, sha1, folder = sys.argv[1:]
fetch([Archive(name, url, sha1, None)], folder=folder, base_url=url)
"""


def test_a_killed_download_goes_on(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    behaviour.bytes_per_s = 600_000
    archive, part = archive_of(CONTENT), part_of(tmp_path)
    command = [sys.executable, "-c", CHILD, archive.name, url, archive.sha1, str(tmp_path)]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 30
    while (not part.exists() or part.stat().st_size < 150_000) and time.monotonic() < give_up:
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    kept = part.stat().st_size
    assert 150_000 <= kept < len(CONTENT)
    assert part.read_bytes() == CONTENT[:kept]
    behaviour.bytes_per_s = None
    assert get(tmp_path, url).read_bytes() == CONTENT
    assert behaviour.asked[-1] == (kept, len(CONTENT) - kept, '"one"')
    assert not part.parent.exists()  # nothing is left of the killed run


# --- unpacking ---


def zip_of(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_BZIP2) -> Path:
    with zipfile.ZipFile(path, "w", method) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path


FILES = {f"fma_small/000/{k:06d}.mp3": bytes([k]) * (1000 + k) for k in range(20)}


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


def test_fetch_and_unpack_in_one_go_and_only_once(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    behaviour.content = zip_of(tmp_path / "source.zip", FILES).read_bytes()
    archive = archive_of(behaviour.content, "fma_small.zip")
    first = fetch_and_extract([archive], folder=tmp_path / "fma", base_url=url)
    assert first[0]["files"] == 20
    assert (tmp_path / "fma/fma_small/000/000003.mp3").read_bytes() == FILES["fma_small/000/000003.mp3"]
    (tmp_path / "fma/fma_small.zip").unlink()  # no longer needed
    assert fetch_and_extract([archive], folder=tmp_path / "fma", base_url=url) == first
    assert len(behaviour.asked) == 1
