"""Downloads from a real local server that misbehaves."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.corpora.conftest import FILES, zip_of
from tests.corpora.misbehaving_server import CONTENT, Behaviour, Handler, Server

from artist_transfer.corpora import resuming
from artist_transfer.corpora.disk import exclusive
from artist_transfer.corpora.download import FMA_ARCHIVES, Archive, fetch, fetch_and_extract, fma_archives
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning


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


def test_fetch_and_unpack_in_one_go_and_only_once(tmp_path: Path, url: str, behaviour: Behaviour) -> None:
    behaviour.content = zip_of(tmp_path / "source.zip", FILES).read_bytes()
    archive = archive_of(behaviour.content, "fma_small.zip")
    first = fetch_and_extract([archive], folder=tmp_path / "fma", base_url=url)
    assert first[0]["files"] == 20
    assert (tmp_path / "fma/fma_small/000/000003.mp3").read_bytes() == FILES["fma_small/000/000003.mp3"]
    (tmp_path / "fma/fma_small.zip").unlink()  # no longer needed
    assert fetch_and_extract([archive], folder=tmp_path / "fma", base_url=url) == first
    assert len(behaviour.asked) == 1
