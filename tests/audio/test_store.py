"""Reading frames back."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.artifacts import sha256_of
from artist_transfer.audio import shards as shards_module
from artist_transfer.audio import store as store_module
from artist_transfer.audio.store import MelStore
from artist_transfer.errors import ArtistTransferError

COUNTS = {"a": 5, "b": 300, "c": 1, "d": 77}


def _make(folder: Path) -> tuple[MelStore, dict[str, np.ndarray]]:
    manifest, table, tracks = _written(folder)
    return MelStore(manifest, table), tracks


def _written(folder: Path, bands: int = 4) -> tuple[dict[str, object], pd.DataFrame, dict[str, np.ndarray]]:
    rng = np.random.default_rng(11)
    tracks = {track_id: rng.normal(-50, 20, (n, bands)).astype(np.float16) for track_id, n in COUNTS.items()}
    for track in tracks.values():
        track[:, 2] = -100
    rows, shards = [], []
    for name, members in (("one", "ab"), ("two", "cd"), ("none", "")):
        frames = np.concatenate([np.zeros((0, bands), np.float16), *(tracks[track_id] for track_id in members)])
        np.save(folder / f"{name}.npy", frames)
        digest = sha256_of(folder / f"{name}.npy")
        shards.append({"name": name, "n_frames": len(frames), "sha256": digest, "n_tracks": len(members)})
        offset = 0
        for track_id in members:
            rows.append({"track_id": track_id, "shard": name, "offset": offset, "n_frames": COUNTS[track_id]})
            offset += COUNTS[track_id]
    rows.append({"track_id": "quarantined", "shard": None, "offset": 0, "n_frames": 0})
    manifest = {"folder": str(folder), "front_end": {"n_mels": bands}, "shards": shards}
    return manifest, pd.DataFrame(rows), tracks


def test_frames_come_back(tmp_path: Path) -> None:
    store, tracks = _make(tmp_path)
    assert store.track_ids == list(tracks) and len(store) == 4 and "a" in store and "quarantined" not in store
    for track_id, expected in tracks.items():
        found = store.frames(track_id)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.float16 and len(found) == len(expected)
        assert not found.flags.owndata and not found.flags.writeable  # a view of the file
    shapes = {name: store.shard(name).shape for name in ("one", "two", "none")}
    assert shapes == {"one": (305, 4), "two": (78, 4), "none": (0, 4)}


def test_few_shards_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_OPEN_SHARDS", 1)
    store, tracks = _make(tmp_path)
    views = {track_id: store.frames(track_id) for track_id in "acbd"}
    assert len(store._open) == 1
    for track_id, view in views.items():
        np.testing.assert_array_equal(view, tracks[track_id])


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    store, _ = _make(tmp_path)
    with pytest.raises(ArtistTransferError, match="'quarantined' has no frames"):
        store.frames("quarantined")
    np.save(tmp_path / "two.npy", np.zeros((3, 4), np.float16))
    with pytest.raises(ArtistTransferError, match=r"two\.npy is float16 \(3, 4\)"):
        store.frames("c")
    (tmp_path / "one.npy").unlink()
    with pytest.raises(ArtistTransferError, match=r"one\.npy cannot be read"):
        store.frames("a")
    manifest = {
        "folder": str(tmp_path),
        "front_end": {"n_mels": 4},
        "shards": [{"name": "one", "n_frames": 305, "sha256": ""}],
    }
    table = pd.DataFrame({"track_id": ["x"], "shard": ["one"], "offset": [300], "n_frames": [6]})
    with pytest.raises(ArtistTransferError, match="different runs"):
        MelStore(manifest, table)


@pytest.mark.parametrize("sidecar", ["none", "right", "wrong", "older", "damaged"])
def test_a_shard_is_the_manifests_or_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sidecar: str) -> None:
    manifest, table, tracks = _written(tmp_path)
    store = MelStore(manifest, table)
    path, note = tmp_path / "two.npy", tmp_path / "two.json"
    right = sha256_of(path)
    if sidecar != "none":
        note.write_text("{" if sidecar == "damaged" else json.dumps({"sha256": "0" if sidecar == "wrong" else right}))
    if sidecar == "older":
        os.utime(note, ns=(0, path.stat().st_mtime_ns - 1))
    hashed: list[Path] = []
    monkeypatch.setattr(shards_module, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    np.testing.assert_array_equal(store.frames("c"), tracks["c"])
    np.testing.assert_array_equal(store.frames("d"), tracks["d"])
    store.places(["c", "d"])
    assert hashed == ([] if sidecar == "right" else [path])  # read whole only if the sidecar does not vouch for it
    time.sleep(0.02)
    np.save(path, np.load(path) + np.float16(1))  # of the same shape
    for read in (lambda: store.places(["c"]), lambda: MelStore(manifest, table).frames("c")):
        with pytest.raises(ArtistTransferError, match=r"two\.npy is not the one"):
            read()


def test_a_pickled_shard_is_refused(tmp_path: Path) -> None:
    store, _ = _make(tmp_path)
    np.save(tmp_path / "one.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ArtistTransferError, match="cannot be read"):
        store.frames("a")
