"""The study by the real command: tables and child runs, kills, failed cases, what is refused before any training."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.pipelines.conftest import Project

from artist_transfer.evaluation import segments
from artist_transfer.evaluation.metrics import f1_macro
from artist_transfer.models.dcnn import MultiTaskNet
from artist_transfer.pipelines.agf_study import grid
from artist_transfer.pipelines.agf_study import predictions as predictions_module
from artist_transfer.pipelines.agf_study.params import StudyBlock
from artist_transfer.pipelines.feature_learning.params import TrainingBlock
from artist_transfer.pipelines.group_factors.params import FactorsBlock, LatentDirichletBlock
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock
from artist_transfer.study.cases import Case, parse_cases
from artist_transfer.training import side_by_side

pytestmark = pytest.mark.slow

JOB = "--pipeline=agf_study"
SMALL = {
    "study__cases": "g+gm+gM+g-wstn2",
    "study__seeds": "0+1",
    "study__resamples": 200,
    "study__ablations__choices": "targets+groups",
    "study__ablations__groups": "2+160",
    "training__checkpoint_every_s": 0.001,
}
CASES = ["g-stn", "gm-stn", "gm-mtn", "g-wstn2", "gM-stn", "gM-mtn"]
TABLES = ("predictions", "case", "score", "mean", "best", "comparison", "ablation", "groups")


@pytest.fixture(scope="session")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished study, which no test changes."""
    project = Project.copy(tmp_path_factory.mktemp("studied"))
    project.run(JOB, tracking="true", **SMALL)
    return project


def nets_of(project: Project) -> list[dict]:
    return json.loads((project.path / "data/04_feature/study_nets_manifest.json").read_text())["nets"]


def test_every_case_and_seed_is_predicted_on_the_same_tracks(studied: Project) -> None:
    cases, predictions = studied.table("study_case_table"), studied.table("study_predictions_table")
    assert cases["case"].tolist() == [*CASES, "prior", "mfcc_logreg"]
    assert set(cases["status"]) == {"done"}
    split = studied.table("split_table")
    tested = sorted(split.loc[split["side"] == "test", "track_id"])
    usable = studied.table("usable_table").set_index("track_id")
    tested = [track for track in tested if pd.notna(usable.loc[track, "genre_top"])]
    for (_, _), rows in predictions.groupby(["case", "seed"]):
        assert sorted(rows["track_id"]) == tested
    assert len(predictions) == 8 * 2 * len(tested)
    columns = [name for name in predictions if name.startswith("p_")]
    np.testing.assert_allclose(predictions[columns].sum(axis=1), 1, atol=1e-9)


def test_scores_are_those_of_the_predictions(studied: Project) -> None:
    predictions, scores = studied.table("study_predictions_table"), studied.table("study_score_table")
    for row in scores.itertuples():
        own = predictions[predictions["case"] == row.case]
        by_seed = [f1_macro(rows.drop(columns=["case", "seed", "split_seed"])) for _, rows in own.groupby("seed")]
        assert row.f1_macro == pytest.approx(np.mean(by_seed), abs=1e-12)
        assert row.f1_macro_low <= row.f1_macro_high
        assert row.n_replicates == 2


def test_single_task_nets_are_trained_once_for_all_cases(studied: Project) -> None:
    nets = nets_of(studied)
    wanted = {name for case in parse_cases(SMALL["study__cases"]) for name in case.nets}
    assert sorted(net["net"] for net in nets) == sorted([*wanted] * 2)
    assert len({net["folder"] for net in nets}) == len(nets)
    wide = {net["net"]: net["n_parameters"] for net in nets}
    assert wide["g-wstn2"] == pytest.approx(wide["g-stn"] + wide["m-stn"], rel=0.01)


