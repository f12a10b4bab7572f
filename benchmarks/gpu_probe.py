"""What `benchmarks.bench_gpu` measures of the probe: its updates eager and captured, for one net and for five.

The cases of a study share their nets, but each has a probe of its own, on up to five times 256 features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from artist_transfer.evaluation.probe_steps import ProbeSteps
from artist_transfer.training.graphs import CaptureError

PROBE_STEPS = 50 * -(-21_250 * 57 // 64)  # of one case at FMA medium: epochs, tracks, segments, batch
CASES, BLOCKS = 74, 193  # of a whole study: fitted probes, and blocks of 256 features that they have together
CLASSES, HALF_FROM = 16, 1024  # features that are this wide are kept in half precision at FMA medium
Rate = Callable[[Callable[[int], object]], float]


def make_steps(device: torch.device, *, segments: int, width: int, hidden: int, may_capture: bool) -> ProbeSteps:
    """Return the updates of a probe, with the paper's parameters, on noise.

    Parameters
    ----------
    device : torch.device
        Where all lies.
    segments, width, hidden : int >= 1
        Shapes of the features and of the hidden layer.
    may_capture : bool
        Whether a GPU captures them.
    """
    dtype = torch.float16 if width >= HALF_FROM else torch.float32
    tensors = {
        "kernel1": torch.randn(hidden, width, device=device) / width**0.5,
        "bias1": torch.zeros(hidden, device=device),
        "kernel2": torch.randn(CLASSES, hidden, device=device) / hidden**0.5,
        "bias2": torch.zeros(CLASSES, device=device),
        "mean": torch.zeros(width, device=device),
        "scale": torch.ones(width, device=device),
    }
    return ProbeSteps(
        tensors,
        torch.randn(segments, width, device=device, dtype=dtype),
        torch.arange(segments, device=device),
        torch.randint(CLASSES, (segments,), device=device),
        dropout=0.5,
        batch=64,
        learning_rate=1e-3,
        l2=1e-5,
        seed=0,
        may_capture=may_capture,
    )


def probe_rate(steps: ProbeSteps, rate: Rate, *, must_be_captured: bool) -> float:
    """Return the updates a second.

    Parameters
    ----------
    steps : ProbeSteps
        The updates.
    rate : callable
        Returns how often a second something can be called.
    must_be_captured : bool
        Whether it is an error if they were not.
    """

    def one(_i: int) -> None:
        if not steps.left:
            steps.begin()
        steps.advance()

    measured = rate(one)
    if must_be_captured and not steps.captured:
        raise CaptureError("this GPU did not capture a step of the probe")
    return measured


def study_hours(rates: Mapping[int, float]) -> float:
    """Return the hours of all probes of a study at FMA medium, one split and one seed.

    Parameters
    ----------
    rates : mapping of int to float
        Width of the features to updates a second, of one block and of several; what lies between is taken as linear.
    """
    narrow, wide = min(rates), max(rates)
    one = 1 / rates[narrow]
    more = (1 / rates[wide] - one) / (wide / narrow - 1)  # for each further block
    return PROBE_STEPS * (CASES * one + (BLOCKS - CASES) * more) / 3600
