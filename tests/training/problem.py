"""A tiny training problem, for the tests in one process and, run as a script, for those that kill one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.loop import Progress, TrainedNet, TrainParams, train_cached
from artist_transfer.training.targets import TaskTarget, TaskTargets

BANDS, CROP, TRACKS = 32, 16, 12
TRACK_IDS = tuple(f"t{i:02d}" for i in range(TRACKS))
CLASSES = ("blues", "folk", "rock")


class Source:
    """Tracks whose class is plain to hear: the distance of their harmonics."""

    def frames(self, track_id: str) -> np.ndarray:
        number = int(track_id[1:])
        frames = np.random.default_rng(number).normal(-40, 3, size=(30 + number, BANDS))
        frames += 10 * np.sin(2 * np.pi * np.arange(BANDS) / (4, 7, 14)[number % 3])
        return frames.astype(np.float16)


def make_store(device: str = "cpu", **options: object) -> FrameStore:
    return FrameStore.build(Source(), TRACK_IDS, device=torch.device(device), **options)


def make_targets(tasks: str = "gm") -> TaskTargets:
    """Genre for all but the last track, a factor for all but the first two."""
    labels = [CLASSES[i % 3] if i < TRACKS - 1 else None for i in range(TRACKS)]
    factors = np.random.default_rng(1).dirichlet(np.ones(5), size=TRACKS)
    factors[:2] = np.nan
    made = {"g": TaskTarget.from_labels("g", labels, CLASSES), "m": TaskTarget.from_vectors("m", factors)}
    return TaskTargets([made[task] for task in tasks])


def make_config(tasks: str = "gm") -> DcnnConfig:
    return DcnnConfig(outputs=make_targets(tasks).outputs, width=0.125, n_mels=BANDS, crop=CROP)


def make_net(store: FrameStore, tasks: str = "gm") -> MultiTaskNet:
    net = MultiTaskNet(make_config(tasks), seed=7)
    net.set_band_statistics(*store.band_statistics())
    return net.train()


def make_params(**changes: object) -> TrainParams:
    values = {"epochs": 20, "batch": 4, "seed": 7, "threads": 1, "checkpoint_every_s": 1e9}
    return TrainParams(**{**values, **changes})


def run(cache: Path, *, tasks: str = "gm", progress: Progress | None = None, **changes: object) -> TrainedNet:
    return train_cached(
        make_config(tasks),
        make_store,
        make_targets(tasks),
        make_params(**changes),
        source_key="tiny",
        device=torch.device("cpu"),
        cache_root=cache,
        progress=progress,
    )


if __name__ == "__main__":
    run(Path(sys.argv[1]), epochs=int(sys.argv[2]), checkpoint_every_s=float(sys.argv[3]))
