"""The `transfer_evaluation` pipeline."""

from artist_transfer.pipelines.transfer_evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
