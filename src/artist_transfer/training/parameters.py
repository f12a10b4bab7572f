"""How a net is trained: the parameters of a training, and what a training leaves beside the weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.losses import Optimiser, Precision

Draw = Literal["batch", "epoch"]
Engine = Literal["auto", "plain", "fast"]
History = list[dict[str, Any]]

_DROPOUT = 31  # keeps these random numbers apart from the others that a seed makes
_NO_EFFECT = ("checkpoint_every_s", "threads", "engine")  # parameters that are no part of what a net is


@dataclass(frozen=True)
class TrainParams:
    """How a net is trained.

    Parameters
    ----------
    epochs : int >= 1
        Epochs for each task (200 in the paper); a net of N tasks makes N times as many updates.
    batch : int >= 2
        Crops in a batch.
    learning_rate : float > 0
        Of Adam.
    l2 : float >= 0
        The loss gets ``l2 * sum(w²)`` over kernels of convolutions and dense layers, as in Keras and Lasagne.
    optimiser : {"shared", "per_task"}
        One Adam, or one for each task.
    draw : {"batch", "epoch"}
        Whether a task is drawn for each update or for each run of `steps_per_epoch` updates.
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass (autocast); weights and losses are float32.
    channels_last : bool
        Memory layout; faster on CPUs.
    checkpoint_every_s : float >= 0, seconds
        Time between checkpoints; 0 writes one after every update.
    seed : int >= 0
        Dropout, order of tasks, permutations and crops.
    threads : int >= 1 or None
        Threads of torch; None leaves them as they are. Results on a CPU are bit-identical for one number only.
    engine : {"auto", "plain", "fast"}
        ``plain`` launches every operation of an update; ``fast`` draws batches on the device and, on a GPU, replays
        the whole update as one CUDA graph. ``auto`` is fast on a GPU that holds the frames, else plain. Both make the
        same updates, but for the order in which a GPU adds floats.

    Raises
    ------
    ArtistTransferError
        If a value is out of bounds; its key is named.
    """

    epochs: int
    batch: int = 64
    learning_rate: float = 1e-3
    l2: float = 1e-5
    optimiser: Optimiser = "shared"
    draw: Draw = "batch"
    precision: Precision = "float32"
    channels_last: bool = True
    checkpoint_every_s: float = 60.0
    seed: int = 0
    threads: int | None = None
    engine: Engine = "auto"

    def __post_init__(self) -> None:
        """Check the values."""
        least = {"epochs": 1, "batch": 2, "l2": 0, "checkpoint_every_s": 0, "seed": 0}
        if self.threads is not None:
            least["threads"] = 1
        for key, bound in least.items():
            if not getattr(self, key) >= bound:
                raise ArtistTransferError(f"training.{key} must be {bound} or more, got {getattr(self, key)}")
        if not self.learning_rate > 0:
            raise ArtistTransferError(f"training.learning_rate must be above 0, got {self.learning_rate}")
        choices = {"optimiser": Optimiser, "draw": Draw, "precision": Precision, "engine": Engine}
        for key, allowed in choices.items():
            if getattr(self, key) not in get_args(allowed):
                raise ArtistTransferError(
                    f"training.{key}: {getattr(self, key)!r} is unknown; allowed are {', '.join(get_args(allowed))}"
                )

    def steps_per_epoch(self, n_train: int) -> int:
        """Return the updates that one task's epoch of `n_train` tracks takes."""
        return max(1, n_train // self.batch)

    def dropout_seed(self, rank: int = 0) -> int:
        """Return the seed of the generator that dropout uses on a rank."""
        return int(np.random.SeedSequence([self.seed, _DROPOUT, rank]).generate_state(1)[0])

    def identity(self) -> dict[str, Any]:
        """Return the parameters that change what a net becomes."""
        return {key: value for key, value in asdict(self).items() if key not in _NO_EFFECT}


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves beside the weights.

    Parameters
    ----------
    history : list of dict
        ``epoch`` (from 1), ``task``, ``loss`` (mean training cross-entropy, nats, without the L2 penalty), ``steps``.
    steps : int
        Updates in all.
    """

    history: History
    steps: int
