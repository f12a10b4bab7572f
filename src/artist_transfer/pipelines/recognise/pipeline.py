"""Wiring of `recognise`: from new audio and the last recogniser to artists; and of the recogniser itself."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.new_audio import list_audio
from artist_transfer.pipelines.recognise import nodes


def create_pipeline(**kwargs: object) -> Pipeline:
    """Wire new audio and the last recogniser to artists and scores.

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
                nodes.recognise_audio,
                inputs=[
                    "audio_track_table",
                    "audio_facts",
                    "recogniser_manifest",
                    "params:mel",
                    "params:released_weights",
                    "params:recognise",
                    "params:device",
                    "params:threads",
                    "params:workers",
                    "params:cache_root",
                ],
                outputs="recognised_csv",
                name="recognise_audio",
            ),
        ]
    )


def enrolling() -> Pipeline:
    """Wire the systems of `artist_recognition` to what `recognise` needs.

    Returns
    -------
    Pipeline
        One node.
    """
    return Pipeline(
        nodes=[
            Node(
                nodes.enrol_artists,
                inputs=[
                    "recognition_scores_manifest",
                    "recognition_song_table",
                    "artist_set_table",
                    "artist_nets_manifest",
                    "song_frames_manifest",
                    "usable_table",
                    "mel_manifest",
                    "params:recognition",
                    "params:encoding",
                    "params:released_weights",
                    "params:device",
                    "params:threads",
                    "params:cache_root",
                ],
                outputs="recogniser_manifest",
                name="enrol_artists",
            )
        ]
    )
