"""Nodes of search: songs like this song, artists like this artist."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_learning.encoders import find_encoder
from artist_transfer.pipelines.artist_learning.params import EncodingBlock
from artist_transfer.pipelines.retrieve.corpora import choose_corpus, known_corpora
from artist_transfer.pipelines.retrieve.params import SearchBlock
from artist_transfer.provenance import git_state

if TYPE_CHECKING:
    from artist_transfer.search.index import SearchIndex
    from artist_transfer.search.query import Query

log = logging.getLogger(__name__)

PAGE_FOLDER = Path("data/08_reporting")


def search_index(
    search_manifest: dict[str, Any],
    query: str,
    released_weights: str | None,
    target: str | None,
    search: SearchBlock,
    device: str,
    threads: int | None,
    seed: int,
    cache_root: str,
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Find the songs and artists most like a sound file, a track or an artist.

    Parameters
    ----------
    search_manifest : dict
        The index that was built last.
    query : str
        File, track or artist.
    released_weights : str or None
        The authors' file, if the index is by their net.
    target : str or None
        Name of the corpus that is searched; None is the one that was embedded last.
    search : SearchBlock
        What is shown.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    seed : int
        Of the map.
    cache_root : str
        Where indexes, nets and the map are.

    Returns
    -------
    similar_songs_csv, similar_artists_csv : pd.DataFrame
        With scores, best first.
    search_report : str
        The page.
    """
    from artist_transfer.reporting.search_page import render_search
    from artist_transfer.search.index import open_index
    from artist_transfer.search.query import resolve
    from artist_transfer.search.retrieve import artists_like, songs_like
    from artist_transfer.search.song_map import cached_map
    from artist_transfer.training.devices import pin_threads

    pin_threads(threads)
    manifest = choose_corpus(search_manifest, target, cache_root)
    index, root = open_index(manifest["index"]), manifest["corpus_root"]
    _tell(index, manifest["target"], cache_root)
    asked = resolve(query, index, corpus_root=root)
    if asked.vector is None:
        asked = _encode(asked, index, manifest, released_weights, device, cache_root)
    songs, artists = songs_like(index, asked, k=search.k), artists_like(index, asked, k=search.k)
    page = render_search(
        index=index,
        query=asked,
        songs=songs,
        artists=artists,
        map_table=cached_map(cache_root, index, most=search.map_points, seed=seed) if len(index.tracks) > 2 else None,
        page_folder=PAGE_FOLDER,
        corpus_root=root,
        corpus=manifest["target"],
        audio=search.audio,
        snippet_s=search.snippet_s,
        inline_mb=search.inline_mb,
        facts={"seed": seed} | {key: value for key, value in git_state(Path.cwd()).items() if value is not None},
    )
    return songs, artists, page


def _tell(index: SearchIndex, name: str, cache_root: str) -> None:
    """Say which corpus is searched, and which others could be."""
    others = [other for other in known_corpora(cache_root) if other != name]
    log.info(
        "Searching %s: %d songs of %d artists%s",
        name,
        index.facts["n_songs"],
        index.facts["n_artists"],
        f" (--params target=… searches {', '.join(others)} instead)" if others else "",
    )


def _encode(
    asked: Query,
    index: SearchIndex,
    manifest: Mapping[str, Any],
    released_weights: str | None,
    device: str,
    cache_root: str,
) -> Query:
    """Encode a file as the songs of the index were encoded."""
    from artist_transfer.audio.probe import ProbeParams
    from artist_transfer.models.encoding import encode_songs
    from artist_transfer.search.sound import frames_of_file
    from artist_transfer.training.devices import resolve_device

    encoding = index.encoder.encoding
    if encoding is None or "probe" not in manifest:
        raise ArtistTransferError(
            f"the index of {manifest['target']} does not say how its songs were encoded, so no file can be compared "
            "with them: run the same `kedro run --pipeline=embed …` again"
        )
    named = find_encoder(manifest["encoder"], cache_root=cache_root, released_weights=released_weights)
    frames = frames_of_file(asked.key, probe=ProbeParams(**manifest["probe"]))

    class One:
        def frames(self, track_id: str, /) -> Any:
            return frames

    vectors, left_out = encode_songs(named.net, One(), [asked.key], device=resolve_device(device), **encoding)
    if left_out:
        raise ArtistTransferError(f"query={asked.text}: {left_out[asked.key]}")
    return asked.encoded(vectors[0], named.encoder_of(EncodingBlock(**encoding)), index)
