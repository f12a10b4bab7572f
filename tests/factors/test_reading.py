"""Reading factors: heaviest artists, genres and words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.factors.reading import factor_columns, read_factors

TABLE = pd.DataFrame(
    {"fold": 2, "artist_id": ["a", "b", "c"], "f00": [0.9, 0.3, 0.1], "f01": [0.1, 0.7, 0.9], "note": "x"}
)
TRACKS = pd.DataFrame(
    {
        "track_id": ["1", "2", "3", "4", "5"],
        "artist_id": ["a", "a", "b", "c", "elsewhere"],
        "artist": ["Ann", "Ann", "Bob", None, "Eve"],
        "genre_top": ["Rock", "Folk", "Folk", None, "Jazz"],
    }
)


def test_columns() -> None:
    assert factor_columns(TABLE) == ["f00", "f01"]


def test_reading_by_hand() -> None:
    reading = read_factors(TABLE, TRACKS)
    assert reading["fold"].tolist() == [2, 2]
    np.testing.assert_allclose(reading["share"], [1.3 / 3, 1.7 / 3])
    assert reading["artists"].tolist() == ["Ann 0.90, Bob 0.30, c 0.10", "c 0.90, Bob 0.70, Ann 0.10"]
    # f00: Ann's 0.9 is half rock, half folk; Bob's 0.3 folk; c has no genre: of 1.3 in all
    assert reading["genres"][0] == "Folk 0.58, Rock 0.35, no genre 0.08"
    assert reading["words"].tolist() == ["", ""]


def test_words_by_their_weight() -> None:
    topics = np.array([[0.7, 0.0, 0.3], [0.0, 1.0, 0.0]])
    reading = read_factors(TABLE, TRACKS, topics=topics, words=["fugue", "waltz", "aria"], n_heaviest=2)
    assert reading["words"].tolist() == ["fugue 0.70, aria 0.30", "waltz 1.00"]
    assert reading["artists"].tolist() == ["Ann 0.90, Bob 0.30", "c 0.90, Bob 0.70"]


def test_a_corpus_without_genres_can_be_read() -> None:
    reading = read_factors(TABLE, TRACKS.assign(genre_top=None))
    assert reading["genres"].tolist() == ["no genre 1.00"] * 2


def test_two_folds_at_once_are_refused() -> None:
    with pytest.raises(ArtistTransferError, match="one fold"):
        read_factors(pd.concat([TABLE, TABLE.assign(fold=3)]), TRACKS)
