"""The `predict` pipeline."""

from artist_transfer.pipelines.predict.pipeline import create_pipeline

__all__ = ["create_pipeline"]
