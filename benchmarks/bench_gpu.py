"""The fast training engine on one GPU: rates, shares of what the card can do, phases, and nets side by side.

``python benchmarks/bench_gpu.py --json bench_gpu.json`` runs on a bare machine: it needs torch, numpy and this
repository, and makes noise in the shape of FMA medium's training tracks on the card. Without a GPU it runs a tiny
problem on the CPU, to show that everything runs, and lists the GPU's figures as not measured.

What is compared: ``eager`` is the plain engine's update on a batch that stays the same; ``captured`` is that update as
a CUDA graph; ``real`` is `train` itself with the fast engine, its batches, losses and history; blocks of ``real`` and
``captured`` take turns. ``streams`` are K engines in the hands of one thread, ``stacked`` is one computation of K nets
(`benchmarks.stacked`). ``probe`` is the classifier on top of the features, which a study fits anew for every case.

What a GPU refuses (a capture, memory) is left out, and its note says why; all else is measured.

Operations and bytes of a step are counted in `benchmarks.counts.Counts`; the bytes are a lower estimate.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script
    _ROOT = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(_ROOT), str(_ROOT / "src")]

import torch

from benchmarks.gpu_noise import TINY, Scale, make_store
from benchmarks.gpu_probe import CASES, PROBE_STEPS
from benchmarks.gpu_steps import GRID_STEPS, MTN_STEPS, PHASES, REFUSALS, Bench, refusal

ARITHMETICS = {"tf32": ("float32", True), "float32": ("float32", False), "bfloat16": ("bfloat16", False)}
NOT_MEASURED = "not measured: no GPU"
ON_A_CPU = "a tiny net on a CPU, to show that it runs"
Row = dict[str, Any]


def names_of(prefix: str, scale: Scale) -> list[tuple[str, str, float | None, str]]:
    """Return name, unit, reach and note of all figures of one arithmetic."""
    rows: list[tuple[str, str, float | None, str]] = [
        ("eager", "steps/s", None, "on a fixed batch"),
        ("captured", "steps/s", None, "on a fixed batch"),
        ("real", "steps/s", None, ""),
        ("real_over_captured", "ratio", 0.9, "at least"),
        ("captured_step", "ms", 0.4, "at most"),
        ("clips", "clips/s", None, "real"),
        ("peak", "share", None, "of a measured matrix product, real"),
        ("bandwidth", "share", None, "of a measured copy, real; bytes are a lower estimate"),
    ]
    rows += [(f"phase.{kind}.{phase}", "ms", None, "") for kind in ("wall", "events", "captured") for phase in PHASES]
    rows += [(f"{way}.{k}", "steps/s", None, "of all nets") for k in scale.nets for way in ("streams", "stacked")]
    for way in ("eager", "captured") if not prefix.endswith("bfloat16") else ():  # a probe is float32
        rows += [(f"probe.{way}.{width}", "steps/s", None, f"on {width} features") for width in scale.widths]
        study = f"{CASES} cases of {PROBE_STEPS:,} steps, one split and seed; linear in the width"
        rows.append((f"probe.{way}.study", "h", None, study))
    rows += [
        ("mtn_of_five_tasks", "min", 4.0, f"at most; {MTN_STEPS:,} steps at the real rate"),
        ("grid_of_31_nets", "h", 1.0, f"at most; {GRID_STEPS:,} steps at the best rate of one net or of streams"),
    ]
    return [(f"{prefix}.{name}", unit, reach, note) for name, unit, reach, note in rows]


@contextmanager
def arithmetic(*, tf32: bool) -> Iterator[None]:
    """Allow TF32, or not, in a block, and let cuDNN choose its kernels."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = tf32, tf32, torch.cuda.is_available()
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before


def measure(device: torch.device, scale: Scale, names: Sequence[str]) -> list[Row]:
    """Measure some arithmetics on a device."""
    store, rows = make_store(scale, device), []
    for name in names:
        precision, tf32 = ARITHMETICS[name]
        figures: dict[str, float] = {}
        notes: dict[str, str] = {}
        other = "not measured: what it is made of was not"
        try:
            with arithmetic(tf32=tf32):
                bench = Bench(device, scale, store, precision=precision)
                figures, notes = bench.figures(), bench.notes
        except REFUSALS as error:  # a GPU that an arithmetic before this one has lost
            other = refusal(error)
        prefix, on_gpu = f"engine.{device.type}.{name}", device.type == "cuda"
        for full, unit, reach, note in names_of(prefix, scale):
            short = full.removeprefix(f"{prefix}.")
            if short not in figures:
                note = notes.get(short, other)
            elif not on_gpu:
                note = ON_A_CPU
            if short in figures or short in notes or on_gpu:
                value = round(figures[short], 5) if short in figures else None
                row = {"name": full, "value": value, "unit": unit, "reach": reach if on_gpu else None}
                rows.append(row | ({"note": note} if note else {}))
    return rows


def run(scale: Scale | None = None, arithmetics: Sequence[str] = tuple(ARITHMETICS)) -> list[Row]:
    """Measure what this machine allows.

    Parameters
    ----------
    scale : Scale or None
        How much to measure on a GPU.
    arithmetics : sequence of {"tf32", "float32", "bfloat16"}
        Of the GPU.

    Returns
    -------
    list of dict
        ``name``, ``value``, ``unit``, ``reach`` and perhaps ``note``. Without a GPU its values are None, and those of a
        tiny problem on the CPU are there too.
    """
    scale = scale or Scale()
    if torch.cuda.is_available():
        return measure(torch.device("cuda"), scale, arithmetics)
    rows = measure(torch.device("cpu"), TINY, ["float32"])
    for name in arithmetics:
        rows += [
            {"name": full, "value": None, "unit": unit, "reach": reach, "note": NOT_MEASURED}
            for full, unit, reach, _ in names_of(f"engine.cuda.{name}", scale)
        ]
    return rows


def main() -> None:
    """Print the table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tracks", type=int, default=Scale.tracks, help="tracks in the store")
    parser.add_argument("--frames", type=int, default=Scale.frames, help="frames of a track")
    parser.add_argument("--steps", type=int, default=Scale.steps, help="updates in a block")
    parser.add_argument("--blocks", type=int, default=Scale.blocks, help="blocks of a figure")
    parser.add_argument("--nets", default=",".join(map(str, Scale.nets)), help="numbers of nets side by side")
    parser.add_argument("--arithmetics", default=",".join(ARITHMETICS), help="some of tf32,float32,bfloat16")
    parser.add_argument("--json", type=Path, default=Path("bench_gpu.json"), help="where the figures go")
    options = parser.parse_args()
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")  # else more than 8 streams wait for each other
    scale = replace(Scale(), tracks=options.tracks, frames=options.frames, steps=options.steps, blocks=options.blocks)
    scale = replace(scale, nets=tuple(int(k) for k in options.nets.split(",")))
    if torch.cuda.is_available():
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {scale}")
    rows = run(scale, options.arithmetics.split(","))
    for row in rows:
        value = "-" if row["value"] is None else f"{row['value']:,.4g}"
        reach = "" if row["reach"] is None else f"(reach {row['reach']:g})"
        print(f"{row['name']:44} {value:>12} {row['unit']:8} {reach:14} {row.get('note', '')}")
    options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"Written: {options.json}")


if __name__ == "__main__":
    main()
