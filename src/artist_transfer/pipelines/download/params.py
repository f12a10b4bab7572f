"""Parameters of the download."""

from __future__ import annotations

from pydantic import Field

from artist_transfer.pipelines.typed import Block


class DownloadBlock(Block):
    """Where FMA comes from."""

    base_url: str | None = Field(None, description="a mirror; null: FMA's own")
    retries: int = Field(10, ge=0)
