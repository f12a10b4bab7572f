"""Sets of artists that are written as an artist list and come from one again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from artist_transfer.corpora.artist_list import read_artist_list, write_artist_list
from artist_transfer.datasets import ArtistListDataset
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_learning.listed import as_artist_list, find_listed
from artist_transfer.pipelines.artist_learning.nodes import ArtistNets
from artist_transfer.pipelines.artist_learning.params import ArtistStudyBlock, SetsBlock

STUDY = ArtistStudyBlock()
NODES = ArtistNets(("siamese",))


def tables(names: str = "{:06d}") -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Twelve artists with four songs, the last three tested; tracks, sides and names in a list."""
    rows = [(f"TR{a:02d}{k}", f"a{a:02d}") for a in range(12) for k in range(4)]
    table = pd.DataFrame(rows, columns=["track_id", "artist_id"]).assign(genre_top=None, audio_hash=None, n_frames=1291)
    table["recording_id"] = table["track_id"]
    table["genres"] = [[] for _ in rows]
    sides = ["test" if artist > "a08" else "train" for artist in table["artist_id"]]
    split = table[["track_id"]].assign(fold=0, side=sides)
    return table, split, table[["track_id"]].assign(list_name=[names.format(7 * k) for k in range(len(table))])


def block(path: Path | None = None, **more: object) -> SetsBlock:
    given = {"songs": 4, "division": "2+1+1", "artist_list": None if path is None else str(path), **more}
    return SetsBlock.model_validate(given)


def test_sets_that_were_written_come_back(tmp_path: Path) -> None:
    usable, split, names = tables()
    drawn, written, facts = NODES.choose_sets(usable, split, names, block(sizes="3+5"), STUDY, 0)
    assert facts["list"] == {"read": None, "not_written": None}
    dataset = ArtistListDataset(str(tmp_path / "list.pkl"))
    dataset.save(written)
    pd.testing.assert_frame_equal(dataset.load(), written.astype({"track_7digitalid": "str"}), check_dtype=False)
    again, _, told = NODES.choose_sets(usable, split, names, block(tmp_path / "list.pkl", sizes="3+5"), STUDY, 9)
    keys = ["set", "artist_id", "position"]
    pd.testing.assert_frame_equal(
        again.sort_values(keys, ignore_index=True), drawn.sort_values(keys, ignore_index=True)
    )
    assert told["list"]["read"]["not there"] == {"count": 0, "names": []}


def test_a_list_goes_by_song_index_and_what_is_not_there_is_named(tmp_path: Path) -> None:
    usable, split, names = tables()
    rows = [(name, 1 + k // 4, 4 - k % 4) for k, name in enumerate(names["list_name"])]  # songs from the last
    rows += [("999", 13, song) for song in range(1, 4)] + [("998", 13, 4)]
    write_artist_list(
        tmp_path / "list.pkl", pd.DataFrame(rows, columns=["track_7digitalid", "artist_index", "song_index"])
    )
    table, _, facts = NODES.choose_sets(usable, split, names, block(tmp_path / "list.pkl"), STUDY, 0)
    first = table[table["artist_id"] == "a00"].set_index("track_id")
    assert first["position"].to_dict() == {"TR003": 1, "TR002": 2, "TR001": 3, "TR000": 4}
    assert first["side"].to_dict() == {"TR003": "train", "TR002": "train", "TR001": "validation", "TR000": "test"}
    assert facts["sizes"] == [9]  # the tested artists are in no set
    assert facts["list"]["read"]["not there"] == {"count": 2, "names": ["998", "999"]}
    told = facts["folds"]["0"]["artist"]["out"]
    assert [line.split(":")[0] for line in told] == ["artist 10", "artist 11", "artist 12", "artist 13"]


def test_a_list_of_other_songs_is_refused_before_any_work(tmp_path: Path) -> None:
    _, _, names = tables()
    write_artist_list(
        tmp_path / "l.pkl", pd.DataFrame([("5", 1, 1)], columns=["track_7digitalid", "artist_index", "song_index"])
    )
    with pytest.raises(ArtistTransferError, match="none of its 1 songs is in this corpus, the first is '5'"):
        find_listed(str(tmp_path / "l.pkl"), names)
    with pytest.raises(ArtistTransferError, match=r"sets.artist_list=no.pkl: there is no such file"):
        find_listed("no.pkl", names)


def test_names_that_are_no_numbers_cannot_be_written(tmp_path: Path) -> None:
    usable, split, names = tables("song {}")
    drawn, written, facts = NODES.choose_sets(usable, split, names, block(sizes="3"), STUDY, 0)
    assert not len(written) and "not 'song " in facts["list"]["not_written"]
    assert as_artist_list(drawn[drawn["kind"] == "tag"], names)[1] == "there is no set of artists"
    write_artist_list(tmp_path / "empty.pkl", written)
    with pytest.raises(ArtistTransferError, match="at least one"):
        read_artist_list(tmp_path / "empty.pkl")


def test_the_file_is_a_path() -> None:
    with pytest.raises(ValidationError):
        SetsBlock.model_validate({"artist_list": 5})
