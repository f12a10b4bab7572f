"""Targets with several labels a track and with an official list that is not all there, by the real command."""

from __future__ import annotations

import csv
import json
import re
import shutil
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from tests.pipelines.conftest import Project
from tests.pipelines.test_artist_nets import SMALL

pytestmark = pytest.mark.slow


def write_csv(path: Path, usable: pd.DataFrame, *, several: bool) -> None:
    """Label the embedded songs anew: two moods each, or one genre and a side, and five songs that are not there."""
    rows = []
    for k, row in enumerate(usable.itertuples()):
        label = f"mood {k % 3};{'loud' if k % 2 else 'soft'}" if several else f"genre {k % 2}"
        rows.append(
            [row.track_id, row.artist_id, row.path, label, "" if several else ("train", "valid", "test")[k % 3]]
        )
    if not several:
        rows += [[f"gone{k}", "nobody", f"gone/{k}.mp3", "genre 0", "test"] for k in range(5)]
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["track_id", "artist_id", "path", "label", "official_split"], *rows])


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Basic nets, and two other targets beside the run's own corpus."""
    project = Project.copy(tmp_path_factory.mktemp("foreign"))
    project.run("--pipeline=artist_basic", **SMALL)
    usable = project.table("usable_table")
    root = project.path / json.loads((project.path / "data/02_intermediate/corpus_facts.json").read_text())["root"]
    for name in ("moods", "gtzan"):
        write_csv(root / f"{name}.csv", usable, several=name == "moods")
        given = {"corpus": "labelled", "corpus_root": root, "target": name, "encoder": "basic"}
        project.run("--pipeline=embed", ingestion__labelled__file=f"{name}.csv", **given, **SMALL)
    project.run("--pipeline=artist_basic", artist_evaluation__targets="self+moods+gtzan", **SMALL)
    return project


def facts_of(project: Project, target: str) -> dict:
    return json.loads((project.path / "data/02_intermediate/artist_evaluation_facts.json").read_text())[target]


def test_tags_are_scored_and_no_genre_of_a_few_tracks(scored: Project) -> None:
    scores = scored.table("artist_score_table")
    moods = scores[scores["target"] == "moods"]
    metrics = set(moods.loc[moods["of"].isin(["overall", "macro"]), "metric"])
    assert {"auc", "ap", "neural_auc", "neural_ap", "artist_map"} <= metrics
    assert not {"map", "knn_accuracy", "softmax_accuracy"} & metrics
    assert set(moods.loc[moods["metric"] == "auc", "of"]) == {"macro", "mood 0", "mood 1", "mood 2", "loud", "soft"}
    assert "genre" in facts_of(scored, "moods")["skipped"]
    assert facts_of(scored, "moods")["lists"] is None


def test_the_list_is_that_of_the_corpus_and_what_is_missing_stands_beside_the_paper(scored: Project) -> None:
    scores, facts = scored.table("artist_score_table"), facts_of(scored, "gtzan")
    usable = len(scored.table("usable_table"))
    assert (facts["listed"], facts["missing"]) == (usable + 5, 5)
    assert facts["lists"]["name"] == "gtzan.csv" and facts["lists"]["sha256"] == facts["list_hash"]
    assert facts["split_hash"] != facts["list_hash"]
    rows = scores[scores["target"] == "gtzan"]
    assert set(rows["list_hash"]) == {facts["list_hash"]} and set(rows["missing"]) == {5}
    assert scores.loc[scores["target"] == "self", "list_hash"].isna().all()  # its split is none of a list
    page = unescape((scored.path / "data/08_reporting/artist_nets.html").read_text())
    words = " ".join(re.sub(r"<[^>]*>", " ", page.split("* plotly.js v")[0]).split())
    assert f"GTZAN (fault-filtered): 5 of the {usable + 5} tracks of its list are missing here" in words
    assert facts["list_hash"] in words and facts["split_hash"] in words
    assert "synthetic" in words  # the run's own corpus by its name


def test_maps_and_nearest_artists_are_of_tested_tracks(scored: Project) -> None:
    split, shown = scored.table("split_table"), scored.table("artist_track_map_table")
    tested = set(split.loc[split["side"] == "test", "track_id"])
    facts = json.loads((scored.path / "data/02_intermediate/artist_shown_facts.json").read_text())
    assert set(shown["track_id"]) <= tested and facts["tracks"] == len(shown)
    page = unescape((scored.path / "data/08_reporting/artist_nets.html").read_text())
    assert page.count(facts["sentence"]) >= 3  # both maps and the neighbours


def test_the_authors_net_stands_beside_ours(scored: Project, shared_corpora: Path, tmp_path: Path) -> None:
    found = sorted((shared_corpora / "released_weights").glob("ismir2018_siamese_10000.h5"))
    if not found:
        pytest.skip("the authors' weights are not there")
    again = Project(tmp_path / "again")
    shutil.copytree(scored.path, again.path, symlinks=True)
    given = {"artist_evaluation__released": "true", "released_weights": found[0]}
    again.run("--pipeline=artist_basic", artist_evaluation__targets="self+gtzan", **given, **SMALL)
    scores = again.table("artist_score_table")
    whole = scores[(scores["metric"] == "map") & (scores["of"] == "overall")]
    for _, rows in whole.groupby("target"):
        assert "released" in set(rows["net"]) and rows["n_items"].nunique() == 1
