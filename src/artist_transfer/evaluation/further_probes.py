"""Two more classifiers on fixed features: regularised logistic regression, and a neural network with dense layers.

Both are fitted on training tracks only. The paper that used them gives neither the strength of the regularisation nor
the widths of the layers; here both are parameters.

References
----------
DeepArtistID: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", first version,
section 4.1: "for genre classification, we experimented with a set of neural networks and logistic regression".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from artist_transfer.evaluation.baselines import DEFAULT_C, logistic_predictions
from artist_transfer.evaluation.dense_layers import DenseParams, fit_layers, logits_of
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.linear_softmax import Scaling
from artist_transfer.evaluation.target_labels import Classified, LabelledSplit, classified, hold_out


@dataclass(frozen=True)
class NeuralProbeParams(DenseParams):
    """Hyper-parameters, as of `dense_layers.DenseParams`; by default with two dense layers."""

    hidden: tuple[int, ...] = (512, 512)
    validation_share: float = 0.15

    what: ClassVar[str] = "neural_probe"
    stream: ClassVar[int] = 7_022


def logistic_probe(embeddings: Embeddings, split: LabelledSplit, *, C: float = DEFAULT_C[0]) -> Classified:
    """Fit multinomial logistic regression on features standardised by column, and classify the test tracks.

    Parameters
    ----------
    embeddings : Embeddings
    split : LabelledSplit
        Its validation tracks take no part.
    C : float > 0
        Inverse strength of the L2 penalty.

    Returns
    -------
    Classified
        Of one trial.

    Raises
    ------
    ArtistTransferError
        If C is not positive.
    """
    ids = [*split.train, *split.test]
    features = pd.DataFrame(embeddings.of(ids), index=ids)
    fitted = logistic_predictions(features, split.labels, split.train, split.test, C=[C])
    position = {name: k for k, name in enumerate(split.classes)}
    names = [position[str(name)] for name in fitted.probabilities.columns]
    best = fitted.probabilities.to_numpy().argmax(axis=1)
    return classified(split, np.array(names)[best][None])


def neural_probe(
    embeddings: Embeddings,
    split: LabelledSplit,
    tracks: pd.DataFrame,
    *,
    params: NeuralProbeParams | None = None,
    device: str | torch.device = "cpu",
) -> Classified:
    """Fit dense layers and a softmax on the training tracks, stop by the validation tracks, classify the test tracks.

    Parameters
    ----------
    embeddings : Embeddings
    split : LabelledSplit
        If it has no validation tracks, some training artists are held out for it.
    tracks : pd.DataFrame
        ``track_id, artist_id`` and, if it is there, ``recording_id``; read only to hold artists out.
    params : NeuralProbeParams, optional
    device : str or torch.device

    Returns
    -------
    Classified
        One row a test track and trial; ``counts`` has ``n_trials`` and ``n_trials_not_converged`` too.

    Raises
    ------
    ArtistTransferError
        If the features do not vary, nobody can be held out, or the weights do not stay finite.
    """
    params = params or NeuralProbeParams()
    split = hold_out(split, tracks, share=params.validation_share, seed=params.seed)
    vectors = embeddings.of(split.train)
    scaling = Scaling.of(vectors)
    train = (scaling.apply(vectors).to(device), torch.from_numpy(split.codes(split.train)).to(device))
    held_y = torch.from_numpy(split.codes(split.validation)).to(device)
    held = (scaling.apply(embeddings.of(split.validation)).to(device), held_y)
    fitted = [
        fit_layers(train, held, params, n_outputs=len(split.classes), loss=functional.cross_entropy, trial=trial)
        for trial in range(params.trials)
    ]
    x = scaling.apply(embeddings.of(split.test))
    predicted = np.stack([logits_of(x, one.layers).double().numpy().argmax(axis=1) for one in fitted])
    late = sum(one.epochs - one.best_epoch < params.patience for one in fitted)
    return classified(split, predicted, n_trials=params.trials, n_trials_not_converged=late)
