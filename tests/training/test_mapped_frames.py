"""Frames that stay in their files: the same crops as from memory, no copy, no open file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.training import artist_problem as problem

from artist_transfer.artifacts import sha256_of
from artist_transfer.audio.store import MelStore
from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.artist_net import ArtistNet, ArtistNetConfig
from artist_transfer.pipelines.feature_learning.learning import rank_store
from artist_transfer.training import frame_store as module
from artist_transfer.training.artist_batches import SiameseSampler
from artist_transfer.training.artist_loop import train_artist
from artist_transfer.training.artist_parameters import ArtistTrainParams
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.mapped_frames import FramePlaces, MappedFrames

CPU = torch.device("cpu")


@pytest.fixture
def tracks(tmp_path: Path) -> tuple[dict[str, object], pd.DataFrame]:
    """The frames of the problem in shards of three tracks, in an order that is not that of the ids."""
    ids = problem.track_ids()
    order = [ids[k] for k in np.random.default_rng(3).permutation(len(ids))]
    rows, shards = [], []
    for number in range(0, len(order), 3):
        name, offset, pieces = f"shard{number}", 0, []
        for track_id in order[number : number + 3]:
            frames = problem.Source().frames(track_id)
            rows.append({"track_id": track_id, "shard": name, "offset": offset, "n_frames": len(frames)})
            offset += len(frames)
            pieces.append(frames)
        np.save(tmp_path / f"{name}.npy", np.concatenate(pieces).astype(np.float16))
        shards.append({"name": name, "n_frames": offset, "sha256": sha256_of(tmp_path / f"{name}.npy")})
    manifest = {"folder": str(tmp_path), "front_end": {"n_mels": pieces[0].shape[1]}, "shards": shards}
    return manifest, pd.DataFrame(rows).sort_values("track_id", ignore_index=True)


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fits", lambda n_bytes, device: False)


@pytest.mark.usefixtures("no_memory")
def test_frames_that_fit_nowhere_are_not_copied(
    tracks: tuple[dict[str, object], pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    def copies(*args: object, **kwargs: object) -> None:
        raise AssertionError("a copy of all frames was asked for")

    monkeypatch.setattr(module.tempfile, "TemporaryFile", copies)
    store = rank_store(*tracks, CPU)
    assert store.place == "disk" and isinstance(store.frames, MappedFrames)
    monkeypatch.undo()
    copy = FrameStore.build(problem.Source(), problem.track_ids(), device=CPU, place="device")
    assert store.frames.shape == tuple(copy.frames.shape)
    assert torch.equal(store.frames[0 : len(store.frames)], copy.frames)
    assert torch.equal(store.frames[100:1000], copy.frames[100:1000]) and len(store.frames[7:7]) == 0
    for mine, other in zip(store.band_statistics(), copy.band_statistics(), strict=True):
        assert mine.tolist() == other.tolist()
    songs = problem.make_songs()
    assert songs.statistics(store) == songs.statistics(copy)


@pytest.mark.usefixtures("no_memory")
def test_the_same_crops_are_drawn_and_the_same_net_is_trained(
    tracks: tuple[dict[str, object], pd.DataFrame],
) -> None:
    stores = rank_store(*tracks, CPU), problem.make_store()
    songs = problem.make_songs()
    one, two = (SiameseSampler(store, songs, batch=4, seed=5, negatives=2) for store in stores)
    for _ in range(12):
        (crops, rows), (crops_2, rows_2) = one.draw(), two.draw()
        assert torch.equal(crops, crops_2) and torch.equal(rows, rows_2)
    trained = []
    for store in stores:
        net = ArtistNet(ArtistNetConfig("siamese", 0, n_mels=store.n_mels, width=0.1), seed=1)
        net.set_statistics(*songs.statistics(store))
        params = ArtistTrainParams(epochs=1, batch=8, negatives=2, seed=1, threads=1)
        train_artist(net, store, songs, params, device=CPU, folder=None)
        trained.append(net.state_dict())
    assert all(torch.equal(value, trained[1][name]) for name, value in trained[0].items())


@pytest.mark.usefixtures("no_memory")
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts the files that Linux says are open")
def test_no_file_stays_open(tracks: tuple[dict[str, object], pd.DataFrame]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    store = MelStore(*tracks)
    ids = tracks[1]["track_id"].tolist()
    mapped = MappedFrames(FramePlaces(*store.places(ids)), tracks[1]["n_frames"].to_numpy(), store.n_mels)
    assert len(mapped[0:10]) == 10
    assert len(os.listdir("/proc/self/fd")) == before


def test_files_that_are_not_what_they_should_be_are_named(tracks: tuple[dict[str, object], pd.DataFrame]) -> None:
    store, lengths = MelStore(*tracks), tracks[1]["n_frames"].to_numpy()
    ids = tracks[1]["track_id"].tolist()
    paths, file_of, rows = store.places(ids)
    with pytest.raises(ArtistTransferError, match=r"shard\d+\.npy does not hold the frames"):
        MappedFrames(FramePlaces(paths, file_of, rows + 1), lengths, store.n_mels)
    with pytest.raises(ArtistTransferError, match="bands expected"):
        MappedFrames(FramePlaces(paths, file_of, rows), lengths, store.n_mels + 1)
    whole = paths[0].read_bytes()
    paths[0].write_bytes(whole[:-2])
    with pytest.raises(ArtistTransferError, match="cannot be read"):
        MappedFrames(FramePlaces(paths, file_of, rows), lengths, store.n_mels)
    paths[0].write_bytes(b"no array")
    with pytest.raises(ArtistTransferError, match="cannot be read"):
        MappedFrames(FramePlaces(paths, file_of, rows), lengths, store.n_mels)
    with pytest.raises(ArtistTransferError, match="no frames"):
        store.places(["nobody"])
