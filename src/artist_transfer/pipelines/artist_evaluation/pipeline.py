"""Wiring of the evaluation of artist-label nets."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.artist_evaluation import nodes, plots, reports

SHOWN = ["artist_track_map_table", "genre_track_map_table"]


def create_pipeline(**kwargs: object) -> Pipeline:
    """Wire nets to scores on every target, child runs, plots and the page.

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
                nodes.evaluate_nets,
                inputs=[
                    "artist_nets_manifest",
                    "artist_set_table",
                    "usable_table",
                    "split_table",
                    "quarantine_table",
                    "corpus_facts",
                    "mel_manifest",
                    "params:split",
                    "params:artist_evaluation",
                    "params:encoding",
                    "params:released_weights",
                    "params:device",
                    "params:threads",
                    "params:cache_root",
                ],
                outputs=[
                    "artist_score_table",
                    "artist_comparison_table",
                    "artist_evaluation_facts",
                    "artist_metrics",
                ],
                name="evaluate_artist_nets",
            ),
            Node(
                nodes.list_runs,
                inputs=["artist_nets_manifest", "artist_score_table", "params:split", "params:corpus"],
                outputs="artist_runs",
                name="list_artist_runs",
            ),
            Node(
                reports.show_tracks,
                inputs=[
                    "artist_nets_manifest",
                    "usable_table",
                    "split_table",
                    "mel_manifest",
                    "params:encoding",
                    "params:device",
                    "params:seed",
                    "params:cache_root",
                ],
                outputs=[*SHOWN, "artist_neighbour_table", "artist_shown_facts"],
                name="show_tracks",
            ),
            Node(
                plots.plot_artist_nets,
                inputs=["artist_score_table", "artist_net_table", *SHOWN, "params:target", "params:corpus"],
                outputs=plots.PLOTS,
                name="plot_artist_nets",
            ),
            Node(
                reports.write_artist_report,
                inputs=[
                    "parameters",
                    "corpus_facts",
                    "count_facts",
                    "exclusion_table",
                    "quarantine_table",
                    "leakage_table",
                    "artist_set_table",
                    "artist_set_facts",
                    "artist_nets_manifest",
                    "artist_net_table",
                    "artist_score_table",
                    "artist_comparison_table",
                    "artist_evaluation_facts",
                    *SHOWN,
                    "artist_neighbour_table",
                    "artist_shown_facts",
                    "params:artist_evaluation",
                    "params:target",
                    "params:corpus",
                ],
                outputs="artist_nets_report",
                name="write_artist_report",
            ),
        ]
    )
