"""Wiring of feature learning."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.feature_learning import nodes

TRAINING = ["params:training", "params:device", "params:threads", "params:seed", "params:cache_root"]


def create_pipeline(**kwargs: object) -> Pipeline:
    """Wire spectrograms and factors to the nets and their learning curves.

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
                nodes.learn_features,
                inputs=[
                    "usable_table",
                    "split_table",
                    "mel_manifest",
                    "subgenres_factor_table",
                    "essentia_factor_table",
                    "dmfcc_factor_table",
                    "mfcc_factor_table",
                    "params:tasks",
                    "params:architecture",
                    "params:embeddings",
                    *TRAINING,
                ],
                outputs=["nets_weights", "training_history"],
                name="learn_features",
            ),
            Node(
                nodes.learn_genre_baseline,
                inputs=["usable_table", "split_table", "mel_manifest", *TRAINING],
                outputs=["genre_net_weights", "genre_net_history"],
                name="learn_genre_baseline",
            ),
        ]
    )
