"""The `recognise` pipeline."""

from artist_transfer.pipelines.recognise.pipeline import create_pipeline

__all__ = ["create_pipeline"]
