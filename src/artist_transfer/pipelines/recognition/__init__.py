"""The `recognition` pipeline."""

from artist_transfer.pipelines.recognition.pipeline import create_pipeline

__all__ = ["create_pipeline"]
