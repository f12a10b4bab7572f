"""The `download` pipeline."""

from artist_transfer.pipelines.download.pipeline import create_pipeline

__all__ = ["create_pipeline"]
