"""A linear softmax classifier on fixed features (ISMIR, section 4.3), as the authors' code trained it.

Features standardised by one mean and one deviation of the training tracks, no hidden layer, Glorot uniform weights,
SGD at 0.01 with Nesterov momentum 0.9, batches of 16, early stopping on the validation loss with patience 8 and the
best weights restored; ten trials that differ in weights and order. The trials are trained side by side, each as if it
were alone.

References
----------
ISMIR: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", ISMIR 2018, section 4.3 and
table 3; figure 5 for the accuracy of each genre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.target_labels import Classified, LabelledSplit, classified, hold_out


@dataclass(frozen=True)
class SoftmaxParams:
    """Hyper-parameters; the defaults are those of the authors' code.

    Attributes
    ----------
    trials : int > 0
        Trainings that differ in their random numbers.
    learning_rate : float > 0
    momentum : float in [0, 1)
        Nesterov's.
    batch : int > 0
    patience : int > 0
        Epochs without a smaller validation loss before a trial stops.
    max_epochs : int > 0
        Trials that reach it are counted.
    validation_share : float in (0, 1)
        Of the training artists, where there are no validation tracks.
    seed : int >= 0
    """

    trials: int = 10
    learning_rate: float = 0.01
    momentum: float = 0.9
    batch: int = 16
    patience: int = 8
    max_epochs: int = 500
    validation_share: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        for name in ("trials", "batch", "patience", "max_epochs"):
            if getattr(self, name) < 1:
                raise ArtistTransferError(f"linear_softmax.{name} must be at least 1, found {getattr(self, name)}")
        if not (self.learning_rate > 0 and 0 <= self.momentum < 1 and 0 < self.validation_share < 1):
            raise ArtistTransferError(
                "linear_softmax: learning_rate must be positive, momentum in [0, 1) and validation_share in (0, 1); "
                f"found {self.learning_rate}, {self.momentum}, {self.validation_share}"
            )


@dataclass(frozen=True)
class Scaling:
    """One mean and one deviation for all columns.

    Attributes
    ----------
    mean, deviation : float
    """

    mean: float
    deviation: float

    @classmethod
    def of(cls, vectors: np.ndarray) -> Scaling:
        """Measure training vectors.

        Parameters
        ----------
        vectors : np.ndarray [shape=(n, width)]

        Returns
        -------
        Scaling

        Raises
        ------
        ArtistTransferError
            If all numbers are the same.
        """
        mean, deviation = float(vectors.mean(dtype=np.float64)), float(vectors.std(dtype=np.float64))
        if not deviation > 1e-12 * max(1.0, abs(mean)):
            raise ArtistTransferError(f"all features of the training tracks are {mean:g}: nothing can be learned")
        return cls(mean, deviation)

    def apply(self, vectors: np.ndarray) -> torch.Tensor:
        """Standardise.

        Parameters
        ----------
        vectors : np.ndarray [shape=(n, width)]

        Returns
        -------
        torch.Tensor [shape=(n, width)], float32
        """
        return torch.from_numpy(((vectors.astype(np.float64) - self.mean) / self.deviation).astype(np.float32))


@dataclass(frozen=True)
class LinearSoftmax:
    """Fitted classifiers, one a trial.

    Attributes
    ----------
    classes : tuple of str
    scaling : Scaling
    weight : np.ndarray [shape=(n_trials, width, n_classes)]
    bias : np.ndarray [shape=(n_trials, n_classes)]
    epochs, best_epoch : tuple of int
        How many each trial trained, and after which it was best (from 1).
    validation_loss : tuple of float, nats
        The best of each trial.
    not_converged : int
        Trials that were stopped by ``max_epochs``.
    """

    classes: tuple[str, ...]
    scaling: Scaling
    weight: np.ndarray
    bias: np.ndarray
    epochs: tuple[int, ...]
    best_epoch: tuple[int, ...]
    validation_loss: tuple[float, ...]
    not_converged: int

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """Return the most probable class by trial.

        Parameters
        ----------
        vectors : np.ndarray [shape=(n, width)]

        Returns
        -------
        np.ndarray [shape=(n_trials, n)], int64
            Positions in `classes`.
        """
        logits = self.scaling.apply(vectors).numpy() @ self.weight + self.bias[:, None]
        return np.asarray(logits.argmax(axis=2))


def linear_softmax(
    embeddings: Embeddings,
    split: LabelledSplit,
    tracks: pd.DataFrame,
    *,
    params: SoftmaxParams | None = None,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> tuple[Classified, LinearSoftmax]:
    """Fit on the training tracks, stop by the validation tracks, classify the test tracks.

    Parameters
    ----------
    embeddings : Embeddings
    split : LabelledSplit
        If it has no validation tracks, some training artists are held out for it.
    tracks : pd.DataFrame
        ``track_id, artist_id`` and, if it is there, ``recording_id``; read only to hold artists out.
    params : SoftmaxParams, optional
    device : str or torch.device
    progress : bool

    Returns
    -------
    Classified
        One row a test track and trial; ``counts`` has ``n_trials`` and ``n_trials_not_converged`` too.
    LinearSoftmax

    Raises
    ------
    ArtistTransferError
        If the features do not vary or the weights do not stay finite.
    """
    params = params or SoftmaxParams()
    split = hold_out(split, tracks, share=params.validation_share, seed=params.seed)
    fitted = fit_linear_softmax(embeddings, split, params=params, device=device, progress=progress)
    predicted = fitted.predict(embeddings.of(split.test))
    counts = {"n_trials": params.trials, "n_trials_not_converged": fitted.not_converged}
    return classified(split, predicted, **counts), fitted


def fit_linear_softmax(
    embeddings: Embeddings,
    split: LabelledSplit,
    *,
    params: SoftmaxParams,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> LinearSoftmax:
    """Fit all trials; rows of test tracks are not read.

    Parameters
    ----------
    embeddings, split, params, device, progress
        As in `linear_softmax`; the split has validation tracks.

    Returns
    -------
    LinearSoftmax

    Raises
    ------
    ArtistTransferError
        If there are no validation tracks, the features do not vary or the weights do not stay finite.
    """
    if not split.validation:
        raise ArtistTransferError("early stopping needs validation tracks: hold some out (target_labels.hold_out)")
    vectors = embeddings.of(split.train)
    scaling = Scaling.of(vectors)
    x, y = scaling.apply(vectors).to(device), torch.from_numpy(split.codes(split.train)).to(device)
    held = scaling.apply(embeddings.of(split.validation)).to(device)
    held_y = torch.from_numpy(split.codes(split.validation)).to(device)
    state = _State.initial(embeddings.width, len(split.classes), params, torch.device(device))
    bar = tqdm(total=params.max_epochs, desc="linear softmax", unit="epoch", leave=False, disable=not progress)
    with bar, torch.inference_mode():
        while len(active := state.active(params)):
            state.train_epoch(active, x, y, params)
            state.judge(active, held, held_y)
            bar.update()
    best = state.best_loss.cpu()
    if not bool(torch.isfinite(best).all() and torch.isfinite(state.best_weight).all()):
        raise ArtistTransferError("linear softmax: the weights are not finite; a smaller learning_rate may help")
    return LinearSoftmax(
        split.classes,
        scaling,
        state.best_weight.cpu().numpy(),
        state.best_bias[:, 0].cpu().numpy(),
        tuple(state.epochs),
        tuple(state.best_epoch),
        tuple(best.tolist()),
        sum(e - b < params.patience for e, b in zip(state.epochs, state.best_epoch)),
    )


@dataclass
class _State:
    """Weights, velocities and the best so far, (trial, width, class) and (trial, 1, class)."""

    weight: torch.Tensor
    bias: torch.Tensor
    weight_speed: torch.Tensor
    bias_speed: torch.Tensor
    best_weight: torch.Tensor
    best_bias: torch.Tensor
    best_loss: torch.Tensor  # (trial,)
    best_epoch: list[int]
    epochs: list[int]
    shuffles: list[torch.Generator]

    @classmethod
    def initial(cls, width: int, n_classes: int, params: SoftmaxParams, device: torch.device) -> _State:
        weights, shuffles = [], []
        for trial in range(params.trials):  # each from numbers of its own: more trials do not change the first ones
            seeds = np.random.default_rng([params.seed, 7_012, trial]).integers(2**62, size=2)
            draw = torch.Generator().manual_seed(int(seeds[0]))
            weights.append(torch.nn.init.xavier_uniform_(torch.empty(width, n_classes), generator=draw))
            shuffles.append(torch.Generator().manual_seed(int(seeds[1])))  # on the CPU: one order on every device
        weight = torch.stack(weights).to(device)
        bias = torch.zeros(params.trials, 1, n_classes, device=device)
        speeds = (torch.zeros_like(weight), torch.zeros_like(bias))
        loss = torch.full((params.trials,), torch.inf, dtype=torch.float64, device=device)
        zeros = [0] * params.trials
        return cls(weight, bias, *speeds, weight.clone(), bias.clone(), loss, zeros, list(zeros), shuffles)

    def active(self, params: SoftmaxParams) -> list[int]:
        return [
            t
            for t, (epochs, best) in enumerate(zip(self.epochs, self.best_epoch))
            if epochs < params.max_epochs and epochs - best < params.patience
        ]

    def train_epoch(self, active: list[int], x: torch.Tensor, y: torch.Tensor, params: SoftmaxParams) -> None:
        parts = (self.weight, self.bias, self.weight_speed, self.bias_speed)
        weight, bias, weight_speed, bias_speed = (part[active] for part in parts)
        order = torch.stack([torch.randperm(len(y), generator=self.shuffles[t]) for t in active]).to(x.device)
        for index in order.split(params.batch, dim=1):  # (trial, row)
            rows = x[index]  # (trial, row, width)
            slope = torch.softmax(torch.baddbmm(bias, rows, weight), dim=2)
            slope.scatter_add_(2, y[index][..., None], slope.new_full((*index.shape, 1), -1.0))
            slope /= index.shape[1]
            for value, speed, gradient in (
                (weight, weight_speed, torch.bmm(rows.transpose(1, 2), slope)),
                (bias, bias_speed, slope.sum(dim=1, keepdim=True)),
            ):
                speed.mul_(params.momentum).add_(gradient)
                value.sub_(params.learning_rate * (gradient + params.momentum * speed))  # Nesterov's look ahead
        for whole, part in zip(parts, (weight, bias, weight_speed, bias_speed)):
            whole[active] = part

    def judge(self, active: list[int], x: torch.Tensor, y: torch.Tensor) -> None:
        for t in active:
            self.epochs[t] += 1
            logits = torch.addmm(self.bias[t], x, self.weight[t]).double()
            loss = torch.nn.functional.cross_entropy(logits, y)
            if not bool(torch.isfinite(loss)):
                raise ArtistTransferError(
                    f"linear softmax: the validation loss is not finite after epoch {self.epochs[t]}; "
                    "a smaller learning_rate may help"
                )
            if bool(loss < self.best_loss[t]):
                self.best_loss[t], self.best_epoch[t] = loss, self.epochs[t]
                self.best_weight[t], self.best_bias[t] = self.weight[t], self.bias[t]
