"""A folder of tagged files."""

from __future__ import annotations

import os
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.id3 import TCON, TPE1

from artist_transfer.corpora.folder import read_folder
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning


def audio(path: Path, **tags: str | list[str]) -> Path:
    """Write a short file with tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 2205), 22050)
    if tags:
        file = mutagen.File(path, easy=True)
        if file.tags is None:
            file.add_tags()
        for name, value in tags.items():
            file[name] = value
        file.save()
    return path


def test_tags_become_columns(folder_root: Path) -> None:
    table, notes = read_folder(folder_root)
    assert table["track_id"].tolist() == table["path"].tolist() == ["a.ogg", "c.wav", "sub/b.flac"]
    assert table["artist"].fillna("-").tolist() == ["Bob", "-", "Ann"]
    assert table["artist_id"].fillna("-").tolist() == ["bob", "-", "ann"]
    assert table["genre_top"].fillna("-").tolist() == ["-", "-", "Folk"]
    assert table["genres"].tolist() == [[], [], ["Folk", "Ballad", "Live"]]
    assert table["album_id"].fillna("-").tolist() == ["-", "-", "ann/songs"]
    assert table["title"].fillna("-").tolist() == ["-", "-", "B"]
    assert notes["tracks"] == 3 and notes["without genre"] == 2 and notes["without artist"] == 1
    assert notes["unreadable tags"] == notes["files that are not audio"] == 0


@pytest.mark.parametrize("ending", ["mp3", "ogg", "flac"])
def test_easy_tags_of_each_format(tmp_path: Path, ending: str) -> None:
    audio(tmp_path / f"x.{ending}", artist="AC/DC", genre=["Rock", "Hard Rock"], album="Live")
    table, _ = read_folder(tmp_path)
    row = table.iloc[0]
    assert (row["artist"], row["genre_top"], row["genres"]) == ("AC/DC", "Rock", ["Rock", "Hard Rock"])


@pytest.mark.parametrize("ending", ["wav", "aiff"])
def test_id3_frames_in_wav_and_aiff(tmp_path: Path, ending: str) -> None:
    file = mutagen.File(audio(tmp_path / f"x.{ending}"))
    file.add_tags()
    file.tags.add(TPE1(encoding=3, text="Ann"))
    file.tags.add(TCON(encoding=3, text="(17)"))
    file.save()
    table, _ = read_folder(tmp_path)
    assert (table["artist"].iloc[0], table["genre_top"].iloc[0]) == ("Ann", "Rock")


@pytest.mark.parametrize(
    "name",
    [
        "Various Artists",
        "various",
        "VA",
        "V.A.",
        "<unknown>",
        "[Unknown Artist]",
        "Various_Artists",
        "???",
        " ",
    ],
)
def test_names_that_are_no_artist(tmp_path: Path, name: str) -> None:
    audio(tmp_path / "x.ogg", artist=name, title="t")
    table, notes = read_folder(tmp_path)
    assert table["artist"].isna().all() and table["artist_id"].isna().all()
    assert notes["without artist"] == 1


@pytest.mark.parametrize("name", ["Varius Manx", "Vanessa", "The Unknown", "Björk", "!!!", "坂本龍一", "U2"])
def test_names_that_are_an_artist(tmp_path: Path, name: str) -> None:
    audio(tmp_path / "x.ogg", artist=name)
    table, _ = read_folder(tmp_path)
    assert table["artist"].tolist() == [name]


def test_spelling_does_not_part_an_artist(tmp_path: Path) -> None:
    audio(tmp_path / "1.ogg", artist="Björk ")
    audio(tmp_path / "2.ogg", artist="BJO\u0308RK")
    table, _ = read_folder(tmp_path)
    assert table["artist_id"].nunique() == 1


def test_damaged_and_foreign_files_are_counted(tmp_path: Path) -> None:
    audio(tmp_path / "good.ogg", artist="Ann")
    (tmp_path / "bad.flac").write_bytes(b"fLaC" + bytes(range(60)))
    (tmp_path / "text.mp3").write_text("no audio at all")
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "cover.jpg").touch()
    (tmp_path / "notes.txt").touch()
    os.mkfifo(tmp_path / "pipe.mp3")
    table, notes = read_folder(tmp_path)
    assert table["track_id"].tolist() == ["bad.flac", "empty.mp3", "good.ogg", "text.mp3"]
    assert notes["unreadable tags"] == 3
    assert notes["files that are not audio"] == 3


def test_endings_in_capitals_and_ones_own_endings(tmp_path: Path) -> None:
    audio(tmp_path / "X.OGG")
    audio(tmp_path / "y.flac")
    assert read_folder(tmp_path)[0]["track_id"].tolist() == ["X.OGG", "y.flac"]
    assert read_folder(tmp_path, extensions=[".flac"])[0]["track_id"].tolist() == ["y.flac"]


def test_links_to_folders_do_not_lead_in_circles(tmp_path: Path) -> None:
    audio(tmp_path / "sub" / "x.ogg")
    (tmp_path / "sub" / "again").symlink_to(tmp_path)
    (tmp_path / "linked.ogg").symlink_to(tmp_path / "sub" / "x.ogg")
    (tmp_path / "dead.ogg").symlink_to(tmp_path / "nowhere.ogg")
    table, notes = read_folder(tmp_path)
    assert table["track_id"].tolist() == ["dead.ogg", "linked.ogg", "sub/x.ogg"]
    assert notes["folders behind links"] == 1


def test_odd_names(tmp_path: Path) -> None:
    names = ["a b.ogg", "ü\n.ogg", "'; drop.ogg", "..x.ogg", "-.ogg"]
    for name in names:
        audio(tmp_path / "x.ogg").rename(tmp_path / name)
    assert read_folder(tmp_path)[0]["path"].tolist() == sorted(names)


def test_names_that_are_not_utf8_are_left_out_aloud(tmp_path: Path) -> None:
    audio(tmp_path / "good.ogg")
    try:
        (tmp_path / os.fsdecode(b"bad\xff.ogg")).touch()
    except OSError:
        pytest.skip("this file system refuses names that are not UTF-8")
    with pytest.warns(ArtistTransferWarning, match=r"bad\\udcff\.ogg"):
        table, notes = read_folder(tmp_path)
    assert table["track_id"].tolist() == ["good.ogg"]
    assert notes["names that are not UTF-8"] == 1


def test_a_folder_without_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cover.jpg").touch()
    with pytest.raises(ArtistTransferError, match=rf"corpus_root: no audio file in {tmp_path} \(1 other files\)"):
        read_folder(tmp_path)
