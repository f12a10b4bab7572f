"""Wiring of ingestion."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.ingestion import nodes


def create_pipeline(**kwargs: object) -> Pipeline:
    """Wire the files of a corpus to the track table.

    Parameters
    ----------
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        One node.
    """
    return Pipeline(
        nodes=[
            Node(
                nodes.read_corpus,
                inputs=[
                    "params:corpus",
                    "params:corpus_root",
                    "params:ingestion",
                    "params:workers",
                    "params:split",
                    "params:splitting",
                    "params:folds",
                    "params:embeddings",
                ],
                outputs=["track_table", "corpus_facts"],
                name="read_corpus",
            )
        ]
    )
