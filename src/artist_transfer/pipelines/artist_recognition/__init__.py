"""The `artist_recognition` pipeline."""

from artist_transfer.pipelines.artist_recognition.pipeline import create_pipeline

__all__ = ["create_pipeline"]
