"""Microseconds that bob.learn.em takes a frame and iteration, on the first frames of a file.

Run by `bench_recognition` with the Python of an environment of ``tests/oracles/requirements-bob.txt``: it imports
nothing of this project. Several sizes of block are tried and the fastest counts; on more than one core the blocks are
spread by dask's threads, as bob does it. Its own start by K-means is not counted.
"""

from __future__ import annotations

import json
import sys
import time

import dask
import dask.array as da
import numpy as np
from bob.learn.em import GMMMachine

BLOCKS = (1_000, 5_000, 25_000)
ITERATIONS = 2


def main() -> None:
    path, rows, width, mixtures, cores = sys.argv[1], *map(int, sys.argv[2:])
    frames = np.fromfile(path, "<f4", rows * width).reshape(rows, width).astype(np.float64)
    with dask.config.set(scheduler="threads", num_workers=cores):
        found = {block: measure(frames, mixtures, min(block, rows // cores)) for block in BLOCKS}
    seconds, processor = (min(each) for each in zip(*found.values()))
    print(json.dumps({"microseconds": seconds, "processor_microseconds": processor, "by_block": found}))


def measure(frames: np.ndarray, mixtures: int, block: int) -> tuple[float, float]:
    """Return microseconds a frame and iteration by the clock, and by the processor in all threads."""
    machine = GMMMachine(
        mixtures,
        update_means=True,
        update_variances=True,
        update_weights=True,
        convergence_threshold=None,
        max_fitting_steps=ITERATIONS,
    )
    machine.means = frames[np.random.default_rng(0).choice(len(frames), mixtures, replace=False)]
    machine.variances = np.tile(frames.var(axis=0), (mixtures, 1))
    began, before = time.perf_counter(), time.process_time()
    machine.fit(da.from_array(frames, chunks=(block, frames.shape[1])))
    scale = 1e6 / (len(frames) * ITERATIONS)
    return (time.perf_counter() - began) * scale, (time.process_time() - before) * scale


if __name__ == "__main__":
    main()
