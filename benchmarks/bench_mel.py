"""Mel caching against what people do, against its floor, over cores, and in memory.

Each function returns a list of ``{name, value, unit, reach}``. Ratios come from one run on one machine; what is
compared takes turns (A B A B …), and medians are taken, for machines are noisy. Per-core figures count
processor time.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from artist_transfer.processes import cpu_count

RATE, SECONDS = 44_100, 30
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
Figure = dict[str, object]


def make_clips(folder: Path, count: int) -> list[Path]:
    """Write 30 s stereo mp3s: tones over noise that falls with frequency, at the 256 kbit/s of FMA's clips.

    Parameters
    ----------
    folder : Path
        Where to.
    count : int [>= 1]
        How many.

    Returns
    -------
    list of Path
    """
    import soundfile

    frequency = np.fft.rfftfreq(RATE * SECONDS, 1 / RATE)
    clips = []
    for number in range(count):
        rng = np.random.default_rng([number, 4])
        spectrum = rng.standard_normal((2, len(frequency))) / np.sqrt(np.maximum(frequency, 30))
        noise = np.fft.irfft(spectrum * np.exp(2j * np.pi * rng.random(spectrum.shape)), RATE * SECONDS).T
        time_s = np.arange(RATE * SECONDS)[:, None] / RATE
        tones = sum(np.sin(2 * np.pi * rng.uniform(80, 3000, (1, 2)) * time_s) for _ in range(6))
        clips.append(folder / f"{number:03d}.mp3")
        samples = 0.1 * noise / noise.std() + 0.06 * tones
        soundfile.write(clips[-1], samples, RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=0.25)
    return clips


def librosa_way(path: Path) -> np.ndarray:
    """Take a log-mel spectrogram as most people do."""
    import librosa

    samples, _ = librosa.load(path, sr=22_050)
    mel = librosa.feature.melspectrogram(y=samples, sr=22_050, n_fft=1024, hop_length=512)
    return np.asarray(librosa.power_to_db(mel, amin=1e-10, top_db=None))


def floor(path: Path) -> np.ndarray:
    """Decode, mix, resample and transform: what no log-mel can do without."""
    import soundfile
    import soxr
    from scipy.fft import rfft

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples[:, 0] + samples[:, 1]
    mono /= 2
    resampled = np.pad(soxr.resample(mono, rate, 22_050, quality="HQ"), 512)
    frames = np.lib.stride_tricks.sliding_window_view(resampled, 1024)[::512]
    window = np.hanning(1025)[:-1]
    for start in range(0, len(frames), 128):  # in pieces that stay in a core's cache
        spectrum = rfft(frames[start : start + 128] * window)
    return np.asarray(spectrum)


def per_core(rounds: int = 7, clips: int = 6) -> list[Figure]:
    """Compare one core's caching, all included, with librosa's way and with the floor.

    Parameters
    ----------
    rounds : int [>= 1]
        Turns that each takes.
    clips : int [>= 1]
        Clips a turn.

    Returns
    -------
    list of dict
    """
    from artist_transfer.audio.shards import ShardSpec, make_shard
    from artist_transfer.audio.workers import close_idle_workers

    with tempfile.TemporaryDirectory() as name:
        paths = make_clips(Path(name), clips)

        def cache(turn: int) -> None:
            rows = tuple((f"{turn}-{path.stem}", path.name, None) for path in paths)
            make_shard(ShardSpec(rows, corpus_root=name, folder=f"{name}/cache"))

        def cached(turn: int) -> float:
            return _worker_seconds(lambda: cache(turn))

        ways: dict[str, Callable[[int], float]] = {
            "cache": cached,
            "librosa": lambda turn: _own_seconds(lambda: [librosa_way(path) for path in paths]),
            "floor": lambda turn: _own_seconds(lambda: [floor(path) for path in paths]),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(-1, rounds):  # the first, which imports and starts, does not count
            for way, measure in ways.items():
                seconds = measure(turn)
                if turn >= 0:
                    times[way].append(seconds)
        close_idle_workers()
    milliseconds = {way: 1000 * median(values) / clips for way, values in times.items()}
    against = {
        way: median(a / b for a, b in zip(times[way], times["cache"], strict=True)) for way in ("librosa", "floor")
    }
    return [
        {
            "name": "log-mel caching against librosa, per core",
            "value": against["librosa"],
            "unit": "x",
            "reach": 3.0,
        },
        {
            "name": "log-mel caching against its floor, per core",
            "value": against["floor"],
            "unit": "x",
            "reach": 0.9,
        },
        *_as_figures(milliseconds),
    ]


def _as_figures(milliseconds: dict[str, float]) -> list[Figure]:
    return [
        {"name": f"30 s clip, {way}, processor time", "value": value, "unit": "ms", "reach": None}
        for way, value in milliseconds.items()
    ]


def _own_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _worker_seconds(work: Callable[[], object]) -> float:
    """Processor time of this process and of its living decoding process."""
    start, others = time.process_time(), _living_children_seconds()
    work()
    return time.process_time() - start + _living_children_seconds() - others


def _living_children_seconds() -> float:
    total = 0.0
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            # nanoseconds on a processor; the clock of /proc/<pid>/stat ticks too slowly
            total += int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) / 1e9
    return total


def over_cores(rounds: int = 3, clips_per_core: int = 24) -> list[Figure]:
    """Compare the rate of all cores with that of one.

    Parameters
    ----------
    rounds : int [>= 1]
        Turns that each takes.
    clips_per_core : int [>= 1]
        Clips that a core decodes in a turn.

    Returns
    -------
    list of dict
    """
    cores = cpu_count()
    with tempfile.TemporaryDirectory() as name:
        make_clips(Path(name), 8)
        rates: dict[int, list[float]] = {1: [], cores: []}
        for turn in range(rounds):
            for n_workers, values in rates.items():
                tracks = clips_per_core * n_workers
                seconds, _ = _run(name, f"{name}/{turn}-{n_workers}", tracks=tracks, n_workers=n_workers)
                values.append(tracks / seconds)
    ratio = median(many / one for many, one in zip(rates[cores], rates[1], strict=True)) / cores
    return [
        {
            "name": f"log-mel caching, {cores} cores, share of linear",
            "value": ratio,
            "unit": "x",
            "reach": 0.9,
        },
        {
            "name": f"log-mel caching, {cores} cores",
            "value": median(rates[cores]),
            "unit": "clips/s",
            "reach": None,
        },
    ]


def peak_memory(few: int = 100, many: int = 1000) -> list[Figure]:
    """Compare peak memory of caching few and many tracks: the caching process and its largest child together.

    Parameters
    ----------
    few, many : int [>= 1]
        Numbers of tracks.

    Returns
    -------
    list of dict
    """
    with tempfile.TemporaryDirectory() as name:
        make_clips(Path(name), 8)
        peaks = {}
        for tracks in (few, many):
            _, peaks[tracks] = _run(name, f"{name}/{tracks}", tracks=tracks, n_workers=None)
    return [
        {
            "name": f"peak memory of caching {many} tracks against {few}",
            "value": peaks[many] / peaks[few],
            "unit": "x (reach: at most)",
            "reach": 1.1,
        },
        {"name": f"peak memory of caching {many} tracks", "value": peaks[many], "unit": "MB", "reach": None},
    ]


def _run(root: str, folder: str, *, tracks: int, n_workers: int | None) -> tuple[float, float]:
    """Cache in a fresh process; seconds without start-up, and MB of it and its largest child."""
    arguments = json.dumps({"root": root, "folder": folder, "tracks": tracks, "n_workers": n_workers})
    done = subprocess.run(
        [sys.executable, __file__, arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **_ONE_THREAD},
    )
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def _cache_and_report(root: str, folder: str, tracks: int, n_workers: int | None) -> None:
    import pandas as pd

    from artist_transfer.audio.cache import cache_mel

    paths = sorted(path.name for path in Path(root).glob("*.mp3"))
    table = pd.DataFrame(
        {
            "track_id": [f"{i:06d}" for i in range(tracks)],
            "path": [paths[i % len(paths)] for i in range(tracks)],
        }
    )
    n_workers = n_workers or cpu_count()
    shard_size = min(64, math.ceil(tracks / n_workers / 4))
    warm = table.head(n_workers * shard_size).assign(track_id=lambda t: "warm" + t["track_id"])
    settings: dict[str, Any] = {
        "corpus_root": root,
        "n_workers": n_workers,
        "shard_size": shard_size,
        "progress": False,
    }
    cache_mel(warm.head(n_workers), folder=f"{folder}-warm", **settings)
    start = time.perf_counter()
    cache_mel(table, folder=folder, **settings)
    seconds = time.perf_counter() - start
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps([seconds, sum(peaks) / 1024]))


BENCHMARKS: Sequence[Callable[[], list[Figure]]] = (per_core, over_cores, peak_memory)


def run() -> list[Figure]:
    """Run all benchmarks of this module.

    Returns
    -------
    list of dict
        ``name, value, unit, reach`` each.
    """
    return [figure for benchmark in BENCHMARKS for figure in benchmark()]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _cache_and_report(**json.loads(sys.argv[1]))
    else:
        for figure in run():
            print(json.dumps(figure))
