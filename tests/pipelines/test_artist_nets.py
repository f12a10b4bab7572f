"""Artist-label nets, their evaluation, embedding and search, by the real command."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.pipelines.conftest import Project

from artist_transfer.search.index import open_index

pytestmark = pytest.mark.slow

SMALL = {
    "sets__songs": 3,
    "sets__division": "2+1+0",
    "artist_training__epochs": 2,
    "artist_training__negatives": 1,
    "artist_evaluation__trials": 2,
    "artist_evaluation__max_epochs": 20,
    "artist_evaluation__resamples": 100,
}


@pytest.fixture(scope="session")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished sweep over two sizes and three kinds of net, which no test changes."""
    project = Project.copy(tmp_path_factory.mktemp("artists"))
    project.run("--pipeline=artist_study", tracking="true", sets__sizes="2+3", **SMALL)
    return project


@pytest.fixture(scope="session")
def embedded(studied: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same corpus, embedded by the last Siamese net."""
    project = Project(tmp_path_factory.mktemp("embedded") / "project")
    shutil.copytree(studied.path, project.path, symlinks=True)
    project.run("--pipeline=embed", **SMALL)
    return project


def nets_of(project: Project) -> list[dict]:
    return json.loads((project.path / "data/04_feature/artist_nets_manifest.json").read_text())["nets"]


def test_every_kind_and_size_is_trained_and_scored_on_the_same_tracks(studied: Project) -> None:
    systems = [f"{kind}-{size}" for kind in ("basic", "siamese", "tag") for size in (2, 3)]
    assert sorted(net["system"] for net in nets_of(studied)) == systems
    scores = studied.table("artist_score_table")
    whole = scores[scores["of"] == "overall"]
    for metric in ("map", "knn_accuracy", "softmax_accuracy", "artist_map"):
        rows = whole[whole["metric"] == metric]
        assert sorted(rows["system"]) == [*systems[:2], "mfcc", *systems[2:]]
        assert rows["n_items"].nunique() == 1
        assert ((rows["low"] <= rows["value"]) & (rows["value"] <= rows["high"])).all()
    assert set(whole["unit"]) == {"artist"}


def test_no_artist_that_is_tested_is_in_a_set(studied: Project) -> None:
    usable = studied.table("usable_table").set_index("track_id")["artist_id"]
    split, sets = studied.table("split_table"), studied.table("artist_set_table")
    tested = set(usable[split.loc[split["side"] == "test", "track_id"]].dropna())
    assert tested
    assert not tested & set(sets["artist_id"].dropna())
    assert set(sets.loc[sets["set"] == 2, "artist_id"]) <= set(sets.loc[sets["set"] == 3, "artist_id"]) | {None}


def test_differences_are_paired_and_corrected(studied: Project) -> None:
    table = studied.table("artist_comparison_table")
    scores = studied.table("artist_score_table").set_index(["system", "metric", "of"])["value"]
    for row in table[table["of"] == "overall"].itertuples():
        effect = scores[row.first, row.metric, row.of] - scores[row.second, row.metric, row.of]
        assert row.effect == pytest.approx(effect, abs=1e-12)
        assert row.p <= row.p_holm


def test_mlflow_has_a_child_for_every_net(studied: Project) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{studied.path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("artist-transfer")
    children = client.search_runs([experiment.experiment_id], "tags.`mlflow.parentRunId` != ''")
    assert {run.info.run_name for run in children} == {*(net["system"] for net in nets_of(studied)), "mfcc"}
    basic = next(run for run in children if run.info.run_name == "basic-3")
    assert basic.data.params["artists"] == "3"
    assert 0 <= basic.data.metrics["self.map"] <= 1


def test_the_page_loads_nothing_from_elsewhere(studied: Project) -> None:
    page = (studied.path / "data/08_reporting/artist_nets.html").read_text()
    assert not re.findall(r"<(?:script|img|iframe|link)[^>]*(?:src|href)\s*=\s*[\"']?(?!data:)[^>]*>", page)
    assert "siamese" in page.lower()


def test_the_same_command_trains_nothing_twice(studied: Project, tmp_path: Path) -> None:
    again = Project(tmp_path / "again")
    shutil.copytree(studied.path, again.path, symlinks=True)
    before = {path: path.stat().st_mtime_ns for path in (again.path / "data/cache/nets").rglob("*.safetensors")}
    again.run("--pipeline=artist_study", sets__sizes="2+3", **SMALL)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    pd.testing.assert_frame_equal(again.table("artist_score_table"), studied.table("artist_score_table"))


def test_a_corpus_is_embedded_and_found_again_as_a_target(embedded: Project) -> None:
    manifest = json.loads((embedded.path / "data/04_feature/search_manifest.json").read_text())
    vectors = embedded.table("track_embedding_table")
    index = open_index(embedded.path / manifest["index"])
    assert index.tracks["track_id"].tolist() == vectors["track_id"].tolist()
    own = np.stack(vectors["embedding"].to_numpy())
    np.testing.assert_allclose(index.vectors, own / np.linalg.norm(own, axis=1, keepdims=True), atol=1e-6)
    embedded.run("--pipeline=artist_basic", artist_evaluation__targets="self+synthetic", **SMALL)
    scores = embedded.table("artist_score_table")
    assert set(scores["target"]) == {"self", "synthetic"}


def test_a_song_finds_itself_and_an_artist_its_songs(embedded: Project, new_project: Callable[[], Project]) -> None:
    usable = embedded.table("usable_table")
    facts = json.loads((embedded.path / "data/02_intermediate/corpus_facts.json").read_text())
    track = str(usable["track_id"].iloc[0])
    assert track.startswith("0"), "the id must have a leading zero to be of use here"
    embedded.run("--pipeline=retrieve", query=track)
    by_id = pd.read_csv(embedded.path / "data/07_model_output/similar_songs.csv", dtype=str)
    assert track not in set(by_id["track_id"])
    assert by_id["score"].astype(float).is_monotonic_decreasing
    sound = embedded.path / facts["root"] / usable["path"].iloc[0]
    embedded.run("--pipeline=retrieve", query=sound)
    by_file = pd.read_csv(embedded.path / "data/07_model_output/similar_songs.csv", dtype=str)
    pd.testing.assert_frame_equal(by_file[["track_id"]], by_id[["track_id"]])  # its own copy is known by its place
    page = (embedded.path / "data/08_reporting/search.html").read_text()
    assert page.count("<audio") >= len(by_file)


@pytest.mark.parametrize(
    ("arguments", "params", "words"),
    [
        (["--pipeline=retrieve"], {"query": "x"}, ["no index yet", "--pipeline=embed"]),
        (["--pipeline=embed"], {"encoder": "siamese"}, ["encoder=siamese", "--pipeline=artist_siamese"]),
        (
            ["--pipeline=embed"],
            {"encoder": "ismir2018_siamese", "released_weights": "no.h5"},
            ["released_weights=no.h5"],
        ),
        (["--pipeline=artist_basic"], {"sets__division": "2+2+2"}, ["sets", "must add up to songs"]),
        (["--pipeline=artist_basic"], {"sets__sizes": "500"}, ["sets.sizes"]),
        (["--pipeline=artist_basic"], {"artist_evaluation__targets": "gtzan"}, ["gtzan", "--pipeline=embed"]),
        (["--pipeline=artist_study"], {"artist_study__kinds": "basic+deep"}, ["artist_study.kinds", "siamese"]),
        (["--pipeline=embed", "--env=gtzan"], {"corpus_root": "."}, ["train_filtered.txt", "443"]),
    ],
)
def test_what_cannot_be_is_one_line_that_says_what_to_do(
    arguments: list[str], params: dict[str, object], words: list[str], project: Project
) -> None:
    done = project.run(*arguments, check=False, **{**SMALL, **params})
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    for word in words:
        assert word in said
    assert "Traceback" not in done.stderr


def test_a_folder_without_any_tag_can_be_embedded_and_searched(embedded: Project, project: Project) -> None:
    facts = json.loads((embedded.path / "data/02_intermediate/corpus_facts.json").read_text())
    shutil.copytree(embedded.path / facts["root"] / "fma_small/000", project.path / "music")
    for name in ("encoders", "nets"):
        shutil.copytree(embedded.path / "data/cache" / name, project.path / "data/cache" / name)
    project.run("--pipeline=embed", "--env=folder", corpus_root="music")
    assert project.table("track_table")["artist_id"].isna().all()
    query = sorted((project.path / "music").glob("*.mp3"))[-1]
    project.run("--pipeline=retrieve", query=query)
    found = pd.read_csv(project.path / "data/07_model_output/similar_songs.csv", dtype=str)
    assert len(found)
    assert query.name not in set(found["path"])


def test_an_unknown_query_is_answered_with_what_is_close(embedded: Project) -> None:
    artist = embedded.table("usable_table")["artist"].dropna().iloc[0]
    done = embedded.run("--pipeline=retrieve", check=False, query=f"{artist}x, and nobody else")
    assert done.returncode == 1
    assert "query" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_embedded_corpus_as_a_million_song_dataset(project: Project) -> None:
    project.run("--pipeline=artist_siamese", corpus="synthetic_msd", ingestion__synthetic__tracks_per_artist=6, **SMALL)
    facts = json.loads((project.path / "data/02_intermediate/corpus_facts.json").read_text())
    assert facts["left_out"], "the planted mismatches are left out by name"
    assert project.table("track_table")["track_id"].str.startswith("TR").all()
    assert len(project.table("artist_score_table"))
