"""The fast engine makes the updates of the plain one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.models.dcnn import MultiTaskNet
from artist_transfer.training import engine as module
from artist_transfer.training.checkpoints import Interrupted, load_checkpoint
from artist_transfer.training.crops import CropSampler
from artist_transfer.training.devices import OwnGenerator, surroundings
from artist_transfer.training.engine import FastEngine, resolve_engine
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.loop import TrainParams, TrainResult, train
from artist_transfer.training.losses import make_optimisers, update
from artist_transfer.training.side_by_side import NetJob, train_cached_many

CPU = torch.device("cpu")
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, GPU])]
STEPS = 50


@pytest.fixture
def no_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(F, "dropout", lambda x, *_args, **_kwargs: x)


def run(
    problem: ModuleType,
    *,
    engine: str,
    tasks: str = "gm",
    device: str = "cpu",
    double: bool = False,
    folder: Path | None = None,
    stop: object = None,
    **changes: object,
) -> tuple[MultiTaskNet, TrainResult]:
    store = problem.make_store(device)
    net = problem.make_net(store, tasks)
    if double:
        net = net.double()
    params = problem.make_params(engine=engine, **changes)
    targets = problem.make_targets(tasks)
    return net, train(net, store, targets, params, device=torch.device(device), folder=folder, stop=stop)


def after(n: int):
    calls = iter(range(10**9))
    return lambda: next(calls) >= n


def checkpoint_after(
    problem: ModuleType, folder: Path, steps: int, **options: object
) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """Train so many updates and return all that a training carries on: weights, statistics, moments, losses."""
    with pytest.raises(Interrupted):
        run(problem, folder=folder, stop=after(steps), epochs=10**4, **options)
    found = load_checkpoint(folder)
    assert found is not None and found[1]["step"] == steps
    return found


@pytest.mark.usefixtures("no_dropout")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("optimiser", ["shared", "per_task"])
@pytest.mark.parametrize("tasks", ["g", "gm"])
def test_fifty_float64_steps_are_the_plain_ones(
    problem: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks: str, optimiser: str, device: str
) -> None:
    # a bias that the next batch norm makes idle has rounding errors for a gradient, and Adam divides them by its 1e-8:
    # on a GPU both engines have to round alike
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    options = {"tasks": tasks, "optimiser": optimiser, "double": True, "device": device, "l2": 1e-3}
    plain, plain_state = checkpoint_after(problem, tmp_path / "plain", STEPS, engine="plain", **options)
    fast, fast_state = checkpoint_after(problem, tmp_path / "fast", STEPS, engine="fast", **options)
    assert set(plain) == set(fast)
    kinds = {"net.": 0, "adam.": 0, ".exp_avg": 0, ".step": 0, "running_mean": 0, "num_batches": 0, "losses": 0}
    for name, value in plain.items():
        if not name.startswith("rng"):
            assert value.dtype != torch.float32 or name.endswith(".step"), name
            torch.testing.assert_close(fast[name], value, rtol=0, atol=1e-10, msg=name)
            for kind in kinds:
                kinds[kind] += kind in name
    assert min(kinds.values()) > 0
    rows = [(row["epoch"], row["task"], row["steps"]) for row in plain_state["history"]]
    assert rows == [(row["epoch"], row["task"], row["steps"]) for row in fast_state["history"]] and len(rows) >= 8
    for one, two in zip(plain_state["history"], fast_state["history"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-10)
    assert fast_state["sampler"] == plain_state["sampler"]


@pytest.mark.usefixtures("no_dropout")
@pytest.mark.parametrize("device", DEVICES)
def test_gradients_of_one_float32_step(problem: ModuleType, device: str) -> None:
    """After one step from nothing Adam's first moment is a tenth of the gradient (no penalty): compare those."""
    moments = []
    store = problem.make_store(device)
    for fast in (False, True):
        net = problem.make_net(store).to(device)
        optimisers = make_optimisers(net, learning_rate=1e-3, l2=0)
        sampler = CropSampler(store, problem.make_targets(), batch=4, crop=problem.CROP, seed=3)
        if fast:
            losses = torch.zeros(1, device=device)
            engine = FastEngine(net, optimisers, store, sampler, losses, precision="float32", seed=0)
            engine.begin(0)
            engine.advance("g")
            engine.wait()
        else:
            crops, soft = sampler.draw("g")
            update(net, optimisers["g"], crops, soft, task="g", precision="float32")
        state = optimisers["g"].state
        moments.append({name: 10 * state[p]["exp_avg"] for name, p in net.named_parameters() if "towers.m" not in name})
    largest = max(float(value.abs().max()) for value in moments[0].values())
    assert largest > 1e-2
    # cuDNN's convolutions use TF32 unless told otherwise, and may be others in a graph
    tolerance = {"cpu": 1e-6, "cuda": 5e-3}[device]
    for name, value in moments[0].items():
        assert float((moments[1][name] - value).abs().max()) <= tolerance * max(1.0, largest), name


