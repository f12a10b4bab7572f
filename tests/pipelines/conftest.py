"""A copy of the project in a folder of its own, and the real command in it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]

# Small enough for seconds: 3 genres of 3 artists with 3 tracks of 4 s, one epoch, narrow nets.
TINY = {
    "ingestion.synthetic.genres": 3,
    "ingestion.synthetic.artists_per_genre": 3,
    "ingestion.synthetic.tracks_per_artist": 3,
    "ingestion.synthetic.seconds": 4.0,
    "splitting.test_share": 0.3,
    "factors.dictionary.max_centres": 32,
    "factors.dictionary.max_rows": 3000,
    "factors.latent_dirichlet.groups": 4,
    "factors.latent_dirichlet.passes": 2,
    "training.epochs": 1,
    "training.batch": 8,
    "training.width": 0.25,
    "threads": 1,
    "transfer.epochs": 1,
    "transfer.hidden": 16,
    "transfer.bootstrap.resamples": 100,
    "workers": 1,
    "tracking": "false",
}


@dataclass(frozen=True)
class Project:
    """A project folder."""

    path: Path

    @classmethod
    def copy(cls, path: Path) -> Project:
        """Copy the project without its data into a folder."""
        shutil.copytree(ROOT / "conf", path / "conf", ignore=shutil.ignore_patterns("local"))
        (path / "conf" / "local").mkdir()
        for name in ("pyproject.toml", ".telemetry"):
            shutil.copy(ROOT / name, path / name)
        (path / "src").mkdir()
        (path / "src" / "artist_transfer").symlink_to(ROOT / "src" / "artist_transfer")
        (path / "data").mkdir()
        return cls(path)

    def command(self, *arguments: str, **params: Any) -> list[str]:
        given = {**TINY, **{key.replace("__", "."): value for key, value in params.items()}}
        text = ",".join(f"{key}={value}" for key, value in given.items())
        return [sys.executable, "-m", "kedro", "run", *arguments, "--params", text]

    def run(self, *arguments: str, check: bool = True, **params: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments, **params),
            cwd=self.path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if check and done.returncode:
            pytest.fail(f"kedro run ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def start(self, *arguments: str, **params: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*arguments, **params),
            cwd=self.path,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def table(self, name: str) -> pd.DataFrame:
        (path,) = self.path.glob(f"data/0*/{name}.parquet")
        return pd.read_parquet(path)

    def outputs(self) -> dict[str, str]:
        """Hash of every output of the catalogue and of every finished file of the cache, by relative path."""
        files = sorted(p for p in (self.path / "data").rglob("*") if p.is_file())
        kept = [p for p in files if not p.name.startswith(".") and "09_tracking" not in p.parts and p.name != ".lock"]
        return {p.relative_to(self.path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "TQDM_DISABLE": "1", "DO_NOT_TRACK": "1"}


@pytest.fixture
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Project]:
    """Give a function that makes an empty copy of the project."""

    def make() -> Project:
        return Project.copy(tmp_path_factory.mktemp("project"))

    return make


@pytest.fixture
def project(new_project: Callable[[], Project]) -> Project:
    """Give an empty copy of the project."""
    return new_project()
