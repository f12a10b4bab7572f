"""Who takes part: the same whatever the order of rows, nested, without leaks; what is left out is counted and named."""

from __future__ import annotations

import hashlib
import io
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.corpora.schema import make_track_table
from artist_transfer.corpora.songs import find_songs
from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.recognition import RecognitionProtocol, draw_protocol, hold_out
from artist_transfer.evaluation.recognition_protocol import trial_lines


def corpus(songs: dict[str, int] | int = 12, artists: int = 8, albums: int = 3) -> pd.DataFrame:
    sizes = {f"artist{k}": songs for k in range(artists)} if isinstance(songs, int) else songs
    rows = [
        (f"{artist}-{k:02d}", artist, f"{artist}/{k % albums}", f"sound {artist} {k}")
        for artist, n in sizes.items()
        for k in range(n)
    ]
    table = pd.DataFrame(rows, columns=["track_id", "artist_id", "album_id", "audio_hash"])
    return table.assign(recording_id=table["track_id"], genre_top=None)


def names(table: pd.DataFrame) -> list[str]:
    return sorted(set(table["artist_id"].dropna()))


def draw(table: pd.DataFrame, **changed: object) -> RecognitionProtocol:
    settings = {"enrol": 6, "test": 2, "seed": 3} | changed
    return draw_protocol(table, settings.pop("candidates", names(table)), **settings)


def songs_of(drawn: RecognitionProtocol) -> pd.DataFrame:
    table = pd.concat([drawn.enrolments.assign(role="enrol"), drawn.tests.assign(role="test")])
    return table.sort_values(["artist_id", "role", "track_id"], ignore_index=True)


def trials_of(drawn: RecognitionProtocol) -> pd.DataFrame:
    return pd.read_csv(io.StringIO("".join(trial_lines(drawn.artists, drawn.test_ids, drawn.truth))))


# what comes out


def test_every_artist_has_its_songs_and_every_test_meets_every_model() -> None:
    table = corpus()
    drawn = draw(table, artists=5)
    assert len(drawn.artists) == 5
    assert drawn.artists == tuple(sorted(drawn.artists))
    artist_of = table.set_index("track_id")["artist_id"]
    for part, n in ((drawn.enrolments, 6), (drawn.tests, 2)):
        assert set(part["artist_id"].value_counts()) == {n}
        assert (part["track_id"].map(artist_of) == part["artist_id"]).all()
        assert part.equals(part.sort_values(["artist_id", "track_id"], ignore_index=True))
    assert not set(drawn.enrolments["track_id"]) & set(drawn.test_ids)
    for artist in drawn.artists:
        own = drawn.enrolments.loc[drawn.enrolments["artist_id"] == artist, "track_id"]
        assert drawn.enrolment_groups[artist] == tuple(own)
    assert [drawn.artists[k] for k in drawn.truth] == drawn.tests["artist_id"].tolist()

    trials = trials_of(drawn)
    assert list(trials.columns) == ["model", "track_id", "target"]
    assert list(zip(trials["model"], trials["track_id"])) == list(product(drawn.artists, drawn.test_ids))
    assert (trials["target"] == (trials["track_id"].map(artist_of) == trials["model"])).all()
    np.testing.assert_array_equal(trials["target"].to_numpy().reshape(5, 10), drawn.targets())
    assert (int(trials["target"].sum()), int((trials["target"] == 0).sum())) == (10, 40)


def test_the_same_for_rows_in_any_order_and_another_for_another_seed() -> None:
    table = corpus()
    first = draw(table, artists=5)
    for seed in range(3):
        shuffled = table.sample(frac=1, random_state=seed)
        again = draw(shuffled, artists=5, candidates=list(reversed(names(table))) * 2)
        assert again.hash == first.hash
        pd.testing.assert_frame_equal(songs_of(again), songs_of(first))
        assert (again.counts, again.left_out) == (first.counts, first.left_out)
    assert draw(table, artists=5, seed=4).hash != first.hash


