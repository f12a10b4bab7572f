"""Parameters of the mel cache: the front end and what counts as usable audio."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from artist_transfer.pipelines.typed import DAY_S, Block


class ProbeBlock(Block):
    """What a decoded file must be like to be used."""

    min_duration_s: float = Field(1.5, ge=1.1)
    max_duration_s: float = Field(900.0, gt=0, le=DAY_S)
    length_tolerance: float = Field(0.05, ge=0, lt=1)
    silence_dbfs: float = Field(-80.0, lt=0)

    @model_validator(mode="after")
    def _something_is_left(self) -> ProbeBlock:
        if not self.min_duration_s < self.max_duration_s:
            raise ValueError(
                f"min_duration_s={self.min_duration_s:g} leaves no file with max_duration_s={self.max_duration_s:g}: "
                "allowed is min_duration_s below max_duration_s"
            )
        return self


class MelBlock(Block):
    """The spectrogram (AGF, section 3.3) and how its cache is cut."""

    front_end: Literal["agf", "agf_released"] = "agf"
    shard_size: int = Field(64, ge=1)
    probe: ProbeBlock = ProbeBlock()
