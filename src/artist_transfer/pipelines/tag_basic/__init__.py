"""The `tag_basic` pipeline."""

from artist_transfer.pipelines.tag_basic.pipeline import create_pipeline

__all__ = ["create_pipeline"]
