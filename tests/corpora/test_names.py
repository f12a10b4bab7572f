"""Names that look the same are the same: whoever typed them, an artist is on one side of a split."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.corpora.conftest import write_rows
from tests.corpora.samples import touch

from artist_transfer.corpora.labelled import read_labelled
from artist_transfer.corpora.leakage import leakage_report
from artist_transfer.corpora.names import folded_name, normal_name
from artist_transfer.corpora.official_lists import official_side
from artist_transfer.corpora.schema import make_track_table
from artist_transfer.corpora.splits import make_split
from artist_transfer.corpora.table import read_table
from artist_transfer.errors import ArtistTransferError

ONE, TWO = (unicodedata.normalize(form, "Björk") for form in ("NFC", "NFD"))
assert ONE != TWO


@given(st.text(max_size=12))
def test_every_spelling_gives_one_name_and_that_one_stays(text: str) -> None:
    for spelt in (normal_name, folded_name):
        found = spelt(text)
        assert {spelt(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")} == {found} == {spelt(found)}


def test_names_are_folded() -> None:
    assert folded_name(f" {TWO.upper()}  Guðmundsdóttir ") == folded_name("björk guðmundsdóttir")
    assert normal_name(f" {TWO} A ") == f"{ONE} A"


def test_an_artist_typed_on_two_systems_is_on_one_side(tmp_path: Path) -> None:
    names = [ONE, TWO, "A", "B", "C", "D"]
    rows = [[str(k), names[k % 6], names[k % 6], "g", f"{k}.wav"] for k in range(24)]
    write_rows(tmp_path / "tracks.csv", [["track_id", "artist_id", "artist", "genre_top", "path"], *rows])
    table, _ = read_table(tmp_path)
    assert table["artist_id"].nunique() == table["artist"].nunique() == 5
    for seed in range(5):
        split = make_split(table.assign(audio_hash=table["track_id"]), kind="artist_disjoint", seed=seed, folds=3)
        who = split.merge(table, on="track_id")["artist_id"].map(normal_name)
        sides = split.assign(who=who).groupby(["fold", "who"])["side"].nunique()
        assert (sides == 1).all()
        report = leakage_report(table.assign(audio_hash=table["track_id"]), split)
        assert not report.loc[report["kind"] == "artists", "shared_test"].any()


@pytest.mark.parametrize("column", ["artist_id", "artist", "album_id", "title"])
def test_every_reader_s_names_are_normal(column: str) -> None:
    """For all readers return what `make_track_table` gives back."""
    found = make_track_table(pd.DataFrame({"track_id": ["1"], "path": [TWO], column: [f" {TWO}"]}), source="x")
    assert found.loc[0, column] == ONE
    assert found.loc[0, "path"] == TWO


def test_recordings_genres_and_albums_too(tmp_path: Path) -> None:
    header = ["track_id", "recording_id", "album_id", "genre_top", "subgenres", "path"]
    rows = [[str(k), name, name, name, f"{name};x", f"{k}.wav"] for k, name in enumerate((ONE, TWO))]
    write_rows(tmp_path / "tracks.csv", [header, *rows])
    table, _ = read_table(tmp_path)
    for column in ("recording_id", "album_id", "genre_top"):
        assert table[column].tolist() == [ONE, ONE]
    assert table["genres"].tolist() == [[ONE, "x"]] * 2


def test_ids_that_look_the_same_are_refused_as_the_same_ids_are(tmp_path: Path) -> None:
    write_rows(tmp_path / "tracks.csv", [["track_id", "path"], [ONE, "1.wav"], [TWO, "2.wav"]])
    with pytest.raises(ArtistTransferError, match=r"row 3, column 'track_id'.*stands in row 2 too"):
        read_table(tmp_path)


@pytest.mark.parametrize(("written", "there"), [(ONE, ONE), (TWO, TWO), (ONE, TWO), (TWO, ONE)])
def test_a_path_is_as_written_or_as_the_file_is(tmp_path: Path, written: str, there: str) -> None:
    write_rows(tmp_path / "tracks.csv", [["track_id", "path", "label"], ["1", f"{written}.wav", "x"]])
    touch(tmp_path, [f"{there}.wav"])
    for table in (read_table(tmp_path)[0], read_labelled(tmp_path)[0]):
        assert table["path"].tolist() == [f"{there}.wav"]


def test_a_path_that_is_there_in_both_spellings_is_as_written(tmp_path: Path) -> None:
    touch(tmp_path, [f"{ONE}.wav", f"{TWO}.wav"])
    rows = [["1", f"{ONE}.wav"], ["2", f"{TWO}.wav"], ["3", f" {TWO}3.wav "]]
    write_rows(tmp_path / "tracks.csv", [["track_id", "path"], *rows])
    assert read_table(tmp_path)[0]["path"].tolist() == [f"{ONE}.wav", f"{TWO}.wav", f"{TWO}3.wav"]


def test_headers_and_sides_are_found_in_each_spelling(tmp_path: Path) -> None:
    write_rows(tmp_path / "tracks.csv", [["track_id", "path", TWO], ["1", "1.wav", "x"]])
    touch(tmp_path, ["1.wav"])
    assert read_labelled(tmp_path, label=ONE)[0]["genre_top"].tolist() == ["x"]
    assert read_table(tmp_path, columns={"title": ONE})[0]["title"].tolist() == ["x"]
    assert official_side(TWO, {ONE: "training"}) == official_side(ONE, {TWO: "training"}) == "training"
