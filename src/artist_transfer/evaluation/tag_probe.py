"""A probe for tags on fixed features: linear sigmoid, or with dense layers in between as DeepArtistID had two.

Fitted on training tracks only, stopped by the validation loss, best weights restored. The paper gives neither the
width of its layers nor how they were trained; here they have ReLU and dropout, and Adam fits both kinds.

References
----------
DeepArtistID: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", first version,
section 4.1: two fully connected layers and sigmoid output on the averaged features.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch.nn import functional
from tqdm.auto import tqdm

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.linear_softmax import Scaling
from artist_transfer.evaluation.tagging import TaggedSplit, TagScores, hold_out_tagged, tag_scores

LINEAR: tuple[int, ...] = ()
DEEP_ARTIST_ID: tuple[int, ...] = (512, 512)
CHUNK = 8192  # rows that are predicted at once


@dataclass(frozen=True)
class TagProbeParams:
    """Hyper-parameters.

    Attributes
    ----------
    hidden : tuple of int > 0
        Widths of the dense layers; none for the linear probe.
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

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        for name in ("trials", "batch", "patience", "max_epochs"):
            if getattr(self, name) < 1:
                raise ArtistTransferError(f"tag_probe.{name} must be at least 1, found {getattr(self, name)}")
        if any(size < 1 for size in self.hidden):
            raise ArtistTransferError(f"tag_probe.hidden: widths must be at least 1, found {list(self.hidden)}")
        if not (self.learning_rate > 0 and 0 <= self.dropout < 1 and 0 < self.validation_share < 1):
            raise ArtistTransferError(
                "tag_probe: learning_rate must be positive, dropout in [0, 1) and validation_share in (0, 1); "
                f"found {self.learning_rate}, {self.dropout}, {self.validation_share}"
            )


@dataclass(frozen=True)
class TagProbe:
    """Fitted probes, one a trial.

    Attributes
    ----------
    tags : tuple of str
    scaling : Scaling
    layers : tuple (by trial) of tuple of (weight, bias)
        Weights (out, in) and biases (out,).
    epochs, best_epoch : tuple of int
    validation_loss : tuple of float, nats a tag
    not_converged : int
        Trials that were stopped by ``max_epochs``.
    """

    tags: tuple[str, ...]
    scaling: Scaling
    layers: tuple[tuple[tuple[torch.Tensor, torch.Tensor], ...], ...]
    epochs: tuple[int, ...]
    best_epoch: tuple[int, ...]
    validation_loss: tuple[float, ...]
    not_converged: int

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """Score each tag.

        Parameters
        ----------
        vectors : np.ndarray [shape=(n, width)]

        Returns
        -------
        np.ndarray [shape=(n_trials, n, n_tags)], float64
            Logits: their order is that of the probabilities, and no two of them become equal by saturation.
        """
        out = np.empty((len(self.layers), len(vectors), len(self.tags)))
        for start in range(0, len(vectors), CHUNK):
            x = self.scaling.apply(vectors[start : start + CHUNK])
            for trial, layers in enumerate(self.layers):
                out[trial, start : start + CHUNK] = _logits(x, layers).double().numpy()
        return out


