"""The `agf_multitask` pipeline, the main job."""

from artist_transfer.pipelines.agf_multitask.pipeline import create_pipeline

__all__ = ["create_pipeline"]
