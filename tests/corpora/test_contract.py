"""What every reader of a corpus promises, tried on a small sample of each in its real format."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import pytest
from tests.corpora.samples import SAMPLES, Sample

from artist_transfer.corpora.schema import OFFICIAL_SPLITS, TRACK_SCHEMA, read_track_table, write_track_table
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

LISTED = [name for name in SAMPLES if name not in ("folder", "msd", "synthetic")]
"""Corpora whose tracks stand in text files; what MSD's many files promise is tested beside its readers."""


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Sample:
    return SAMPLES[request.param](tmp_path)


@pytest.fixture(params=LISTED)
def listed(request: pytest.FixtureRequest, tmp_path: Path) -> Sample:
    return SAMPLES[request.param](tmp_path)


def test_the_table_is_a_track_table(sample: Sample, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a whole corpus is read without a warning
        table, _, _ = sample.read()
    TRACK_SCHEMA.validate(table)
    assert table["track_id"].tolist() == list(sample.ids)  # strings with their zeros, sorted as strings
    write_track_table(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(read_track_table(tmp_path / "t.parquet"), table)


def test_every_path_is_relative_and_leads_to_a_file(sample: Sample) -> None:
    table, _, _ = sample.read()
    assert table["path"].is_unique
    for path in table["path"]:
        assert not Path(path).is_absolute() and (sample.root / path).is_file()


def test_the_official_split_is_as_stated(sample: Sample) -> None:
    table, _, facts = sample.read()
    assert set(table["official_split"].dropna()) <= set(OFFICIAL_SPLITS)
    assert table["official_split"].value_counts().to_dict() == dict(sample.sides)
    if facts is not None:
        assert facts["entries"] == sum(one["entries"] for one in facts["lists"]) == len(sample.ids)
        assert len({one["sha256"] for one in facts["lists"]}) == len(facts["lists"])


def test_the_notes_add_up(sample: Sample) -> None:
    table, notes, _ = sample.read()
    assert all(type(count) is int and count >= 0 for count in notes.values())
    assert notes["tracks"] == len(table)
    assert notes["without artist"] == table["artist_id"].isna().sum()
    assert notes["without genre"] == table["genre_top"].isna().sum()
    if "listed" in notes:
        assert notes["listed"] == len(table) + sum(n for what, n in notes.items() if what.startswith("listed but not"))
    if "songs in the metadata" in notes:
        left_out = sum(n for what, n in notes.items() if what.startswith("left out: "))
        assert notes["songs in the metadata"] == len(table) + left_out > len(table)


def test_reading_twice_gives_the_same(sample: Sample) -> None:
    first, second = sample.read(), sample.read()
    pd.testing.assert_frame_equal(first[0], second[0])
    assert first[1:] == second[1:]


def test_the_order_of_rows_makes_no_difference(listed: Sample) -> None:
    before = listed.read()
    for path in listed.lists:
        lines = path.read_bytes().splitlines(keepends=True)
        header = 1 if path.name == "annotations_final.csv" else listed.header
        path.write_bytes(b"".join(lines[:header] + lines[header:][::-1]))
    after = listed.read()
    pd.testing.assert_frame_equal(after[0], before[0])
    assert after[1:] == before[1:]


def test_one_track_that_is_not_there_is_counted_and_named(listed: Sample) -> None:
    before, _, facts = listed.read()
    gone = before.iloc[1]
    (listed.root / gone["path"]).unlink()
    if listed.keeps_absent:
        table, _, _ = listed.read()
        assert gone["track_id"] in set(table["track_id"])  # the probe quarantines it with its reason
        return
    with pytest.warns(ArtistTransferWarning, match="1 of .* listed tracks are not in") as caught:
        table, notes, again = listed.read()
    stem = gone["path"].rpartition("/")[2].partition(".mp3")[0]
    named = str(caught[0].message)
    assert gone["track_id"] in named or stem in named
    assert table["track_id"].tolist() == [track for track in listed.ids if track != gone["track_id"]]
    assert notes["listed but not there"] == 1 and notes["listed"] == notes["tracks"] + 1
    with pytest.warns(ArtistTransferWarning):
        ((track, reason),) = listed.exclusions().items()
    assert (
        track == gone["track_id"] and reason.startswith("listed but not there: ") and stem.partition(".")[0] in reason
    )
    assert again == facts  # the list is the same, whatever is there of it


def test_every_track_that_is_not_there_is_named(listed: Sample) -> None:
    before, _, _ = listed.read()
    for path in before["path"].iloc[1:]:
        (listed.root / path).unlink()
    if listed.keeps_absent:
        return
    with pytest.warns(ArtistTransferWarning):
        assert sorted(listed.exclusions()) == before["track_id"].iloc[1:].tolist()


def test_no_track_there_is_an_error(listed: Sample) -> None:
    table, _, _ = listed.read()
    for path in table["path"]:
        (listed.root / path).unlink()
    if listed.keeps_absent:
        assert len(listed.read()[0]) == len(table)
        return
    with pytest.raises(ArtistTransferError, match=f"none of the {len(table)} tracks") as error:
        listed.read()
    assert str(listed.root) in str(error.value)


def test_every_missing_file_is_named(listed: Sample) -> None:
    for path in listed.lists:
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(ArtistTransferError, match="missing") as error:
            listed.read()
        assert path.name in str(error.value) and str(path.parent) in str(error.value)
        path.write_bytes(content)


def test_empty_files_are_an_error_that_names_them(listed: Sample) -> None:
    whole = {path: path.read_bytes() for path in listed.lists}
    for keep in {0, listed.header}:
        for path, content in whole.items():
            path.write_bytes(b"".join(content.splitlines(keepends=True)[:keep]))
        with pytest.raises(ArtistTransferError) as error:
            listed.read()
        assert any(path.name in str(error.value) for path in listed.lists)


def test_text_that_is_not_utf_8_is_an_error_that_names_file_and_row(listed: Sample) -> None:
    path = listed.lists[0]
    path.write_bytes(path.read_bytes() + b"\xff\xfe,\xff\n")
    row = len(path.read_bytes().splitlines())
    with pytest.raises(ArtistTransferError, match=f"{path.name}, row {row}: .*UTF-8"):
        listed.read()


def test_a_folder_that_is_not_there(sample: Sample) -> None:
    sample.root.rename(sample.root.with_name("elsewhere"))
    with pytest.raises(ArtistTransferError, match=r"corpus_root: .*missing"):
        sample.read()
