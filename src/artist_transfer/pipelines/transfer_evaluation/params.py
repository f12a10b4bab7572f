"""Parameters of the transfer evaluation (AGF, section 3.2.3)."""

from __future__ import annotations

from pydantic import Field

from artist_transfer.pipelines.feature_learning.params import EpochsByDevice
from artist_transfer.pipelines.typed import Block


class BootstrapBlock(Block):
    """Intervals by resampling artists."""

    resamples: int = Field(2000, ge=100)
    level: float = Field(0.95, gt=0.5, lt=1)


class TransferBlock(Block):
    """Segments, the probe on top of them, and the intervals of its scores."""

    hop: int = Field(22, ge=1, description="frames between the segments of 43 frames")
    hidden: int = Field(1024, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    epochs: int | None = Field(None, ge=1, description="null: transfer.epochs_by_device")
    epochs_by_device: EpochsByDevice = EpochsByDevice(cpu=50, cuda=50)
    batch: int = Field(64, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    l2: float = Field(1e-5, ge=0)
    bootstrap: BootstrapBlock = BootstrapBlock()
