"""Lay a corpus out as a Million Song Dataset, so that its reader can be tried without it.

`write_msd` takes any track table with its audio and writes what `msd.load_msd` reads: song files in their tree, the
summary file, ``track_metadata.db``, ``unique_tracks.txt``, ``unique_artists.txt``, previews named by 7digital ids,
Last.fm tags, tagtraum genres, mismatches (with some taken back), duplicates and the artist list. ``truth.csv`` says
which track became which and what was planted. Equal input gives equal bytes.
"""

from __future__ import annotations

import csv
import hashlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from artist_transfer.artifacts import (
    atomic_path,
    commit_folder,
    fingerprint,
    open_folder,
    read_json,
    sha256_of,
    write_json,
)
from artist_transfer.corpora._msd_hdf5 import write_hdf5_songs
from artist_transfer.corpora._msd_sources import SEPARATOR
from artist_transfer.corpora.artist_list import FILE as ARTIST_LIST
from artist_transfer.corpora.artist_list import write_artist_list
from artist_transfer.errors import ArtistTransferError

RECIPE = 1
"""Goes up when the same input gives other bytes."""
EXTRA = "AdditionalFiles"
_NOTE = "synthetic_msd.json"
_SEVENS, _PLANTED, _YEARS = 611, 612, 613  # streams of random numbers
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NO_SUCH = ("SOAAAAA12A00000000", "TRAAAAA128F0000000")


@dataclass(frozen=True)
class MsdParams:
    """What is planted.

    Attributes
    ----------
    seed : int, >= 0
        Of 7digital ids, years and of what is planted where.
    mismatched : int, >= 0
        Tracks that ``sid_mismatches.txt`` takes out.
    taken_back : int, >= 0
        Further tracks in it that were accepted by hand.
    without_preview : int, >= 0
        Tracks whose preview is not written.
    list_songs : int, >= 1
        Songs of an artist in the artist list; artists with fewer are not in it.
    """

    seed: int = 0
    mismatched: int = 2
    taken_back: int = 1
    without_preview: int = 1
    list_songs: int = 6


def write_msd(
    root: str | Path, track_table: pd.DataFrame, *, audio_root: str | Path, params: MsdParams | None = None
) -> Path:
    """Write a corpus as a Million Song Dataset, once.

    Parameters
    ----------
    root : str or Path
        A new folder, or one of an earlier call, which is finished or left alone.
    track_table : pd.DataFrame
        The corpus. ``genre_top`` becomes tagtraum's genre, it and ``genres`` in lower case become Last.fm tags;
        tracks of one recording, and tracks whose files are equal, are duplicates.
    audio_root : str or Path
        The folder that the table's paths are relative to; a file that is not there gives a track without preview.
    params : MsdParams, optional
        What is planted.

    Returns
    -------
    Path
        The folder; previews are in ``audio``.

    Raises
    ------
    ArtistTransferError
        If the folder holds something else, or more is to be planted than there are tracks.
    """
    root, audio_root, params = Path(root), Path(audio_root), params or MsdParams()
    planted = params.mismatched + params.taken_back + params.without_preview
    if min(params.mismatched, params.taken_back, params.without_preview) < 0 or planted >= len(track_table):
        raise ArtistTransferError(f"synthetic_msd: {planted} of {len(track_table)} tracks cannot be planted.")
    table = track_table.sort_values("track_id", ignore_index=True)
    hashes = [sha256_of(path) if (path := audio_root / name).is_file() else None for name in table["path"]]
    key = fingerprint("synthetic_msd", RECIPE, table, hashes, params)
    _claim(root, key)
    if open_folder(root) is not None:
        return root
    songs = _songs(table, hashes, params)
    writers = (_previews, _hdf5, _texts, _database, _tags, _lists)
    files = [name for write in writers for name in write(root, songs, audio_root)]
    commit_folder(root, files=files, details={"fingerprint": key, "tracks": len(songs)})
    return root


def _claim(root: Path, key: str) -> None:
    note = root / _NOTE
    if note.is_file():
        if read_json(note).get("fingerprint") != key:
            raise ArtistTransferError(f"{root} holds another corpus; delete that folder or name another.")
    elif root.exists() and any(root.iterdir()):
        raise ArtistTransferError(f"{root} is not empty and holds no synthetic corpus; name another folder.")
    else:
        write_json(note, {"fingerprint": key})


def _identifier(prefix: str, *parts: object) -> str:
    """Make an Echo Nest id: two letters, five letters, eleven hexadecimal digits."""
    digest = hashlib.sha256("/".join(map(str, (prefix, *parts))).encode()).hexdigest()
    letters = "".join(_LETTERS[int(digest[at : at + 4], 16) % 26] for at in range(0, 20, 4))
    return f"{prefix}{letters}12{digest[20:29].upper()}"


