"""Artist recognition by the real command: systems on the same trials, no leaks, a recogniser, a study over artists."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.pipelines.conftest import Project

from artist_transfer.pipelines.recognise.answers import NOBODY

pytestmark = pytest.mark.slow

SMALL = {
    "ingestion__synthetic__artists_per_genre": 5,
    "ingestion__synthetic__tracks_per_artist": 4,
    "sets__songs": 3,
    "sets__division": "2+1+0",
    "artist_training__epochs": 2,
    "artist_training__negatives": 1,
    "artist_evaluation__trials": 2,
    "artist_evaluation__max_epochs": 20,
    "artist_evaluation__resamples": 100,
    "recognition__protocol__enrol": 3,
    "recognition__protocol__test": 1,
    "recognition__protocol__validation_share": 0.35,
    "recognition__ubm__mixtures": 16,
    "recognition__ubm__iterations": 3,
    "recognition__ivector__iterations": 2,
    "recognition__resamples": 100,
}
SYSTEMS = {"cosine": ("basic", "ivector", "mfcc", "early"), "plda": ("basic", "ivector", "mfcc", "early")}


@pytest.fixture(scope="session")
def recognised(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of all systems in two folds, with normalised scores and a discriminant; no test changes it."""
    project = Project.copy(tmp_path_factory.mktemp("recognised"))
    project.run(
        "--pipeline=artist_recognition",
        tracking="true",
        folds=2,
        recognition__s_norm="true",
        recognition__discriminant=3,
        **SMALL,
    )
    return project


