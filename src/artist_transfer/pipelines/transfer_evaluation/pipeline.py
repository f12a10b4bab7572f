"""Wiring of the transfer evaluation."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.transfer_evaluation import nodes

TRACKS = ["usable_table", "split_table", "mel_manifest", "evaluation_facts"]
PROBE = ["params:transfer", "params:device", "params:threads", "params:seed", "params:cache_root"]


def create_pipeline(**kwargs: object) -> Pipeline:
    """Wire nets to predictions, scores and the map of artists.

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
                nodes.why_not_evaluated,
                inputs=["usable_table", "split_table"],
                outputs="evaluation_facts",
                name="why_not_evaluated",
            ),
            Node(
                nodes.predict_genres,
                inputs=["nets_weights", *TRACKS, "params:embeddings", *PROBE],
                outputs=["transfer_predictions_table", "track_vector_table", "model_weights"],
                name="predict_genres",
            ),
            Node(
                nodes.predict_baselines,
                inputs=["genre_net_weights", *TRACKS, *PROBE],
                outputs="baseline_predictions_table",
                name="predict_baselines",
            ),
            Node(
                nodes.score_predictions,
                inputs=[
                    "transfer_predictions_table",
                    "baseline_predictions_table",
                    "usable_table",
                    "evaluation_facts",
                    "params:transfer",
                    "params:seed",
                ],
                outputs=["transfer_metrics", "genre_score_table", "confusion_table", "interval_facts"],
                name="score_predictions",
            ),
            Node(
                nodes.map_artists,
                inputs=["track_vector_table", "usable_table", "params:seed"],
                outputs="artist_map_table",
                name="map_artists",
            ),
        ]
    )
