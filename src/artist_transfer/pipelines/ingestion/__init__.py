"""The `ingestion` pipeline."""

from artist_transfer.pipelines.ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
