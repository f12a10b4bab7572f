"""Parameters of the split."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from artist_transfer.pipelines.typed import AtLeastOne, Block, NotNegative

PAPER_SONGS = 20  # of the division that stands for null
SplitKind = Literal["stratified", "artist_disjoint", "official", "balanced"]


class BalancedBlock(Block):
    """N artists with the same number of songs each, and M artists that no net ever sees."""

    artists: int = Field(500, ge=2)
    unseen_artists: int = Field(0, ge=0)
    songs: int = Field(20, ge=3)
    division: tuple[AtLeastOne, NotNegative, AtLeastOne] | None = Field(
        None,
        description="training/validation/test songs of an artist; null: 15/3/2, from 10,000 artists on 17/1/2",
    )

    @model_validator(mode="after")
    def _division_adds_up(self) -> BalancedBlock:
        if self.division is not None and sum(self.division) != self.songs:
            raise ValueError(f"division {self.division} must add up to songs = {self.songs}")
        if self.division is None and self.songs != PAPER_SONGS:
            raise ValueError(
                f"songs={self.songs} needs a division of its own, three numbers that add up to it: null is 15+3+2"
            )
        return self


class SplittingBlock(Block):
    """Shares of the split; its kind is the top-level parameter `split`."""

    test_share: float = Field(0.15, gt=0, lt=1)
    balanced: BalancedBlock = BalancedBlock()
