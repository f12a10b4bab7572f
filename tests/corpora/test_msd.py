"""The Million Song Dataset from each of its files, in the real formats."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from tests.corpora.msd_files import ANN, BO, SONG_ID, SONGS, TRACKS, A, B, C, D, MsdWriter, give_track_ids, song

from artist_transfer.corpora.msd import SOURCES, load_msd, read_msd
from artist_transfer.errors import ArtistTransferError


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("prefix", "folder"), [("", ""), ("subset_", "AdditionalFiles")])
def test_each_source_alone_says_the_same(write_source: MsdWriter, source: str, prefix: str, folder: str) -> None:
    root = write_source(source, prefix=prefix, folder=folder)
    if source == "unique_tracks":
        give_track_ids(root)
    corpus = load_msd(root)
    table = corpus.track_table
    assert table["track_id"].tolist() == list(TRACKS.values())
    assert table["artist_id"].tolist() == [ANN, ANN, BO, BO]
    assert table["artist"].tolist() == ["Ann, & Søn", "Ann, & Søn", "雨", "雨"]
    assert table["title"].tolist() == [f"Title {n}" for n in range(4)]
    assert table["recording_id"].tolist() == table["track_id"].tolist()
    assert table["declared_s"].tolist() == [30.0] * 4
    if source != "unique_tracks":
        assert table["path"].tolist() == [f"audio/1/0/{100 + n}.clip.mp3" for n in range(4)]
        assert table["album_id"].tolist() == [f"{ANN}/ünder"] * 2 + [f"{BO}/ünder"] * 2
        assert corpus.songs["year"].tolist() == [1990, pd.NA, 1992, 1993]
        assert corpus.songs["track_7digitalid"].tolist() == ["100", "101", "102", "103"]
        assert corpus.songs["song_id"].to_dict() == SONG_ID
    assert {"tracks": 4, "without artist": 0, "songs in the metadata": 4}.items() <= corpus.notes.items()
    assert corpus.exclusions.empty and corpus.vocabulary == ()


def test_7digital_ids_of_artist_and_release_are_kept(write_source: MsdWriter) -> None:
    songs = load_msd(write_source("songs")).songs
    assert set(songs["artist_7digitalid"]) == {"5"} and set(songs["release_7digitalid"]) == {"6"}


@pytest.mark.parametrize("first", ["summary", "songs", "database", "unique_tracks"])
def test_the_preferred_source_wins_and_conflicts_are_counted(write_source: MsdWriter, first: str) -> None:
    titles = {source: f"of {source}" for source in SOURCES}
    for source in SOURCES:
        root = write_source(source, [song(A, title=titles[source]), *SONGS[1:]])
    give_track_ids(root)
    order = [first, *(source for source in SOURCES if source != first)]
    corpus = load_msd(root, sources=order)
    assert corpus.songs.loc[A, "title"] == titles[first]
    assert {name: n for name, n in corpus.notes.items() if name.startswith("conflicts")} == {"conflicts in title": 3}
    assert load_msd(root, sources=[first]).notes.get("conflicts in title") is None


def test_a_fact_that_the_first_source_lacks_comes_from_the_next(write_source: MsdWriter) -> None:
    write_source("summary", [song(A, year=0, track_7digitalid=0, artist_name=""), song(B)])
    root = write_source("database", [song(A), song(C), song(D)])
    corpus = load_msd(root)
    assert corpus.track_table["track_id"].tolist() == [A, B, C, D]
    assert corpus.songs.loc[A, ["year", "track_7digitalid", "artist"]].tolist() == [1990, "100", "Ann, & Søn"]
    assert corpus.notes["songs in the summary file"] == 2 and corpus.notes["songs in the database"] == 3
    assert not [name for name in corpus.notes if name.startswith("conflicts")]


def test_durations_may_differ_by_a_hundredth(write_source: MsdWriter) -> None:
    write_source("summary", [song(A, duration=200.005), song(B, duration=201.5)])
    root = write_source("database")
    assert load_msd(root).notes["conflicts in duration_s"] == 1


def test_the_length_of_a_preview(write_source: MsdWriter) -> None:
    root = write_source("summary", [song(A, duration=12.5), song(B, duration=0.0), song(C, duration=np.nan), song(D)])
    assert load_msd(root).track_table["declared_s"].tolist() == [12.5, 30.0, 30.0, 30.0]
    assert load_msd(root, clip_s=60.0).track_table["declared_s"].tolist() == [12.5, 60.0, 60.0, 60.0]
    assert load_msd(root, clip_s=None).track_table["declared_s"].isna().all()


def test_without_echo_nest_ids_names_take_their_place(write_source: MsdWriter) -> None:
    root = write_source("unique_tracks")
    give_track_ids(root)
    (root / "unique_artists.txt").write_text(f"{ANN}<SEP><SEP>{A}<SEP>Ann, & Søn\n{BO}<SEP><SEP>{B}<SEP>Ann, & Søn\n")
    table, notes = read_msd(root)
    assert table["artist_id"].tolist() == [ANN, BO, "name:雨", "name:雨"]
    assert notes["artists known by name only"] == 1 and notes["artist names with several ids"] == 1
    (root / "unique_artists.txt").unlink()
    assert read_msd(root)[0]["artist_id"].tolist() == ["name:ann, & søn"] * 2 + ["name:雨"] * 2


def test_lists_and_labels_are_applied(write_source: MsdWriter) -> None:
    songs = [*SONGS[:3], song(D, song_id=SONG_ID[A])]
    root = write_source("summary", songs)
    (root / "sid_mismatches.txt").write_text(
        f"ERROR: <{SONG_ID[B]} {B}> x\nERROR: <{SONG_ID[C]} {C}> y\nERROR: <SOZZZZZ128F9310000 TRZZZZZ128F9310000> z\n"
    )
    (root / "sid_matches_manually_accepted.txt").write_text(f"< ERROR: <{SONG_ID[C]} {C}> y\n")
    (root / "msd_duplicates.txt").write_text(f"# x\n%1 a\n{B} - b\n{C} - c\n%2 b\n{C} - c\n{D} - d\n")
    (root / "msd_tagtraum_cd1.cls").write_text(f"{A}\tRock\tPop\n{B}\tRap\n{D}\tJazz\n")
    (root / "AdditionalFiles").mkdir()
    (root / "AdditionalFiles" / "msd_tagtraum_cd2.cls").write_text(f"{A}\tRock\tMetal\n{B}\tRap\n{D}\tFolk\n")
    corpus = load_msd(root)
    assert corpus.track_table["track_id"].tolist() == [A, C, D]
    assert corpus.track_table["recording_id"].tolist() == [A, A, A], "listed with D, and D is the song of A"
    assert corpus.track_table["genre_top"].fillna("-").tolist() == ["Rock", "-", "Folk"]
    assert [list(words) for words in corpus.track_table["genres"]] == [["Rock", "Metal"], [], ["Folk"]]
    assert corpus.exclusions.to_dict("records") == [
        {"track_id": B, "reason": f"mismatched: song {SONG_ID[B]} is not track {B}"}
    ]
    wanted = {
        "left out: mismatched": 1, "mismatch lines": 3, "mismatch lines taken back": 1, "genre rows": 3,
        "mismatch lines of other tracks": 1, "duplicate groups": 1, "tracks in them": 3, "without genre": 1,
        "genre rows of other tracks": 1, "listed duplicates of other tracks": 1,
    }  # fmt: skip
    assert wanted.items() <= corpus.notes.items()
    ambiguous = load_msd(root, ambiguous_genre="missing").track_table["genre_top"]
    assert ambiguous.fillna("-").tolist() == ["-", "-", "Folk"]


def test_tags_go_to_genres(write_source: MsdWriter) -> None:
    root = write_source("database")
    with closing(sqlite3.connect(root / "lastfm_tags.db")) as connection:
        connection.executescript(
            "CREATE TABLE tids (tid TEXT); CREATE TABLE tags (tag TEXT); CREATE TABLE tid_tag (tid INT, tag INT, val);"
            f"INSERT INTO tids VALUES ('{A}'), ('{D}'), ('TRZ'); INSERT INTO tags VALUES ('rock'), ('sad'), ('mine');"
            "INSERT INTO tid_tag VALUES (1, 1, 30.0), (1, 2, 100.0), (2, 3, 100.0), (3, 1, 100.0);"
        )
    (root / "msd_tagtraum_cd2c.cls.gz").write_bytes(gzip.compress(f"{D}\tJazz\n".encode()))
    corpus = load_msd(root)
    assert [list(words) for words in corpus.track_table["genres"]] == [["sad", "rock"], [], [], []]
    assert corpus.track_table["genre_top"].fillna("-").tolist() == ["-", "-", "-", "Jazz"]
    assert len(corpus.vocabulary) == 50 and corpus.notes["tracks without a tag"] == 3
    assert load_msd(root, tags="frequent", n_tags=1).vocabulary == ("mine",)
    assert load_msd(root, min_tag_weight=50.0).notes["tag entries of lighter weight"] == 1


def test_what_has_no_preview_is_counted_by_reason(write_source: MsdWriter) -> None:
    root = write_source("summary", [SONGS[0], song(B, track_7digitalid=-1), song(C, track_7digitalid=999), SONGS[3]])
    (root / "map.json").write_text(f'{{"{D}": "1/0/gone.mp3", "{B}": "102"}}')
    corpus = load_msd(root, id_maps=["map.json"], audio_folder="audio")
    assert corpus.track_table["path"].tolist() == [f"audio/1/0/{n}.clip.mp3" for n in (100, 102, 103)]
    assert corpus.exclusions.to_dict("records") == [{"track_id": C, "reason": f"no file of this name: 999 or {C}"}]
    assert load_msd(root).exclusions["track_id"].tolist() == [B, C]
    assert load_msd(root).notes["left out: no 7digital id"] == 1


def test_two_tracks_of_one_preview_are_one_recording(write_source: MsdWriter) -> None:
    root = write_source("summary", [*SONGS[:3], song(D, track_7digitalid=101)])
    assert load_msd(root).track_table["recording_id"].tolist() == [A, B, C, B]


def test_metadata_elsewhere(write_source: MsdWriter, tmp_path: Path) -> None:
    root = write_source("songs")
    away = tmp_path / "metadata"
    shutil.move(root / "data", away)
    assert len(load_msd(root, metadata_folder=away).track_table) == 4
    with pytest.raises(ArtistTransferError, match=r"has no metadata of the Million Song Dataset; .*TR….h5"):
        load_msd(root)
    with pytest.raises(ArtistTransferError, match=r"metadata_folder: folder .*/none is missing"):
        load_msd(root, metadata_folder="none")


def test_a_title_may_hold_the_separator_and_may_be_empty(write_source: MsdWriter) -> None:
    root = write_source("unique_tracks", [song(A, title="a<SEP>b"), song(B, title="")])
    give_track_ids(root)
    assert load_msd(root).track_table["title"].fillna("-").tolist() == ["a<SEP>b", "-"]


def test_names_that_are_not_utf8_are_counted(write_source: MsdWriter) -> None:
    root = write_source("summary")
    with h5py.File(root / "msd_summary_file.h5", "r+") as file:
        rows = file["metadata"]["songs"][:]
        rows["title"][1] = "Señor".encode("latin-1")
        file["metadata"]["songs"][:] = rows
    table, notes = read_msd(root)
    assert table["title"].tolist()[1] == "Se\ufffdor" and notes["texts that are not UTF-8"] == 1


def test_the_real_song_files(shared_corpora: Path, tmp_path: Path) -> None:
    real = shared_corpora / "metadata" / "msd_h5"
    if not (real / "index.csv").is_file():
        pytest.skip(f"{real} is absent")
    index = pd.read_csv(real / "index.csv").assign(track_id=lambda t: t["file"].str.removesuffix(".h5"))
    index = index.set_index("track_id").sort_index()
    for number, track in enumerate(index.index):
        with h5py.File(real / f"{track}.h5") as file:
            seven = int(file["metadata"]["songs"]["track_7digitalid"][0])
        name = f"{track}.mp3" if number % 3 == 0 else f"{seven}.clip.mp3" if number % 3 == 1 else f"{seven}.mp3"
        (tmp_path / name).write_bytes(b"")
    corpus = load_msd(tmp_path, metadata_folder=real)
    table = corpus.track_table.set_index("track_id")
    assert table.index.tolist() == index.index.tolist()
    assert table["artist_id"].tolist() == index["artist_id"].tolist() and table["artist_id"].nunique() == 21
    assert table["artist"].tolist() == index["artist"].tolist() and table["title"].tolist() == index["title"].tolist()
    assert corpus.songs["year"].fillna(0).tolist() == index["year"].tolist()
    assert np.allclose(corpus.songs["duration_s"], index["duration"], atol=0.006)
    assert table["declared_s"].tolist() == [30.0 if seconds > 30 else 1.2273 for seconds in index["duration"]]
    assert corpus.exclusions.to_dict("records") == [
        {
            "track_id": "TRAXLZU12903D05F94",
            "reason": "song file without song tables: /metadata/songs is missing",
        }
    ]
    assert corpus.notes["left out: song file without song tables"] == 1
    assert corpus.notes["previews by track id"] == 8 and corpus.notes["previews by 7digital id"] == 16