def _songs(table: pd.DataFrame, hashes: Sequence[str | None], params: MsdParams) -> pd.DataFrame:
    """Return one row a track: the ids and facts that all files agree on, and what is planted."""
    sevens = np.random.default_rng([params.seed, _SEVENS]).choice(8_000_000, len(table), replace=False) + 1_000_000
    years = np.random.default_rng([params.seed, _YEARS]).integers(1960, 2011, len(table))
    songs = pd.DataFrame({"original": table["track_id"], "path": table["path"], "audio_hash": hashes})
    songs["track_id"] = [_identifier("TR", track) for track in table["track_id"]]
    songs["song_id"] = [_identifier("SO", recording) for recording in table["recording_id"]]
    songs["artist_id"] = [_identifier("AR", one) if pd.notna(one) else "" for one in table["artist_id"]]
    for ours, theirs in (("artist", "artist_name"), ("title", "title"), ("album_id", "release")):
        songs[theirs] = [text if pd.notna(text) else "" for text in table[ours]]
    songs["track_7digitalid"] = sevens
    for name in ("artist_id", "release"):
        numbers = {text: number for number, text in enumerate(sorted(set(songs[name]) - {""}), start=1)}
        songs[f"{name.removesuffix('_id')}_7digitalid"] = [numbers.get(text, 0) for text in songs[name]]
    songs["duration"] = table["declared_s"].fillna(0.0).astype(float)
    songs["year"] = np.where(np.arange(len(table)) % 4 == 0, 0, years)
    songs["genre_top"] = [genre if pd.notna(genre) else "" for genre in table["genre_top"]]
    songs["tags"] = [
        list(dict.fromkeys(word.lower() for word in [top, *words] if word))
        for top, words in zip(songs["genre_top"], table["genres"], strict=True)
    ]
    songs["planted"] = ""
    there = songs.index[songs["audio_hash"].notna()]
    order = np.random.default_rng([params.seed, _PLANTED]).permutation(there)
    kinds = {"mismatched": params.mismatched, "taken back": params.taken_back, "no preview": params.without_preview}
    songs.loc[order[: sum(kinds.values())], "planted"] = [kind for kind, n in kinds.items() for _ in range(n)]
    songs["in_list"] = _list_numbers(songs, params.list_songs)
    return songs.sort_values("track_id", ignore_index=True)


def _list_numbers(songs: pd.DataFrame, list_songs: int) -> pd.Series:
    """Return the song index of each track in the artist list, 0 for those that are not in it."""
    own = songs[songs["artist_id"].ne("")].sort_values("track_id").groupby("artist_id")
    number = (own.cumcount() + 1).where(own["track_id"].transform("size") >= list_songs, 0)
    return number.where(number <= list_songs, 0).reindex(songs.index, fill_value=0)


def _previews(root: Path, songs: pd.DataFrame, audio_root: Path) -> list[str]:
    names = []
    for song in songs.itertuples():
        if song.planted == "no preview" or song.audio_hash is None:
            continue
        seven = str(song.track_7digitalid)
        names.append(f"audio/{seven[0]}/{seven[1]}/{seven}.clip.mp3")
        with atomic_path(root / names[-1]) as temporary:
            temporary.write_bytes((audio_root / str(song.path)).read_bytes())
    return names


_FACTS = (
    "track_id", "song_id", "artist_id", "artist_name", "title", "release", "duration", "year", "track_7digitalid",
    "artist_7digitalid", "release_7digitalid",
)  # fmt: skip


def _hdf5(root: Path, songs: pd.DataFrame, _: Path) -> list[str]:
    rows: list[Mapping[str, object]] = songs.loc[:, list(_FACTS)].to_dict("records")
    names = [f"data/{track[2]}/{track[3]}/{track[4]}/{track}.h5" for track in songs["track_id"]]
    for name, row in zip(names, rows, strict=True):
        write_hdf5_songs(root / name, [row])
    summary = f"{EXTRA}/msd_summary_file.h5"
    write_hdf5_songs(root / summary, rows)
    return [*names, summary]


def _texts(root: Path, songs: pd.DataFrame, _: Path) -> list[str]:
    tracks = songs.loc[:, ["track_id", "song_id", "artist_name", "title"]].itertuples(index=False)
    first = songs[songs["artist_id"].ne("")].drop_duplicates("artist_id").sort_values("artist_id")
    artists = ((song.artist_id, "", song.track_id, song.artist_name) for song in first.itertuples())
    truth = songs.loc[:, ["original", "track_id", "song_id", "artist_id", "track_7digitalid", "planted"]]
    with atomic_path(root / "truth.csv") as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([truth.columns, *truth.itertuples(index=False)])
    return [
        "truth.csv",
        _write(root, f"{EXTRA}/unique_tracks.txt", (SEPARATOR.join(row) for row in tracks)),
        _write(root, f"{EXTRA}/unique_artists.txt", (SEPARATOR.join(row) for row in artists)),
    ]


