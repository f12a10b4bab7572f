"""Parts of the study without a run: its splits, its targets, what an ablation changes, MLflow's child runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.parameters import check_parameters
from artist_transfer.pipelines.agf_study import ablations
from artist_transfer.pipelines.agf_study.children import child_runs
from artist_transfer.pipelines.agf_study.params import AblationBlock, StudyBlock, read_choices, read_numbers
from artist_transfer.pipelines.agf_study.plan import plan_study, split_by_seeds, split_for_study
from artist_transfer.pipelines.feature_learning.bars import jobs_bar
from artist_transfer.pipelines.group_factors.params import FactorsBlock
from artist_transfer.pipelines.splitting.params import SplittingBlock
from artist_transfer.reporting import study_choice_figures, study_views
from artist_transfer.study.ablations import ablation_table
from artist_transfer.training.targets import TaskTarget

CHOICE = ablations.Choice(factors=FactorsBlock(), fit_on="train", split="artist_disjoint", draw="batch")


def tracks() -> pd.DataFrame:
    artists = [f"a{k}" for k in range(12) for _ in range(4)]
    return pd.DataFrame(
        {
            "track_id": [f"t{k:03d}" for k in range(48)],
            "recording_id": [f"t{k:03d}" for k in range(48)],
            "artist_id": artists,
            "genre_top": ["rock" if int(artist[1:]) % 2 else "folk" for artist in artists],
            "audio_hash": [str(k) for k in range(48)],
            "album_id": None,
        }
    )


@pytest.mark.parametrize(("value", "numbers"), [("0", (0,)), (7, (7,)), ("2+0+1", (2, 0, 1)), (" 1 + 2 ", (1, 2))])
def test_numbers_are_joined_by_plus(value: object, numbers: tuple[int, ...]) -> None:
    assert read_numbers(value) == numbers


@pytest.mark.parametrize("value", ["", None, "+", "1+", "a", "-1", "1.5", "1+1", [], "0,1", 2**32, f"0+{2**64}"])
def test_what_is_no_list_of_numbers_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        read_numbers(value)


@pytest.mark.parametrize("key", ["seeds", "split_seeds"])
def test_a_seed_that_nothing_takes_is_refused_by_its_key(key: str) -> None:
    with pytest.raises(ArtistTransferError, match=rf"study\.{key}=.* from 0 to 4294967295"):
        check_parameters({"corpus": "synthetic", "study": {key: 2**32}})
    assert check_parameters({"corpus": "synthetic", "study": {key: 2**32 - 1}})


def test_a_wrong_case_is_named_by_its_key_once() -> None:
    for key, study in (
        ("study.cases", {"cases": "gs-wstn2"}),
        ("study.ablations.case", {"ablations": {"case": "g-wstn1"}}),
    ):
        with pytest.raises(ArtistTransferError, match="a wide net learns genre") as caught:
            check_parameters({"corpus": "synthetic", "study": study})
        assert str(caught.value).count("study.") == 1
        assert key in str(caught.value)


def test_choices_come_in_their_order_and_unknown_ones_are_refused() -> None:
    assert read_choices("draw+dictionary") == ("dictionary", "draw")
    assert read_choices("none") == ()
    assert len(read_choices("all")) == 6
    with pytest.raises(ValueError, match="allowed are all, none"):
        read_choices("draw+colour")


def test_the_plan_asks_for_the_factors_that_its_cases_need_and_no_others() -> None:
    facts, tasks = plan_study(StudyBlock(cases="g+gs", ablations=AblationBlock(choices="none")), "gsedm", None)
    assert tasks == "gs"
    assert facts["cases"] == ["g-stn", "gs-stn", "gs-mtn"]
    _, tasks = plan_study(StudyBlock(cases="g+gs"), "gsedm", None)
    assert tasks == "gsm"  # those of the ablated case, gm-mtn, too


def test_somebody_elses_features_are_not_studied() -> None:
    with pytest.raises(ArtistTransferError, match=r"embeddings=theirs\.npy: .*agf_multitask"):
        plan_study(StudyBlock(), "gsedm", "theirs.npy")


def test_splits_of_several_seeds_lie_one_after_the_other_and_are_the_jobs_own() -> None:
    from artist_transfer.corpora.splits import make_split, split_hash

    table, rows, hashes = split_by_seeds(tracks(), [4, 9], split="artist_disjoint", splitting=SplittingBlock(), folds=3)
    assert rows.to_dict("list") == {
        "fold": [0, 1, 2, 3, 4, 5],
        "split_seed": [4, 4, 4, 9, 9, 9],
        "fold_of_split": [0, 1, 2, 0, 1, 2],
    }
    for position, seed in enumerate((4, 9)):
        own = table[table["fold"].isin(rows.loc[rows["split_seed"] == seed, "fold"])]
        alone = make_split(tracks(), kind="artist_disjoint", seed=seed, folds=3)
        assert split_hash(own.assign(fold=own["fold"] - 3 * position)) == split_hash(alone) == hashes[position]


def test_one_split_is_not_taken_twice() -> None:
    table = tracks().assign(official_split=["training"] * 32 + ["test"] * 16)
    with pytest.raises(ArtistTransferError, match=r"study\.split_seeds=0\+1: .*split=official.*study\.split_seeds=0"):
        split_for_study(table, {"split_seeds": [0, 1]}, "official", SplittingBlock(), 1)
    _, facts, _ = split_for_study(table, {"split_seeds": [0]}, "official", SplittingBlock(), 1)
    assert len(facts["hashes"]) == 1


def test_a_corpus_with_one_genre_cannot_be_studied() -> None:
    with pytest.raises(ArtistTransferError, match="agf_study scores genres"):
        split_for_study(tracks().assign(genre_top="rock"), {"split_seeds": [0]}, "stratified", SplittingBlock(), 1)


def test_a_fold_without_a_labelled_test_track_is_refused_before_any_work() -> None:
    table = tracks()
    table.loc[table["artist_id"].isin(["a0", "a1"]), "genre_top"] = None  # each of them alone in one of ten folds
    plan: dict[str, Any] = {"split_seeds": [0]}
    words = r"split=artist_disjoint, folds=10 .*no test track of fold \d has a genre \(40 of 48 .*fewer folds"
    with pytest.raises(ArtistTransferError, match=words):
        split_for_study(table, plan, "artist_disjoint", SplittingBlock(), 10)
    split_for_study(table, plan, "artist_disjoint", SplittingBlock(), 3)
    split_for_study(table, plan, "stratified", SplittingBlock(), 1)


def test_an_official_split_has_to_have_genres_on_both_sides() -> None:
    table = tracks().assign(official_split=["training"] * 32 + ["test"] * 16)
    plan: dict[str, Any] = {"split_seeds": [0]}
    for wrong, words in (
        (table["official_split"] == "test", "no test track of fold 0 has a genre .* another split"),
        ((table["official_split"] == "training") & (table["genre_top"] == "folk"), "fewer than two genres"),
    ):
        unlabelled = table.assign(genre_top=table["genre_top"].mask(wrong, None))
        with pytest.raises(ArtistTransferError, match=f"split=official.*{words}"):
            split_for_study(unlabelled, plan, "official", SplittingBlock(), 1)
    split_for_study(table, plan, "official", SplittingBlock(), 1)


def test_each_ablation_changes_one_thing_and_has_the_runs_own_value() -> None:
    block = AblationBlock(dictionary="256+512", groups="10+40")
    found = list(ablations.variants(block, CHOICE, artists_known=True))
    by_name: dict[str, list[ablations.Variant]] = {}
    for variant in found:
        by_name.setdefault(variant.ablation, []).append(variant)
    assert [v.value for v in by_name["dictionary"]] == ["256", "512", "2048"]  # the default stands among them
    assert [v.value for v in by_name["groups"]] == ["10", "40"]
    for variants in by_name.values():
        assert [v.choice == CHOICE for v in variants] == [v.is_default for v in variants]
        assert sum(v.is_default for v in variants) == 1
        assert len({repr(v.choice) for v in variants}) == len(variants)
    (small,) = [v for v in by_name["dictionary"] if v.value == "256"]
    assert small.choice.factors.dictionary.max_centres == 256
    assert small.choice.factors.latent_dirichlet == CHOICE.factors.latent_dirichlet


def test_without_artists_there_is_no_split_by_artist() -> None:
    block = AblationBlock(choices="split")
    choice = ablations.Choice(factors=FactorsBlock(), fit_on="train", split="stratified", draw="batch")
    assert [v.value for v in ablations.variants(block, choice, artists_known=False)] == ["stratified"]


@pytest.mark.parametrize(
    ("tasks", "case"),
    [("gsedm", "gm-mtn"), ("gs", "gs-mtn"), ("sd", "d-stn"), ("ges", "ge-mtn"), ("ms", "m-stn"), ("g", None)],
)
def test_the_ablated_case_is_genre_and_a_factor_task_with_a_dictionary_if_there_is_one(
    tasks: str, case: str | None
) -> None:
    found = ablations.ablated_case(AblationBlock(), tasks)
    assert (found.name if found else None) == case


def test_more_groups_than_artists_are_named() -> None:
    facts = {"m": {"folds": {"0": {"skipped": None, "task": "m", "n_groups": 9, "n_words": 100}}}}
    (large, _) = ablations.variants(AblationBlock(choices="groups", groups="160"), CHOICE, artists_known=True)
    assert ablations.too_large(large, facts) == "task m, fold 0: the corpus carries 9 groups, as many as artists"


def test_the_runs_own_number_says_what_it_has_come_to() -> None:
    folds = {str(fold): {"skipped": None, "task": "m", "n_groups": 9 - fold, "n_words": 100} for fold in (0, 1)}
    folds["2"] = {"skipped": "no artist"}
    found = list(ablations.variants(AblationBlock(choices="groups", groups="8"), CHOICE, artists_known=True))
    (own,) = [variant for variant in found if variant.is_default]
    assert (
        ablations.what_is_carried(own, {"m": {"folds": folds}})
        == "the corpus carries 8 to 9 groups, as many as artists"
    )
    (enough,) = [variant for variant in found if not variant.is_default]
    assert ablations.what_is_carried(enough, {"m": {"folds": folds}}) is None
    rows = [
        {"ablation": "groups", "value": "40", "case": "gm-mtn", "status": "done", "is_default": True, "reason": "so"}
    ]
    rows += [rows[0] | {"value": "8", "is_default": False, "reason": None}]
    table = ablation_table(rows, {}, n_resamples=100, level=0.95, seed=0)
    assert [row[1] for row in study_views.ablations(table).rows] == ["40 (default): so", "8"]
    plot = study_choice_figures.ablation_plot(table.assign(log_loss=0.5, f1_macro=0.5, accuracy=0.5))
    assert [text for (text,) in plot.data[0].customdata] == ["40 (default): so", "8"]


def test_hard_targets_keep_the_heaviest_group() -> None:
    soft = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]], dtype=np.float32)
    target = TaskTarget(task="m", rows=np.array([1, 3]), soft=soft, n_tracks=4)
    hard = target.hardened()
    np.testing.assert_array_equal(hard.soft, [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(hard.rows, target.rows)


def test_a_child_run_has_the_scores_of_its_seed_and_a_failed_one_has_none() -> None:
    columns = {"p_folk": [0.9, 0.2], "p_rock": [0.1, 0.8], "genre_predicted": ["folk", "rock"]}
    rows = pd.DataFrame(
        {"case": "g-stn", "split_seed": 0, "fold": 0, "track_id": ["t1", "t2"], "artist_id": ["a", "b"]}
        | {"recording_id": ["t1", "t2"], "genre_true": ["folk", "rock"], **columns}
    )
    wrong = rows.assign(genre_predicted=["rock", "folk"], p_folk=[0.1, 0.8], p_rock=[0.9, 0.2])
    predictions = pd.concat([rows.assign(seed=0), wrong.assign(seed=1)], ignore_index=True)
    shared = {"tasks": "g", "architecture": "stn", "kind": "grid", "n_tasks": 1, "width": 1.0, "n_parameters": 9}
    cases = pd.DataFrame(
        [
            {"case": "g-stn", "status": "done", "reason": None, **shared},
            {"case": "s-stn", "status": "failed", "reason": "no memory", **shared | {"tasks": "s"}},
        ]
    )
    nets = [{"net": "g-stn", "seed": seed, "fold": 0, "loss": {"g": 0.5 + seed}} for seed in (0, 1)]
    folds = pd.DataFrame({"fold": [0], "split_seed": [0], "fold_of_split": [0]})
    runs = child_runs(predictions, cases, nets, folds, [0, 1], {"split": "stratified"})
    by_name = {run["name"]: run for run in runs}
    assert len(by_name) == 4
    good, bad = (by_name[f"g-stn seed {seed} split 0"]["metrics"] for seed in (0, 1))
    assert (good["accuracy"], bad["accuracy"]) == (1.0, 0.0)
    assert good["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)
    assert (good["train_loss.g"], bad["train_loss.g"]) == (0.5, 1.5)
    failed = by_name["s-stn seed 0 split 0"]
    assert failed["failed"]
    assert failed["metrics"] == {}
    assert failed["tags"] == {"case": "s-stn", "kind": "grid", "status": "failed", "reason": "no memory"}


def test_the_bar_of_several_nets_ends_at_their_number() -> None:
    bar = jobs_bar("nets", 3)
    with bar as progress:
        progress("one", 1, 2, {"g": 0.5})
        assert bar.bar.n == 0
        progress("one", 2, 2, {"g": 0.4})
        assert bar.bar.n == 1  # the second was there already, the third fails
        shown = bar.bar
    assert shown.n == shown.total == 3
    stopped = jobs_bar("nets", 3)
    with pytest.raises(KeyboardInterrupt), stopped as progress:
        progress("one", 2, 2, {})
        raise KeyboardInterrupt
    assert stopped.bar.n == 1
