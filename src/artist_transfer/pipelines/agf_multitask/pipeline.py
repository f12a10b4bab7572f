"""Wiring of the main job: from raw files to the report."""

from kedro.pipeline import Pipeline

from artist_transfer.pipelines import (
    feature_learning,
    group_factors,
    ingestion,
    mel_cache,
    reporting,
    splitting,
    transfer_evaluation,
)

ROOMS = (ingestion, mel_cache, splitting, group_factors, feature_learning, transfer_evaluation, reporting)


def create_pipeline(**kwargs: object) -> Pipeline:
    """Put the rooms of the main job together.

    Parameters
    ----------
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        All of their nodes.
    """
    return sum((room.create_pipeline() for room in ROOMS), Pipeline([]))
