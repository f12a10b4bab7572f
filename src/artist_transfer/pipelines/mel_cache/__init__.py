"""The `mel_cache` pipeline."""

from artist_transfer.pipelines.mel_cache.pipeline import create_pipeline

__all__ = ["create_pipeline"]
