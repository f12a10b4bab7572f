"""The rooms of every job that trains artist-label nets, from raw files to their evaluation."""

from kedro.pipeline import Pipeline

from artist_transfer.pipelines import artist_evaluation, artist_learning, ingestion, mel_cache, splitting


def artist_job(*kinds: str) -> Pipeline:
    """Put the rooms together.

    Parameters
    ----------
    *kinds : str
        Kinds of net: basic, siamese, tag; none: those that `artist_study.kinds` names.

    Returns
    -------
    Pipeline
        All of their nodes.
    """
    rooms = [
        ingestion.create_pipeline(kinds=kinds),
        mel_cache.create_pipeline(ismir=True),
        splitting.create_pipeline(),
        artist_learning.create_pipeline(kinds=kinds),
        artist_evaluation.create_pipeline(),
    ]
    return sum(rooms, Pipeline([]))
