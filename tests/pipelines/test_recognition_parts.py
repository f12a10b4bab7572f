"""Parts of the recognition pipelines that need no command: trials, comparisons, thresholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.recognition import RecognitionProtocol
from artist_transfer.evaluation.trial_lists import hash_of_files, write_scores
from artist_transfer.pipelines.artist_evaluation.targets import save_target
from artist_transfer.pipelines.recognise.answers import NOBODY, answer_table
from artist_transfer.pipelines.recognise.recogniser import Recogniser, open_set_tops
from artist_transfer.pipelines.recognition.backends import Learned, vector_scores
from artist_transfer.pipelines.recognition.cells import Cell, cells_of, others_scores
from artist_transfer.pipelines.recognition.evaluation import evaluate_systems
from artist_transfer.pipelines.recognition.fusions import add_late
from artist_transfer.pipelines.recognition.params import FAMILIES, RecognitionBlock, read_families
from artist_transfer.pipelines.recognition.protocols import draw_trials, hold_out_artists, protocols_of
from artist_transfer.pipelines.recognition.scoring import Board
from artist_transfer.recognition.plda_fit import fit_plda
from artist_transfer.recognition.scoring import cosine_scores, enrol_vectors

ENROL, TEST = 2, 1
BLOCK = RecognitionBlock.model_validate(
    {"protocol": {"enrol": ENROL, "test": TEST, "validation_share": 0.4}, "resamples": 100}
)
FRAMES = {"self": {"folder": "", "left_out": {}}}


def corpus(artists: int = 12, songs: int = 4) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = [f"a{k:02d}" for k in range(artists)]
    rows = [(f"{name}-{k}", name) for name in names for k in range(songs)]
    usable = pd.DataFrame(rows, columns=["track_id", "artist_id"]).assign(
        artist=lambda t: t["artist_id"].str.upper(),
        recording_id=lambda t: t["track_id"],
        album_id=None,
        audio_hash=lambda t: "h" + t["track_id"],
        genre_top=None,
        official_split=None,
        path=lambda t: t["track_id"] + ".ogg",
        n_frames=200,
    )
    side = np.where(usable["artist_id"] < "a08", "train", "test")
    return usable, pd.DataFrame({"track_id": usable["track_id"], "fold": 0, "side": side})


def sets_of(usable: pd.DataFrame, split: pd.DataFrame) -> pd.DataFrame:
    train = split.loc[split["side"] == "train", "track_id"]
    rows = usable[usable["track_id"].isin(train)][["artist_id", "track_id"]]
    return rows.assign(fold=0, kind="artist", set=rows["artist_id"].nunique(), position=1, side="train")


def drawn(folder: Path) -> tuple[pd.DataFrame, dict, dict, pd.DataFrame]:
    usable, split = corpus()
    held = hold_out_artists(usable, split, FRAMES, BLOCK, 0)
    songs, lists, facts = draw_trials(usable, held, sets_of(usable, held), FRAMES, BLOCK, 0, str(folder))
    return songs, lists, facts, held


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


def manifest(folder: Path, systems: dict[tuple[str, str, int], float], songs: pd.DataFrame) -> dict:
    """Write scores whose targets lie so many deviations above the others."""
    rows = []
    for number, ((encoder, scoring, size), gap) in enumerate(systems.items()):
        for role in ("validation", "test"):
            targets = protocols_of(songs, "self", role)[0].targets()
            noise = np.random.default_rng([number, role == "test"]).standard_normal(targets.shape)
            file = folder / f"{number}_{role}.npy"
            np.save(file, noise + gap * targets)
            row = {"system": f"{encoder}.{scoring}" if scoring else encoder, "encoder": encoder, "scoring": scoring}
            rows.append(
                row | {"artists": size, "fold": 0, "trial": None, "target": "self", "role": role, "file": str(file)}
            )
    return {"scores": rows}


def test_systems_are_compared_within_and_across_numbers_of_artists(tmp_path: Path) -> None:
    songs, _, _, _ = drawn(tmp_path)
    systems = {
        ("basic", "cosine", 2): 2.0,
        ("basic", "cosine", 5): 3.0,
        ("basic", "cosine_s_norm", 5): 3.0,
        ("gmm_ubm", "", 2): 1.0,
        ("gmm_ubm", "", 5): 1.5,
        ("ismir2018_siamese", "cosine", 2): 2.0,
        ("ismir2018_siamese", "cosine", 5): 2.0,
    }
    scores, comparisons, artists, det, bins, metrics = evaluate_systems(
        manifest(tmp_path, systems, songs), songs, BLOCK
    )
    eer = scores[scores["metric"] == "eer"]
    assert len(eer) == 6  # what learns from no artist comes once
    assert eer.loc[eer["encoder"] == "ismir2018_siamese", "n_artists_trained"].isna().all()
    pairs = set(zip(comparisons["first"], comparisons["second"]))
    assert ("basic.cosine 5", "basic.cosine 2") in pairs  # more artists against fewer
    assert ("basic.cosine_s_norm 5", "basic.cosine 5") in pairs
    assert ("basic.cosine 2", "gmm_ubm 2") in pairs
    assert not any({"basic.cosine_s_norm 5", "gmm_ubm 5"} == set(pair) for pair in pairs)
    assert not any({"basic.cosine 2", "gmm_ubm 5"} == set(pair) for pair in pairs)
    questions = comparisons.groupby("question")[["first", "second"]].apply(lambda t: set(zip(t["first"], t["second"])))
    assert questions["variants"] == {("basic.cosine_s_norm 5", "basic.cosine 5")}
    assert questions["artists"] == {("basic.cosine 5", "basic.cosine 2"), ("gmm_ubm 5", "gmm_ubm 2")}
    assert ("basic.cosine 5", "gmm_ubm 5") in questions["systems"]
    for _, family in comparisons.groupby(["metric", "question"]):
        smallest = family.sort_values("p").iloc[0]
        assert smallest["p_holm"] <= min(1.0, smallest["p"] * len(family)) + 1e-12
    assert set(artists["artist_id"]) == {"a08", "a09", "a10", "a11"}
    assert (bins.groupby(["system", "target"])["count"].sum().unstack()[True] == 4).all()
    assert det.groupby("system")["miss"].apply(lambda miss: miss.is_monotonic_decreasing).all()
    assert metrics["self.basic.cosine.5.eer"] == float(eer.loc[eer["system"] == "basic.cosine 5", "value"].iloc[0])


def test_a_fusion_is_compared_with_what_it_fuses(tmp_path: Path) -> None:
    songs, _, _, _ = drawn(tmp_path)
    names = [("siamese", "plda"), ("basic", "plda"), ("ivector", "plda"), ("ivector", "cosine"), ("mfcc", "plda")]
    systems = {(*name, 5): 1.0 for name in [*names, ("early", "plda"), ("late", "plda_average")]}
    block = BLOCK.model_copy(update={"fused": "basic"})
    _, comparisons, *_ = evaluate_systems(manifest(tmp_path, systems, songs), songs, block)
    fusions = comparisons[comparisons["question"] == "fusions"]
    found = set(zip(fusions["first"], fusions["second"]))
    parts = ("basic.plda 5", "ivector.plda 5")
    assert found == {(fused, part) for fused in ("early.plda 5", "late.plda_average 5") for part in parts}


def test_scores_that_others_hand_in_stand_beside_ours(tmp_path: Path) -> None:
    songs, _, _, _ = drawn(tmp_path)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for role in ("validation", "test"):
        protocol = protocols_of(songs, "self", role)[0]
        write_scores(theirs / f"oracle__{role}.csv", protocol, protocol.targets() + 0.0)
    block = BLOCK.model_copy(update={"score_lists": str(theirs)})
    ours = manifest(tmp_path, {("basic", "cosine", 5): 1.0}, songs)
    scores, comparisons, *_ = evaluate_systems(ours, songs, block)
    own = scores[scores["system"] == "oracle"].set_index("metric")["value"]
    assert (own["eer"], own["top1"]) == (0.0, 1.0)
    assert {("basic.cosine 5", "oracle")} <= set(zip(comparisons["first"], comparisons["second"]))
    only = block.model_copy(update={"score_lists": str(theirs)})
    (theirs / "oracle__validation.csv").unlink()
    scores, *_ = evaluate_systems(ours, songs, only)  # without validation scores nothing is calibrated
    assert set(scores.loc[scores["system"] == "oracle", "metric"]) == set(own.index) - {"cllr"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("# trials ", "# trails ", "first line must be"),
        (",1.0\n", ",nan\n", "row 1"),
        ("model,track_id,score\n", "model,track_id,points\n", "score"),
    ],
)
def test_a_list_that_is_wrong_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    songs, _, _, _ = drawn(tmp_path)
    protocol = protocols_of(songs, "self", "test")[0]
    (tmp_path / "theirs").mkdir()
    file = tmp_path / "theirs" / "oracle.csv"
    write_scores(file, protocol, protocol.targets() + 0.0)
    file.write_text(file.read_text().replace(old, new, 1))
    block = BLOCK.model_copy(update={"score_lists": str(file.parent)})
    with pytest.raises(ArtistTransferError, match=words) as caught:
        evaluate_systems(manifest(tmp_path, {("basic", "cosine", 5): 1.0}, songs), songs, block)
    assert "oracle.csv" in str(caught.value)


@pytest.mark.parametrize("name", ["basic.cosine", "basic.cosine 5"])
def test_a_name_that_is_taken_and_a_folder_without_lists_are_refused(tmp_path: Path, name: str) -> None:
    songs, _, _, _ = drawn(tmp_path)
    with pytest.raises(ArtistTransferError, match="no CSV"):
        others_scores(str(tmp_path / "nowhere"), songs, taken=())
    protocol = protocols_of(songs, "self", "test")[0]
    (tmp_path / "theirs").mkdir()
    write_scores(tmp_path / "theirs" / f"{name}.csv", protocol, protocol.targets() + 0.0)
    block = BLOCK.model_copy(update={"score_lists": str(tmp_path / "theirs")})
    with pytest.raises(ArtistTransferError, match="already"):
        evaluate_systems(manifest(tmp_path, {("basic", "cosine", 5): 1.0}, songs), songs, block)


def test_scores_that_are_all_equal_are_not_calibrated_but_scored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    songs, _, _, _ = drawn(tmp_path)
    written = manifest(tmp_path, {("basic", "cosine", 5): 1.0, ("gmm_ubm", "", 5): 1.0}, songs)
    for row in written["scores"][2:]:
        np.save(row["file"], np.zeros_like(np.load(row["file"])))
    with caplog.at_level("WARNING"):
        scores, *_ = evaluate_systems(written, songs, BLOCK)
    assert "gmm_ubm 5 is not calibrated" in caplog.text
    own = scores[scores["system"] == "gmm_ubm 5"].set_index("metric")["value"]
    assert own["eer"] == 0.5
    assert "cllr" not in own


def test_what_learns_from_no_artist_is_one_cell() -> None:
    common = {"fold": 0, "trial": None, "target": "self", "role": "test", "file": ""}
    rows = [
        {"system": "ismir2018_siamese.cosine", "encoder": "ismir2018_siamese", "scoring": "cosine", "artists": size}
        | common
        for size in (2, 5)
    ]
    (cell,) = cells_of(rows)
    assert (cell.artists, len(cell.rows)) == (None, 1)
    assert Cell("gmm_ubm", "gmm_ubm", "", 5, []).key == "gmm_ubm 5"


def recogniser(known: list[float], unknown: list[float]) -> Recogniser:
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.recognition.calibration import Calibration

    songs = Embeddings(("s0", "s1"), np.eye(2))
    return Recogniser(
        songs=songs,
        enrolments={"a": ["s0"], "b": ["s1"]},
        names={"a": "Anna", "b": "Bert"},
        calibration=Calibration(10.0, -5.0),
        plda=None,
        enrolment="average",
        known=np.array(known),
        unknown=np.array(unknown),
    )


def test_the_threshold_has_the_least_expected_error() -> None:
    known, unknown = [1.0, 3.0, np.nan, 5.0], [-1.0, 0.0, 2.0, 4.0]
    one = recogniser(known, unknown)
    for prior in (0.1, 0.5, 0.9):
        threshold, away, taken = one.threshold(prior)
        right = [value for value in known if value == value]
        assert away == (1 + sum(value < threshold for value in right)) / 4
        assert taken == sum(value >= threshold for value in unknown) / 4
        cost = prior * away + (1 - prior) * taken
        for other in np.linspace(-3, 7, 201):
            misses = (1 + sum(value < other for value in right)) / 4
            assert cost <= prior * misses + (1 - prior) * sum(value >= other for value in unknown) / 4 + 1e-12


def test_an_unknown_song_is_nobodys() -> None:
    one = recogniser([4.0, 5.0], [-2.0, -1.0])
    threshold, _, _ = one.threshold(0.5)
    from artist_transfer.evaluation.embeddings import Embeddings

    tests = Embeddings(("x", "y"), np.array([[1.0, 0.02], [-1.0, -1.0]]))
    table = answer_table(one, ["x.ogg", "y.ogg"], one.ratios(tests), threshold, top=2)
    assert table.groupby("file")["answer"].first().to_dict() == {"x.ogg": "Anna", "y.ogg": NOBODY}
    assert table["artist"].tolist()[:2] == ["Anna", "Bert"]
    assert table.groupby("file")["score"].apply(lambda s: s.is_monotonic_decreasing).all()


def test_tops_with_and_without_the_own_artist() -> None:
    ratios = np.array([[3.0, 1.0], [2.0, 0.0], [-1.0, 2.0]])
    known, unknown = open_set_tops(ratios, np.array([0, 1]))
    np.testing.assert_array_equal(known, [3.0, np.nan])
    np.testing.assert_array_equal(unknown, [2.0, 2.0])


def test_a_recogniser_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = recogniser([1.0, np.nan], [0.0, -1.0])
    one.save(tmp_path / "r")
    again = Recogniser.load(tmp_path / "r")
    assert (again.enrolments, again.names, again.calibration) == (one.enrolments, one.names, one.calibration)
    np.testing.assert_array_equal(again.known, one.known)
    assert again.threshold(0.5) == one.threshold(0.5)
    (tmp_path / "r" / "vectors.npy").write_bytes(b"damaged")
    with pytest.warns(UserWarning), pytest.raises(ArtistTransferError, match="artist_recognition"):
        Recogniser.load(tmp_path / "r")
