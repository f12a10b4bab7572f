"""How an artist-label or tag-label net is trained, and when its learning rate falls (ISMIR, section 3.3)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.artist_net import Kind
from artist_transfer.training.artist_losses import Distance, SiameseLoss
from artist_transfer.training.losses import Precision

Statistics = Literal["joint", "by_input"]
LEARNING_RATES = {"basic": 0.015, "tag": 0.015, "siamese": 0.1}

_DROPOUT = 43  # keeps these random numbers apart from the others that a seed makes
_NO_EFFECT = ("checkpoint_every_s", "threads")  # parameters that are no part of what a net is
_SIAMESE_ONLY = ("loss", "negatives", "margin", "temperature", "distance", "statistics")


@dataclass(frozen=True)
class ArtistTrainParams:
    """How a net is trained: stochastic gradient descent with Nesterov momentum.

    Parameters
    ----------
    epochs : int >= 1
        At most; an epoch is as many updates as full batches of training songs (or anchors) there are.
    batch : int >= 2
        Crops in a batch; of a Siamese net anchors, each with its positive and negatives.
    learning_rate : float > 0 or None
        None is the paper's: 0.1 Siamese, 0.015 Basic and tag-label.
    decay : float >= 0
        The rate is divided by ``1 + decay * updates done``.
    momentum : float, 0 to below 1
        Nesterov's.
    l2 : float >= 0
        The loss gets ``l2 * sum(w²)`` over the kernels of the convolutions.
    factor : float, above 0 and below 1
        Multiplies the rate when the validation loss has stopped falling.
    patience : int >= 1
        Epochs without a lower validation loss that count as stopped (6 in the released code).
    max_reductions : int >= 0
        Where the rate would be multiplied once more, the training ends (the released Siamese net: 8).
    min_delta : float >= 0
        What a validation loss must be lower by to count as lower.
    validation_crops : int >= 1
        Crops of each validation song, the same in all epochs.
    loss : {"hinge", "softmax", "contrastive", "triplet"}
        Of a Siamese net.
    negatives : int >= 1
        Songs of other artists for each anchor.
    margin : float > 0
        Of all Siamese losses but the softmax.
    temperature : float > 0
        Of the softmax over negatives.
    distance : {"unit", "euclidean", "cosine"}
        Of contrastive and triplet.
    statistics : {"joint", "by_input"}
        Batch norm over all crops of a batch; or, as in the released code, over anchors, positives and each of the
        negatives by themselves, which takes a pass of the net for each.
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass (autocast); weights and losses are float32.
    checkpoint_every_s : float >= 0, seconds
        Time between checkpoints; 0 writes one after every update.
    seed : int >= 0
        Initial weights, dropout, songs and crops.
    threads : int >= 1 or None
        Threads of torch; None leaves them as they are. Results on a CPU are bit-identical for one number only.

    Raises
    ------
    ArtistTransferError
        If a value is out of bounds; its key is named.
    """

    epochs: int
    batch: int = 15
    learning_rate: float | None = None
    decay: float = 1e-6
    momentum: float = 0.9
    l2: float = 1e-5
    factor: float = 0.2
    patience: int = 6
    max_reductions: int = 8
    min_delta: float = 0.0
    validation_crops: int = 1
    loss: SiameseLoss = "hinge"
    negatives: int = 4
    margin: float = 0.4
    temperature: float = 0.1
    distance: Distance = "unit"
    statistics: Statistics = "joint"
    precision: Precision = "float32"
    checkpoint_every_s: float = 60.0
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        least = {"epochs": 1, "batch": 2, "decay": 0, "momentum": 0, "l2": 0, "patience": 1, "max_reductions": 0}
        least |= {"min_delta": 0, "validation_crops": 1, "negatives": 1, "checkpoint_every_s": 0, "seed": 0}
        if self.threads is not None:
            least["threads"] = 1
        for key, bound in least.items():
            if not getattr(self, key) >= bound:
                raise ArtistTransferError(f"artist_training.{key} must be {bound} or more, got {getattr(self, key)}")
        for key in ("learning_rate", "factor", "margin", "temperature"):
            value = getattr(self, key)
            if value is not None and not 0 < value < float("inf"):
                raise ArtistTransferError(f"artist_training.{key} must be above 0, got {value}")
        for key in ("factor", "momentum"):
            if not getattr(self, key) < 1:
                raise ArtistTransferError(f"artist_training.{key} must be below 1, got {getattr(self, key)}")
        choices = {"loss": SiameseLoss, "distance": Distance, "statistics": Statistics, "precision": Precision}
        for key, allowed in choices.items():
            if getattr(self, key) not in get_args(allowed):
                raise ArtistTransferError(
                    f"artist_training.{key}: {getattr(self, key)!r} is unknown; allowed are "
                    f"{', '.join(get_args(allowed))}"
                )

    def first_rate(self, kind: Kind) -> float:
        """Return the learning rate that a net of this kind begins with."""
        return LEARNING_RATES[kind] if self.learning_rate is None else self.learning_rate

    def rate(self, kind: Kind, *, step: int, reductions: int) -> float:
        """Return the learning rate of an update.

        Parameters
        ----------
        kind : {"basic", "siamese", "tag"}
            Of net.
        step : int >= 0
            Updates done.
        reductions : int >= 0
            How often the validation loss has stopped falling.

        Returns
        -------
        float
            Above 0.
        """
        return self.first_rate(kind) * self.factor**reductions / (1 + self.decay * step)

    def steps_per_epoch(self, n_train: int) -> int:
        """Return the updates of an epoch of `n_train` training songs."""
        return max(1, n_train // self.batch)

    def dropout_seed(self) -> int:
        """Return the seed of the generator that dropout uses."""
        return int(np.random.SeedSequence([self.seed, _DROPOUT]).generate_state(1)[0])

    def identity(self, kind: Kind) -> dict[str, Any]:
        """Return the parameters that change what a net of this kind becomes."""
        out = _NO_EFFECT if kind == "siamese" else (*_NO_EFFECT, *_SIAMESE_ONLY)
        return {key: value for key, value in asdict(self).items() if key not in out} | {
            "learning_rate": self.first_rate(kind)
        }


class Plateau:
    """Watches the validation loss: when to lower the learning rate, and when to end.

    Parameters
    ----------
    patience : int >= 1
        Losses without a lower one after which the rate is lowered.
    max_reductions : int >= 0
        How often it is lowered; where it would be once more, the training ends.
    min_delta : float >= 0
        What a loss must be lower by to count.
    """

    def __init__(self, *, patience: int, max_reductions: int, min_delta: float = 0.0) -> None:
        self._patience, self._max_reductions, self._min_delta = patience, max_reductions, min_delta
        self.best, self.best_epoch = float("inf"), 0
        self.waited, self.reductions, self.ended = 0, 0, False

    def see(self, loss: float, *, epoch: int) -> bool:
        """Take the loss of an epoch.

        Parameters
        ----------
        loss : float
            Of the validation songs.
        epoch : int >= 1
            Its number.

        Returns
        -------
        bool
            Whether it is the lowest so far.
        """
        if loss < self.best - self._min_delta:
            self.best, self.best_epoch, self.waited = loss, epoch, 0
            return True
        self.waited += 1
        if self.waited >= self._patience:
            self.waited = 0
            if self.reductions == self._max_reductions:
                self.ended = True
            else:
                self.reductions += 1
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return all that it has seen, for JSON; the best loss is infinite before the first."""
        seen = {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}
        return {**seen, "reductions": self.reductions, "ended": self.ended}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        for key in self.state_dict():
            setattr(self, key, state[key])
