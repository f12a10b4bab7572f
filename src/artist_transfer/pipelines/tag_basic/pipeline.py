"""Wiring of `tag_basic`: from raw files to a tag-label net and its evaluation."""

from kedro.pipeline import Pipeline

from artist_transfer.pipelines.artist_job import artist_job


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
    return artist_job("tag")
