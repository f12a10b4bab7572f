"""Plain training steps against the same step on one fixed batch, on the CPU and, where there is one, on a GPU.

The fast engine, which a GPU uses by itself, is measured by ``bench_gpu``.

Needs torch, numpy and this package only: ``PYTHONPATH=src python benchmarks/bench_training.py`` runs on a bare
machine. The loop that is measured is `train` itself, with its sampler, history and progress. Its `stop` hook is
called before every update: there, every few updates, the same number of updates is made on one fixed batch, so that
both see the same noise of the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.training.crops import CropSampler
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.loop import TrainParams, train
from artist_transfer.training.losses import make_optimisers, update
from artist_transfer.training.targets import TaskTarget, TaskTargets
from benchmarks.shards import in_shards

OUTPUTS = {"g": 16, "s": 40, "e": 40, "d": 40, "m": 40}
FRAMES, BANDS = 1291, 128  # of a 30 s clip
REACH = 0.9


@dataclass
class Scale:
    """How much is measured: tracks in the store, updates a block, blocks."""

    tracks: int
    block: int
    blocks: int


SCALES = {"cpu": Scale(tracks=200, block=1, blocks=30), "cuda": Scale(tracks=21_250, block=50, blocks=20)}


@dataclass
class Interleaved:
    """The `stop` hook: times blocks of real updates and, between them, blocks of updates on one fixed batch."""

    net: MultiTaskNet
    sampler: CropSampler
    params: TrainParams
    scale: Scale
    device: torch.device
    real: list[float] = field(default_factory=list)
    fixed: list[float] = field(default_factory=list)
    product: list[float] = field(default_factory=list)
    calls: int = 0
    left: float = 0.0

    def __post_init__(self) -> None:
        """Draw the fixed batches, one of each task."""
        params = self.params
        self.batches = {task: self.sampler.draw(task) for task in OUTPUTS}
        self.optimisers = make_optimisers(self.net, learning_rate=params.learning_rate, l2=params.l2)
        self.size = 8192 if self.device.type == "cuda" else 1
        self.matrix = torch.randn(self.size, self.size, device=self.device, dtype=getattr(torch, params.precision))
        self.order = np.random.default_rng(0).choice(list(OUTPUTS), size=1000)

    def now(self) -> float:
        """Return the time once all work on the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def __call__(self) -> bool:
        """Time the block that has ended, make as many updates on fixed batches, and time them."""
        self.calls += 1
        if (self.calls - 1) % self.scale.block:
            return False
        begin = self.now()
        if self.calls > 1:
            self.real.append(begin - self.left)
        for i in range(self.scale.block):
            task = str(self.order[(self.calls + i) % len(self.order)])
            crops, soft = self.batches[task]
            update(self.net, self.optimisers[task], crops, soft, task=task, precision=self.params.precision)
        done = self.now()
        self.fixed.append(done - begin)
        self.left = done
        if self.device.type == "cuda":  # on a CPU a product of a library's choice is no ceiling for a convolution
            self.multiply()
            self.left = self.now()
            self.product.append(self.left - done)
        return False

    def multiply(self) -> None:
        """Make one large matrix product in the arithmetic that the convolutions use: the peak to compare with."""
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
        torch.mm(self.matrix, self.matrix)
        torch.backends.cuda.matmul.allow_tf32 = before


def make_store(scale: Scale, device: torch.device, place: str, spill: str) -> FrameStore:
    """Return a store of noise in the shape of a corpus; on a GPU it is made there."""
    ids = tuple(f"{i:06d}" for i in range(scale.tracks))
    if device.type == "cuda":
        frames = torch.empty(scale.tracks * FRAMES, BANDS, dtype=torch.float16, device=device)
        for chunk in frames.split(1 << 20):
            chunk.normal_(-40, 15)
        lengths = np.full(scale.tracks, FRAMES, dtype=np.int64)
        return FrameStore(ids, frames, np.arange(scale.tracks) * FRAMES, lengths, device, "device")

    class Noise:
        def frames(self, track_id: str, /) -> np.ndarray:
            return np.random.default_rng(int(track_id)).normal(-40, 15, (FRAMES, BANDS)).astype(np.float16)

    places = in_shards(Noise(), ids, spill)
    return FrameStore.build(Noise(), ids, device=device, n_frames=[FRAMES] * scale.tracks, place=place, places=places)


