"""PLDA: 10,000 × 10,000 trials of 256 features in matrix form, and EM on 2,000 artists × 15 songs.

Seconds, peak memory of the process, and ratios to what was measured in the same run: the bare product of the two
matrices (the floor), and the same ratios taken one trial at a time (from 500 trials). ``python benchmarks/bench_plda.py
--trials 2000`` measures fewer. The measurement is a process of its own, so that its peak is not another benchmark's.
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

TRIALS, WIDTH, ARTISTS, SONGS, ITERATIONS, CORES = 10_000, 256, 2000, 15, 20, 2
SECONDS, GIB = 30, 2.0
ONE_BY_ONE = 500


def run(trials: int = TRIALS, *, artists: int = ARTISTS, cores: int = CORES) -> list[dict[str, Any]]:
    """Measure fitting and scoring.

    Parameters
    ----------
    trials : int > 0
        Models, and as many test songs.
    artists : int > 1
        To fit on.
    cores : int > 0
        Threads of the process.

    Returns
    -------
    list of dict
        name, value, unit, reach (of the full size only).
    """
    size = ["--trials", str(trials), "--artists", str(artists), "--cores", str(cores)]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), *size, "--here"], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"the PLDA benchmark failed:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    score, fit = f"plda.scores.{trials}x{trials}.{cores}_cores", f"plda.em.{artists}x{SONGS}.{cores}_cores"
    full = trials == TRIALS and cores == CORES
    rows = (
        (f"{fit}.seconds", found["fit"], "s", None),
        (f"{score}.seconds", found["score"], "s", f"<= {SECONDS}"),
        (f"{score}.peak", found["peak"], "GiB", f"<= {GIB:g}"),
        (f"{score}.over_product_alone", found["score"] / found["product"], "ratio", None),
        (f"{score}.one_by_one_over_it", found["single"] / found["score"], "ratio", None),
    )
    return [{"name": name, "value": x, "unit": unit, "reach": reach if full else None} for name, x, unit, reach in rows]


def measure(trials: int, artists: int, cores: int) -> dict[str, float]:
    """Return seconds of the fit, of all scores, of the bare product and of trials one at a time, and the peak (GiB)."""
    import numpy as np
    import torch
    from threadpoolctl import threadpool_limits

    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.recognition.plda_fit import fit_plda

    torch.set_num_threads(cores)
    draw = np.random.default_rng(0)
    voices = draw.standard_normal((artists, WIDTH)) * np.linspace(1, 0.1, WIDTH)
    songs = np.repeat(voices, SONGS, axis=0) + draw.standard_normal((artists * SONGS, WIDTH))
    train = Embeddings(tuple(f"{k:06d}" for k in range(len(songs))), songs.astype(np.float32))
    owner: dict[str, str | None] = {x: f"{k // SONGS:05d}" for k, x in enumerate(train.track_ids)}
    with threadpool_limits(cores):
        began = time.perf_counter()
        plda, history = fit_plda(train, owner, train.track_ids, iterations=ITERATIONS)
        fit = time.perf_counter() - began
        assert history[-1].objective > history[0].objective
        ids = tuple(f"{k:06d}" for k in range(2 * trials))
        vectors = Embeddings(ids, draw.standard_normal((2 * trials, WIDTH), dtype=np.float32))
        tests = Embeddings(ids[trials:], vectors.vectors[trials:])
        began = time.perf_counter()
        models = plda.enrol(vectors, {x: [x] for x in ids[:trials]})
        scores = plda.scores(models, tests)
        score = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        single, by_hand = one_by_one(plda, vectors, trials)
        np.testing.assert_allclose(scores[0, : len(by_hand)], by_hand, atol=1e-6)
        del scores
        left, right = (torch.from_numpy(draw.standard_normal((trials, WIDTH))) for _ in range(2))
        began = time.perf_counter()
        torch.mm(left, right.T)
        product = time.perf_counter() - began
    return {"fit": fit, "score": score, "product": product, "single": single, "peak": peak}


def one_by_one(plda: Any, vectors: Any, trials: int) -> tuple[float, Any]:
    """Score the first model's first trials by the textbook's quadratic forms; seconds of all trials, and the scores."""
    import numpy as np

    projected = plda.project(vectors).vectors - plda.centre
    total = plda.between + plda.within
    together = np.block([[total, plda.between], [plda.between, total]])
    apart = np.kron(np.eye(2), total)
    difference = np.linalg.inv(apart) - np.linalg.inv(together)
    constant = (np.linalg.slogdet(apart)[1] - np.linalg.slogdet(together)[1]) / 2
    some = min(trials, ONE_BY_ONE)
    began = time.perf_counter()
    found = []
    for k in range(some):
        pair = np.concatenate([projected[0], projected[trials + k]])
        found.append(pair @ difference @ pair / 2 + constant)
    return (time.perf_counter() - began) * trials**2 / some, np.array(found)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--artists", type=int, default=ARTISTS)
    parser.add_argument("--cores", type=int, default=CORES)
    parser.add_argument("--here", action="store_true", help="measure in this process and print bare numbers")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.trials, options.artists, options.cores)))
        return
    for row in run(options.trials, artists=options.artists, cores=options.cores):
        reach = f"  (reach {row['reach']})" if row["reach"] is not None else ""
        print(f"{row['name']:60} {row['value']:>10.3g} {row['unit']}{reach}")


if __name__ == "__main__":
    main()
