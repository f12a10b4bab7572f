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

from artist_transfer.pipelines.artist_evaluation.plots import PLOTS
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
    "artist_evaluation__hidden": "8",
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
    classifiers = [f"{how}_accuracy" for how in ("knn", "softmax", "logistic", "neural")]
    floors = dict.fromkeys(classifiers, "prior") | {"map": "chance", "artist_map": "chance"}
    floors["artist_top1"] = "chance"
    assert set(whole["metric"]) == set(floors)  # three artists are tested: an artist is always among the first five
    for metric, floor in floors.items():
        rows = whole[whole["metric"] == metric]
        assert sorted(rows["system"]) == sorted([*systems, "mfcc", floor])
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
    assert {run.info.run_name for run in children} == {
        *(net["system"] for net in nets_of(studied)), "mfcc", "chance", "prior",
    }  # fmt: skip
    basic = next(run for run in children if run.info.run_name == "basic-3")
    assert basic.data.params["artists"] == "3"
    assert 0 <= basic.data.metrics["self.map"] <= 1


def test_the_page_loads_nothing_from_elsewhere(studied: Project) -> None:
    page = (studied.path / "data/08_reporting/artist_nets.html").read_text()
    assert not re.findall(r"<(?:script|img|iframe|link)[^>]*(?:src|href)\s*=\s*[\"']?(?!data:)[^>]*>", page)
    assert "siamese" in page.lower()
    assert "corrected by Holm&#39;s method" in page


def test_every_figure_of_the_paper_is_an_output(studied: Project) -> None:
    drawn = {path.stem for path in (studied.path / "data/08_reporting").glob("*_plot.json")}
    assert drawn == set(PLOTS)
    for name in ("map_number_plot", "knn_number_plot", "softmax_number_plot"):
        figure = json.loads((studied.path / f"data/08_reporting/{name}.json").read_text())
        lines = {trace["name"]: trace["x"] for trace in figure["data"]}
        assert {len(lines[net]) for net in ("Basic", "Siamese", "tag-label")} == {2}
        assert {"chance"} & set(lines) if name.startswith("map") else "prior" in lines
    labels = json.loads((studied.path / "data/08_reporting/genre_accuracy_plot.json").read_text())
    assert len(labels["layout"]["yaxis"]["ticktext"]) > 1


def test_the_sets_are_written_as_an_artist_list_that_gives_them_again(studied: Project, tmp_path: Path) -> None:
    again = Project(tmp_path / "again")
    shutil.copytree(studied.path, again.path, symlinks=True)
    listed = shutil.copy(again.path / "data/05_model_input/msd-artist-list.pkl", again.path / "list.pkl")
    before = again.table("artist_set_table")
    again.run("--pipeline=artist_siamese", sets__sizes="2+3", sets__artist_list=listed, seed=3, **SMALL)
    after, kind = again.table("artist_set_table"), before["kind"] == "artist"
    keys = ["set", "artist_id", "position"]
    pd.testing.assert_frame_equal(
        after.sort_values(keys, ignore_index=True), before[kind].sort_values(keys, ignore_index=True)
    )
    assert "sets of artists from list.pkl" in (again.path / "data/08_reporting/artist_nets.html").read_text()


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
    targets = {"artist_evaluation__targets": "self+synthetic", "artist_evaluation__discriminant": 1}
    embedded.run("--pipeline=artist_basic", **targets, **SMALL)
    scores = embedded.table("artist_score_table")
    assert set(scores["target"]) == {"self", "synthetic"}
    (net,) = {net["system"] for net in nets_of(embedded)}
    for _, rows in scores[scores["metric"] == "map"].groupby("target"):
        assert set(rows["system"]) == {net, f"{net} + discriminant", "mfcc", "chance"}
        assert set(rows["net"]) == {"basic", "basic + discriminant", "mfcc", "chance"}


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
        (["--pipeline=artist_basic"], {"sets__sizes": "500"}, ["sets.sizes=500, but", "sets.songs="]),
        (["--pipeline=artist_basic"], {"sets__artist_list": "no.pkl"}, ["sets.artist_list=no.pkl", "no such file"]),
        (["--pipeline=artist_basic"], {"artist_evaluation__hidden": "a+b"}, ["artist_evaluation.hidden", "512+512"]),
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
    out = project.table("exclusion_table")
    assert facts["left_out"] == len(out) > 0, "the planted mismatches are left out by name"
    assert not set(out["track_id"]) & set(project.table("track_table")["track_id"])
    page = (project.path / "data/08_reporting/artist_nets.html").read_text()
    assert all(track in page for track in out["track_id"])
    names = project.table("list_name_table")
    assert names["list_name"].str.fullmatch("[0-9]{7}").all()  # 7digital ids
    assert names["track_id"].tolist() == project.table("track_table")["track_id"].tolist()
    assert project.table("track_table")["track_id"].str.startswith("TR").all()
    assert len(project.table("artist_score_table"))
