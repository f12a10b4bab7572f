"""Dense layers on fixed features, fitted by Adam and stopped by the validation loss: what probes have in common.

Weights are Glorot uniform, layers have ReLU and dropout, the best weights are restored. Which loss is minimised is the
probe's own affair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from artist_transfer.errors import ArtistTransferError

Layers = tuple[tuple[torch.Tensor, torch.Tensor], ...]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
LINEAR: tuple[int, ...] = ()


@dataclass(frozen=True)
class DenseParams:
    """Hyper-parameters.

    Attributes
    ----------
    hidden : tuple of int > 0
        Widths of the dense layers; none for a linear probe.
    dropout : float in [0, 1)
        After each dense layer.
    trials : int > 0
        Trainings that differ in their random numbers.
    learning_rate : float > 0
    batch, patience, max_epochs : int > 0
    validation_share : float in (0, 1)
        Of the training tracks, by artist, where there are no validation tracks.
    seed : int >= 0
    """

    hidden: tuple[int, ...] = LINEAR
    dropout: float = 0.5
    trials: int = 1
    learning_rate: float = 1e-3
    batch: int = 64
    patience: int = 8
    max_epochs: int = 200
    validation_share: float = 0.1
    seed: int = 0

    what: ClassVar[str] = "dense_probe"
    stream: ClassVar[int] = 0  # keeps the draws of one kind of probe apart from those of another

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        for name in ("trials", "batch", "patience", "max_epochs"):
            if getattr(self, name) < 1:
                raise ArtistTransferError(f"{self.what}.{name} must be at least 1, found {getattr(self, name)}")
        if any(size < 1 for size in self.hidden):
            raise ArtistTransferError(f"{self.what}.hidden: widths must be at least 1, found {list(self.hidden)}")
        if not (self.learning_rate > 0 and 0 <= self.dropout < 1 and 0 < self.validation_share < 1):
            raise ArtistTransferError(
                f"{self.what}: learning_rate must be positive, dropout in [0, 1) and validation_share in (0, 1); "
                f"found {self.learning_rate}, {self.dropout}, {self.validation_share}"
            )


@dataclass(frozen=True)
class FittedLayers:
    """Layers of one trial.

    Attributes
    ----------
    layers : tuple of (weight, bias)
        Weights (out, in) and biases (out,), on the CPU.
    epochs, best_epoch : int
    validation_loss : float, nats
    """

    layers: Layers
    epochs: int
    best_epoch: int
    validation_loss: float


def fit_layers(
    train: tuple[torch.Tensor, torch.Tensor],
    held: tuple[torch.Tensor, torch.Tensor],
    params: DenseParams,
    *,
    n_outputs: int,
    loss: Loss,
    trial: int,
) -> FittedLayers:
    """Fit one trial.

    Parameters
    ----------
    train, held : (x, y)
        Features (n, width) and what the loss takes; `held` says when to stop.
    params : DenseParams
    n_outputs : int > 0
    loss : callable
        Logits and y → mean loss.
    trial : int >= 0

    Returns
    -------
    FittedLayers

    Raises
    ------
    ArtistTransferError
        If the validation loss does not stay finite.
    """
    x, y = train
    seeds = np.random.default_rng([params.seed, params.stream, trial]).integers(2**62, size=3)
    draw, shuffle = (torch.Generator().manual_seed(int(seed)) for seed in seeds[:2])
    noise = torch.Generator(device=x.device).manual_seed(int(seeds[2]))
    layers = _initial((x.shape[1], *params.hidden, n_outputs), draw, x.device)
    optimiser = torch.optim.Adam([part for layer in layers for part in layer], lr=params.learning_rate)
    best: Layers = layers
    best_loss, best_epoch, epoch = float("inf"), 0, 0
    while epoch < params.max_epochs and epoch - best_epoch < params.patience:
        epoch += 1
        for index in torch.randperm(len(x), generator=shuffle).to(x.device).split(params.batch):
            optimiser.zero_grad()
            loss(logits_of(x[index], layers, params.dropout, noise), y[index]).backward()
            optimiser.step()
        with torch.no_grad():
            found = float(loss(logits_of(held[0], layers).double(), held[1]))
        if not np.isfinite(found):
            raise ArtistTransferError(
                f"{params.what.replace('_', ' ')}: the validation loss is not finite after epoch {epoch}; a smaller "
                "learning_rate may help"
            )
        if found < best_loss:
            best_loss, best_epoch = found, epoch
            best = tuple((w.detach().cpu().clone(), b.detach().cpu().clone()) for w, b in layers)
    return FittedLayers(best, epoch, best_epoch, best_loss)


def logits_of(
    x: torch.Tensor, layers: Layers, dropout: float = 0.0, noise: torch.Generator | None = None
) -> torch.Tensor:
    """Apply layers.

    Parameters
    ----------
    x : torch.Tensor [shape=(n, width)]
    layers : tuple of (weight, bias)
    dropout : float in [0, 1)
        After each dense layer, if there is `noise`.
    noise : torch.Generator, optional

    Returns
    -------
    torch.Tensor [shape=(n, n_outputs)]
    """
    for weight, bias in layers[:-1]:
        x = functional.relu(functional.linear(x, weight, bias))
        if noise is not None and dropout > 0:
            kept = torch.rand(x.shape, generator=noise, device=x.device) >= dropout
            x = x * kept / (1 - dropout)
    return functional.linear(x, *layers[-1])


def _initial(sizes: tuple[int, ...], draw: torch.Generator, device: torch.device) -> Layers:
    layers = []
    for n_in, n_out in pairwise(sizes):
        weight = torch.nn.init.xavier_uniform_(torch.empty(n_out, n_in), generator=draw).to(device)
        layers.append((weight.requires_grad_(), torch.zeros(n_out, device=device, requires_grad=True)))
    return tuple(layers)