def test_fewer_artists_are_part_of_more_and_new_ones_change_no_songs() -> None:
    table = corpus(artists=30)
    drawn = {n: songs_of(draw(table, artists=n)) for n in (2, 5, 17, 30)}
    for small, large in ((2, 5), (5, 17), (17, 30)):
        inside = drawn[large][drawn[large]["artist_id"].isin(drawn[small]["artist_id"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(inside, drawn[small])
    fewer = songs_of(draw(table[table["artist_id"] != "artist7"]))
    rest = drawn[30][drawn[30]["artist_id"] != "artist7"].reset_index(drop=True)
    pd.testing.assert_frame_equal(fewer, rest)


def test_which_artists_and_songs_are_taken_is_by_chance() -> None:
    table = corpus(artists=5)
    drawn = [draw(table, artists=2, seed=seed) for seed in range(100)]
    taken = pd.Series([artist for one in drawn for artist in one.artists]).value_counts()
    assert len(taken) == 5 and taken.between(20, 60).all()  # 40 expected, 5 the deviation
    tested = pd.Series([song[-2:] for one in drawn for song in one.test_ids]).value_counts()
    assert len(tested) == 12 and tested.between(14, 57).all()  # 33 expected, 5 the deviation


def test_the_hash_is_of_who_is_enrolled_and_tested() -> None:
    drawn = draw(corpus(), artists=2, enrol=2, test=1)
    (a, b), (s, t) = drawn.artists, drawn.test_ids
    enrolled = "".join(f"{x},{track}\n" for x in (a, b) for track in drawn.enrolment_groups[x])
    text = f"model,track_id\n{enrolled}model,track_id,target\n{a},{s},1\n{a},{t},0\n{b},{s},0\n{b},{t},1\n"
    assert drawn.hash == hashlib.sha256(text.encode()).hexdigest()
    other = RecognitionProtocol(drawn.enrolments.drop(index=0), drawn.tests)
    assert trials_of(other).equals(trials_of(drawn)) and other.hash != drawn.hash


# songs


def test_clips_of_a_recording_and_exact_duplicates_are_one_song() -> None:
    table = corpus(9, artists=3)
    table.loc[table["track_id"].isin(["artist0-00", "artist0-01", "artist0-02"]), "recording_id"] = "one"
    table.loc[table["track_id"].isin(["artist1-00", "artist1-08"]), "audio_hash"] = "same"
    drawn = draw(table)
    assert drawn.left_out == {"fewer songs than needed": {"artist0": 7}}
    assert drawn.artists == ("artist1", "artist2")
    assert drawn.counts["tracks of candidates beyond one a song"] == 3
    taken = songs_of(drawn)["track_id"]
    assert (
        len({song.name for song in find_songs(table) for row in song.rows if table["track_id"][row] in set(taken)})
        == 16
    )
    without = draw(table.drop(columns="audio_hash"))
    assert without.counts["tracks of candidates beyond one a song"] == 2


def test_no_recording_that_training_has_under_another_artist_is_tested() -> None:
    """A duplicate of a training song, or a clip of its recording, is nobody's: else it would leak."""
    table = corpus(9, artists=4)
    table.loc[table["track_id"].isin(["artist0-00", "artist3-00"]), "audio_hash"] = "leak"
    table.loc[table["track_id"].isin(["artist1-04", "artist3-01"]), "recording_id"] = "leak too"
    seen = ["artist3"]
    for seed in range(12):
        drawn = draw(table, candidates=["artist0", "artist1", "artist2"], training_artists=seen, seed=seed)
        assert not {"artist0-00", "artist1-04"} & set(songs_of(drawn)["track_id"])
        assert drawn.counts["songs of candidates that several artists share"] == 2


def test_an_artist_in_training_and_unseen_is_refused() -> None:
    table = corpus()
    with pytest.raises(ArtistTransferError, match=r"2 artists are both unseen and in training: 'artist1', 'artist4'"):
        draw(table, training_artists=["artist4", "nobody", "artist1"])


# albums


def test_test_songs_of_other_albums() -> None:
    table = corpus(12, artists=6, albums=4)
    table.loc[table["track_id"].isin([f"artist5-{k:02d}" for k in range(11)]), "album_id"] = "one album"
    table.loc[table["track_id"].isin([f"artist4-{k:02d}" for k in range(5)]), "album_id"] = None
    album_of = table.set_index("track_id")["album_id"]
    for seed in range(10):
        drawn = draw(table, albums="other", seed=seed)
        assert drawn.left_out == {
            "fewer songs than needed": {"artist4": 7},
            "albums that cannot be parted": {"artist5": 12},
        }
        assert drawn.counts["songs of candidates without album"] == 5
        for artist in drawn.artists:
            tested = set(drawn.tests.loc[drawn.tests["artist_id"] == artist, "track_id"].map(album_of))
            enrolled = {album_of[track] for track in drawn.enrolment_groups[artist]}
            assert len(drawn.enrolment_groups[artist]) == 6 and tested and not tested & enrolled
    mixed = [draw(table, seed=seed, candidates=["artist0", "artist1"]) for seed in range(10)]
    shared = [
        album_of[track] in {album_of[x] for x in one.enrolment_groups[artist]}
        for one in mixed
        for artist, track in zip(one.tests["artist_id"], one.test_ids)
    ]
    assert any(shared)  # the plain protocol does mix albums
    assert set(draw(table).artists) == set(names(table))


# bad input


def test_artists_with_too_few_songs_are_named() -> None:
    drawn = draw(corpus({"a": 8, "b": 7, "c": 20, "d": 9}), candidates=["a", "b", "c", "d", "unheard of"])
    assert drawn.artists == ("a", "c", "d")
    assert drawn.left_out == {"fewer songs than needed": {"b": 7, "unheard of": 0}}
    assert drawn.counts["artists with fewer songs than needed"] == 2
    assert drawn.counts["candidates"] == 5


def test_more_artists_than_there_are() -> None:
    table = corpus({"a": 8, "b": 7, "c": 20, "d": 9})
    with pytest.raises(ArtistTransferError, match=r"artists=4 .*3 have them; 1 have fewer songs \(b: 7\).*up to 3"):
        draw(table, artists=4)
    with pytest.raises(ArtistTransferError, match=r"at least two artists .*0 have them; 4 have.*fewer songs to enrol"):
        draw(table, enrol=30)
    with pytest.raises(ArtistTransferError, match=r"1 have them.*2 the albums cannot be parted so \(a: 8, d: 9\)"):
        draw(table.assign(album_id=["x"] * 15 + [f"y{k}" for k in range(20)] + ["x"] * 9), albums="other")
    with pytest.raises(ArtistTransferError, match="0 have them"):
        draw(table, candidates=[])


@pytest.mark.parametrize(
    "wrong", [{"artists": 1}, {"artists": True}, {"enrol": 0}, {"test": 0}, {"test": 1.5}, {"albums": "all"}]
)
def test_parameters_out_of_range(wrong: dict) -> None:
    (key,) = wrong
    with pytest.raises(ArtistTransferError, match=f"{key}={wrong[key]!r}; allowed"):
        draw(corpus(), **wrong)


def test_a_protocol_that_is_none() -> None:
    one = pd.DataFrame({"artist_id": ["a", "b"], "track_id": ["s", "t"]})
    two = one.assign(track_id=["u", "v"])
    assert RecognitionProtocol(one, two).artists == ("a", "b")
    with pytest.raises(ArtistTransferError, match="twice: 't'"):
        RecognitionProtocol(one, two.replace("v", "t"))
    with pytest.raises(ArtistTransferError, match="without a song to enrol: 'c'; without one to test: 'b'"):
        RecognitionProtocol(one, two.replace("b", "c"))
    with pytest.raises(ArtistTransferError, match="two artists or more, found 1"):
        RecognitionProtocol(one[:1], two[:1])
    with pytest.raises(ArtistTransferError, match="tests with a song that has no artist"):
        RecognitionProtocol(one, two.assign(artist_id=["a", None]))


# artists for validation


def test_artists_are_held_out() -> None:
    artists = [f"a{k:02d}" for k in range(40)]
    held = hold_out(artists, share=0.2, seed=1)
    assert len(held) == 8 and held == tuple(sorted(held)) and set(held) < set(artists)
    assert hold_out(reversed(artists), count=8, seed=1) == held
    assert set(held) < set(hold_out(artists, count=20, seed=1))
    assert hold_out(artists, count=8, seed=2) != held
    assert len(hold_out(artists[:5], share=0.01, seed=0)) == 2
    for wrong in ({}, {"share": 0.2, "count": 3}):
        with pytest.raises(ArtistTransferError, match="either a share or a count"):
            hold_out(artists, seed=1, **wrong)
    for wrong in ({"share": 1.0}, {"share": 0.0}, {"count": 1}, {"count": 40}, {"count": True}):
        with pytest.raises(ArtistTransferError, match="hold out"):
            hold_out(artists, seed=1, **wrong)
    with pytest.raises(ArtistTransferError, match="too few artists"):
        hold_out(["a", "b"], share=0.5, seed=1)


def test_real_composers(shared_corpora: Path) -> None:
    rows = pd.read_csv(shared_corpora / "composers" / "tracks.csv", keep_default_na=False)
    columns = ["track_id", "artist_id", "artist", "title", "genre_top", "path"]
    table = make_track_table(rows[columns], source="composers/tracks.csv")
    unseen = sorted(set(table["artist_id"]))[::3]
    drawn = draw(table, candidates=unseen)
    assert len(drawn.artists) == len(unseen)  # 8 pieces and more each
    assert len(drawn.test_ids) == 2 * len(unseen)
    with pytest.raises(ArtistTransferError, match=r"fewer songs.*allowed"):
        draw(table, candidates=unseen, enrol=15, test=20)
