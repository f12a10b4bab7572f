"""Wiring of the mel cache."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.mel_cache import nodes


def create_pipeline(*, ismir: bool = False, **kwargs: object) -> Pipeline:
    """Wire the track table to the shards, the usable tracks and the quarantine.

    Parameters
    ----------
    ismir : bool
        Whether spectrograms are those of the artist-label nets.
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
                nodes.cache_ismir_mel if ismir else nodes.cache_mel,
                inputs=[
                    "track_table",
                    "corpus_facts",
                    "params:mel",
                    "params:workers",
                    "params:cache_root",
                    "params:cluster",
                ],
                outputs=["mel_manifest", "probe_table"],
                name="cache_mel",
            ),
            Node(
                nodes.screen_tracks,
                inputs=["track_table", "probe_table"],
                outputs=["usable_table", "quarantine_table", "count_facts"],
                name="screen_tracks",
            ),
        ]
    )
