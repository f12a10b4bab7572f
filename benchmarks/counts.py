"""Operations and bytes of a training step, counted and not measured."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet


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
