"""Predictions of a study made of numbers: how probable each case held the true genre of each track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from artist_transfer.study.cases import all_cases

GENRES = list("abc")


def study_predictions(
    p_true: Mapping[str, np.ndarray],
    *,
    artist: np.ndarray,
    truth: np.ndarray,
    tested: Sequence[np.ndarray] | None = None,
) -> pd.DataFrame:
    """Make a study_predictions_table.

    `p_true` is (replicate, track) by case; `tested` which tracks each replicate has, by default all. Of what is left
    the next genre gets nine tenths.
    """
    tables = []
    for case, of_replicates in p_true.items():
        for seed, p in enumerate(np.atleast_2d(of_replicates)):
            values = np.empty((len(truth), 3))
            every = np.arange(len(truth))
            values[every, truth] = p
            values[every, (truth + 1) % 3] = 0.9 * (1 - p)
            values[every, (truth + 2) % 3] = 0.1 * (1 - p)
            fixed = {
                "case": case,
                "seed": seed,
                "split_seed": 0 if tested is None else seed,
                "fold": 0,
                "track_id": [f"t{k:05d}" for k in every],
                "artist_id": [f"artist {k}" for k in artist],
                "genre_true": [GENRES[k] for k in truth],
                "genre_predicted": [GENRES[k] for k in values.argmax(axis=1)],
            }
            table = pd.DataFrame(fixed | {f"p_{name}": values[:, k] for k, name in enumerate(GENRES)})
            tables.append(table if tested is None else table[tested[seed]])
    return pd.concat(tables, ignore_index=True)


def world(n_artists: int, per_artist: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Give the artist and the true genre of every track (an artist has one genre), and a source of noise."""
    draw = np.random.default_rng([seed, 99])
    artist = np.repeat(np.arange(n_artists), per_artist)
    return artist, draw.integers(0, 3, n_artists)[artist], draw


def noise(
    names: Sequence[str], artist: np.ndarray, draw: np.random.Generator, *, n_replicates: int = 1
) -> dict[str, np.ndarray]:
    """Let every case be right or wrong about an artist by the toss of a coin."""
    size = (n_replicates, int(artist.max()) + 1)
    return {name: np.where(draw.random(size) < 0.5, 0.8, 0.1)[:, artist] for name in names}


def case_table(tasks: str = "gsedm", *, baselines: Sequence[str] = ("prior", "mfcc_logreg")) -> pd.DataFrame:
    """Make a study_case_table in which every case is done."""
    rows = [
        {"case": x.name, "tasks": x.tasks, "architecture": x.architecture, "n_tasks": x.n, "kind": x.kind}
        for x in all_cases("all", tasks)
    ]
    rows += [
        {"case": name, "tasks": None, "architecture": "baseline", "n_tasks": 0, "kind": "baseline"}
        for name in baselines
    ]
    return pd.DataFrame(rows).assign(width=1.0, n_parameters=1, status="done", reason=None)
