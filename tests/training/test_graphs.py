"""What a capture leaves behind where it fails, with torch's own context manager over a CUDA that is none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import ModuleType

import pytest
import torch

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.training.crops import CropSampler
from artist_transfer.training.devices import OwnGenerator
from artist_transfer.training.engine import FastEngine
from artist_transfer.training.graphs import CaptureError, capture
from artist_transfer.training.losses import make_optimisers

CPU = torch.device("cpu")


class Stream:
    """In the place of a CUDA stream."""

    device = CPU

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda

    def wait_stream(self, _other: object) -> None:
        pass

    def synchronize(self) -> None:
        if self.cuda.dead:
            raise torch.AcceleratorError("CUDA error: device-side assert triggered")


class Cuda:
    """What `torch.cuda` does, as far as a capture sees it: the current stream, and graphs that may be refused."""

    def __init__(self) -> None:
        self.current: object = "default"
        self.refused, self.dead, self.ended = True, False, 0

    def stream(cuda, stream: object) -> AbstractContextManager[None]:
        class Current(AbstractContextManager[None]):  # like torch's own, it is left only by being left
            def __enter__(self) -> None:
                self.before, cuda.current = cuda.current, stream

            def __exit__(self, *_: object) -> None:
                cuda.current = self.before

        return Current()

    def graph(cuda) -> object:
        class Graph:
            def capture_begin(self, *_pool: object, **_options: object) -> None:
                assert isinstance(cuda.current, Stream)

            def capture_end(self) -> None:
                cuda.ended += 1
                if cuda.refused:
                    raise RuntimeError("operation failed due to a previous error during capture\nmore")

            def pool(self) -> tuple[int, int]:
                return (0, 1)

        return Graph()


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    cuda = Cuda()
    monkeypatch.setattr(torch.cuda, "stream", cuda.stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda *_: cuda.current)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", cuda.graph)
    monkeypatch.setattr(torch._C, "_host_emptyCache", lambda: None, raising=False)
    return cuda


def make_engine(problem: ModuleType, cuda: Cuda, **options: object) -> FastEngine:
    store = problem.make_store()
    net = problem.make_net(store)
    sampler = CropSampler(store, problem.make_targets(), batch=4, crop=problem.CROP, seed=3)
    optimisers = make_optimisers(net, learning_rate=1e-3, l2=0)
    engine = FastEngine(net, optimisers, store, sampler, torch.zeros(9), precision="float32", seed=0, **options)
    engine._stream = Stream(cuda)
    return engine


def test_a_capture_that_fails_leaves_stream_and_generator_as_they_were(cuda: Cuda) -> None:
    stream, random = Stream(cuda), OwnGenerator(CPU, seed=1)
    before, generator = random.get_state(), random.generator
    with pytest.raises(CaptureError, match="did not capture a step: operation failed"):
        capture(lambda: torch.rand(3), stream=stream, random=random)
    assert cuda.ended == 1 and cuda.current == "default"
    # torch thinks for good that the one that was being captured still is
    assert random.generator is not generator and torch.equal(random.get_state(), before)
    cuda.refused = False
    capture(lambda: torch.rand(3), stream=stream, random=random)
    assert cuda.current == "default" and torch.equal(random.get_state(), before)


def test_a_lack_of_memory_behind_a_failed_capture_is_told(cuda: Cuda) -> None:
    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        capture(full, stream=Stream(cuda), random=OwnGenerator(CPU, seed=1))
    assert cuda.current == "default"


def test_a_gpu_that_has_failed_is_no_failed_capture(problem: ModuleType, cuda: Cuda) -> None:
    engine = make_engine(problem, cuda)

    def step(_task: str) -> None:
        cuda.dead = True

    engine.warm_up = lambda: None  # type: ignore[method-assign]
    engine._step = step  # type: ignore[method-assign]
    with pytest.raises(torch.AcceleratorError, match="device-side assert"):
        engine.begin(0)
    assert cuda.current == "default"


@pytest.mark.parametrize("must", [False, True])
def test_an_engine_that_captures_nothing_goes_on_where_it_was(problem: ModuleType, cuda: Cuda, must: bool) -> None:
    engine = make_engine(problem, cuda, must_capture=must)
    if must:
        with pytest.raises(ArtistTransferError, match=r"training\.engine: 'fast' was asked for, but .*; use plain"):
            engine.begin(0)
    else:
        with pytest.warns(ArtistTransferWarning, match="did not capture a step"):
            engine.begin(0)
    assert cuda.current == "default" and engine._graphs == {}
    assert not any(group["capturable"] for adam in engine.optimisers.values() for group in adam.param_groups)
    drawn = engine.random.get_state()
    engine.advance("g")
    assert cuda.current == "default" and not torch.equal(engine.random.get_state(), drawn)
    assert int(engine._slot) == 2 and float(engine.losses[1]) > 0  # here a capture, too, computes what it records


def test_an_engine_that_captures_shares_the_memory_of_its_graphs(
    problem: ModuleType, cuda: Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda.refused, pools = False, []
    original: Callable[..., object] = torch.cuda.graph

    def spy(graph: object, **options: object) -> object:
        pools.append(options["pool"])
        return original(graph, **options)

    monkeypatch.setattr(torch.cuda, "graph", spy)
    engine = make_engine(problem, cuda)
    engine.begin(0)
    assert list(engine._graphs) == ["g", "m"] and pools == [None, (0, 1)]
    engine.close()
    assert engine._graphs == {}
