"""Songs and samplers: who is drawn with whom, fresh crops, and nothing but the seed behind it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training import artist_problem as problem

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.artist_batches import PlainSampler, SiameseSampler
from artist_transfer.training.artist_songs import Songs
from artist_transfer.training.frame_store import FrameStore

CROP = 129


class Noise:
    """Frames that say where they are: song in the first band, frame in the second."""

    def __init__(self, lengths: dict[str, int]) -> None:
        self.lengths = lengths

    def frames(self, track_id: str, /) -> np.ndarray:
        number = sorted(self.lengths).index(track_id)
        n = self.lengths[track_id]
        return np.column_stack([np.full(n, number), np.arange(n)]).astype(np.float16)


def corpus(train: list[int], validation: list[int], *, place: str | None = None) -> tuple[FrameStore, Songs]:
    """Return a corpus with so many training and validation songs for each artist."""
    ids, artists, sides = [], [], []
    for artist, (n, v) in enumerate(zip(train, validation, strict=True)):
        for k in range(n + v):
            ids.append(f"{k:02d}-{artist}")  # artists are not next to each other among the sorted
            artists.append(f"artist{artist}")
            sides.append("train" if k < n else "validation")
    lengths = {track_id: 130 + 17 * k % 60 for k, track_id in enumerate(ids)}
    store = FrameStore.build(Noise(lengths), sorted(ids), device=torch.device("cpu"), place=place)
    return store, Songs.from_artists(ids, artists, sides)


def test_songs_are_sorted_whatever_the_order_of_the_rows() -> None:
    ids, artists, sides = ["b", "c", "a", "d"], ["y", "x", "x", "y"], ["train", "validation", "train", "train"]
    songs = Songs.from_artists(ids, artists, sides)
    assert songs.track_ids == ("a", "b", "c", "d") and songs.names == ("x", "y")
    assert songs.labels.tolist() == [0, 1, 0, 1] and songs.training.tolist() == [True, True, False, True]
    again = Songs.from_artists(ids[::-1], artists[::-1], sides[::-1])
    assert again.identity() == songs.identity()
    other = Songs.from_artists(ids, artists, ["train", "train", "validation", "train"])
    assert other.identity() != songs.identity()


def test_tags_without_training_songs_are_left_out_and_named() -> None:
    songs = Songs.from_tags(
        ["a", "b", "c"],
        [["rock", "odd"], ["pop", "rock"], ["rare"]],
        ["train", "train", "validation"],
        vocabulary=["rock", "rare", "pop", "never"],
    )
    assert songs.names == ("pop", "rock") and songs.left_out == ("never", "rare")
    assert songs.labels.tolist() == [[0, 1], [1, 1], [0, 0]] and songs.of_tags
    with pytest.raises(ArtistTransferError, match="no training song has one of the 1 tags"):
        Songs.from_tags(["a", "b"], [["x"], ["x"]], ["train", "validation"], vocabulary=["y"])


@pytest.mark.parametrize(
    ("ids", "artists", "sides", "message"),
    [
        ("aab", "xxx", "ttv", "'a' stands twice"),
        ("abc", "xxy", "ttv", "validation songs but no training songs; the first is 'y'"),
        ("abc", "xxx", "ttt", "no validation song"),
        ("abc", "xxx", "vvv", "no training song"),
        ("abc", "xxx", "tvs", "side 'test'; allowed are train and validation"),
        ("abc", ["x", None, "x"], "ttv", "'b' has no artist"),
        ("abc", "xx", "ttv", "3 songs, 2 labels and 3 sides"),
    ],
)
def test_songs_that_cannot_be_learnt_from_are_named(ids: str, artists: str, sides: str, message: str) -> None:
    names = [{"t": "train", "v": "validation", "s": "test"}[side] for side in sides]
    with pytest.raises(ArtistTransferError, match=message):
        Songs.from_artists(list(ids), list(artists), names)


def test_statistics_are_those_of_the_training_songs() -> None:
    store, songs = problem.make_store(), problem.make_songs()
    frames = [problem.Source().frames(i) for i, side in zip(problem.track_ids(), problem.sides()) if side == "train"]
    values = np.concatenate(frames).astype(np.float64)
    mean, std = songs.statistics(store)
    assert mean == pytest.approx(values.mean(), rel=1e-12) and std == pytest.approx(values.std(), rel=1e-9)
    flat = FrameStore(
        store.track_ids, torch.full_like(store.frames, 0.5), store.offsets, store.lengths, store.device, "device"
    )
    assert songs.statistics(flat) == (0.5, 1.0)


def test_plain_epochs_are_permutations_with_fresh_crops() -> None:
    store, songs = corpus([4, 3, 5], [1, 1, 1])
    sampler = PlainSampler(store, songs, batch=5, seed=1)
    epochs = [sampler.permutation(number) for number in range(20)]
    for rows, firsts in epochs:
        assert sorted(rows[:, 0]) == np.flatnonzero(songs.training).tolist()
        start = firsts - store.offsets[rows]
        assert (start >= 0).all() and (start + CROP <= store.lengths[rows]).all()
    assert len({tuple(rows[:, 0]) for rows, _ in epochs}) == 20
    starts = np.array([(firsts - store.offsets[rows])[np.argsort(rows[:, 0]), 0] for rows, firsts in epochs])
    assert (np.ptp(starts, axis=0) > 0).all()  # of each song, the crops differ from epoch to epoch
    possible = store.lengths[songs.training] - CROP + 1
    shortest = int(possible.argmin())
    assert set(starts[:, shortest]) == set(range(possible[shortest]))  # 2 places: first and last are reached


def test_batches_carry_over_the_end_of_a_permutation() -> None:
    store, songs = corpus([4, 3, 5], [1, 1, 1])
    sampler = PlainSampler(store, songs, batch=5, seed=1)
    drawn = torch.cat([sampler.draw()[1] for _ in range(12)])  # 60 = 5 permutations of 12
    expected = np.concatenate([sampler.permutation(number)[0][:, 0] for number in range(5)])
    np.testing.assert_array_equal(drawn.numpy(), expected)
    tiny = PlainSampler(store, songs, batch=30, seed=1)  # more than there are songs
    assert len(tiny.draw()[1]) == 30


@pytest.mark.parametrize("place", ["device", "disk"])
def test_crops_are_those_of_the_plan(place: str) -> None:
    store, songs = corpus([4, 3, 5], [2, 1, 2], place=place)
    sampler = SiameseSampler(store, songs, batch=4, seed=1, negatives=3)
    crops, anchors = sampler.draw()
    assert crops.shape == (4 * 5, CROP, 2) and crops.dtype == torch.float16 and crops.is_contiguous()
    rows, firsts = (part[:4] for part in sampler.permutation(0))
    np.testing.assert_array_equal(anchors.numpy(), rows[:, 0])
    np.testing.assert_array_equal(crops[:, 0, 0].numpy(), rows.ravel())
    np.testing.assert_array_equal(crops[:, 0, 1].numpy(), (firsts - store.offsets[rows]).ravel())
    np.testing.assert_array_equal(crops[:, -1, 1].numpy() - crops[:, 0, 1].numpy(), np.full(20, CROP - 1))


def test_positives_are_other_songs_of_the_artist_and_negatives_of_others() -> None:
    store, songs = corpus([2, 3, 7, 4], [2, 2, 2, 2])
    sampler = SiameseSampler(store, songs, seed=3, negatives=4)
    for number in range(50):
        rows, firsts = sampler.permutation(number)
        assert rows.shape == firsts.shape == (16, 6)
        assert sorted(rows[:, 0]) == np.flatnonzero(songs.training).tolist()
        assert songs.training[rows].all()
        artist = songs.labels[rows]
        assert (artist[:, 1] == artist[:, 0]).all() and (rows[:, 1] != rows[:, 0]).all()
        assert (artist[:, 2:] != artist[:, :1]).all()
        assert all(len(set(row)) == 4 for row in rows[:, 2:])
        start = firsts - store.offsets[rows]
        assert (start >= 0).all() and (start + CROP <= store.lengths[rows]).all()


def test_every_song_that_may_be_drawn_is_drawn_equally_often() -> None:
    store, songs = corpus([2, 3, 5], [2, 2, 2])
    sampler = SiameseSampler(store, songs, seed=0, negatives=3)
    epochs = 2000
    rows = np.concatenate([sampler.permutation(number)[0] for number in range(epochs)])
    for anchor in np.flatnonzero(songs.training):
        mine = rows[rows[:, 0] == anchor]
        same = [k for k in np.flatnonzero(songs.training) if songs.labels[k] == songs.labels[anchor] and k != anchor]
        others = [k for k in np.flatnonzero(songs.training) if songs.labels[k] != songs.labels[anchor]]
        positives, negatives = Counter(mine[:, 1].tolist()), Counter(mine[:, 2:].ravel().tolist())
        assert set(positives) == set(same) and set(negatives) == set(others)
        for found, share in ((positives, 1 / len(same)), (negatives, 3 / len(others))):
            spread = 5 * np.sqrt(epochs * share * (1 - share))
            assert all(abs(count - epochs * share) <= spread for count in found.values())


def test_the_columns_of_negatives_are_alike() -> None:
    """Which negative comes first says nothing about which song it is."""
    store, songs = corpus([2, 3, 5], [2, 2, 2])
    sampler = SiameseSampler(store, songs, seed=0, negatives=3)
    rows = np.concatenate([sampler.permutation(number)[0] for number in range(2000)])
    mine = rows[rows[:, 0] == rows[0, 0]][:, 2:]
    means = mine.mean(axis=0)
    assert np.ptp(means) < 6 * mine.std() / np.sqrt(len(mine))


def test_the_crops_of_an_anchor_and_its_positive_are_drawn_anew_each_time() -> None:
    store, songs = corpus([2, 2], [2, 2])
    sampler = SiameseSampler(store, songs, seed=0, negatives=1)
    firsts = [sampler.permutation(number) for number in range(30)]
    pairs = [frozenset(zip(rows[:, 1].tolist(), first[:, 1].tolist(), strict=True)) for rows, first in firsts]
    assert len(set(pairs)) == 30  # with two songs an artist the positives never change, but their crops do


def test_validation_is_fixed_and_keeps_to_its_side() -> None:
    store, songs = corpus([3, 3, 3, 3], [2, 2, 2, 2])
    sampler = SiameseSampler(store, songs, seed=3, negatives=4)
    rows, firsts = sampler.validation(3)
    sampler.draw()
    again = sampler.validation(3)
    np.testing.assert_array_equal(rows, again[0])
    np.testing.assert_array_equal(firsts, again[1])
    assert rows.shape == (24, 6) and not songs.training[rows].any()
    assert Counter(rows[:, 0].tolist()) == dict.fromkeys(np.flatnonzero(~songs.training).tolist(), 3)
    artist = songs.labels[rows]
    assert (artist[:, 1] == artist[:, 0]).all() and (rows[:, 1] != rows[:, 0]).all()
    assert (artist[:, 2:] != artist[:, :1]).all()
    assert len({tuple(first) for first in firsts[np.argsort(rows[:, 0])].tolist()}) == 24
    plain_rows, _ = PlainSampler(store, songs, seed=3).validation()
    assert sorted(plain_rows[:, 0]) == np.flatnonzero(~songs.training).tolist()


def test_with_one_validation_song_the_positive_is_a_training_song() -> None:
    store, songs = corpus([3, 3, 3, 3], [1, 1, 2, 1])
    rows, _ = SiameseSampler(store, songs, seed=3, negatives=3).validation(40)
    single = np.bincount(songs.labels[~songs.training])[songs.labels[rows[:, 0]]] == 1
    assert single.any() and (~single).any()
    assert songs.training[rows[single, 1]].all() and not songs.training[rows[~single, 1]].any()
    assert (songs.labels[rows[:, 1]] == songs.labels[rows[:, 0]]).all()
    assert not songs.training[rows[:, 2:]].any()
    alone = rows[rows[:, 0] == rows[0, 0], 1]
    assert len(set(alone.tolist())) > 1


@pytest.mark.parametrize("kind", ["plain", "siamese"])
def test_a_sampler_goes_on_from_its_count(kind: str) -> None:
    store, songs = corpus([4, 3, 5], [2, 2, 2])

    def make(seed: int = 1) -> PlainSampler:
        return (PlainSampler if kind == "plain" else SiameseSampler)(store, songs, batch=5, seed=seed)

    one, two = make(), make()
    for _ in range(7):
        one.draw()
    assert one.state_dict() == {"drawn": 35}
    two.load_state_dict(one.state_dict())
    for _ in range(7):
        (crops, rows), (crops_2, rows_2) = one.draw(), two.draw()
        assert torch.equal(crops, crops_2) and torch.equal(rows, rows_2)
    assert not np.array_equal(make().permutation(0)[0], make(2).permutation(0)[0])


def test_what_cannot_be_sampled_is_named() -> None:
    store, songs = corpus([4, 3, 5], [2, 2, 2])
    with pytest.raises(ArtistTransferError, match=r"18 songs are shorter than a crop of 400 frames; the first is 00-0"):
        PlainSampler(store, songs, crop=400, seed=0)
    with pytest.raises(ArtistTransferError, match="labels of 30 songs and frames of 18"):
        PlainSampler(store, problem.make_songs(), seed=0)
    store, songs = corpus([4, 1, 5], [2, 2, 2])
    with pytest.raises(ArtistTransferError, match=r"1 artists have one training song.* 'artist1'"):
        SiameseSampler(store, songs, seed=0)
    store, songs = corpus([4, 2, 2], [2, 2, 2])
    with pytest.raises(ArtistTransferError, match=r"negatives=5: .* only 4 training songs .* artist 'artist0'"):
        SiameseSampler(store, songs, seed=0, negatives=5)
    store, songs = corpus([4, 4, 4], [2, 1, 1])
    with pytest.raises(ArtistTransferError, match=r"only 2 validation songs .* 'artist0'") as error:
        SiameseSampler(store, songs, seed=0, negatives=3)
    said = str(error.value)
    for words in (
        "artist_training.negatives=3",
        "3 artists with 4 validation songs",
        "artist_training.negatives up to 2",
        "sets.songs",
        "sets.division",
        "sets.sizes",
    ):
        assert words in said
    SiameseSampler(store, songs, seed=0, negatives=2)  # what is said to be allowed is
    with pytest.raises(ArtistTransferError, match="these songs have tags"):
        SiameseSampler(problem.make_store(), problem.make_songs("tag"), seed=0)


def test_one_gather_brings_all_six_crops(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store, songs = corpus([4, 3, 5], [2, 2, 2])
    sampler, asked = SiameseSampler(store, songs, batch=5, seed=1), []
    original = FrameStore.gather

    def gather(self: FrameStore, starts: torch.Tensor, crop: int) -> torch.Tensor:
        asked.append(len(starts))
        return original(self, starts, crop)

    monkeypatch.setattr(FrameStore, "gather", gather)
    sampler.draw()
    assert asked == [30]
