"""Genre files of tagtraum."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest

from artist_transfer.corpora.tagtraum import read_tagtraum
from artist_transfer.errors import ArtistTransferError

A, B, C = (f"TRAAA{letter}K128F9318786" for letter in "ABC")
TEXT = f"# tagtraum\n#\n{B}\tJazz\tVocal\n{A}\tPop_Rock\n\n{C}\tNew Age\t\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "msd.cls"
    path.write_text(text, encoding="utf-8")
    return path


def test_one_and_two_genres(tmp_path: Path) -> None:
    table, notes = read_tagtraum(write(tmp_path, TEXT))
    assert table["track_id"].tolist() == [A, B, C]
    assert table["genre_top"].tolist() == ["Pop_Rock", "Jazz", "New Age"]
    assert table["genres"].tolist() == [["Pop_Rock"], ["Jazz", "Vocal"], ["New Age"]]
    assert notes == {"genre rows": 3, "genre rows with two genres": 1, "genre rows that repeat another": 0}


def test_ambiguous_tracks_can_go_without(tmp_path: Path) -> None:
    table, _ = read_tagtraum(write(tmp_path, TEXT), ambiguous="missing")
    assert table["genre_top"].fillna("-").tolist() == ["Pop_Rock", "-", "New Age"]
    assert table["genres"].tolist()[1] == ["Jazz", "Vocal"]
    with pytest.raises(ArtistTransferError, match=r"ambiguous_genre='second'.*first, missing"):
        read_tagtraum(write(tmp_path, TEXT), ambiguous="second")  # type: ignore[arg-type]


def test_a_gzipped_file_reads_the_same(tmp_path: Path) -> None:
    packed = tmp_path / "msd.cls.gz"
    packed.write_bytes(gzip.compress(TEXT.encode()))
    assert read_tagtraum(packed)[0].equals(read_tagtraum(write(tmp_path, TEXT))[0])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"{A}\tJazz", "track .* is Jazz here, but Pop_Rock in row 4"),
        (f"{A} Pop_Rock", "must be a track id"),
        ("TRAAA\tRock", "must be a track id"),
        (f"{A}x\tRock", "must be a track id"),
        (A, "must be a track id"),
        (f"{A}\t\tRock", "must be a track id"),
        (f"{A}\tRock\tPop\tRap", "must be a track id"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(ArtistTransferError, match=rf"msd\.cls, row 7: {says}"):
        read_tagtraum(write(tmp_path, TEXT + line + "\n"))


def test_a_repeated_row_is_counted(tmp_path: Path) -> None:
    table, notes = read_tagtraum(write(tmp_path, TEXT + f"{A}\tPop_Rock\n"))
    assert len(table) == 3 and notes["genre rows"] == 4 and notes["genre rows that repeat another"] == 1


def test_text_that_is_not_utf8_and_an_empty_file_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT)
    path.write_bytes(path.read_bytes().replace(b"Vocal", b"V\xff"))
    with pytest.raises(ArtistTransferError, match=r"msd\.cls, row 3: is not UTF-8"):
        read_tagtraum(path)
    with pytest.raises(ArtistTransferError, match="no track has a genre"):
        read_tagtraum(write(tmp_path, "# nothing\n"))


def test_the_real_file(shared_corpora: Path) -> None:
    path = shared_corpora / "metadata" / "tagtraum" / "msd_tagtraum_cd1.cls.gz"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    table, notes = read_tagtraum(path, ambiguous="missing")
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        cells = [line.rstrip("\n").split("\t") for line in stream]
    assert notes["genre rows"] == len(table) == len(cells) == 133_676
    assert notes["genre rows with two genres"] == sum(len(row) == 3 for row in cells) == table["genre_top"].isna().sum()
    assert Counter(table["genres"].explode()) == Counter(word for row in cells for word in row[1:])
