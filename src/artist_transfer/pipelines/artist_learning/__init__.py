"""The `artist_learning` pipeline."""

from artist_transfer.pipelines.artist_learning.pipeline import create_pipeline

__all__ = ["create_pipeline"]
