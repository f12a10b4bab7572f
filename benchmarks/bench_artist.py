"""Artist-label nets: what six crops cost, real updates against one fixed batch, and encoding against decoding.

Ratios come from one run on one machine; what is compared takes turns, and medians of neighbouring ratios are taken.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artist_transfer.models.artist_net import ArtistNet, ArtistNetConfig, Kind
from artist_transfer.models.encoding import encode_songs
from artist_transfer.processes import keep_memory
from artist_transfer.training.artist_batches import PlainSampler, SiameseSampler
from artist_transfer.training.artist_loop import _Run
from artist_transfer.training.artist_parameters import ArtistTrainParams
from artist_transfer.training.artist_songs import Songs
from artist_transfer.training.frame_store import FrameStore
from benchmarks.shards import in_shards

FRAMES, BANDS, SONGS = 1291, 128, 20  # of a 30 s clip; of an artist
ARTISTS = {"cpu": 40, "cuda": 2000}
BATCH, COLUMNS = 15, 6
Figure = dict[str, Any]


def make_corpus(device: torch.device, place: str, spill: str) -> tuple[FrameStore, Songs]:
    """Return a store of noise in the shape of a balanced artist set, and its songs."""
    ids = [f"{artist:05d}-{song:02d}" for artist in range(ARTISTS[device.type]) for song in range(SONGS)]
    songs = Songs.from_artists(
        ids, [i[:5] for i in ids], ["train" if int(i[6:]) < SONGS - 3 else "validation" for i in ids]
    )
    lengths = np.full(len(ids), FRAMES, dtype=np.int64)
    if place == "device" and device.type == "cuda":
        frames = torch.empty(len(ids) * FRAMES, BANDS, dtype=torch.float16, device=device)
        for chunk in frames.split(1 << 20):
            chunk.normal_(0.2, 0.25)
        return FrameStore(tuple(ids), frames, np.arange(len(ids)) * FRAMES, lengths, device, place), songs

    class Noise:
        def frames(self, track_id: str, /) -> np.ndarray:
            seed = int(track_id.replace("-", ""))
            return np.random.default_rng(seed).gamma(0.6, 0.35, (FRAMES, BANDS)).astype(np.float16)

    places = in_shards(Noise(), ids, spill)
    store = FrameStore.build(Noise(), ids, device=device, n_frames=lengths.tolist(), place=place, places=places)
    return store, songs


def in_turns(ways: dict[str, Callable[[], object]], *, rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Time each way once a round, two rounds of warming up left out; on one thread processor time, else seconds."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    for _ in range(rounds + 2):
        for way, work in ways.items():
            begin = clock()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[way].append(clock() - begin)
    return {way: values[2:] for way, values in times.items()}


def ratio(mine: list[float], other: list[float]) -> float:
    """Return the median of the ratios of neighbours in time."""
    return statistics.median(a / b for a, b in zip(mine, other, strict=True))


def batches(store: FrameStore, songs: Songs, *, rounds: int = 60) -> float:
    """Return the cost of Siamese batches over that of plain batches with as many crops, plans included."""
    siamese = SiameseSampler(store, songs, batch=BATCH, seed=0, negatives=COLUMNS - 2)
    plain = PlainSampler(store, songs, batch=BATCH * COLUMNS, seed=0)
    n_train = int(songs.training.sum())
    each = max(1, n_train // (BATCH * COLUMNS))  # plain batches to a permutation; a Siamese one has six times as many

    def several(sampler: PlainSampler) -> Callable[[], object]:
        return lambda: [sampler.draw() for _ in range(each)]

    times = in_turns({"siamese": several(siamese), "plain": several(plain)}, rounds=rounds, device=store.device)
    return ratio(times["siamese"], times["plain"])


def updates(
    kind: Kind, store: FrameStore, songs: Songs, *, rounds: int, statistics_of: str = "joint"
) -> tuple[float, float]:
    """Return seconds of a real update, and the rate of real ones over that of updates on one fixed batch."""
    n_outputs = 0 if kind == "siamese" else len(songs.names)
    params = ArtistTrainParams(epochs=10**6, statistics="by_input" if statistics_of == "by_input" else "joint")
    runs = []
    for _ in range(2):
        net = ArtistNet(ArtistNetConfig(kind, n_outputs))
        net.set_statistics(0.2, 0.25)
        runs.append(_Run(net, store, songs, params, store.device))
    batch = runs[1].sampler.draw()
    runs[1].sampler.draw = lambda: batch  # type: ignore[method-assign]
    block = 20 if store.device.type == "cuda" else 1
    ways = {name: lambda run=run: [run.advance() for _ in range(block)] for name, run in zip(("real", "fixed"), runs)}
    times = in_turns(ways, rounds=rounds, device=store.device)
    return statistics.median(times["real"]) / block, ratio(times["fixed"], times["real"])


def encoding(*, clips: int = 4, rounds: int = 7) -> dict[str, float]:
    """Return milliseconds a 30 s clip of decoding and of the net, on one core."""
    import soundfile

    from benchmarks.bench_mel import make_clips

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    frames = {f"{k}": rng.gamma(0.6, 0.35, (FRAMES, BANDS)).astype(np.float16) for k in range(clips)}

    class Source:
        def frames(self, track_id: str, /) -> np.ndarray:
            return frames[track_id]

    net = ArtistNet(ArtistNetConfig("siamese"))
    with tempfile.TemporaryDirectory() as folder:
        paths = make_clips(Path(folder), clips)
        ways: dict[str, Callable[[], object]] = {
            "decode": lambda: [soundfile.read(path, dtype="float32") for path in paths],
            "net": lambda: encode_songs(net, Source(), list(frames)),
        }
        times = in_turns(ways, rounds=rounds, device=torch.device("cpu"))
    torch.set_num_threads(threads)
    figures = {way: 1000 * statistics.median(values) / clips for way, values in times.items()}
    return {**figures, "share": ratio(times["net"], times["decode"])}


def run(threads: int | None = None) -> list[Figure]:
    """Measure everything that this machine allows.

    Parameters
    ----------
    threads : int or None
        Threads of torch on the CPU.

    Returns
    -------
    list of dict
        ``name``, ``value``, ``unit`` and ``reach`` (None where nothing is promised).
    """
    if threads is not None:
        torch.set_num_threads(threads)
    keep_memory()
    cases = [("cpu", "cpu", "device"), ("cpu.memory_map", "cpu", "disk")]
    if torch.cuda.is_available():
        cases.append(("cuda", "cuda", "device"))
    figures: list[tuple[str, float, str, str | None]] = []
    for name, kind, place in cases:
        with tempfile.TemporaryDirectory() as spill:
            store, songs = make_corpus(torch.device(kind), place, spill)
            figures.append((f"artist.{name}.six_crops", batches(store, songs), "ratio", "<= 1.1"))
            nets: tuple[Kind, ...] = ("siamese", "basic")
            for net in nets:
                seconds, share = updates(net, store, songs, rounds=25)
                figures.append((f"artist.{name}.{net}.real_over_fixed", share, "ratio", ">= 0.9"))
                figures.append((f"artist.{name}.{net}.steps", 1 / seconds, "steps/s", None))
            seconds, _ = updates("siamese", store, songs, rounds=9, statistics_of="by_input")
            figures.append((f"artist.{name}.siamese.by_input.steps", 1 / seconds, "steps/s", None))
    encoded = encoding()
    figures.append(("artist.encode.net_over_decode", encoded["share"], "ratio", "<= 0.1"))
    figures += [(f"artist.encode.{way}", encoded[way], "ms a 30 s clip", None) for way in ("net", "decode")]
    return [{"name": n, "value": round(v, 4), "unit": unit, "reach": reach} for n, v, unit, reach in figures]


def main() -> None:
    """Print the figures and, if asked, write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    rows = run(options.threads)
    for row in rows:
        reach = f"  (reach {row['reach']})" if row["reach"] is not None else ""
        print(f"{row['name']:44} {row['value']:>12,.3f} {row['unit']}{reach}")
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
