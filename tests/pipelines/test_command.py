"""What the command refuses, by the real command: before any work, with the key and what is allowed."""

from __future__ import annotations

import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

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
        (
            ["--pipeline=mel_cache"],
            {"cluster__scheduler": "tcp://127.0.0.1:9"},
            ["no Dask scheduler answers", "(Timed"],
        ),
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
    for word in ("tracks.csv", "ingestion.table.columns.track_id", "found: id, path"):
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


def test_the_download_asks_the_mirror_and_refuses_what_it_did_not_ask_for(project: Project) -> None:
    class Mirror(SimpleHTTPRequestHandler):
        asked: ClassVar[list[str]] = []

        def do_GET(self) -> None:
            self.asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"zip")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}/fma"
        done = project.run("--pipeline=download", "--env=fma_small", check=False, download__base_url=mirror)
        server.shutdown()
    assert done.returncode == 1
    assert Mirror.asked == ["/fma/fma_metadata.zip"]
    said = " ".join(done.stderr.split())
    assert "fma_metadata.zip" in said
    assert "Traceback" not in done.stderr
    assert not (project.path / "data/01_raw/fma/fma_metadata").exists()
