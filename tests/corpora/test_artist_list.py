"""The paper's artist list: read, written, and made into nested sets."""

from __future__ import annotations

import pickle
from pathlib import Path

import pandas as pd
import pytest

from artist_transfer.corpora.artist_list import (
    LIST_COLUMNS,
    make_artist_list,
    read_artist_list,
    to_artist_sets,
    write_artist_list,
)
from artist_transfer.errors import ArtistTransferError

N_ARTISTS, N_SONGS = 7, 20


def seven(artist: int, song: int) -> str:
    return str(artist * 1000 + song)


@pytest.fixture
def artist_list() -> pd.DataFrame:
    places = [(artist, song) for artist in range(1, N_ARTISTS + 1) for song in range(1, N_SONGS + 1)]
    return pd.DataFrame(
        [(seven(*at), *at) for at in places], columns=["track_7digitalid", "artist_index", "song_index"]
    )


@pytest.fixture
def tracks(artist_list: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "track_id": [f"TR{name}" for name in artist_list["track_7digitalid"]],
            "artist_id": [f"AR{artist}" for artist in artist_list["artist_index"]],
            "track_7digitalid": artist_list["track_7digitalid"],
        }
    )


@pytest.mark.parametrize("protocol", range(6))
def test_written_and_read_again(tmp_path: Path, artist_list: pd.DataFrame, protocol: int) -> None:
    path = tmp_path / "msd-artist-list.pkl"
    write_artist_list(path, artist_list, protocol=protocol)
    pd.testing.assert_frame_equal(read_artist_list(path), artist_list.astype({"track_7digitalid": "str"}))
    entries = pickle.loads(path.read_bytes())
    assert entries[:2] == ["1001/1/1", "1002/1/2"] and len(entries) == 140


def test_the_order_of_the_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "list.pkl"
    path.write_bytes(pickle.dumps(["5/2/1", "000002/1/1"]))
    table = read_artist_list(path)
    assert table["track_7digitalid"].tolist() == ["5", "000002"] and table["artist_index"].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (["1/1/1", "1/1"], "entry 2: must be"),
        (["1/0/1"], "entry 1: must be"),
        (["1/1/0"], "entry 1"),
        (["1/1/1/1"], "entry 1"),
        (["-1/1/1"], "entry 1"),
        (["TR/1/1"], "entry 1"),
        (["1/1/1\n"], "entry 1"),
        (["1/1/1", 5], "entry 2"),
        (["1/1/1", "2/1/2", "3/1/1"], "entry 3: artist 1, song 1 is entry 1 already"),
        ([], "at least one"),
        ({"1/1/1": 1}, "must hold a list"),
    ],
)
def test_a_malformed_entry_is_named(tmp_path: Path, value: object, says: str) -> None:
    path = tmp_path / "list.pkl"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(ArtistTransferError, match=says) as error:
        read_artist_list(path)
    assert "list.pkl" in str(error.value)


def test_what_could_not_be_read_is_not_written(tmp_path: Path, artist_list: pd.DataFrame) -> None:
    path = tmp_path / "list.pkl"
    artist_list.loc[3, "song_index"] = 0
    with pytest.raises(ArtistTransferError, match="entry 4"):
        write_artist_list(path, artist_list)
    assert not path.exists()


@pytest.mark.parametrize("division", [(15, 3, 2), (17, 1, 2), (4, 1, 1)])
def test_sets_are_nested_and_divided_by_song_index(
    artist_list: pd.DataFrame, tracks: pd.DataFrame, division: tuple[int, int, int]
) -> None:
    sets, exclusions, notes = to_artist_sets(artist_list, tracks, sizes=[5, 2], division=division)
    assert list(sets.columns) == ["set", "artist_id", "track_id", "position", "side"]
    small, large = (set(map(tuple, group.drop(columns="set").to_numpy())) for _, group in sets.groupby("set"))
    assert small < large
    assert set(sets.loc[sets["set"].eq(2), "artist_id"]) == {"AR1", "AR2"}
    for _, songs in sets.groupby(["set", "artist_id"]):
        assert songs["position"].tolist() == list(range(1, sum(division) + 1))
        sides = ["train"] * division[0] + ["validation"] * division[1] + ["test"] * division[2]
        assert songs["side"].tolist() == sides
    assert exclusions.empty and notes["artists usable"] == N_ARTISTS


