"""Parameters of the evaluation of artist-label nets (ISMIR, section 4)."""

from __future__ import annotations

from pydantic import Field, field_validator

from artist_transfer.pipelines.typed import Block


class ArtistEvaluationBlock(Block):
    """Targets, and how they are scored."""

    targets: str = Field("self", description="self, and names that --pipeline=embed has given, joined by +")
    folds: int = Field(5, ge=2, description="folds by artist of a target without a split of its own")
    k: int = Field(20, ge=1)
    trials: int = Field(10, ge=1, description="of the linear softmax")
    max_epochs: int = Field(500, ge=1, description="of the linear softmax")
    tag_hidden: tuple[int, ...] = Field((), description="dense layers of the tag probe; none: linear")
    discriminant: int | None = Field(None, ge=1, description="dimensions of the linear discriminant; null: none")
    mfcc: bool = Field(True, description="MFCC statistics as a baseline")
    released: bool = Field(False, description="the authors' Siamese net beside ours")
    resamples: int = Field(2000, ge=100)
    level: float = Field(0.95, gt=0.5, lt=1)
    seed: int = Field(0, ge=0)

    @field_validator("targets")
    @classmethod
    def _named(cls, value: str) -> str:
        read_targets(value)
        return value


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