def make_targets(scale: Scale) -> TaskTargets:
    """Return distributions drawn at random for all tracks and tasks."""
    rng = np.random.default_rng(0)
    return TaskTargets(
        [TaskTarget.from_vectors(task, rng.dirichlet(np.ones(n), scale.tracks)) for task, n in OUTPUTS.items()]
    )


def flops_per_clip() -> float:
    """Return the floating-point operations of one training step for one crop.

    Forward, gradient of the weights, and gradient of the input, which the first convolution does not need.
    """
    total = 0.0

    def count(module: torch.nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        positions = output[0, 0].numel() if output.dim() == 4 else 1
        passes = 2 if weight.shape[1] == 1 else 3
        total += 2.0 * passes * weight.numel() * positions

    net = MultiTaskNet(DcnnConfig(outputs=(("g", 16),))).eval()
    for module in net.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        net(torch.zeros(1, 1, BANDS, 43), "g")
    return total


def measure(device: torch.device, place: str, params: TrainParams, scale: Scale) -> Interleaved:
    """Train for some blocks and return the times, the first (warm-up) blocks left out."""
    nets = [MultiTaskNet(DcnnConfig(outputs=tuple(OUTPUTS.items()))) for _ in range(2)]
    with tempfile.TemporaryDirectory() as spill:
        store, targets = make_store(scale, device, place, spill), make_targets(scale)
        fixed = nets[1].to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        sampler = CropSampler(store, targets, batch=params.batch, seed=1)
        hook = Interleaved(fixed, sampler, params, scale, device)
        steps = scale.block * (scale.blocks + 2)
        epochs = -(-steps // (len(OUTPUTS) * params.steps_per_epoch(scale.tracks)))
        with tempfile.TemporaryDirectory() as folder:
            train(nets[0], store, targets, replace(params, epochs=epochs), device=device, folder=folder, stop=hook)
    keep = slice(2, scale.blocks + 2)
    hook.real, hook.fixed = hook.real[keep], hook.fixed[keep]
    return hook


def run(threads: int | None = None) -> list[dict[str, Any]]:
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
    cases: list[tuple[str, str, str, str]] = [
        ("cpu", "cpu", "device", "float32"),
        ("cpu.memory_map", "cpu", "disk", "float32"),
    ]
    if torch.cuda.is_available():
        cases += [(f"cuda.{precision}", "cuda", "device", precision) for precision in ("float32", "bfloat16")]
    rows: list[dict[str, Any]] = []
    for name, kind, place, precision in cases:
        device, scale = torch.device(kind), SCALES[kind]
        params = TrainParams(epochs=1, precision="bfloat16" if precision == "bfloat16" else "float32", engine="plain")
        hook = measure(device, place, params, scale)
        real = statistics.median(hook.real) / scale.block
        # neighbours in time are compared: on a busy machine the median of their ratios is steadier than that of sums
        ratio = statistics.median(fixed / mine for fixed, mine in zip(hook.fixed, hook.real, strict=True))
        figures: list[tuple[str, float, str, float | None]] = [
            ("real_over_fixed", ratio, "ratio", REACH),
            ("steps", 1 / real, "steps/s", None),
            ("clips", params.batch / real, "clips/s", None),
        ]
        if hook.product:  # best against best, of one run
            rate = flops_per_clip() * params.batch * scale.block / min(hook.real)
            peak = 2.0 * hook.size**3 / min(hook.product)
            figures.append(("peak", rate / peak, "share of a measured matrix product", None))
        rows += [
            {"name": f"training.{name}.{what}", "value": round(value, 4), "unit": unit, "reach": reach}
            for what, value, unit, reach in figures
        ]
    return rows


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
