"""Parameters of the artist group factors (AGF, sections 3.1 and 3.4)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from artist_transfer.pipelines.typed import DAY_S, Block


class DictionaryBlock(Block):
    """K-means over frames (m, d) or tracks (e)."""

    max_centres: int = Field(2048, ge=2)
    rows_per_centre: int = Field(10, ge=1)
    max_rows: int = Field(500_000, ge=100)


class LatentDirichletBlock(Block):
    """The topic model over artists."""

    groups: int = Field(40, ge=2)
    passes: int = Field(20, ge=1)
    iterations: int = Field(100, ge=1)
    restarts: int = Field(3, ge=1, description="fits, of which the one with the best bound is kept")


class EssentiaBlock(Block):
    """Essentia's extractor, run once a track in a pool."""

    shard_size: int = Field(32, ge=1)
    time_limit_s: float = Field(120.0, gt=0, le=DAY_S)


class FactorsBlock(Block):
    """All four feature sets share these; `divide` names those whose counts are divided by the number of tracks."""

    mfcc_coefficients: int = Field(25, ge=2, le=128)
    divide: str = Field("md", pattern="^[mdes]*$")
    uniform_warning: float = Field(0.95, gt=0, le=1)
    dictionary: DictionaryBlock = DictionaryBlock()
    latent_dirichlet: LatentDirichletBlock = LatentDirichletBlock()
    essentia: EssentiaBlock = EssentiaBlock()


FitOn = Literal["train", "all"]
