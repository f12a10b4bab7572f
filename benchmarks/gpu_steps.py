"""What `benchmarks.bench_gpu` measures: updates eager, captured, real, phase by phase, and of nets side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.training.checkpoints import Interrupted
from artist_transfer.training.crops import CropSampler, FrameStore
from artist_transfer.training.engine import FastEngine
from artist_transfer.training.loop import TrainParams, train
from artist_transfer.training.losses import Precision, make_optimisers, soft_cross_entropy, update
from artist_transfer.training.targets import TaskTarget, TaskTargets
from benchmarks.stacked import StackedNets

PHASES = ("gather", "forward", "backward", "optimiser")
MTN_STEPS = 1000 * 332  # the paper's five-task net at FMA medium
GRID_STEPS = 200 * 332 * (75 + 5)  # 26 MTNs of 75 tasks in all and 5 STNs, 200 epochs a task
Step = Callable[[], object]


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


TINY = Scale(80, 60, 3, 3, (1, 2), 8, 0.125, 32, 16, (("g", 3), ("m", 4)), 128, 1)


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


@dataclass(frozen=True)
class Counts:
    """What a step must compute and move.

    Parameters
    ----------
    flops : float
        Operations: forward, gradient of the weights and, but for the first layer, of the input.
    bytes : float
        Bytes that are moved at least: every convolution and dense layer writes its output and reads its input once, the
        backward pass reads the input and the output's gradient once more and writes the input's gradient; parameters
        are read twice, their gradients written once, and Adam reads four and writes three numbers for each. All else is
        taken as free.
    """

    flops: float
    bytes: float

    @classmethod
    def of(cls, config: DcnnConfig, *, batch: int, precision: str) -> Counts:
        """Count the step of a net's first task."""
        sizes: list[tuple[int, int, int, int]] = []  # for a clip: values in, values out, weights, operations of a pass

        def count(module: torch.nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            weight = module.weight
            assert isinstance(weight, Tensor)
            positions = output[0, 0].numel() if output.dim() == 4 else 1
            sizes.append((inputs[0].numel(), output.numel(), weight.numel(), 2 * weight.numel() * positions))

        task = config.tasks[0]
        net = MultiTaskNet(config).eval()
        for module in (*net.trunk_of(task).modules(), *net.towers[task].modules()):
            if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                module.register_forward_hook(count)
        with torch.no_grad():
            net(torch.zeros(1, 1, config.n_mels, config.crop), task)
        passes = [2, *[3] * (len(sizes) - 1)]
        values = sum(n * size[0] + 2 * size[1] for n, size in zip(passes, sizes, strict=True))
        return cls(
            flops=float(batch * sum(n * size[3] for n, size in zip(passes, sizes, strict=True))),
            bytes=float(batch * (2 if precision == "bfloat16" else 4) * values + 40 * sum(size[2] for size in sizes)),
        )


class Graph:
    """A function without arguments, as a CUDA graph on a stream; on a CPU, which has no streams, just the function."""

    def __init__(
        self,
        function: Callable[[], object],
        stream: torch.cuda.Stream | None,
        optimisers: Iterable[torch.optim.Optimizer] = (),
    ) -> None:
        self._function, self._stream = function, stream
        if stream is None:
            return
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            for _ in range(3):
                function()
        groups = [group for optimiser in optimisers for group in optimiser.param_groups]
        self._graph = torch.cuda.CUDAGraph()
        for group in groups:
            group["capturable"] = True  # Adam insists on it while it is captured, and warns of it otherwise
        with torch.cuda.graph(self._graph, stream=stream):
            function()
        for group in groups:
            group["capturable"] = False

    def __call__(self) -> None:
        """Replay it."""
        if self._stream is None:
            self._function()
            return
        with torch.cuda.stream(self._stream):
            self._graph.replay()


class Bench:
    """The figures of one arithmetic on one device."""

    def __init__(self, device: torch.device, scale: Scale, store: FrameStore, *, precision: str) -> None:
        self.device, self.scale, self.store = device, scale, store
        arithmetic: Precision = "bfloat16" if precision == "bfloat16" else "float32"
        self.params = TrainParams(epochs=1000, batch=scale.batch, precision=arithmetic, engine="fast")
        self.targets = make_targets(scale)
        self.config = self._config(scale.outputs)
        self.order = np.random.default_rng(0).choice([task for task, _ in scale.outputs], size=10_000)
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.notes: dict[str, str] = {}

    def _config(self, outputs: tuple[tuple[str, int], ...]) -> DcnnConfig:
        return DcnnConfig(outputs=outputs, width=self.scale.width, n_mels=self.scale.bands, crop=self.scale.crop)

    def figures(self) -> dict[str, float]:
        """Measure everything; what the machine refuses is missing here, and its reason is among the notes."""
        figures = {"eager": self.eager()}
        figures["real"], figures["captured"], figures["real_over_captured"] = self.real_and_captured()
        figures["captured_step"] = 1e3 / figures["captured"]
        figures["clips"] = figures["real"] * self.scale.batch
        figures |= self.eager_phases() | self.captured_phases()
        for k in self.scale.nets:
            for way, rate in (("streams", self.streams), ("stacked", self.stacked)):
                try:
                    figures[f"{way}.{k}"] = rate(k)
                except (ArtistTransferError, RuntimeError) as error:  # no kernel, no memory, no capture
                    self.notes[f"{way}.{k}"] = f"not measured: {type(error).__name__}: {error}".split("\n")[0]
        if self.device.type == "cuda":  # of a tiny net on a CPU these would say nothing
            counts = Counts.of(self.config, batch=self.scale.batch, precision=self.params.precision)
            figures["peak"] = figures["real"] * counts.flops / self.product_rate()
            figures["bandwidth"] = figures["real"] * counts.bytes / self.copy_rate()
            rates = [figures["real"], *(rate for name, rate in figures.items() if name.startswith("streams."))]
            figures["mtn_of_five_tasks"] = MTN_STEPS / figures["real"] / 60
            figures["grid_of_31_nets"] = GRID_STEPS / max(rates) / 3600
        return figures

    def now(self) -> float:
        """Return the time once all work on the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def net(self, config: DcnnConfig | None = None, seed: int = 0) -> MultiTaskNet:
        """Make a net in training mode on the device."""
        net = MultiTaskNet(config or self.config, seed=seed).to(self.device).train()
        net.set_band_statistics(np.full(self.scale.bands, -40.0), np.full(self.scale.bands, 15.0))
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def optimisers(self, net: MultiTaskNet) -> dict[str, torch.optim.Adam]:
        """Make the optimisers of a net."""
        return make_optimisers(net, learning_rate=self.params.learning_rate, l2=self.params.l2)

    def sampler(self, targets: TaskTargets, seed: int = 1) -> CropSampler:
        """Make a sampler over the store."""
        return CropSampler(self.store, targets, batch=self.scale.batch, crop=self.scale.crop, seed=seed)

    def fixed_updates(self, optimisers: dict[str, torch.optim.Adam], net: MultiTaskNet) -> dict[str, Step]:
        """Return for each task the update of a net on a batch that stays the same."""
        sampler = self.sampler(self.targets)

        def of(task: str) -> Step:
            crops, soft = sampler.draw(task)
            crops, soft = crops.clone(), soft.clone()
            return lambda: update(net, optimisers[task], crops, soft, task=task, precision=self.params.precision)

        return {task: of(task) for task in self.config.tasks}

    def rate(self, steps: Callable[[int], object], *, blocks: int | None = None) -> float:
        """Return the median rate of blocks of `step(i)`, in calls a second."""
        times: list[float] = []
        for block in range((blocks or self.scale.blocks) + 1):
            begin = self.now()
            for i in range(self.scale.steps):
                steps(block * self.scale.steps + i)
            times.append(self.now() - begin)
        return self.scale.steps / statistics.median(times[1:])

    def eager(self) -> float:
        """Return plain updates a second on fixed batches."""
        net = self.net()
        updates = self.fixed_updates(self.optimisers(net), net)
        return self.rate(lambda i: updates[self.order[i % len(self.order)]](), blocks=3)

    def real_and_captured(self) -> tuple[float, float, float]:
        """Return training steps a second, captured steps on fixed batches, and the median of their ratios."""
        net = self.net()
        optimisers = self.optimisers(net)
        updates = self.fixed_updates(optimisers, net)
        graphs = {task: Graph(step, self.stream, [optimisers[task]]) for task, step in updates.items()}
        real: list[float] = []
        fixed: list[float] = []
        calls, left, steps = 0, 0.0, self.scale.steps

        def stop() -> bool:
            nonlocal calls, left
            calls += 1
            if (calls - 1) % steps:
                return False
            begin = self.now()
            if calls > 1:
                real.append(begin - left)
            for i in range(steps):
                graphs[self.order[(calls + i) % len(self.order)]]()
            left = self.now()
            fixed.append(left - begin)
            return len(real) >= self.scale.blocks + 2

        with suppress(Interrupted):
            train(self.net(), self.store, self.targets, self.params, device=self.device, folder=None, stop=stop)
        fixed = fixed[3:]  # real block i ends before fixed block i + 1; two of each are for warming up
        real = real[2:]
        ratio = statistics.median(b / a for a, b in zip(real, fixed, strict=True))
        return steps / statistics.median(real), steps / statistics.median(fixed), ratio

    def phases(self) -> tuple[list[Step], Step, torch.optim.Adam]:
        """Return the phases of an update of the first task, a function that drops what they hold, and the optimiser."""
        task = self.config.tasks[0]
        net = self.net()
        optimiser, sampler = self.optimisers(net)[task], self.sampler(self.targets)
        order, firsts = (torch.from_numpy(part).to(self.device) for part in sampler.upcoming(task, self.scale.batch))
        frames, held = torch.arange(self.scale.crop, device=self.device), {}

        def gather() -> None:
            held["crops"] = self.store.gather(firsts, frames)
            held["soft"] = sampler.soft(task).index_select(0, order)

        def forward() -> None:
            bfloat16 = self.params.precision == "bfloat16"
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bfloat16):
                logits = net(held.pop("crops"), task)
            held["loss"] = soft_cross_entropy(logits, held.pop("soft"))

        def backward() -> None:
            held.pop("loss").backward()

        def step() -> None:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

        def clear() -> None:
            held.clear()
            optimiser.zero_grad(set_to_none=True)

        return [gather, forward, backward, step], clear, optimiser

    def eager_phases(self) -> dict[str, float]:
        """Return the time of each phase of an eager update, by the clock with waiting and by events without, ms."""
        phases, _, _ = self.phases()
        wall: list[list[float]] = [[] for _ in PHASES]
        for _ in range(self.scale.steps):
            for phase, times in zip(phases, wall, strict=True):
                begin = self.now()
                phase()
                times.append(self.now() - begin)
        found = {f"phase.wall.{name}": 1e3 * statistics.median(times) for name, times in zip(PHASES, wall, strict=True)}
        if self.device.type != "cuda":
            return found | {f"phase.events.{name}": found[f"phase.wall.{name}"] for name in PHASES}
        marks: list[list[torch.cuda.Event]] = []
        for _ in range(self.scale.steps):
            marks.append([torch.cuda.Event(enable_timing=True) for _ in range(len(PHASES) + 1)])
            marks[-1][0].record()
            for phase, mark in zip(phases, marks[-1][1:], strict=True):
                phase()
                mark.record()
        torch.cuda.synchronize()
        for i, name in enumerate(PHASES):
            found[f"phase.events.{name}"] = statistics.median(each[i].elapsed_time(each[i + 1]) for each in marks)
        return found

    def captured_phases(self) -> dict[str, float]:
        """Return what each phase adds to a captured update, ms."""
        found, before = {}, 0.0
        for depth, name in enumerate(PHASES, start=1):
            phases, clear, optimiser = self.phases()

            def some(mine: Sequence[Step] = (*phases[:depth], clear)) -> None:
                for phase in mine:
                    phase()

            graph = Graph(some, self.stream, [optimiser])
            took = 1e3 / self.rate(lambda _i, graph=graph: graph(), blocks=3)  # type: ignore[misc]
            found[f"phase.captured.{name}"], before = max(0.0, took - before), took
        return found

    def streams(self, k: int) -> float:
        """Return the steps a second of K single-task nets on K streams, driven by one thread."""
        engines, targets, precision = [], TaskTargets([self.targets["g"]]), self.params.precision
        for seed in range(k):
            net = self.net(self._config(targets.outputs), seed)
            losses = torch.zeros(10 * self.scale.steps, device=self.device)  # more than are made
            parts = net, self.optimisers(net), self.store, self.sampler(targets, seed), losses
            engines.append(FastEngine(*parts, precision=precision, seed=seed, must_capture=True))
            engines[-1].begin(0)

        def turn(_i: int) -> None:
            for engine in engines:
                engine.advance("g")

        rate = k * self.rate(turn, blocks=3)
        for engine in engines:
            engine.close()
        return rate

    def stacked(self, k: int) -> float:
        """Return the steps a second of K single-task nets stacked into one."""
        targets = TaskTargets([self.targets["g"]])
        config = self._config(targets.outputs)
        params, sampler = self.params, self.sampler(targets)
        each = [self.net(config, seed) for seed in range(k)]
        nets = StackedNets(each, learning_rate=params.learning_rate, l2=params.l2)
        frames = torch.arange(self.scale.crop, device=self.device)
        ahead = sampler.upcoming("g", k * self.scale.batch)
        order, firsts = (torch.from_numpy(part).to(self.device) for part in ahead)

        def step() -> None:
            crops = self.store.gather(firsts, frames)  # (net * batch, 1, band, frame)
            soft = sampler.soft("g").index_select(0, order)
            shape = k, self.scale.batch
            nets.update(crops.unflatten(0, shape), soft.unflatten(0, shape), precision=params.precision)

        graph = Graph(step, self.stream, [nets.optimiser])
        return k * self.rate(lambda _i: graph(), blocks=3)

    def product_rate(self) -> float:
        """Return the operations a second of one large matrix product in this arithmetic."""
        size = self.scale.product
        matrix = torch.randn(size, size, device=self.device, dtype=getattr(torch, self.params.precision))
        out = torch.empty_like(matrix)
        return 2.0 * size**3 / self._least(lambda: torch.mm(matrix, matrix, out=out))

    def copy_rate(self) -> float:
        """Return the bytes a second that a large copy reads and writes."""
        source = torch.randint(0, 255, (self.scale.copy_mb << 20,), device=self.device, dtype=torch.uint8)
        target = torch.empty_like(source)
        return 2.0 * len(source) / self._least(lambda: target.copy_(source))

    def _least(self, function: Callable[[], object]) -> float:
        times = []
        for _ in range(8):
            begin = self.now()
            function()
            times.append(self.now() - begin)
        return min(times[2:])
