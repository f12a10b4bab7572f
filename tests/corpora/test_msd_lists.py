"""Mismatches and duplicates of the Million Song Dataset."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from artist_transfer.corpora.msd_lists import (
    apply_mismatches,
    group_recordings,
    read_accepted,
    read_duplicates,
    read_mismatches,
)
from artist_transfer.errors import ArtistTransferError

SONGS = [f"SOAAAAA12AB00000{n:02d}" for n in range(9)]
TRACKS = [f"TRAAAAA128F00000{n:02d}" for n in range(9)]


def mismatch(n: int, names: str = "A  -  B  !=  C  -  D") -> str:
    return f"ERROR: <{SONGS[n]} {TRACKS[n]}> {names}"


def write(tmp_path: Path, *lines: str | bytes) -> Path:
    path = tmp_path / "list.txt"
    path.write_bytes(b"".join((one.encode() if isinstance(one, str) else one) + b"\n" for one in lines))
    return path


def corpus(*numbers: int) -> pd.DataFrame:
    songs = {"song_id": [SONGS[n] for n in numbers]}
    return pd.DataFrame(songs, index=pd.Index([TRACKS[n] for n in numbers], name="track_id"))


def test_only_the_ids_of_a_mismatch_are_read(tmp_path: Path) -> None:
    odd = f"ERROR: <{SONGS[2]} {TRACKS[2]}> A != > <{SONGS[5]} {TRACKS[5]}>  -  B"
    path = write(tmp_path, mismatch(0), b"", mismatch(1).encode() + b" \xff\xfe", odd, "# a remark")
    table = read_mismatches(path)
    assert table["song_id"].tolist() == SONGS[:3] and table["track_id"].tolist() == TRACKS[:3]
    assert table["source_row"].tolist() == [1, 3, 4]


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: <SOAAA TRAAAAA128F0000000> A",
        f"ERROR: <{TRACKS[0]} {SONGS[0]}> the other way round",
        f"ERROR: {SONGS[0]} {TRACKS[0]}",
        f"WARNING: <{SONGS[0]} {TRACKS[0]}> A",
    ],
)
def test_a_malformed_mismatch_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(ArtistTransferError, match=r"list\.txt, row 2: must be like 'ERROR:"):
        read_mismatches(write(tmp_path, mismatch(0), line))


def test_accepted_matches_are_lines_of_a_comparison(tmp_path: Path) -> None:
    path = write(tmp_path, "12c12", f"< {mismatch(3)}", "---", f"> {mismatch(4)}", "20d19", f"< {mismatch(5)}")
    assert read_accepted(path)["track_id"].tolist() == [TRACKS[3], TRACKS[5]]
    with pytest.raises(ArtistTransferError, match=r"list\.txt, row 1: must be like '< ERROR:"):
        read_accepted(write(tmp_path, "< ERROR: nothing"))


def test_mismatches_are_applied_and_every_line_is_accounted_for(tmp_path: Path) -> None:
    mismatches = read_mismatches(write(tmp_path, mismatch(1), mismatch(3), mismatch(5), mismatch(8), mismatch(3)))
    accepted = read_accepted(write(tmp_path, f"< {mismatch(5)}"))
    songs = corpus(0, 1, 3, 5)
    songs.loc[TRACKS[1], "song_id"] = SONGS[7]
    exclusions, counts = apply_mismatches(songs, mismatches, accepted=accepted)
    assert exclusions["track_id"].tolist() == [TRACKS[1], TRACKS[3]]
    assert exclusions["reason"].tolist() == [f"mismatched: song {SONGS[n]} is not track {TRACKS[n]}" for n in (1, 3)]
    assert counts == {
        "mismatch lines": 5,
        "mismatch lines taken back": 1,
        "mismatch lines of other tracks": 1,
        "mismatch lines with another song id": 1,
    }
    assert apply_mismatches(songs, mismatches)[0]["track_id"].tolist() == [TRACKS[1], TRACKS[3], TRACKS[5]]


def test_duplicates_are_groups(tmp_path: Path) -> None:
    text = [
        "# Million Song Dataset", "#", "%0 title", f"{TRACKS[0]} - Ann - One - Two", f"{TRACKS[1]}<SEP>Ann<SEP>One",
        "%1 100% cotton", TRACKS[2], "", f"{TRACKS[3]} - 雨",
    ]  # fmt: skip
    path = tmp_path / "msd_duplicates.txt.gz"
    path.write_bytes(gzip.compress("\n".join(text).encode()))
    table = read_duplicates(path)
    assert table["group"].tolist() == [0, 0, 1, 1] and table["track_id"].tolist() == TRACKS[:4]
    assert table["source_row"].tolist() == [4, 5, 7, 9]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([TRACKS[0]], "row 1: track .* before the first group"),
        (["%1", f"{TRACKS[0]}9 - A"], "row 2: must be a comment"),
        (["%1", f"artist - {TRACKS[0]}"], "row 2: must be a comment"),
        (["%1", "TRAAA"], "row 2"),
    ],
)
def test_a_malformed_duplicate_is_named(tmp_path: Path, lines: list[str], says: str) -> None:
    with pytest.raises(ArtistTransferError, match=r"list\.txt, " + says):
        read_duplicates(write(tmp_path, *lines))


@pytest.mark.parametrize("reader", [read_mismatches, read_accepted, read_duplicates])
def test_a_missing_list_and_a_damaged_archive_are_named(tmp_path: Path, reader: object) -> None:
    with pytest.raises(ArtistTransferError, match="none"):
        reader(tmp_path / "none")  # type: ignore[operator]
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"# remark\n" * 40_000)[:60])
    with pytest.raises(ArtistTransferError, match=r"cut\.gz: cannot be read after row"):
        reader(path)  # type: ignore[operator]


def test_a_line_without_end_is_refused_before_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"%" * (8 << 20)))
    with pytest.raises(ArtistTransferError, match=r"bomb\.gz, row 1: is longer than"):
        read_duplicates(path)


def test_groups_that_share_a_track_become_one_recording() -> None:
    tracks = ["a", "b", "c", "d", "e", "f"]
    groups = [["e", "d"], ["x", "y"], ["b", "e", "x"], ["f"], ["x", "c"]]
    recording_of, counts = group_recordings(tracks, groups)
    assert recording_of == {"a": "a", "b": "b", "c": "c", "d": "b", "e": "b", "f": "f"}
    assert counts == {"duplicate groups": 1, "tracks in them": 3}
    assert group_recordings(tracks[::-1], groups[::-1])[0] == recording_of
