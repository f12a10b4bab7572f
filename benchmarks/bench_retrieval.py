"""Mean average precision over 50,000 tracks of 256 features: seconds on two cores, and peak memory of the process.

``python benchmarks/bench_retrieval.py --tracks 5000`` measures a smaller corpus. Each measurement is a process of its
own, so that its peak is not that of another benchmark.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TRACKS, WIDTH, LABELS, CORES = 50_000, 256, 8, 2
SECONDS, GIB = 120, 2.0


def run(tracks: int = TRACKS, *, cores: int = CORES) -> list[dict[str, Any]]:
    """Measure retrieval by genre, every track a query among all others.

    Parameters
    ----------
    tracks : int > 0
    cores : int > 0
        Threads of the process.

    Returns
    -------
    list of dict
        name, value, unit, reach (of the full size only).
    """
    size = ["--tracks", str(tracks), "--cores", str(cores)]
    command = [sys.executable, str(Path(__file__).resolve()), *size, "--here"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the retrieval benchmark failed:\n{done.stderr}")
    seconds, processor, gib, floor = json.loads(done.stdout.splitlines()[-1])
    name = f"retrieval.map.{tracks}x{WIDTH}.{cores}_cores"
    full = tracks == TRACKS and cores == CORES
    return [
        {"name": f"{name}.seconds", "value": seconds, "unit": "s", "reach": f"<= {SECONDS}" if full else None},
        {"name": f"{name}.processor_seconds_a_core", "value": processor / cores, "unit": "s", "reach": None},
        {"name": f"{name}.peak", "value": gib, "unit": "GiB", "reach": f"<= {GIB:g}" if full else None},
        {"name": f"{name}.over_cosines_alone", "value": seconds / floor, "unit": "ratio", "reach": None},
    ]


def measure(tracks: int, cores: int) -> tuple[float, float, float, float]:
    """Return seconds, those of the processor in all threads, peak memory (GiB), and seconds of the cosines alone."""
    import numpy as np

    from artist_transfer.evaluation.cosine import map_blocks, unit_vectors
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.evaluation.retrieval import average_precisions

    draw = np.random.default_rng(0)
    genre = draw.integers(LABELS, size=tracks)
    vectors = draw.standard_normal((tracks, WIDTH), dtype=np.float32) + 0.1 * np.eye(LABELS, WIDTH)[genre]
    ids = tuple(f"{k:06d}" for k in range(tracks))
    embeddings = Embeddings(ids, vectors.astype(np.float32))
    labels = {track: str(k) for track, k in zip(ids, genre)}
    began, before = time.perf_counter(), time.process_time()
    found = average_precisions(embeddings, labels, workers=cores)
    seconds, processor = time.perf_counter() - began, time.process_time() - before
    assert found.mean > 1 / LABELS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    units = unit_vectors(embeddings)
    began = time.perf_counter()
    some = min(tracks, 2048)
    for _ in map_blocks(lambda start, block: None, units[:some], units, workers=cores):
        pass
    return seconds, processor, peak, (time.perf_counter() - began) * tracks / some


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tracks", type=int, default=TRACKS)
    parser.add_argument("--cores", type=int, default=CORES)
    parser.add_argument("--here", action="store_true", help="measure in this process and print bare numbers")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.tracks, options.cores)))
        return
    for row in run(options.tracks, cores=options.cores):
        reach = f"  (reach {row['reach']})" if row["reach"] is not None else ""
        print(f"{row['name']:60} {row['value']:>10.3g} {row['unit']}{reach}")


if __name__ == "__main__":
    main()
