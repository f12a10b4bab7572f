"""The track table's checks and its way through Parquet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from pandera.errors import SchemaError

from artist_transfer.corpora.fma import read_fma
from artist_transfer.corpora.folder import read_folder
from artist_transfer.corpora.schema import (
    TRACK_COLUMNS,
    TRACK_SCHEMA,
    make_track_table,
    read_track_table,
    split_words,
    write_track_table,
)
from artist_transfer.corpora.table import read_table
from artist_transfer.errors import ArtistTransferError


def rows(**changes: object) -> pd.DataFrame:
    """Two good rows, in the wrong order, with some columns changed."""
    columns: dict[str, object] = {"track_id": ["000010", "000002"], "path": ["b/10.mp3", "a/2.mp3"]}
    return pd.DataFrame(columns | changes, dtype=object)


def test_defaults_are_filled_and_rows_sorted() -> None:
    table = make_track_table(rows(artist=["Ann", ""], surplus=[1, 2]), source="x.csv")
    assert tuple(table.columns) == TRACK_COLUMNS
    assert table["track_id"].tolist() == ["000002", "000010"]
    assert table["recording_id"].tolist() == ["000002", "000010"]
    assert table["path"].tolist() == ["a/2.mp3", "b/10.mp3"]
    assert table["genres"].tolist() == [[], []]
    assert table["artist"].isna().tolist() == [True, False]
    for column in ("artist_id", "album_id", "title", "genre_top", "declared_s", "official_split"):
        assert table[column].isna().all()
    assert table["declared_s"].dtype == np.float64


@pytest.mark.parametrize(
    ("changes", "row", "column"),
    [
        ({"track_id": ["7", "7"]}, 2, "track_id"),
        ({"track_id": ["7", None]}, 2, "track_id"),
        ({"track_id": [7, 8]}, 1, "track_id"),
        ({"path": ["a.mp3", ""]}, 2, "path"),
        ({"path": ["/etc/passwd", "a.mp3"]}, 1, "path"),
        ({"path": ["a.mp3", "b/../../c.mp3"]}, 2, "path"),
        ({"path": ["a.mp3", "b\0.mp3"]}, 2, "path"),
        ({"path": ["a.mp3", "."]}, 2, "path"),
        ({"path": ["a.mp3", "\udcff.mp3"]}, 2, "path"),
        ({"genres": ["folk", "dub"]}, 1, "genres"),
        ({"genres": [["folk"], [3]]}, 2, "genres"),
        ({"genres": [["folk"], 3.5]}, 2, "genres"),
        ({"declared_s": [30.0, -1.0]}, 2, "declared_s"),
        ({"declared_s": [30.0, float("inf")]}, 2, "declared_s"),
        ({"declared_s": ["long", 3]}, 1, "declared_s"),
        ({"official_split": ["training", "train"]}, 2, "official_split"),
        ({"artist_id": [3, 4]}, 1, "artist_id"),
    ],
)
def test_a_bad_cell_is_refused_with_file_row_and_column(changes: dict[str, object], row: int, column: str) -> None:
    with pytest.raises(ArtistTransferError) as error:
        make_track_table(rows(**changes), source="here/x.csv")
    assert f"here/x.csv, row {row}, column '{column}'" in str(error.value)


def test_the_error_names_the_row_of_the_source() -> None:
    with pytest.raises(ArtistTransferError, match=r"row 17, column 'track_id'.*row 4 too"):
        make_track_table(rows(track_id=["7", "7"], source_row=[4, 17]), source="x.csv")


@pytest.mark.parametrize("absent", ["track_id", "path"])
def test_an_absent_required_column_is_refused(absent: str) -> None:
    with pytest.raises(ArtistTransferError, match=f"x.csv: column '{absent}' is missing"):
        make_track_table(rows().drop(columns=absent), source="x.csv")


def test_no_rows_are_refused() -> None:
    with pytest.raises(ArtistTransferError, match="no tracks"):
        make_track_table(rows().iloc[:0], source="x.csv")


@pytest.mark.parametrize("genres", [[["folk", "dub"], []], [[], []]])
def test_parquet_gives_back_the_same_table(tmp_path: Path, genres: list[list[str]]) -> None:
    table = make_track_table(rows(genres=genres, declared_s=[29.5, None]), source="x")
    write_track_table(tmp_path / "t.parquet", table)
    words = pyarrow.parquet.read_schema(tmp_path / "t.parquet").field("genres").type
    assert str(words.value_type) == "string"
    pd.testing.assert_frame_equal(read_track_table(tmp_path / "t.parquet"), table)


@pytest.mark.parametrize("genres", [[["folk", "dub"], []], [[], []]])
def test_plain_pandas_parquet_passes_the_schema_too(tmp_path: Path, genres: list[list[str]]) -> None:
    table = make_track_table(rows(genres=genres), source="x")
    table.to_parquet(tmp_path / "t.parquet")
    back = TRACK_SCHEMA.validate(pd.read_parquet(tmp_path / "t.parquet"))
    assert [list(words) for words in back["genres"]] == table["genres"].tolist()
    pd.testing.assert_frame_equal(back.drop(columns="genres"), table.drop(columns="genres"))


@pytest.mark.parametrize(
    ("column", "value"),
    [("path", "../x.mp3"), ("genres", "folk"), ("official_split", "train"), ("declared_s", 0.0)],
)
def test_the_schema_itself_refuses_what_the_reader_would(column: str, value: object) -> None:
    table = make_track_table(rows(), source="x")
    table[column] = pd.Series([value] * 2, dtype=object if column == "genres" else None)
    with pytest.raises(SchemaError):
        TRACK_SCHEMA.validate(table)


def test_words_are_split_once_each_in_order() -> None:
    assert split_words(" dub ; folk|dub;; new wave ") == ["dub", "folk", "new wave"]


LOADERS = {
    "fma": lambda root: read_fma(root, subset="large"),
    "table": read_table,
    "folder": read_folder,
}


@pytest.mark.parametrize("name", LOADERS)
def test_every_loader_keeps_the_contract(
    name: str, write_fma: Callable[[], Path], table_root: Path, folder_root: Path, tmp_path: Path
) -> None:
    root = {"fma": write_fma, "table": lambda: table_root, "folder": lambda: folder_root}[name]()
    table, notes = LOADERS[name](root)
    pd.testing.assert_frame_equal(TRACK_SCHEMA.validate(table), table)
    assert table["track_id"].is_monotonic_increasing
    assert notes["tracks"] == len(table) >= 3
    assert notes["without genre"] == table["genre_top"].isna().sum() >= 1
    assert notes["without artist"] == table["artist_id"].isna().sum() >= 1
    assert all(isinstance(words, list) for words in table["genres"])
    assert table["genres"].map(len).max() >= 2
    write_track_table(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(read_track_table(tmp_path / "t.parquet"), table)
    again, _ = LOADERS[name](root)
    pd.testing.assert_frame_equal(again, table)


@pytest.mark.parametrize("name", LOADERS)
def test_every_loader_names_a_missing_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match=r"corpus_root: folder .*/nowhere is missing"):
        LOADERS[name](tmp_path / "nowhere")
