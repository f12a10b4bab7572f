"""Arrays and a card: what is read is what was written, equal bytes, and nothing that is not whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from artist_transfer.arrays_file import load_arrays, save_arrays
from artist_transfer.artifacts import open_folder
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

NAMES = {"name": "a.safetensors", "card_name": "a.json"}
ARRAYS = {"turned": np.arange(6.0).reshape(2, 3).T, "few": np.array([1, 2], np.int64)}
CARD = {"of": "Ümlaut", "n": 2}


def test_there_and_back_in_equal_bytes(tmp_path: Path) -> None:
    for place in ("one", "two"):
        save_arrays(tmp_path / place, ARRAYS, CARD, **NAMES, details={"n": 2})
    arrays, card = load_arrays(tmp_path / "one", "pair", **NAMES)
    assert card == CARD and arrays.keys() == ARRAYS.keys()
    for key, value in ARRAYS.items():
        assert arrays[key].dtype == value.dtype
        np.testing.assert_array_equal(arrays[key], value)
    files = {path.name for path in (tmp_path / "one").iterdir()}
    assert files == {*NAMES.values(), "manifest.json"}
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_details_are_what_the_manifest_says(tmp_path: Path) -> None:
    save_arrays(tmp_path / "one", ARRAYS, CARD, **NAMES, details={"n": 2})
    save_arrays(tmp_path / "two", ARRAYS, CARD, **NAMES)
    assert open_folder(tmp_path / "one") == {"n": 2} and open_folder(tmp_path / "two") == {}


def test_further_files_belong_to_the_whole(tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text("[1]")
    save_arrays(tmp_path, ARRAYS, CARD, **NAMES, also=["history.json"])
    assert open_folder(tmp_path) == {}
    (tmp_path / "history.json").write_text("[2]")
    with pytest.warns(ArtistTransferWarning, match=r"history\.json is damaged"):
        assert open_folder(tmp_path) is None


def test_what_is_not_whole_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match=r"no finished pair \(a.safetensors, a.json, manifest\)"):
        load_arrays(tmp_path, "pair", **NAMES)
    save_arrays(tmp_path, ARRAYS, CARD, **NAMES)
    (tmp_path / "a.safetensors").write_bytes(b"rot")
    with (
        pytest.warns(ArtistTransferWarning, match="damaged"),
        pytest.raises(ArtistTransferError, match="no finished pair"),
    ):
        load_arrays(tmp_path, "pair", **NAMES)
