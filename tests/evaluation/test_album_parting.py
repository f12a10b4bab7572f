"""No album on both sides, and found whenever it can be: against every way to part the albums."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artist_transfer.evaluation.album_parting import part_albums

songs = st.lists(st.sets(st.sampled_from("abcdef"), min_size=1, max_size=2), min_size=1, max_size=8)


def possible(albums: list[set[str]], enrol: int, test: int) -> bool:
    """Try every way to put albums on two sides; a song whose albums are on both sides forbids it."""
    names = sorted(set().union(*albums))
    for sides in product((False, True), repeat=len(names)):
        tested = {name for name, side in zip(names, sides) if side}
        if any(own & tested and own - tested for own in albums):
            continue
        n = sum(own <= tested for own in albums)
        if n >= test and len(albums) - n >= enrol:
            return True
    return False


@given(songs, st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_found_if_and_only_if_it_is_possible(albums: list[set[str]], enrol: int, test: int) -> None:
    found = part_albums(albums, enrol=enrol, test=test)
    assert (found is not None) == possible(albums, enrol, test)
    if found is not None:
        enrolled, tested = found
        assert (len(enrolled), len(tested)) == (enrol, test)
        assert not set().union(*(albums[k] for k in enrolled)) & set().union(*(albums[k] for k in tested))


@pytest.mark.parametrize(
    ("albums", "expected"),
    [
        ("aabbb", ((2, 3, 4), (0, 1))),
        ("bbbaa", ((0, 1, 2), (3, 4))),  # three to enrol leave the album of two to test
        ("ababc", ((1, 3, 4), (0, 2))),
        ("aaaaa", None),
    ],
)
def test_by_hand(albums: str, expected: tuple | None) -> None:
    assert part_albums([{x} for x in albums], enrol=3, test=2) == expected


def test_albums_that_share_a_song_stay_together() -> None:
    """The first and the last album are joined by the song that both have, found before or after them."""
    for bridge in range(4):
        albums = [{"a"}, {"b"}, {"c"}]
        albums.insert(bridge, {"a", "c"})
        assert part_albums(albums, enrol=2, test=1) is not None
        assert part_albums(albums, enrol=2, test=2) is None
