"""Somebody else's features: every way to write them, every way to get them wrong."""

from __future__ import annotations

import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.evaluation.embeddings_file import read_embeddings

IDS = ["000005", "000002", "b", "000005"]  # two segments of one track
MATRIX = np.arange(12, dtype=np.float32).reshape(4, 3) / 4


def write(folder: Path, kind: str, ids: list[str] = IDS, matrix: np.ndarray = MATRIX) -> Path:
    path = folder / f"e.{kind.split('-')[0]}"
    if kind.startswith("npz"):
        np.savez(path, track_id=np.array(ids), **{kind.split("-")[1]: matrix})
        return path
    if kind.endswith("columns"):
        table = pd.DataFrame(matrix, columns=[f"x{k}" for k in range(matrix.shape[1])])
        table.insert(1, "track_id", ids)
    else:
        values = [str(row.tolist()) if kind.startswith("csv") else row for row in matrix]
        table = pd.DataFrame({"track_id": ids, kind.split("-")[1]: values})
    if kind.startswith("csv"):
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


KINDS = ["parquet-embedding", "parquet-vector", "parquet-columns", "csv-embedding", "csv-columns", "npz-vector",
         "npz-embedding"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_gives_the_same(tmp_path, kind: str) -> None:
    found = read_embeddings(write(tmp_path, kind), track_ids=["000002", "000005"])
    assert found.segments.track_ids == ("000002", "000005")
    assert found.segments.track_index.tolist() == [0, 1, 1]
    assert found.segments.features.dtype == np.float32
    np.testing.assert_array_equal(found.segments.features, MATRIX[[1, 0, 3]])
    assert (found.missing, found.unused) == ((), ("b",))


def test_an_index_may_hold_the_ids(tmp_path) -> None:
    path = tmp_path / "e.parquet"
    pd.DataFrame(MATRIX[:2], columns=["x", "y", "z"], index=pd.Index(["a", "b"], name="track_id")).to_parquet(path)
    np.testing.assert_array_equal(read_embeddings(path, track_ids=["b"]).segments.features, MATRIX[1:2])


def test_missing_tracks_are_counted_and_named(tmp_path) -> None:
    path = write(tmp_path, "parquet-embedding")
    with pytest.warns(ArtistTransferWarning, match=r"no vector for 1 of 3 tracks.*: zz"):
        found = read_embeddings(path, track_ids=["zz", "b", "000002"])
    assert found.missing == ("zz",)
    assert found.segments.track_ids == ("000002", "b")
    with pytest.raises(ArtistTransferError, match=r"embeddings: .*vectors for 1 of the 3 tracks"):
        read_embeddings(path, track_ids=["zz", "yy", "b"])
    with pytest.raises(ArtistTransferError, match=r"vectors for 0 of the 1 tracks"):
        read_embeddings(path, track_ids=["zz"], min_share=0.0)


@pytest.mark.parametrize("kind", ["int", "text"])
def test_ids_that_agree_as_numbers_only_are_refused(tmp_path, kind: str) -> None:
    path = tmp_path / "e.parquet"
    ids = [2, 5, 7] if kind == "int" else ["2", "5", "7"]
    pd.DataFrame({"track_id": ids, "embedding": list(MATRIX[:3])}).to_parquet(path)
    with pytest.raises(ArtistTransferError, match=r"embeddings: .*'2' where the corpus has '000002' \(2 such ids\)"):
        read_embeddings(path, track_ids=["000002", "000005"])
    assert read_embeddings(path, track_ids=["2", "7"]).segments.track_ids == ("2", "7")


def test_a_csv_keeps_leading_zeros(tmp_path) -> None:
    path = tmp_path / "e.csv"
    path.write_text("track_id,x\n000002,1\n3,2\n")
    assert read_embeddings(path, track_ids=["000002", "3"]).segments.track_ids == ("000002", "3")


def table(tmp_path: Path, **columns: list[object]) -> Path:
    path = tmp_path / "e.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return path


def text(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "e.csv"
    path.write_text(content)
    return path


def pickled(tmp_path: Path) -> Path:
    path = tmp_path / "e.npz"
    np.savez(path, track_id=np.array(["a"], dtype=object), embedding=np.zeros((1, 2)))
    return path


def misshapen(tmp_path: Path) -> Path:
    path = tmp_path / "e.npz"
    np.savez(path, track_id=np.array(["a", "b"]), embedding=np.zeros((1, 2)))
    return path


def garbage(tmp_path: Path, suffix: str) -> Path:
    path = tmp_path / f"e{suffix}"
    path.write_bytes(b"\x00\x01nothing of the kind")
    return path


def npy(tmp_path: Path) -> Path:
    np.save(tmp_path / "e.npy", MATRIX)
    return (tmp_path / "e.npy").rename(tmp_path / "e.npz")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: d / "e.txt", r"must end in one of \.parquet"),
        (lambda d: d / "e.parquet", "there is no file"),
        (lambda d: table(d, id=["a"], x=[1.0]), "no column track_id"),
        (lambda d: table(d, track_id=["a"]), "found no other column"),
        (lambda d: table(d, track_id=["a"], x=[1.0], title=["t"]), r"found text in \['title'\]"),
        (lambda d: table(d, track_id=["a", None], x=[1.0, 2.0]), "row 1: track_id is missing"),
        (lambda d: table(d, track_id=["a", "b"], x=[1.0, None]), r"row 1 \(track 'b'\): the vector is not finite"),
        (lambda d: table(d, track_id=["a", "b"], x=[np.inf, 1]), r"row 0 \(track 'a'\): the vector is not finite"),
        (lambda d: table(d, track_id=["a", "b"], vector=[[1.0, 2.0], [1.0]]), "row 1: vector has 1 numbers"),
        (lambda d: table(d, track_id=["a"], embedding=[[]]), "row 0: embedding is not a list of numbers"),
        (lambda d: table(d, track_id=["a", "b"], embedding=[[1.0], None]), "row 1: embedding is not a list"),
        (lambda d: text(d, "track_id,embedding\na,hello\n"), "row 0: embedding is not a list of numbers: 'hello'"),
        (lambda d: text(d, "track_id,x\n"), "has no row"),
        (lambda d: text(d, ""), "cannot be read"),
        (pickled, "without pickles"),
        (misshapen, "one row a track_id"),
        (lambda d: garbage(d, ".npz"), "cannot be read as npz"),
        (lambda d: npy(d), "cannot be read as npz: it is none"),
        (lambda d: text(d, "track_id,x\n,1\na,2\n"), "row 0: track_id is missing"),
        (lambda d: text(d, "track_id,x,y\na,1,2,3\nb,1,2,3\n"), "more cells than the header"),
        (lambda d: text(d, "track_id,x,y\na,1,2,3\nb,1,2\n"), "more cells than the header"),
        (lambda d: text(d, "track_id,x,y\na,1,2\nb,1,2,3\n"), "cannot be read"),
        (lambda d: garbage(d, ".parquet"), "cannot be read"),
    ],
)
def test_bad_files(tmp_path, make, message: str) -> None:
    with pytest.raises(ArtistTransferError, match=f"^embeddings: .*{message}"):
        read_embeddings(make(tmp_path), track_ids=["a", "b"])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_archives_are_refused_or_hold_the_same(tmp_path: Path, save) -> None:
    path, refused, same = tmp_path / "e.npz", 0, 0
    save(path, track_id=np.array(["a", "b"]), embedding=MATRIX[:2])
    whole = path.read_bytes()
    damaged = [whole[:end] for end in range(0, len(whole), 7)]
    for place in range(0, len(whole), 3):
        damaged.append(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
    for content in damaged:
        path.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = read_embeddings(path, track_ids=["a", "b"])
        except ArtistTransferError as error:
            assert str(error).startswith(f"embeddings: {path}")
            refused += 1
        else:  # the flipped byte was a date, or another that nobody reads
            np.testing.assert_array_equal(found.segments.features, MATRIX[:2])
            same += 1
    print(f"{len(damaged)} damaged archives: {refused} refused, {same} read as they were")
    assert refused > len(damaged) / 2


def test_tracks_that_are_called_like_missing_values(tmp_path: Path) -> None:
    ids = ["NA", "nan", "None", "", "1.0"]
    path = text(tmp_path, "track_id,x,y\n" + "".join(f"{name},{k},1\n" for k, name in enumerate(ids) if name))
    found = read_embeddings(path, track_ids=[name for name in ids if name])
    of = dict(zip(found.segments.track_ids, found.segments.features[:, 0].tolist()))
    assert of == {"NA": 0, "nan": 1, "None": 2, "1.0": 4}


def test_a_comma_at_the_end_of_every_row_is_no_cell(tmp_path: Path) -> None:
    found = read_embeddings(text(tmp_path, "track_id,x,y\na,1,2,\nb,3,4,\n"), track_ids=["a", "b"])
    assert found.segments.features.tolist() == [[1, 2], [3, 4]]


def test_ids_in_bytes_and_in_another_spelling(tmp_path: Path) -> None:
    one, two = (unicodedata.normalize(form, "ä") for form in ("NFC", "NFD"))
    path = tmp_path / "e.npz"
    np.savez(path, track_id=np.array([b"a", two.encode()]), embedding=MATRIX[:2])
    assert read_embeddings(path, track_ids=[one, "a"]).segments.track_ids == ("a", one)
    np.savez(path, track_id=np.array([one, two]), embedding=MATRIX[:2])
    found = read_embeddings(path, track_ids=[one, two])  # a folder may hold both
    assert found.segments.track_ids == (two, one)
    np.testing.assert_array_equal(found.segments.features, MATRIX[[1, 0]])
    np.savez(path, track_id=np.array([b"\xff"]), embedding=MATRIX[:1])
    with pytest.raises(ArtistTransferError, match="not text in UTF-8"):
        read_embeddings(path, track_ids=["a"])
