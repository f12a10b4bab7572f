from __future__ import annotations

import dataclasses
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.search.index import Encoder, SearchIndex, build_index
from artist_transfer.search.query import resolve


@pytest.mark.parametrize(
    ("text", "kind", "key"),
    [
        ("000002", "track", "000002"),
        (" 000002 ", "track", "000002"),
        ("track:000002", "track", "000002"),
        ("x.1", "track", "x.1"),
        ("x", "track", "x"),  # a recording of three clips
        ("audio/a2/000002.ogg", "track", "000002"),
        ("Song 7", "track", "000007"),
        ("song 7", "track", "000007"),
        ("a0", "artist", "a0"),
        ("Bach, Johann Sebastian", "artist", "a0"),
        ("bach, johann sebastian", "artist", "a0"),
        ("HÄNDEL", "artist", "a1"),
        ("artist:Händel", "artist", "a1"),
        ("<script>alert('x')</script>", "artist", "a2"),
        ("nina", "artist", "a4"),  # as it is written, not as the other is
        ("Nina", "artist", "a3"),
    ],
)
def test_what_is_meant(index: SearchIndex, text: str, kind: str, key: str) -> None:
    query = resolve(text, index)
    assert (query.kind, query.key) == (kind, key)
    assert query.vector is not None
    assert np.linalg.norm(query.vector) == pytest.approx(1, abs=1e-6)


def test_vectors_and_what_is_the_query_itself(index: SearchIndex) -> None:
    table = index.songs.table
    track = resolve("x.1", index)
    at = index.tracks["track_id"].tolist().index("x.1")
    np.testing.assert_array_equal(track.vector, index.vectors[at])
    assert table["recording_id"].iloc[track.own_songs].tolist() == ["x"]
    whole = resolve("x", index)
    assert whole.track_ids == ("x.0", "x.1", "x.2")
    np.testing.assert_array_equal(whole.vector, index.songs.vectors[whole.own_songs[0]])
    artist = resolve("a0", index)
    assert set(table["artist_id"].iloc[artist.own_songs]) == {"a0"}
    assert len(artist.own_songs) == 7
    np.testing.assert_array_equal(artist.vector, index.artists.vectors[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NINA", r"may mean 2 things.*artist:a3 \(Nina, 6 songs\); artist:a4 \(nina, 6 songs\)"),
        ("Song 3", r"may mean 2 things.*track:000003.*track:y"),
        ("2", r"track '000002' \(ids are text, with their zeros\)"),
        ("Bach, Johan Sebastian", "Close to it: artist 'Bach, Johann Sebastian'"),
        ("johann", "artist 'Bach, Johann Sebastian'"),
        ("Sonk 12", "track 'Song 12'"),
        ("qqqq", r"neither a file, nor a track or an artist of the index \(34 tracks, 5 artists\)$"),
        ("track:a0", "neither"),
        ("artist:000002", "neither"),
        ("", "nothing was asked for"),
        ("file:", "neither"),
        ("no/such/file.mp3", "neither a file"),
        ("a\0b", "neither a file"),
        ("x" * 5000, "neither a file"),
    ],
)
def test_what_is_not_clear_is_an_error(index: SearchIndex, text: str, said: str) -> None:
    with pytest.raises(ArtistTransferError, match=said):
        resolve(text, index)


def test_a_number_is_not_text(index: SearchIndex) -> None:
    with pytest.raises(ArtistTransferError, match="2 is not text"):
        resolve(2, index)  # type: ignore[arg-type]


def test_a_file_has_no_vector_until_it_is_encoded(index: SearchIndex, encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "my, song.wav"
    path.write_bytes(b"RIFF")
    query = resolve(str(path), index)
    assert (query.kind, query.vector, query.label) == ("file", None, "my, song.wav")
    assert resolve(f"file:{path}", index).key == str(path)
    done = query.encoded(np.full(16, 3.0), encoder, index)
    np.testing.assert_allclose(done.vector, 0.25)
    for vector, said in (
        (np.ones(12), r"shape \(12,\)"),
        (np.zeros(16), "all zero"),
        (np.full(16, np.nan), "not finite"),
    ):
        with pytest.raises(ArtistTransferError, match=said):
            query.encoded(vector, encoder, index)
    with pytest.raises(ArtistTransferError, match=r"encoded by another net: name 'mfcc'"):
        query.encoded(np.ones(16), dataclasses.replace(encoder, name="mfcc"), index)


def test_a_file_of_the_corpus_is_its_track(index: SearchIndex, tmp_path: Path) -> None:
    path = tmp_path / "audio" / "a2" / "000002.ogg"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"OggS")
    query = resolve(str(path), index, corpus_root=tmp_path)
    assert (query.kind, query.key) == ("track", "000002")
    assert resolve(str(path), index).kind == "file"


