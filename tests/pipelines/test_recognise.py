"""Who recognises new audio, when nobody can, and that no answer of an earlier call is left."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from pydantic import ValidationError
from tests.pipelines.recognition_problem import BLOCK, FRAMES, corpus, drawn, recogniser, sets_of
from tests.pipelines.test_recognition_unheard import song_vectors

from artist_transfer.datasets import CsvDataset
from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.pipelines.artist_learning.encoders import NamedNet
from artist_transfer.pipelines.artist_learning.params import EncodingBlock
from artist_transfer.pipelines.mel_cache.params import MelBlock
from artist_transfer.pipelines.recognise import nodes
from artist_transfer.pipelines.recognise.answers import COLUMNS, answer_table, with_reasons
from artist_transfer.pipelines.recognise.choosing import choose
from artist_transfer.pipelines.recognise.nodes import enrol_artists, recognise_audio
from artist_transfer.pipelines.recognise.params import RecogniseBlock
from artist_transfer.pipelines.recognise.recogniser import Recogniser
from artist_transfer.pipelines.recognition.params import RecognitionBlock
from artist_transfer.pipelines.recognition.protocols import protocols_of
from artist_transfer.startup import StartUpHooks


@pytest.fixture
def songs(tmp_path: Path) -> pd.DataFrame:
    return drawn(tmp_path / "trials")[0]


def scores_of(kind: str, targets: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(targets.shape)
    if kind == "outlier":  # ranks well, yet what is not a target is higher in the mean
        found = targets + 1e-3 * noise
        found[tuple(np.argwhere(~targets)[0])] = 1e6
        return found
    return {"good": 9 * targets + noise, "poor": 1.5 * targets + noise, "reversed": -3 * targets + noise}[kind]


def listed(folder: Path, songs: pd.DataFrame, systems: dict[str, str]) -> list[dict[str, Any]]:
    """List validation scores of systems, by how good they are."""
    targets = protocols_of(songs, "self", "validation")[0].targets()
    rows = []
    for system, kind in systems.items():
        encoder, _, scoring = system.partition(".")
        file = folder / f"{system}.npy"
        np.save(file, scores_of(kind, targets))
        row = {"system": system, "encoder": encoder, "scoring": scoring, "artists": 5, "fold": 0, "target": "self"}
        trial = 0 if encoder == "basic" else None
        rows.append(row | {"trial": trial, "role": "validation", "file": str(file)})
    return rows


@pytest.mark.parametrize(
    ("systems", "wanted", "found"),
    [
        ({"basic.cosine": "poor", "basic.plda": "good"}, "auto", "basic.plda"),
        ({"basic.cosine": "poor", "basic.plda": "good"}, "basic.cosine", "basic.cosine"),
        ({"basic.cosine": "poor", "basic.plda": "outlier"}, "auto", "basic.cosine"),  # the next best that can
        ({"basic.cosine": "poor", "gmm_ubm": "good", "ivector.plda": "good"}, "auto", "basic.cosine"),
    ],
)
def test_the_best_that_can_is_chosen(
    tmp_path: Path, songs: pd.DataFrame, systems: dict[str, str], wanted: str, found: str
) -> None:
    protocol = protocols_of(songs, "self", "validation")[0]
    row, line = choose(listed(tmp_path, songs, systems), wanted, 0, protocol)
    assert row["system"] == found
    assert line.scale > 0


@pytest.mark.parametrize(
    ("systems", "wanted", "words"),
    [
        ({"gmm_ubm": "good"}, "auto", "recognition.systems must have nets"),
        ({"basic.cosine": "good"}, "basic.plda", "recognition.recogniser=basic.plda was not scored"),
        ({"basic.cosine": "good", "basic.plda": "outlier"}, "basic.plda", "basic.plda does not tell the 3 validation"),
        ({"basic.cosine": "reversed", "basic.plda": "outlier"}, "auto", "do not tell the 3 validation artists apart"),
    ],
)
def test_a_run_without_a_recogniser_ends_well_and_says_so_when_one_is_needed(
    tmp_path: Path,
    songs: pd.DataFrame,
    caplog: pytest.LogCaptureFixture,
    systems: dict[str, str],
    wanted: str,
    words: str,
) -> None:
    usable, split = corpus()
    train = split.assign(side=split["side"].where(~split["track_id"].isin(songs["track_id"]), "validation"))
    block = BLOCK.model_copy(update={"recogniser": wanted})
    manifest = {"scores": listed(tmp_path, songs, systems)}
    rest = (usable, {}, block, EncodingBlock(), None, "cpu", 1, str(tmp_path))
    with caplog.at_level(logging.WARNING):
        found = enrol_artists(manifest, songs, sets_of(usable, train), {"nets": []}, FRAMES, *rest)
    assert found["system"] is None and words in found["reason"]
    assert "No artist is enrolled" in caplog.text and words in caplog.text
    audio = pd.DataFrame({"track_id": ["x"], "path": ["x.wav"]})
    with pytest.raises(ArtistTransferError, match="enrolled nobody") as caught:
        recognise_audio(audio, {}, found, MelBlock(), None, RecogniseBlock(), "cpu", 1, 1, str(tmp_path))
    assert words in str(caught.value)


@pytest.mark.parametrize("scoring", ["cosine", "plda"])
def test_artists_are_enrolled_by_all_their_songs_that_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scoring: str
) -> None:
    songs, _, _, split = drawn(tmp_path / "trials")
    usable, _ = corpus()
    usable.loc[usable["artist_id"] == "a01", "artist"] = None
    rows = [np.random.default_rng([*artist.encode()]).standard_normal(6) for artist in usable["artist_id"]]
    noise = np.random.default_rng(0).standard_normal((len(usable), 6))
    found = Embeddings(tuple(usable["track_id"]), np.stack(rows) + 0.1 * noise)
    loaded: list[str] = []
    monkeypatch.setattr(nodes, "embed", lambda *_args, **_options: (found, {}))
    monkeypatch.setattr(nodes, "_load", lambda source, *_rest: loaded.append(source) or NamedNet("basic", None, "key"))
    nets = [{"kind": "basic", "fold": 0, "artists": 5, "seed": seed, "folder": f"net{seed}"} for seed in (1, 0)]
    frames = {"self": {"folder": "", "left_out": {"a00-0": "silent"}}}
    scored = {"scores": listed(tmp_path, songs, {f"basic.{scoring}": "good", "gmm_ubm": "good"})}
    rest = (usable, {"front_end": "ismir"}, BLOCK, EncodingBlock(), None, "cpu", 1, str(tmp_path))
    manifest = enrol_artists(scored, songs, sets_of(usable, split), {"nets": nets}, frames, *rest)
    assert loaded == ["net0"] == [manifest["source"]]  # of the first seed
    assert (manifest["system"], manifest["artists"], manifest["songs"]) == (f"basic.{scoring}", 12, 47)
    one = Recogniser.load(Path(manifest["folder"]))
    assert one.enrolments["a00"] == ["a00-1", "a00-2", "a00-3"] and (one.plda is None) == (scoring == "cosine")
    assert (one.names["a00"], one.names["a01"]) == ("A00", "a01")
    assert len(one.known) == len(one.unknown) == manifest["validation"]["songs"] == 3
    assert (one.known > one.unknown).all()  # NaN where another artist is closer

    for path in [path for path in Path(manifest["folder"]).rglob("*.*") if path.is_file()]:
        path.write_bytes(path.read_bytes()[:-3])
        with pytest.warns(UserWarning, match="damaged"):
            assert enrol_artists(scored, songs, sets_of(usable, split), {"nets": nets}, frames, *rest) == manifest
        assert Recogniser.load(Path(manifest["folder"])).enrolments == one.enrolments


@pytest.mark.parametrize("scoring", ["cosine", "plda"])
def test_songs_that_the_net_hears_nothing_in_enrol_nobody_and_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, scoring: str
) -> None:
    songs, _, _, split = drawn(tmp_path / "trials")
    usable, _ = corpus()
    protocol = protocols_of(songs, "self", "validation")[0]
    silent = [protocol.test_ids[0], protocol.enrolment_groups[protocol.artists[1]][0], "a00-0"]
    found = song_vectors(0, silent)
    monkeypatch.setattr(nodes, "embed", lambda *_args, **_options: (found, {}))
    monkeypatch.setattr(nodes, "_load", lambda *_args: NamedNet("basic", None, "key"))
    nets = [{"kind": "basic", "fold": 0, "artists": 5, "seed": 0, "folder": "net"}]
    scored = {"scores": listed(tmp_path, songs, {f"basic.{scoring}": "good"})}
    rest = (usable, {"front_end": "ismir"}, BLOCK, EncodingBlock(), None, "cpu", 1, str(tmp_path))
    manifest = enrol_artists(scored, songs, sets_of(usable, split), {"nets": nets}, FRAMES, *rest)
    one = Recogniser.load(Path(manifest["folder"]))
    assert manifest["songs"] == len(usable) - len(silent)
    assert not {track for own in one.enrolments.values() for track in own} & set(silent)
    assert len(one.known) == manifest["validation"]["songs"] == len(protocol.test_ids) - 1
    assert all(any(track in record.getMessage() for record in caplog.records) for track in silent)


def test_a_recogniser_that_cannot_be_is_refused_before_anything_is_read() -> None:
    assert RecognitionBlock(recogniser="ismir2018_siamese.plda").recogniser == "ismir2018_siamese.plda"
    for wrong in ("gmm_ubm", "ivector.cosine", "basic", ""):
        with pytest.raises(ValidationError, match=r"allowed are auto and basic\.cosine"):
            RecognitionBlock(recogniser=wrong)


def test_the_table_has_whole_ranks_and_numbers_one_can_read(tmp_path: Path) -> None:
    one = recogniser([4.0], [-1.0])
    table = answer_table(one, ["x.ogg"], np.array([[7.123456789], [1 / 3]]), 2 / 3, top=2)
    table = with_reasons(table, {"broken.wav": "unreadable"})
    assert list(table.columns) == COLUMNS
    assert table["rank"].dtype == "Int64"
    CsvDataset(str(tmp_path / "x.csv")).save(table)
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert lines[1:] == [
        "x.ogg,Anna,1,a,Anna,7.1235,0.6667,",
        "x.ogg,Anna,2,b,Bert,0.3333,0.6667,",
        "broken.wav,,,,,,,unreadable",
    ]


@pytest.mark.parametrize("question", ["params:audio", "params:query"])
def test_answers_to_an_earlier_question_do_not_outlive_a_call_that_fails(tmp_path: Path, question: str) -> None:
    answers, kept = tmp_path / "recognised.csv", tmp_path / "other.csv"
    for path in (answers, kept):
        path.write_text("file,answer\nformer.mp3,Anna\n")
    catalog = DataCatalog(
        {
            question: MemoryDataset(str(tmp_path / "nowhere.mp3") if question == "params:audio" else " "),
            "recognised_csv": CsvDataset(str(answers)),
            "other_csv": CsvDataset(str(kept)),
        }
    )
    pipeline = Pipeline([Node(lambda x: x, question, "recognised_csv", name="answer")])
    with pytest.raises(ArtistTransferError, match=r"no such file|is needed"):
        StartUpHooks().before_pipeline_run({}, pipeline, catalog)
    assert not answers.exists()
    assert kept.exists()
    StartUpHooks().before_pipeline_run({}, Pipeline([Node(lambda: 1, None, "other_csv", name="no_question")]), catalog)
    assert kept.exists()
