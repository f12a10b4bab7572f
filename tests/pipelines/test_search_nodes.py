"""Embedding and search, node by node: which corpus is searched, and how a file is encoded that is asked for."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from artist_transfer.artifacts import read_json, write_json
from artist_transfer.corpora.schema import make_track_table
from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.artist_net import ArtistNet, ArtistNetConfig
from artist_transfer.models.files import save_net
from artist_transfer.pipelines.artist_learning.params import EncodingBlock
from artist_transfer.pipelines.cluster import ClusterBlock
from artist_transfer.pipelines.embed.nodes import embed_corpus
from artist_transfer.pipelines.mel_cache.nodes import cache_ismir_mel, screen_tracks
from artist_transfer.pipelines.mel_cache.params import MelBlock, ProbeBlock
from artist_transfer.pipelines.retrieve.nodes import search_index
from artist_transfer.pipelines.retrieve.params import SearchBlock

RATE = 22_050
SONGS = 4


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpora of noise that changes every three seconds, a net, and nothing embedded yet."""
    folder = tmp_path_factory.mktemp("workplace")
    net = ArtistNet(ArtistNetConfig("siamese", 0, width=0.1), seed=3)
    net.set_statistics(0.2, 0.25)
    save_net(folder / "net", net, details={})
    for seed, corpus in enumerate(("first", "second")):
        (folder / corpus).mkdir()
        draw = np.random.default_rng([seed, 5])
        for song in range(SONGS):
            parts = [
                0.4 * np.sin(np.cumsum(draw.uniform(0.02, 2.5, 3 * RATE) * draw.uniform(0.2, 1))) for _ in range(3)
            ]
            soundfile.write(folder / corpus / f"s{song}.wav", np.concatenate(parts), RATE)
    return folder


def embed(workplace: Path, corpus: str, *, target: str | None = None, segments: int = 10, least_s: float = 1.5) -> dict:
    """Embed a corpus as the job does."""
    rows = [{"track_id": f"{corpus}{k}", "artist_id": f"a{k % 2}", "path": f"s{k}.wav"} for k in range(SONGS)]
    table = make_track_table(pd.DataFrame(rows), source=workplace)
    facts = {"corpus": "folder", "root": (workplace / corpus).as_posix()}
    mel, cache = MelBlock(probe=ProbeBlock(min_duration_s=least_s)), (workplace / "cache").as_posix()
    manifest, probed = cache_ismir_mel(table, facts, mel, 1, cache, ClusterBlock())
    usable, _, _ = screen_tracks(table, probed)
    encoding = EncodingBlock(segments=segments)
    net, search = (workplace / "net").as_posix(), SearchBlock()
    found, _ = embed_corpus(
        usable, usable.iloc[:0], manifest, facts, net, None, target, encoding, mel, search, "cpu", 1, 0, cache
    )
    return json.loads(json.dumps(found))


def ask(
    workplace: Path, last: dict, query: object, target: str | None = None, threads: int = 1
) -> tuple[pd.DataFrame, str]:
    """Search as the job does."""
    cache = (workplace / "cache").as_posix()
    songs, _, page = search_index(last, str(query), None, target, SearchBlock(k=3), "cpu", threads, 0, cache)
    return songs, page


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.partition("<main>")[0]).split())


def test_every_corpus_that_was_embedded_can_be_searched(workplace: Path, caplog: pytest.LogCaptureFixture) -> None:
    embed(workplace, "first", target="music")
    last = embed(workplace, "second", target="gtzan")
    caplog.set_level(logging.INFO)
    songs, page = ask(workplace, last, "second1")
    assert all(track.startswith("second") for track in songs["track_id"])
    assert f"Searched in gtzan, among {SONGS} songs of 2 artists" in text_of(page)
    assert f"Searching gtzan: {SONGS} songs of 2 artists (--params target=… searches music instead)" in caplog.text
    songs, page = ask(workplace, last, "first1", "music")
    assert all(track.startswith("first") for track in songs["track_id"])
    assert f"Searched in music, among {SONGS} songs of 2 artists" in text_of(page)
    assert page.count("data:audio/mpeg;base64,") >= 4, "the page carries its sound unless it is told not to"
    with pytest.raises(ArtistTransferError, match=r"target=musik: .* Known: gtzan, music;"):
        ask(workplace, last, "first1", "musik")


@pytest.mark.parametrize("segments", [1, 3])
def test_a_file_is_encoded_as_the_songs_of_the_index(workplace: Path, tmp_path: Path, segments: int) -> None:
    last = embed(workplace, "first", target=f"by{segments}", segments=segments)
    copy = tmp_path / "somewhere else.wav"
    shutil.copy(workplace / "first" / "s2.wav", copy)
    songs, _ = ask(workplace, last, copy)
    assert songs["track_id"].iloc[0] == "first2"
    assert songs["score"].iloc[0] == pytest.approx(1, abs=1e-6)  # one vector, not that of other segments
    whole = embed(workplace, "first", target=f"by{segments}", segments=4 - segments)
    assert read_json(Path(whole["index"]) / "index.json")["encoder"]["segments"] == 4 - segments
    assert whole["index"] != last["index"]


def test_a_file_is_held_to_what_the_corpus_was_held_to(workplace: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", 0.1 * np.random.default_rng(0).uniform(-1, 1, 4 * RATE), RATE)
    last = embed(workplace, "first", target="short")
    assert len(ask(workplace, last, tmp_path / "short.wav")[0])
    last = embed(workplace, "first", target="long", least_s=5.0)
    with pytest.raises(ArtistTransferError, match="too short: 4"):
        ask(workplace, last, tmp_path / "short.wav")


def test_threads_are_those_that_were_asked_for(workplace: Path) -> None:
    last, before = embed(workplace, "first", target="music"), torch.get_num_threads()
    try:
        for threads in (2, 1):
            ask(workplace, last, "first0", threads=threads)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_an_index_that_does_not_say_how_it_was_encoded_compares_no_file(workplace: Path, tmp_path: Path) -> None:
    last = embed(workplace, "second", target="old")
    copy = tmp_path / "mine.wav"
    shutil.copy(workplace / "second" / "s0.wav", copy)
    del last["probe"]
    with pytest.raises(ArtistTransferError, match=r"index of old does not say .* --pipeline=embed"):
        ask(workplace, last, copy)
    assert len(ask(workplace, last, "second0")[0]), "its own songs are found all the same"


def test_a_corpus_of_before_is_found_by_its_name_too(workplace: Path) -> None:
    last = embed(workplace, "second", target="alone")
    (workplace / "cache" / "searchable" / "alone.json").unlink()
    assert len(ask(workplace, last, "second0", "alone")[0])
    write_json(workplace / "cache" / "searchable" / "alone.json", last)
