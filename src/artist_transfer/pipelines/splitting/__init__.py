"""The `splitting` pipeline."""

from artist_transfer.pipelines.splitting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
