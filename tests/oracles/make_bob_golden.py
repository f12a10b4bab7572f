"""Make golden_bob_gmm.npz: mixtures, statistics, adaptation and ratios by bob.learn.em, on made-up frames.

    python3.11 -m venv bob && bob/bin/pip install -r requirements-bob.txt && bob/bin/python make_bob_golden.py

Nothing of artist_transfer is imported. The frames are in the file too, so that the test depends on no random generator.
"""

from __future__ import annotations

import functools
import operator
from pathlib import Path

import bob.learn.em
import numpy as np

MIXTURES, COEFFICIENTS, SONGS, FRAMES, ITERATIONS, RELEVANCE = 8, 5, 9, 120, 6, 10.0
ARTISTS = ((0, 1, 2), (3, 4), (5,))
TESTS = (6, 7, 8)


def main() -> None:
    """Write the file beside this script."""
    songs = made_up_songs()
    flat = songs.reshape(-1, COEFFICIENTS).astype(np.float64)
    draw = np.random.default_rng(1)
    start = {
        "weights": draw.dirichlet(np.full(MIXTURES, 5.0)),
        "means": flat[draw.choice(len(flat), MIXTURES, replace=False)],
        "variances": np.tile(flat.var(axis=0), (MIXTURES, 1)) * draw.uniform(0.3, 1.5, (MIXTURES, 1)),
    }
    golden = {f"start_{name}": value for name, value in start.items()} | {"songs": songs}
    machine = mixture(start)
    golden["history"] = np.array([one_iteration(machine, flat) for _ in range(ITERATIONS)])
    golden |= {"weights": machine.weights, "means": machine.means, "variances": machine.variances}
    golden["frame_log_likelihood"] = machine.log_likelihood(flat)
    statistics = [machine.acc_stats(song.astype(np.float64)) for song in songs]
    golden["zeroth"] = np.array([s.n for s in statistics])
    golden["first"] = np.array([s.sum_px for s in statistics])
    golden["log_likelihood"] = np.array([s.log_likelihood for s in statistics])
    models = [adapted(machine, [statistics[k] for k in group]) for group in ARTISTS]
    golden["adapted_means"] = np.array([model.means for model in models])
    golden["ratios"] = np.array([[ratio(model, machine, songs[k]) for k in TESTS] for model in models])
    golden["groups"] = np.array([[k in group for k in range(SONGS)] for group in ARTISTS])
    golden["tests"] = np.array(TESTS)
    golden["relevance"] = np.array(RELEVANCE)
    np.savez_compressed(Path(__file__).with_name("golden_bob_gmm.npz"), **golden)


def made_up_songs() -> np.ndarray:
    """Return frames (song, frame, coefficient) that lie off the origin, as the level does, and have unlike scales."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(12, COEFFICIENTS)) * [60, 20, 10, 5, 1] + [-300, 80, 0, 0, 0]
    own = draw.normal(size=(SONGS, 1, COEFFICIENTS)) * [20, 8, 3, 1, 0.3]
    which = draw.integers(len(centres), size=(SONGS, FRAMES))
    noise = draw.normal(size=(SONGS, FRAMES, COEFFICIENTS)) * [25, 8, 6, 3, 0.7]
    return (centres[which] + own + noise).astype(np.float32)


def mixture(start: dict[str, np.ndarray]) -> bob.learn.em.GMMMachine:
    machine = bob.learn.em.GMMMachine(MIXTURES, update_means=True, update_variances=True, update_weights=True)
    machine.weights, machine.means, machine.variances = start["weights"], start["means"], start["variances"]
    return machine


def one_iteration(machine: bob.learn.em.GMMMachine, frames: np.ndarray) -> float:
    """Update the mixture; return the mean log-likelihood before."""
    statistics = machine.acc_stats(frames)
    _, average = bob.learn.em.gmm.m_step([statistics], machine)
    return average


def adapted(ubm: bob.learn.em.GMMMachine, statistics: list) -> bob.learn.em.GMMMachine:
    """Adapt the means to the sum of statistics, by bob's maximisation of one step."""
    model = bob.learn.em.GMMMachine(MIXTURES, trainer="map", ubm=ubm, map_relevance_factor=RELEVANCE)
    total = functools.reduce(operator.add, statistics)
    bob.learn.em.gmm.m_step([total], model)
    return model


def ratio(model: bob.learn.em.GMMMachine, ubm: bob.learn.em.GMMMachine, song: np.ndarray) -> float:
    frames = song.astype(np.float64)
    return float(np.mean(model.log_likelihood(frames) - ubm.log_likelihood(frames)))


if __name__ == "__main__":
    main()
