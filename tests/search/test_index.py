from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.artifacts import sha256_of
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.search.index import (
    ALL_ZERO,
    NO_EMBEDDING,
    Encoder,
    SearchIndex,
    build_index,
    cached_index,
    open_index,
)


def test_vectors_have_length_one_and_stay_on_disk(index: SearchIndex, embeddings: Embeddings) -> None:
    assert isinstance(index.vectors, np.memmap)
    assert index.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(index.vectors, axis=1), 1, atol=1e-6)
    given = embeddings.of(index.tracks["track_id"].tolist())
    cosines = (given * index.vectors).sum(axis=1) / np.linalg.norm(given, axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-6)


def test_opened_again_it_is_the_same(index: SearchIndex, encoder: Encoder, track_table: pd.DataFrame) -> None:
    again = open_index(index.folder, encoder=encoder)
    assert again.encoder == encoder
    assert again.tracks["track_id"].tolist() == sorted(track_table["track_id"])
    assert again.tracks["artist_id"].isna().sum() == 1
    pd.testing.assert_frame_equal(again.tracks, index.tracks)
    assert again.facts["n_songs"] == 32
    assert again.facts["n_tracks"] == 34


def test_equal_content_gives_equal_bytes_whatever_the_order(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder
) -> None:
    order = np.random.default_rng(3).permutation(len(track_table))
    shuffled = Embeddings(tuple(embeddings.track_ids[k] for k in order), embeddings.vectors[order])
    first = build_index(tmp_path / "a", embeddings, track_table, encoder)
    second = build_index(tmp_path / "b", shuffled, track_table.iloc[order[::-1]], encoder)
    assert first.facts == second.facts
    assert [sha256_of(path) for path in sorted(first.folder.iterdir())] == [
        sha256_of(path) for path in sorted(second.folder.iterdir())
    ]


def test_a_song_is_the_mean_of_its_clips_and_an_artist_of_its_songs(index: SearchIndex) -> None:
    def length_one(vector: np.ndarray) -> np.ndarray:
        return vector / np.linalg.norm(vector)

    tracks = index.tracks.set_index("track_id")
    rows = {track: row for row, track in enumerate(tracks.index)}
    clips = length_one(sum(index.vectors[rows[f"x.{k}"]].astype(float) for k in range(3)))
    songs = index.songs
    at = songs.table.index[songs.table["recording_id"] == "x"][0]
    assert songs.table["n_clips"][at] == 3
    assert songs.table["track_id"][at] == "x.0"
    np.testing.assert_allclose(songs.vectors[at], clips, atol=1e-6)
    own = [index.vectors[rows[f"{k:06d}"]].astype(float) for k in range(0, 30, 5)] + [clips]
    np.testing.assert_allclose(index.artists.vectors[0], length_one(sum(own)), atol=1e-6)
    assert index.artists.table["n_songs"].tolist() == [7, 6, 6, 6, 6]
    assert index.artists.table["genre_top"].tolist() == ["baroque", "baroque", None, "soul", "soul"]


def test_tracks_that_cannot_be_found_are_listed(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder
) -> None:
    vectors = embeddings.vectors.copy()
    vectors[4] = 0
    vectors[5] *= np.float32(1e-30)  # small, but with a direction
    some = Embeddings(embeddings.track_ids[:20], vectors[:20])
    index = build_index(tmp_path / "index", some, track_table, encoder)
    reasons = dict(zip(index.left_out["track_id"], index.left_out["reason"]))
    assert reasons.pop("000004") == ALL_ZERO
    assert len(reasons) == 14
    assert set(reasons.values()) == {NO_EMBEDDING}
    assert len(index.tracks) + len(index.left_out) == len(track_table)
    np.testing.assert_allclose(np.linalg.norm(index.vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "mfcc"}, "name 'mfcc' instead of 'ismir2018_siamese'"),
        ({"width": 100}, "width 100 instead of 16"),
        ({"front_end": "agf"}, "front_end 'agf'"),
        ({"weights_sha256": "cd" * 32}, "weights_sha256"),
    ],
)
def test_another_net_is_refused(index: SearchIndex, encoder: Encoder, change: dict[str, object], said: str) -> None:
    other = dataclasses.replace(encoder, **change)  # type: ignore[arg-type]
    with pytest.raises(ArtistTransferError, match=said):
        open_index(index.folder, encoder=other)
    index.check(encoder)


def test_vectors_of_another_width_are_refused_at_once(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder
) -> None:
    narrow = Embeddings(embeddings.track_ids, embeddings.vectors[:, :10])
    with pytest.raises(ArtistTransferError, match="10 columns, those of ismir2018_siamese have 16"):
        build_index(tmp_path / "index", narrow, track_table, encoder)
    assert not (tmp_path / "index").exists()


def test_a_track_that_the_table_does_not_have_is_named(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder
) -> None:
    with pytest.raises(ArtistTransferError, match="'000000'"):
        build_index(tmp_path / "index", embeddings, track_table.iloc[1:], encoder)


def test_the_cache_is_used_and_a_damaged_index_is_made_again(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder
) -> None:
    first = cached_index(tmp_path, embeddings, track_table, encoder)
    before = {path.name: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    second = cached_index(tmp_path, embeddings, track_table.assign(declared_s=3.0), encoder)
    assert second.folder == first.folder
    assert before == {path.name: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    good = (first.folder / "embeddings.npy").read_bytes()
    (first.folder / "embeddings.npy").write_bytes(good[:-4] + b"\1\2\3\4")
    with pytest.warns(ArtistTransferWarning, match=r"embeddings.npy"):
        cached_index(tmp_path, embeddings, track_table, encoder)
    assert (first.folder / "embeddings.npy").read_bytes() == good
    (first.folder / "tracks.parquet").unlink()
    with pytest.warns(ArtistTransferWarning), pytest.raises(ArtistTransferError, match="no finished search index"):
        open_index(first.folder)


def test_no_index_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match="no finished search index"):
        open_index(tmp_path / "nothing")
