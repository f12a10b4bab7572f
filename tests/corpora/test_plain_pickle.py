"""A pickle of somebody else runs nothing, whatever it asks for."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
from collections import OrderedDict
from pathlib import Path

import pytest

from artist_transfer.corpora.artist_list import read_artist_list
from artist_transfer.corpora.plain_pickle import PlainUnpickler, read_plain_pickle
from artist_transfer.errors import ArtistTransferError

PLAIN = {"a": ["x", 1, 2.5, None, True, -(2**70)], "b": ("é", ("y", ()), {}), "c": [b"z"]}


class Runs:
    """Pickled, it calls a function with arguments."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> object:
        return self.call


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "list.pkl"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back(tmp_path: Path, protocol: int) -> None:
    assert read_plain_pickle(write(tmp_path, pickle.dumps(PLAIN, protocol))) == PLAIN


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_repeated_texts_come_back(tmp_path: Path, protocol: int) -> None:
    value = ["1/2/3", "4/5/6"] * 3
    assert read_plain_pickle(write(tmp_path, pickle.dumps(value, protocol))) == value


@pytest.mark.parametrize(
    ("data", "second"),
    [
        (b"(lp0\nS'123/1/1'\np1\naS'5/1/2'\np2\na.", "5/1/2"),  # pickle.dumps(value)
        (b"\x80\x02]q\x00(U\x07123/1/1q\x01U\x071\xc3\xa9/1/2q\x02e.", "1é/1/2"),  # cPickle.dumps(value, 2)
    ],
)
def test_byte_strings_of_python_2_are_texts(tmp_path: Path, data: bytes, second: str) -> None:
    assert read_plain_pickle(write(tmp_path, data)) == ["123/1/1", second]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("function", [os.system, subprocess.call, eval, open])
def test_a_payload_is_refused_and_does_not_run(tmp_path: Path, protocol: int, function: object) -> None:
    trace = tmp_path / "it_ran"
    text = f"open({str(trace)!r}, 'w').close()" if function is eval else f"touch {trace}"
    arguments = (
        (str(trace), "w") if function is open else (["touch", str(trace)],) if "call" in str(function) else (text,)
    )
    payload = pickle.dumps(["1/1/1", Runs(function, *arguments)], protocol)
    path = write(tmp_path, payload)
    for read in (read_plain_pickle, read_artist_list):
        with pytest.raises(ArtistTransferError, match=r"list\.pkl: the pickle asks for more than plain .* not loaded"):
            read(path)
    assert not trace.exists()
    pickle.loads(payload)
    assert trace.exists(), "the payload must be one that works"


def test_the_second_lock_alone_holds() -> None:
    for name, payload in (("posix.system", Runs(os.system, "true")), ("collections.OrderedDict", OrderedDict())):
        with pytest.raises(ArtistTransferError, match=f"asks for {name}"):
            PlainUnpickler(io.BytesIO(pickle.dumps(payload))).load()
    with pytest.raises(ArtistTransferError, match="outside object"):
        PlainUnpickler(io.BytesIO(b"\x80\x02U\x01xQ.")).load()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x80\x02]r" + struct.pack("<I", 2**31) + b".", "memo number"),  # the reader would set 64 GiB aside
        (b"]p4000000000\n.", "memo number"),
        (b"\x80\x04\x96" + struct.pack("<Q", 2**40) + b".", "damaged|BYTEARRAY8"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b".", "damaged"),
        (b"\x80\x02]q\x00(U\x07123", "damaged"),
        (b"", "damaged"),
        (b"hello", "damaged"),
        (b"\x80\x02a.", "damaged"),
        (pickle.dumps(["1/1/1"], 2) + b"x", "1 bytes behind the end"),
        (b"\x80\x02]q\x00U\x01\xffa.", "damaged"),
        (b"cos\nsystem\n.", "os system"),
        (b"\x82\x01.", "EXT1"),
    ],
)
def test_damaged_and_swelling_pickles_are_refused(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(ArtistTransferError, match=says) as error:
        read_plain_pickle(write(tmp_path, data))
    assert "list.pkl" in str(error.value)


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    path = write(tmp_path, pickle.dumps(["1/1/1"]))
    size = path.stat().st_size
    assert read_plain_pickle(path, max_bytes=size) == ["1/1/1"]
    with pytest.raises(ArtistTransferError, match=f"has {size} bytes; at most {size - 1}"):
        read_plain_pickle(path, max_bytes=size - 1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match=r"none\.pkl: cannot be read"):
        read_plain_pickle(tmp_path / "none.pkl")
