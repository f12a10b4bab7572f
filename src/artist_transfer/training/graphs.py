"""Steps captured as CUDA graphs, and what is put right where a capture fails."""

from __future__ import annotations

from collections.abc import Callable

import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.devices import OwnGenerator


class CaptureError(ArtistTransferError):
    """A GPU did not capture a step; stream, generator and the GPU itself are as they were."""


def capture(
    step: Callable[[], object], *, stream: torch.cuda.Stream, random: OwnGenerator, pool: object = None
) -> torch.cuda.CUDAGraph:
    """Record a step that was made on the stream before; nothing is computed meanwhile.

    Parameters
    ----------
    step : callable
        Function without arguments that works on what lies on the GPU, and never waits for it. Captured optimisers must
        be told so (`set_capturable`).
    stream : torch.cuda.Stream
        Where it is recorded.
    random : OwnGenerator
        What draws its random numbers, in place of the default generator; each replay moves it on.
    pool : opaque, optional
        Scratch memory of another graph, which is shared with it.

    Returns
    -------
    torch.cuda.CUDAGraph
        What replays the step.

    Raises
    ------
    CaptureError
        If the GPU does not capture it.
    torch.OutOfMemoryError
        If memory ran out.
    torch.AcceleratorError
        If the GPU has failed, and not just the capture.
    """
    before = random.get_state()
    graph = torch.cuda.CUDAGraph()
    try:
        # the outer block matters where a capture fails: torch's own then leaves the stream current
        with (
            torch.cuda.stream(stream),
            random.in_use(),
            torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"),  # type: ignore[arg-type]
        ):
            step()
    except RuntimeError as error:
        random.renew(before)
        _raise_if_memory(error)
        stream.synchronize()  # raises if the GPU has failed
        reason = str(error).strip().split("\n")[0]
        raise CaptureError(f"this GPU did not capture a step: {reason}") from error
    random.set_state(before)
    return graph


def set_capturable(optimiser: torch.optim.Optimizer, capturable: bool) -> None:
    """Tell Adam that it is captured; with its fused kernel that changes nothing, but it insists.

    Parameters
    ----------
    optimiser : torch.optim.Optimizer
        The optimiser.
    capturable : bool
        Whether it is.
    """
    for group in optimiser.param_groups:
        group["capturable"] = capturable


def _raise_if_memory(error: BaseException | None) -> None:
    """Raise the error behind an error if that was a lack of memory; a capture hides it behind its own."""
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError):
            raise error
        error = error.__cause__ or error.__context__
