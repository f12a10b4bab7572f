"""The GPU benchmark: it runs without a GPU, says so, and counts operations and steps rightly."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
import torch
from benchmarks.gpu_steps import GRID_STEPS, MTN_STEPS, TINY, Counts
from torch.utils.flop_counter import FlopCounterMode

from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from benchmarks import bench_gpu

CPU = torch.device("cpu")
ROOT = Path(bench_gpu.__file__).parents[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_as_a_script_without_a_gpu(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "bench_gpu.py", "--json", path, "--nets", "1,3"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "not measured: no GPU" in done.stdout
    rows = json.loads(path.read_text(encoding="utf-8"))
    mine = [row for row in rows if row["name"].startswith("engine.cpu.float32.")]
    assert len(mine) >= 20 and all(0 <= row["value"] < math.inf and row["reach"] is None for row in mine)
    assert not any("mtn" in row["name"] or "peak" in row["name"] for row in mine)
    assert {"eager", "real", "streams.2", "stacked.2", "phase.captured.backward"} < {
        row["name"].removeprefix("engine.cpu.float32.") for row in mine
    }
    others = [row for row in rows if row not in mine]
    assert all(row["value"] is None and row["note"] == "not measured: no GPU" for row in others)
    names = {row["name"] for row in others}
    assert len(names) == len(others) == 3 * (22 + 2 * 2)
    assert "engine.cuda.bfloat16.stacked.3" in names and "engine.cuda.tf32.streams.1" in names
    assert {row["name"].rpartition(".")[2]: row["reach"] for row in others if row["reach"]} == {
        "real_over_captured": 0.9,
        "captured_step": 0.4,
        "mtn_of_five_tasks": 4.0,
        "grid_of_31_nets": 1.0,
    }


def test_bfloat16_runs_too() -> None:
    rows = bench_gpu.measure(CPU, TINY, ["bfloat16"])
    assert {"engine.cpu.bfloat16.real", "engine.cpu.bfloat16.streams.2"} < {row["name"] for row in rows}


def test_operations_are_those_that_torch_counts() -> None:
    config = DcnnConfig(outputs=(("g", 16), ("m", 40)))
    net = MultiTaskNet(config).train()
    with FlopCounterMode(display=False) as counter:  # like a step, without the gradient of the first layer's input
        net(torch.randn(2, 1, 128, 43), "g").sum().backward()
    counts = Counts.of(config, batch=2, precision="float32")
    assert counts.flops == counter.get_total_flops()
    step = Counts.of(config, batch=64, precision="float32")
    assert 12e9 < step.flops < 18e9 and 0.1e9 < step.bytes < 1e9  # the orientation: 15 GFLOP and 0.5 GB
    assert Counts.of(config, batch=64, precision="bfloat16").bytes < step.bytes


def test_steps_of_the_paper() -> None:
    subsets = [subset for n in range(1, 6) for subset in combinations("gsedm", n)]
    trained = [subset for subset in subsets if len(subset) > 1] + [(task,) for task in "gsedm"]
    assert len(trained) == 31
    assert sum(len(subset) for subset in trained) * 200 * (21_250 // 64) == GRID_STEPS
    assert MTN_STEPS == 5 * 200 * (21_250 // 64)
