"""Parameters of feature learning (AGF, section 3.2.4)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from artist_transfer.pipelines.typed import Block
from artist_transfer.tasks import TASKS, in_order

Architecture = Literal["mtn", "stn"]
Device = Literal["auto", "cpu", "cuda"]


class EpochsByDevice(Block):
    """Epochs a task, where `training.epochs` is null."""

    cpu: int = Field(200, ge=1)
    cuda: int = Field(200, ge=1)


class DistributedBlock(Block):
    """Several processes that train one net together, one on each GPU."""

    processes: int = Field(1, ge=1, le=64, description="processes on each machine")
    nodes: int = Field(1, ge=1, le=1024, description="machines; the same command is given on each")
    rendezvous: str | None = Field(None, description="HOST:PORT of the first machine, with several")

    @model_validator(mode="after")
    def _machines_have_to_meet(self) -> DistributedBlock:
        if self.nodes > 1 and self.rendezvous is None:
            raise ValueError(f"nodes={self.nodes} machines need training.distributed.rendezvous=HOST:PORT to meet at")
        return self


class TrainingBlock(Block):
    """The training of all nets."""

    epochs: int | None = Field(None, ge=1, description="epochs a task; null: training.epochs_by_device")
    epochs_by_device: EpochsByDevice = EpochsByDevice()
    batch: int = Field(64, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    l2: float = Field(1e-5, ge=0)
    optimiser: Literal["shared", "per_task"] = "shared"
    draw: Literal["batch", "epoch"] = "batch"
    precision: Literal["float32", "bfloat16"] = "float32"
    width: float = Field(1.0, gt=0, le=8)
    engine: Literal["auto", "plain", "fast"] = Field("auto", description="auto: fast on a GPU, else plain")
    checkpoint_every_s: float = Field(60.0, gt=0)
    distributed: DistributedBlock = DistributedBlock()

    @model_validator(mode="after")
    def _the_batch_can_be_shared(self) -> TrainingBlock:
        world = self.distributed.processes * self.distributed.nodes
        if self.batch % world or self.batch < 2 * world:
            raise ValueError(
                f"batch={self.batch} cannot be shared by {world} processes (training.distributed): allowed are "
                "multiples of their number, with two crops or more for each"
            )
        return self

    @model_validator(mode="after")
    def _the_fast_engine_is_for_one_process(self) -> TrainingBlock:
        world = self.distributed.processes * self.distributed.nodes
        if self.engine == "fast" and world > 1:
            raise ValueError(
                f"training.engine=fast is for one process, but training.distributed asks for {world}: allowed are "
                "training.engine=auto and plain, or one process"
            )
        return self


def normalised_tasks(tasks: str) -> str:
    """Put task letters into their canonical order.

    Parameters
    ----------
    tasks : str
        A non-empty subset of g (genre), s (subgenres), e (Essentia), d (dMFCC) and m (MFCC).

    Returns
    -------
    str
        The same letters in the order gsedm.

    Raises
    ------
    ValueError
        If a letter is unknown or stands twice, or if there is none.
    """
    unknown = sorted(set(tasks) - set(TASKS))
    if unknown or not tasks or len(set(tasks)) != len(tasks):
        raise ValueError(
            "allowed is any non-empty subset of the letters g (genre), s (subgenres), e (Essentia), d (dMFCC) and "
            "m (MFCC), each at most once, for instance gsed"
        )
    return in_order(tasks)
