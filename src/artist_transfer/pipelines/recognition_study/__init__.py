"""The `recognition_study` pipeline."""

from artist_transfer.pipelines.recognition_study.pipeline import create_pipeline

__all__ = ["create_pipeline"]
