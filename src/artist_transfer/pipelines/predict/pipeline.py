"""Wiring of prediction."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.new_audio import list_audio
from artist_transfer.pipelines.predict import nodes


def create_pipeline(**kwargs: object) -> Pipeline:
    """Wire new audio and the last trained model to genre probabilities.

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
                list_audio,
                inputs=["params:audio", "params:ingestion"],
                outputs=["audio_track_table", "audio_facts"],
                name="list_audio",
            ),
            Node(
                nodes.predict_audio,
                inputs=[
                    "audio_track_table",
                    "audio_facts",
                    "model_weights",
                    "params:mel",
                    "params:device",
                    "params:threads",
                    "params:workers",
                    "params:cache_root",
                ],
                outputs="audio_predictions_csv",
                name="predict_audio",
            ),
        ]
    )
