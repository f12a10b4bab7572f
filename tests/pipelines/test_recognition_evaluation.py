"""Scores of trials: comparisons by question, score lists of others, what is not calibrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.pipelines.recognition_problem import BLOCK, drawn, manifest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.trial_lists import write_scores
from artist_transfer.pipelines.recognition.cells import Cell, cells_of, others_scores
from artist_transfer.pipelines.recognition.evaluation import evaluate_systems
from artist_transfer.pipelines.recognition.protocols import protocols_of


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
