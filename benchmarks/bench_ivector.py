"""Total variability of 400 dimensions on 10,000 songs: time of an iteration and an extraction, and peak memory.

The ratio is to one iteration of the same formulas a song at a time in numpy, which is how bob.learn.em goes about it,
taken from a few songs of the same run; the fit's time includes the likelihood after it. Each measurement is a process
of its own, so that its peak is not that of another benchmark. ``python benchmarks/bench_ivector.py --songs 500``
measures fewer songs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

SONGS, MIXTURES, WIDTH, DIMENSION, CORES = 10_000, 256, 20, 400, 2
FRAMES = 1291  # of a clip of 30 s
GIB, ALONE = 3.0, 4


@dataclass(frozen=True)
class _Mixture:
    means: np.ndarray
    variances: np.ndarray


@dataclass(frozen=True)
class _Statistics:
    track_ids: tuple[str, ...]
    zeroth: np.ndarray
    first: np.ndarray


def run(songs: int = SONGS, *, dimension: int = DIMENSION, cores: int = CORES) -> list[dict[str, Any]]:
    """Measure one iteration and the extraction of all songs.

    Parameters
    ----------
    songs : int > 1
    dimension : int > 0
    cores : int > 0
        Threads of the process.

    Returns
    -------
    list of dict
        name, value, unit, reach (of the full size only).
    """
    size = ["--songs", str(songs), "--dimension", str(dimension), "--cores", str(cores)]
    command = [sys.executable, str(Path(__file__).resolve()), *size, "--here"]
    threads = {"OMP_NUM_THREADS": str(cores), "OPENBLAS_NUM_THREADS": str(cores)}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | threads)
    if done.returncode:
        raise RuntimeError(f"the i-vector benchmark failed:\n{done.stderr}")
    fit, vector, gib, alone = json.loads(done.stdout.splitlines()[-1])
    name = f"ivector.{songs}x{MIXTURES}x{dimension}.{cores}_cores"
    full = songs == SONGS and dimension == DIMENSION
    return [
        {"name": f"{name}.fit_of_one_iteration", "value": fit, "unit": "s", "reach": None},
        {"name": f"{name}.extract", "value": vector, "unit": "s", "reach": None},
        {"name": f"{name}.peak", "value": gib, "unit": "GiB", "reach": f"<= {GIB:g}" if full else None},
        {"name": f"{name}.song_by_song_over_it", "value": alone / fit, "unit": "ratio", "reach": None},
    ]


def measure(songs: int, dimension: int) -> tuple[float, float, float, float]:
    """Return seconds of a fit and of an extraction, peak memory (GiB), and seconds of an iteration song by song."""
    import numpy as np

    from artist_transfer.recognition.ivector import extract, fit_total_variability

    draw = np.random.default_rng(0)
    mixture = _Mixture(draw.normal(size=(MIXTURES, WIDTH)), draw.uniform(0.5, 2, size=(MIXTURES, WIDTH)))
    share = draw.dirichlet(np.full(MIXTURES, 2.0))
    zeroth = draw.multinomial(FRAMES, share, size=songs).astype(np.float64)
    first = np.empty((songs, MIXTURES, WIDTH), dtype=np.float32)
    for k in range(songs):  # all at once would be the peak
        noise = draw.normal(size=(MIXTURES, WIDTH)) * np.sqrt(mixture.variances * zeroth[k][:, None])
        first[k] = mixture.means * zeroth[k][:, None] + noise
    statistics = _Statistics(tuple(f"{k:06d}" for k in range(songs)), zeroth, first)
    began = time.perf_counter()
    model, history = fit_total_variability(mixture, statistics, dimension=dimension, iterations=1)
    fit = time.perf_counter() - began
    assert history[1] > history[0]
    began = time.perf_counter()
    found = extract(model, statistics)
    vector = time.perf_counter() - began
    assert found.vectors.shape == (songs, dimension)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    T, some = model.T, min(ALONE, songs)
    began = time.perf_counter()
    moments, cross = np.zeros((MIXTURES, dimension, dimension)), np.zeros((MIXTURES, WIDTH, dimension))
    projected = (T / model.sigma[:, :, None]).transpose(0, 2, 1)
    inner = projected @ T
    once = time.perf_counter() - began
    began = time.perf_counter()
    for k in range(some):
        centred = first[k] - zeroth[k][:, None] * model.means
        inverse = np.linalg.inv(np.eye(dimension) + np.einsum("c,ctu->tu", zeroth[k], inner))
        mean = inverse @ np.einsum("ctd,cd->t", projected, centred)
        moments += zeroth[k][:, None, None] * (inverse + np.outer(mean, mean))[None]
        cross += centred[:, :, None] * mean
    return fit, vector, peak, once + (time.perf_counter() - began) / some * songs


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--songs", type=int, default=SONGS)
    parser.add_argument("--dimension", type=int, default=DIMENSION)
    parser.add_argument("--cores", type=int, default=CORES)
    parser.add_argument("--here", action="store_true", help="measure in this process and print bare numbers")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.songs, options.dimension)))
        return
    for row in run(options.songs, dimension=options.dimension, cores=options.cores):
        reach = f"  (reach {row['reach']})" if row["reach"] is not None else ""
        print(f"{row['name']:60} {row['value']:>10.3g} {row['unit']}{reach}")


if __name__ == "__main__":
    main()