def test_the_papers_division_changes_at_ten_thousand_artists() -> None:
    n_artists = 10_000
    places = [(artist, song) for artist in range(1, n_artists + 1) for song in range(1, 21)]
    sevens = [str(number) for number in range(len(places))]
    names = [f"AR{artist}" for artist, _ in places]
    table = pd.DataFrame([(seven, *at) for seven, at in zip(sevens, places)], columns=list(LIST_COLUMNS))
    tracks = pd.DataFrame({"track_id": sevens, "artist_id": names, "track_7digitalid": sevens})
    sets = to_artist_sets(table, tracks, sizes=[5000, 10_000])[0]
    counts = sets.groupby(["set", "side"]).size().to_dict()
    assert counts == {
        (5000, "train"): 75_000, (5000, "validation"): 15_000, (5000, "test"): 10_000,
        (10_000, "train"): 170_000, (10_000, "validation"): 10_000, (10_000, "test"): 20_000,
    }  # fmt: skip


def test_row_order_does_not_matter(artist_list: pd.DataFrame, tracks: pd.DataFrame) -> None:
    first = to_artist_sets(artist_list, tracks, sizes=[3])[0]
    shuffled = tracks.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(to_artist_sets(artist_list, shuffled, sizes=[3])[0], first)


def test_artists_that_cannot_be_used_are_named(artist_list: pd.DataFrame, tracks: pd.DataFrame) -> None:
    tracks = tracks[tracks["track_7digitalid"] != seven(1, 20)].copy()
    tracks.loc[tracks["artist_id"] == "AR3", "artist_id"] = None
    tracks.loc[tracks["artist_id"] == "AR5", "artist_id"] = "AR4"
    tracks.loc[tracks["track_7digitalid"] == seven(6, 1), "artist_id"] = "AR0"
    sets, exclusions, notes = to_artist_sets(artist_list, tracks, sizes=[2, 4])
    assert exclusions["artist_index"].tolist() == [1, 3, 5]
    assert exclusions["reason"].tolist() == [
        "fewer songs than 20: 19 in the corpus",
        "no artist id",
        "same artist id as another: AR4, artist 4 of the list",
    ]
    assert sorted(set(sets["artist_id"])) == ["AR2", "AR4", "AR6", "AR7"]
    assert set(sets.loc[sets["set"].eq(2), "artist_id"]) == {"AR2", "AR4"}
    assert notes == {
        "artists in the list": 7,
        "artists usable": 4,
        "songs in the list that are not in the corpus": 1,
        "artists with several ids": 1,
        "artists left out: fewer songs than 20": 1,
        "artists left out: no artist id": 1,
        "artists left out: same artist id as another": 1,
    }
    with pytest.raises(ArtistTransferError, match=r"sets\.sizes=5: a set of 5 artists was asked for, but only 4"):
        to_artist_sets(artist_list, tracks, sizes=[5])


@pytest.mark.parametrize("options", [{"sizes": []}, {"sizes": [0]}, {"sizes": [2, 2]}])
def test_impossible_sizes(artist_list: pd.DataFrame, tracks: pd.DataFrame, options: dict[str, list[int]]) -> None:
    with pytest.raises(ArtistTransferError, match="sizes"):
        to_artist_sets(artist_list, tracks, **options)


@pytest.mark.parametrize("division", [(0, 1, 1), (-1, 3, 2), (15, 5)])
def test_impossible_divisions(artist_list: pd.DataFrame, tracks: pd.DataFrame, division: tuple[int, ...]) -> None:
    with pytest.raises(ArtistTransferError, match="division"):
        to_artist_sets(artist_list, tracks, sizes=[1], division=division)  # type: ignore[arg-type]


def test_sets_become_a_list_and_the_list_becomes_the_sets(
    artist_list: pd.DataFrame, tracks: pd.DataFrame, tmp_path: Path
) -> None:
    sets = to_artist_sets(artist_list.iloc[::-1], tracks, sizes=[2, 5])[0]
    made = make_artist_list(sets, tracks.set_index("track_id"))
    write_artist_list(tmp_path / "list.pkl", made)
    again = to_artist_sets(read_artist_list(tmp_path / "list.pkl"), tracks, sizes=[2, 5])[0]
    pd.testing.assert_frame_equal(again, sets)
    assert set(sets.loc[sets["set"].eq(2), "artist_id"]) == {"AR6", "AR7"}, "the list was turned round"


def test_a_list_needs_7digital_ids(artist_list: pd.DataFrame, tracks: pd.DataFrame) -> None:
    sets = to_artist_sets(artist_list, tracks, sizes=[2])[0]
    songs = tracks.set_index("track_id").drop(index="TR1005")
    with pytest.raises(ArtistTransferError, match="TR1005 has no 7digital id"):
        make_artist_list(sets, songs)


def test_one_preview_of_two_tracks_counts_once(artist_list: pd.DataFrame, tracks: pd.DataFrame) -> None:
    double = tracks.iloc[[0]].assign(track_id="TR0")
    sets = to_artist_sets(artist_list, pd.concat([tracks, double]), sizes=[1])[0]
    assert len(sets) == N_SONGS and sets["track_id"].iloc[0] == "TR0"
