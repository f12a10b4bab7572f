"""Wiring of the download."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.download import nodes


def create_pipeline(**kwargs: object) -> Pipeline:
    """Wire the parameters of FMA to its files.

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
                nodes.download_fma,
                inputs=["params:corpus", "params:corpus_root", "params:ingestion", "params:download"],
                outputs="download_facts",
                name="download_fma",
            )
        ]
    )
