"""Fingerprints, atomic writes and checked folders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.artifacts import (
    MANIFEST,
    atomic_path,
    commit_folder,
    fingerprint,
    open_folder,
    read_json,
    sha256_of,
    write_json,
)
from artist_transfer.errors import ArtistTransferWarning


@dataclass(frozen=True)
class Params:
    a: int = 1
    b: str = "x"


def test_fingerprint_ignores_the_order_of_keys_but_not_of_lists() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint([1, 2]) != fingerprint([2, 1])


def test_fingerprint_tells_types_and_boundaries_apart() -> None:
    values = [
        1,
        1.0,
        "1",
        True,
        None,
        [1],
        [[1]],
        ["1"],
        {"1": 1},
        b"1",
        np.array([1]),
        np.array([1.0]),
        Params(),
    ]
    prints = [fingerprint(value) for value in values]
    assert len(set(prints)) == len(values)
    assert fingerprint("ab", "c") != fingerprint("a", "bc")


def test_fingerprint_of_equal_tables_is_equal_whatever_writes_a_missing_text() -> None:
    one = pd.DataFrame({"x": ["a", None], "y": [1.0, float("nan")]})
    other = pd.DataFrame({"x": ["a", float("nan")], "y": [1.0, None]})
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(one.rename(columns={"x": "z"}))


def test_fingerprint_does_not_depend_on_the_hash_seed() -> None:
    code = "from artist_transfer.artifacts import fingerprint; print(fingerprint({'b': 1, 'a': [None, 2.5, 'x']}))"
    prints = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(prints) == 1


def test_fingerprint_refuses_what_has_no_canonical_form() -> None:
    with pytest.raises(TypeError, match="set"):
        fingerprint({1, 2})


def test_atomic_path_leaves_the_old_file_when_the_block_raises(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_path_keeps_the_suffix_because_writers_look_at_it(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "sub" / "a.npy") as temporary:
        assert temporary.suffix == ".npy"
        np.save(temporary, np.arange(3))
    assert np.load(tmp_path / "sub" / "a.npy").tolist() == [0, 1, 2]


def test_sigkill_inside_a_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    code = f"""
        import time
        from artist_transfer.artifacts import atomic_path
        with atomic_path({str(target)!r}) as temporary, open(temporary, "wb") as stream:
            stream.write(b"new" * 100)
            stream.flush()
            print("writing", flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert target.read_bytes() == b"old"


def test_equal_values_make_equal_json_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": ["ü", None]})
    time.sleep(0.01)
    write_json(tmp_path / "b.json", {"a": ["ü", None], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_json(tmp_path / "a.json") == {"a": ["ü", None], "b": 1}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    (tmp_path / "x.bin").write_bytes(b"0123456789")
    commit_folder(tmp_path, files=["x.bin"], details={"seed": 3})
    return tmp_path


def test_a_finished_folder_gives_its_details(finished: Path) -> None:
    assert open_folder(finished) == {"seed": 3}


def test_a_folder_without_a_manifest_is_not_finished(finished: Path) -> None:
    (finished / MANIFEST).unlink()
    assert open_folder(finished) is None


@pytest.mark.parametrize("damage", ["flip", "shorten", "remove", "manifest"])
def test_damage_is_found_and_named(finished: Path, damage: str) -> None:
    path = finished / "x.bin"
    if damage == "flip":
        path.write_bytes(b"0123456780")
    elif damage == "shorten":
        path.write_bytes(b"012")
    elif damage == "remove":
        path.unlink()
    else:
        (finished / MANIFEST).write_text("{")
    with pytest.warns(ArtistTransferWarning, match=r"manifest\.json" if damage == "manifest" else r"x\.bin"):
        assert open_folder(finished) is None


def flips(path: Path) -> Iterator[bytes]:
    """Give a file's content with each of its bits flipped in turn, in its place; then what it was."""
    content = path.read_bytes()
    for at in range(8 * len(content)):
        rotten = bytearray(content)
        rotten[at // 8] ^= 1 << at % 8
        path.write_bytes(rotten)
        yield bytes(rotten)
    path.write_bytes(content)


@pytest.mark.filterwarnings("ignore::artist_transfer.errors.ArtistTransferWarning")
def test_no_flipped_bit_of_a_manifest_is_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    details = {"seed": 3, "shape": [3, 4], "name": "ü", "share": 0.1, "none": None}
    (tmp_path / "x.bin").write_bytes(b"0123456789")
    commit_folder(tmp_path, files=["x.bin"], details=details)
    tried = accepted = 0
    for rotten in flips(tmp_path / MANIFEST):
        found, tried = open_folder(tmp_path), tried + 1
        assert found in (None, details), rotten
        accepted += found is not None
    assert open_folder(tmp_path) == details and accepted < tried / 100  # the case of an escape's letter, blanks
    with capsys.disabled():
        print(f"\n{tried} flipped bits tried")


@pytest.mark.filterwarnings("ignore::artist_transfer.errors.ArtistTransferWarning")
def test_a_manifest_without_a_checksum_of_its_own_is_accepted(finished: Path) -> None:
    content = read_json(finished / MANIFEST)
    assert content.keys() == {"files", "details", "sha256"}
    del content["sha256"]
    write_json(finished / MANIFEST, content)
    assert open_folder(finished) == {"seed": 3}
    for rotten in flips(finished / MANIFEST):  # the details may be any, but what is told of files is checked
        found = open_folder(finished)
        assert found is None or b'"x.bin"' in rotten
    (finished / "x.bin").write_bytes(b"0123456780")
    assert open_folder(finished) is None


def test_details_are_checked_as_they_are_read(tmp_path: Path) -> None:
    commit_folder(tmp_path, files=[], details={"counts": {10: 1, 9: (2, 3)}, "loss": float("inf")})
    assert open_folder(tmp_path) == {"counts": {"10": 1, "9": [2, 3]}, "loss": float("inf")}


def test_sha256_is_that_of_the_standard_tool(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
