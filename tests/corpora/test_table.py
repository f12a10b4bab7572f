"""Collections that one CSV describes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from artist_transfer.corpora.table import read_table
from artist_transfer.errors import ArtistTransferError


def write(root: Path, text: str, *, encoding: str = "utf-8") -> Path:
    """Write tracks.csv."""
    (root / "tracks.csv").write_text(text, encoding=encoding)
    return root


def test_default_names(table_root: Path) -> None:
    table, notes = read_table(table_root)
    assert table["track_id"].tolist() == ["000001", "000002", "000003"]
    assert table["genres"].tolist() == [["dub", "live"], ["ballad", "live"], []]
    assert table["genre_top"].fillna("-").tolist() == ["-", "folk", "folk"]
    assert table["artist_id"].fillna("-").tolist() == ["-", "7", "8"]
    assert table["declared_s"].fillna(-1).tolist() == [-1, 30.0, 12.5]
    assert notes == {"tracks": 3, "without genre": 1, "without artist": 1}
    by_file, _ = read_table(table_root / "tracks.csv")
    pd.testing.assert_frame_equal(by_file, table)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_columns_are_mapped(tmp_path: Path, encoding: str) -> None:
    root = write(tmp_path, "clip,song,who,file,path\nä1,s,é,x.ogg,no\n", encoding=encoding)
    columns = {"track_id": "clip", "recording_id": "song", "artist_id": "who", "path": "file"}
    table, _ = read_table(root, columns=columns)
    row = table.iloc[0]
    assert (row["track_id"], row["recording_id"], row["artist_id"], row["path"]) == ("ä1", "s", "é", "x.ogg")


def test_a_column_may_be_declared_absent(table_root: Path) -> None:
    table, notes = read_table(table_root, columns={"genre_top": None, "subgenres": None})
    assert notes["without genre"] == 3
    assert table["genres"].tolist() == [[], [], []]


@pytest.mark.parametrize(
    ("columns", "key", "theirs"),
    [
        ({"artist_id": "composer"}, "artist_id", "composer"),
        ({"track_id": "clip"}, "track_id", "clip"),
        ({"path": None}, "path", "None"),
    ],
)
def test_a_mapped_column_that_is_not_there(
    table_root: Path, columns: dict[str, str | None], key: str, theirs: str
) -> None:
    with pytest.raises(ArtistTransferError) as error:
        read_table(table_root, columns=columns)
    message = str(error.value)
    assert "tracks.csv" in message and f"ingestion.table.columns.{key} " in message and theirs in message
    assert "found: track_id, artist_id, genre_top, subgenres, path, duration_s" in message
    assert "allowed" in message


def test_an_unknown_name_of_ours(table_root: Path) -> None:
    with pytest.raises(
        ArtistTransferError,
        match=r"ingestion\.table\.columns\.genre: unknown.*allowed: track_id, recording_id",
    ):
        read_table(table_root, columns={"genre": "x"})


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("1,a.ogg\n2\n", "row 3: 1 cells"),
        ("1,a.ogg\n2,b.ogg,c\n", "row 3: 3 cells"),
        ('"1\n2",a.ogg\n3\n', "row 4: 1 cells"),
        ("1,a.ogg\n1,b.ogg\n", "row 3, column 'track_id'"),
        ("1,a.ogg\n,b.ogg\n", "row 3, column 'track_id'"),
        ("1,a.ogg\n2,\n", "row 3, column 'path'"),
        ("1,../a.ogg\n", "row 2, column 'path'"),
        ('1,"a.ogg\n', "row 2: malformed CSV"),
        ("", "no rows"),
    ],
)
def test_malformed_rows(tmp_path: Path, body: str, where: str) -> None:
    with pytest.raises(ArtistTransferError) as error:
        read_table(write(tmp_path, "track_id,path\n" + body))
    assert "tracks.csv" in str(error.value) and where in str(error.value)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("subgenres", "[dub"),
        ("subgenres", "[1]"),
        ("duration_s", "long"),
        ("duration_s", "-3"),
        ("duration_s", "nan"),
    ],
)
def test_malformed_cells(tmp_path: Path, column: str, text: str) -> None:
    root = write(tmp_path, f"track_id,path,{column}\n1,a,\n2,b,{text}\n")
    with pytest.raises(ArtistTransferError, match=f"row 3, column '{column}'"):
        read_table(root)


@pytest.mark.parametrize(("text", "says"), [("", "track_id"), ("track_id,path,path\n1,a,b\n", "row 1, column 'path'")])
def test_malformed_headers(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ArtistTransferError, match=says):
        read_table(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match=r"corpus_root: file .*/index\.csv is missing"):
        read_table(tmp_path, file="index.csv")


def test_composers(shared_corpora: Path) -> None:
    table, notes = read_table(shared_corpora / "composers")
    assert notes == {"tracks": 921, "without genre": 0, "without artist": 0}
    assert (table["artist_id"].nunique(), table["genre_top"].nunique()) == (51, 5)
    assert table["genres"].explode().nunique() == 48
    assert table["genre_top"].value_counts().to_dict() == {
        "romantic": 411, "modern": 208, "classical": 144, "baroque": 98, "renaissance": 60
    }  # fmt: skip
    assert all((shared_corpora / "composers" / path).is_file() for path in table["path"])


def test_open_music(shared_corpora: Path) -> None:
    columns = {"track_id": "clip_id", "recording_id": "track_id"}
    table, notes = read_table(shared_corpora / "open_music", columns=columns)
    assert notes == {"tracks": 424, "without genre": 424, "without artist": 0}
    assert (table["recording_id"].nunique(), table["artist_id"].nunique()) == (173, 29)
    assert (table["declared_s"] < 29.9).sum() == 7
