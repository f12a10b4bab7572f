"""The recognition benchmark: it runs as a script, in processes of its own, and promises for the full size only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import bench_recognition


def test_a_small_size(tmp_path: Path) -> None:
    bob = tmp_path / "bob"  # answers as bob_gmm.py does: 40 microseconds a frame and iteration, 30 of the processor
    bob.write_text('#!/bin/sh\necho \'{"microseconds": 40.0, "processor_microseconds": 30.0}\'\n')
    bob.chmod(0o755)
    rows = {row["name"].rsplit(".", 1)[1]: row for row in bench_recognition.run(8_000, cores=1, bob=str(bob))}
    assert list(rows) == [
        "seconds",
        "processor_seconds_a_core",
        "peak",
        "bob_extrapolated",
        "times_bob",
        "double_extrapolated",
        "times_bob_in_double",
        "times_bob_by_processor",
        "over_products_alone",
    ]
    assert all(row["value"] > 0 and row["reach"] is None for row in rows.values())
    assert rows["bob_extrapolated"]["value"] == pytest.approx(40e-6 * 8_000 * 10)
    assert rows["times_bob"]["value"] == pytest.approx(3.2 / rows["seconds"]["value"])
    assert rows["times_bob_in_double"]["value"] == pytest.approx(3.2 / rows["double_extrapolated"]["value"])
    busy = rows["processor_seconds_a_core"]["value"]
    assert rows["times_bob_by_processor"]["value"] == pytest.approx(2.4 / busy)
    assert 0.05 < rows["peak"]["value"] < bench_recognition.GIB
    assert rows["over_products_alone"]["value"] > 1


def test_as_a_script_without_bob(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(bench_recognition.BOB_PYTHON, raising=False)
    script = Path(bench_recognition.__file__)
    done = subprocess.run(
        [sys.executable, script, "--frames", "6000", "--cores", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 9 and sum("not measured" in line for line in lines) == 4
