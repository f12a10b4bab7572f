"""Small audio files of every kind, good and bad, made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 22_050


def tone(seconds: float, *, rate: int = RATE, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Tones over noise, (n, channels) float32."""
    n = round(seconds * rate)
    rng = np.random.default_rng([seed, 1])
    time = np.arange(n)[:, None] / rate
    pitches = rng.uniform(100, 2000, size=(1, channels))
    sound = 0.3 * np.sin(2 * np.pi * pitches * time) + 0.02 * rng.standard_normal((n, channels))
    return np.asarray(sound, np.float32)


def write(
    path: Path, samples: np.ndarray, *, rate: int = RATE, container: str = "WAV", subtype: str | None = None
) -> Path:
    """Write samples whatever the name's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = samples.shape[1]
    with (
        open(path, "w+b") as stream,
        soundfile.SoundFile(stream, "w", rate, channels, format=container, subtype=subtype) as sound,
    ):
        for start in range(0, len(samples), 1 << 16):  # libsndfile's Vorbis writer crashes on a minute at once
            sound.write(samples[start : start + (1 << 16)])
    return path


def cut(path: Path, share: float) -> Path:
    """Keep the first part of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.fixture(scope="session")
def good_corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Twelve good files: folder, and track id to path."""
    root = tmp_path_factory.mktemp("good")
    kinds = [
        ("MP3", None, "mp3"),
        ("OGG", "VORBIS", "ogg"),
        ("FLAC", "PCM_16", "flac"),
        ("WAV", "FLOAT", "wav"),
    ]
    paths = {}
    for number in range(12):
        container, subtype, ending = kinds[number % 4]
        name = f"{number % 3:03d}/g{number:02d}.{ending}"
        samples = tone(2.0 + number / 10, channels=1 + number % 2, seed=number)
        write(root / name, samples, container=container, subtype=subtype)
        paths[f"g{number:02d}"] = name
    return root, paths
