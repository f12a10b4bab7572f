"""Nodes of search: songs like this song, artists like this artist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_learning.encoders import find_encoder
from artist_transfer.pipelines.artist_learning.params import EncodingBlock
from artist_transfer.pipelines.retrieve.params import SearchBlock
from artist_transfer.provenance import git_state

PAGE_FOLDER = Path("data/08_reporting")


def search_index(
    search_manifest: dict[str, Any],
    query: str,
    released_weights: str | None,
    encoding: EncodingBlock,
    search: SearchBlock,
    device: str,
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
    encoding : EncodingBlock
        Segments of a song.
    search : SearchBlock
        What is shown.
    device : str
        auto, cpu or cuda.
    seed : int
        Of the map.
    cache_root : str
        Where nets and the map are.

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

    index = open_index(search_manifest["index"])
    root = search_manifest["corpus_root"]
    asked = resolve(query, index, corpus_root=root)
    if asked.vector is None:
        asked = _encode(asked, index, search_manifest["encoder"], released_weights, encoding, device, cache_root)
    songs, artists = songs_like(index, asked, k=search.k), artists_like(index, asked, k=search.k)
    page = render_search(
        index=index,
        query=asked,
        songs=songs,
        artists=artists,
        map_table=cached_map(cache_root, index, most=search.map_points, seed=seed) if len(index.tracks) > 2 else None,
        page_folder=PAGE_FOLDER,
        corpus_root=root,
        audio=search.audio,
        snippet_s=search.snippet_s,
        inline_mb=search.inline_mb,
        facts={"seed": seed} | {key: value for key, value in git_state(Path.cwd()).items() if value is not None},
    )
    return songs, artists, page


def _encode(
    asked: Any,
    index: Any,
    encoder: str,
    released_weights: str | None,
    encoding: EncodingBlock,
    device: str,
    cache_root: str,
) -> Any:
    from artist_transfer.models.encoding import encode_songs
    from artist_transfer.search.sound import frames_of_file
    from artist_transfer.training.devices import resolve_device

    named = find_encoder(encoder, cache_root=cache_root, released_weights=released_weights)
    frames = frames_of_file(asked.key)

    class One:
        def frames(self, track_id: str, /) -> Any:
            return frames

    settings = encoding.model_dump()
    vectors, left_out = encode_songs(named.net, One(), [asked.key], device=resolve_device(device), **settings)
    if left_out:
        raise ArtistTransferError(f"query={asked.text}: {left_out[asked.key]}")
    return asked.encoded(vectors[0], named.encoder, index)
