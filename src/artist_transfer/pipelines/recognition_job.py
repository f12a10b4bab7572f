"""The rooms of every job that recognises artists, from raw files to its page."""

from kedro.pipeline import Pipeline

from artist_transfer.pipelines import artist_learning, ingestion, mel_cache, recognition, splitting


def recognition_job(*kinds: str, transfer: bool = False) -> Pipeline:
    """Put the rooms together.

    Parameters
    ----------
    *kinds : str
        Kinds of net; none: those that `artist_study.kinds` names.
    transfer : bool
        Whether the page shows what features transfer to.

    Returns
    -------
    Pipeline
        All of their nodes. The nets learn from the split without the artists that are held out for validation.
    """
    learning = Pipeline(artist_learning.create_pipeline(kinds=kinds), inputs={"split_table": "recognition_split_table"})
    rooms = [
        ingestion.create_pipeline(kinds=kinds, unseen=True),
        mel_cache.create_pipeline(ismir=True),
        splitting.create_pipeline(),
        learning,
        recognition.create_pipeline(transfer=transfer),
    ]
    return sum(rooms, Pipeline([]))
