"""Parts of the recognition pipelines that need no command: trials, comparisons, thresholds."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.pipelines.recognition_problem import BLOCK, FRAMES, TEST, corpus, drawn, sets_of

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.recognition import RecognitionProtocol
from artist_transfer.evaluation.trial_lists import hash_of_files
from artist_transfer.pipelines.artist_evaluation.targets import save_target
from artist_transfer.pipelines.recognition.backends import Learned, vector_scores
from artist_transfer.pipelines.recognition.fusions import add_late
from artist_transfer.pipelines.recognition.params import FAMILIES, read_families
from artist_transfer.pipelines.recognition.protocols import draw_trials, hold_out_artists, known_artists, protocols_of
from artist_transfer.pipelines.recognition.scoring import Board
from artist_transfer.recognition.plda_fit import fit_plda
from artist_transfer.recognition.scoring import cosine_scores, enrol_vectors


def test_validation_artists_are_taken_from_training_and_nothing_learns_from_them(tmp_path: Path) -> None:
    songs, _, facts, held = drawn(tmp_path)
    sides = held.assign(artist=held["track_id"].str[:3]).groupby("artist")["side"].unique()
    assert all(len(side) == 1 for side in sides)
    assert sides.str[0].value_counts().to_dict() == {"train": 5, "test": 4, "validation": 3}
    of_role = {role: set(rows["artist_id"]) for role, rows in songs.groupby("role")}
    assert of_role["validation"] == set(sides.index[sides.str[0] == "validation"])
    assert of_role["test"] == {"a08", "a09", "a10", "a11"}
    assert [entry["artists"] for entry in facts["protocols"]] == [3, 4]


def test_every_test_song_is_tried_against_every_artist(tmp_path: Path) -> None:
    songs, lists, facts, _ = drawn(tmp_path)
    protocol = protocols_of(songs, "self", "test")[0]
    folder = Path(lists["self, fold 0, test"]["folder"])
    trials = pd.read_csv(folder / "trials.csv")
    assert len(trials) == facts["protocols"][1]["trials"] == 4 * 4 * TEST
    assert trials["target"].sum() == 4 * TEST
    assert facts["protocols"][1]["hash"] == protocol.hash == hash_of_files(folder)
    enrolled = set(songs.loc[songs["part"] == "enrol", "track_id"])
    assert not enrolled & set(trials["track_id"])


def test_an_unseen_artist_that_was_learned_from_is_an_error(tmp_path: Path) -> None:
    usable, split = corpus()
    held = hold_out_artists(usable, split, FRAMES, BLOCK, 0)
    sets = sets_of(usable, held)
    sets.loc[sets.index[0], "artist_id"] = "a09"
    with pytest.raises(ArtistTransferError, match=r"target self, fold 0, test artists: .*'a09'"):
        draw_trials(usable, held, sets, FRAMES, BLOCK, 0, str(tmp_path))


def test_artists_of_another_corpus_that_were_learned_from_take_no_part(tmp_path: Path) -> None:
    usable, split = corpus()
    other, _ = corpus(artists=6)
    other["track_id"] = "x" + other["track_id"]
    other["artist_id"] = other["artist_id"].str.replace("a", "z")  # other ids
    other["audio_hash"] = "x" + other["audio_hash"]
    other["artist"] = ["A00 "] * 4 + [f"stranger {k // 4}" for k in range(4, 24)]  # the first is known by name
    other.loc[4, "audio_hash"] = usable["audio_hash"][20]  # the second by a song of another artist's
    save_target(str(tmp_path), "other", other, {"front_end": {}}, {"corpus": "table", "root": ""})
    block = BLOCK.model_copy(update={"targets": "self+other"})
    frames = FRAMES | {"other": FRAMES["self"]}
    held = hold_out_artists(usable, split, frames, block, 0)
    songs, _, facts = draw_trials(usable, held, sets_of(usable, held), frames, block, 0, str(tmp_path))
    assert facts["known artists"] == {"self": [], "other": ["z00", "z01"]}
    assert set(songs.loc[songs["target"] == "other", "artist_id"]) == {"z02", "z03", "z04", "z05"}
    save_target(str(tmp_path), "other", usable, {"front_end": {}}, {"corpus": "table", "root": ""})
    with pytest.raises(ArtistTransferError, match=r"target other.*at least two artists"):
        draw_trials(usable, held, sets_of(usable, held), frames, block, 0, str(tmp_path))


def test_an_artist_is_known_by_the_name_however_it_is_spelt() -> None:
    one, two = (unicodedata.normalize(form, "Björk") for form in ("NFC", "NFD"))
    own = pd.DataFrame({"artist_id": [one.casefold()], "artist": [two], "audio_hash": ["1"]})
    for name in (one, two, f" {two.upper()} "):
        other = pd.DataFrame({"artist_id": ["7", "8", None], "artist": [name, "else", None], "audio_hash": list("789")})
        assert known_artists(other, own) == ["7"]
    ids = pd.DataFrame({"artist_id": [two.casefold()], "artist": [None], "audio_hash": ["9"]})
    assert known_artists(ids, own) == [two.casefold()]
    assert known_artists(ids, own.assign(artist=None)) == [two.casefold()]


def test_validation_artists_have_an_upper_limit() -> None:
    usable, split = corpus()
    protocol = BLOCK.protocol.model_copy(update={"validation_artists": 2})
    held = hold_out_artists(usable, split, FRAMES, BLOCK.model_copy(update={"protocol": protocol}), 0)
    assert held.loc[held["side"] == "validation", "track_id"].str[:3].nunique() == 2


@pytest.mark.parametrize("scoring", ["cosine", "plda"])
def test_normalised_scores_come_from_single_songs_of_training_artists(scoring: str) -> None:
    generator = np.random.default_rng(5)
    usable, _ = corpus()
    ids = usable["track_id"].tolist()
    centres = generator.standard_normal((12, 6)) + 1
    vectors = Embeddings(tuple(ids), np.repeat(centres, 4, axis=0) + 0.7 * generator.standard_normal((48, 6)))
    artists = dict(zip(ids, usable["artist_id"]))
    train = tuple(track for track in ids if artists[track] < "a08")
    groups = {"a08": ("a08-0", "a08-1"), "a09": ("a09-0", "a09-1")}
    rows = [(artist, track) for artist, own in groups.items() for track in own]
    tests = pd.DataFrame([("a08", "a08-2"), ("a09", "a09-3")], columns=["artist_id", "track_id"])
    protocol = RecognitionProtocol(pd.DataFrame(rows, columns=["artist_id", "track_id"]), tests)
    learned = Learned(train, {track: artists[track] for track in train}, {("self", "test"): protocol})
    block = BLOCK.model_copy(update={"s_norm": True, "cohort": 20})
    cpu = torch.device("cpu")
    found = vector_scores({"self": vectors}, learned, block, device=cpu, skip=lambda *told: pytest.fail(str(told)))
    cohort = list(learned.cohort(20))
    assert len(cohort) == 20 and set(cohort) <= set(train)
    assert pd.Series([artists[track] for track in cohort]).value_counts().tolist() == [3] * 4 + [2] * 4

    def score(models: dict, songs: list[str]) -> np.ndarray:
        picked = Embeddings(tuple(songs), vectors.of(songs))
        if scoring == "cosine":
            return cosine_scores(enrol_vectors(vectors, models), picked)
        plda, _ = fit_plda(vectors, learned.artists, train, **block.plda.model_dump(exclude={"enrolment"}))
        return plda.scores(plda.enrol(vectors, models), picked)

    plain = score(groups, list(protocol.test_ids))
    on_cohort = score(groups, cohort)
    on_tests = score({track: [track] for track in cohort}, list(protocol.test_ids))
    z = (plain - on_cohort.mean(axis=1, keepdims=True)) / on_cohort.std(axis=1, keepdims=True)
    t = (plain - on_tests.mean(axis=0)) / on_tests.std(axis=0)
    np.testing.assert_allclose(found[scoring]["self", "test"], plain, rtol=1e-9)
    np.testing.assert_allclose(found[f"{scoring}_s_norm"]["self", "test"], (z + t) / 2, rtol=1e-7)


def test_a_part_that_says_the_opposite_is_worth_nothing_in_a_calibrated_fusion(tmp_path: Path) -> None:
    songs, _, _, _ = drawn(tmp_path)
    protocols = {("self", role): protocols_of(songs, "self", role)[0] for role in ("validation", "test")}
    learned = Learned((), {}, protocols)
    noise = np.random.default_rng(0)
    good = {cell: p.targets() + 0.3 * noise.standard_normal(p.targets().shape) for cell, p in protocols.items()}
    wrong = {cell: -scores for cell, scores in good.items()}
    board = Board()
    board.add("basic", "plda", 0, good)
    board.add("ivector", "plda", None, wrong)
    with pytest.warns(UserWarning, match="do not score higher"):
        add_late(board, "basic", 0, learned)
    fused = {scoring: scores for _, encoder, scoring, _, scores in board.entries if encoder == "late"}
    cell = ("self", "test")
    np.testing.assert_allclose(fused["plda_average"][cell], 0)  # plainly, they cancel out
    order = np.argsort(good[cell], axis=None)
    assert (np.diff(fused["plda_calibrated"][cell].ravel()[order]) > 0).all()


def test_too_few_songs_are_named_before_anything_is_fitted() -> None:
    usable, split = corpus(songs=2)
    with pytest.raises(ArtistTransferError, match=r"fold 0, artists for validation: .*2 songs to enrol"):
        hold_out_artists(usable, split, FRAMES, BLOCK, 0)


@pytest.mark.parametrize("value", ["", "nets+nothing", "early+nets", "late"])
def test_impossible_families_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|fuse"):
        read_families(value)


def test_families_keep_their_order() -> None:
    assert read_families("all") == FAMILIES
    assert read_families("ivector+nets") == ("nets", "ivector")
