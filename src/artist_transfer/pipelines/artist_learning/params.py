"""Parameters of the artist-label nets (ISMIR, sections 2 and 3)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from artist_transfer.pipelines.agf_study.params import read_numbers
from artist_transfer.pipelines.feature_learning.params import EpochsByDevice
from artist_transfer.pipelines.typed import AtLeastOne, Block, Joined, JoinedNumbers, NotNegative

PAPER_SONGS = 20  # of the division that stands for null
KINDS = ("basic", "siamese", "tag")


class SetsBlock(Block):
    """Which artists are learned, with how many songs each."""

    sizes: JoinedNumbers | None = Field(
        None,
        description="artists in a set, joined by +; null: as many as have enough songs, in studies also a quarter and "
        "a half of them",
    )
    songs: int = Field(20, ge=2)
    division: tuple[AtLeastOne, NotNegative, NotNegative] | None = Field(
        None, description="training/validation/test songs of an artist; null: 15/3/2, from 10,000 artists on 17/1/2"
    )
    top_tags: int = Field(50, ge=1, description="tags of the tag-label net")
    artist_list: str | None = Field(
        None, description="msd-artist-list.pkl or another of its form, which the sets come from; null: they are drawn"
    )

    @field_validator("sizes")
    @classmethod
    def _numbers(cls, value: str | None) -> str | None:
        if value is not None:
            read_numbers(value, least=2)
        return value

    @model_validator(mode="after")
    def _division_adds_up(self) -> SetsBlock:
        if self.division is not None and sum(self.division) != self.songs:
            raise ValueError(f"division {self.division} must add up to songs = {self.songs}")
        if self.division is None and self.artist_list is None and self.songs < PAPER_SONGS:
            raise ValueError(
                f"songs={self.songs} needs a division of its own, three numbers that add up to it: null is 15+3+2"
            )
        return self


class ArtistTrainingBlock(Block):
    """How the nets are trained; null is the paper's value for the kind of net."""

    epochs: int | None = Field(None, ge=1, description="at most; null: artist_training.epochs_by_device")
    epochs_by_device: EpochsByDevice = EpochsByDevice(cpu=100, cuda=1000)
    batch: int = Field(15, ge=2)
    learning_rate: float | None = Field(None, gt=0, description="null: 0.1 Siamese, 0.015 Basic and tag-label")
    decay: float = Field(1e-6, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    l2: float = Field(1e-5, ge=0)
    factor: float = Field(0.2, gt=0, lt=1)
    patience: int = Field(6, ge=1)
    max_reductions: int = Field(8, ge=0)
    min_delta: float = Field(0.0, ge=0)
    validation_crops: int = Field(1, ge=1)
    loss: Literal["hinge", "softmax", "contrastive", "triplet"] = "hinge"
    negatives: int = Field(4, ge=1)
    margin: float = Field(0.4, gt=0)
    temperature: float = Field(0.1, gt=0)
    distance: Literal["unit", "euclidean", "cosine"] = "unit"
    statistics: Literal["joint", "by_input"] = "joint"
    precision: Literal["float32", "bfloat16"] = "float32"
    dropout: float = Field(0.5, ge=0, lt=1)
    width: float = Field(1.0, gt=0, le=8)
    checkpoint_every_s: float = Field(60.0, gt=0)


class EncodingBlock(Block):
    """How a song becomes one vector."""

    segments: int = Field(10, ge=1, description="segments of 129 frames, at most; their vectors are averaged")
    placement: Literal["start", "even"] = "start"


class ArtistStudyBlock(Block):
    """The sweep over nets, sizes of sets (`sets.sizes`) and seeds. Lists are written with +."""

    kinds: Joined = "basic+siamese+tag"
    seeds: JoinedNumbers = "0"

    @field_validator("kinds")
    @classmethod
    def _known(cls, value: str) -> str:
        read_kinds(value)
        return value

    @field_validator("seeds")
    @classmethod
    def _numbers(cls, value: str) -> str:
        read_numbers(value)
        return value


def read_kinds(value: str) -> tuple[str, ...]:
    """Read which kinds of net are wanted.

    Parameters
    ----------
    value : str
        Some of `KINDS`, joined by +.

    Returns
    -------
    tuple of str
        In their order.

    Raises
    ------
    ValueError
        If one is unknown, or there is none.
    """
    wanted = {part.strip() for part in value.split("+")}
    if wanted - set(KINDS):
        raise ValueError(f"allowed are some of {', '.join(KINDS)}, joined by +")
    return tuple(kind for kind in KINDS if kind in wanted)
