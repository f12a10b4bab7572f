"""Wiring of the report."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.reporting import nodes

FACTORS = [
    f"{name}_{ending}"
    for name in ("subgenres", "essentia", "dmfcc", "mfcc")
    for ending in ("factor_facts", "reading_table", "factor_table")
]


def create_pipeline(**kwargs: object) -> Pipeline:
    """Wire saved results to plots and the page.

    Parameters
    ----------
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        Five nodes.
    """
    return Pipeline(
        nodes=[
            Node(
                nodes.gather_history,
                inputs=["training_history", "genre_net_history"],
                outputs="learning_curve_table",
                name="gather_history",
            ),
            Node(
                nodes.plot_training,
                inputs="learning_curve_table",
                outputs="learning_curve_plot",
                name="plot_training",
            ),
            Node(
                nodes.plot_scores,
                inputs=["transfer_metrics", "genre_score_table", "confusion_table", "evaluation_facts"],
                outputs=["score_plot", "genre_f1_plot", "confusion_plot"],
                name="plot_scores",
            ),
            Node(nodes.plot_artists, inputs="artist_map_table", outputs="artist_map_plot", name="plot_artists"),
            Node(
                nodes.write_report,
                inputs=[
                    "parameters",
                    "corpus_facts",
                    "count_facts",
                    "exclusion_table",
                    "quarantine_table",
                    "split_facts",
                    "leakage_table",
                    *FACTORS,
                    "nets_weights",
                    "learning_curve_table",
                    "evaluation_facts",
                    "transfer_metrics",
                    "genre_score_table",
                    "confusion_table",
                    "interval_facts",
                    "artist_map_table",
                ],
                outputs="agf_multitask_report",
                name="write_report",
            ),
        ]
    )
