"""Lists of tracks: what they hold, their hashes, what is said of tracks that are not there."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pandas as pd
import pytest
from tests.corpora.samples import write_lines

from artist_transfer.corpora.listed_audio import find_audio, find_folder, tell_absent, without_ending
from artist_transfer.corpora.official_lists import (
    OfficialLists,
    Published,
    SideList,
    list_hash,
    official_side,
    read_list,
    table_facts,
)
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning


def lists(training: list[str], test: list[str], published: Published | None = None) -> OfficialLists:
    sides = {"training": training, "test": test}
    made = [SideList(f"{side}.txt", side, {e: k for k, e in enumerate(own, 1)}) for side, own in sides.items()]
    return OfficialLists("a corpus", tuple(made), published)


def test_the_hash_is_sha_256_over_the_sorted_lines() -> None:
    assert list_hash(["b", "a"]) == hashlib.sha256(b"a\nb\n").hexdigest()
    assert lists(["b", "a"], ["c"]).sha256 == hashlib.sha256(b"test\tc\ntraining\ta\ntraining\tb\n").hexdigest()
    tagged = SideList("x", "test", {"a": 1, "b": 2}, {"a": "rock"})
    assert tagged.sha256 == hashlib.sha256(b"a\trock\nb\n").hexdigest()


def test_copies_of_a_list_hash_alike_and_other_lists_do_not(tmp_path: Path) -> None:
    write_lines(tmp_path / "1.txt", ["x/1.wav", "x/2.wav"])
    write_lines(tmp_path / "2.txt", ["\ufeffx/2.wav ", "", "x/1.wav"], end="\r\n")
    write_lines(tmp_path / "3.txt", ["x/1.wav", "x/3.wav"])
    (tmp_path / "4.cP").write_bytes(pickle.dumps(["x/2.npy", "x/1.npy"], protocol=0))
    one, two, three, four = (
        read_list(tmp_path / name, side="test", canonical=without_ending).sha256
        for name in ("1.txt", "2.txt", "3.txt", "4.cP")
    )
    assert one == two == four != three


def test_the_split_is_part_of_the_hash() -> None:
    assert lists(["a"], ["b"]).sha256 != lists(["b"], ["a"]).sha256


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (None, None),
        (Published({"training": 2, "test": 1}, "x"), True),
        (Published({"training": 1, "test": 2}, "x"), False),
        (Published({"training": 2, "test": 1}, "x", sha256=lists(["a", "b"], ["c"]).sha256), True),
        (Published({"training": 2, "test": 1}, "x", sha256="0" * 64), False),
    ],
)
def test_facts_say_whether_the_lists_are_the_published_ones(known: Published | None, expected: bool | None) -> None:
    facts = lists(["a", "b"], ["c"], known).facts()
    assert facts["as_published"] is expected
    assert (facts["name"], facts["entries"]) == ("a corpus", 3)
    assert [(one["file"], one["side"], one["entries"]) for one in facts["lists"]] == [
        ("training.txt", "training", 2),
        ("test.txt", "test", 1),
    ]


def test_an_entry_on_two_lists_is_refused_with_both_places() -> None:
    with pytest.raises(ArtistTransferError, match=r"test\.txt, row 2: 'a' stands in training\.txt, row 1 too"):
        lists(["a"], ["b", "a"])
    with pytest.raises(ArtistTransferError, match=r"a corpus: no entry in training\.txt, test\.txt"):
        lists([], [])


def test_an_entry_twice_on_a_list_is_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "l.txt", ["a", "b", "a"])
    with pytest.raises(ArtistTransferError, match=r"l\.txt, row 3: 'a' stands in row 1 too"):
        read_list(tmp_path / "l.txt", side="test")


class Harm:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


def test_a_pickled_list_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "l.cP").write_bytes(pickle.dumps(["a", Harm(tmp_path / "harm")]))
    with pytest.raises(ArtistTransferError, match=r"l\.cP"):
        read_list(tmp_path / "l.cP", side="test")
    assert not (tmp_path / "harm").exists()
    (tmp_path / "l.cP").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ArtistTransferError, match=r"l\.cP: holds something else than a list of texts"):
        read_list(tmp_path / "l.cP", side="test")


@pytest.mark.parametrize(
    ("word", "side"),
    [("train", "training"), ("Training", "training"), ("VALID", "validation"), ("val", "validation"),
     ("dev", "validation"), ("test", "test"), ("eval", "test"), ("fold 3", "fold 3"), ("", "")],
)  # fmt: skip
def test_words_for_sides(word: str, side: str) -> None:
    assert official_side(word) == side
    assert official_side(word, {word: "test"}) == "test"


@pytest.mark.parametrize(
    ("path", "stem"),
    [("blues/blues.00029.wav", "blues/blues.00029"), ("blues.00029", "blues.00029"), ("a/b.NPY", "a/b"),
     ("a.b/c", "a.b/c")],
)  # fmt: skip
def test_endings_come_off_and_numbers_do_not(path: str, stem: str) -> None:
    assert without_ending(path) == stem


def test_audio_is_found_under_the_first_ending(tmp_path: Path) -> None:
    for name in ("a.au", "a.wav", "b.mp3", "c.txt"):
        (tmp_path / name).touch()
    assert find_audio(tmp_path, ["a", "b", "c"]) == {"a": "a.wav", "b": "b.mp3"}


def test_the_folder_with_most_of_the_wanted_ones_is_taken(tmp_path: Path) -> None:
    for name in ("a/x", "b/x", "b/y", "c/x", "c/y"):
        (tmp_path / name).mkdir(parents=True)
    assert find_folder(tmp_path, ("", "a", "b", "c"), wanted=["x", "y"]) == "b"
    assert find_folder(tmp_path, ("", "a"), wanted=["z"]) == ""


def test_absent_tracks_are_named_up_to_five() -> None:
    names = [f"t{k}" for k in range(8)]
    tell_absent([], listed=8, name="x", where="y")
    with pytest.warns(ArtistTransferWarning, match=r"7 of 8 .* t0, t1, t2, t3, t4 and 2 more\.$"):
        tell_absent(names[:7], listed=8, name="x", where="y")
    with pytest.raises(ArtistTransferError, match=r"none of the 8 tracks that x lists is in y"):
        tell_absent(names, listed=8, name="x", where="y")


def test_a_table_s_own_split_has_a_hash_too() -> None:
    table = pd.DataFrame({"track_id": list("cab"), "official_split": ["test", "training", None]})
    facts = table_facts(table, name="t")
    assert (facts["entries"], facts["sha256"]) == (2, list_hash(["test\tc", "training\ta"]))
    with pytest.raises(ArtistTransferError, match="t: no entry"):
        table_facts(table.assign(official_split=None), name="t")
