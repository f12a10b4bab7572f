"""`recognition_study`: recognition over kinds of net and numbers of artists, and what the features transfer to."""

from kedro.pipeline import Pipeline

from artist_transfer.pipelines import artist_evaluation
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
    scores = artist_evaluation.create_pipeline().only_nodes("evaluate_artist_nets")
    transfer = Pipeline(scores, inputs={"split_table": "recognition_split_table"})
    return recognition_job(transfer=True) + transfer
