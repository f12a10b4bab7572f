"""Artists' bags of words."""

from __future__ import annotations

import numpy as np
import pytest

from artist_transfer.errors import ArtistTransferError, NothingToFit
from artist_transfer.factors.bag_of_words import artist_bags, load_bags, save_bags

ARTISTS = {"t1": "b", "t2": "a", "t3": "b", "t4": "c"}
WORDS = [
    ("t1", np.array([0, 0, 3])),
    ("t2", np.array([2])),
    ("t3", np.array([3])),
    ("t4", np.array([], dtype=np.int32)),
    ("nobody", np.array([1, 1])),
]


def test_counts_by_hand() -> None:
    bags = artist_bags(WORDS, ARTISTS, 5, divide_by_tracks=False)
    assert bags.artist_ids == ("a", "b")
    np.testing.assert_array_equal(bags.counts, [[0, 0, 1, 0, 0], [2, 0, 0, 2, 0]])
    assert bags.n_tracks.tolist() == [1, 2]


def test_artists_without_a_word_are_named() -> None:
    assert artist_bags(WORDS, ARTISTS, 5, divide_by_tracks=True).left_out == ("c",)


def test_divided_rows_are_means_over_tracks() -> None:
    plain = artist_bags(WORDS, ARTISTS, 5, divide_by_tracks=False)
    divided = artist_bags(WORDS, ARTISTS, 5, divide_by_tracks=True)
    np.testing.assert_array_equal(divided.counts * plain.n_tracks[:, None], plain.counts)
    assert divided.counts.sum(axis=1).tolist() == [1.0, 2.0]


def test_order_of_tracks_is_without_effect() -> None:
    one = artist_bags(WORDS, ARTISTS, 5, divide_by_tracks=True)
    other = artist_bags(WORDS[::-1], dict(reversed(ARTISTS.items())), 5, divide_by_tracks=True)
    assert one.artist_ids == other.artist_ids
    assert one.counts.tobytes() == other.counts.tobytes()


def test_every_word_of_a_known_artist_is_counted() -> None:
    rng = np.random.default_rng(0)
    words = [(f"t{i}", rng.integers(50, size=rng.integers(1, 400))) for i in range(60)]
    artists = {f"t{i}": f"a{i % 7}" for i in range(60)}
    bags = artist_bags(words, artists, 50, divide_by_tracks=False)
    assert bags.counts.sum() == sum(len(each) for _, each in words)
    assert bags.n_tracks.sum() == 60


@pytest.mark.parametrize("word", [-1, 5])
def test_a_word_outside_the_vocabulary_is_an_error_that_names_the_track(word: int) -> None:
    with pytest.raises(ArtistTransferError, match="t2"):
        artist_bags([("t2", np.array([word]))], ARTISTS, 5, divide_by_tracks=False)


def test_no_word_at_all_is_an_error() -> None:
    with pytest.raises(NothingToFit, match=r"^none of the 3 artists"):
        artist_bags([], ARTISTS, 5, divide_by_tracks=False)
    with pytest.raises(NothingToFit, match=r"^no training track has an artist$"):
        artist_bags(WORDS, {}, 5, divide_by_tracks=False)


def test_stored_and_read_again(tmp_path) -> None:
    bags = artist_bags(WORDS, ARTISTS, 5, divide_by_tracks=True)
    save_bags(tmp_path, bags)
    again = load_bags(tmp_path)
    assert (again.artist_ids, again.left_out) == (bags.artist_ids, bags.left_out)
    np.testing.assert_array_equal(again.counts, bags.counts)
    np.testing.assert_array_equal(again.n_tracks, bags.n_tracks)
