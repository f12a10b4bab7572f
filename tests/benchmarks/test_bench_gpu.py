"""The GPU benchmark: it runs without a GPU, says so, and counts operations and steps rightly."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.counts import Counts
from benchmarks.gpu_noise import TINY
from benchmarks.gpu_steps import GRID_STEPS, MTN_STEPS
from torch.utils.flop_counter import FlopCounterMode

from artist_transfer.evaluation.segments import windows_of
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.models.width import solve_width
from artist_transfer.study.cases import all_cases
from artist_transfer.training.graphs import CaptureError
from benchmarks import bench_gpu, gpu_probe, gpu_steps

CPU = torch.device("cpu")
ROOT = Path(bench_gpu.__file__).parents[1]
BARE = """
import runpy, sys
from importlib.machinery import PathFinder

absent = set(
    "essentia gensim kedro librosa mlflow pandas pandera plotly pooch pyarrow pydantic "
    "rich safetensors scipy sklearn soundfile soxr tqdm yaml".split()
)
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] in absent else find(name, *rest)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
assert not absent & set(sys.modules), absent & set(sys.modules)
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_as_a_script_with_torch_and_numpy_and_without_a_gpu(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    script = [ROOT / "benchmarks" / "bench_gpu.py", "--json", path, "--nets", "1,3"]
    done = subprocess.run(
        [sys.executable, "-c", BARE, *script],
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
    assert {"eager", "real", "streams.2", "stacked.2", "phase.captured.backward", "probe.captured.40"} < {
        row["name"].removeprefix("engine.cpu.float32.") for row in mine
    }
    assert {row["note"] for row in mine} == {"a tiny net on a CPU, to show that it runs"}
    others = [row for row in rows if row not in mine]
    assert all(row["value"] is None and row["note"] == "not measured: no GPU" for row in others)
    names = {row["name"] for row in others}
    assert len(names) == len(others) == 3 * (22 + 2 * 2) + 2 * (2 + 2 * 2)
    assert {f"engine.cuda.float32.probe.captured.{what}" for what in ("256", "1280", "study")} < names
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


@pytest.mark.parametrize("what", ["eager", "real_and_captured", "Graph", "eager_phases", "probe"])
def test_what_is_refused_is_a_note_and_the_rest_is_measured(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise CaptureError("this GPU did not capture a step: operation not permitted\nmore")

    missing = {
        "eager": {"eager"},
        "real_and_captured": {"real", "captured", "real_over_captured", "captured_step", "clips"},
        "Graph": {"real", "captured", "captured_step", "phase.captured.forward", "stacked.1", "stacked.2"},
        "eager_phases": {"phase.wall.gather", "phase.events.optimiser"},
        "probe": {"probe.eager.8", "probe.captured.40"},
    }
    kept = {"eager", "real", "phase.captured.forward", "streams.2", "stacked.2", "probe.eager.8"}
    if what == "Graph":
        monkeypatch.setattr(gpu_steps, "Graph", refuse)
    else:
        monkeypatch.setattr(gpu_steps.Bench, what, refuse)
    found = {row["name"].removeprefix("engine.cpu.float32."): row for row in bench_gpu.measure(CPU, TINY, ["float32"])}
    refused = {name for name, row in found.items() if row["value"] is None}
    assert missing[what] <= refused and kept - missing[what] <= set(found) - refused
    for name in refused:
        told = "not measured: CaptureError: this GPU did not capture a step: operation not permitted"
        assert found[name]["note"] == told


def test_a_gpu_that_is_lost_between_arithmetics_costs_only_what_was_to_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    original = gpu_steps.Bench

    def lost(*args: object, precision: str) -> gpu_steps.Bench:
        if precision == "bfloat16":
            raise torch.AcceleratorError("CUDA error: an illegal memory access\nmore")
        return original(*args, precision=precision)

    monkeypatch.setattr(bench_gpu, "Bench", lost)
    rows = bench_gpu.measure(CPU, TINY, ["float32", "bfloat16"])
    assert len(rows) > 20 and all(row["name"].startswith("engine.cpu.float32.") for row in rows)


def test_hours_of_a_study() -> None:
    config = DcnnConfig(outputs=(("g", 16),))
    blocks, fitted = 0.0, 0
    for case in all_cases("all"):
        nets = [DcnnConfig(outputs=((task, 16 if task == "g" else 40),)) for task in "gsedm"]
        wide = case.kind == "wide"
        blocks += replace(config, width=solve_width(config, nets[: case.n])).features / 256 if wide else len(case.tasks)
        fitted += 1
    assert fitted == gpu_probe.CASES and round(blocks) == gpu_probe.BLOCKS
    assert 50 * math.ceil(21_250 * len(windows_of(np.zeros((1291, 1)))) / 64) == gpu_probe.PROBE_STEPS
    steps = gpu_probe.PROBE_STEPS / 3600
    assert gpu_probe.study_hours({256: 100.0, 1280: 100.0}) == pytest.approx(74 * steps / 100)
    # a step of n blocks takes n hundredths of a second
    assert gpu_probe.study_hours({256: 100.0, 1280: 20.0}) == pytest.approx(193 * steps / 100)


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
