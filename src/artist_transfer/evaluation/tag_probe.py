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
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch.nn import functional
from tqdm.auto import tqdm

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.dense_layers import LINEAR, DenseParams, Layers, fit_layers, logits_of
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.linear_softmax import Scaling
from artist_transfer.evaluation.tagging import TaggedSplit, TagScores, hold_out_tagged, tag_scores

__all__ = ["DEEP_ARTIST_ID", "LINEAR", "TagProbe", "TagProbeParams", "fit_tag_probe", "tag_probe"]

DEEP_ARTIST_ID: tuple[int, ...] = (512, 512)
CHUNK = 8192  # rows that are predicted at once


@dataclass(frozen=True)
class TagProbeParams(DenseParams):
    """Hyper-parameters, as of `dense_layers.DenseParams`; by default without a dense layer."""

    what: ClassVar[str] = "tag_probe"
    stream: ClassVar[int] = 7_021


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
    layers: tuple[Layers, ...]
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
                out[trial, start : start + CHUNK] = logits_of(x, layers).double().numpy()
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
        fitted.append(fit_layers((x, y), (held, held_y), params, n_outputs=len(split.tags), loss=_loss, trial=trial))
    epochs, best = tuple(one.epochs for one in fitted), tuple(one.best_epoch for one in fitted)
    late = sum(e - b < params.patience for e, b in zip(epochs, best))
    layers, losses = tuple(one.layers for one in fitted), tuple(one.validation_loss for one in fitted)
    return TagProbe(split.tags, scaling, layers, epochs, best, losses, late)


def _loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype))
