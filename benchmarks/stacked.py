"""The other way to train several nets side by side: one net whose parameters have one dimension more.

`torch.func.vmap` over `functional_call` turns K single-task nets of one shape into one computation (its convolutions
into grouped ones), and one Adam over the stacked parameters is K Adams. Only nets of one shape and one number of
outputs can be stacked, and a shared trunk with towers that take turns cannot. It is here to be measured against
streams (`artist_transfer.training.side_by_side`); training does not use it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from artist_transfer.models.dcnn import MultiTaskNet
from artist_transfer.training.losses import Precision, soft_cross_entropy


class StackedNets:
    """K single-task nets of one shape, trained as one.

    Parameters
    ----------
    nets : sequence of MultiTaskNet
        In training mode, on the device; copied.
    learning_rate : float > 0
        Of Adam.
    l2 : float >= 0
        Factor of the penalty over kernels.
    """

    def __init__(self, nets: Sequence[MultiTaskNet], *, learning_rate: float, l2: float) -> None:
        (self.task,) = {task for net in nets for task in net.config.tasks}
        self.params, self.buffers = stack_module_state(list(nets))
        self._base = copy.deepcopy(nets[0]).to("meta")
        kernels = [p for p in self.params.values() if p.dim() > 2]  # the first dimension counts the nets
        others = [p for p in self.params.values() if p.dim() <= 2]
        groups = [{"params": kernels, "weight_decay": 2 * l2}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.Adam(groups, lr=learning_rate, fused=True)

    def update(self, crops: Tensor, soft: Tensor, *, precision: Precision = "float32") -> Tensor:
        """Make one update of every net.

        Parameters
        ----------
        crops : Tensor [shape=(net, batch, 1, band, frame)], dB
            Raw log-mel.
        soft : Tensor [shape=(net, batch, n_out)]
            Targets.
        precision : {"float32", "bfloat16"}
            Arithmetic of the forward pass.

        Returns
        -------
        Tensor [shape=(net,)]
            Cross-entropies before the update.
        """
        with torch.autocast(crops.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            logits = vmap(self._logits, randomness="different")(self.params, self.buffers, crops)  # (net, batch, n_out)
        losses = vmap(soft_cross_entropy)(logits, soft)  # (net,)
        losses.sum().backward()  # no net has a part in another's loss
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return losses.detach()

    def _logits(self, params: dict[str, Tensor], buffers: dict[str, Tensor], crops: Tensor) -> Tensor:
        logits: Tensor = functional_call(self._base, (params, buffers), (crops, self.task))
        return logits