def tag_probe(
    embeddings: Embeddings,
    split: TaggedSplit,
    tracks: pd.DataFrame,
    *,
    params: TagProbeParams | None = None,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> tuple[TagScores, TagProbe]:
    """Fit on the training tracks, stop by the validation tracks, score the test tracks.

    Parameters
    ----------
    embeddings : Embeddings
    split : TaggedSplit
        If it has no validation tracks, some training artists are held out for it.
    tracks : pd.DataFrame
        ``track_id, artist_id`` and, if it is there, ``recording_id``; read only to hold artists out.
    params : TagProbeParams, optional
    device : str or torch.device
    progress : bool

    Returns
    -------
    TagScores
    TagProbe

    Raises
    ------
    ArtistTransferError
        If the features do not vary or the weights do not stay finite.
    """
    params = params or TagProbeParams()
    split = hold_out_tagged(split, tracks, share=params.validation_share, seed=params.seed)
    probe = fit_tag_probe(embeddings, split, params=params, device=device, progress=progress)
    return tag_scores(split, probe.predict(embeddings.of(split.test))), probe


def fit_tag_probe(
    embeddings: Embeddings,
    split: TaggedSplit,
    *,
    params: TagProbeParams,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> TagProbe:
    """Fit; rows of test tracks are not read.

    Parameters
    ----------
    embeddings, split, params, device, progress
        As in `tag_probe`; the split has validation tracks.

    Returns
    -------
    TagProbe

    Raises
    ------
    ArtistTransferError
        If there are no validation tracks, the features do not vary or the weights do not stay finite.
    """
    if not split.validation:
        raise ArtistTransferError("early stopping needs validation tracks: hold some out (tagging.hold_out_tagged)")
    vectors = embeddings.of(split.train)
    scaling = Scaling.of(vectors)
    x = scaling.apply(vectors).to(device)
    held = scaling.apply(embeddings.of(split.validation)).to(device)
    y, held_y = (torch.from_numpy(split.truth[side]).float().to(device) for side in ("train", "validation"))
    fitted = []
    for trial in tqdm(range(params.trials), desc="tag probe", unit="trial", leave=False, disable=not progress):
        fitted.append(_fit((x, y), (held, held_y), params, trial))
    layers, epochs, best, losses = zip(*fitted)
    late = sum(e - b < params.patience for e, b in zip(epochs, best))
    return TagProbe(split.tags, scaling, layers, epochs, best, losses, late)


def _fit(
    train: tuple[torch.Tensor, torch.Tensor],
    held: tuple[torch.Tensor, torch.Tensor],
    params: TagProbeParams,
    trial: int,
) -> tuple[tuple[tuple[torch.Tensor, torch.Tensor], ...], int, int, float]:
    x, y = train
    seeds = np.random.default_rng([params.seed, 7_021, trial]).integers(2**62, size=3)
    draw, shuffle = (torch.Generator().manual_seed(int(seed)) for seed in seeds[:2])
    noise = torch.Generator(device=x.device).manual_seed(int(seeds[2]))
    layers = _initial((x.shape[1], *params.hidden, y.shape[1]), draw, x.device)
    optimiser = torch.optim.Adam([part for layer in layers for part in layer], lr=params.learning_rate)
    best: tuple[tuple[torch.Tensor, torch.Tensor], ...] = layers
    best_loss, best_epoch, epoch = float("inf"), 0, 0
    while epoch < params.max_epochs and epoch - best_epoch < params.patience:
        epoch += 1
        for index in torch.randperm(len(x), generator=shuffle).to(x.device).split(params.batch):
            optimiser.zero_grad()
            logits = _logits(x[index], layers, params.dropout, noise)
            functional.binary_cross_entropy_with_logits(logits, y[index]).backward()
            optimiser.step()
        with torch.no_grad():
            logits = _logits(held[0], layers).double()
            loss = float(functional.binary_cross_entropy_with_logits(logits, held[1].double()))
        if not np.isfinite(loss):
            raise ArtistTransferError(
                f"tag probe: the validation loss is not finite after epoch {epoch}; a smaller learning_rate may help"
            )
        if loss < best_loss:
            best_loss, best_epoch = loss, epoch
            best = tuple((w.detach().cpu().clone(), b.detach().cpu().clone()) for w, b in layers)
    return best, epoch, best_epoch, best_loss


def _initial(
    sizes: tuple[int, ...], draw: torch.Generator, device: torch.device
) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    layers = []
    for n_in, n_out in pairwise(sizes):
        weight = torch.nn.init.xavier_uniform_(torch.empty(n_out, n_in), generator=draw).to(device)
        layers.append((weight.requires_grad_(), torch.zeros(n_out, device=device, requires_grad=True)))
    return tuple(layers)


def _logits(
    x: torch.Tensor,
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...],
    dropout: float = 0.0,
    noise: torch.Generator | None = None,
) -> torch.Tensor:
    for weight, bias in layers[:-1]:
        x = functional.relu(functional.linear(x, weight, bias))
        if noise is not None and dropout > 0:
            kept = torch.rand(x.shape, generator=noise, device=x.device) >= dropout
            x = x * kept / (1 - dropout)
    return functional.linear(x, *layers[-1])
