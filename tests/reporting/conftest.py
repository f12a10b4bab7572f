"""What a finished run hands to its report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

# so that what fails in a shared check is shown with its values
pytest.register_assert_rewrite("tests.reporting.browser", "tests.reporting.page_checks")

from tests.reporting.page_checks import EVIL  # noqa: E402

GENRES = ["baroque", "classical", "modern", "renaissance", "romantic"]


@pytest.fixture
def history() -> pd.DataFrame:
    """Losses of two nets in two folds."""
    rows = [
        {"fold": fold, "net": net, "epoch": epoch, "task": task, "loss": 1 + 2 / (epoch + fold) + k / 10}
        for fold in range(2)
        for net, tasks in (("mtn", "gsedm"), ("stn_g", "g"))
        for k, task in enumerate(tasks)
        for epoch in range(1, 31)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def metrics() -> dict[str, float]:
    """Scores: better than the priors, open against the STN, worse than MFCC statistics in log loss."""
    flat: dict[str, float] = {}
    scores = {
        "transfer": (1.48, 0.33, 0.42),
        "baseline.stn_g": (1.52, 0.31, 0.41),
        "baseline.mfcc_logreg": (1.40, 0.31, 0.40),
        "baseline.prior": (1.61, 0.12, 0.44),
    }
    for prefix, values in scores.items():
        for name, value in zip(("log_loss", "f1_macro", "accuracy"), values, strict=True):
            flat |= {f"{prefix}.{name}": value}
            flat |= {f"{prefix}.{name}_low": value - 0.05, f"{prefix}.{name}_high": value + 0.06}
        flat[f"{prefix}.n_tracks"] = 140.0
    differences = {
        "stn_g": ((-0.04, -0.10, 0.02, 0.2), (0.02, -0.03, 0.07, 0.4)),
        "mfcc_logreg": ((0.08, 0.01, 0.15, 0.02), (0.02, -0.04, 0.08, 0.5)),
        "prior": ((-0.13, -0.20, -0.06, 0.0005), (0.21, 0.15, 0.27, 0.0005)),
    }
    for name, pair in differences.items():
        for metric, (effect, low, high, p) in zip(("log_loss", "f1_macro"), pair, strict=True):
            at = f"difference.{name}.{metric}"
            flat |= {at: effect, f"{at}_low": low, f"{at}_high": high, f"{at}_p": p}
    return flat


@pytest.fixture
def map_table() -> pd.DataFrame:
    """Artists in the plane; one means harm, one has no genre."""
    draw = np.random.default_rng([0, 3])
    n = 51
    genres: list[str | None] = [GENRES[k % 5] for k in range(n)]
    genres[-1] = None
    places = draw.normal(size=(n, 2)) + np.array([[3 * np.cos(k % 5), 3 * np.sin(k % 5)] for k in range(n)])
    names = [EVIL, *(f"Composer {k}" for k in range(1, n))]
    table = pd.DataFrame({"artist_id": [f"a{k:02d}" for k in range(n)], "artist": names, "genre": genres})
    return table.assign(x=places[:, 0], y=places[:, 1], n_tracks=range(1, n + 1))


@pytest.fixture
def factor_tables() -> dict[str, pd.DataFrame]:
    """Factors of forty groups for the four feature sets."""
    draw = np.random.default_rng([0, 4])
    tables = {}
    for letter, concentration in zip("sedm", (0.02, 0.05, 0.2, 50.0), strict=True):
        theta = draw.dirichlet([concentration] * 40, size=51)
        table = pd.DataFrame(theta, columns=[f"f{k:02d}" for k in range(40)])
        table.insert(0, "artist_id", [f"a{k:02d}" for k in range(51)])
        table.insert(0, "fold", 0)
        tables[letter] = table
    return tables


@pytest.fixture
def inputs(
    history: pd.DataFrame,
    metrics: dict[str, float],
    map_table: pd.DataFrame,
    factor_tables: dict[str, pd.DataFrame],
) -> dict[str, Any]:
    """All arguments of `render_report`."""
    reading = pd.DataFrame(
        {
            "factor": range(6),
            "share": [0.3, 0.2, 0.2, 0.1, 0.1, 0.1],
            "artists": [[EVIL, "Bach", "Händel"], ["Chopin"], ["Joplin"], ["Monte"], ["Satie"], ["Wolf"]],
            "genres": [
                ["baroque 80 %"],
                ["romantic 95 %"],
                ["modern"],
                ["renaissance"],
                ["modern"],
                ["romantic"],
            ],
        }
    )
    quarantine = pd.DataFrame(
        {
            "track_id": [f"{k:06d}" for k in range(9)],
            "path": [f"000/{k:06d}.mp3" for k in range(9)],
            "artist_id": ["a01", None, "a02", "a03", "a04", "a05", "a06", "a07", "a08"],
            "reason": [
                "empty file",
                "missing file",
                *["truncated: 12.3 s of 30.0 s declared"] * 4,
                "unreadable: no frames",
                "unreadable: bad header",
                f"unreadable: {EVIL}",
            ],
        }
    )
    leakage = pd.DataFrame(
        [
            {"fold": 0, "kind": kind, "shared_validation": v, "shared_test": t, "shared_unseen": 0}
            | {"test_tracks": 140, "test_tracks_affected": a, "test_share_affected": a / 140}
            for kind, v, t, a in (
                ("artists", 20, 30, 105),
                ("recordings", 0, 0, 0),
                ("exact duplicates", 0, 0, 0),
                ("albums", 3, 4, 12),
            )
        ]
    )
    confusion = pd.DataFrame(
        np.random.default_rng([0, 5]).integers(0, 30, (5, 5)) + 30 * np.eye(5, dtype=int),
        index=pd.Index(GENRES, name="genre_true"),
        columns=pd.Index(GENRES, name="genre_predicted"),
    )
    per_genre = pd.DataFrame(
        {"genre": GENRES, "f1": [0.5, 0.2, 0.3, 0.1, 0.6], "precision": [0.5] * 5, "recall": [0.4] * 5}
    ).assign(n_tracks=[98, 144, 208, 60, 411], n_predicted=[90, 100, 200, 31, 500])
    facts = {
        "artists": 51,
        "centres": 1900,
        "groups": 40,
        "uniformity": 0.4213,
        "notes": ["1900 centres instead of 2048: there are only 19,000 frames"],
    }
    return {
        "counts": {"tracks": 930, "usable": 921, "quarantined": 9, "artists": 51, "genres": 5},
        "quarantine_table": quarantine,
        "split_facts": {
            "kind": "stratified",
            "folds": 1,
            "seed": 0,
            "hash": "0123456789abcdef",
            "sizes": {"fold 0": {"train": 665, "test": 140, "validation": 116}},
        },
        "parameters": {
            "corpus": "table",
            "tasks": "gsedm",
            "architecture": "mtn",
            "split": "stratified",
            "fit_on": "train",
            "seed": 0,
            "embeddings": None,
            "transfer": {"bootstrap": {"level": 0.95, "resamples": 2000}, "epochs": None},
        },
        "provenance": {"git commit": "a" * 40, "seed": 0, "fit on": "train", "device": "cpu", "threads": 2},
        "leakage_table": leakage,
        "factor_readings": dict.fromkeys("sedm", reading),
        "factor_facts": dict.fromkeys("sedm", facts),
        "factor_tables": factor_tables,
        "history": history,
        "metrics": metrics,
        "per_genre": per_genre,
        "confusion": confusion,
        "map_table": map_table,
        "notes": ["2 tracks without genre", f"album {EVIL}"],
    }