def test_a_file_named_like_a_track_is_not_clear(
    index: SearchIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("000002").write_bytes(b"OggS")
    with pytest.raises(ArtistTransferError, match=r"may mean 2 things.*file:000002.*track:000002"):
        resolve("000002", index)
    assert resolve("file:000002", index).kind == "file"
    assert resolve("track:000002", index).kind == "track"


def test_files_that_cannot_be_used(index: SearchIndex, tmp_path: Path) -> None:
    empty = tmp_path / "empty.ogg"
    empty.touch()
    with pytest.raises(ArtistTransferError, match=r"empty.ogg cannot be used: empty file"):
        resolve(str(empty), index)
    with pytest.raises(ArtistTransferError, match="is a folder"):
        resolve(str(tmp_path), index)


def test_a_track_that_was_left_out_says_why(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder
) -> None:
    some = Embeddings(embeddings.track_ids[:20], embeddings.vectors[:20])
    index = build_index(tmp_path / "some", some, track_table, encoder)
    with pytest.raises(ArtistTransferError, match="track '000025' cannot be searched for: no embedding"):
        resolve("000025", index)


FORMS = ("NFC", "NFD")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("held", FORMS)
def test_how_unicode_spells_a_letter_makes_no_difference(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder, held: str, form: str
) -> None:
    """Whether the index holds one form and the query is typed in the other, or the other way round."""
    table = track_table.copy()
    table.loc[table["artist_id"] == "a2", ["artist_id", "artist"]] = unicodedata.normalize(held, "Björk")
    table.loc[7, ["title", "path"]] = [unicodedata.normalize(held, name) for name in ("Jóga", "Jóga/é.ogg")]
    table.loc[8, ["track_id", "recording_id"]] = unicodedata.normalize(held, "ä8")
    ids = tuple(table["track_id"])
    index = build_index(tmp_path / "spelt", Embeddings(ids, embeddings.vectors), table, encoder)
    artist = unicodedata.normalize(held, "Björk")
    for text, kind, key in (
        ("Björk", "artist", artist),
        ("BJÖRK", "artist", artist),
        ("artist:björk", "artist", artist),
        ("händel", "artist", "a1"),
        ("Jóga", "track", "000007"),
        ("jÓGA", "track", "000007"),
        ("Jóga/é.ogg", "track", "000007"),
        ("ä8", "track", unicodedata.normalize(held, "ä8")),
    ):
        query = resolve(unicodedata.normalize(form, text), index)
        assert (query.kind, query.key) == (kind, key), text
    with pytest.raises(ArtistTransferError, match="Close to it: artist 'Bj"):
        resolve(unicodedata.normalize(form, "Björkk"), index)


def test_an_id_as_it_is_written_comes_before_its_other_spelling(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder
) -> None:
    """A folder may hold both."""
    one, two = (unicodedata.normalize(form, "ä") for form in FORMS)
    table = track_table.copy()
    table.loc[7, ["track_id", "recording_id"]] = one
    table.loc[8, ["track_id", "recording_id"]] = two
    index = build_index(tmp_path / "both", Embeddings(tuple(table["track_id"]), embeddings.vectors), table, encoder)
    assert [resolve(text, index).key for text in (one, two)] == [one, two]


def test_a_name_that_begins_as_a_home_folder_does(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder
) -> None:
    table = track_table.copy()
    table.loc[table["artist_id"] == "a2", "artist"] = "~scape"
    index = build_index(tmp_path / "home", embeddings, table, encoder)
    for text in ("~scape", "artist:~scape", "~SCAPE"):
        assert resolve(text, index).key == "a2"
    for text in ("~nobody of this name", "file:~nobody/x.mp3"):
        with pytest.raises(ArtistTransferError, match="neither a file"):
            resolve(text, index)
