"""Labels that stand in one split only."""

from __future__ import annotations

import pandas as pd
import pytest

from artist_transfer.corpora.labels import labels_by_side, labels_in_training
from artist_transfer.errors import ArtistTransferError

TABLE = pd.DataFrame(
    {
        "track_id": list("abcdefgh"),
        "genre_top": ["rock", "rock", "dub", "folk", "folk", None, "trap", "rock"],
        "genres": [["x", "y"], ["x"], [], ["y"], ["z"], ["x"], ["z"], []],
        "official_split": ["training", "test", "training", "test", "validation", "test", "validation", None],
    }
)


def test_tracks_are_counted_by_label_and_side() -> None:
    counts = labels_by_side(TABLE)
    assert counts.to_dict("list") == {
        "label": ["dub", "folk", "rock", "trap"],
        "train": [1, 0, 1, 0],
        "validation": [0, 1, 0, 1],
        "test": [0, 1, 1, 0],
    }


def test_labels_of_one_split_are_counted_and_named() -> None:
    labels, facts = labels_in_training(TABLE)
    assert labels == ("dub", "rock")
    assert facts == {
        "labels": 2,
        "not in training": {"folk": 2, "trap": 1},
        "tracks of them": 3,
        "not in test": {"dub": 1},
        "in one split only": ["dub", "trap"],
    }


def test_sides_of_a_split_table_and_words_instead_of_labels() -> None:
    sides = ["train", "test", "train", "train", "test", "test", "unseen", "train"]
    labels, facts = labels_in_training(TABLE, sides, column="genres")
    assert labels == ("x", "y")
    assert facts["not in training"] == {"z": 1} and facts["not in test"] == {"y": 2}


@pytest.mark.parametrize(
    ("sides", "column", "says"),
    [
        (["test"] * 8, "genre_top", "no genre_top has a training track"),
        (["train"] * 8, "genre_top", "none of the 4 labels in training has a test track"),
        (["train"] * 7, "genre_top", "7 sides for 8 tracks"),
        (None, "artist", "column 'artist' is unknown; allowed: genre_top, genres"),
    ],
)
def test_splits_that_teach_or_test_nothing(sides: list[str] | None, column: str, says: str) -> None:
    with pytest.raises(ArtistTransferError, match=says):
        labels_in_training(TABLE, sides, column=column)
