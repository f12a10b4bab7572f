"""FMA's metadata as it is, and as it should not be."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from artist_transfer.corpora.fma import read_fma
from artist_transfer.errors import ArtistTransferError

FmaWriter = Callable[..., Path]


def test_a_track_is_read_as_the_files_have_it(write_fma: FmaWriter) -> None:
    table, notes = read_fma(write_fma(), subset="large")
    assert table["track_id"].tolist() == ["000002", "000003", "001486", "100017"]
    assert table["recording_id"].tolist() == table["track_id"].tolist()
    assert table["path"].tolist() == [
        "fma_large/000/000002.mp3",
        "fma_large/000/000003.mp3",
        "fma_large/001/001486.mp3",
        "fma_large/100/100017.mp3",
    ]
    assert table["genres"].tolist() == [
        ["Hip-Hop"],
        ["Hip-Hop", "Alternative Hip-Hop"],
        [],
        ["Alternative Hip-Hop", "Rock"],
    ]
    assert table["genre_top"].fillna("-").tolist() == ["Hip-Hop", "Hip-Hop", "-", "-"]
    assert table["artist_id"].fillna("-").tolist() == ["1", "1", "-", "9"]
    assert table["album_id"].fillna("-").tolist() == ["1", "1", "-", "6"]
    assert table["artist"].fillna("-").tolist() == ["AWOL", "AWOL", "-", "Ann"]
    assert table["title"].tolist() == ["Food", "Two\nlines", "no, artist", "Other"]
    assert table["official_split"].tolist() == ["training", "validation", "test", "test"]
    assert table["declared_s"].tolist() == [30.0, 12.0, 30.0, 30.0]
    assert notes == {"tracks": 4, "without genre": 2, "without artist": 1, "of other subsets": 0}


@pytest.mark.parametrize(("subset", "count"), [("small", 1), ("medium", 3), ("large", 4), ("full", 4)])
def test_subsets_nest(write_fma: FmaWriter, subset: str, count: int) -> None:
    table, notes = read_fma(write_fma(), subset=subset)
    assert notes["tracks"] == len(table) == count
    assert notes["of other subsets"] == 4 - count
    assert all(path.startswith(f"fma_{subset}/") for path in table["path"])
    assert table["declared_s"].isna().all() == (subset == "full")


def test_optional_columns_may_be_absent(write_fma: FmaWriter) -> None:
    without = ["artist.name", "album.id", "track.title", "track.duration", "track.genres_all"]
    table, _ = read_fma(write_fma(without=without), subset="large")
    assert table[["artist", "album_id", "title"]].isna().all(axis=None)
    assert table["declared_s"].tolist() == [30.0] * 4


def test_the_audio_folder_can_have_another_name(write_fma: FmaWriter) -> None:
    root = write_fma()
    (root / "audio").mkdir()
    table, _ = read_fma(root, subset="small", audio_folder="audio")
    assert table["path"].tolist() == ["audio/000/000002.mp3"]


@pytest.mark.parametrize(
    ("row", "line", "column", "text", "says"),
    [
        (0, 4, "track_id", "two", "integer"),
        (0, 4, "track_id", "-2", "integer"),
        (1, 5, "track_id", "2", "row 4 too"),
        (0, 4, "artist.id", "1.5", "integer"),
        (0, 4, "album.id", "x", "integer"),
        (0, 4, "track.genres", "[21", "list"),
        (0, 4, "track.genres", "21", "list"),
        (0, 4, "track.genres", "__import__('os').getcwd()", "list"),
        (0, 4, "track.genres", "['Rock']", "integers"),
        (0, 4, "track.genres", "[21, 99]", "unknown genre id 99"),
        (0, 4, "set.subset", "tiny", "small, medium, large"),
        (0, 4, "official_split", "train", "training, validation, test"),
        (0, 4, "track.duration", "long", "seconds"),
        (2, 7, "artist.id", "Ann", "integer"),  # the row before has a line break in its title
    ],
)
def test_a_malformed_cell_is_named_by_file_row_and_column(
    write_fma: FmaWriter, row: int, line: int, column: str, text: str, says: str
) -> None:
    changed = "set.split" if column == "official_split" else column
    root = write_fma({(row, changed): text})
    before = sorted(root.rglob("*"))
    with pytest.raises(ArtistTransferError) as error:
        read_fma(root, subset="large")
    assert f"tracks.csv, row {line}, column '{column}'" in str(error.value)
    assert says in str(error.value)
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("column", ["set.split", "set.subset", "artist.id", "track.genre_top", "track.genres"])
def test_a_missing_column_is_named(write_fma: FmaWriter, column: str) -> None:
    with pytest.raises(ArtistTransferError, match=rf"tracks.csv, row 2, column '{column}': missing column"):
        read_fma(write_fma(without=[column]), subset="large")


def test_a_ragged_row_is_named(write_fma: FmaWriter) -> None:
    root = write_fma()
    with open(root / "fma_metadata" / "tracks.csv", "a") as stream:
        stream.write("7,1,1\n")
    with pytest.raises(ArtistTransferError, match=r"tracks.csv, row 9: 3 cells .* 11 columns"):
        read_fma(root, subset="large")


def test_one_header_row_is_refused(tmp_path: Path, write_fma: FmaWriter) -> None:
    root = write_fma()
    (root / "fma_metadata" / "tracks.csv").write_text("track_id,genre\n1,Rock,x\n")
    with pytest.raises(ArtistTransferError, match="two header rows"):
        read_fma(root, subset="large")


def test_text_that_is_not_utf8_is_named(write_fma: FmaWriter) -> None:
    root = write_fma()
    path = root / "fma_metadata" / "tracks.csv"
    path.write_bytes(path.read_bytes().replace(b"Other", b"\xff"))
    with pytest.raises(ArtistTransferError, match=r"tracks.csv, row 8: not UTF-8"):
        read_fma(root, subset="large")


@pytest.mark.parametrize("name", ["fma_metadata/tracks.csv", "fma_metadata/genres.csv"])
def test_a_missing_file_is_named(write_fma: FmaWriter, name: str) -> None:
    root = write_fma()
    (root / name).unlink()
    with pytest.raises(ArtistTransferError, match=f"corpus_root: file .*/{name} is missing"):
        read_fma(root, subset="large")


def test_a_missing_audio_folder_and_an_unknown_subset_are_named(write_fma: FmaWriter) -> None:
    root = write_fma()
    (root / "fma_medium").rmdir()
    with pytest.raises(ArtistTransferError, match=r"corpus_root: folder .*/fma_medium is missing"):
        read_fma(root, subset="medium")
    with pytest.raises(
        ArtistTransferError,
        match=r"ingestion\.fma\.subset='tiny' is unknown; allowed: small, medium, large, full",
    ):
        read_fma(root, subset="tiny")


def test_a_subset_without_tracks_is_refused(write_fma: FmaWriter) -> None:
    with pytest.raises(ArtistTransferError, match="no track of subset 'small'"):
        read_fma(write_fma({(0, "set.subset"): "large"}), subset="small")


def test_the_real_genre_titles(write_fma: FmaWriter, shared_corpora: Path) -> None:
    """All genres of the real file become words, whatever their number on a track."""
    real = shared_corpora / "metadata" / "fma" / "genres.csv"
    if not real.is_file():
        pytest.skip(f"{real} is absent")
    oracle = pd.read_csv(real)
    root = write_fma({(0, "track.genres"): str(oracle["genre_id"].tolist())})
    (root / "fma_metadata" / "genres.csv").write_bytes(real.read_bytes())
    table, _ = read_fma(root, subset="small")
    assert table["genres"].iloc[0] == oracle["title"].str.strip().tolist()
    with open(real, newline="", encoding="utf-8") as stream:
        assert len(table["genres"].iloc[0]) == sum(1 for _ in csv.reader(stream)) - 1 == 163