def test_ablations_name_what_the_corpus_cannot_carry(studied: Project) -> None:
    table = studied.table("study_ablation_table").set_index(["ablation", "value"])
    assert table.loc[("groups", "160"), "status"] == "skipped"
    assert "groups, as many as artists" in table.loc[("groups", "160"), "reason"]
    assert table.loc[("groups", "2"), "status"] == "done"
    assert pd.isna(table.loc[("groups", "2"), "reason"])
    assert table.loc[("targets", "soft"), "is_default"]
    assert pd.isna(table.loc[("targets", "soft"), "f1_macro_difference"])
    hard = table.loc[("targets", "hard")]
    assert hard["log_loss_difference"] == pytest.approx(hard["log_loss"] - table.loc[("targets", "soft"), "log_loss"])
    assert hard["log_loss"] != table.loc[("targets", "soft"), "log_loss"]
    assert table.loc[("groups", "2"), "log_loss"] != table.loc[("groups", "4"), "log_loss"]
    scores = studied.table("study_score_table").set_index("case")
    assert table.loc[("targets", "soft"), "log_loss"] == pytest.approx(scores.loc["gm-mtn", "log_loss"], abs=1e-12)
    groups = studied.table("study_groups_table")
    assert set(groups["feature_set"]) == {"m"}
    assert set(groups.loc[groups["groups"] == 160, "status"]) == {"skipped"}


def test_each_ablated_value_has_nets_and_predictions_of_its_own(studied: Project) -> None:
    """Those of the run's own values are the study's; hard targets and two groups add a net for each of two seeds."""
    own = {Path(net["folder"]).name for net in nets_of(studied)}
    cache = studied.path / "data/cache"
    made = {path.parent.name for path in cache.glob("nets/*/manifest.json")} - own
    details = [json.loads((cache / "nets" / name / "manifest.json").read_text())["details"] for name in made]
    outputs = sorted((net["training"]["seed"], net["config"]["outputs"]["m"]) for net in details)
    assert outputs == [(0, 2), (0, 4), (1, 2), (1, 4)]
    assert len(list(cache.glob("study/*/manifest.json"))) == 2 * (len(CASES) + 2)


