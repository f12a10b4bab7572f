"""Four songs of the Million Song Dataset, written by the tests as each of its files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from artist_transfer.corpora._msd_hdf5 import write_hdf5_songs

A, B, C, D = (f"TRAAA{letter}K128F9318786" for letter in "ABCD")
TRACKS = {"a": A, "b": B, "c": C, "d": D}
SONG_ID = {A: "SOAAAAK128F9310000", B: "SOAAABK128F9310000", C: "SOAAACK128F9310000", D: "SOAAADK128F9310000"}
ANN, BO = "ARAAAAA1187B9AD30A", "ARBBBBB1187B9AD30A"
MsdWriter = Callable[..., Path]


def song(track: str, **changed: object) -> dict[str, object]:
    number = list(TRACKS.values()).index(track)
    facts: dict[str, object] = {
        "track_id": track,
        "song_id": SONG_ID[track],
        "artist_id": ANN if number < 2 else BO,
        "artist_name": "Ann, & Søn" if number < 2 else "雨",
        "title": f"Title {number}",
        "release": "Ünder",
        "duration": 200.0 + number,
        "year": 0 if number == 1 else 1990 + number,
        "track_7digitalid": 100 + number,
        "artist_7digitalid": 5,
        "release_7digitalid": 6,
    }
    return facts | changed


SONGS = [song(track) for track in TRACKS.values()]
COLUMNS = (
    "track_id text PRIMARY KEY, title text, song_id text, release text, artist_id text, artist_mbid text, artist_name"
    " text, duration real, artist_familiarity real, artist_hotttnesss real, year int, track_7digitalid int"
)


def write_database(path: Path, songs: Sequence[dict[str, object]], columns: str = COLUMNS) -> None:
    names = [column.split()[0] for column in columns.split(", ")]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE songs ({columns})")
        rows = [[one.get(name) for name in names] for one in songs]
        connection.executemany(f"INSERT INTO songs VALUES ({', '.join('?' * len(names))})", rows)
        connection.commit()


def write_msd(
    root: Path,
    source: str,
    songs: Sequence[dict[str, object]] = SONGS,
    *,
    prefix: str = "",
    folder: str = "",
) -> Path:
    """Write one source of metadata, and a preview for every track."""
    where = root / folder
    where.mkdir(parents=True, exist_ok=True)
    for number in range(4):
        preview = root / "audio" / "1" / "0" / f"{100 + number}.clip.mp3"
        preview.parent.mkdir(parents=True, exist_ok=True)
        preview.write_bytes(bytes([number]))
    if source == "summary":
        write_hdf5_songs(where / f"{prefix}msd_summary_file.h5", songs)
    elif source == "songs":
        for one in songs:
            track = str(one["track_id"])
            write_hdf5_songs(where / "data" / track[2] / track[3] / track[4] / f"{track}.h5", [one])
    elif source == "database":
        write_database(where / f"{prefix}track_metadata.db", songs)
    else:
        cells = ("track_id", "song_id", "artist_name", "title")
        text = "".join("<SEP>".join(str(one[cell]) for cell in cells) + "\n" for one in songs)
        (where / f"{prefix}unique_tracks.txt").write_text(text, encoding="utf-8")
        artists = [f"{ANN}<SEP>mb<SEP>{A}<SEP>Ann, & Søn", f"{BO}<SEP><SEP>{D}<SEP>雨"]
        (where / f"{prefix}unique_artists.txt").write_text("\n".join(artists), encoding="utf-8")
    return root


def give_track_ids(root: Path) -> None:
    """Name the previews by track id, for sources without 7digital ids."""
    for number, track in enumerate(TRACKS.values()):
        (root / "audio" / "1" / "0" / f"{100 + number}.clip.mp3").rename(root / f"{track}.mp3")
