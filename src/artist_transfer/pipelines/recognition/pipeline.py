"""Wiring of artist recognition."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.recognition import evaluation, fitting, protocols, reports, scoring

SHOWN = [
    "parameters",
    "corpus_facts",
    "count_facts",
    "quarantine_table",
    "recognition_protocol_facts",
    "recognition_system_facts",
    "artist_set_facts",
    "usable_table",
    "artist_set_table",
    "recognition_song_table",
    "recognition_score_table",
    "recognition_comparison_table",
    "recognition_artist_table",
    "det_table",
    "score_histogram_table",
    "params:recognition",
]
WHERE = ["params:device", "params:threads", "params:cache_root"]


def create_pipeline(*, transfer: bool = False, **kwargs: object) -> Pipeline:
    """Wire nets, songs and a protocol to scores of every system, child runs, plots and the page.

    Artists for validation are taken from `split_table` before nets are trained: `hold_out_artists` gives the
    `recognition_split_table` that the nets of this job learn from.

    Parameters
    ----------
    transfer : bool
        Whether the page also shows what the nets' features transfer to (``artist_score_table``).
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        Nine nodes.
    """
    return Pipeline(
        nodes=[
            Node(
                protocols.cache_frames,
                inputs=["usable_table", "mel_manifest", "params:recognition", "params:cache_root"],
                outputs="song_frames_manifest",
                name="cache_song_frames",
            ),
            Node(
                protocols.hold_out_artists,
                inputs=["usable_table", "split_table", "song_frames_manifest", "params:recognition", "params:seed"],
                outputs="recognition_split_table",
                name="hold_out_artists",
            ),
            Node(
                protocols.draw_trials,
                inputs=[
                    "usable_table",
                    "recognition_split_table",
                    "artist_set_table",
                    "song_frames_manifest",
                    "params:recognition",
                    "params:seed",
                    "params:cache_root",
                ],
                outputs=["recognition_song_table", "recognition_trials_manifest", "recognition_protocol_facts"],
                name="draw_trials",
            ),
            Node(
                fitting.fit_frame_models,
                inputs=[
                    "artist_set_table",
                    "song_frames_manifest",
                    "params:recognition",
                    "params:seed",
                    *WHERE,
                ],
                outputs=["frame_models_manifest", "em_table"],
                name="fit_frame_models",
            ),
            Node(
                scoring.score_trials,
                inputs=[
                    "recognition_song_table",
                    "artist_set_table",
                    "artist_nets_manifest",
                    "frame_models_manifest",
                    "song_frames_manifest",
                    "usable_table",
                    "mel_manifest",
                    "params:recognition",
                    "params:encoding",
                    "params:released_weights",
                    *WHERE,
                ],
                outputs=["recognition_scores_manifest", "recognition_system_facts"],
                name="score_trials",
            ),
            Node(
                evaluation.evaluate_systems,
                inputs=[
                    "recognition_scores_manifest",
                    "recognition_song_table",
                    "params:recognition",
                ],
                outputs=[
                    "recognition_score_table",
                    "recognition_comparison_table",
                    "recognition_artist_table",
                    "det_table",
                    "score_histogram_table",
                    "recognition_metrics",
                ],
                name="evaluate_recognition",
            ),
            Node(
                evaluation.list_runs,
                inputs=["recognition_score_table", "params:split", "params:corpus"],
                outputs="recognition_runs",
                name="list_recognition_runs",
            ),
            Node(
                reports.plot_recognition,
                inputs=["recognition_score_table", "recognition_artist_table", "det_table", "score_histogram_table"],
                outputs=[
                    "det_plot",
                    "score_histogram_plot",
                    "verification_plot",
                    "identification_plot",
                    "hardest_artist_plot",
                ],
                name="plot_recognition",
            ),
            Node(
                reports.write_report,
                inputs=[*SHOWN, "artist_score_table"] if transfer else SHOWN,
                outputs="recognition_study_report" if transfer else "recognition_report",
                name="write_recognition_report",
            ),
        ]
    )