def test_mlflow_has_a_parent_and_a_child_for_every_case_and_seed(studied: Project) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{studied.path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("artist-transfer")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    assert len(parents) == 1
    assert len(runs) == 1 + len(children)
    named = {(run.data.tags["case"], run.data.params["seed"]): run for run in children}
    assert set(named) == {(case, seed) for case in [*CASES, "prior", "mfcc_logreg"] for seed in "01"}
    assert all(run.info.status == "FINISHED" for run in runs)
    predictions = studied.table("study_predictions_table")
    own = predictions[(predictions["case"] == "gm-mtn") & (predictions["seed"] == 1)]
    found = named["gm-mtn", "1"]
    assert found.data.metrics["f1_macro"] == pytest.approx(f1_macro(own.drop(columns=["case", "seed", "split_seed"])))
    assert {"train_loss.g", "train_loss.m"} <= set(found.data.metrics)
    assert found.data.params["n_tasks"] == "2"
    assert found.data.params["architecture"] == "mtn"
    differing = {name for name in found.data.params if len({run.data.params.get(name) for run in children}) > 1}
    assert sorted(differing)[:3] == ["architecture", "genre", "n_tasks"]  # what the comparison view draws by itself


def test_the_page_loads_nothing_and_names_every_case(studied: Project) -> None:
    page = (studied.path / "data/08_reporting/agf_study.html").read_text()
    loaded = re.findall(r"<(?:script|img|iframe|link)[^>]*(?:src|href)\s*=\s*[\"']?(?!data:)[^>]*>", page)
    assert not loaded
    assert all(case in page for case in CASES)
    for name in ("3", "4", "5"):
        assert len(pd.read_csv(studied.path / f"data/07_model_output/study_table_{name}.csv"))


KILLED_AFTER = {
    "two nets": ("data/cache/nets/*/manifest.json", 2),
    "a checkpoint": ("data/cache/nets/*/checkpoint-*.json", 1),
    "three predictions": ("data/cache/study/*/manifest.json", 3),
}


@pytest.mark.parametrize("stage", KILLED_AFTER)
def test_a_killed_study_goes_on_with_the_same_results(stage: str, studied: Project, project: Project) -> None:
    pattern, count = KILLED_AFTER[stage]
    for name in ("mel", "dictionaries", "artist_bags", "factors"):  # what other tests kill
        shutil.copytree(studied.path / "data/cache" / name, project.path / "data/cache" / name)
    shutil.copytree(studied.path / "data/01_raw", project.path / "data/01_raw")
    process = project.start(JOB, **SMALL)
    deadline = time.monotonic() + 240
    while len(list(project.path.glob(pattern))) < count:
        assert process.poll() is None, "the study ended before it could be killed"
        assert time.monotonic() < deadline, f"{stage} never came"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {
        path: path.stat().st_mtime_ns
        for manifest in project.path.glob("data/cache/*/*/manifest.json")
        for path in manifest.parent.iterdir()
        if path.name != ".lock"
    }
    project.run(JOB, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in done if path.exists()} == done, "finished work was done again"
    for name in TABLES:
        pd.testing.assert_frame_equal(
            project.table(f"study_{name}_table"), studied.table(f"study_{name}_table"), check_exact=True
        )
    assert not list((project.path / "data/cache/study/features").glob("*")), "features were left behind"


def test_a_failed_case_has_its_reason_and_the_others_go_on(studied: Project, tmp_path: Path) -> None:
    project = Project(tmp_path / "failed")
    shutil.copytree(studied.path, project.path, symlinks=True)
    manifest = project.path / "data/04_feature/study_nets_manifest.json"
    facts = json.loads(manifest.read_text())
    for net in facts["nets"]:
        if net["net"] == "m-stn" and net["seed"] == 1:
            net |= {"folder": None, "reason": "OutOfMemoryError: the card was full"}
    manifest.write_text(json.dumps(facts))
    project.run(JOB, "--from-nodes=evaluate_study", **SMALL)
    cases = project.table("study_case_table").set_index("case")
    assert cases.loc["gm-stn", "status"] == "failed"
    assert "the card was full" in cases.loc["gm-stn", "reason"]
    assert set(cases.drop(index="gm-stn")["status"]) == {"done"}
    assert "gm-stn" not in set(project.table("study_predictions_table")["case"])
    scores, before = (each.table("study_score_table").set_index("case") for each in (project, studied))
    pd.testing.assert_frame_equal(scores, before.drop(index="gm-stn"), check_exact=True)
    page = (project.path / "data/08_reporting/agf_study.html").read_text()
    assert "the card was full" in page


@pytest.fixture
def inside(studied: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple]:
    """Run the nodes that train and predict in this process, on the finished study's tables, with a new cache."""
    monkeypatch.chdir(studied.path)
    tables = [studied.table(name) for name in ("usable_table", "split_table")]
    mel = json.loads(Path("data/04_feature/mel_manifest.json").read_text())
    empty, mfcc = studied.table("subgenres_factor_table"), studied.table("mfcc_factor_table")
    training = TrainingBlock(epochs=1, batch=8, width=0.25)
    groups = FactorsBlock(latent_dirichlet=LatentDirichletBlock(groups=4))

    def run(cases: str) -> tuple:
        facts = {"cases": [case.name for case in parse_cases(cases)], "ablated_case": None, "seeds": [0]}
        blocks = (groups, StudyBlock(), training, "cpu", 1, tmp_path.as_posix())
        nets = grid.learn_study_nets(facts, *tables, mel, empty, empty, empty, mfcc, *blocks)
        folds = studied.table("study_fold_table")
        rest = (TransferBlock(epochs=1, hidden=16), "cpu", 1, 0, tmp_path.as_posix())
        return nets["nets"], *grid.evaluate_study(facts, nets, folds, *tables, mel, *rest)

    return run


def test_a_net_that_fails_in_training_leaves_the_others(
    inside: Callable[..., tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = side_by_side.updates

    def failing(net: MultiTaskNet, *args: Any, **kwargs: Any) -> Any:
        steps = original(net, *args, **kwargs)
        if net.config.tasks == ("m",):
            next(steps)
            raise torch.OutOfMemoryError("the card was full")
        return (yield from steps)

    monkeypatch.setattr(side_by_side, "updates", failing)
    nets, predictions, cases = inside("g+gm")
    assert {net["net"]: net["folder"] is None for net in nets} == {"g-stn": False, "m-stn": True, "gm-mtn": False}
    status = cases.set_index("case")["status"].to_dict()
    assert status == {"g-stn": "done", "gm-stn": "failed", "gm-mtn": "done", "prior": "done", "mfcc_logreg": "done"}
    assert "the card was full" in cases.set_index("case").loc["gm-stn", "reason"]
    assert set(predictions["case"]) == set(status) - {"gm-stn"}


def test_what_one_case_alone_reads_is_not_kept(
    inside: Callable[..., tuple], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: dict[str, list[str]] = {}
    original = predictions_module.predict

    def watched(case: Case, *args: Any, scratch: Path, **kwargs: Any) -> pd.DataFrame:
        table = original(case, *args, scratch=scratch, **kwargs)
        manifests = [json.loads(path.read_text()) for path in scratch.rglob("manifest.json")]
        left[case.name] = sorted(manifest["details"].get("tasks", "joined") for manifest in manifests)
        assert len(manifests) == len(list(scratch.rglob("features.npy")))
        return table

    monkeypatch.setattr(predictions_module, "predict", watched)
    monkeypatch.setitem(segments.segment_features.__kwdefaults__, "in_memory", 0)
    inside("g+gm+g-wstn2")
    assert left == {"g-stn": ["g"], "gm-stn": ["g", "m"], "gm-mtn": ["g", "m"], "g-wstn2": ["g", "m"]}
    assert not list((tmp_path / "study/features").iterdir())


def test_several_splits_and_folds_are_kept_apart(studied: Project, new_project: Callable[[], Project]) -> None:
    project = new_project()
    shutil.copytree(studied.path / "data/01_raw", project.path / "data/01_raw")
    shutil.copytree(studied.path / "data/cache/mel", project.path / "data/cache/mel")
    project.run(JOB, **SMALL | {"study__cases": "g", "study__seeds": 3, "study__split_seeds": "0+5", "folds": 2})
    folds = project.table("study_fold_table")
    assert folds["fold"].tolist() == [0, 1, 2, 3]
    assert folds["split_seed"].tolist() == [0, 0, 5, 5]
    predictions = project.table("study_predictions_table")
    own = predictions[predictions["case"] == "g-stn"]
    usable = project.table("usable_table")
    labelled = sorted(usable.loc[usable["genre_top"].notna(), "track_id"])
    for _, rows in own.groupby("split_seed"):
        assert sorted(rows["track_id"]) == labelled  # each track is tested once in every split
    split = project.table("split_table").merge(usable[["track_id", "artist_id"]], on="track_id").dropna()
    for _, rows in split.groupby("fold"):
        train, test = (set(rows.loc[rows["side"] == side, "artist_id"]) for side in ("train", "test"))
        assert not train & test


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"study__cases": "gx"}, ["study.cases", "'gx' is not a case", "Allowed"]),
        ({"study__cases": "gm", "tasks": "gs"}, ["'gm' needs task m, but tasks=gs"]),
        ({"study__seeds": ""}, ["study.seeds", "whole numbers"]),
        ({"study__seeds": "0+0"}, ["study.seeds", "different"]),
        ({"study__seeds": 2**64}, ["study.seeds", "4294967295"]),
        ({"embeddings": "pyproject.toml"}, ["embeddings=pyproject.toml", "agf_multitask"]),
        ({"study__ablations__choices": "colour"}, ["study.ablations.choices", "dictionary"]),
        ({"study__ablations__case": "gm"}, ["study.ablations.case", "gm-mtn"]),
        ({"split": "balanced", "splitting__balanced__artists": 500}, ["splitting.balanced.artists"]),
    ],
)
def test_a_wrong_study_is_refused_before_any_training(
    params: dict[str, object], words: list[str], project: Project
) -> None:
    done = project.run(JOB, check=False, **params)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    for word in words:
        assert word in said
    assert not (project.path / "data/cache/nets").exists()


def test_a_task_without_a_target_is_refused_before_any_training(studied: Project, project: Project) -> None:
    usable = studied.table("usable_table")
    facts = json.loads((studied.path / "data/02_intermediate/corpus_facts.json").read_text())
    shutil.copytree(studied.path / facts["root"], project.path / "corpus", ignore=shutil.ignore_patterns("*.csv"))
    usable[["track_id", "artist_id", "genre_top", "path"]].to_csv(project.path / "corpus/tracks.csv", index=False)
    params = {"corpus_root": "corpus", "study__cases": "g+gs"}
    done = project.run(JOB, "--env=table", check=False, **SMALL | params)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    for word in ("study.cases", "task s", "--params tasks=g"):
        assert word in said
    assert not (project.path / "data/cache/nets").exists()
