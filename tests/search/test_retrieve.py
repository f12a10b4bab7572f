from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.search.index import Encoder, SearchIndex, build_index
from artist_transfer.search.query import resolve
from artist_transfer.search.retrieve import artists_like, songs_like


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(float), b.astype(float)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_songs_like_a_song(index: SearchIndex) -> None:
    query = resolve("000003", index)
    found = songs_like(index, query, k=8)
    assert found["rank"].tolist() == list(range(1, 9))
    assert found["score"].is_monotonic_decreasing
    assert "000003" not in found["recording_id"].tolist()
    assert set(found["artist_id"][:5]) == {"a3"}  # the five others of its corner
    assert found["same_artist"].tolist() == [True] * 5 + [False] * 3
    rows = {track: row for row, track in enumerate(index.tracks["track_id"])}
    for score, track in zip(found["score"], found["track_id"]):
        if not track.startswith("x"):
            assert score == pytest.approx(cosine(index.vectors[rows["000003"]], index.vectors[rows[track]]), abs=1e-6)


def test_a_song_in_clips_is_found_once_and_never_by_itself(index: SearchIndex) -> None:
    found = songs_like(index, resolve("000000", index), k=40)
    assert found["recording_id"].tolist().count("x") == 1
    assert len(found) == 31
    for clip in ("x.0", "x.2", "x"):
        assert "x" not in songs_like(index, resolve(clip, index), k=40)["recording_id"].tolist()


def test_songs_like_an_artist_are_of_others(index: SearchIndex) -> None:
    found = songs_like(index, resolve("Nina", index), k=40)
    assert "a3" not in found["artist_id"].tolist()
    assert len(found) == 32 - 6
    assert found["artist_id"].isna().sum() == 1


def test_artists_like_an_artist(index: SearchIndex) -> None:
    found = artists_like(index, resolve("a0", index), k=10)
    assert sorted(found["artist_id"]) == ["a1", "a2", "a3", "a4"]
    vectors, row_of = index.artists.vectors, index.artists.row_of
    for score, artist in zip(found["score"], found["artist_id"]):
        assert score == pytest.approx(cosine(vectors[0], vectors[row_of[artist]]), abs=1e-6)
    for artist, track in zip(found["artist_id"], found["track_id"]):
        own = index.songs.by_artist[artist]
        best = max(own, key=lambda row: cosine(vectors[0], index.songs.vectors[row]))
        assert index.songs.table["track_id"][best] == track


def test_the_artist_of_a_song_is_compared_without_the_song(index: SearchIndex) -> None:
    query = resolve("000003", index)
    found = artists_like(index, query, k=10)
    assert found["artist_id"][0] == "a3"
    assert found["same_artist"].tolist() == [True] + [False] * 4
    others = [row for row in index.songs.by_artist["a3"] if row not in query.own_songs]
    mean = np.asarray(index.songs.vectors, dtype=float)[others].mean(axis=0)
    assert query.vector is not None
    assert found["score"][0] == pytest.approx(cosine(query.vector, mean), abs=1e-6)
    assert found["track_id"][0] != "000003"


def test_an_artist_of_one_song_does_not_find_itself(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder
) -> None:
    some = Embeddings(embeddings.track_ids[:6], embeddings.vectors[:6])  # a0 has two songs, the others one
    index = build_index(tmp_path / "some", some, track_table, encoder)
    assert sorted(artists_like(index, resolve("000003", index))["artist_id"]) == ["a0", "a1", "a2", "a4"]
    assert "a0" in artists_like(index, resolve("000000", index))["artist_id"].tolist()


def test_a_corpus_without_artists_has_songs_only(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder
) -> None:
    index = build_index(tmp_path / "i", embeddings, track_table.assign(artist_id=None, artist=None), encoder)
    query = resolve("000003", index)
    assert len(artists_like(index, query)) == 0
    assert len(songs_like(index, query, k=5)) == 5


def test_a_file_that_was_not_encoded_is_an_error(index: SearchIndex, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(ArtistTransferError, match="not been encoded"):
        songs_like(index, resolve(str(tmp_path / "a.wav"), index))
