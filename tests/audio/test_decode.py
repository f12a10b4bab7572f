"""Decoding by content, declared lengths, resampling."""

from __future__ import annotations

import hashlib
from pathlib import Path

import mutagen.mp3
import numpy as np
import pytest
import soundfile
from tests.audio.conftest import cut, tone, write

from artist_transfer.audio.decode import decode, resample, to_mono
from artist_transfer.audio.headers import mp3_seconds, wav_frames
from artist_transfer.errors import ArtistTransferError

KINDS = [("MP3", None), ("OGG", "VORBIS"), ("FLAC", "PCM_16"), ("WAV", "PCM_16"), ("AIFF", "PCM_16")]


@pytest.mark.parametrize("ending", ["wav", "mp3", "flac", "raw", "xyz", ""])
@pytest.mark.parametrize(("container", "subtype"), KINDS)
def test_goes_by_content_not_by_name(tmp_path: Path, container: str, subtype: str | None, ending: str) -> None:
    path = write(tmp_path / f"x.{ending}", tone(2.0, channels=2), container=container, subtype=subtype)
    decoded = decode(path)
    with path.open("rb") as stream:
        whole, rate = soundfile.read(stream.fileno(), dtype="float32", always_2d=True, closefd=False)
    assert (decoded.sample_rate, decoded.channels, decoded.error, decoded.is_cut) == (rate, 2, None, False)
    # soundfile.read seeks to the start first, after which an mp3 decoder rounds a last bit differently.
    np.testing.assert_allclose(decoded.samples, to_mono(whole), atol=1e-7 if container == "MP3" else 0)
    if container != "MP3":
        assert decoded.audio_hash == hashlib.sha256(to_mono(whole).tobytes()).hexdigest()
    assert decode(path.rename(tmp_path / "another name")).audio_hash == decoded.audio_hash
    assert decoded.declared_s == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize(("container", "subtype"), KINDS)
def test_blocks_give_the_same_samples_as_one_read(tmp_path: Path, container: str, subtype: str | None) -> None:
    path = write(
        tmp_path / "long",
        tone(60.0, channels=2, rate=44_100),
        rate=44_100,
        container=container,
        subtype=subtype,
    )
    for without_table_of_contents in (False, True) if container == "MP3" else (False,):
        if without_table_of_contents:
            path.write_bytes(path.read_bytes().replace(b"Xing", b"\0\0\0\0").replace(b"Info", b"\0\0\0\0"))
        with path.open("rb") as stream:
            whole, _ = soundfile.read(stream, dtype="float32", always_2d=True)
        assert len(whole) >= 60 * 44_100
        np.testing.assert_allclose(decode(path).samples, to_mono(whole), atol=1e-6 if container == "MP3" else 0)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_mono_is_the_mean_of_the_channels(tmp_path: Path, channels: int) -> None:
    samples = tone(0.5, channels=channels)
    decoded = decode(write(tmp_path / "a.wav", samples, subtype="FLOAT"))
    assert decoded.channels == channels
    np.testing.assert_allclose(decoded.samples, samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(("seconds", "goes_on"), [(1.9, False), (2.0, False), (2.1, True), (60.0, True)])
def test_stops_at_the_longest_duration(tmp_path: Path, seconds: float, goes_on: bool) -> None:
    path = write(
        tmp_path / "a.flac",
        np.zeros((round(seconds * 8000), 1)),
        rate=8000,
        container="FLAC",
        subtype="PCM_16",
    )
    decoded = decode(path, max_duration_s=2.0)
    assert decoded.goes_on is goes_on
    assert len(decoded.samples) == min(round(seconds * 8000), 16_000)
    assert (decoded.audio_hash is None) is goes_on


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_mp3_header_length_equals_mutagens(tmp_path: Path, rate: int, channels: int, mode: str) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, tone(3.0, rate=rate, channels=channels), rate, format="MP3", bitrate_mode=mode)
    plain = path.read_bytes()
    for tags in (b"", b"ID3\x04\x00\x00\x00\x00\x02\x00" + b"\x00" * 256):  # 256 bytes of ID3v2 padding
        path.write_bytes(tags + plain)
        with path.open("rb") as stream:
            seconds = mp3_seconds(stream)
        assert seconds == pytest.approx(mutagen.mp3.MP3(path).info.length, abs=1e-3)
        half = cut(path, 0.5)
        with half.open("rb") as stream:
            assert mp3_seconds(stream) == seconds


def test_mp3_without_a_length_header_declares_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", tone(3.0), container="MP3")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"Xing", b"\0\0\0\0").replace(b"Info", b"\0\0\0\0"))
    assert decode(path).declared_s is None


@pytest.mark.parametrize(("size", "expected"), [(None, 22_050), (0, None), (0xFFFFFFFF, None), (0x7FFFFFFF, None)])
def test_wav_written_to_a_pipe_declares_nothing(tmp_path: Path, size: int | None, expected: int | None) -> None:
    path = write(tmp_path / "a.wav", tone(1.0), subtype="PCM_16")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    if size is not None:
        content[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)
    with path.open("rb") as stream:
        assert wav_frames(stream) == expected


@pytest.mark.parametrize("content", [b"", b"not audio at all\n" * 100, bytes(1000), b"\xff\xfb\x90\x64"])
def test_what_is_not_audio_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(content)
    with pytest.raises(ArtistTransferError, match=r"."):
        decode(path)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_resampling_keeps_a_tone(rate: int) -> None:
    time = np.arange(2 * rate) / rate
    found = resample(np.sin(2 * np.pi * 440 * time).astype(np.float32), rate, 22_050)
    assert found.dtype == np.float32 and len(found) == 2 * 22_050
    expected = np.sin(2 * np.pi * 440 * np.arange(len(found)) / 22_050)
    np.testing.assert_allclose(found[1000:-1000], expected[1000:-1000], atol=2e-4)
