"""Frames of songs: librosa's MFCC, songs without frames named, pieces that are all of it, files whole or absent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import librosa
import numpy as np
import pytest

from artist_transfer.artifacts import open_folder
from artist_transfer.audio.mel import AGF, AGF_RELEASED, ISMIR, log_mel
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.features.mfcc import mfcc
from artist_transfer.recognition.cepstrum import CONSTANT, NO_FRAMES, NOT_FINITE, SILENT, decibels
from artist_transfer.recognition.frames import FACTS, VALUES, SongFrames
from artist_transfer.recognition.frames_file import write_song_frames


class Mels:
    """Spectrograms by track, and how often they were asked for."""

    def __init__(self, songs: Mapping[str, np.ndarray]) -> None:
        self.songs, self.asked = songs, 0

    def frames(self, track_id: str) -> np.ndarray:
        self.asked += 1
        return self.songs[track_id]


def sound(seed: int, seconds: float = 2.0) -> np.ndarray:
    """Noise under a melody, with a rest."""
    draw = np.random.default_rng(seed)
    time = np.arange(int(22_050 * seconds)) / 22_050
    samples = 0.3 * np.sin(2 * np.pi * 220 * (1 + seed % 3) * time) + 0.02 * draw.standard_normal(len(time))
    samples[len(samples) // 3 : len(samples) // 2] *= 1e-3
    return samples.astype(np.float32)


def song_mels(n: int = 4) -> dict[str, np.ndarray]:
    return {f"song{k}": log_mel(sound(k, 1.0 + 0.3 * k), ISMIR).astype(np.float16) for k in range(n)}


def librosa_mfcc(samples: np.ndarray) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=samples, sr=22_050, n_fft=1024, hop_length=512, n_mels=128, power=1.0, pad_mode="constant"
    )
    level = librosa.amplitude_to_db(mel, ref=1.0, amin=1e-5, top_db=None)
    return librosa.feature.mfcc(S=level, n_mfcc=20).T


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_librosa(tmp_path: Path, seed: int) -> None:
    samples = sound(seed)
    spectrogram, expected = log_mel(samples, ISMIR), librosa_mfcc(samples)
    exact = write_song_frames(Mels({"a": spectrogram}), ["a"], tmp_path / "exact")
    np.testing.assert_allclose(exact.of("a"), expected, atol=2e-2)
    stored = write_song_frames(Mels({"a": spectrogram.astype(np.float16)}), ["a"], tmp_path / "stored")
    assert stored.of("a").shape == (1 + len(samples) // 512, 20)
    # Half a step of float16 in log10(1 + 10 m) is at most 2⁻¹¹ of it; the derivative turns it into decibels.
    level, x = decibels(spectrogram, ISMIR), spectrogram.astype(np.float64)
    step = 20 * 2.0**-11 * np.maximum(x, 2.0**-14) * 10**x / np.maximum(10**x - 1, 1e-4)
    bound = np.sqrt((step**2).sum(axis=1))  # the transform is orthonormal
    loud = level.min(axis=1) > -78  # 1e-4: the lowest bands of a rest are below float16's resolution
    assert loud.mean() > 0.5
    error = np.sqrt(((stored.of("a") - expected) ** 2).sum(axis=1))
    assert (error[loud] <= bound[loud] + 0.05).all()
    assert error[loud].max() < 0.5 < np.abs(expected).max() / 100


@pytest.mark.parametrize("front_end", [AGF, AGF_RELEASED])
def test_decibels_stay_as_they_are(tmp_path: Path, front_end: object) -> None:
    spectrogram = log_mel(sound(1), front_end).astype(np.float16)
    frames = write_song_frames(Mels({"a": spectrogram}), ["a"], tmp_path, front_end=front_end, coefficients=13)
    np.testing.assert_array_equal(frames.of("a"), mfcc(spectrogram, 13))


def test_inverting_the_logarithm() -> None:
    mel = np.geomspace(1e-7, 100, 50)[None]
    level = decibels(np.log1p(10 * mel) / np.log(10), ISMIR)
    np.testing.assert_allclose(level, 20 * np.log10(np.maximum(mel, 1e-5)), atol=1e-4)
    assert decibels(np.zeros((1, 3)), ISMIR).tolist() == [[-100.0] * 3]


def test_songs_without_variation_are_named(tmp_path: Path) -> None:
    songs = song_mels(2)
    broken = songs["song0"].copy()
    broken[3, 7] = np.nan
    songs |= {
        "silence": np.zeros((40, 128), np.float16),
        "constant": np.full((40, 128), 0.5, np.float16),
        "nothing": np.zeros((0, 128), np.float16),
        "broken": broken,
    }
    frames = write_song_frames(Mels(songs), songs, tmp_path)
    assert frames.track_ids == ("song0", "song1")
    assert frames.left_out == {"silence": SILENT, "constant": CONSTANT, "nothing": NO_FRAMES, "broken": NOT_FINITE}
    with pytest.raises(ArtistTransferError, match=r"'silence'.*silent"):
        frames.of("silence")
    with pytest.raises(ArtistTransferError, match=r"2 songs.*'constant'.*no variation"):
        frames.counts(["song0", "constant", "silence"])
    with pytest.raises(ArtistTransferError, match=r"'other'.*another corpus"):
        list(frames.chunks(["other"], 10))


def test_nothing_left_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match=r"none of 1 songs.*'a'.*silent"):
        write_song_frames(Mels({"a": np.zeros((9, 128), np.float16)}), ["a"], tmp_path)
    assert open_folder(tmp_path) is None and not list(tmp_path.glob("*"))
    with pytest.raises(ArtistTransferError, match="no finished frames"):
        SongFrames.open(tmp_path)


@pytest.mark.parametrize("coefficients", [0, 129])
def test_impossible_coefficients(tmp_path: Path, coefficients: int) -> None:
    with pytest.raises(ArtistTransferError, match="1 to 128"):
        write_song_frames(Mels(song_mels(1)), ["song0"], tmp_path, coefficients=coefficients)


def test_equal_bytes_and_no_second_reading(tmp_path: Path) -> None:
    songs, told = song_mels(), []
    first = write_song_frames(Mels(songs), list(songs), tmp_path / "a", progress=lambda *x: told.append(x))
    write_song_frames(Mels(songs), list(songs)[::-1], tmp_path / "b")
    for name in (VALUES, FACTS, "manifest.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert told[-1] == (4, 4, {"left out": 0})
    mels = Mels(songs)
    again = write_song_frames(mels, list(songs), tmp_path / "a")
    assert mels.asked == 0 and again.key == first.key != ""
    np.testing.assert_array_equal(again.values, first.values)
    others = [
        write_song_frames(mels, list(songs), tmp_path / "a", coefficients=12),
        write_song_frames(mels, list(songs)[:3], tmp_path / "a"),
        write_song_frames(mels, list(songs), tmp_path / "a", key="another store"),
    ]
    assert mels.asked == 11 and len({first.key, *(frames.key for frames in others)}) == 4
    other_sound = songs | {"song1": songs["song1"] + np.float16(0.5)}
    assert write_song_frames(Mels(other_sound), list(songs), tmp_path / "c").key != first.key


def test_damage_is_seen_and_mended(tmp_path: Path) -> None:
    songs = song_mels()
    whole = np.array(write_song_frames(Mels(songs), songs, tmp_path).values)
    data = bytearray((tmp_path / VALUES).read_bytes())
    data[100] ^= 1
    (tmp_path / VALUES).write_bytes(data)
    with pytest.warns(ArtistTransferWarning, match="damaged"):
        mended = write_song_frames(Mels(songs), songs, tmp_path)
    np.testing.assert_array_equal(mended.values, whole)


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
@pytest.mark.parametrize("stored", [False, True])
def test_chunks_are_all_frames_once(tmp_path: Path, size: int, stored: bool) -> None:
    songs = song_mels()
    frames = write_song_frames(Mels(songs), songs, tmp_path)
    ids = ["song2", "song0", "song3"]
    kept = frames if stored else SongFrames.from_arrays({track: frames.of(track) for track in songs})
    found: dict[int, list[np.ndarray]] = {}
    sizes = []
    for rows, pieces in kept.chunks(ids, size):
        sizes.append(len(rows))
        assert [start for _, start, _ in pieces] == [0, *(stop for _, _, stop in pieces[:-1])]
        assert pieces[-1][2] == len(rows)
        for song, start, stop in pieces:
            found.setdefault(song, []).append(rows[start:stop])
    assert set(sizes[:-1]) <= {size} and sum(sizes) == kept.counts(ids).sum()
    for song, track in enumerate(ids):
        np.testing.assert_array_equal(np.concatenate(found[song]), frames.of(track))


def test_a_share_is_drawn_by_song(tmp_path: Path) -> None:
    songs = song_mels()
    frames = write_song_frames(Mels(songs), songs, tmp_path)

    def drawn(ids: list[str], **settings: float) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = {}
        for rows, pieces in frames.chunks(ids, 9, **settings):
            for song, start, stop in pieces:
                parts.setdefault(ids[song], []).append(rows[start:stop])
        return {track: np.concatenate(rows) for track, rows in parts.items()}

    ids = list(songs)
    some, reversed_order = drawn(ids, share=0.3, seed=5), drawn(ids[::-1], share=0.3, seed=5)
    for track in ids:
        np.testing.assert_array_equal(some[track], reversed_order[track])
        all_rows = frames.of(track)
        assert len(some[track]) == frames.counts([track], share=0.3)[0] == int(0.3 * len(all_rows))
        places = [int(np.flatnonzero((all_rows == row).all(axis=1))[0]) for row in some[track]]
        assert places == sorted(set(places))
    assert any((some[track] != other).any() for track, other in drawn(ids, share=0.3, seed=6).items())
    assert all(len(rows) == 1 for rows in drawn(ids, share=1e-6, seed=0).values())


def test_a_mapped_npy_and_a_part_of_it_are_read_where_they_are(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", values)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for array, expected in ((mapped, values), (mapped[20:], values[20:]), (mapped[:, :2], values[:, :2])):
        frames = SongFrames(("a", "b"), np.array([[5, 15], [30, 40]]), array)
        rows = np.concatenate([np.array(part) for part, _ in frames.chunks(["b", "a"], 4)])
        np.testing.assert_array_equal(rows, np.concatenate([expected[30:40], expected[5:15]]))


@pytest.mark.parametrize(
    ("offsets", "ids", "message"),
    [
        ([[0, 5]], ("a", "b"), "do not fit"),
        ([[0, 5], [5, 9]], ("a", "a"), "stands twice"),
        ([[0, 5], [5, 5]], ("a", "b"), "'b'.*rows 5 to 5"),
        ([[0, 5], [5, 11]], ("a", "b"), "rows 5 to 11 of 10"),
        ([[-1, 5], [5, 9]], ("a", "b"), "'a'"),
    ],
)
def test_parts_that_do_not_fit(offsets: list[list[int]], ids: tuple[str, ...], message: str) -> None:
    with pytest.raises(ArtistTransferError, match=message):
        SongFrames(ids, np.array(offsets), np.zeros((10, 2), np.float32))


@pytest.mark.parametrize("settings", [{"size": 0}, {"size": 5, "share": 0.0}, {"size": 5, "share": 1.5}])
def test_impossible_chunks(settings: dict[str, float]) -> None:
    frames = SongFrames.from_arrays({"a": np.zeros((4, 2))})
    with pytest.raises(ArtistTransferError, match="allowed are >= 1"):
        list(frames.chunks(["a"], **settings))
