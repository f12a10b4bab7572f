"""What a study of artist nets hands to its report: four targets, three kinds of net, two systems besides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from tests.reporting.page_checks import EVIL

SIZES = (500, 1000, 2000, 5000)
GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", EVIL)
TAGS = tuple(f"tag {k:02d}" for k in range(50))
TARGETS = {
    "gtzan": ("map", "knn_accuracy", "softmax_accuracy"),
    "fma_small": ("map", "knn_accuracy", "softmax_accuracy"),
    "composers": ("map", "knn_accuracy", "softmax_accuracy"),
    "magnatagatune": ("auc", "ap"),
}
COUNTS = ["n_items", "n_undefined", "n_units"]


def systems() -> dict[str, dict[str, object]]:
    """Every system with its net, number of artists and seed."""
    found: dict[str, dict[str, object]] = {}
    for net in ("basic", "siamese"):
        for n in SIZES:
            for seed in range(2 if n == 500 else 1):
                found[f"{net}_{n}_s{seed}"] = {"net": net, "n_artists_trained": n, "seed": seed}
    found["tag_5000"] = {"net": "tag", "n_artists_trained": 5000, "seed": 0}
    return found | {"released Siamese": {"net": "released"}, "MFCC": {"net": "mfcc"}}


def score_table() -> pd.DataFrame:
    """Scores that grow with the number of artists, those of the Siamese net faster."""
    draw = np.random.default_rng([0, 21])
    rows = []
    for target, metrics in TARGETS.items():
        unit = "track" if target == "gtzan" else "artist"
        parts = GENRES if target == "gtzan" else TAGS if target == "magnatagatune" else ()
        for metric in metrics:
            whole = "macro" if metric in ("auc", "ap") else "overall"
            for name, facts in systems().items():
                net, n = facts["net"], facts.get("n_artists_trained", np.nan)
                base = {"basic": 0.45, "siamese": 0.40, "tag": 0.55, "released": 0.58, "mfcc": 0.31}[str(net)]
                grown = np.log10(float(n) / 100) * (0.1 if net == "siamese" else 0.06) if n == n else 0.0  # type: ignore[arg-type]
                value = base + grown + draw.normal() * 0.004 + (0.2 if metric == "auc" else 0)
                for of in (whole, *(parts if metric in ("knn_accuracy", "auc") else ())):
                    here = value if of == whole else value + draw.normal() * 0.1
                    half = 0.02 if of == whole else 0.06
                    rows.append(
                        {"system": name, "metric": metric, "of": of, "value": here, "low": here - half}
                        | {"high": here + half, "unit": unit, "note": "", "target": target, "list_hash": "ab12"}
                        | {"n_items": 290, "n_undefined": 3, "n_units": 57, "seed": None, "n_artists_trained": np.nan}
                        | facts
                    )
    return pd.DataFrame(rows)


def comparison_table() -> pd.DataFrame:
    """A difference in each direction, an open one, one that falls to the correction, one without interval."""
    rows = [
        ("gtzan", "map", "siamese_5000_s0", "basic_5000_s0", 0.05, 0.02, 0.08, 0.001, 0.008),
        ("fma_small", "knn_accuracy", "siamese_5000_s0", "tag_5000", -0.06, -0.10, -0.02, 0.002, 0.01),
        ("composers", "map", "siamese_5000_s0", "released Siamese", 0.00, -0.03, 0.03, 0.9, 1.0),
        ("composers", "softmax_accuracy", "basic_5000_s0", "MFCC", 0.03, 0.001, 0.06, 0.04, 0.2),
        ("magnatagatune", "auc", "siamese_5000_s0", "MFCC", 0.2, np.nan, np.nan, np.nan, np.nan),
    ]
    names = ["target", "metric", "first", "second", "effect", "low", "high", "p", "p_holm"]
    table = pd.DataFrame(rows, columns=names)
    table["of"] = ["macro" if metric in ("auc", "ap") else "overall" for metric in table["metric"]]
    return table.assign(n_items=290, n_units=57, unit="artist", note="")


def track_map(labels: int = 25) -> pd.DataFrame:
    """Tracks in the plane, of many artists, one with an awkward name, some without a genre."""
    draw = np.random.default_rng([0, 22])
    artist = np.repeat(np.arange(labels), 12)
    angle = artist * 2 * np.pi / labels
    places = np.stack([6 * np.cos(angle), 6 * np.sin(angle)], axis=1) + draw.normal(size=(len(artist), 2))
    genres = [None if k % 10 == 9 else GENRES[k % 10] for k in artist]
    table = pd.DataFrame(
        {
            "track_id": [f"{k:06d}" for k in range(len(artist))],
            "artist_id": [f"a{k:02d}" for k in artist],
            "artist": [EVIL if k == 0 else f"Artist {k}" for k in artist],
            "title": [None if k % 17 == 0 else f"Song {k}" for k in range(len(artist))],
            "genre": pd.Series(genres, dtype=object),
        }
    ).assign(x=places[:, 0], y=places[:, 1])
    table.attrs["n_tracks"] = 5000
    return table


def artist_set_table() -> pd.DataFrame:
    """Nested sets of 2, 3 and 5 artists with 5 songs, and 2 unseen artists."""
    sides = ("train", "train", "train", "validation", "test")
    rows = [
        (n, f"a{artist}", f"a{artist}.{k}", k + 1, side if artist < n else "unseen")
        for n in (2, 3, 5)
        for artist in [*range(n), 90, 91]
        for k, side in enumerate(sides)
    ]
    return pd.DataFrame(rows, columns=["set", "artist_id", "track_id", "position", "side"])


def history() -> pd.DataFrame:
    """Losses of three nets."""
    rows = [
        {"net": name, "epoch": epoch, "loss": height / (epoch + 1) ** 0.5, "validation_loss": height / epoch**0.3}
        for name, height in (("basic_5000_s0", 8.5), ("siamese_5000_s0", 1.6), ("tag_5000", 0.3))
        for epoch in range(1, 41)
    ]
    return pd.DataFrame(rows).assign(learning_rate=0.015, steps=100)


def report() -> dict[str, Any]:
    """All arguments of `render_artist_report`."""
    neighbours = pd.DataFrame(
        [
            (f"a{artist}", name, rank, f"a{rank}", f"Artist {9 - rank}", 0.9 - 0.1 * rank)
            for artist, name in enumerate((EVIL, "Artist 1", "Artist 2", "Artist 2"))
            for rank in range(1, 4)
        ],
        columns=["artist_id", "artist", "rank", "neighbour_id", "neighbour", "score"],
    )  # fmt: skip
    return {
        "counts": {"tracks": 9_300, "usable": 9_210, "left out": 90, "artists": 512},
        "quarantine_table": pd.DataFrame({"track_id": ["1", "2"], "reason": ["empty file", f"unreadable: {EVIL}"]}),
        "exclusions": {"artists with fewer than 20 songs": 12, "tags that are not defined": 3},
        "artist_set_table": artist_set_table(),
        "lists": [
            {"target": "gtzan", "list": "fault-filtered", "tracks": 930, "hash": "ab12cd34"},
            {"target": "magnatagatune", "list": "cleaned", "tracks": 21_105, "hash": "99ff00aa"},
        ],
        "leaks": ["7 test tracks of FMA small are of artists that the nets were trained on."],
        "history": history(),
        "score_table": score_table(),
        "comparison_table": comparison_table(),
        "neighbours": neighbours,
        "maps": {"artist": track_map(), "genre": track_map()},
        "notes": [f"album {EVIL}"],
        "parameters": {"search": {"k": 10}, "seed": 0},
        "provenance": {"git commit": "a" * 40, "seed": 0},
    }