@pytest.fixture(scope="session")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished study over two numbers of artists, two kinds of net and two seeds."""
    project = Project.copy(tmp_path_factory.mktemp("recognition_study"))
    project.run(
        "--pipeline=recognition_study",
        tracking="true",
        sets__sizes="3+4",
        artist_study__kinds="basic+siamese",
        artist_study__seeds="0+1",
        **SMALL,
    )
    return project


def json_of(project: Project, name: str) -> dict:
    (path,) = project.path.glob(f"data/0*/{name}.json")
    return json.loads(path.read_text())


def test_every_system_is_scored_on_the_same_trials(recognised: Project) -> None:
    scores = recognised.table("recognition_score_table")
    systems = set(scores["family"])
    for scoring, encoders in SYSTEMS.items():
        assert {f"{encoder}.{scoring}" for encoder in encoders} <= systems
    assert {"gmm_ubm", "late.plda_average", "late.plda_calibrated", "late.plda_weighted"} <= systems
    assert {"basic+discriminant.cosine", "basic.cosine_s_norm", "gmm_ubm.s_norm"} <= systems
    assert json_of(recognised, "recognition_system_facts")["skipped"] == {}
    for _, rows in scores.groupby("metric"):
        assert rows["n_items"].nunique() == 1
        assert ((rows["low"] <= rows["value"]) & (rows["value"] <= rows["high"])).all()
    assert set(scores["unit"]) == {"artist"}
    assert scores.loc[scores["metric"] == "eer", "value"].between(0, 1).all()


def test_scores_can_be_taken_of_the_written_trials_alone(recognised: Project) -> None:
    """What everybody can do: join the trial list and a matrix, and count identified songs by hand."""
    lists = json_of(recognised, "recognition_trials_manifest")
    rows = [
        row
        for row in json_of(recognised, "recognition_scores_manifest")["scores"]
        if (row["system"], row["role"]) == ("basic.cosine", "test")
    ]
    assert len(rows) == 2
    right, count = 0, 0
    for row in rows:
        folder = lists[f"self, fold {row['fold']}, test"]["folder"]
        own = pd.read_csv(recognised.path / folder / "trials.csv", dtype=str)
        own = own.assign(score=np.load(recognised.path / row["file"]).ravel())  # in the order of the list
        for _, song in own.groupby("track_id"):
            best = song.loc[song["score"].idxmax()]
            right += best["target"] == "1"
            count += 1
    scores = recognised.table("recognition_score_table")
    top1 = scores[(scores["family"] == "basic.cosine") & (scores["metric"] == "top1")]["value"].iloc[0]
    assert top1 == pytest.approx(right / count)


def test_the_sides_are_apart(recognised: Project) -> None:
    usable = recognised.table("usable_table").set_index("track_id")["artist_id"]
    songs, sets = recognised.table("recognition_song_table"), recognised.table("artist_set_table")
    for fold in (0, 1):
        here, learned = songs[songs["fold"] == fold], set(sets.loc[sets["fold"] == fold, "artist_id"])
        of_role = {role: set(rows["artist_id"]) for role, rows in here.groupby("role")}
        assert of_role["test"] and of_role["validation"] and learned
        assert not of_role["test"] & of_role["validation"]
        assert not learned & (of_role["test"] | of_role["validation"])
    tested = songs[songs["role"] == "test"]
    assert set(tested["artist_id"]) == set(usable[tested["track_id"]])
    enrol, test = (set(songs.loc[songs["part"] == part, "track_id"]) for part in ("enrol", "test"))
    assert not enrol & test


def test_the_objectives_never_fall(recognised: Project) -> None:
    table = recognised.table("em_table")
    assert set(table["model"]) == {"ubm", "total variability"}
    for _, rows in table.groupby(["fold", "set", "model"]):
        steps = rows.sort_values("iteration")["objective"].to_numpy()
        assert len(steps) > 1
        assert (np.diff(steps) >= -1e-6 * np.abs(steps[:-1])).all()


def test_the_page_has_curves_and_loads_nothing_from_elsewhere(recognised: Project) -> None:
    page = (recognised.path / "data/08_reporting/recognition.html").read_text()
    assert not re.findall(r"<(?:script|img|iframe|link)[^>]*(?:src|href)\s*=\s*[\"']?(?!data:)[^>]*>", page)
    for words in ("Detection error trade-off", "gmm_ubm", "Holm"):
        assert words in page
    facts = json_of(recognised, "recognition_protocol_facts")
    for entry in facts["protocols"]:
        if entry["role"] == "test":
            assert entry["hash"] in page
    assert "candidates" in page  # how artists and songs were chosen
    names = recognised.table("usable_table").set_index("artist_id")["artist"]
    tested = recognised.table("recognition_artist_table")["artist_id"]
    assert any(str(names[artist].iloc[0]) in page for artist in tested)


def test_an_enrolled_song_is_recognised_and_files_that_are_none_are_named(recognised: Project, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    shutil.copytree(recognised.path, project.path, symlinks=True)
    usable = project.table("usable_table")
    facts = json.loads((project.path / "data/02_intermediate/corpus_facts.json").read_text())
    folder = project.path / "heard"
    folder.mkdir()
    row = usable.iloc[0]
    shutil.copy(project.path / facts["root"] / row["path"], folder / Path(row["path"]).name)
    (folder / "broken.wav").write_bytes(b"RIFF no sound")
    done = project.run("--pipeline=recognise", audio=folder, recognise__top=3, recognise__prior=0.99, **SMALL)
    table = pd.read_csv(project.path / "data/07_model_output/recognised.csv", dtype=str, keep_default_na=False)
    named = table[table["file"] == Path(row["path"]).name]
    assert named["artist_id"].iloc[0] == str(row["artist_id"])
    assert named["score"].astype(float).is_monotonic_decreasing
    assert len(named) == 3
    answer, first = named["answer"].iloc[0], named.iloc[0]
    assert (answer == NOBODY) == (float(first["score"]) < float(first["threshold"]))
    broken = table[table["file"] == "broken.wav"]
    assert len(broken) == 1 and broken["reason"].iloc[0]
    said = done.stdout.splitlines()
    (line,) = [line for line in said if line.startswith(f"{Path(row['path']).name}: {answer} (")]
    assert f"{float(first['score']):.2f}, threshold {float(first['threshold']):.2f})" in line
    assert f"broken.wav: not recognised ({broken['reason'].iloc[0]})" in said
    manifest = json_of(project, "recogniser_manifest")
    words = " ".join((done.stdout + done.stderr).split())
    assert f"compares with {manifest['artists']} artists, enrolled by {manifest['songs']} songs" in words
    assert f"songs of {manifest['validation']['artists']} validation artists" in words
    (folder / Path(row["path"]).name).unlink()
    none = project.run("--pipeline=recognise", check=False, audio=folder, **SMALL)
    assert none.returncode != 0
    assert "broken.wav" in none.stdout + none.stderr
    assert not (project.path / "data/07_model_output/recognised.csv").exists()  # not the answers of the call before


def test_systems_without_a_net_are_scored_and_recognise_says_why_it_cannot(project: Project) -> None:
    done = project.run("--pipeline=artist_recognition", **{**SMALL, "recognition__systems": "gmm_ubm"})
    assert "No artist is enrolled" in done.stdout + done.stderr
    assert "gmm_ubm" in (project.path / "data/08_reporting/recognition.html").read_text()
    (project.path / "new.wav").write_bytes(b"RIFF no sound")
    failed = project.run("--pipeline=recognise", check=False, audio="new.wav", **SMALL)
    words = " ".join((failed.stdout + failed.stderr).split())
    assert failed.returncode != 0
    assert "enrolled nobody" in words and "recognition.systems" in words


@pytest.mark.parametrize(
    ("pipeline", "params", "words"),
    [
        ("recognise", {"audio": "conf"}, "no artist is enrolled yet"),
        ("artist_recognition", {"split": "stratified"}, "--params split=artist_disjoint"),
        ("artist_recognition", {"recognition__protocol__enrol": 40}, "recognition.protocol.enrol=40"),
        ("artist_recognition", {"recognition__systems": "late"}, "recognition.systems"),
        ("artist_recognition", {"recognition__ubm__mixtures": 0}, "recognition.ubm.mixtures"),
    ],
)
def test_impossible_wishes_are_named(project: Project, pipeline: str, params: dict, words: str) -> None:
    done = project.run(f"--pipeline={pipeline}", check=False, **{**SMALL, **params})
    assert done.returncode != 0
    assert words in " ".join((done.stdout + done.stderr).split())
    assert not (project.path / "data/cache").exists(), "something was decoded"


def test_the_study_has_every_number_of_artists_kind_and_seed(studied: Project) -> None:
    scores = studied.table("recognition_score_table")
    eer = scores[scores["metric"] == "eer"]
    for family in ("basic.cosine", "siamese.plda", "gmm_ubm", "ivector.cosine", "late.plda_average"):
        assert sorted(eer.loc[eer["family"] == family, "n_artists_trained"]) == [3, 4]
    assert set(eer.loc[eer["encoder"] == "siamese", "n_trials"]) == {2}
    across = studied.table("recognition_comparison_table")
    assert {("basic.cosine 4", "basic.cosine 3")} <= set(zip(across["first"], across["second"]))
    transfer = studied.table("artist_score_table")
    assert len(transfer)
    page = (studied.path / "data/08_reporting/recognition_study.html").read_text()
    assert "0.7617" in page  # table 1 of the paper stands beside ours


def test_mlflow_has_a_child_for_every_system_and_number_of_artists(studied: Project) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{studied.path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("artist-transfer")
    children = client.search_runs([experiment.experiment_id], "tags.`mlflow.parentRunId` != ''")
    names = {run.info.run_name for run in children}
    assert {"basic.cosine 3", "basic.cosine 4", "gmm_ubm 4"} <= names
    run = next(run for run in children if run.info.run_name == "basic.cosine 4")
    assert (run.data.params["artists"], run.data.params["scoring"]) == ("4", "cosine")
    assert 0 <= run.data.metrics["self.eer"] <= 1


def test_the_same_command_scores_nothing_twice(studied: Project, tmp_path: Path) -> None:
    again = Project(tmp_path / "again")
    shutil.copytree(studied.path, again.path, symlinks=True)
    kept = [*(again.path / "data/cache/recognition").rglob("*.npy"), *(again.path / "data/cache/ubm").rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert len(before) > 20
    again.run(
        "--pipeline=recognition_study",
        sets__sizes="3+4",
        artist_study__kinds="basic+siamese",
        artist_study__seeds="0+1",
        **SMALL,
    )
    assert {path: path.stat().st_mtime_ns for path in before} == before
    pd.testing.assert_frame_equal(again.table("recognition_score_table"), studied.table("recognition_score_table"))
