"""The page: whole, safe, self-contained, the same for the same results."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.page import SECTIONS, render_report

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


class Reader(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self._in = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        self._in = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._in = ""

    def handle_data(self, data: str) -> None:
        """Note text, or the content of a script."""
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        """All text, with single spaces."""
        return " ".join(" ".join(self.text).split())


@pytest.fixture
def page(inputs: dict[str, Any]) -> str:
    """A whole report."""
    return render_report(**inputs)


def test_every_section_and_figure_is_there(page: str) -> None:
    reader = Reader(page)
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert set(SECTIONS) <= set(ids)
    plots = [attrs for tag, attrs in reader.elements if tag == "div" and attrs.get("class") == "plot"]
    assert len(plots) == 7
    assert all(attrs["aria-label"] and attrs["role"] == "img" for attrs in plots)
    assert {f"{attrs['id']}-data" for attrs in plots} <= set(ids)
    count = [tag for tag, _ in reader.elements]
    assert count.count("table") == count.count("caption") > 10
    assert count.count("h1") == 1


def test_it_says_what_was_found(page: str) -> None:
    words = Reader(page).words
    assert "Against the class priors: better in log loss and macro F1." in words
    assert "Against the genre-only STN: no difference could be shown in log loss or macro F1." in words
    assert "Training and test share artists (75 % of the test tracks): scores are then optimistic." in words
    assert "MTN gsedm (paper, FMA medium, stratified) 0.7727 0.6571" in words
    assert "921 tracks of 51 artists" in words
    assert "1900 centres instead of 2048" in words


def test_names_from_files_stay_text(page: str, evil: str) -> None:
    reader = Reader(page)
    assert evil not in page
    assert evil in reader.words
    kinds = [attrs.get("type") for tag, attrs in reader.elements if tag == "script"]
    assert kinds == ["application/json"] * 7 + [None, None]
    for attrs in (attrs for _, attrs in reader.elements):
        assert not any(name.startswith("on") for name in attrs)


def test_only_its_own_scripts_may_run_and_nothing_is_fetched(page: str) -> None:
    reader = Reader(page)
    (policy,) = [attrs["content"] or "" for tag, attrs in reader.elements if "http-equiv" in attrs]
    hashes = [b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in reader.scripts[-2:]]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert re.search(r"script-src ([^;]*);", policy)[1].split() == [f"'sha256-{each}'" for each in hashes]  # type: ignore[index]
    assert page.count("* plotly.js v") == 1
    for tag, attrs in reader.elements:
        assert "src" not in attrs
        assert tag not in ("link", "iframe", "object", "embed")
        assert (attrs.get("href") or "#").startswith("#")
    styles = re.findall(r"<style>.*?</style>", page.replace(reader.scripts[-2], ""), re.S)
    assert all("url(" not in style and "@import" not in style for style in styles)


RENDER = """
import hashlib, pickle, sys
from artist_transfer.reporting.page import render_report
with open(sys.argv[1], "rb") as stream:
    print(hashlib.sha256(render_report(**pickle.load(stream)).encode()).hexdigest())
"""


def test_equal_results_give_equal_bytes(inputs: dict[str, Any], page: str, tmp_path: Path) -> None:
    (tmp_path / "inputs").write_bytes(pickle.dumps(inputs))
    command = [sys.executable, "-c", RENDER, str(tmp_path / "inputs")]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}  # this process has another one
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert found.strip() == hashlib.sha256(page.encode()).hexdigest()


def test_a_corpus_without_genres_says_why_it_was_not_evaluated(inputs: dict[str, Any]) -> None:
    for name in ("metrics", "per_genre", "confusion"):
        inputs[name] = None
    with pytest.raises(ArtistTransferError, match="skipped"):
        render_report(**inputs)
    reason = "No usable track has a genre."
    reader = Reader(render_report(**inputs, skipped=reason))
    assert reader.words.count(reason) == 2
    assert "Against" not in reader.words
    assert "paper, FMA" not in reader.words
    plots = [attrs["id"] for tag, attrs in reader.elements if attrs.get("class") == "plot"]
    assert plots == ["figure-left_out", "figure-factors", "figure-training", "figure-map"]


def test_the_least_that_a_run_can_have(inputs: dict[str, Any]) -> None:
    """Somebody else's features: no factors, no training, nothing left out, nothing to compare with."""
    least = {key: inputs[key] for key in ("counts", "provenance")}
    words = Reader(
        render_report(
            **least,
            quarantine_table=inputs["quarantine_table"].head(0),
            split_facts={"kind": "artist_disjoint"},
            parameters={
                "embeddings": "mert.parquet",
                "corpus_root": "/data/fma",
                "corpus": "fma",
                "tasks": "g",
            },
            metrics={"transfer.log_loss": 1.0, "transfer.f1_macro": 0.5, "transfer.accuracy": 0.5},
        )
    ).words
    assert "No track was left out." in words
    assert "No net was trained" in words
    assert "learnt no artist group factors" in words
    assert "nothing can be said" in words
    assert "Corpus: fma, fma" in words
    assert "features of a file" in words
    assert "paper, FMA" not in words


def test_factors_fitted_on_all_tracks_are_an_alarm(inputs: dict[str, Any], page: str) -> None:
    inputs["parameters"]["fit_on"] = "all"
    assert "fitted on all tracks" in Reader(render_report(**inputs)).words
    assert "fitted on all tracks" not in Reader(page).words


def test_an_artist_disjoint_split_is_said_to_be_clean(inputs: dict[str, Any]) -> None:
    inputs["leakage_table"] = inputs["leakage_table"].assign(shared_test=0, test_tracks_affected=0)
    words = Reader(render_report(**inputs)).words
    assert "No artist, recording or exact duplicate stands in training and test at once." in words
    assert "optimistic" not in words


def test_a_table_that_lacks_a_column_is_named(inputs: dict[str, Any]) -> None:
    inputs["map_table"] = pd.DataFrame({"artist": ["a"]})
    with pytest.raises(ArtistTransferError, match="map_table: columns missing"):
        render_report(**inputs)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_browser_draws_it_and_runs_nothing_else(page: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-quic",
    ]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]
    command += ["--virtual-time-budget=8000", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert len(re.findall(r'<div class="plot js-plotly-plot', done.stdout)) == 7
    assert "CONSOLE" not in done.stderr
    assert "Content Security Policy" not in done.stderr
