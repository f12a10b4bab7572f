"""What the command refuses, by the real command: before any work, with the key and what is allowed."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from tests.pipelines.conftest import Project

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "params", "words"),
    [
        (["--pipeline=agf_multitask"], {"bogus": 1}, ["bogus is not a parameter"]),
        (["--pipeline=agf_multitask"], {"training__epochz": 1}, ["training.epochz", "Did you mean epochs?"]),
        (["--pipeline=agf_multitask"], {"tasks": "gx"}, ["tasks='gx'"]),
        (["--pipeline=agf_multitask", "--env=fma_medum"], {}, ["--env=fma_medum", "Did you mean fma_medium?"]),
        (["--pipeline=agf_multitasc"], {}, ["--pipeline=agf_multitasc", "Did you mean agf_multitask?"]),
        (["--pipelines=agf_multitasc"], {}, ["Did you mean agf_multitask?"]),
        (["--pipeline=agf_multitask", "--env=table"], {}, ["corpus_root is needed for corpus=table"]),
        (["--pipeline=agf_multitask", "--env=table"], {"corpus_root": "nowhere"}, ["corpus_root=nowhere"]),
        (["--pipeline=agf_multitask"], {"embeddings": "no.parquet"}, ["embeddings=no.parquet"]),
        (["--pipeline=predict"], {"audio": "no.mp3"}, ["no trained model yet"]),
        (["--pipeline=download"], {}, ["only FMA can be downloaded"]),
    ],
)
def test_a_wrong_command_is_an_error_before_any_work(
    arguments: list[str], params: dict[str, Any], words: list[str], project: Project
) -> None:
    done = project.run(*arguments, check=False, **params)
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    for word in words:
        assert word in said
    assert "Traceback" not in done.stderr
    assert not list((project.path / "data").rglob("*.*")), "something was written"


def test_a_missing_column_names_file_key_and_columns(project: Project) -> None:
    corpus = project.path / "corpus"
    corpus.mkdir()
    pd.DataFrame({"id": ["a"], "path": ["a.mp3"]}).to_csv(corpus / "tracks.csv", index=False)
    done = project.run("--pipeline=agf_multitask", "--env=table", corpus_root="corpus", check=False)
    said = " ".join(done.stderr.split())
    assert done.returncode == 1
    for word in ("tracks.csv", "ingestion.table.columns.track_id", "'id', 'path'"):
        assert word in said
    assert "Traceback" not in done.stderr
    assert not (project.path / "data/03_primary").exists(), "something was written"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"folds": 50}, ["folds=50"]),
        ({"split": "balanced", "splitting__balanced__artists": 500}, ["splitting.balanced.artists"]),
        ({"embeddings": "strangers.parquet"}, ["embeddings", "strangers.parquet"]),
    ],
)
def test_a_corpus_that_cannot_carry_the_job_is_refused_before_decoding(
    params: dict[str, Any], words: list[str], project: Project
) -> None:
    strangers = pd.DataFrame({"track_id": ["x", "y"], "embedding": [[1.0], [2.0]]})
    strangers.to_parquet(project.path / "strangers.parquet")
    done = project.run("--pipeline=agf_multitask", check=False, **params)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    for word in words:
        assert word in said
    assert not (project.path / "data/cache").exists(), "something was decoded"


def test_both_spellings_run_and_neither_warns(project: Project) -> None:
    for spelling in ("--pipeline=ingestion", "--pipelines=ingestion"):
        done = project.run(spelling)
        assert "deprecat" not in (done.stdout + done.stderr).lower()
    facts = json.loads((project.path / "data/02_intermediate/corpus_facts.json").read_text())
    assert facts["corpus"] == "synthetic"
