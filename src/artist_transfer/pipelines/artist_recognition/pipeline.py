"""`artist_recognition`: from raw files to a Basic net and every other system on the same trials, and a recogniser."""

from kedro.pipeline import Pipeline

from artist_transfer.pipelines.recognise.pipeline import enrolling
from artist_transfer.pipelines.recognition_job import recognition_job


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
    return recognition_job("basic") + enrolling()
