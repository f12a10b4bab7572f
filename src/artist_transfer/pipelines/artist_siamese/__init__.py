"""The `artist_siamese` pipeline."""

from artist_transfer.pipelines.artist_siamese.pipeline import create_pipeline

__all__ = ["create_pipeline"]
