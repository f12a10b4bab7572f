"""Wiring of `retrieve`: from a query to its neighbours."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.retrieve import nodes


def create_pipeline(**kwargs: object) -> Pipeline:
    """Wire an index, the last one or that of a target, and a query to tables and a page.

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
                nodes.search_index,
                inputs=[
                    "search_manifest",
                    "params:query",
                    "params:released_weights",
                    "params:target",
                    "params:search",
                    "params:device",
                    "params:threads",
                    "params:seed",
                    "params:cache_root",
                ],
                outputs=["similar_songs_csv", "similar_artists_csv", "search_report"],
                name="search_index",
            )
        ]
    )
