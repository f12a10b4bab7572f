"""Listed tracks: the file of each under whatever ending, and names that no file can have."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.corpora.conftest import write_rows
from tests.corpora.samples import GTZAN_LISTS, jamendo, touch, write_lines

from artist_transfer.corpora.gtzan import read_gtzan
from artist_transfer.corpora.labelled import read_labelled
from artist_transfer.corpora.listed_audio import find_audio, is_there
from artist_transfer.corpora.table import read_table
from artist_transfer.errors import ArtistTransferWarning


def test_endings_in_any_case(tmp_path: Path) -> None:
    lines = [line for own in GTZAN_LISTS.values() for line in own]
    endings = (".WAV", ".Wav", ".mp3", ".MP3", ".AU", ".Flac")
    files = [line.removesuffix(".wav") + ending for line, ending in zip(lines, endings, strict=True)]
    touch(tmp_path, files)
    for name, own in GTZAN_LISTS.items():
        write_lines(tmp_path / name, own)
    table, notes, _, left_out = read_gtzan(tmp_path)
    assert table["path"].tolist() == sorted(files)
    assert notes["listed but not there"] == len(left_out) == notes["on no list"] == 0


def test_of_several_files_the_first_ending_and_as_it_is_written(tmp_path: Path) -> None:
    touch(tmp_path, ["a/1.wav", "a/1.MP3", "a/2.MP3", "a/2.mp3", "3.OGG", "a/b.c.low.mp3", "a/4.txt", "a/xmp3"])
    (tmp_path / "a/5.mp3").mkdir()
    stems = ["a/1", "a/2", "3", "a/b.c", "a/b.c.low", "a/4", "a/5", "a/x", "none/1", "a/" + "x" * 300]
    assert find_audio(tmp_path, stems, endings=(".mp3", ".low.mp3", ".wav", ".ogg")) == {
        "a/1": "a/1.MP3", "a/2": "a/2.mp3", "3": "3.OGG", "a/b.c": "a/b.c.low.mp3", "a/b.c.low": "a/b.c.low.mp3",
    }  # fmt: skip


def test_low_quality_is_counted_in_any_case(tmp_path: Path) -> None:
    sample = jamendo(tmp_path)
    before = sample.read()[1]["of low quality"]
    files = sorted(path for path in sample.root.rglob("*.mp3") if not path.name.endswith(".low.mp3"))
    files[0].rename(files[0].with_suffix(".LOW.MP3"))
    assert sample.read()[1]["of low quality"] == before + 1


@pytest.mark.parametrize("name", ["x" * 300 + ".wav", "/".join(["x" * 200] * 30) + ".wav", "ä" * 200])
def test_a_path_that_is_too_long_is_left_out_and_counted(tmp_path: Path, name: str) -> None:
    write_rows(tmp_path / "tracks.csv", [["track_id", "path", "label"], ["1", "1.wav", "x"], ["2", name, "x"]])
    touch(tmp_path, ["1.wav"])
    assert not is_there(tmp_path, name)
    with pytest.warns(ArtistTransferWarning, match="1 of 2 listed tracks are not in"):
        table, notes, _, left_out = read_labelled(tmp_path)
    assert table["track_id"].tolist() == ["1"]
    assert notes["listed but not there"] == 1 and notes["listed"] == 2
    assert left_out.to_dict("list") == {"track_id": ["2"], "reason": [f"listed but not there: {name}"]}
    assert read_table(tmp_path)[0]["path"].tolist() == ["1.wav", name]  # the probe says what is wrong with it
