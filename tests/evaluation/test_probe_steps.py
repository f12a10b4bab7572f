"""The probe's updates: captured, they are the same updates."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch

from artist_transfer.errors import ArtistTransferWarning
from artist_transfer.evaluation import probe_steps as module
from artist_transfer.evaluation.probe_steps import WARM_UP, ProbeSteps
from artist_transfer.training.graphs import CaptureError

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
WIDTH, HIDDEN, CLASSES = 12, 16, 3


def make(n: int = 70, *, batch: int = 8, device: str = "cpu", **changes: object) -> tuple[ProbeSteps, dict]:
    """Steps over every second row of a matrix, and the tensors that they train."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (n,), generator=draw)
    data = torch.randn(2 * n, WIDTH, generator=draw)
    data[::2, :CLASSES] += 4 * torch.nn.functional.one_hot(labels, CLASSES)
    tensors = {
        "kernel1": torch.randn(HIDDEN, WIDTH, generator=draw) / 4,
        "bias1": torch.zeros(HIDDEN),
        "kernel2": torch.randn(CLASSES, HIDDEN, generator=draw) / 4,
        "bias2": torch.zeros(CLASSES),
        "mean": torch.full((WIDTH,), 0.5),
        "scale": torch.full((WIDTH,), 2.0),
    }
    tensors = {name: value.to(device) for name, value in tensors.items()}
    options = {"dropout": 0.3, "batch": batch, "learning_rate": 1e-2, "l2": 1e-3, "seed": 5, **changes}
    rows = torch.arange(0, 2 * n, 2)
    return ProbeSteps(tensors, data.to(device), rows.to(device), labels.to(device), **options), tensors


class Stream:
    """In the place of a CUDA stream."""

    def synchronize(self) -> None:
        pass


class Replays:
    """In the place of a graph: makes the step that was captured, which draws from the same generator."""

    def __init__(self, step: Callable[[], object]) -> None:
        self.step, self.made = step, 0

    def replay(self) -> None:
        self.made += 1
        self.step()


@pytest.fixture
def on_a_stream(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[ProbeSteps, dict]]:
    """Make steps as on a GPU; what they compute is computed on the CPU."""
    monkeypatch.setattr(torch.cuda, "stream", lambda _stream: nullcontext())

    def make_there(*args: object, **options: object) -> tuple[ProbeSteps, dict]:
        steps, tensors = make(*args, **options)
        steps._stream = Stream()
        return steps, tensors

    return make_there


@pytest.mark.parametrize(("n", "batch"), [(70, 8), (64, 8), (5, 8), (33, 8)])
def test_captured_updates_are_the_updates(
    on_a_stream: Callable, monkeypatch: pytest.MonkeyPatch, n: int, batch: int
) -> None:
    captured: list[Replays] = []

    def capture(step: Callable[[], object], **options: object) -> Replays:
        assert not captured and {"stream", "random"} == set(options)
        assert all(group["capturable"] for group in steps._optimiser.param_groups)
        captured.append(Replays(step))
        return captured[-1]

    monkeypatch.setattr(module, "capture", capture)
    expected, plain = make(n, batch=batch)
    steps, tensors = on_a_stream(n, batch=batch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for epoch in range(3):
            assert steps.epoch() == expected.epoch()
            assert sum(each.made for each in captured) == max(0, (epoch + 1) * (n // batch) - WARM_UP)
    assert bool(captured) == (n >= batch)
    assert all(torch.equal(value, plain[name]) for name, value in tensors.items())
    assert not any(group["capturable"] for group in steps._optimiser.param_groups)


def test_an_epoch_takes_every_segment_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    original = ProbeSteps._update

    def spy(self: ProbeSteps, rows: torch.Tensor, labels: torch.Tensor) -> None:
        seen.append(rows.tolist())
        assert torch.equal(labels, self._labels[rows // 2])
        original(self, rows, labels)

    monkeypatch.setattr(ProbeSteps, "_update", spy)
    steps, _ = make(70, batch=8)
    losses = [steps.epoch() for _ in range(5)]
    assert [len(batch) for batch in seen] == 5 * (8 * [8] + [6])
    epochs = [[row for batch in seen[9 * i : 9 * i + 9] for row in batch] for i in range(5)]
    assert all(sorted(epoch) == list(range(0, 140, 2)) for epoch in epochs) and epochs[0] != epochs[1]
    assert losses[-1] < losses[0]


def test_a_refused_capture_is_a_warning_and_no_other_probe(
    on_a_stream: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def refuse(*_args: object, **_options: object) -> None:
        tried.append(1)
        raise CaptureError("this GPU did not capture a step: operation not permitted")

    monkeypatch.setattr(module, "capture", refuse)
    steps, tensors = on_a_stream()
    expected, plain = make()
    with pytest.warns(ArtistTransferWarning, match=r"did not capture a step: .*; the probe is the same, .* slowly"):
        assert steps.epoch() == expected.epoch()
    assert steps.epoch() == expected.epoch() and len(tried) == 1
    assert all(torch.equal(value, plain[name]) for name, value in tensors.items())
    assert not any(group["capturable"] for group in steps._optimiser.param_groups)


@pytest.mark.gpu
@GPU
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_on_a_gpu_too(dropout: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = [make(device="cuda", dropout=dropout, may_capture=may) for may in (True, False)]
        for _ in range(4):
            one, two = (steps.epoch() for steps, _ in made)
            assert one == pytest.approx(two, rel=1e-3)  # with the masks of replay after replay, too
    assert made[0][0].captured and not made[1][0].captured
    for name, value in made[0][1].items():
        torch.testing.assert_close(value, made[1][1][name], rtol=1e-3, atol=1e-3)