def _write(root: Path, name: str, lines: Iterable[str]) -> str:
    with atomic_path(root / name) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return name


def _write_sqlite(root: Path, name: str, tables: Mapping[str, tuple[str, Iterable[Sequence[object]]]]) -> str:
    with atomic_path(root / name) as temporary, closing(sqlite3.connect(temporary)) as connection:
        for table, (columns, rows) in tables.items():
            connection.execute(f"CREATE TABLE {table} ({columns})")
            marks = ", ".join("?" * len(columns.split(",")))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        connection.commit()
    return name


def _database(root: Path, songs: pd.DataFrame, _: Path) -> list[str]:
    columns = (
        "track_id text PRIMARY KEY, title text, song_id text, release text, artist_id text, artist_mbid text,"
        " artist_name text, duration real, artist_familiarity real, artist_hotttnesss real, year int,"
        " track_7digitalid int, shs_perf int, shs_work int"
    )
    rows = (
        (s.track_id, s.title, s.song_id, s.release, s.artist_id, "", s.artist_name, s.duration, 0.0, 0.0, s.year,
         s.track_7digitalid, -1, 0)
        for s in songs.itertuples()
    )  # fmt: skip
    return [_write_sqlite(root, f"{EXTRA}/track_metadata.db", {"songs": (columns, rows)})]


def _tags(root: Path, songs: pd.DataFrame, _: Path) -> list[str]:
    tags = sorted({tag for found in songs["tags"] for tag in found})
    number = {tag: row for row, tag in enumerate(tags, start=1)}
    entries = [
        (row, number[tag], max(1, 100 - 30 * place))
        for row, found in enumerate(songs["tags"], start=1)
        for place, tag in enumerate(found)
    ]
    tables: dict[str, tuple[str, Iterable[Sequence[object]]]] = {
        "tids": ("tid TEXT", [(track,) for track in songs["track_id"]]),
        "tags": ("tag TEXT", [(tag,) for tag in tags]),
        "tid_tag": ("tid INT, tag INT, val FLOAT", entries),
    }
    genres = (f"{song.track_id}\t{song.genre_top}" for song in songs.itertuples() if song.genre_top)
    return [
        _write_sqlite(root, f"{EXTRA}/lastfm_tags.db", tables),
        _write(root, f"{EXTRA}/msd_tagtraum_cd1.cls", ["# genres of the synthetic corpus", *genres]),
    ]


def _lists(root: Path, songs: pd.DataFrame, _: Path) -> list[str]:
    def line(song: object) -> str:
        one = f"{getattr(song, 'artist_name', '')}  -  {getattr(song, 'title', '')}"
        return f"ERROR: <{getattr(song, 'song_id', '')} {getattr(song, 'track_id', '')}> Somebody  -  Else  !=  {one}"

    bad = songs[songs["planted"].isin(["mismatched", "taken back"])]
    lines = [
        f"ERROR: <{' '.join(_NO_SUCH)}> Nobody  -  Nothing  !=  No one  -  Something",
        *map(line, bad.itertuples()),
    ]
    back = [f"< {line(song)}" for song in bad[bad["planted"].eq("taken back")].itertuples()]
    names = [
        _write(root, f"{EXTRA}/sid_mismatches.txt", lines),
        _write(root, f"{EXTRA}/sid_matches_manually_accepted.txt", ["1c1", *back]),
        _write(root, f"{EXTRA}/msd_duplicates.txt", _duplicates(songs)),
    ]
    listed = songs[songs["in_list"] > 0].sort_values(["artist_id", "in_list"])
    if not listed.empty:
        index = listed.groupby("artist_id", sort=True).ngroup() + 1
        table = pd.DataFrame(
            {"track_7digitalid": listed["track_7digitalid"], "artist_index": index, "song_index": listed["in_list"]}
        )
        write_artist_list(root / EXTRA / ARTIST_LIST, table)
        names.append(f"{EXTRA}/{ARTIST_LIST}")
    return names


def _duplicates(songs: pd.DataFrame) -> list[str]:
    lines = ["# duplicates of the synthetic corpus"]
    whole = songs[songs["audio_hash"] != hashlib.sha256().hexdigest()]  # two empty files are not one recording
    keyed = [*songs.groupby("song_id")["track_id"], *whole.groupby("audio_hash")["track_id"]]
    groups = [ids.tolist() for _, ids in keyed if len(ids) > 1]
    by_track = songs.set_index("track_id")
    for number, ids in enumerate(groups, start=1):
        lines.append(f"%{number} {by_track.loc[ids[0], 'title']}")
        lines += [f"{track} - {by_track.loc[track, 'artist_name']} - {by_track.loc[track, 'title']}" for track in ids]
    return lines
