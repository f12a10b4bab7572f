"""What each kind of split promises of its own: shares, folds, the corpus's own sides, as many songs of every artist."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from tests.corpora.split_tables import PROPERTY, artists, components, split_or_skip, tables, usable

from artist_transfer.corpora.splits import GENRE_COVER, BalancedParams, make_split
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning


@PROPERTY
@given(tables(), st.floats(0.05, 0.6))
def test_stratified_keeps_the_share_of_every_genre_within_one_unit(table: pd.DataFrame, share: float) -> None:
    table["genre_top"] = (
        table["genre_top"].groupby(components(table, ["recording_id", "audio_hash"])).transform("first")
    )  # a unit of one genre, so that the share of each genre is well defined
    units = pd.Series(components(table, ["recording_id", "audio_hash"]))
    split = split_or_skip(table, ("stratified", 1), share=share)
    tested = split["side"] == "test"
    genres = table["genre_top"].fillna("none")
    for genre in genres.unique():
        own = genres == genre
        sizes = units[own].value_counts()
        if len(sizes) > 1 and tested.sum() > sizes.min():
            assert abs(tested[own].sum() - share * own.sum()) <= sizes.max() + 1e-9


@given(st.lists(st.integers(2, 40), min_size=1, max_size=5), st.floats(0.1, 0.5), st.integers(0, 9))
@PROPERTY
def test_stratified_is_exact_to_rounding_where_tracks_are_single(sizes: list[int], share: float, seed: int) -> None:
    genres = [f"g{n}" for n, size in enumerate(sizes) for _ in range(size)]
    count = len(genres)
    assume(share * count >= 1)
    table = usable({"track_id": [f"{i:03d}" for i in range(count)], "genre_top": genres})
    tested = make_split(table, kind="stratified", seed=seed, test_share=share)["side"] == "test"
    assert tested.sum() == np.floor(share * count + 0.5)
    for n, size in enumerate(sizes):
        assert abs(tested[table["genre_top"] == f"g{n}"].sum() - share * size) < 1


@PROPERTY
@given(tables(), st.integers(2, 6))
def test_every_artist_is_tested_exactly_once(table: pd.DataFrame, folds: int) -> None:
    split = split_or_skip(table, ("artist_disjoint", folds))
    tested = split[split["side"] == "test"]
    assert sorted(tested["track_id"]) == table["track_id"].tolist()
    artists = tested.merge(table, on="track_id").groupby("artist_id")["fold"].nunique()
    assert (artists == 1).all()
    assert tested.merge(table, on="track_id").dropna(subset="artist_id")["fold"].nunique() == folds


@PROPERTY
@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1, max_size=4),
    st.floats(0.1, 0.4),
    st.integers(0, 5),
)
def test_artist_disjoint_keeps_the_share_and_covers_the_genres(sizes: list[list[int]], share: float, seed: int) -> None:
    assume(sum(map(len, sizes)) >= 2 and any(len(own) > 1 for own in sizes))
    table = artists({f"g{n}": own for n, own in enumerate(sizes)})
    split = make_split(table, kind="artist_disjoint", seed=seed, test_share=share)
    tested = split["side"] == "test"
    biggest = max(map(max, sizes))
    assert tested.sum() <= (share + GENRE_COVER) * len(table) + biggest
    covered = set(table["genre_top"][tested])
    trained = set(table["genre_top"][~tested])
    assert trained == {f"g{n}" for n in range(len(sizes))}
    if tested.sum() + biggest <= (share + GENRE_COVER) * len(table):
        assert covered == {f"g{n}" for n, own in enumerate(sizes) if len(own) > 1}
    if len(sizes) == 1 and len(sizes[0]) > 1:
        assert abs(tested.sum() - share * len(table)) <= biggest


def test_folds_are_balanced_over_genres_and_tracks() -> None:
    table = artists({"a": [4] * 10, "b": [4] * 5})
    split = make_split(table, kind="artist_disjoint", seed=1, folds=5)
    tested = split[split["side"] == "test"].merge(table, on="track_id")
    assert tested.groupby(["fold", "genre_top"]).size().unstack().to_numpy().tolist() == [[8, 4]] * 5


def test_tracks_without_artist_follow_their_album() -> None:
    table = usable(
        {
            "track_id": list("abcdefgh"),
            "artist_id": ["1", None, "2", "3", None, None, None, "4"],
            "album_id": ["x", "x", "y", "y", "y", "y", None, None],
        }
    )
    for seed in range(20):
        split = make_split(table, kind="artist_disjoint", seed=seed, folds=4)
        fold = split[split["side"] == "test"].set_index("track_id")["fold"]
        assert fold["a"] == fold["b"]  # the one artist of album x
        assert fold["e"] == fold["f"]  # nobody knows whose, but of one album
        assert fold[["a", "c", "d", "h"]].nunique() == 4  # and album y, of several artists, joins none


def test_official_is_followed_and_what_spans_sides_is_trained_on() -> None:
    table = usable(
        {
            "track_id": list("abcdefgh"),
            "official_split": ["training", "training", "validation", "test", "test", None, None, "test"],
            "audio_hash": ["1", "2", "3", "4", "2", "6", "4", "8"],
        }
    )
    with pytest.warns(ArtistTransferWarning, match="3 tracks moved to training"):
        split = make_split(table, kind="official", seed=0)
    expected = ["train", "train", "validation", "train", "train", "unused", "train", "test"]
    assert split["side"].tolist() == expected


@PROPERTY
@given(tables())
def test_official_test_is_a_subset_of_the_corpus_s_own(table: pd.DataFrame) -> None:
    side = split_or_skip(table, ("official", 1))["side"]
    assert set(table["official_split"][side == "test"]) == {"test"}
    assert set(table["official_split"][side == "validation"]) <= {"validation"}


@pytest.mark.parametrize(("params", "division"), [((6,), (15, 3, 2)), ((10_000,), (17, 1, 2))])
def test_the_division_of_the_paper(params: tuple[int], division: tuple[int, int, int]) -> None:
    assert BalancedParams(*params).division == division


def test_balanced_has_as_many_songs_of_every_artist() -> None:
    table = artists({"a": [20, 25, 19, 30], "b": [20, 21, 1]})
    split = make_split(table, kind="balanced", seed=0, balanced=BalancedParams(3, unseen_artists=2))
    counts = split.merge(table, on="track_id").groupby(["artist_id", "side"]).size().unstack(fill_value=0)
    seen = counts[counts["train"] > 0]
    assert seen[["train", "validation", "test", "unseen"]].to_numpy().tolist() == [[15, 3, 2, 0]] * 3
    unseen = counts[counts["unseen"] > 0]
    assert unseen[["train", "validation", "test", "unseen"]].to_numpy().tolist() == [[0, 0, 0, 20]] * 2
    assert set(counts.index) - set(seen.index) - set(unseen.index) == {"a-2", "b-2"}
    assert len(split) == len(table)


def test_a_song_of_several_clips_counts_once() -> None:
    table = artists({"a": [8, 8]})
    table["recording_id"] = table["track_id"].str[:-2] + (table["track_id"].str[-2:].astype(int) // 2).astype(str)
    params = BalancedParams(2, songs=4, train=2, validation=1, test=1)
    split = make_split(table, kind="balanced", seed=0, balanced=params)
    counts = split.merge(table, on="track_id").groupby(["artist_id", "side"]).size().unstack()
    assert counts[["train", "validation", "test"]].to_numpy().tolist() == [[4, 2, 2]] * 2
    with pytest.raises(ArtistTransferError, match=r"balanced.songs=5 .*found 0"):
        make_split(table, kind="balanced", seed=0, balanced=BalancedParams(2, songs=5, train=3, validation=1, test=1))
