"""GTZAN, MagnaTagATune, MTG-Jamendo and labelled CSVs: what is particular to each."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.corpora.conftest import write_rows
from tests.corpora.samples import (
    GTZAN_LISTS,
    JAMENDO_HEADER,
    MTAT_CLIPS,
    Sample,
    fma_small,
    folder,
    gtzan,
    jamendo,
    labelled,
    magnatagatune_cleaned,
    magnatagatune_raw,
    table,
    touch,
    write_lines,
    write_mtat,
)

from artist_transfer.corpora import jamendo as jamendo_module
from artist_transfer.corpora.gtzan import read_gtzan
from artist_transfer.corpora.jamendo import read_jamendo
from artist_transfer.corpora.labelled import read_labelled
from artist_transfer.corpora.magnatagatune import read_magnatagatune
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.pipelines.ingestion.nodes import read_kind
from artist_transfer.pipelines.ingestion.params import IngestionBlock


def test_gtzan_takes_each_copy_of_the_audio(tmp_path: Path) -> None:
    table, notes, facts = gtzan(tmp_path).read()
    rows = table.set_index("track_id")
    assert rows.loc["blues.00029", ["genre_top", "path", "official_split"]].tolist() == [
        "blues", "genres/blues/blues.00029.wav", "training"
    ]  # fmt: skip
    assert rows.loc["jazz.00054", "path"] == "genres/jazz/jazz.00054.au"
    assert rows.loc["jazz.00055", "path"] == "genres/jazz/jazz.00055.mp3"
    assert table["artist_id"].isna().all()
    assert notes == {
        "tracks": 6, "without genre": 0, "without artist": 6, "listed": 6, "listed but not there": 0, "on no list": 1
    }  # fmt: skip
    assert facts["as_published"] is False


@pytest.mark.parametrize("folder", ["", "genres_original", "Data/genres_original", "mine"])
def test_gtzan_in_each_folder(tmp_path: Path, folder: str) -> None:
    lines = [line for own in GTZAN_LISTS.values() for line in own]
    touch(tmp_path / folder, lines)
    for name, own in GTZAN_LISTS.items():
        write_lines(tmp_path / name, own)
    table, _, _, _ = read_gtzan(tmp_path, audio_folder="mine" if folder == "mine" else None)
    assert table["path"].tolist() == sorted(f"{folder}/{line}".lstrip("/") for line in lines)


def test_gtzan_without_its_lists_says_which_and_how_many(tmp_path: Path) -> None:
    write_lines(tmp_path / "train_filtered.txt", ["blues/blues.00029.wav"])
    with pytest.raises(ArtistTransferError) as error:
        read_gtzan(tmp_path)
    message = str(error.value)
    assert message.startswith("ingestion.gtzan.lists: valid_filtered.txt, test_filtered.txt missing")
    for text in (
        "train_filtered.txt (443 ",
        "valid_filtered.txt (197 ",
        "test_filtered.txt (290 ",
        "music_dataset_split",
    ):
        assert text in message


@pytest.mark.parametrize(
    "line", ["blues.00029.wav", "blues/jazz.00029.wav", "blues/blues.x.wav", "../blues/blues.1.wav"]
)
def test_gtzan_lines_that_are_no_clips(tmp_path: Path, line: str) -> None:
    sample = gtzan(tmp_path)
    write_lines(sample.lists[1], ["blues/blues.00000.wav", line])
    with pytest.raises(ArtistTransferError, match=r"valid_filtered\.txt, row 2: must be <genre>/<genre>"):
        sample.read()


def test_magnatagatune_reads_names_tags_and_sides(tmp_path: Path) -> None:
    table, notes, facts = magnatagatune_cleaned(tmp_path).read()
    rows = table.set_index("track_id")
    assert rows["recording_id"].to_dict() == {
        "10": "ann-second-02-other",
        "2": "ann-first_album-01-a_song",
        "46644": "bob_and_ann-duets-03-la__la",
        "6": "ann-first_album-01-a_song",
    }
    assert rows.loc["46644", ["artist_id", "artist", "album_id"]].tolist() == [
        "bob_and_ann", "bob and ann", "bob_and_ann-duets"
    ]  # fmt: skip
    assert rows["genres"].to_dict() == {
        "10": ["guitar", "no vocals"], "2": ["guitar", "new age"], "46644": ["no vocals", "new age"], "6": ["guitar"]
    }  # fmt: skip
    assert (rows["declared_s"] == 29).all()
    assert notes["on no list"] == 3 and notes["artists on two sides"] == 1 and notes["tags"] == 3
    assert facts["tags"] == ["guitar", "no vocals", "new age"] and facts["tags_from"] == "top50_tags.txt"


def test_magnatagatune_raw_keeps_untagged_clips(tmp_path: Path) -> None:
    table, notes, facts = magnatagatune_raw(tmp_path).read()
    rows = table.set_index("track_id")
    assert rows.loc["11", "genres"] == [] and rows.loc["46645", "genres"] == []  # none, and none of the top 3
    assert rows.loc["10", "genres"] == ["guitar", "no vocals"]
    assert notes["without tag"] == 2 and notes["on no list"] == 1
    assert facts["tags"] == ["guitar", "new age", "no vocals"]  # 4, 2 and 2 clips; equal ones by name, so not singer


def test_magnatagatune_raw_by_its_rule_is_the_same_as_by_lists(tmp_path: Path) -> None:
    sample = magnatagatune_raw(tmp_path)
    by_lists, by_rule = sample.read(), read_magnatagatune(sample.root, variant="raw", top_tags=3)
    assert by_lists[0].equals(by_rule[0]) and by_lists[1] == by_rule[1]
    assert by_lists[2]["sha256"] == by_rule[2]["sha256"]
    assert "35644" not in set(by_rule[0]["track_id"])  # its file is empty in every copy


def test_magnatagatune_cleaned_and_raw_have_different_hashes(tmp_path: Path) -> None:
    cleaned, raw = magnatagatune_cleaned(tmp_path).read()[2], magnatagatune_raw(tmp_path).read()[2]
    assert cleaned["sha256"] != raw["sha256"] and cleaned["name"] != raw["name"]


def test_magnatagatune_names_that_another_continues_are_noted(tmp_path: Path) -> None:
    write_mtat(tmp_path, [*MTAT_CLIPS, ("99", "0/odd name without parts.mp3", "0100")])
    table, notes, _, _ = read_magnatagatune(tmp_path, variant="raw")
    assert notes["artists that may be cut off"] == 1  # bob, of bob_and_ann
    assert notes["names of another form"] == 1 and notes["without artist"] == 1
    odd = table.set_index("track_id").loc["99"]
    assert odd["recording_id"] == "odd name without parts"


def test_magnatagatune_clips_that_are_not_annotated(tmp_path: Path) -> None:
    sample = magnatagatune_cleaned(tmp_path)
    write_lines(sample.lists[0], ["6/bob_and_ann-duets-03-la__la-30-59.npy", "6/nobody-x-01-y-0-29.npy"])
    with pytest.warns(
        ArtistTransferWarning, match=r"1 of 5 listed tracks are not in annotations_final\.csv .*6/nobody"
    ):
        table, notes, _ = sample.read()
    assert (len(table), notes["listed"], notes["listed but not annotated"]) == (4, 5, 1)
    with pytest.warns(ArtistTransferWarning):
        (left_out,) = sample.exclusions().items()
    assert left_out == ("6/nobody-x-01-y-0-29", "listed but not annotated: 6/nobody-x-01-y-0-29")


@pytest.mark.parametrize(("corpus", "sample"), [("folder", folder), ("table", table), ("fma", fma_small)])
def test_corpora_without_such_lists_are_read_too(corpus: str, sample: Callable[[Path], Sample], tmp_path: Path) -> None:
    found = sample(tmp_path)
    reading = read_kind(corpus, found.root, IngestionBlock())
    assert reading.table["track_id"].tolist() == list(found.ids)
    assert reading.left_out == []


def test_the_reading_of_a_corpus_names_all_that_is_left_out(tmp_path: Path) -> None:
    sample = gtzan(tmp_path)
    there, *gone = sample.read()[0]["path"]
    for path in gone:
        (sample.root / path).unlink()
    ingestion = IngestionBlock.model_validate({"gtzan": {"lists": str(sample.lists[0].parent)}})
    with pytest.warns(ArtistTransferWarning):
        reading = read_kind("gtzan", sample.root, ingestion)
    assert reading.table["path"].tolist() == [there]
    named = {row["track_id"]: row["reason"] for row in reading.left_out}
    assert sorted(named) == [track for track in sample.ids if track != reading.table["track_id"].iloc[0]]
    assert all(reason.startswith("listed but not there: ") for reason in named.values())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"0"\t"1"\t"1"\t"0"', '"0"\t"2"\t"1"\t"0"', "row 2, column 'guitar': must be 0 or 1, found '2'"),
        ('"clip_id"', '"clip"', "row 1, column 'clip_id': missing column"),
        ('"mp3_path"', '"path"', "row 1, column 'mp3_path': missing column"),
        ("ann-first_album-01-a_song-29-58", "ann-first_album-01-a_song-0-29", "row 3, column 'mp3_path'"),
        ('"6"\t', '"2"\t', "column 'track_id'"),
        ('"10"\t', '""\t', "row 4, column 'clip_id': is empty"),
    ],
)
def test_magnatagatune_malformed_annotations(tmp_path: Path, old: str, new: str, says: str) -> None:
    write_mtat(tmp_path)
    path = tmp_path / "annotations_final.csv"
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())
    with pytest.raises(ArtistTransferError) as error:
        read_magnatagatune(tmp_path, variant="raw")
    assert says in str(error.value)


def test_magnatagatune_lists_and_tags_that_nobody_knows(tmp_path: Path) -> None:
    sample = magnatagatune_cleaned(tmp_path)
    write_lines(sample.root / "lists" / "top50_tags.txt", ["guitar", "noVocals", "trombone"])
    with pytest.raises(ArtistTransferError, match=r"top50_tags\.txt, row 3: unknown tag: 'trombone'"):
        sample.read()
    with pytest.raises(ArtistTransferError, match=r"variant='clean' is unknown; allowed: cleaned, raw"):
        read_magnatagatune(sample.root, variant="clean")
    with pytest.raises(ArtistTransferError, match=r"train_list_pub\.txt or train_list_pub\.cP \(15,244 entries\)"):
        read_magnatagatune(sample.root)
    write_lines(sample.lists[1], ["just a title"])
    with pytest.raises(ArtistTransferError, match=r"valid_list_pub\.txt, row 1: must be a clip's number or its path"):
        sample.read()


def test_jamendo_reads_any_number_of_tags(tmp_path: Path) -> None:
    table, notes, _ = jamendo(tmp_path).read()
    rows = table.set_index("track_id")
    assert rows.loc["track_0010014", "genres"] == ["jazz", "rock", "pop"]
    assert rows.loc["track_0000241", "path"] == "raw_30s/audio/41/241.low.mp3"
    assert rows.loc["track_0000214", ["artist_id", "album_id", "declared_s"]].tolist() == [
        "artist_000014", "album_000031", 124.6
    ]  # fmt: skip
    assert notes["of low quality"] == 1 and notes["artists on two sides"] == 0


def test_jamendo_tags_of_two_categories_keep_them_where_they_are_alike() -> None:
    words = jamendo_module._plain_tags({"genre---rock", "genre---film", "mood/theme---film", "instrument---bass"})
    assert words == {
        "genre---rock": "rock",
        "genre---film": "genre/film",
        "mood/theme---film": "mood/theme/film",
        "instrument---bass": "bass",
    }


def test_jamendo_tags_are_part_of_the_hash(tmp_path: Path) -> None:
    sample = jamendo(tmp_path)
    before = sample.read()[2]
    text = sample.lists[0].read_bytes()
    sample.lists[0].write_bytes(text.replace(b"genre---punkrock", b"genre---metal"))
    after = sample.read()[2]
    assert after["sha256"] != before["sha256"] and after["lists"][1:] == before["lists"][1:]


def test_jamendo_artists_on_two_sides_are_counted(tmp_path: Path) -> None:
    sample = jamendo(tmp_path)
    text = sample.lists[2].read_bytes()
    sample.lists[2].write_bytes(text.replace(b"artist_000106", b"artist_000104"))
    assert sample.read()[1]["artists on two sides"] == 1


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("track_9\tartist_1\talbum_1", "row 3: 3 cells"),
        ("track_9\tartist_1\talbum_1\t1/9.wav\t3.0\tgenre---rock", "row 3, column 'PATH'"),
        ("track_9\tartist_1\talbum_1\t1/9.mp3\tlong\tgenre---rock", "row 3, column 'DURATION'"),
        ("track_9\tartist_1\talbum_1\t1/9.mp3\t3.0\trock", "row 3, column 'TAGS'"),
        ("\tartist_1\talbum_1\t1/9.mp3\t3.0\tgenre---rock", "row 3, column 'TRACK_ID': is empty"),
        ("track_0000773\tartist_1\talbum_1\t1/9.mp3\t3.0\tgenre---rock", "row 3, column 'TRACK_ID'"),
        ("track_0000214\tartist_1\talbum_1\t1/9.mp3\t3.0\tgenre---rock", "in autotagging_genre-train.tsv, row 2 too"),
    ],
)  # fmt: skip
def test_jamendo_malformed_rows(tmp_path: Path, row: str, says: str) -> None:
    sample = jamendo(tmp_path)
    path = sample.lists[1]
    path.write_bytes(path.read_bytes() + row.encode() + b"\r\n")
    with pytest.raises(ArtistTransferError) as error:
        sample.read()
    assert says in str(error.value) and "autotagging_genre-validation.tsv" in str(error.value)


def test_jamendo_another_header_or_subset(tmp_path: Path) -> None:
    sample = jamendo(tmp_path)
    with pytest.raises(ArtistTransferError, match=r"autotagging-train\.tsv.* missing .*mtg-jamendo-dataset"):
        read_jamendo(sample.root, subset="autotagging", lists=sample.lists[0].parent)
    write_lines(sample.lists[0], [JAMENDO_HEADER.replace("PATH", "FILE")])
    with pytest.raises(ArtistTransferError, match=r"train\.tsv, row 1: the header is"):
        sample.read()


def test_labelled_parts_several_labels(tmp_path: Path) -> None:
    table, notes, facts = labelled(tmp_path).read()
    rows = table.set_index("track_id")
    assert rows["genres"].to_dict() == {"000002": ["발라드"], "000010": ["힙합", "댄스"], "3": ["댄스"], "4": []}
    assert rows["genre_top"].isna().all()  # of the minority with one label it would be another task
    assert notes["without label"] == 1 and notes["with several labels"] == 1 and notes["without genre"] == 4
    assert facts["name"] == "songs.csv" and facts["entries"] == 4


@pytest.mark.parametrize(
    ("options", "top", "genres"),
    [
        ({}, "-", ["R&B", "Soul"]),
        ({"labels": "several"}, "-", ["R&B", "Soul"]),
        ({"labels": "one"}, "R&B;Soul", []),
        ({"separators": ","}, "R&B;Soul", []),
        ({"separators": ""}, "R&B;Soul", []),
        ({"separators": ";^"}, "-", ["R&B", "Soul"]),
        ({"labels": "several", "separators": "&"}, "-", ["R", "B;Soul"]),
    ],
)
def test_labelled_one_label_or_several(tmp_path: Path, options: dict[str, str], top: str, genres: list[str]) -> None:
    write_rows(
        tmp_path / "tracks.csv", [["track_id", "path", "label"], ["1", "1.ogg", "R&B;Soul"], ["2", "2.ogg", "x"]]
    )
    touch(tmp_path, ["1.ogg", "2.ogg"])
    table, _, facts, _ = read_labelled(tmp_path, **options)
    assert table["genre_top"].fillna("-")[0] == top and table["genres"][0] == genres
    assert facts is None  # no split of its own


@pytest.mark.parametrize(("several", "warned"), [(1, True), (3, False)])
def test_labelled_warns_where_few_tracks_have_several_labels(tmp_path: Path, several: int, warned: bool) -> None:
    rows = [[str(k), f"{k}.ogg", "x;y" if k < several else "x"] for k in range(40)]
    write_rows(tmp_path / "tracks.csv", [["track_id", "path", "label"], *rows])
    touch(tmp_path, [row[1] for row in rows])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table, _, _, _ = read_labelled(tmp_path)
    said = [str(each.message) for each in caught if "have several labels" in str(each.message)]
    assert bool(said) == warned and all("ingestion.labelled.labels=one" in each for each in said)
    assert table["genre_top"].isna().all() and table["genres"].map(len).min() == 1
    one, _, _, _ = read_labelled(tmp_path, labels="one")
    assert one["genre_top"].notna().all() and not one["genres"].map(len).any()


def test_labelled_without_ids_uses_the_paths(tmp_path: Path) -> None:
    write_rows(tmp_path / "tracks.csv", [["path", "label"], ["a/1.ogg", "x"]])
    touch(tmp_path, ["a/1.ogg"])
    table, _, _, _ = read_labelled(tmp_path / "tracks.csv", columns={"track_id": "path"})
    assert table["track_id"].tolist() == ["a/1.ogg"]


@pytest.mark.parametrize(
    ("header", "row", "options", "says"),
    [
        ("track_id,path,genre", "1,1.ogg,x", {}, "ingestion.labelled.label is 'label'"),
        ("track_id,path,label", "1,1.ogg,", {}, "column 'label': every cell is empty"),
        ("track_id,path,label", "1,1.ogg,x", {"labels": "many"}, "ingestion.labelled.labels='many'"),
        ("id,path,label", "1,1.ogg,x", {}, "ingestion.labelled.columns.track_id is 'track_id'"),
        ("track_id,path,label,official_split", "1,1.ogg,x,fold 3", {}, "row 2, column 'official_split'"),
    ],
)
def test_labelled_that_cannot_be_read(
    tmp_path: Path, header: str, row: str, options: dict[str, str], says: str
) -> None:
    write_lines(tmp_path / "tracks.csv", [header, row])
    touch(tmp_path, ["1.ogg"])
    with pytest.raises(ArtistTransferError) as error:
        read_labelled(tmp_path, **options)
    assert says in str(error.value) and ("tracks.csv" in str(error.value) or "allowed" in str(error.value))


def test_the_published_gtzan_lists(shared_corpora: Path, tmp_path: Path) -> None:
    folder = shared_corpora / "metadata" / "gtzan"
    names = ("train_filtered.txt", "valid_filtered.txt", "test_filtered.txt")
    touch(tmp_path, [line for name in names for line in (folder / name).read_text().split()])
    table, notes, facts, _ = read_gtzan(tmp_path, lists=folder)
    assert facts["as_published"] is True
    assert table["official_split"].value_counts().to_dict() == {"training": 443, "validation": 197, "test": 290}
    assert notes["listed but not there"] == notes["on no list"] == 0
    assert table["genre_top"].nunique() == 10


def test_the_published_cleaned_magnatagatune_lists(shared_corpora: Path, tmp_path: Path) -> None:
    folder = shared_corpora / "metadata" / "mtat"
    names = ("train_list_pub.txt", "valid_list_pub.txt", "test_list_pub.txt")
    paths = [line.replace(".npy", ".mp3") for name in names for line in (folder / name).read_text().split()]
    tags = (folder / "top50_tags.txt").read_text().split()
    flags = "\t".join(["1"] + ["0"] * 49)
    rows = [f"{number}\t{flags}\t{path}" for number, path in enumerate(paths)]
    write_lines(tmp_path / "annotations_final.csv", ["\t".join(["clip_id", *tags, "mp3_path"]), *rows])
    touch(tmp_path, [path for path in paths if path.startswith("c/")])
    with pytest.warns(ArtistTransferWarning, match=r"19,576 of 21,105 listed tracks are not in"):
        table, notes, facts, _ = read_magnatagatune(tmp_path, lists=folder)
    assert facts["as_published"] is True
    assert [one["entries"] for one in facts["lists"]] == [15244, 1529, 4332]
    assert (len(table), notes["listed"], notes["listed but not there"]) == (1529, 21105, 19576)
    assert set(table["official_split"]) == {"validation"} and facts["tags"] == tags
    assert (table["declared_s"] == 29).all() and table["artist_id"].notna().all()


def test_the_published_jamendo_genre_split(shared_corpora: Path, tmp_path: Path) -> None:
    folder = shared_corpora / "metadata" / "mtg_jamendo"
    rows, official = jamendo_module._read_lists(folder, "autotagging_genre")
    assert official.facts()["as_published"] is True
    artists = {side: {row.artist for row in rows if row.side == side} for side in ("training", "validation", "test")}
    assert sum(map(len, artists.values())) == len(set.union(*artists.values()))  # disjoint
    touch(tmp_path, [f"{row.stem}.low.mp3" for row in rows if row.stem.startswith("14/")])
    with pytest.warns(ArtistTransferWarning, match="of 55,094 listed tracks are not in"):
        table, notes, facts, _ = read_jamendo(tmp_path, lists=folder)
    assert [one["entries"] for one in facts["lists"]] == [32572, 11043, 11479]
    assert notes["listed"] == 55094 == len(table) + notes["listed but not there"]
    assert notes["of low quality"] == len(table) == sum(row.stem.startswith("14/") for row in rows)
    assert {tag for row in rows for tag in row.tags} >= {f"genre---{word}" for own in table["genres"] for word in own}
    assert len({tag for row in rows for tag in row.tags}) == 87
