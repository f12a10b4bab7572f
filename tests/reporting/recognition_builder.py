"""What a study of artist recognition hands to its report: fourteen systems, five numbers of training artists."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from tests.reporting.page_checks import EVIL

SIZES = (100, 300, 500, 1000, 2000)
HASHES = ("ab12" * 16, "cd34" * 16)
SYSTEMS = (
    # encoder, scoring, EER on 100 artists, what a factor of ten of artists takes off it, calibrated
    ("DeepArtistID", "cosine", 0.30, 0.060, False),
    ("DeepArtistID", "PLDA", 0.28, 0.065, True),
    ("DeepArtistID + linear discriminant", "cosine", 0.27, 0.060, False),
    ("DeepArtistID + linear discriminant", "PLDA", 0.26, 0.062, True),
    ("GMM-UBM", "log-likelihood ratio", 0.33, 0.010, False),
    ("i-vector", "cosine", 0.29, 0.012, False),
    ("i-vector", "PLDA", 0.26, 0.015, True),
    ("early fusion", "PLDA", 0.29, 0.040, True),
    ("late fusion (plain average)", "PLDA", 0.24, 0.050, False),
    ("late fusion (calibrated)", "PLDA", 0.23, 0.052, True),
    ("released Siamese", "cosine", 0.21, None, False),
    (f"MFCC {EVIL}", "cosine", 0.47, None, False),
)
METRICS = ("eer", "min_dcf_0.01", "min_dcf_0.05", "cllr", "top1", "top5")
CHANCE = {"eer": 0.5, "min_dcf_0.01": 1.0, "min_dcf_0.05": 1.0, "cllr": np.nan, "top1": 0.02, "top5": 0.1}


def eer_of(start: float, slope: float | None, n: float) -> float:
    """The EER of a system."""
    return start if slope is None else start - slope * float(np.log10(n / 100))


def systems() -> list[dict[str, Any]]:
    """Every system on every number of artists; those that were not trained on artists once."""
    return [
        {"system": f"{encoder} {scoring} {n:g}" if slope else f"{encoder} {scoring}", "encoder": encoder}
        | {"scoring": scoring, "n_artists_trained": float(n) if slope else np.nan, "eer": eer_of(start, slope, n)}
        | {"calibrated": calibrated}
        for encoder, scoring, start, slope, calibrated in SYSTEMS
        for n in (SIZES if slope else (np.nan,))
    ]


def values_of(eer: float) -> dict[str, float]:
    """All metrics of a system of this EER."""
    top1 = float(np.clip(1.3 * (0.5 - eer) ** 0.8, 0, 1))
    return {
        "eer": eer, "min_dcf_0.01": min(1.0, 0.35 + 1.6 * eer), "min_dcf_0.05": min(1.0, 0.2 + 1.6 * eer),
        "cllr": 0.25 + 1.4 * eer, "top1": top1, "top5": min(1.0, top1 + 0.25),
    }  # fmt: skip


def score_table() -> pd.DataFrame:
    """recognition_score_table."""
    rows = []
    for each in systems():
        for metric, value in values_of(each["eer"]).items():
            if metric == "cllr" and not each["calibrated"]:
                continue
            rows.append(
                {key: each[key] for key in ("system", "encoder", "scoring", "n_artists_trained")}
                | {"metric": metric, "of": "overall", "value": value, "low": value - 0.03, "high": value + 0.035}
                | {"trial_sd": 0.004, "n_trials": 2, "n_items": 250, "n_undefined": 0, "n_units": 50}
                | {"unit": "artist", "note": "", "chance": CHANCE[metric]}
            )
    return pd.DataFrame(rows)


def comparison_table() -> pd.DataFrame:
    """recognition_comparison_table: every two systems on as many artists, and the largest number against the least."""
    known = systems()
    here = [each for each in known if each["n_artists_trained"] in (2000.0,) or np.isnan(each["n_artists_trained"])]
    pairs = list(combinations(here, 2))
    for encoder, scoring, _, slope, _ in SYSTEMS:
        if slope:
            own = [x for x in known if (x["encoder"], x["scoring"]) == (encoder, scoring)]
            pairs.append((own[-1], own[0]))
    rows = []
    for metric in METRICS:
        family = []
        for first, second in pairs:
            if metric == "cllr" and not (first["calibrated"] and second["calibrated"]):
                continue
            effect = values_of(first["eer"])[metric] - values_of(second["eer"])[metric]
            error = 0.017
            p = float(2 * norm.sf(abs(effect) / error))
            family.append(
                (metric, first["system"], second["system"], effect, effect - 2 * error, effect + 2 * error, p)
            )
        rows += [(*row, min(1.0, row[-1] * len(family))) for row in family]
    names = ["metric", "first", "second", "effect", "low", "high", "p", "p_holm"]
    table = pd.DataFrame(rows, columns=names)
    return table.assign(of="overall", n_items=250, n_undefined=0, n_units=50, unit="artist", note="")


def det_table() -> pd.DataFrame:
    """Curves of normal scores, each with the EER of its system."""
    parts = []
    for each in systems():
        apart = -2 * norm.ppf(each["eer"])
        threshold = np.linspace(-6, 6, 900)
        false_alarm = np.r_[1.0, norm.sf(threshold), 0.0]
        miss = np.r_[0.0, norm.cdf(threshold - apart), 1.0]
        keys = {key: each[key] for key in ("system", "n_artists_trained")}
        parts.append(pd.DataFrame({**keys, "false_alarm": false_alarm, "miss": miss}))
    return pd.concat(parts, ignore_index=True)


def histogram_table() -> pd.DataFrame:
    """Fifty bins of each kind of trial."""
    parts = []
    for k, each in enumerate(systems()):
        apart, scale = -2 * norm.ppf(each["eer"]), 10.0 ** (k % 3 - 1)
        edges = np.linspace(-4, 8, 51)
        for target, mean, trials in ((True, apart, 250), (False, 0.0, 12_250)):
            share = np.diff(norm.cdf(edges - mean))
            parts.append(
                pd.DataFrame(
                    {"system": each["system"], "n_artists_trained": each["n_artists_trained"], "target": target}
                    | {
                        "left": edges[:-1] * scale,
                        "right": edges[1:] * scale,
                        "count": np.round(share * trials).astype(int),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def artist_table() -> pd.DataFrame:
    """Fifty artists, some hard, one with an awkward name and one without any."""
    draw = np.random.default_rng([0, 31])
    hard = draw.beta(2, 6, size=50)
    rows = []
    for each in systems():
        for k in range(50):
            error = float(np.clip(hard[k] + each["eer"] - 0.25 + draw.normal() * 0.02, 0, 1))
            name = EVIL if k == int(hard.argmax()) else None if k == 7 else f"Artist {k}"
            rows.append(
                {"system": each["system"], "n_artists_trained": each["n_artists_trained"], "artist_id": f"a{k:02d}"}
                | {"artist": name, "eer": error, "top1": float(np.clip(1 - 2 * error, 0, 1)), "n_tests": 5}
            )
    return pd.DataFrame(rows)


def transfer_table() -> pd.DataFrame:
    """The artist_score_table of a run on composers and GTZAN, with and without linear discriminant."""
    rows = []
    for target, metric in (("composers", "softmax_accuracy"), ("gtzan", "softmax_accuracy"), ("composers", "auc")):
        for on in (False, True):
            for n in (100, 500, 2000):
                for seed in range(2):
                    value = 0.4 + 0.08 * np.log10(n / 100) + 0.01 * on + 0.004 * seed
                    rows.append(
                        {"system": f"basic_{n}_s{seed}", "net": "basic", "n_artists_trained": n, "seed": seed}
                        | {"target": target, "metric": metric, "of": "macro" if metric == "auc" else "overall"}
                        | {"value": value, "low": value - 0.05, "high": value + 0.05, "unit": "artist"}
                        | {"linear_discriminant": on}
                    )
    other = {**rows[0], "metric": "map"}
    return pd.DataFrame([*rows, other, {**rows[0], "of": "blues"}])


def protocol_facts() -> dict[int, dict[str, Any]]:
    """Two folds."""
    return {
        fold: {
            "artists": [f"a{k:02d}" for k in range(25)],
            "enrol": 15,
            "test": 5,
            "albums": "any",
            "trials": 25 * 125,
            "targets": 125,
            "validation_artists": 12,
            "hash": HASHES[fold],
            "counts": {"candidates": 30, "artists": 25, "tracks of candidates beyond one a song": 4},
            "left_out": {
                "fewer songs than needed": {"b1": 3, EVIL: 19},
                "silent enrolments": ["t9"] if fold else [],
                "albums_that_cannot_be_parted": 0,
            },
        }
        for fold in range(2)
    }


def report() -> dict[str, Any]:
    """All arguments of `render_recognition_page`."""
    return {
        "corpus": "composers",
        "recognition_score_table": score_table(),
        "recognition_comparison_table": comparison_table(),
        "det_table": det_table(),
        "score_histogram_table": histogram_table(),
        "artist_table": artist_table(),
        "other_corpora": {"open_music": (score_table().assign(n_units=8), comparison_table())},
        "transfer_score_table": transfer_table(),
        "protocol_facts": protocol_facts(),
        "corpus_facts": {"tracks": 921, "usable": 915, "artists": 51},
        "quarantine_table": pd.DataFrame({"track_id": ["1", "2"], "reason": ["silent", f"unreadable: {EVIL}"]}),
        "leaks": ["2 artists of the trials were heard by the released net."],
        "notes": [f"album {EVIL}"],
        "parameters": {"recognition": {"enrol": 15, "test": 5}, "seed": 0},
        "provenance": {"git commit": "a" * 40, "seed": 0},
    }


TABLES = ("recognition_score_table", "det_table", "score_histogram_table", "artist_table")


def only(inputs: dict[str, Any], encoder: str, scoring: str, size: float) -> dict[str, Any]:
    """The same report of one system on one number of artists."""
    scores = inputs["recognition_score_table"]
    here = (scores["encoder"] == encoder) & (scores["scoring"] == scoring) & (scores["n_artists_trained"] == size)
    return _of(inputs, {scores.loc[here, "system"].iloc[0]}) | {
        "recognition_comparison_table": None,
        "transfer_score_table": None,
    }


def few(inputs: dict[str, Any]) -> dict[str, Any]:
    """The same report of two systems on two numbers of artists, and one without any."""
    kept = [f"{name} {n}" for name in ("DeepArtistID cosine", "i-vector PLDA") for n in (100, 2000)]
    return _of(inputs, {*kept, "released Siamese cosine"})


def _of(inputs: dict[str, Any], names: set[str]) -> dict[str, Any]:
    pairs = inputs["recognition_comparison_table"]
    known = pairs[pairs["first"].isin(names) & pairs["second"].isin(names)]
    parts = {key: inputs[key][inputs[key]["system"].isin(names)] for key in TABLES}
    return inputs | parts | {"recognition_comparison_table": known}
