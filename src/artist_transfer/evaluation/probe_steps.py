"""The updates of the probe, with nothing of them left on the host.

A probe is one hidden layer on fixed features, so an update that Python launches operation by operation is bound by the
launches, and a study makes a million of them for each case. Here features, labels and the order of an epoch lie on the
device, and an update is a function without arguments that looks up the batch at its counter. On a GPU it is captured
once as a CUDA graph, and an update is one replay; on a CPU the same function is simply called. The last batch of an
epoch, where it is a shorter one, is never captured.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional

from artist_transfer.errors import ArtistTransferWarning
from artist_transfer.training.devices import OwnGenerator
from artist_transfer.training.graphs import CaptureError, capture, set_capturable

WARM_UP = 3  # updates before the capture, in which libraries get ready and Adam makes its moments


class ProbeSteps:
    """Makes the updates of one probe.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        ``kernel1 (hidden, width)``, ``bias1``, ``kernel2 (classes, hidden)``, ``bias2``, which are trained in place,
        ``mean`` and ``scale``; on the device.
    data : Tensor [shape=(n_rows, width)], float32 or float16
        Features, on the device.
    rows, labels : Tensor [shape=(n,)], int64
        Row in `data` and class of each training segment, on the device.
    dropout : float in [0, 1)
        Of the inputs and of the hidden layer.
    batch : int >= 1
        Segments of an update.
    learning_rate : float > 0
        Of Adam.
    l2 : float >= 0
        The loss gets ``l2 * sum(kernel ** 2)``.
    seed : int >= 0
        Of the order of the segments (one order on every device) and of dropout.
    may_capture : bool
        Whether updates are captured where the device is a GPU.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        data: Tensor,
        rows: Tensor,
        labels: Tensor,
        *,
        dropout: float,
        batch: int,
        learning_rate: float,
        l2: float,
        seed: int,
        may_capture: bool = True,
    ) -> None:
        device = data.device
        self._tensors, self._data, self._rows, self._labels = tensors, data, rows, labels
        self._dropout, self._batch = dropout, batch
        self._optimiser = _optimiser(tensors, learning_rate=learning_rate, l2=l2)
        self._order = torch.Generator().manual_seed(seed + 1)  # on the CPU: one order on every device
        self._noise = OwnGenerator(device, seed=seed + 2)
        self._n_full, self._rest = divmod(len(labels), batch)
        self._plan = torch.zeros(max(1, self._n_full), 2, batch, dtype=torch.int64, device=device)
        self._last = torch.zeros(2, self._rest, dtype=torch.int64, device=device)
        self._position = torch.zeros(1, dtype=torch.int64, device=device)
        self._total = torch.zeros((), device=device)
        self._stream: torch.cuda.Stream | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._may_capture = may_capture
        self._to_warm_up = WARM_UP
        self.left = 0
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)
            self._stream.wait_stream(torch.cuda.current_stream(device))

    @property
    def captured(self) -> bool:
        """Whether updates are replays of a graph."""
        return self._graph is not None

    def epoch(self) -> float:
        """Let every segment take part in one update.

        Returns
        -------
        float
            Mean cross-entropy, under dropout, without the L2 term.
        """
        self.begin()
        while self.left:
            self.advance()
        self.wait()
        return float(self._total) / len(self._labels)

    def begin(self) -> None:
        """Draw the order of an epoch."""
        with self._work():
            order = torch.randperm(len(self._labels), generator=self._order).to(self._data.device)
            ahead = torch.stack([self._rows[order], self._labels[order]])  # (2, segment)
            full = self._n_full * self._batch
            self._plan[: self._n_full].copy_(ahead[:, :full].unflatten(1, (self._n_full, self._batch)).transpose(0, 1))
            self._last.copy_(ahead[:, full:])
            self._position.zero_()
            self._total.zero_()
        self.left = self._n_full + bool(self._rest)

    def advance(self) -> None:
        """Make the next update of the epoch."""
        self.left -= 1
        with self._work():
            if self._rest and not self.left:
                self._update(*self._last)
                return
            if self._stream is not None and self._may_capture and not self._to_warm_up:
                self._capture(self._stream)
            if self._graph is not None:
                self._graph.replay()
            else:
                self._step()
                self._to_warm_up = max(0, self._to_warm_up - 1)

    def wait(self) -> None:
        """Wait until all updates are made; then the tensors can be read."""
        if self._stream is not None:
            self._stream.synchronize()

    def _capture(self, stream: torch.cuda.Stream) -> None:
        self._may_capture = False  # it is done, or never will be
        set_capturable(self._optimiser, True)
        try:
            self._graph = capture(self._step, stream=stream, random=self._noise)
        except CaptureError as error:
            warnings.warn(
                f"{error}; the probe is the same, but is trained more slowly", ArtistTransferWarning, stacklevel=2
            )
        finally:
            set_capturable(self._optimiser, False)

    def _step(self) -> None:
        """Make an update out of what lies on the device: what the graph captures."""
        batch = self._plan.index_select(0, self._position)[0]  # (2, batch)
        self._position.add_(1)
        self._update(batch[0], batch[1])

    def _update(self, rows: Tensor, labels: Tensor) -> None:
        x = scaled(self._data.index_select(0, rows).float(), self._tensors)  # (batch, feature)
        loss = functional.cross_entropy(logits(x, self._tensors, self._dropout, self._noise.generator), labels)
        loss.backward()
        self._optimiser.step()
        self._optimiser.zero_grad()
        self._total.add_(loss.detach() * len(labels))

    def _work(self) -> AbstractContextManager[object]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


def scaled(x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """Scale features as the probe wants them.

    Parameters
    ----------
    x : Tensor [shape=(n, width)]
    tensors : mapping of str to Tensor
        ``mean`` and ``scale`` of each column.

    Returns
    -------
    Tensor [shape=(n, width)]
    """
    return (x - tensors["mean"]) / tensors["scale"]


def logits(
    x: Tensor, tensors: Mapping[str, Tensor], dropout: float = 0.0, noise: torch.Generator | None = None
) -> Tensor:
    """Pass scaled features through the probe.

    Parameters
    ----------
    x : Tensor [shape=(n, width)]
    tensors : mapping of str to Tensor
        Kernels and biases.
    dropout : float in [0, 1)
    noise : torch.Generator, optional
        Draws what is dropped; without it nothing is.

    Returns
    -------
    Tensor [shape=(n, n_classes)]
    """
    hidden = functional.elu(functional.linear(_dropped(x, dropout, noise), tensors["kernel1"], tensors["bias1"]))
    return functional.linear(_dropped(hidden, dropout, noise), tensors["kernel2"], tensors["bias2"])  # (batch, class)


def _dropped(x: Tensor, dropout: float, noise: torch.Generator | None) -> Tensor:
    if noise is None or dropout == 0.0:
        return x
    kept = torch.rand(x.shape, generator=noise, device=x.device) >= dropout  # on a CPU 5 times as fast as torch's own
    return x * kept / (1.0 - dropout)


def _optimiser(tensors: Mapping[str, Tensor], *, learning_rate: float, l2: float) -> torch.optim.Optimizer:
    kernels = [tensors[name].requires_grad_() for name in ("kernel1", "kernel2")]
    biases = [tensors[name].requires_grad_() for name in ("bias1", "bias2")]
    # torch's weight_decay is added to the gradient: that of l2 * w ** 2 is 2 * l2 * w
    groups = [{"params": kernels, "weight_decay": 2 * l2}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.Adam(groups, lr=learning_rate, fused=True)
