"""The `group_factors` pipeline."""

from artist_transfer.pipelines.group_factors.pipeline import create_pipeline

__all__ = ["create_pipeline"]
