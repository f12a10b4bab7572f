from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.track_map import drawn, track_map
from artist_transfer.search.index import SearchIndex
from artist_transfer.search.song_map import COLUMNS, cached_map, index_map, place_of


def test_songs_alike_are_near_each_other(index: SearchIndex) -> None:
    table = index_map(index)
    assert table.columns.tolist() == COLUMNS
    assert len(table) == 32
    assert set(table["kind"]) == {"song"}
    named = table[table["artist_id"].notna()].reset_index(drop=True)
    places = named[["x", "y"]].to_numpy()
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(len(places)) * 1e9
    nearest = named["artist_id"].to_numpy()[gaps.argmin(axis=1)]
    assert (nearest == named["artist_id"].to_numpy()).mean() > 0.9


def test_many_songs_give_a_map_of_artists_and_many_artists_a_draw(index: SearchIndex) -> None:
    assert index_map(index, most=20)["id"].tolist() == ["a0", "a1", "a2", "a3", "a4"]
    some = index_map(index, most=4)
    assert len(some) == 4
    assert set(some["id"]) < {"a0", "a1", "a2", "a3", "a4"}


def test_the_cached_map_is_the_map(index: SearchIndex, tmp_path: Path) -> None:
    first = cached_map(tmp_path, index, most=20)
    pd.testing.assert_frame_equal(first, index_map(index, most=20), check_dtype=False)
    (folder,) = (tmp_path / "maps").iterdir()
    stamp = (folder / "map.parquet").stat().st_mtime_ns
    pd.testing.assert_frame_equal(cached_map(tmp_path, index, most=20), first)
    assert (folder / "map.parquet").stat().st_mtime_ns == stamp


def test_a_query_is_put_at_the_median_of_its_nearest() -> None:
    table = pd.DataFrame({"kind": "song", "id": list("abcdefg"), "x": [0, 1, 2, 3, 4, 50, 60], "y": [1.0] * 7})
    found = pd.DataFrame({"recording_id": ["zzz", "e", "b", "a", "f", "c", "d"]})
    assert place_of(table, found) == (2.0, 1.0)
    assert place_of(table, found.head(1)) is None


def test_a_draw_keeps_what_it_has_to() -> None:
    assert drawn(5, 5, 0).tolist() == [0, 1, 2, 3, 4]
    rows = drawn(1000, 30, 0, always=[999, 7])
    assert len(rows) == len(set(rows)) == 30
    assert {7, 999} <= set(rows)
    assert rows.tolist() == sorted(rows)
    assert rows.tolist() == drawn(1000, 30, 0, always=[7, 999]).tolist()
    assert rows.tolist() != drawn(1000, 30, 1, always=[7, 999]).tolist()


def test_a_map_of_tracks_does_not_depend_on_their_order(embeddings: Embeddings, track_table: pd.DataFrame) -> None:
    first = track_map(embeddings, track_table, label="genre_top", most_tracks=20)
    order = np.random.default_rng(1).permutation(len(track_table))
    again = track_map(embeddings, track_table.iloc[order], label="genre_top", most_tracks=20)
    pd.testing.assert_frame_equal(first, again)
    assert len(first) == 20
    assert first.attrs["n_tracks"] == 27  # six songs of a2 and the song without an artist have no genre
    assert first["genre"].notna().all()
    with pytest.raises(ArtistTransferError, match="no track with a vector has a genre_top"):
        track_map(embeddings, track_table.assign(genre_top=None), label="genre_top")
