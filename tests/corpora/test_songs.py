"""What counts as one song, and the drawn orders."""

from __future__ import annotations

import pandas as pd

from artist_transfer.corpora.songs import drawn_order, find_songs, songs_by_artist

TABLE = pd.DataFrame(
    {
        "track_id": ["a", "b", "c", "d", "e", "f", "g"],
        "artist_id": ["x", "x", "x", "x", "y", "y", None],
        "recording_id": ["r", "r", "c", "d", "e", "f", "g"],
        "audio_hash": ["1", "2", "2", "3", "3", "4", None],
        "genre_top": None,
    }
)


def test_clips_and_duplicates_are_one_song() -> None:
    """a and b share a recording, b and c their audio; d and e are one song of two artists."""
    assert [song.rows for song in find_songs(TABLE)] == [(0, 1, 2), (3, 4), (5,), (6,)]
    assert [song.rows for song in find_songs(TABLE.drop(columns="audio_hash"))] == [
        (0, 1),
        (2,),
        (3,),
        (4,),
        (5,),
        (6,),
    ]


def test_songs_of_one_artist_alone() -> None:
    found = songs_by_artist(find_songs(TABLE), seed=1)
    assert {artist: [song.name for song in own] for artist, own in found.items()} == {"x": ["a"], "y": ["f"]}


def test_a_drawn_order_is_of_each_name_by_itself() -> None:
    names = [f"n{k}" for k in range(50)]
    order = drawn_order(names, seed=1, purpose="one")
    assert sorted(order) == sorted(names) != order
    assert drawn_order(reversed(names), seed=1, purpose="one") == order
    assert drawn_order(names[:20], seed=1, purpose="one") == [name for name in order if name in names[:20]]
    assert order not in (drawn_order(names, seed=2, purpose="one"), drawn_order(names, seed=1, purpose="two"))
