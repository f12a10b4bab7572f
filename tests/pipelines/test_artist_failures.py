"""Nets that cannot be trained: recorded with their reason, while the others are trained and scored."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from tests.pipelines.test_artist_odd_cases import corpus, noise, scored, target_of

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.artist_evaluation import told
from artist_transfer.pipelines.artist_evaluation.nodes import failed_systems, flat_scores, list_runs
from artist_transfer.pipelines.artist_evaluation.reports import tracks_to_show
from artist_transfer.pipelines.artist_learning import nets
from artist_transfer.pipelines.artist_learning.nodes import ArtistNets
from artist_transfer.pipelines.artist_learning.params import ArtistStudyBlock, ArtistTrainingBlock, SetsBlock
from artist_transfer.pipelines.artist_learning.sets import study_sizes
from artist_transfer.reporting.artist_gaps import failed_scores
from artist_transfer.reporting.artist_views import all_scores, view_of_nets

DIVERGED = "the validation loss is nan after epoch 1; make artist_training.learning_rate = 0.1 smaller"


def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, *, bad: set[str]) -> dict[str, Any]:
    """Train two kinds and two seeds in two folds; those whose labels begin with one of `bad` diverge."""

    def train_net(kind: str, *args: object, label: str, **kwargs: object) -> SimpleNamespace:
        if any(label.startswith(each) for each in bad):
            raise ArtistTransferError(DIVERGED)
        history = [{"epoch": 1, "loss": 1.0, "validation_loss": 1.0, "learning_rate": 0.1}]
        return SimpleNamespace(folder=tmp_path / label, details={}, history=history)

    monkeypatch.setattr(nets, "train_net", train_net)
    table = corpus().assign(n_frames=1291)
    rows = table[["track_id", "artist_id"]].assign(kind="artist", set=12, position=1)
    rows["side"] = ["validation" if track.endswith("30") else "train" for track in rows["track_id"]]
    sets = pd.concat([rows.assign(fold=fold) for fold in (0, 1)])
    facts = {"kinds": ["basic", "siamese"], "seeds": [0, 1], "folds": {"0": {}, "1": {}}}
    manifest, _ = ArtistNets().learn_nets(sets, facts, table, {}, ArtistTrainingBlock(), "cpu", 1, str(tmp_path))
    return manifest


def test_a_net_that_diverges_ends_its_system_and_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    manifest = trained(monkeypatch, tmp_path, bad={"siamese-12, fold 1, seed 0"})
    assert {net["system"] for net in manifest["nets"]} == {"basic-12"} and len(manifest["nets"]) == 4
    (failed,) = manifest["failed"]
    assert (failed["system"], failed["fold"], failed["seed"], failed["reason"]) == ("siamese-12", 1, 0, DIVERGED)
    assert (tmp_path / "encoders/basic.json").is_file() and not (tmp_path / "encoders/siamese.json").exists()


def test_if_no_system_is_left_it_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    with pytest.raises(ArtistTransferError, match=r"2 of 8 nets could not be trained.*basic-12, fold 0.*loss is nan"):
        trained(monkeypatch, tmp_path, bad={"siamese-12, fold 1, seed 0", "basic-12, fold 0, seed 1"})


def test_it_stands_in_scores_runs_and_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    manifest = trained(monkeypatch, tmp_path, bad={"siamese-12, fold 1, seed 0"})
    failed = failed_systems(manifest)
    _, table = scored(target_of(corpus()), **{"basic-12": noise(corpus())})
    table.loc[table["system"] == "basic-12", ["net", "n_artists_trained"]] = ["basic", 12.0]
    whole = failed_scores(table, failed)
    rows = whole[whole["system"] == "siamese-12"]
    assert set(rows["metric"]) == set(table["metric"]) and rows["value"].isna().all()
    assert rows["note"].str.startswith("failed: fold 1, seed 0: the validation loss is nan").all()
    assert len(whole) == len(table) + len(rows) and not any("siamese" in name for name in flat_scores(whole))
    runs = {run["name"]: run for run in list_runs(manifest, whole, "stratified", "synthetic")}
    assert runs["siamese-12"]["failed"] and DIVERGED in runs["siamese-12"]["tags"]["reason"]
    assert runs["siamese-12"]["params"]["artists"] == 12 and not runs["siamese-12"]["metrics"]
    basic = runs["basic-12"]
    assert not basic["failed"] and (basic["params"]["seeds"], basic["params"]["folds"]) == ("0+1", "0+1")
    assert basic["tags"] == {"folds": 2, "nets": 4}
    empty = pd.DataFrame({"kind": []})
    assert told.alarms(empty, failed) == [
        f"siamese-12 could not be trained and is not scored: fold 1, seed 0: {DIVERGED}."
    ]
    assert any("siamese-12" in row for row in all_scores(whole).rows)
    shown = view_of_nets(whole, "map")
    assert shown is not None and len(shown.rows) >= 1


@pytest.mark.parametrize(
    ("most", "sizes"), [(2, [2]), (3, [2, 3]), (5, [2, 5]), (8, [2, 4, 8]), (1001, [250, 500, 1001])]
)
def test_a_study_has_a_quarter_a_half_and_all_artists(most: int, sizes: list[int]) -> None:
    assert study_sizes(most) == sizes


def test_sizes_that_are_not_given_are_all_artists_but_in_a_study() -> None:
    usable = corpus(artists=8).assign(n_frames=1291)
    split = usable[["track_id"]].assign(fold=0, side="train")
    names = usable[["track_id"]].assign(list_name=usable["track_id"])
    block = SetsBlock(sizes=None, songs=4, division="2+1+1")  # type: ignore[arg-type]
    study = ArtistStudyBlock(kinds="siamese")
    for kinds, expected in (((), [2, 4, 8]), (("siamese",), [8])):
        table, _, facts = ArtistNets(kinds).choose_sets(usable, split, names, block, study, 0)
        assert facts["sizes"] == expected == sorted(table["set"].unique())
        for _, rows in table.groupby("set"):
            assert set(rows.groupby(["artist_id", "side"]).size().unstack()["train"]) == {2}  # divided alike


def test_maps_show_what_the_net_was_not_trained_on() -> None:
    table = corpus()
    sides = pd.Series("train", index=table.index)
    sides[table["artist_id"].isin(["a0", "a1", "a2"])] = "test"
    sides[table["artist_id"] == "a3"] = "unseen"
    split = table[["track_id"]].assign(fold=1, side=sides)
    ids, sentence = tracks_to_show(table, split, 1, set(table["track_id"][1:]))
    assert set(ids) == set(table["track_id"][1:16]) and "15 test tracks of fold 1" in sentence
    few = split.assign(side=sides.replace("unseen", "train").where(table["artist_id"] != "a2", "train"))
    ids, sentence = tracks_to_show(table, few, 1, set(table["track_id"]))
    assert ids == sorted(table["track_id"]) and "2 known artists, too few" in sentence
