"""The `agf_study` pipeline."""

from artist_transfer.pipelines.agf_study.pipeline import create_pipeline

__all__ = ["create_pipeline"]
