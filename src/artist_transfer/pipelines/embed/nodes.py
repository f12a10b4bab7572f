"""Nodes of embedding: a vector for every track of a corpus, an index to search, a name to evaluate it by."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from artist_transfer.pipelines.artist_evaluation.targets import save_target
from artist_transfer.pipelines.artist_learning.encoders import embed, find_encoder
from artist_transfer.pipelines.artist_learning.params import EncodingBlock
from artist_transfer.pipelines.mel_cache.params import MelBlock
from artist_transfer.pipelines.retrieve.corpora import remember_corpus
from artist_transfer.pipelines.retrieve.params import SearchBlock

log = logging.getLogger(__name__)


def embed_corpus(
    usable_table: pd.DataFrame,
    quarantine_table: pd.DataFrame,
    mel_manifest: dict[str, Any],
    corpus_facts: dict[str, Any],
    encoder: str,
    released_weights: str | None,
    target: str | None,
    encoding: EncodingBlock,
    mel: MelBlock,
    search: SearchBlock,
    device: str,
    threads: int | None,
    seed: int,
    cache_root: str,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Encode all tracks of a corpus and build its index.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The tracks.
    quarantine_table : pd.DataFrame
        Those that are not usable; a target remembers how many.
    mel_manifest : dict
        Spectrograms of the ismir front end.
    corpus_facts : dict
        Where the tracks are, and which official lists they have.
    encoder : str
        basic, siamese, tag, ismir2018_siamese, or the folder of a net.
    released_weights : str or None
        The authors' file; None fetches it.
    target : str or None
        Name under which `retrieve` and `artist_evaluation.targets` find the corpus; None is the kind of the corpus.
    encoding : EncodingBlock
        Segments of a song.
    mel : MelBlock
        What counted as usable: a file that is asked for is held to the same.
    search : SearchBlock
        From how many songs on the index is approximate.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    seed : int
        Of an approximate index.
    cache_root : str
        Where vectors and index are kept.

    Returns
    -------
    search_manifest : dict
        Where the index is, and what it is of.
    track_embedding_table : pd.DataFrame
        ``track_id``, ``embedding``: what `--params embeddings=FILE` takes.
    """
    from artist_transfer.search.index import cached_index
    from artist_transfer.training.devices import pin_threads, resolve_device

    pin_threads(threads)
    named = find_encoder(encoder, cache_root=cache_root, released_weights=released_weights)
    embeddings, left_out = embed(
        named, usable_table, mel_manifest, encoding, device=resolve_device(device), cache_root=cache_root
    )
    for track, reason in left_out.items():
        log.warning("Not embedded: %s: %s", track, reason)
    made_by = named.encoder_of(encoding)
    index = cached_index(cache_root, embeddings, usable_table, made_by, exact_up_to=search.exact_up_to, seed=seed)
    name = target or corpus_facts["corpus"]
    told = {**corpus_facts, "quarantined": len(quarantine_table)}
    save_target(cache_root, name, usable_table, mel_manifest, told)
    log.info("%d tracks embedded by %s; the corpus is now known as %s", len(embeddings.track_ids), named.name, name)
    manifest = {
        "index": index.folder.as_posix(),
        "encoder": encoder,
        "target": name,
        "corpus_root": corpus_facts["root"],
        "probe": mel.probe.model_dump(),
        "tracks": len(embeddings.track_ids),
        "left_out": left_out,
    }
    remember_corpus(cache_root, manifest)
    return manifest, pd.DataFrame({"track_id": embeddings.track_ids, "embedding": list(embeddings.vectors)})
