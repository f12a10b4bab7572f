"""Start-up: `kedro registry list` against an empty project with the same plugins, and the first node of a run."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TRIES = 5

EMPTY = {
    "pyproject.toml": (
        '[tool.kedro]\npackage_name = "empty_project"\nproject_name = "empty"\nkedro_init_version = "1.7.0"\n'
        'source_dir = "src"\n'
    ),
    "src/empty_project/__init__.py": "",
    "src/empty_project/settings.py": "",
    "src/empty_project/pipeline_registry.py": (
        "from kedro.pipeline import Pipeline\n\n\ndef register_pipelines():\n    return {'__default__': Pipeline([])}\n"
    ),
    "conf/base/catalog.yml": "",
    "conf/local/.gitkeep": "",
    ".telemetry": "consent: false\n",
}


def run() -> list[dict[str, Any]]:
    """Measure both, interleaved.

    Returns
    -------
    list of dict
        name, value, unit, reach.
    """
    with tempfile.TemporaryDirectory() as folder:
        empty, ours = Path(folder) / "empty", Path(folder) / "ours"
        for name, text in EMPTY.items():
            path = empty / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        _copy_project(ours)
        times: dict[Path, list[float]] = {empty: [], ours: []}
        for _ in range(TRIES):
            for project, seconds in times.items():
                seconds.append(_time(["registry", "list"], project))
        slower = statistics.median(mine - theirs for mine, theirs in zip(times[ours], times[empty], strict=True))
        first = [_first_node(ours) for _ in range(3)][1:]  # the first one makes the database
    return [
        {"name": "registry list, seconds above an empty project", "value": slower, "unit": "s", "reach": "<= 0.5"},
        {"name": "first node after the command", "value": min(first), "unit": "s", "reach": "<= 5"},
    ]


def _copy_project(to: Path) -> None:
    shutil.copytree(ROOT / "conf", to / "conf", ignore=shutil.ignore_patterns("local"))
    (to / "conf" / "local").mkdir()
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, to / name)
    (to / "src").mkdir()
    (to / "src" / "artist_transfer").symlink_to(ROOT / "src" / "artist_transfer")


def _time(arguments: list[str], project: Path) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "kedro", *arguments], cwd=project, check=True, capture_output=True)
    return time.perf_counter() - began


def _first_node(project: Path) -> float:
    small = "ingestion.synthetic.genres=2,ingestion.synthetic.artists_per_genre=3,ingestion.synthetic.seconds=2"
    command = [sys.executable, "-m", "kedro", "run", "--pipeline=ingestion", "--params", small]
    began = time.time()
    subprocess.run(command, cwd=project, check=True, capture_output=True, env={**os.environ, "TQDM_DISABLE": "1"})
    shard = next(project.glob("data/01_raw/synthetic/*"))
    started = min(path.stat().st_mtime for path in shard.rglob("*") if path.is_file())
    if started < began:  # written by an earlier run: measure the output of the node instead
        started = (project / "data/02_intermediate/corpus_facts.json").stat().st_mtime
    return started - began


if __name__ == "__main__":
    for row in run():
        print(row)
