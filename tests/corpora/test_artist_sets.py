"""Nested sets of artists with as many songs each, and sets of songs with tags of the same sizes."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import given
from tests.corpora.split_tables import PROPERTY, artists

from artist_transfer.corpora.artist_sets import SET_COLUMNS, artist_sets, paper_division, tag_label_set
from artist_transfer.corpora.table import read_table
from artist_transfer.errors import ArtistTransferError

SIDES = ["train", "validation", "test", "unseen"]


def counts(sets: pd.DataFrame) -> pd.DataFrame:
    """Tracks by set, artist and side."""
    table = sets.groupby(["set", "artist_id", "side"]).size().unstack(fill_value=0)
    return table.reindex(columns=SIDES, fill_value=0)


def side(sets: pd.DataFrame, size: int, name: str) -> set[str]:
    """Tracks of one side of one set."""
    return set(sets.loc[(sets["set"] == size) & (sets["side"] == name), "track_id"])


def test_every_artist_has_as_many_songs_on_each_side() -> None:
    sets, facts = artist_sets(artists({"a": [20, 25, 31, 20, 22], "b": [19, 1]}), sizes=[4, 2], unseen=1, seed=0)
    assert tuple(sets.columns) == SET_COLUMNS and len(sets) == (4 + 2 + 2 * 1) * 20
    table = counts(sets)
    seen = table[table["unseen"] == 0]
    assert seen.to_numpy().tolist() == [[15, 3, 2, 0]] * 6
    assert table[table["unseen"] > 0].to_numpy().tolist() == [[0, 0, 0, 20]] * 2
    assert sets.groupby(["set", "artist_id"])["position"].apply(list).map(lambda own: own == list(range(1, 21))).all()
    assert sets.equals(sets.sort_values(["set", "artist_id", "position"], ignore_index=True))
    assert facts["artists"] == 7
    assert facts["artists with fewer songs"] == {"count": 2, "first": ["b-0", "b-1"]}
    assert facts["sets"]["4"]["tracks"] == {"train": 60, "validation": 12, "test": 8, "unseen": 20}
    assert facts["sets"]["2"]["artists"] == 2 and facts["positions that change side"] == {}


@PROPERTY
@given(
    st.lists(st.integers(1, 9), min_size=6, max_size=20),
    st.integers(0, 3),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_sets_are_nested_and_independent_of_row_order(sizes: list[int], unseen: int, seed: int, random: object) -> None:
    table = artists({"a": sizes})
    enough = sum(size >= 4 for size in sizes)
    if enough - unseen < 3:
        with pytest.raises(ArtistTransferError, match=f"found {enough}, and {len(sizes) - enough} with fewer"):
            artist_sets(table, sizes=[2, 3], songs=4, division=(2, 1, 1), unseen=unseen, seed=seed)
        return
    every = [2, 3, enough - unseen] if enough - unseen > 3 else [2, 3]
    sets, _ = artist_sets(table, sizes=every, songs=4, division=(2, 1, 1), unseen=unseen, seed=seed)
    for smaller, larger in itertools.pairwise(every):
        few, many = (sets[sets["set"] == size].drop(columns="set") for size in (smaller, larger))
        assert len(few.merge(many)) == len(few) < len(many)  # same songs, same positions, same sides
    others = set(sets.loc[sets["side"] == "unseen", "artist_id"])
    assert len(others) == unseen and not others & set(sets.loc[sets["side"] != "unseen", "artist_id"])
    rows = list(range(len(table)))
    random.shuffle(rows)  # type: ignore[attr-defined]
    again, _ = artist_sets(table.iloc[rows], sizes=every, songs=4, division=(2, 1, 1), unseen=unseen, seed=seed)
    pd.testing.assert_frame_equal(again, sets)
    alone, _ = artist_sets(table, sizes=[3], songs=4, division=(2, 1, 1), unseen=unseen, seed=seed)
    pd.testing.assert_frame_equal(alone, sets[sets["set"] == 3].reset_index(drop=True))


def test_the_division_of_many_artists_keeps_the_test_songs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artist_transfer.corpora.artist_sets.MANY_ARTISTS", 6)
    sets, facts = artist_sets(artists({"a": [20] * 8}), sizes=[3, 6], seed=0)
    table = counts(sets)
    assert table.loc[3].to_numpy().tolist() == [[15, 3, 2, 0]] * 3
    assert table.loc[6].to_numpy().tolist() == [[17, 1, 2, 0]] * 6
    assert side(sets, 3, "train") < side(sets, 6, "train") and side(sets, 3, "test") < side(sets, 6, "test")
    assert not side(sets, 3, "test") & side(sets, 6, "train")
    changed = sets[(sets["set"] == 6) & sets["track_id"].isin(side(sets, 3, "validation") & side(sets, 6, "train"))]
    assert set(changed["position"]) == {16, 17} and facts["positions that change side"] == {"6": [16, 17]}


@pytest.mark.parametrize(("size", "division"), [(500, (15, 3, 2)), (9999, (15, 3, 2)), (10_000, (17, 1, 2))])
def test_the_division_of_the_paper(size: int, division: tuple[int, int, int]) -> None:
    assert paper_division(size) == division and sum(division) == 20


def test_the_seed_draws_and_names_the_set() -> None:
    table = artists({"a": [6] * 30})
    draws = [artist_sets(table, sizes=[10], songs=4, division=(2, 1, 1), seed=seed) for seed in (0, 1, 1)]
    chosen = [set(sets["artist_id"]) for sets, _ in draws]
    hashes = [facts["sets"]["10"]["sha256"] for _, facts in draws]
    assert chosen[0] != chosen[1] == chosen[2] and hashes[0] != hashes[1] == hashes[2]


def test_clips_of_a_recording_and_duplicates_are_one_song() -> None:
    table = artists({"a": [8, 8, 8]})
    number = table["track_id"].str[-2:].astype(int)
    clips, copies = table["artist_id"] == "a-0", table["artist_id"] == "a-1"
    table.loc[clips, "recording_id"] = "a-0-song-" + (number // 2).astype(str)
    table.loc[copies, "audio_hash"] = "a-1-audio-" + (number // 2).astype(str)
    sets, facts = artist_sets(table, sizes=[3], songs=4, division=(2, 1, 1), seed=0)
    joined = sets.merge(table, on="track_id")
    assert not joined.duplicated("recording_id").any() and not joined.duplicated("audio_hash").any()
    assert facts["tracks beyond one a song"] == 8
    with pytest.raises(ArtistTransferError, match=r"found 1, and 2 with fewer \(a-0, a-1\)"):
        artist_sets(table, sizes=[3], songs=5, division=(3, 1, 1), seed=0)
    plain, _ = artist_sets(table.drop(columns="audio_hash"), sizes=[2], songs=8, division=(6, 1, 1), seed=0)
    assert set(plain["artist_id"]) == {"a-1", "a-2"}  # a track table knows of no duplicates yet


def test_a_duplicate_under_two_artists_is_nobody_s_song() -> None:
    table = artists({"a": [5, 5]})
    table.loc[[0, 5], "audio_hash"] = "same"
    sets, facts = artist_sets(table, sizes=[2], songs=4, division=(2, 1, 1), seed=0)
    assert not set(table.loc[[0, 5], "track_id"]) & set(sets["track_id"])
    assert facts["tracks of several artists"] == 2
    with pytest.raises(ArtistTransferError, match="found 0"):
        artist_sets(table, sizes=[2], songs=5, division=(3, 1, 1), seed=0)


def test_tracks_without_artist_take_no_part_and_are_counted() -> None:
    table = artists({"a": [5, 5, 5]})
    table.loc[table["artist_id"] == "a-0", "artist_id"] = None
    sets, facts = artist_sets(table, sizes=[2], songs=4, division=(2, 1, 1), seed=0)
    assert set(sets["artist_id"]) == {"a-1", "a-2"} and facts["tracks without artist"] == 5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sizes": [9]}, r"sets\.sizes=9 needs 9 artists with sets\.songs=20 .* found 4, and 2 with fewer"),
        ({"sizes": [4], "unseen": 1}, r"sets\.sizes=4 and 1 unseen artists need 5 .* allowed: sets\.sizes up to 3"),
        ({"sizes": [3], "unseen": 4}, r"allowed: fewer sets\.songs\."),
        ({"sizes": []}, r"sets\.sizes=\[\]"),
        ({"sizes": [2, 2]}, r"sets\.sizes=\[2, 2\].* each once"),
        ({"sizes": [1]}, r"sets\.sizes: 1; allowed: whole numbers from 2 on"),
        ({"sizes": [2], "songs": 8}, r"sets\.songs=8, but the default division is 15 \+ 3 \+ 2"),
        ({"sizes": [2], "songs": 8, "division": (6, 1, 2)}, r"sets\.division is 6 \+ 1 \+ 2; allowed: .* sum is 8"),
        ({"sizes": [2], "songs": 8, "division": (8, 1, -1)}, r"three whole numbers"),
        ({"sizes": [2], "songs": 8, "division": (7, 1)}, r"three whole numbers"),
        ({"sizes": [2], "unseen": -1}, r"^unseen=-1"),
    ],
)  # fmt: skip
def test_sizes_that_cannot_be(options: dict[str, object], says: str) -> None:
    with pytest.raises(ArtistTransferError, match=says):
        artist_sets(artists({"a": [20, 20, 20, 20, 19, 1]}), seed=0, **options)  # type: ignore[arg-type]


def tagged(count: int) -> pd.DataFrame:
    """Songs of 10 artists; every fifth without tag, the others with a frequent one and a rare one."""
    table = artists({"a": [count // 10] * 10})
    words = [[] if k % 5 == 0 else ["rock", f"rare {k}"] if k % 2 else ["folk"] for k in range(count)]
    return table.assign(genres=pd.Series(words, dtype=object))


def test_the_tag_set_has_the_sizes_of_the_artist_set() -> None:
    table = tagged(200)
    sets, facts = tag_label_set(table, size=6, top_tags=2, seed=0)
    assert tuple(sets.columns) == SET_COLUMNS and sets["track_id"].is_unique
    assert sets["side"].value_counts().to_dict() == {"train": 90, "validation": 18, "test": 12}
    assert set(facts["tags"]) == {"rock", "folk"} and facts["songs with tags"] == 160 and facts["songs without"] == 40
    words = table.set_index("track_id")["genres"][sets["track_id"]]
    assert all({"rock", "folk"}.intersection(own) for own in words)
    without_test, _ = tag_label_set(table, size=6, division=(15, 3, 0), top_tags=2, seed=0)
    assert without_test["side"].value_counts().to_dict() == {"train": 90, "validation": 18}


def test_tag_sets_are_nested_and_independent_of_row_order() -> None:
    table = tagged(200)
    small, _ = tag_label_set(table, size=3, top_tags=2, seed=1)
    large, _ = tag_label_set(table.sample(frac=1, random_state=0), size=7, top_tags=2, seed=1)
    assert len(small.drop(columns="set").merge(large.drop(columns="set"))) == len(small)
    other, _ = tag_label_set(table, size=3, top_tags=2, seed=2)
    assert set(other["track_id"]) != set(small["track_id"])


def test_tags_are_ranked_by_use_then_by_name() -> None:
    table = artists({"a": [20]})
    table["genres"] = pd.Series([["b", "a"]] * 10 + [["c"]] * 10, dtype=object)
    assert tag_label_set(table, size=2, songs=5, division=(3, 1, 1), top_tags=2, seed=0)[1]["tags"] == ["a", "b"]
    assert tag_label_set(table, size=2, songs=5, division=(3, 1, 1), seed=0)[1]["tags"] == ["a", "b", "c"]


def test_the_tag_set_leaves_artists_and_second_clips_out() -> None:
    table = tagged(200)
    sets, facts = tag_label_set(table, size=5, top_tags=2, without_artists=["a-0", "a-1"], seed=0)
    assert not set(sets["artist_id"]) & {"a-0", "a-1"} and facts["songs of artists left out"] == 40
    number = table["track_id"].str[-2:].astype(int)
    table["recording_id"] = table["artist_id"] + "-" + (number // 2).astype(str)
    sets, facts = tag_label_set(table, size=5, top_tags=2, seed=0)
    assert not sets.merge(table, on="track_id").duplicated("recording_id").any()
    assert facts["songs with tags"] + facts["songs without"] == 100


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"size": 9}, r"9 x 20 songs need 180 songs .* found 160 of 200; allowed: sets\.sizes up to 8"),
        ({"size": 1}, r"sets\.sizes: 1"),
        ({"size": 5, "division": (16, 3, 2)}, r"sum is 20"),
        ({"size": 5, "top_tags": 0}, r"sets\.top_tags=0"),
    ],
)  # fmt: skip
def test_tag_sets_that_cannot_be(options: dict[str, object], says: str) -> None:
    with pytest.raises(ArtistTransferError, match=says):
        tag_label_set(tagged(200), **{"top_tags": 2, "seed": 0, **options})  # type: ignore[arg-type]


def test_composers(shared_corpora: object) -> None:
    table, _ = read_table(shared_corpora / "composers")  # type: ignore[operator]
    twenty, facts = artist_sets(table, sizes=[10, 25], seed=0)
    assert counts(twenty).loc[25].to_numpy().tolist() == [[15, 3, 2, 0]] * 25
    assert facts["artists with fewer songs"]["count"] == 26
    with pytest.raises(ArtistTransferError, match="found 25, and 26 with fewer"):
        artist_sets(table, sizes=[26], seed=0)
    eight, facts = artist_sets(table, sizes=[40], songs=8, division=(6, 1, 1), unseen=11, seed=0)
    assert eight["artist_id"].nunique() == 51 and facts["artists with fewer songs"]["count"] == 0
    tags, _ = tag_label_set(table, size=25, seed=0)
    assert tags["side"].value_counts().to_dict() == {"train": 375, "validation": 75, "test": 50}
