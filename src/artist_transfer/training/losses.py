"""The loss of an update, its L2 penalty, and the update itself (AGF, section 3.2.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from artist_transfer.models.dcnn import MultiTaskNet

Optimiser = Literal["shared", "per_task"]
Precision = Literal["float32", "bfloat16"]


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy under soft targets, the mean over the batch of -sum(t log p).

    Parameters
    ----------
    logits : Tensor [shape=(batch, n_out)]
        Before the softmax; a half-precision tensor is taken to float32 first.
    targets : Tensor [shape=(batch, n_out)], >= 0, rows sum to 1
        Distributions; a one-hot row makes it the usual cross-entropy.

    Returns
    -------
    Tensor [shape=()]
        Nats.
    """
    if logits.dtype.itemsize < 4:
        logits = logits.float()
    return -(targets * F.log_softmax(logits, dim=1)).sum(dim=1).mean()


def make_optimisers(
    net: MultiTaskNet, *, learning_rate: float, l2: float, kind: Optimiser = "shared", fused: bool = True
) -> dict[str, torch.optim.Adam]:
    """Make the Adam that each task's updates use.

    Parameters
    ----------
    net : MultiTaskNet
        The net, on its device.
    learning_rate : float > 0
        Step size.
    l2 : float >= 0
        Factor of the penalty ``l2 * sum(w²)`` over kernels of convolutions and dense layers.
    kind : {"shared", "per_task"}
        One Adam for all tasks; or one for each, over its tower and the trunk below it.
    fused : bool
        Torch's fused kernel.

    Returns
    -------
    dict of str to Adam
        By task; ``"shared"`` has the same one under each.
    """

    def adam(parameters: list[nn.Parameter]) -> torch.optim.Adam:
        kernels = [p for p in parameters if p.dim() > 1]
        others = [p for p in parameters if p.dim() == 1]
        # Adam adds weight_decay * w to the gradient; that of l2 * w² is 2 * l2 * w
        groups = [{"params": kernels, "weight_decay": 2 * l2}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.Adam(groups, lr=learning_rate, fused=fused)

    tasks = net.config.tasks
    if kind == "shared":
        return dict.fromkeys(tasks, adam(list(net.parameters())))
    return {task: adam([*net.trunk_of(task).parameters(), *net.towers[task].parameters()]) for task in tasks}


def update(
    net: MultiTaskNet,
    optimiser: torch.optim.Adam,
    crops: Tensor,
    soft: Tensor,
    *,
    task: str,
    precision: Precision,
    after_backward: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Make one update.

    Parameters
    ----------
    net : MultiTaskNet
        In training mode.
    optimiser : Adam
        The task's.
    crops : Tensor [shape=(batch, 1, band, frame)], dB
        Raw log-mel.
    soft : Tensor [shape=(batch, n_out)]
        Targets.
    task : str
        The task.
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass (autocast); weights and losses are float32.
    after_backward : callable or None
        Called with the loss when the gradients are there; may change them, and returns the loss to report.

    Returns
    -------
    Tensor [shape=()]
        Cross-entropy before the update, on the device, without the penalty.
    """
    with torch.autocast(crops.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        logits = net(crops, task)  # (batch, n_out)
    loss = soft_cross_entropy(logits, soft)
    loss.backward()
    reported = loss.detach() if after_backward is None else after_backward(loss.detach())
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)  # None, not zero: Adam then passes over what had no part in a step
    return reported
