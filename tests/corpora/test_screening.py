"""What is usable, what is not, and that the counts add up."""

from __future__ import annotations

import pandas as pd
import pytest

from artist_transfer.corpora.schema import make_track_table
from artist_transfer.corpora.screening import QUARANTINE_COLUMNS, USABLE_COLUMNS, screen
from artist_transfer.errors import ArtistTransferError

REASONS = [None, None, "truncated: 12.3 s of 30.0 s declared", None, "missing file", "truncated: 1.0 s", None]


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Seven tracks: three quarantined; of the others two duplicates, one without genre, 1 without artist."""
    ids = [f"{i:03d}" for i in range(7)]
    tracks = make_track_table(
        pd.DataFrame(
            {
                "track_id": ids,
                "path": [f"{i}.mp3" for i in ids],
                "artist_id": ["a", "a", "b", None, None, "c", "d"],
                "genre_top": ["x", None, None, "x", "y", "y", "x"],
                "recording_id": ["r", "r", "s", "t", "u", "v", "w"],
            }
        ),
        source="here",
    )
    probe = pd.DataFrame(
        {
            "track_id": ids,
            "reason": REASONS,
            "duration_s": [30.0, 30, 12.3, 30, None, 1, 30],
            "audio_hash": ["h1", "h2", "h1", "h1", None, "h2", "h3"],
            "n_frames": [5, 5, None, 5, None, None, 5],
            "shard": ["s0", "s0", None, "s0", None, None, "s1"],
            "offset": [0, 5, 0, 10, 0, 0, 0],
            "peak": 0.5,
        }
    )
    return tracks, probe


def test_counts_add_up() -> None:
    usable, quarantine, counts = screen(*tables())
    assert counts == {
        "tracks": 7,
        "usable": 4,
        "quarantined": 3,
        "quarantined: missing file": 1,
        "quarantined: truncated": 2,
        "usable without genre": 1,
        "usable without artist": 1,
        "duplicate groups": 1,
        "duplicates in them": 2,
        "artists": 2,
        "genres": 1,
        "recordings": 3,
    }
    assert len(usable) + len(quarantine) == 7


def test_only_audio_decides_and_every_track_is_somewhere() -> None:
    usable, quarantine, _ = screen(*tables())
    assert tuple(usable.columns) == USABLE_COLUMNS
    assert tuple(quarantine.columns) == QUARANTINE_COLUMNS
    assert usable["track_id"].tolist() == ["000", "001", "003", "006"]
    assert quarantine["track_id"].tolist() == ["002", "004", "005"]
    assert quarantine["reason"].tolist() == [reason for reason in REASONS if reason]
    assert usable["n_frames"].dtype == usable["offset"].dtype == "int64"
    assert usable["offset"].tolist() == [0, 5, 10, 0]


def test_the_order_of_rows_does_not_matter() -> None:
    tracks, probe = tables()
    for one, other in zip(screen(tracks, probe), screen(tracks, probe.iloc[::-1]), strict=True):
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other)
        else:
            assert one == other


@pytest.mark.parametrize("reason", [None, "silent"])
def test_all_or_nothing(reason: str | None) -> None:
    tracks, probe = tables()
    probe["reason"] = pd.Series([reason] * 7, dtype="str")
    probe["n_frames"] = 5
    usable, quarantine, counts = screen(tracks, probe)
    assert (len(usable), len(quarantine)) == ((7, 0) if reason is None else (0, 7))
    assert counts.get("quarantined: silent", 0) == len(quarantine) == counts["quarantined"]


def test_tables_of_different_tracks_are_refused() -> None:
    tracks, probe = tables()
    with pytest.raises(ArtistTransferError, match="probe table: 1 tracks are missing, the first '006'"):
        screen(tracks, probe.iloc[:6])
    with pytest.raises(ArtistTransferError, match="track table: 1 tracks are missing, the first '000'"):
        screen(tracks.iloc[1:], probe)
    with pytest.raises(ArtistTransferError, match="probe table: track '000' stands there twice"):
        screen(tracks, pd.concat([probe, probe.iloc[:1]]))
