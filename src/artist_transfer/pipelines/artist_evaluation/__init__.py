"""The `artist_evaluation` pipeline."""

from artist_transfer.pipelines.artist_evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
