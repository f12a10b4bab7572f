"""The retrieval benchmark: it runs as a script, in a process of its own, and promises for the full size only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import bench_retrieval


def test_a_small_size() -> None:
    rows = bench_retrieval.run(300, cores=1)
    names = [row["name"] for row in rows]
    assert [name.rsplit(".", 1)[1] for name in names] == [
        "seconds",
        "processor_seconds_a_core",
        "peak",
        "over_cosines_alone",
    ]
    assert all(row["value"] > 0 and row["reach"] is None for row in rows)
    assert 0.05 < rows[2]["value"] < bench_retrieval.GIB
    assert all("300x256.1_cores" in name for name in names)


def test_as_a_script(tmp_path: Path) -> None:
    script = Path(bench_retrieval.__file__)
    done = subprocess.run(
        [sys.executable, script, "--tracks", "200", "--cores", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 4
