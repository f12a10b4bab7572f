"""Parameters of the evaluation of artist-label nets (ISMIR, section 4)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from artist_transfer.pipelines.typed import Block, Joined, JoinedNumbers, Seed


class ArtistEvaluationBlock(Block):
    """Targets, and how they are scored."""

    targets: Joined = Field("self", description="self, and names that --pipeline=embed has given, joined by +")
    folds: int = Field(5, ge=2, description="folds by artist of a target without a split of its own")
    k: int = Field(20, ge=1)
    trials: int = Field(10, ge=1, description="of the linear softmax")
    max_epochs: int = Field(500, ge=1, description="of the linear softmax")
    logistic_c: float | None = Field(0.01, gt=0, description="inverse penalty of logistic regression; null: none")
    hidden: JoinedNumbers | None = Field(
        "512+512", description="dense layers of the neural probes of labels and tags, joined by +; null: no such probes"
    )
    discriminant: int | None = Field(None, ge=1, description="dimensions of the linear discriminant; null: none")
    discriminant_solver: Literal["svd", "eigen"] = "svd"
    discriminant_shrinkage: float | Literal["auto"] | None = Field(None, description="0 to 1, or auto; of eigen")
    tags: bool = Field(True, description="score probes of the tags too, where a corpus has any")
    mfcc: bool = Field(True, description="MFCC statistics as a baseline")
    released: bool = Field(False, description="the authors' Siamese net beside ours")
    resamples: int = Field(2000, ge=100)
    level: float = Field(0.95, gt=0.5, lt=1)
    seed: Seed = 0

    @field_validator("targets")
    @classmethod
    def _named(cls, value: str) -> str:
        read_targets(value)
        return value

    @field_validator("hidden")
    @classmethod
    def _widths(cls, value: str | None) -> str | None:
        read_widths(value)
        return value

    @field_validator("discriminant_shrinkage")
    @classmethod
    def _share(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, float) and not 0 <= value <= 1:
            raise ValueError("allowed are numbers from 0 to 1, auto, or null")
        return value

    @model_validator(mode="after")
    def _shrinkage_can_be(self) -> ArtistEvaluationBlock:
        if self.discriminant_shrinkage is not None and self.discriminant_solver == "svd":
            raise ValueError("discriminant_shrinkage needs discriminant_solver=eigen")
        return self


def read_targets(value: str) -> tuple[str, ...]:
    """Read the names of the targets.

    Parameters
    ----------
    value : str
        Joined by +.

    Returns
    -------
    tuple of str
        In the order given.

    Raises
    ------
    ValueError
        If there is none, or one stands twice.
    """
    names = tuple(part.strip() for part in value.split("+"))
    if not all(names) or len(set(names)) < len(names):
        raise ValueError("allowed are different names joined by +, such as self+gtzan")
    return names


def read_widths(value: str | None) -> tuple[int, ...]:
    """Read the widths of dense layers.

    Parameters
    ----------
    value : str or None
        Joined by +.

    Returns
    -------
    tuple of int
        None of them for None.

    Raises
    ------
    ValueError
        If one is no whole number from 1 on.
    """
    if value is None:
        return ()
    parts = [part.strip() for part in value.split("+")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError("allowed are widths of layers from 1 on, joined by +, such as 512+512, or null")
    return tuple(int(part) for part in parts)
