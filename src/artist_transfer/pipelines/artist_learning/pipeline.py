"""Wiring of the artist-label nets."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.artist_learning.nodes import ArtistNets


def create_pipeline(*, kinds: tuple[str, ...] = (), **kwargs: object) -> Pipeline:
    """Wire usable tracks and spectrograms to sets and nets.

    Parameters
    ----------
    kinds : tuple of str
        Kinds of net; empty: those that `artist_study.kinds` names.
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        Two nodes.
    """
    nodes = ArtistNets(kinds)
    return Pipeline(
        nodes=[
            Node(
                nodes.choose_sets,
                inputs=[
                    "usable_table",
                    "split_table",
                    "list_name_table",
                    "params:sets",
                    "params:artist_study",
                    "params:seed",
                ],
                outputs=["artist_set_table", "artist_list_table", "artist_set_facts"],
                name="choose_sets",
            ),
            Node(
                nodes.learn_nets,
                inputs=[
                    "artist_set_table",
                    "artist_set_facts",
                    "usable_table",
                    "mel_manifest",
                    "params:artist_training",
                    "params:device",
                    "params:threads",
                    "params:cache_root",
                ],
                outputs=["artist_nets_manifest", "artist_net_table"],
                name="learn_artist_nets",
            ),
        ]
    )
