"""What `benchmarks.bench_gpu` measures on: how much, and tracks and targets of noise in the shape of FMA medium's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.targets import TaskTarget, TaskTargets


@dataclass(frozen=True)
class Scale:
    """How much is measured, and on nets of which size."""

    tracks: int = 21_250
    frames: int = 1_291
    steps: int = 300  # in a block
    blocks: int = 10
    nets: tuple[int, ...] = (1, 2, 4, 8, 16)
    batch: int = 64
    width: float = 1.0
    bands: int = 128
    crop: int = 43
    outputs: tuple[tuple[str, int], ...] = (("g", 16), ("s", 40), ("e", 40), ("d", 40), ("m", 40))
    product: int = 8192
    copy_mb: int = 4096
    segments: int = 200_000  # how many there are makes no difference to a step
    hidden: int = 1024
    widths: tuple[int, int] = (256, 1280)


TINY = Scale(80, 60, 3, 3, (1, 2), 8, 0.125, 32, 16, (("g", 3), ("m", 4)), 128, 1, 200, 16, (8, 40))


def make_store(scale: Scale, device: torch.device) -> FrameStore:
    """Return a store of noise, made where it lies."""
    frames = torch.empty(scale.tracks * scale.frames, scale.bands, dtype=torch.float16, device=device)
    for chunk in frames.split(1 << 20):
        chunk.normal_(-40, 15)
    lengths = np.full(scale.tracks, scale.frames, dtype=np.int64)
    ids = tuple(f"{i:06d}" for i in range(scale.tracks))
    return FrameStore(ids, frames, np.arange(scale.tracks) * scale.frames, lengths, device, "device")


def make_targets(scale: Scale) -> TaskTargets:
    """Return distributions drawn at random for all tracks and tasks."""
    rng = np.random.default_rng(0)
    return TaskTargets(
        [TaskTarget.from_vectors(task, rng.dirichlet(np.ones(n), scale.tracks)) for task, n in scale.outputs]
    )
