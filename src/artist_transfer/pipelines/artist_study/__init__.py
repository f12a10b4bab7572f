"""The `artist_study` pipeline."""

from artist_transfer.pipelines.artist_study.pipeline import create_pipeline

__all__ = ["create_pipeline"]
