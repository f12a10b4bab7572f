"""Make golden_bob_ivector.npz: total variability and i-vectors of bob.learn.em on drawn songs.

Needs the environment of requirements-bob.txt (README.md says how to make it): ``python make_bob_ivector.py``. The file
holds bob's statistics, its start and what it makes of them, so that only expectation, maximisation and projection are
compared.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bob.learn.em import GMMMachine, GMMStats, IVectorMachine

OUTPUT = Path(__file__).with_name("golden_bob_ivector.npz")
MIXTURES, WIDTH, DIMENSION, ITERATIONS = 6, 5, 4, 5
SONGS, TRAINING, FRAMES = 48, 36, (30, 90)
SEED = 7


def mixture(draw: np.random.Generator) -> GMMMachine:
    """Give a mixture model that leaves the frames' scale as unequal as cepstral coefficients have it."""
    machine = GMMMachine(n_gaussians=MIXTURES)
    machine.weights = draw.dirichlet(np.full(MIXTURES, 5.0))
    machine.means = draw.normal(size=(MIXTURES, WIDTH)) * 4 * np.geomspace(8, 1, WIDTH)
    machine.variances = draw.uniform(0.5, 2, size=(MIXTURES, WIDTH)) * np.geomspace(8, 1, WIDTH) ** 2
    return machine


def songs(machine: GMMMachine, draw: np.random.Generator) -> list[np.ndarray]:
    """Draw frames whose means shift in two directions from song to song."""
    deviations = np.sqrt(machine.variances)
    directions = draw.normal(size=(2, MIXTURES, WIDTH)) * deviations
    found = []
    for _ in range(SONGS):
        means = machine.means + np.einsum("k,kcd->cd", draw.normal(size=2), directions) * 0.7
        which = draw.choice(MIXTURES, size=draw.integers(*FRAMES), p=machine.weights)
        found.append(means[which] + draw.normal(size=(len(which), WIDTH)) * deviations[which])
    return found


def fitted(machine: GMMMachine, statistics: list[GMMStats], *, update_sigma: bool) -> dict[str, np.ndarray]:
    """Fit on the training songs and project all."""
    np.random.seed(SEED)  # bob starts from numpy's global generator
    model = IVectorMachine(machine, dim_t=DIMENSION, max_iterations=ITERATIONS, update_sigma=update_sigma)
    model.fit(statistics[:TRAINING])
    name = "free" if update_sigma else "fixed"
    vectors = np.stack(model.transform(statistics))
    return {f"{name}_T": model.T, f"{name}_sigma": model.sigma, f"{name}_vectors": vectors}


def main() -> None:
    """Write the file."""
    draw = np.random.default_rng(SEED)
    machine = mixture(draw)
    statistics = [machine.acc_stats(frames) for frames in songs(machine, draw)]
    np.random.seed(SEED)
    start = np.random.normal(loc=0.0, scale=1.0, size=(MIXTURES, WIDTH, DIMENSION))
    arrays = {
        "weights": machine.weights,
        "means": machine.means,
        "variances": machine.variances,
        "zeroth": np.stack([x.n for x in statistics]),
        "first": np.stack([x.sum_px for x in statistics]),
        "second": np.stack([x.sum_pxx for x in statistics]),
        "start": start,
        "n_training": np.array(TRAINING),
        "iterations": np.array(ITERATIONS),
    }
    for update_sigma in (False, True):
        arrays |= fitted(machine, statistics, update_sigma=update_sigma)
    np.savez_compressed(OUTPUT, **{name: np.asarray(value) for name, value in arrays.items()})
    print(f"Written: {OUTPUT.name}, {OUTPUT.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
