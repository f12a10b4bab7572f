"""The `artist_basic` pipeline."""

from artist_transfer.pipelines.artist_basic.pipeline import create_pipeline

__all__ = ["create_pipeline"]
