"""Parameters of `recognise`."""

from __future__ import annotations

from pydantic import Field

from artist_transfer.pipelines.typed import Block


class RecogniseBlock(Block):
    """What is said of a new song."""

    top: int = Field(5, ge=1, description="closest artists that are named")
    prior: float = Field(0.5, gt=0, lt=1, description="share of new songs that are by an enrolled artist")