def test_on_a_cpu_even_dropout_is_the_same(problem: ModuleType) -> None:
    """One seed makes one sequence of masks, whichever generator draws it."""
    nets = [run(problem, engine=engine, epochs=4) for engine in ("plain", "fast")]
    for name, value in nets[0][0].state_dict().items():
        assert torch.equal(value, nets[1][0].state_dict()[name]), name
    assert nets[0][1] == nets[1][1]


@pytest.fixture
def masks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, torch.Tensor]]:
    """Collect (share to be dropped, factors) of every dropout; on a GPU what the latest replay wrote."""
    seen: list[tuple[float, torch.Tensor]] = []
    original = F.dropout

    def spy(x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        factors = original(torch.ones_like(x), p, training, inplace)
        seen.append((p, factors.detach()))
        return x * factors

    monkeypatch.setattr(F, "dropout", spy)
    return seen


def make_engine(problem: ModuleType, device: str, seed: int = 0) -> FastEngine:
    store = problem.make_store(device)
    net = problem.make_net(store, "g").to(device)
    sampler = CropSampler(store, problem.make_targets("g"), batch=64, crop=problem.CROP, seed=3)
    optimisers = make_optimisers(net, learning_rate=1e-3, l2=0)
    losses = torch.zeros(100, device=device)
    return FastEngine(net, optimisers, store, sampler, losses, precision="float32", seed=seed)


@pytest.mark.parametrize("device", DEVICES)
def test_dropout_by_its_statistics(problem: ModuleType, masks: list[tuple[float, torch.Tensor]], device: str) -> None:
    drawn: list[list[torch.Tensor]] = []
    for seed in (0, 0, 1):
        engine = make_engine(problem, device, seed)
        masks.clear()
        engine.begin(0)
        for _ in range(6):
            if device == "cpu":
                masks.clear()
            engine.advance("g")
            engine.wait()
            latest = masks[-3:]  # a graph writes into the memory of its capture
            assert [p for p, _ in latest] == [0.1, 0.1, 0.5]
            drawn.append([factors.clone() for _, factors in latest])
    first, again, other = drawn[:6], drawn[6:12], drawn[12:]
    for which, p in enumerate((0.1, 0.1, 0.5)):
        every = torch.stack([step[which] for step in (*first, *other)]).double()
        zeros, n = float((every == 0).double().mean()), every.numel()
        assert abs(zeros - p) < 5 * np.sqrt(p * (1 - p) / n)
        assert every[every != 0].unique().tolist() == pytest.approx([1 / (1 - p)])
        assert abs(float(every.mean()) - 1) < 5 * np.sqrt(p / (1 - p) / n)
        for one, two in pairwise(first):
            share = float((one[which] != two[which]).double().mean())  # different from step to step
            assert abs(share - 2 * p * (1 - p)) < 6 * np.sqrt(0.25 / one[which].numel())
        assert all(torch.equal(one[which], two[which]) for one, two in zip(first, again, strict=True))
        assert not any(torch.equal(one[which], two[which]) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("begun", [False, True])
def test_warm_up_leaves_no_trace(problem: ModuleType, device: str, begun: bool) -> None:
    engine = make_engine(problem, device)
    engine.begin(5)
    if begun:
        for _ in range(3):
            engine.advance("g")
    engine.wait()
    before = {i: tensor.clone() for i, tensor in enumerate(engine._state())}
    generator, default = engine.random.get_state(), torch.get_rng_state()
    engine.warm_up()
    assert torch.equal(engine.random.get_state(), generator) and torch.equal(torch.get_rng_state(), default)
    after_it = list(engine._state())
    if device == "cuda" or begun:
        assert len(before) == len(after_it)
        assert all(torch.equal(before[i], tensor) for i, tensor in enumerate(after_it))
    else:  # Adam has its moments only now: all zero, as if it had never stepped
        assert len(after_it) > len(before)
        moments = [value for state in engine.optimisers["g"].state.values() for value in state.values()]
        assert moments and not any(bool(value.any()) for value in moments)
    # and so what follows is what would have followed
    other = make_engine(problem, device)
    other.begin(5)
    for each in (engine, other):
        for _ in range(4 if each is engine else 4 + 3 * begun):
            each.advance("g")
        each.wait()
    # on a GPU Adam's first steps make much of the last bits of a gradient
    tolerance = {"rtol": 0, "atol": 0} if device == "cpu" else {"rtol": 0.02, "atol": 0}
    torch.testing.assert_close(other.losses, engine.losses, **tolerance)
    if device == "cpu":
        assert all(torch.equal(other.net.state_dict()[name], value) for name, value in engine.net.state_dict().items())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("n", "slot"), [(1, 0), (2, 1), (5, 3)])
def test_warm_up_needs_no_room_for_its_losses(problem: ModuleType, device: str, n: int, slot: int) -> None:
    """A short epoch, or one that is resumed near its end, has less room than warming up has updates."""
    store = problem.make_store(device)
    net = problem.make_net(store).to(device)
    sampler = CropSampler(store, problem.make_targets(), batch=4, crop=problem.CROP, seed=3)
    optimisers = make_optimisers(net, learning_rate=1e-3, l2=0)
    losses = torch.arange(n, device=device) + 0.5
    engine = FastEngine(net, optimisers, store, sampler, losses, precision="float32", seed=0)
    engine.begin(slot)
    for steps in (module.WARM_UP, 7):
        engine.warm_up(steps)
        assert losses.tolist() == [i + 0.5 for i in range(n)]
        assert engine._slot.tolist() == [slot]
    engine.advance("m")
    engine.wait()
    changed = [i for i, value in enumerate(losses.tolist()) if value != i + 0.5]
    assert changed == [slot] and engine._slot.tolist() == [slot + 1]


@pytest.mark.parametrize("engines", [("fast", "fast"), ("plain", "fast"), ("fast", "plain")])
@pytest.mark.parametrize("at", [0, 17, 24])
def test_interrupted_and_resumed_is_bit_identical(
    problem: ModuleType, tmp_path: Path, engines: tuple[str, str], at: int
) -> None:
    whole, result = run(problem, engine="fast", epochs=6)
    with pytest.raises(Interrupted):
        run(problem, engine=engines[0], epochs=6, folder=tmp_path, stop=after(at))
    torch.rand(3)
    resumed, again = run(problem, engine=engines[1], epochs=6, folder=tmp_path)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert again == result


def test_the_default_generator_is_left_alone(problem: ModuleType) -> None:
    engine = make_engine(problem, "cpu")
    engine.begin(0)
    state = torch.get_rng_state()
    engine.advance("g")
    assert torch.equal(torch.get_rng_state(), state)
    with surroundings(CPU, seed=11, threads=None):
        expected = torch.rand(5)
    mine = OwnGenerator(CPU, seed=11)
    with mine.in_use():
        first = torch.rand(2)
    torch.rand(7)
    with mine.in_use():
        assert torch.equal(torch.cat([first, torch.rand(3)]), expected)


def test_a_plan_is_the_chain_of_permutations_however_often_it_is_refilled(
    problem: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WINDOW", 3)
    store, targets = problem.make_store(), problem.make_targets()
    plain, ahead = (CropSampler(store, targets, batch=5, crop=problem.CROP, seed=3) for _ in range(2))
    plan = module.Plan("m", ahead, steps=4, device=CPU)
    for _ in range(23):
        crops, soft = plain.draw("m")
        if not plan.left:
            plan.refill()
        order, firsts = plan.next()
        plan.left -= 1
        ahead.skip("m")
        assert torch.equal(store.gather(firsts, torch.arange(problem.CROP)), crops)
        assert torch.equal(ahead.soft("m")[order], soft)
        assert ahead.state_dict() == plain.state_dict()


def test_which_engine(problem: ModuleType) -> None:
    here = problem.make_store()
    assert resolve_engine("auto", here) == "plain" and resolve_engine("fast", here) == "fast"
    cuda = torch.device("cuda")
    far = FrameStore((), torch.empty(0, 2), np.zeros(0), np.zeros(0), cuda, "host")
    assert resolve_engine("auto", far) == "plain"
    with pytest.raises(ArtistTransferError, match=r"training\.engine: 'fast' needs the frames .* on the host"):
        resolve_engine("fast", far)
    near = cast(FrameStore, SimpleNamespace(device=cuda, frames=SimpleNamespace(device=torch.device("cuda:0"))))
    assert resolve_engine("auto", near) == "fast" and resolve_engine("plain", near) == "plain"
    assert resolve_engine("auto", near, world=2) == "plain"
    with pytest.raises(ArtistTransferError, match="one process, but 2"):
        resolve_engine("fast", near, world=2)
    with pytest.raises(ArtistTransferError, match=r"training\.engine: 'quick' is unknown; .* auto, plain, fast"):
        TrainParams(epochs=1, engine="quick")
    assert TrainParams(epochs=1, engine="fast").identity() == TrainParams(epochs=1).identity()


def test_a_loss_that_is_not_finite_names_the_update(problem: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(
        ArtistTransferError, match=r"task 'g' is (nan|inf) at update [2-9] of 60 .*learning_rate = 1e\+3"
    ):
        run(problem, engine="fast", tasks="g", epochs=20, learning_rate=1e30, folder=tmp_path, checkpoint_every_s=0)
    assert [path.stem for path in tmp_path.glob("*.json")] == ["checkpoint-000000001"]


@pytest.fixture
def plain_cuda_in_training() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.gpu
@GPU
@pytest.mark.parametrize("optimiser", ["shared", "per_task"])
def test_steps_are_captured_and_a_resumed_training_goes_on(problem: ModuleType, tmp_path: Path, optimiser: str) -> None:
    options = {"engine": "fast", "epochs": 30, "device": "cuda", "optimiser": optimiser, "batch": 12}
    _, result = run(problem, **options)
    assert np.mean([row["loss"] for row in result.history[-6:]]) < np.mean([r["loss"] for r in result.history[:6]])
    with pytest.raises(Interrupted):
        run(problem, folder=tmp_path, stop=after(17), **options)
    _, again = run(problem, folder=tmp_path, **options)
    assert [row["steps"] for row in again.history] == [row["steps"] for row in result.history]
    for one, two in zip(result.history, again.history, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=0.05)
    engine = make_engine(problem, "cuda")
    engine.begin(0)
    assert list(engine._graphs) == ["g"]


@pytest.mark.gpu
@GPU
def test_a_capture_that_fails_is_a_warning_or_an_error(problem: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    original = FastEngine._step

    def wait(self: FastEngine, task: str) -> None:
        original(self, task)
        torch.cuda.current_stream().synchronize()  # which no capture survives

    monkeypatch.setattr(FastEngine, "_step", wait)
    before = torch.cuda.current_stream()
    with pytest.warns(ArtistTransferWarning, match="did not capture"):
        run(problem, engine="auto", epochs=2, device="cuda")
    assert torch.cuda.current_stream() == before
    with pytest.raises(ArtistTransferError, match=r"training\.engine: 'fast'"):
        run(problem, engine="fast", epochs=2, device="cuda")
    assert torch.cuda.current_stream() == before
    torch.rand(3, device="cuda")  # torch's own generator was not being captured
    monkeypatch.setattr(FastEngine, "_step", original)
    run(problem, engine="fast", epochs=2, device="cuda")


@pytest.mark.gpu
@GPU
@pytest.mark.usefixtures("plain_cuda_in_training")
def test_nets_on_streams_are_the_nets_alone(problem: ModuleType, tmp_path: Path) -> None:
    device = torch.device("cuda")
    jobs = [
        NetJob(problem.make_config(tasks), problem.make_targets(tasks), problem.make_params(epochs=8, seed=seed), "x")
        for seed in range(3)
        for tasks in ("g", "m", "gm")
    ]
    losses = []
    for at_once in (1, 4):
        nets = train_cached_many(
            jobs,
            lambda: problem.make_store("cuda"),
            source_key="tiny",
            device=device,
            cache_root=tmp_path / str(at_once),
            at_once=at_once,
        )
        losses.append([[row["loss"] for row in net.history] for net in nets])
    for one, two in zip(*losses, strict=True):
        assert two == pytest.approx(one, rel=0.05)
