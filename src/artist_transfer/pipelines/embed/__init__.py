"""The `embed` pipeline."""

from artist_transfer.pipelines.embed.pipeline import create_pipeline

__all__ = ["create_pipeline"]
