"""Previews: found by id map, by track id, by 7digital id, or missing for a reason."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pandas as pd
import pytest

from artist_transfer.corpora.previews import IdMap, find_previews, read_id_maps
from artist_transfer.errors import ArtistTransferError

A, B, C, D = (f"TRAAA{letter}K128F9318786" for letter in "ABCD")


def songs(**sevens: str | None) -> pd.DataFrame:
    names = {"a": A, "b": B, "c": C, "d": D}
    return pd.DataFrame(
        {"track_7digitalid": pd.Series(list(sevens.values()), dtype="str")},
    ).set_index(pd.Index([names[name] for name in sevens], name="track_id"))


def write(tmp_path: Path, name: str, data: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("map.json", json.dumps({A: "894", B: 12, "894": "8/9/894.clip.mp3", C: "c.mp3"})),
        ("map.csv", f"track_id,id\n{A},894\n{B},12\n894,8/9/894.clip.mp3\n{C},c.mp3\n"),
        ("map.csv", f"{A},894,\n"),
        ("map.tsv", f"{A}\t894\n{B}\t12\n894\t8/9/894.clip.mp3\n{C}\tc.mp3\n"),
        ("map.pkl", pickle.dumps({A: "894", B: 12, "894": "8/9/894.clip.mp3", C: "c.mp3"}, 2)),
    ],
)
def test_maps_in_every_format(tmp_path: Path, name: str, data: str | bytes) -> None:
    path = write(tmp_path, name, data)
    if isinstance(data, str) and data.endswith(",\n"):
        with pytest.raises(ArtistTransferError, match=r"map\.csv, row 1"):
            read_id_maps([path])
        return
    known = read_id_maps([path])
    assert known.seven_of == {A: "894", B: "12"}
    assert known.path_of == {"894": "8/9/894.clip.mp3", C: "c.mp3"}


def test_three_columns_and_two_files(tmp_path: Path) -> None:
    first = write(tmp_path, "one.csv", f"track_id,7digital_id,path\n{A},894,8/9/894.clip.mp3\n")
    second = write(tmp_path, "7D_id_to_path.pkl", pickle.dumps({"12": "1/2/12.clip.mp3"}))
    known = read_id_maps([first, second])
    assert known.seven_of == {A: "894"} and known.path_of == {A: "8/9/894.clip.mp3", "12": "1/2/12.clip.mp3"}


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("map.csv", f"{A},1\n{B},2\n{A},3\n", r"map\.csv, row 3: TR.* is '3' here, but '1' further up"),
        ("map.json", f'{{"{A}": "1", "{A}": "2"}}', r"map\.json, row 2: .* is '2' here, but '1'"),
        ("map.csv", f"{A},1\nx,2\n", r"map\.csv, row 2: must be a track id"),
        ("map.csv", f"{A},1\n{B}\n", r"map\.csv, row 2: must be a track id"),
        ("map.csv", f"{A},../a.mp3\n", r"map\.csv, row 1: must be a path in the folder"),
        ("map.csv", f"{A},/etc/a.mp3\n", r"map\.csv, row 1: must be a path in the folder"),
        ("map.tsv", f"{A}\ta/../../b.mp3\n", r"map\.tsv, row 1: must be a path in the folder"),
        ("map.csv", "12,13\n", r"map\.csv, row 1: maps the 7digital id 12 to 13"),
        ("map.json", "[1, 2]", r"map\.json: must hold one object"),
        ("map.json", f'{{"{A}": ["1"]}}', r"map\.json, row 1: must map an id"),
        ("map.json", "{", r"map\.json: not JSON"),
        ("map.json", "[" * 100_000, r"map\.json: (not JSON|must hold)"),
        ("map.pkl", pickle.dumps([A]), r"map\.pkl: must hold one object"),
        ("map.pkl", b"cos\nsystem\n(S'true'\ntR.", r"map\.pkl: the pickle asks for more"),
        ("map.npy", b"", "unknown ending; allowed: .json"),
    ],
)
def test_malformed_maps_are_named(tmp_path: Path, name: str, data: str | bytes, says: str) -> None:
    with pytest.raises(ArtistTransferError, match=says):
        read_id_maps([write(tmp_path, name, data)])


@pytest.mark.parametrize("name", ["none.json", "none.csv", "none.tsv", "none.pkl"])
def test_a_missing_map_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtistTransferError, match=name):
        read_id_maps([tmp_path / name])


@pytest.mark.parametrize(
    "file",
    [
        "8947470.clip.mp3", "8947470.mp3", "8/9/8947470.clip.mp3", "A/B/8947470.MP3", f"{A}.mp3", f"A/A/A/{A}.mp3",
        f"{A}.clip.ogg",
    ],
)  # fmt: skip
def test_names_that_are_found(file: str) -> None:
    found = find_previews(songs(a="8947470"), [file, "1/2/12.mp3"], id_map=IdMap())
    assert found.path_of == {A: file} and found.reasons == {}
    assert found.notes["audio files of no track"] == 1


@pytest.mark.parametrize("file", ["x8947470.mp3", "8947470_1.mp3", "08947470.mp3", f"{A}x.mp3", "8947470/a.mp3"])
def test_names_that_are_not(file: str) -> None:
    found = find_previews(songs(a="8947470"), [file], id_map=IdMap())
    assert found.path_of == {} and found.reasons == {A: f"no file of this name: 8947470 or {A}"}


def test_the_map_comes_before_the_track_id_before_the_7digital_id() -> None:
    files = ["audio/mapped.mp3", f"audio/{A}.mp3", f"audio/{B}.mp3", "audio/1.mp3", "audio/2.mp3", "audio/3.mp3"]
    table = songs(a="1", b="2", c="4", d=None)
    id_map = IdMap(seven_of={C: "3", "TRZZZZZ128F0000000": "9"}, path_of={"1": "mapped.mp3", D: "gone.mp3"})
    found = find_previews(table, files, id_map=id_map, folder="audio")
    assert found.path_of == {A: "audio/mapped.mp3", B: f"audio/{B}.mp3", C: "audio/3.mp3"}
    assert found.reasons == {D: "preview missing: audio/gone.mp3"}
    assert found.notes == {
        "previews by id map": 1,
        "previews by track id": 1,
        "previews by 7digital id": 1,
        "7digital ids that the id map has otherwise": 1,
        "audio files of no track": 3,
        "id map entries of other tracks": 1,
    }


def test_a_file_that_the_map_names_wrongly_is_looked_for_by_name() -> None:
    found = find_previews(songs(a="1"), ["1.mp3"], id_map=IdMap(path_of={A: "gone.mp3"}))
    assert found.path_of == {A: "1.mp3"}


def test_several_files_are_counted_and_the_first_by_name_is_used() -> None:
    found = find_previews(songs(a="1"), ["b/1.mp3", "a/1.clip.mp3"], id_map=IdMap())
    assert found.path_of == {A: "a/1.clip.mp3"}
    assert found.notes["previews with several files (the first by name is used)"] == 1


def test_two_tracks_may_share_a_preview() -> None:
    found = find_previews(songs(a="1", b="1"), ["1.mp3"], id_map=IdMap())
    assert found.path_of == {A: "1.mp3", B: "1.mp3"}


def test_every_song_is_accounted_for() -> None:
    table = songs(a="1", b="2", c=None, d="4")
    found = find_previews(table, ["1.mp3"], id_map=IdMap(path_of={"4": "4.mp3"}))
    assert set(found.path_of) | set(found.reasons) == set(table.index)
    assert not set(found.path_of) & set(found.reasons)
    assert {reason.split(":")[0] for reason in found.reasons.values()} == {
        "no file of this name",
        "no 7digital id",
        "preview missing",
    }
