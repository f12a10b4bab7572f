"""The `retrieve` pipeline."""

from artist_transfer.pipelines.retrieve.pipeline import create_pipeline

__all__ = ["create_pipeline"]
