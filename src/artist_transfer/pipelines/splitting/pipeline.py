"""Wiring of splitting."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.splitting import nodes


def create_pipeline(**kwargs: object) -> Pipeline:
    """Wire the usable tracks to the split and its leakage report.

    Parameters
    ----------
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        Two nodes.
    """
    return Pipeline(
        nodes=[
            Node(
                nodes.split_tracks,
                inputs=["usable_table", "params:split", "params:splitting", "params:folds", "params:seed"],
                outputs=["split_table", "split_facts"],
                name="split_tracks",
            ),
            Node(
                nodes.report_leakage,
                inputs=["usable_table", "split_table"],
                outputs="leakage_table",
                name="report_leakage",
            ),
        ]
    )
