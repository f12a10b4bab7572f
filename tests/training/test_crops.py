"""The frame store and the batches drawn from it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training import frame_store as module
from artist_transfer.training.crops import CropSampler
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.targets import TaskTarget, TaskTargets

CPU = torch.device("cpu")
LENGTHS = (16, 17, 40, 25, 16, 33, 29)
IDS = tuple("abcdefg")
CROP = 16


class Numbered:
    """Every value says where it comes from: track in the hundreds, frame below; band 1 is minus band 0."""

    def frames(self, track_id: str) -> np.ndarray:
        number = IDS.index(track_id)
        values = 100 * number + np.arange(LENGTHS[number])
        return np.stack([values, -values], axis=1).astype(np.float16)


def make_targets(without_g: tuple[int, ...] = (2,), without_m: tuple[int, ...] = ()) -> TaskTargets:
    made = []
    for task, without in (("g", without_g), ("m", without_m)):
        vectors = np.random.default_rng(0).dirichlet(np.ones(3), len(IDS))
        vectors[list(without)] = np.nan
        made.append(TaskTarget.from_vectors(task, vectors))
    return TaskTargets(made)


@pytest.fixture(params=["device", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FrameStore:
    return FrameStore.build(Numbered(), IDS, device=CPU, place=request.param, spill=tmp_path / "spill")


def test_store_holds_the_frames(store: FrameStore, tmp_path: Path) -> None:
    assert store.frames.shape == (sum(LENGTHS), 2) and store.frames.dtype == torch.float16
    for row, track_id in enumerate(IDS):
        mine = store.frames[store.offsets[row] : store.offsets[row] + store.lengths[row]].numpy()
        np.testing.assert_array_equal(mine, Numbered().frames(track_id))
    if store.place == "disk":
        assert list((tmp_path / "spill").iterdir()) == []  # nameless: nothing stays behind, whatever happens


def test_known_numbers_of_frames_are_checked() -> None:
    FrameStore.build(Numbered(), IDS, device=CPU, n_frames=LENGTHS)
    with pytest.raises(ArtistTransferError, match="track b"):
        FrameStore.build(Numbered(), IDS, device=CPU, n_frames=(16, 18, *LENGTHS[2:]))


def test_where_the_frames_go(monkeypatch: pytest.MonkeyPatch) -> None:
    room = {"cuda": 0, "cpu": 0}
    monkeypatch.setattr(module, "fits", lambda n_bytes, device: n_bytes <= room[device.type])
    cuda = torch.device("cuda")
    assert module._place(10, cuda) == "disk" and module._place(10, CPU) == "disk"
    room["cpu"] = 10
    assert module._place(10, cuda) == "host" and module._place(10, CPU) == "device"
    room["cuda"] = 10
    assert module._place(10, cuda) == "device"


def test_band_statistics(store: FrameStore) -> None:
    everything = np.concatenate([Numbered().frames(i) for i in IDS]).astype(np.float64)
    mean, std = store.band_statistics()
    np.testing.assert_allclose(mean, everything.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, everything.std(axis=0), rtol=1e-12)


def test_a_constant_band_has_deviation_1() -> None:
    class Silent:
        def frames(self, _track_id: str) -> np.ndarray:
            return np.full((20, 3), -100, dtype=np.float16)

    mean, std = FrameStore.build(Silent(), ("a", "b"), device=CPU).band_statistics()
    assert mean.tolist() == [-100] * 3 and std.tolist() == [1] * 3


def test_a_crop_is_the_right_frames_of_the_right_track(store: FrameStore) -> None:
    targets = make_targets()
    sampler = CropSampler(store, targets, batch=5, crop=CROP, seed=3)
    seen: set[tuple[int, int]] = set()
    for task in "gm" * 60:
        values, soft = sampler.draw(task)
        assert values.shape == (5, 1, 2, CROP) and values.dtype == torch.float16
        first = values[:, 0, 0, 0].numpy().astype(int)
        np.testing.assert_array_equal(values[:, 0, 0].numpy(), first[:, None] + np.arange(CROP))
        np.testing.assert_array_equal(values[:, 0, 1].numpy(), -values[:, 0, 0].numpy())
        tracks, starts = first // 100, first % 100
        assert (starts <= np.array(LENGTHS)[tracks] - CROP).all()
        seen |= set(zip(tracks.tolist(), starts.tolist(), strict=True))
        target = targets[task]
        for track, mine in zip(tracks, soft.numpy(), strict=True):
            np.testing.assert_array_equal(mine, target.soft[target.rows.tolist().index(track)])
    # 600 crops reach the first and the last valid start of every track
    assert all({(t, 0), (t, n - CROP)} <= seen for t, n in enumerate(LENGTHS) if n - CROP < 10)


@pytest.mark.parametrize("batch", [2, 4, 16])
def test_every_track_with_the_target_once_an_epoch(store: FrameStore, batch: int) -> None:
    targets = make_targets(without_g=(2, 5))
    sampler = CropSampler(store, targets, batch=batch, crop=CROP, seed=0)
    drawn = []
    while len(drawn) < 40:
        drawn += (sampler.draw("g")[0][:, 0, 0, 0].numpy().astype(int) // 100).tolist()
    epochs = [drawn[i : i + 5] for i in range(0, 40, 5)]
    assert all(sorted(epoch) == [0, 1, 3, 4, 6] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_starts_are_uniform() -> None:
    sampler = CropSampler(FrameStore.build(Numbered(), IDS, device=CPU), make_targets(), batch=2, crop=CROP, seed=0)
    counts: Counter[int] = Counter()
    for number in range(2000):
        order, starts = sampler.permutation("m", number)
        counts[int(starts[order == 3][0])] += 1  # track d: 25 frames, 10 valid starts
    assert sorted(counts) == list(range(10))
    chi2 = sum((n - 200) ** 2 / 200 for n in counts.values())
    assert chi2 < 27.9  # 99.9 % of chi-squared with 9 degrees of freedom


def test_what_a_task_sees_does_not_depend_on_the_others() -> None:
    store, both = FrameStore.build(Numbered(), IDS, device=CPU), make_targets()
    one = CropSampler(store, TaskTargets([both["m"]]), batch=3, crop=CROP, seed=1)
    two = CropSampler(store, both, batch=3, crop=CROP, seed=1)
    other = CropSampler(store, both, batch=3, crop=CROP, seed=2)
    differs = False
    for _ in range(20):
        two.draw("g")
        mine = one.draw("m")[0]
        assert torch.equal(mine, two.draw("m")[0])
        differs |= not torch.equal(mine, other.draw("m")[0])
    assert differs


def test_state_goes_through_json_and_goes_on_exactly(store: FrameStore) -> None:
    first = CropSampler(store, make_targets(), batch=4, crop=CROP, seed=9)
    for task in "gmggmg":
        first.draw(task)
    second = CropSampler(store, make_targets(), batch=4, crop=CROP, seed=9)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for task in "mgmggm":
        for a, b in zip(first.draw(task), second.draw(task), strict=True):
            assert torch.equal(a, b)
    with pytest.raises(ArtistTransferError, match="tasks"):
        second.load_state_dict({"g": 0})


def test_bad_input() -> None:
    for ids in ((), ("b", "a"), ("a", "a")):
        with pytest.raises(ArtistTransferError, match="training tracks"):
            FrameStore.build(Numbered(), ids, device=CPU)
    store = FrameStore.build(Numbered(), IDS, device=CPU)
    with pytest.raises(ArtistTransferError, match=r"2 training tracks are shorter.* a with 16"):
        CropSampler(store, make_targets(), batch=2, crop=17, seed=0)
    few = FrameStore.build(Numbered(), IDS[:3], device=CPU)
    with pytest.raises(ArtistTransferError, match="7 tracks"):
        CropSampler(few, make_targets(), batch=2, crop=CROP, seed=0)
