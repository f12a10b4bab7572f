"""Parameters of the mel cache: the front end and what counts as usable audio."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from artist_transfer.pipelines.typed import Block


class ProbeBlock(Block):
    """What a decoded file must be like to be used."""

    min_duration_s: float = Field(1.5, ge=1.1)
    max_duration_s: float = Field(900.0, gt=0)
    length_tolerance: float = Field(0.05, ge=0, lt=1)
    silence_dbfs: float = Field(-80.0, le=0)


class MelBlock(Block):
    """The spectrogram (AGF, section 3.3) and how its cache is cut."""

    front_end: Literal["agf", "agf_released"] = "agf"
    shard_size: int = Field(64, ge=1)
    probe: ProbeBlock = ProbeBlock()
