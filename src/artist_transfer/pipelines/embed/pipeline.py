"""Wiring of `embed`: from raw files to an index."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines import ingestion, mel_cache
from artist_transfer.pipelines.embed import nodes


def create_pipeline(**kwargs: object) -> Pipeline:
    """Put the rooms together.

    Parameters
    ----------
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        All of their nodes.
    """
    room = Pipeline(
        nodes=[
            Node(
                nodes.embed_corpus,
                inputs=[
                    "usable_table",
                    "quarantine_table",
                    "mel_manifest",
                    "corpus_facts",
                    "params:encoder",
                    "params:released_weights",
                    "params:target",
                    "params:encoding",
                    "params:mel",
                    "params:search",
                    "params:device",
                    "params:threads",
                    "params:seed",
                    "params:cache_root",
                ],
                outputs=["search_manifest", "track_embedding_table"],
                name="embed_corpus",
            )
        ]
    )
    return ingestion.create_pipeline(split=False) + mel_cache.create_pipeline(ismir=True) + room
