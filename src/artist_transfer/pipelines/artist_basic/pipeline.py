"""Wiring of `artist_basic`: from raw files to a softmax net over artists and its evaluation."""

from kedro.pipeline import Pipeline

from artist_transfer.pipelines import artist_evaluation, artist_learning, ingestion, mel_cache, splitting


def create_pipeline(**kwargs: object) -> Pipeline:
    """Put the rooms together.

    Parameters
    ----------
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        All of their nodes.
    """
    rooms = [
        ingestion.create_pipeline(),
        mel_cache.create_pipeline(ismir=True),
        splitting.create_pipeline(),
        artist_learning.create_pipeline(kinds=("basic",)),
        artist_evaluation.create_pipeline(),
    ]
    return sum(rooms, Pipeline([]))
