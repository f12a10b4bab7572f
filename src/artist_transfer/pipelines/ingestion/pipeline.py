"""Wiring of ingestion."""

from collections.abc import Callable

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.ingestion import nodes

READ = ["track_table", "exclusion_table", "list_name_table", "corpus_facts"]
READING = ["params:corpus", "params:corpus_root", "params:ingestion", "params:workers"]
SPLITTING = ["params:split", "params:splitting", "params:folds", "params:embeddings", "params:sets"]


def create_pipeline(
    *, split: bool = True, kinds: tuple[str, ...] | None = None, unseen: bool = False, **kwargs: object
) -> Pipeline:
    """Wire the files of a corpus to the track table.

    Parameters
    ----------
    split : bool
        Whether the job goes on to split the tracks, so that it is tried at once.
    kinds : tuple of str, optional
        Kinds of artist-label net that the job trains, so that it is tried whether there are artists enough; empty:
        those that `artist_study.kinds` names.
    unseen : bool
        Whether the job recognises artists that no net of `kinds` has learned from.
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        One node.
    """
    read: Callable[..., object] = nodes.read_corpus if split else nodes.read_tracks
    inputs = [*READING, *(SPLITTING if split else [])]
    if kinds is not None:
        corpus = nodes.ArtistCorpus(kinds)
        read = corpus.read_for_recognition if unseen else corpus.read_corpus
        inputs += ["params:artist_study", *(["params:recognition"] if unseen else [])]
    return Pipeline(nodes=[Node(read, inputs=inputs, outputs=READ, name="read_corpus")])
