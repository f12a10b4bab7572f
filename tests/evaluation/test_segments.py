"""Windows are the right frames, in the right rows, from the right net."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from artist_transfer.artifacts import open_folder
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.evaluation.segments import SegmentFeatures, segment_features, windows_of
from artist_transfer.training.devices import OutOfMemory

BANDS = 4


class Store:
    """Track k's frame t holds 1000 k + t in every band."""

    def __init__(self, lengths: dict[str, int]) -> None:
        self.tracks = {
            name: np.repeat((100 * k + np.arange(n, dtype=np.float16))[:, None], BANDS, axis=1)
            for k, (name, n) in enumerate(sorted(lengths.items()))
        }

    def frames(self, track_id: str) -> np.ndarray:
        return self.tracks[track_id]


class Net(torch.nn.Module):
    """Features are the window's first and last frame, times a weight; counts its calls."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))
        self.calls = 0
        self.modes: set[bool] = set()

    def features(self, x: torch.Tensor, task: str) -> torch.Tensor:
        assert x.dtype == torch.float32
        assert x.shape[1:] == (1, BANDS, 43)
        self.calls += 1
        self.modes.add(self.training)
        return self.weight * torch.stack([x[:, 0, 0, 0], x[:, 0, -1, -1]], dim=1)


class MultiNet(Net):
    def features_all(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        first = super().features(x, "")
        return {task: first * sign for task, sign in (("m", 3.0), ("g", 1.0), ("s", 2.0))}


LENGTHS = {"b": 43, "a": 43 + 22 * 3 + 21, "c": 43 + 22}  # 1, 4 and 2 windows


@pytest.mark.parametrize("n_frames", [43, 64, 65, 86, 1292])
def test_windows_are_the_frames(n_frames: int) -> None:
    frames = np.arange(n_frames * 3).reshape(n_frames, 3)
    cut = windows_of(frames)
    assert cut.shape == (1 + (n_frames - 43) // 22, 3, 43)
    for k, window in enumerate(cut):
        np.testing.assert_array_equal(window, frames[22 * k : 22 * k + 43].T)


def test_a_thirty_second_track_has_57_segments() -> None:
    assert len(windows_of(np.zeros((1292, 1)))) == 57


@pytest.mark.parametrize("batch", [None, 1, 3, 1000])
def test_rows_are_windows_of_sorted_tracks(batch: int | None) -> None:
    found = segment_features({"g": Net(1.0)}, Store(LENGTHS), ["c", "a", "b"], batch=batch, progress=False)
    assert found.track_ids == ("a", "b", "c")
    assert found.track_index.tolist() == [0, 0, 0, 0, 1, 2, 2]
    starts = [0, 22, 44, 66, 100, 200, 222]
    np.testing.assert_array_equal(found.features, [[s, s + 42] for s in starts])
    assert found.features.dtype == np.float32
    np.testing.assert_array_equal(found.of_track("c"), [[200, 242], [222, 264]])
    np.testing.assert_allclose(found.track_means()[0], [33, 75])


def test_a_long_track_is_passed_in_pieces() -> None:
    store = Store({"a": 43 + 22 * 600})
    net = Net(1.0)
    found = segment_features({"g": net}, store, ["a"], progress=False)
    np.testing.assert_array_equal(found.features[:, 0], store.frames("a")[: 22 * 601 : 22, 0].astype(np.float32))
    assert net.calls == 1 + 19  # for the width, then 18 times 32 windows and 25


def test_nets_stand_in_canonical_order() -> None:
    nets = {"m": Net(3.0), "g": Net(1.0), "s": Net(2.0)}
    found = segment_features(nets, Store(LENGTHS), ["c"], progress=False)
    assert found.blocks == ("g", "s", "m")
    np.testing.assert_array_equal(found.features[0], [200, 242, 400, 484, 600, 726])


def test_a_multi_task_net_runs_once_and_equals_single_nets() -> None:
    shared = MultiNet(1.0)
    together = segment_features(dict.fromkeys("msg", shared), Store(LENGTHS), list(LENGTHS), progress=False)
    apart = segment_features(
        {"m": Net(3.0), "g": Net(1.0), "s": Net(2.0)}, Store(LENGTHS), list(LENGTHS), progress=False
    )
    np.testing.assert_array_equal(together.features, apart.features)
    assert shared.calls == 1 + len(LENGTHS)


def test_the_net_is_in_evaluation_mode_and_put_back() -> None:
    net = Net(1.0).train()
    segment_features({"g": net}, Store(LENGTHS), ["a"], progress=False)
    assert net.modes == {False}
    assert net.training


def test_cache_is_used_and_keyed_by_weights_store_and_windows(tmp_path) -> None:
    store = Store(LENGTHS)

    def run(net: Net, **changed: object) -> SegmentFeatures:
        options = {"cache_root": tmp_path, "store_key": "k", "progress": False} | changed
        return segment_features({"g": net}, store, ["b", "a"], **options)

    first = Net(1.0)
    expected = np.array(run(first).features)
    again = Net(1.0)
    np.testing.assert_array_equal(run(again).features, expected)
    assert again.calls == 0
    for changed in ({"store_key": "other"}, {"hop": 21}, {"dtype": "float16"}):
        other = Net(1.0)
        run(other, **changed)
        assert other.calls > 0, changed
    np.testing.assert_array_equal(run(Net(2.0)).features, 2 * expected)


def test_a_damaged_cache_is_made_again(tmp_path) -> None:
    options = {"cache_root": tmp_path, "store_key": "k", "progress": False}
    expected = np.array(segment_features({"g": Net(1.0)}, Store(LENGTHS), ["a"], **options).features)
    (path,) = tmp_path.glob("segments/*/features.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.warns(ArtistTransferWarning, match=r"features\.npy is damaged"):
        found = segment_features({"g": Net(1.0)}, Store(LENGTHS), ["a"], **options)
    np.testing.assert_array_equal(found.features, expected)
    assert open_folder(path.parent) is not None


def test_large_features_are_joined_in_a_file(tmp_path) -> None:
    nets = {"g": Net(1.0), "s": Net(2.0)}
    options = {"cache_root": tmp_path, "store_key": "k", "progress": False}
    small = segment_features(nets, Store(LENGTHS), list(LENGTHS), **options)
    large = segment_features(nets, Store(LENGTHS), list(LENGTHS), in_memory=0, **options)
    assert isinstance(large.features, np.memmap)
    assert not isinstance(small.features, np.memmap)
    np.testing.assert_array_equal(large.features, small.features)


def test_joined_features_can_lie_elsewhere_than_those_of_the_nets(tmp_path) -> None:
    options = {"cache_root": tmp_path / "kept", "joined_root": tmp_path / "once", "store_key": "k", "progress": False}
    found = segment_features({"g": Net(1.0), "s": Net(2.0)}, Store(LENGTHS), ["a", "b"], in_memory=0, **options)
    assert len(list((tmp_path / "kept").glob("segments/*/features.npy"))) == 2
    (joined,) = (tmp_path / "once").glob("segments/*/features.npy")
    np.testing.assert_array_equal(np.load(joined), found.features)


@pytest.mark.parametrize(
    ("nets", "ids", "options", "message"),
    [
        ({}, ["a"], {}, "non-empty subset of gsedm"),
        ({"x": Net(1.0)}, ["a"], {}, "non-empty subset of gsedm"),
        ({"g": Net(1.0)}, [], {}, "no track"),
        ({"g": Net(1.0)}, ["a", "a"], {}, "more than once"),
        ({"g": Net(1.0)}, ["a"], {"window": 131}, "'a' has 130 frames, a window needs 131"),
        ({"g": Net(1.0)}, ["a"], {"dtype": "int8"}, "float32"),
        ({"g": Net(1.0)}, ["a"], {"cache_root": "somewhere"}, "store_key"),
        ({"g": Net(float("nan"))}, ["a"], {}, "not finite"),
    ],
)
def test_bad_input(nets, ids, options, message: str) -> None:
    with pytest.raises(ArtistTransferError, match=message):
        segment_features(nets, Store(LENGTHS), ids, progress=False, **options)


@pytest.mark.parametrize(("batch", "at_once"), [(None, 32), (500, 500)])
def test_without_memory_the_key_is_named(monkeypatch: pytest.MonkeyPatch, batch: int | None, at_once: int) -> None:
    def full(*_args: object, **_options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    net = Net(1.0).train()
    monkeypatch.setattr(Net, "features", full)
    with pytest.raises(OutOfMemory, match=f"^cpu ran out of memory with windows at once = {at_once}; free some"):
        segment_features({"g": net}, Store(LENGTHS), list(LENGTHS), batch=batch, progress=False)
    assert net.training
    monkeypatch.setattr(Net, "to", full)
    with pytest.raises(OutOfMemory, match=r"^cuda ran out of memory with windows at once = 2048; take device: cpu\.$"):
        segment_features({"g": net}, Store(LENGTHS), list(LENGTHS), device="cuda", progress=False)


def test_shapes_must_fit() -> None:
    with pytest.raises(ArtistTransferError, match="one track for each row"):
        SegmentFeatures(np.zeros((3, 2)), np.zeros(2, dtype=np.int64), ("a",))
    with pytest.raises(ArtistTransferError, match=r"0\.\.0"):
        SegmentFeatures(np.zeros((2, 2)), np.array([0, 1]), ("a",))
    features = SegmentFeatures(np.zeros((2, 2)), np.array([0, 0]), ("a", "empty"))
    assert np.isnan(features.track_means()[1]).all()
    with pytest.raises(ArtistTransferError, match="'z'"):
        features.rows("z")


def test_rows_may_come_in_any_order() -> None:
    features = SegmentFeatures(np.arange(8.0).reshape(4, 2), np.array([1, 0, 1, 0]), ("a", "b"))
    np.testing.assert_array_equal(features.of_track("a"), [[2, 3], [6, 7]])
    np.testing.assert_array_equal(features.track_means(), [[4, 5], [2, 3]])
