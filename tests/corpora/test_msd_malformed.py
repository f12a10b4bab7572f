"""Files of the Million Song Dataset that are malformed, missing or doubled: each is named, and so is the row."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.corpora.msd_files import ANN, BO, SONG_ID, SONGS, A, B, C, D, MsdWriter, give_track_ids, song, write_database

from artist_transfer.corpora.msd import load_msd, read_msd
from artist_transfer.errors import ArtistTransferError


def test_bad_song_files_are_left_out_with_their_reason(write_source: MsdWriter) -> None:
    root = write_source("songs")
    folder = root / "data" / "A" / "A" / "A"
    with h5py.File(folder / f"{A}.h5", "w"):
        pass
    (folder / f"{B}.h5").write_bytes(b"no HDF5")
    with h5py.File(folder / f"{C}.h5", "r+") as file:
        rows = file["metadata"]["songs"][:]
        rows["artist_id"] = b"somebody"
        file["metadata"]["songs"][:] = rows
    shutil.copy(folder / f"{D}.h5", folder / "TRAAAZK128F9318786.h5")
    (folder / "notes.h5").write_bytes(b"ignored")
    corpus = load_msd(root)
    assert corpus.track_table["track_id"].tolist() == [D]
    reasons = corpus.exclusions.set_index("track_id")["reason"]
    assert reasons[A] == "song file without song tables: /metadata/songs is missing"
    assert reasons[B].startswith("song file malformed: unreadable as HDF5")
    assert reasons[C].startswith("song file malformed: row 1, column 'artist_id': must be an id such as AR")
    assert corpus.notes["song files named otherwise"] == 1 and corpus.notes["songs that stand in two song files"] == 1
    assert corpus.notes["song files that cannot be used"] == 3
    assert corpus.notes["tracks"] + len(reasons) == 4
    write_source("database")
    both = load_msd(root)
    assert both.notes["tracks"] == 4 and both.exclusions.empty and both.notes["song files that cannot be used"] == 3


@pytest.mark.parametrize(
    ("source", "songs", "says"),
    [
        ("summary", [song(A), song(A)], r"msd_summary_file\.h5, row 2, column 'track_id': TR.* stands in row 1 too"),
        (
            "summary",
            [song(A), song(B, track_id="TR1")],
            r"msd_summary_file\.h5, row 2, column 'track_id': must be an id",
        ),
        ("summary", [song(A, song_id="AR0")], r"msd_summary_file\.h5, row 1, column 'song_id'"),
        ("database", [song(A), song(B, artist_id="Ann")], r"track_metadata\.db, row 2, column 'artist_id'"),
        ("database", [song(A, year="soon")], r"track_metadata\.db, row 1, column 'year': must be a number"),
        ("database", [song(A, title=b"\x00\x01")], None),
        ("database", [song(A, track_id=None)], r"track_metadata\.db, row 1, column 'track_id': is empty"),
        ("unique_tracks", [song(A), song(A)], r"unique_tracks\.txt, row 2, column 'track_id'"),
        ("unique_tracks", [song(A), song(B, track_id="TR")], r"unique_tracks\.txt, row 2, column 'track_id'"),
    ],
)
def test_a_malformed_row_is_named(
    write_source: MsdWriter, source: str, songs: list[dict[str, object]], says: str | None
) -> None:
    root = write_source(source, songs)
    if says is None:
        assert load_msd(root).songs["title"].tolist() == ["\x01"]
        return
    with pytest.raises(ArtistTransferError, match=says):
        load_msd(root)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("unique_tracks.txt", f"{A}<SEP>{SONG_ID[A]}<SEP>Ann\n", r"unique_tracks\.txt, row 1: must have 4 cells"),
        (
            "unique_artists.txt",
            f"Ann<SEP>x<SEP>{A}<SEP>Ann\n",
            r"unique_artists\.txt, row 1: must begin with an artist id",
        ),
        ("unique_artists.txt", f"{ANN}\n", r"unique_artists\.txt, row 1: must have 4 cells"),
    ],
)
def test_a_malformed_line_is_named(write_source: MsdWriter, name: str, text: str, says: str) -> None:
    root = write_source("unique_tracks")
    (root / name).write_text(text)
    with pytest.raises(ArtistTransferError, match=says):
        load_msd(root)


def test_tables_that_do_not_fit_each_other(write_source: MsdWriter) -> None:
    root = write_source("summary")
    path = root / "msd_summary_file.h5"
    with h5py.File(path, "r+") as file:
        file["analysis"]["songs"].resize((3,))
    with pytest.raises(ArtistTransferError, match=r"msd_summary_file\.h5: song tables of different lengths"):
        load_msd(root)
    with h5py.File(path, "r+") as file:
        rows = file["analysis"]["songs"][:]
        del file["analysis"]["songs"]
        file["analysis"]["songs"] = rows[["duration"]]
    with pytest.raises(ArtistTransferError, match=r"/analysis/songs has no column 'track_id'"):
        load_msd(root)
    with h5py.File(path, "w") as file:
        bomb = np.dtype([(name, "S1024") for name in ("artist_id", "artist_name", "song_id", "title")])
        file.create_group("metadata").create_dataset("songs", (1 << 20,), bomb, chunks=(1 << 19,), compression="gzip")
    with pytest.raises(ArtistTransferError, match="packed in pieces of 524288 rows"):
        load_msd(root)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ArtistTransferError, match=r"msd_summary_file\.h5: unreadable as HDF5"):
        load_msd(root)


def test_a_database_without_7digital_ids_and_one_without_names(write_source: MsdWriter) -> None:
    root = write_source("database")
    path = root / "track_metadata.db"
    path.unlink()
    write_database(path, SONGS, "track_id text, title text, artist_id text, artist_name text")
    with pytest.raises(ArtistTransferError, match=r"no track of .* has a preview \(4 no 7digital id; 4 audio files\)"):
        load_msd(root)
    give_track_ids(root)
    assert load_msd(root).track_table["artist_id"].tolist() == [ANN, ANN, BO, BO]
    path.unlink()
    write_database(path, SONGS, "track_id text, title text")
    with pytest.raises(ArtistTransferError, match=r"table 'songs', column 'artist_id': missing column"):
        load_msd(root)


def test_two_files_of_one_kind_are_not_chosen_from(write_source: MsdWriter) -> None:
    write_source("summary")
    root = write_source("summary", prefix="subset_", folder="AdditionalFiles")
    with pytest.raises(ArtistTransferError, match=r"msd_summary_file\.h5 and .*subset_msd_summary_file\.h5 are both"):
        load_msd(root)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sources": []}, "ingestion.msd.sources"),
        ({"sources": ["database", "database"]}, "ingestion.msd.sources"),
        ({"sources": ["web"]}, "must be one or more of summary, songs, database, unique_tracks"),
        ({"clip_s": 0.0}, "ingestion.msd.clip_s"),
        ({"audio_folder": "../x"}, "ingestion.msd.audio_folder"),
        ({"audio_folder": "none"}, "ingestion.msd.audio_folder"),
        ({"id_maps": ["none.csv"]}, "none.csv is missing"),
    ],
)
def test_impossible_parameters(write_source: MsdWriter, options: dict[str, object], says: str) -> None:
    root = write_source("database")
    with pytest.raises(ArtistTransferError, match=says):
        read_msd(root, **options)


def test_a_missing_corpus_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match=r"corpus_root: folder .*/none is missing"):
        load_msd(tmp_path / "none")
