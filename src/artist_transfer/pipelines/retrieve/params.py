"""Parameters of search."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from artist_transfer.pipelines.typed import DAY_S, Block


class SearchBlock(Block):
    """What a search shows."""

    k: int = Field(10, ge=1, description="songs and artists that are shown")
    exact_up_to: int = Field(100_000, ge=0, description="songs beyond which neighbours are found by faiss")
    map_points: int = Field(5000, ge=2)
    audio: Literal["inline", "link", "none"] = "inline"
    snippet_s: float = Field(12.0, gt=0, le=DAY_S)
    inline_mb: float = Field(6.0, ge=0, le=1e6, description="of all snippets; what does not fit is linked")
