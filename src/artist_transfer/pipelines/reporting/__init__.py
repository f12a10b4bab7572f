"""The `reporting` pipeline."""

from artist_transfer.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
