"""The `feature_learning` pipeline."""

from artist_transfer.pipelines.feature_learning.pipeline import create_pipeline

__all__ = ["create_pipeline"]
