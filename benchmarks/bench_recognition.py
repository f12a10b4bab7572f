"""The background model on 10 million frames: seconds, peak memory, and how many times as fast as bob.learn.em.

``python benchmarks/bench_recognition.py --frames 500000`` measures fewer. Each measurement is a process of its own.
bob.learn.em needs an environment of its own (``tests/oracles/README.md``): ``AT_BOB_PYTHON`` names its Python, and
without it the ratio is not measured. bob is given the first 50,000 frames of the same file and two iterations; its time
is linear in both (one pass over blocks of equal size), so its rate times frames and iterations is what it would take.

Ours is in single precision, the default, with sums in double; bob knows double precision only. What ours takes in
double is measured on the first million frames and multiplied likewise: `times_bob_in_double` compares like with like.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

FRAMES, WIDTH, MIXTURES, ITERATIONS, CORES = 10_000_000, 20, 256, 10, 2
SONG = 1291  # frames of 30 s
BOB_FRAMES, BOB_PYTHON = 50_000, "AT_BOB_PYTHON"
DOUBLE_FRAMES = 1_000_000
TIMES, GIB = 5, 2.0


def run(frames: int = FRAMES, *, cores: int = CORES, bob: str | None = None) -> list[dict[str, Any]]:
    """Measure the fit of the background model.

    Parameters
    ----------
    frames : int > 0
    cores : int > 0
        Threads of each process.
    bob : str or None
        Python that has bob.learn.em; None is what the environment variable says.

    Returns
    -------
    list of dict
        name, value (None if not measured), unit, reach (of the full size only).
    """
    bob = bob or os.environ.get(BOB_PYTHON)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "frames.f32")
        write_frames(path, frames)
        seconds, processor, gib, floor = _ours(path, frames, cores, "single")
        in_double = min(frames, DOUBLE_FRAMES)
        double = _ours(path, in_double, cores, "double")[0] * frames / in_double
        theirs = None
        if bob:
            sizes = [str(x) for x in (min(frames, BOB_FRAMES), WIDTH, MIXTURES, cores)]
            theirs = _child(
                [bob, "-W", "ignore", str(Path(__file__).with_name("bob_gmm.py")), str(path), *sizes], cores
            )
    work = frames * ITERATIONS
    extrapolated = None if theirs is None else theirs["microseconds"] * 1e-6 * work
    theirs_busy = None if theirs is None else theirs["processor_microseconds"] * 1e-6 * work
    name, full = f"recognition.gmm.{frames}x{WIDTH}x{MIXTURES}.{cores}_cores", frames == FRAMES
    ratio = None if extrapolated is None else extrapolated / seconds
    double_ratio = None if extrapolated is None else extrapolated / double
    busy_ratio = None if theirs_busy is None else theirs_busy / processor
    return [
        {"name": f"{name}.seconds", "value": seconds, "unit": "s", "reach": None},
        {"name": f"{name}.processor_seconds_a_core", "value": processor / cores, "unit": "s", "reach": None},
        {"name": f"{name}.peak", "value": gib, "unit": "GiB", "reach": f"<= {GIB:g}" if full else None},
        {"name": f"{name}.bob_extrapolated", "value": extrapolated, "unit": "s", "reach": None},
        {"name": f"{name}.times_bob", "value": ratio, "unit": "ratio", "reach": f">= {TIMES}" if full else None},
        {"name": f"{name}.double_extrapolated", "value": double, "unit": "s", "reach": None},
        {"name": f"{name}.times_bob_in_double", "value": double_ratio, "unit": "ratio", "reach": None},
        {"name": f"{name}.times_bob_by_processor", "value": busy_ratio, "unit": "ratio", "reach": None},
        {"name": f"{name}.over_products_alone", "value": processor / (floor * work), "unit": "ratio", "reach": None},
    ]


def _ours(path: Path, frames: int, cores: int, precision: str) -> Any:
    options = ["--frames", str(frames), "--cores", str(cores), "--precision", precision]
    return _child([sys.executable, __file__, "--here", str(path), *options], cores)


def _child(command: list[str], cores: int) -> Any:
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(cores)}, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the recognition benchmark failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def write_frames(path: Path, frames: int) -> None:
    """Write made-up frames of 400 kinds of sound, with the scales of cepstral coefficients."""
    import numpy as np

    draw = np.random.default_rng(0)
    scales = np.geomspace(60, 3, WIDTH).astype(np.float32)
    centres = draw.standard_normal((400, WIDTH), dtype=np.float32) * scales
    centres[:, 0] -= 300
    with open(path, "wb") as stream:
        for start in range(0, frames, 100_000):
            n = min(100_000, frames - start)
            noise = draw.standard_normal((n, WIDTH), dtype=np.float32) * (0.5 * scales)
            stream.write((centres[draw.integers(len(centres), size=n)] + noise).data)


def measure(path: str, n: int, cores: int, precision: str = "single") -> tuple[float, float, float, float]:
    """Return seconds, those of the processor in all threads, peak memory (GiB), and those of `products_alone`."""
    import numpy as np
    import torch

    from artist_transfer.recognition.frames import SongFrames
    from artist_transfer.recognition.gmm import fit_gmm

    torch.set_num_threads(cores)
    stops = np.minimum(np.arange(SONG, n + SONG, SONG), n)
    offsets = np.stack([np.concatenate([[0], stops[:-1]]), stops], axis=1)
    values = np.memmap(path, dtype="<f4", mode="r", shape=(n, WIDTH))
    frames = SongFrames(tuple(f"{k:07d}" for k in range(len(stops))), offsets, values)
    began, before = time.perf_counter(), time.process_time()
    _, history = fit_gmm(frames, frames.track_ids, mixtures=MIXTURES, iterations=ITERATIONS, precision=precision)
    seconds, processor = time.perf_counter() - began, time.process_time() - before
    assert all(second >= first - 1e-6 * abs(first) for first, second in pairwise(history))
    return seconds, processor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, products_alone()


def products_alone(n: int = 2048, passes: int = 60) -> float:
    """Return processor seconds a frame of what cannot be left out: two products and the exponential."""
    import torch

    features, matrix = torch.randn(n, 2 * WIDTH + 1), torch.randn(2 * WIDTH + 1, MIXTURES)
    joint = torch.empty(n, MIXTURES)
    began = time.process_time()
    for _ in range(passes):
        torch.mm(features, matrix, out=joint)
        joint.clamp_(-60, 0).exp_()
        features.T @ joint
    return (time.process_time() - began) / (passes * n)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--cores", type=int, default=CORES)
    parser.add_argument("--bob", help=f"Python that has bob.learn.em; {BOB_PYTHON} otherwise")
    parser.add_argument("--precision", choices=("single", "double"), default="single", help="with --here")
    parser.add_argument("--here", metavar="FILE", help="measure this file in this process and print bare numbers")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.here, options.frames, options.cores, options.precision)))
        return
    for row in run(options.frames, cores=options.cores, bob=options.bob):
        reach = f"  (reach {row['reach']})" if row["reach"] is not None else ""
        value = "not measured" if row["value"] is None else f"{row['value']:.3g}"
        print(f"{row['name']:60} {value:>12} {row['unit']}{reach}")


if __name__ == "__main__":
    main()
