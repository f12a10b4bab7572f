"""Songs that a net hears nothing in: its systems go on, on the same trials, and the songs are named."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.pipelines.recognition_problem import BLOCK, FRAMES, corpus, drawn, sets_of

from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.pipelines.artist_learning.params import EncodingBlock
from artist_transfer.pipelines.recognition import scoring
from artist_transfer.pipelines.recognition.encoders import SongEncoder
from artist_transfer.pipelines.recognition.evaluation import evaluate_systems
from artist_transfer.pipelines.recognition.protocols import protocols_of
from artist_transfer.pipelines.recognition.reports import _notes

ALL = BLOCK.model_copy(update={"systems": "nets+ivector+early+late", "s_norm": True, "discriminant": 3})
VARIANTS = ("cosine", "plda", "cosine_s_norm", "plda_s_norm")
SYSTEMS = {f"{encoder}.{how}" for encoder in ("basic", "basic+discriminant", "ivector", "early") for how in VARIANTS}


def song_vectors(number: int, silent: Collection[str]) -> Embeddings:
    ids = tuple(corpus()[0]["track_id"])
    rows = []
    for track in ids:
        of_artist, of_song = (np.random.default_rng([number, *text.encode()]) for text in (track[:3], track))
        row = np.abs(of_artist.standard_normal(6) + 0.3 * of_song.standard_normal(6))  # as a net's features
        rows.append(np.zeros(6) if track in silent else row)
    return Embeddings(ids, np.stack(rows))


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give songs of the trials, and sets."""
    songs, _, _, held = drawn(tmp_path_factory.mktemp("trials"))
    return songs, sets_of(corpus()[0], held)


def one_song(songs: pd.DataFrame, sets: pd.DataFrame, part: str) -> str:
    if part == "learned":
        return str(sets["track_id"].min())
    return str(songs[(songs["role"] == "test") & (songs["part"] == part)]["track_id"].min())


def scored(
    folder: Path,
    trials: tuple[pd.DataFrame, pd.DataFrame],
    silent: Collection[str],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score all trials by a net that does not hear some songs, and by i-vectors."""

    def encoders(*_: object) -> list[SongEncoder]:
        net, ivector = song_vectors(0, silent), song_vectors(1, ())
        return [SongEncoder("basic", 0, lambda _: net), SongEncoder("ivector", None, lambda _: ivector)]

    monkeypatch.setattr(scoring, "_encoders", encoders)
    songs, sets = trials
    usable, _ = corpus()
    frames = {"self": FRAMES["self"] | {"folder": "frames"}}
    models = {"nets": []}, {"models": []}, frames
    rest = {"front_end": {}}, ALL, EncodingBlock(), None, "cpu", 1, str(folder)
    return scoring.score_trials(songs, sets, *models, usable, *rest)


def matrix(manifest: dict[str, Any], system: str, role: str = "test") -> np.ndarray:
    (row,) = [row for row in manifest["scores"] if (row["system"], row["role"]) == (system, role)]
    return np.load(row["file"])


@pytest.mark.parametrize(("part", "unscored"), [("test", 4), ("enrol", 0), ("learned", 0)])
def test_one_silent_song_takes_no_system_with_it_and_is_named(
    tmp_path: Path,
    trials: tuple[pd.DataFrame, pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: str,
    unscored: int,
) -> None:
    songs, sets = trials
    silent = one_song(songs, sets, part)
    manifest, facts = scored(tmp_path, trials, {silent}, monkeypatch)
    assert facts["skipped"] == {}
    assert set(facts["systems"]) > SYSTEMS
    label = f"(fold 0, {sets['artist_id'].nunique()} artists)"
    needed = len(sets) + len(songs)
    told = {"self": {"songs": [silent], "of": needed, "trials": {"validation": 0, "test": unscored}}}
    assert facts["unheard"] == {f"basic, net 0 {label}": told, f"early, net 0 {label}": told}
    for note in (_notes({"unusable": {}}, facts)[0], caplog.text):
        assert f"1 of {needed} songs of self ('{silent}'; trials without a comparison: test {unscored}," in note
    table, *_ = evaluate_systems(manifest, songs, ALL)
    errors = table[table["metric"] == "eer"].set_index("family")["value"]
    assert set(errors.index) == set(facts["systems"]) and errors.between(0, 1).all()
    for _, rows in table.groupby("metric"):
        assert rows["n_items"].nunique() == 1  # all on the same trials


def test_only_trials_with_nothing_to_compare_are_touched(
    tmp_path: Path, trials: tuple[pd.DataFrame, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = protocols_of(trials[0], "self", "test")[0]
    silent = one_song(*trials, "test")
    plain, facts = scored(tmp_path, trials, (), monkeypatch)
    assert facts["unheard"] == {} and facts["skipped"] == {}
    found, _ = scored(tmp_path / "silent", trials, {silent}, monkeypatch)
    column = np.array(protocol.test_ids) == silent
    assert column.sum() == 1
    for system in sorted(SYSTEMS):
        expected = matrix(plain, system)
        if not system.startswith("ivector"):
            assert (expected[:, column] != 0).any()
            expected[:, column] = 0
            assert (matrix(found, system)[:, column] == 0).all()
        np.testing.assert_allclose(matrix(found, system), expected, rtol=1e-9, atol=1e-12, err_msg=system)
    np.testing.assert_allclose(  # the other part of a late fusion still says what it knows
        matrix(found, "late.cosine_average")[:, column], matrix(plain, "ivector.cosine")[:, column] / 2
    )


def test_an_artist_is_enrolled_by_its_other_songs_and_by_none_without_any(
    tmp_path: Path, trials: tuple[pd.DataFrame, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = protocols_of(trials[0], "self", "test")[0]
    first, last = protocol.enrolment_groups["a08"]
    vectors = song_vectors(0, ())
    units = {track: vectors.of([track])[0] / np.linalg.norm(vectors.of([track])) for track in vectors.track_ids}
    found, _ = scored(tmp_path / "one", trials, {first}, monkeypatch)
    expected = [units[last] @ units[track] for track in protocol.test_ids]
    np.testing.assert_allclose(matrix(found, "basic.cosine")[0], expected, atol=1e-8)
    found, facts = scored(tmp_path / "none", trials, {first, last}, monkeypatch)
    for how in VARIANTS:
        scores = matrix(found, f"basic.{how}")
        assert (scores[0] == 0).all() and (scores[1:] != 0).all()
    (told,) = [what["self"] for name, what in facts["unheard"].items() if name.startswith("basic")]
    assert told["trials"] == {"validation": 0, "test": len(protocol.test_ids)}


def test_a_dead_net_is_not_scored_and_the_others_are(
    tmp_path: Path, trials: tuple[pd.DataFrame, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, facts = scored(tmp_path, trials, corpus()[0]["track_id"].tolist(), monkeypatch)
    assert {row["encoder"] for row in manifest["scores"]} == {"ivector", "ivector+discriminant"}
    reasons = {name.split(" ")[0]: why for name, why in facts["skipped"].items()}
    assert reasons["basic"].endswith("vectors of self are zero: a dead net")
    assert reasons["early"] == reasons["late"] == "there are no vectors by basic"
