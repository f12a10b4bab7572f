"""Wiring of ingestion."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.ingestion import nodes

READ = ["track_table", "exclusion_table", "list_name_table", "corpus_facts"]
READING = ["params:corpus", "params:corpus_root", "params:ingestion", "params:workers"]


def create_pipeline(*, split: bool = True, **kwargs: object) -> Pipeline:
    """Wire the files of a corpus to the track table.

    Parameters
    ----------
    split : bool
        Whether the job goes on to split the tracks, so that it is tried at once.
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        One node.
    """
    if not split:
        node = Node(nodes.read_tracks, inputs=READING, outputs=READ, name="read_corpus")
        return Pipeline(nodes=[node])
    return Pipeline(
        nodes=[
            Node(
                nodes.read_corpus,
                inputs=[
                    *READING,
                    "params:split",
                    "params:splitting",
                    "params:folds",
                    "params:embeddings",
                    "params:sets",
                ],
                outputs=READ,
                name="read_corpus",
            )
        ]
    )
