"""Last.fm tags: the vocabulary, the weights, and databases that are none."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from artist_transfer.corpora.lastfm import TOP_50, read_lastfm
from artist_transfer.errors import ArtistTransferError

TRACKS = [f"TRAAA{letter}K128F9318786" for letter in "ABCD"]
TAGS = ["rock", "Rock", "seen live", "jazz", "sad", "folk"]
ENTRIES = [
    (1, 1, 100.0), (1, 5, 40), (1, 3, 70.0), (2, 4, 100), (2, 1, 10.0), (3, 3, 100.0), (3, 2, 50.0),
    (4, 1, 100.0), (4, 6, 100.0),
]  # fmt: skip


def write(tmp_path: Path, entries: Sequence[tuple[object, ...]] = ENTRIES, tags: Sequence[object] = TAGS) -> Path:
    path = tmp_path / "lastfm_tags.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tids (tid TEXT)")
        connection.execute("CREATE TABLE tags (tag TEXT)")
        connection.execute("CREATE TABLE tid_tag (tid INT, tag INT, val FLOAT)")
        connection.executemany("INSERT INTO tids VALUES (?)", [(track,) for track in TRACKS])
        connection.executemany("INSERT INTO tags VALUES (?)", [(tag,) for tag in tags])
        connection.executemany("INSERT INTO tid_tag VALUES (?, ?, ?)", entries)
        connection.commit()
    return path


def test_the_papers_list() -> None:
    assert len(TOP_50) == len(set(TOP_50)) == 50
    assert TOP_50[:3] == ("rock", "pop", "alternative") and TOP_50[-1] == "happy"


def test_tags_of_the_papers_list_heaviest_first(tmp_path: Path) -> None:
    tags = read_lastfm(write(tmp_path), track_ids=TRACKS[:3])
    assert tags.tags_of == {TRACKS[0]: ["rock", "sad"], TRACKS[1]: ["jazz", "rock"]}
    assert tags.vocabulary == TOP_50
    assert tags.notes == {
        "tags in the vocabulary": 50,
        "vocabulary tags that no track has": 47,
        "tag entries used": 4,
        "tag entries of lighter weight": 0,
        "tag entries of other tags": 3,
        "tagged tracks of other corpora": 1,
        "tracks without a tag": 1,
    }


def test_the_smallest_weight_counts(tmp_path: Path) -> None:
    tags = read_lastfm(write(tmp_path), track_ids=TRACKS[:3], min_weight=40.0)
    assert tags.tags_of == {TRACKS[0]: ["rock", "sad"], TRACKS[1]: ["jazz"]}
    assert tags.notes["tag entries of lighter weight"] == 1
    assert sum(count for name, count in tags.notes.items() if name.startswith("tag entries")) == 7


def test_the_most_frequent_tags_are_those_of_the_corpus(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert read_lastfm(path, track_ids=TRACKS, tags="frequent", n_tags=2).vocabulary == ("rock", "seen live")
    assert read_lastfm(path, track_ids=TRACKS[:3], tags="frequent", n_tags=3).vocabulary == (
        "rock",
        "seen live",
        "Rock",
    )
    heavy = read_lastfm(path, track_ids=TRACKS, tags="frequent", n_tags=9, min_weight=60.0)
    assert heavy.vocabulary == ("rock", "seen live", "folk", "jazz")
    assert heavy.tags_of[TRACKS[0]] == ["rock", "seen live"]


def test_a_given_list(tmp_path: Path) -> None:
    tags = read_lastfm(write(tmp_path), track_ids=TRACKS, tags=["folk", "Rock", "polka"])
    assert tags.tags_of == {TRACKS[2]: ["Rock"], TRACKS[3]: ["folk"]}
    assert tags.vocabulary == ("folk", "Rock", "polka") and tags.notes["vocabulary tags that no track has"] == 1


def test_an_entry_that_stands_twice_counts_once_in_the_vocabulary(tmp_path: Path) -> None:
    path = write(tmp_path, [*ENTRIES, (1, 3, 20.0), (1, 3, 90.0)])
    tags = read_lastfm(path, track_ids=TRACKS, tags="frequent", n_tags=2)
    assert tags.vocabulary == ("rock", "seen live")
    assert tags.tags_of[TRACKS[0]] == ["rock", "seen live"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tags": "top"}, "tags='top' is unknown; allowed: top50, frequent"),
        ({"tags": []}, "must be a list of names"),
        ({"tags": ["a", "a"]}, "each once"),
        ({"tags": "frequent", "n_tags": 0}, "n_tags=0"),
        ({"min_weight": 101.0}, "min_tag_weight=101"),
        ({"min_weight": float("nan")}, "min_tag_weight=nan"),
    ],
)
def test_impossible_parameters_come_before_the_file(tmp_path: Path, options: dict[str, object], says: str) -> None:
    with pytest.raises(ArtistTransferError, match=says):
        read_lastfm(tmp_path / "none.db", track_ids=TRACKS, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ((1, 1, "much"), "row 10, column 'val': .*found 'much'"),
        ((1, 1, -1), "row 10, column 'val'"),
        ((1, 1, 1e9), "row 10, column 'val'"),
        ((1, 1, None), "row 10, column 'val'"),
        ((1, 99, 50), "row 10, column 'tag': .*found 99"),
        ((1, "rock", 50), "row 10, column 'tag'"),
    ],
)
@pytest.mark.parametrize("tags", ["top50", "frequent"])
def test_a_malformed_entry_is_named(tmp_path: Path, entry: tuple[object, ...], says: str, tags: str) -> None:
    path = write(tmp_path, [*ENTRIES, entry])
    with pytest.raises(ArtistTransferError, match=rf"lastfm_tags\.db, table 'tid_tag', {says}"):
        read_lastfm(path, track_ids=TRACKS, tags=tags)


def test_databases_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "lastfm_tags.db"
    with pytest.raises(ArtistTransferError, match=r"lastfm_tags\.db: there is no such file"):
        read_lastfm(path, track_ids=TRACKS)
    path.write_bytes(b"not a database at all, but long enough to look at" * 10)
    with pytest.raises(ArtistTransferError, match=r"lastfm_tags\.db: not a readable SQLite"):
        read_lastfm(path, track_ids=TRACKS)
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tids (name TEXT)")
        connection.commit()
    with pytest.raises(ArtistTransferError, match=r"table 'tids', column 'tid': missing column; found name"):
        read_lastfm(path, track_ids=TRACKS)


def test_a_view_is_not_run(tmp_path: Path) -> None:
    path = write(tmp_path)
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS tid, 1 AS tag, 1 AS val FROM n"
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE tid_tag")
        connection.execute(f"CREATE VIEW tid_tag AS {endless}")
        connection.commit()
    with pytest.raises(ArtistTransferError, match="table 'tid_tag' is missing"):
        read_lastfm(path, track_ids=TRACKS)


def test_the_file_is_not_written_to(tmp_path: Path) -> None:
    path = write(tmp_path)
    before = path.read_bytes(), sorted(tmp_path.iterdir())
    read_lastfm(path, track_ids=TRACKS)
    assert (path.read_bytes(), sorted(tmp_path.iterdir())) == before
