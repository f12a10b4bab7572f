"""What `benchmarks.bench_gpu` measures: updates eager, captured, real, phase by phase, and of nets side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import numpy as np
import torch

from artist_transfer.errors import DeviceLost
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.training.checkpoints import Interrupted
from artist_transfer.training.crops import CropSampler
from artist_transfer.training.devices import OwnGenerator
from artist_transfer.training.engine import FastEngine
from artist_transfer.training.failures import FAILURES
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.graphs import capture, set_capturable
from artist_transfer.training.loop import TrainParams, train
from artist_transfer.training.losses import Precision, make_optimisers, soft_cross_entropy, update
from artist_transfer.training.targets import TaskTargets
from benchmarks.counts import Counts
from benchmarks.gpu_noise import Scale, make_targets
from benchmarks.gpu_probe import make_steps, probe_rate, study_hours
from benchmarks.stacked import StackedNets

PHASES = ("gather", "forward", "backward", "optimiser")
MTN_STEPS = 1000 * 332  # the paper's five-task net at FMA medium
GRID_STEPS = 200 * 332 * (75 + 5)  # 26 MTNs of 75 tasks in all and 5 STNs, 200 epochs a task
REFUSALS = (*FAILURES, DeviceLost)  # no kernel, no memory, no capture, no GPU any more
Step = Callable[[], object]


def refusal(error: BaseException) -> str:
    """Return the note of a figure that is missing because of an error."""
    return f"not measured: {type(error).__name__}: {error}".split("\n")[0]


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
        every = list(optimisers)
        try:
            for optimiser in every:
                set_capturable(optimiser, True)
            self._graph = capture(function, stream=stream, random=OwnGenerator(stream.device, seed=0))
        finally:
            for optimiser in every:
                set_capturable(optimiser, False)  # it warns where it is not captured

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
        found: dict[str, float] = {}
        for names, measure in self._parts():
            try:
                found |= measure()
            except REFUSALS as error:
                self.notes |= dict.fromkeys(names, refusal(error))
        if self.device.type == "cuda":  # of a tiny net on a CPU these would say nothing
            found |= self._extrapolated(found)
        return found

    def _parts(self) -> Iterator[tuple[Sequence[str], Callable[[], dict[str, float]]]]:
        """Yield what can be measured by itself: the names of its figures, and the function that returns them."""
        both = ("real", "captured", "real_over_captured", "captured_step", "clips", "peak", "bandwidth")
        yield ("eager",), lambda: {"eager": self.eager()}
        yield (*both, "mtn_of_five_tasks"), self.real_and_captured
        yield [f"phase.{kind}.{phase}" for kind in ("wall", "events") for phase in PHASES], self.eager_phases
        yield [f"phase.captured.{phase}" for phase in PHASES], self.captured_phases
        for k in self.scale.nets:
            yield (f"streams.{k}",), lambda k=k: {f"streams.{k}": self.streams(k)}
            yield (f"stacked.{k}",), lambda k=k: {f"stacked.{k}": self.stacked(k)}
        for name, captured in (("eager", False), ("captured", True)):
            for width in self.scale.widths if self.params.precision == "float32" else ():
                names = (f"probe.{name}.{width}", f"probe.{name}.study")
                yield names, lambda names=names, args=(width, captured): {names[0]: self.probe(*args)}
        if self.device.type == "cuda":
            yield ("peak",), lambda: {"product_rate": self.product_rate()}
            yield ("bandwidth",), lambda: {"copy_rate": self.copy_rate()}

    def _extrapolated(self, found: dict[str, float]) -> dict[str, float]:
        """Return what follows from figures, as far as they are there."""
        made: dict[str, float] = {}
        counts = Counts.of(self.config, batch=self.scale.batch, precision=self.params.precision)
        if "real" in found:
            made["mtn_of_five_tasks"] = MTN_STEPS / found["real"] / 60
            if "product_rate" in found:
                made["peak"] = found["real"] * counts.flops / found["product_rate"]
            if "copy_rate" in found:
                made["bandwidth"] = found["real"] * counts.bytes / found["copy_rate"]
        if rates := [rate for name, rate in found.items() if name == "real" or name.startswith("streams.")]:
            made["grid_of_31_nets"] = GRID_STEPS / max(rates) / 3600
        for way in ("eager", "captured"):
            by_width = {w: found[f"probe.{way}.{w}"] for w in self.scale.widths if f"probe.{way}.{w}" in found}
            if len(by_width) == len(self.scale.widths):
                made[f"probe.{way}.study"] = study_hours(by_width)
        return made

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

    def probe(self, width: int, captured: bool) -> float:
        """Return the updates a second of a probe on features of a width."""
        on_gpu, scale = self.device.type == "cuda", self.scale
        shape = {"segments": scale.segments, "width": width, "hidden": scale.hidden}
        steps = make_steps(self.device, **shape, may_capture=captured)
        try:
            return probe_rate(steps, partial(self.rate, blocks=3), must_be_captured=captured and on_gpu)
        finally:
            steps.wait()

    def real_and_captured(self) -> dict[str, float]:
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
        rate, captured = steps / statistics.median(real), steps / statistics.median(fixed)
        found = {"real": rate, "captured": captured, "real_over_captured": ratio}
        return {**found, "captured_step": 1e3 / captured, "clips": rate * self.scale.batch}

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
