"""Makes the tables of a study without any study: scores by the cases' names, and comparisons of each kind."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from tests.reporting.page_checks import EVIL

METRICS = ("log_loss", "f1_macro", "accuracy")
TASKS = "gsedm"
SUBSETS = ["".join(chosen) for size in range(1, 6) for chosen in combinations(TASKS, size)]
FAILURE = f"training diverged in epoch 3 {EVIL}"


def case_rows() -> list[dict[str, Any]]:
    """Every case: the grid, wide nets, controls, baselines; one failed, one skipped."""
    rows = [(f"{tasks}-{net}", tasks, net, len(tasks), "grid") for tasks in SUBSETS for net in nets(tasks)]
    rows += [(f"g-wstn{n}", "g", "wstn", n, "wide") for n in range(2, 6)]
    rows += [("a-stn", "a", "stn", 1, "control")]
    rows += [
        (f"{tasks}-{net}", tasks, net, len(tasks), "control") for tasks in ("ga", "gS", "gSEDM") for net in nets(tasks)
    ]
    rows += [(name, "", "baseline", 0, "baseline") for name in ("prior", "mfcc_logreg")]
    table = [dict(zip(("case", "tasks", "architecture", "n_tasks", "kind"), row, strict=True)) for row in rows]
    troubles = {"gdm-mtn": ("failed", FAILURE), "ga-mtn": ("skipped", "no artist has two tracks")}
    for row in table:
        status, reason = troubles.get(row["case"], ("done", None))
        net = row["kind"] != "baseline"
        row |= {
            "width": 1.44 if row["kind"] == "wide" else 1.0,
            "n_parameters": 566320 * max(1, row["n_tasks"]) if net else None,
        }
        row |= {"status": status, "reason": reason}
    return table


def nets(tasks: str) -> list[str]:
    """The architectures of a set of tasks."""
    return ["stn"] if len(tasks) == 1 else ["stn", "mtn"]


def case_table() -> pd.DataFrame:
    """study_case_table."""
    table = pd.DataFrame(case_rows())
    return table.astype({"n_parameters": "Int64", "width": float})


def score_table(cases: Iterable[str] | None = None, *, n_replicates: int = 1) -> pd.DataFrame:
    """study_score_table of the cases that are done."""
    rows = [row for row in case_rows() if row["status"] == "done" and (cases is None or row["case"] in set(cases))]
    draw = np.random.default_rng([3, 1])
    made = []
    for row in rows:
        quality = 0.05 * len(row["tasks"]) + 0.15 * ("g" in row["tasks"]) + draw.normal(0, 0.03)
        values = {"log_loss": 1.45 - 0.5 * quality, "f1_macro": 0.2 + 0.4 * quality, "accuracy": 0.4 + 0.3 * quality}
        cells: dict[str, Any] = {"case": row["case"]}
        for metric, value in values.items():
            width = 0.05 + draw.uniform(0, 0.02)
            cells |= {metric: value, f"{metric}_low": value - width, f"{metric}_high": value + 1.2 * width}
            cells[f"{metric}_seed_sd"] = draw.uniform(0.005, 0.04) if n_replicates > 1 else np.nan
        made.append(cells | {"n_replicates": n_replicates, "n_tracks": 921, "n_units": 51, "unit": "artist"})
    return pd.DataFrame(made)


def mean_table() -> pd.DataFrame:
    """study_mean_table, from the scores."""
    scores = score_table().set_index("case")
    rows = []
    for net in ("stn", "mtn"):
        groups = {f"n_tasks={n}": [x for x in SUBSETS if len(x) == n] for n in range(1, 6)}
        least = 2 if net == "mtn" else 1
        for group, wanted in (("with_g", True), ("without_g", False)):
            groups[group] = [x for x in SUBSETS if ("g" in x) == wanted and len(x) >= least]
        for group, sets in groups.items():
            planned = [f"{x}-{net if len(x) > 1 else 'stn'}" for x in sets]
            cases = [case for case in planned if case in scores.index]
            for metric in METRICS:
                value = scores.loc[cases, metric].mean()
                cells = {"group": group, "architecture": net, "n_cases": len(cases), "n_planned": len(planned)}
                rows.append(cells | {"metric": metric, "value": value, "low": value - 0.03, "high": value + 0.04})
    return pd.DataFrame(rows)


def comparison_rows(
    name: str,
    question: str,
    first: str,
    second: str,
    *,
    effects: dict[str, tuple[float, float, float]],
    p: float = 0.4,
    note: str = "",
    n_seeds: int = 3,
) -> list[dict[str, Any]]:
    """One comparison: by each metric effect and interval; shown where the interval excludes 0 and p is small."""
    rows = []
    for metric, (effect, low, high) in effects.items():
        verdict = "no difference shown"
        if p < 0.05 and (low > 0 or high < 0):
            verdict = "first better" if (effect < 0) == (metric == "log_loss") else "second better"
        cells = {"comparison": name, "question": question, "first": first, "second": second}
        cells |= {"n_first": 15, "n_second": 15, "metric": metric, "effect": effect, "low": low, "high": high}
        rows.append(cells | {"p": p / 10, "p_holm": p, "verdict": verdict, "n_seeds": n_seeds, "note": note})
    return rows


def comparison_table() -> pd.DataFrame:
    """study_comparison_table with every kind of end."""
    better = {"log_loss": (-0.081, -0.12, -0.04), "f1_macro": (0.062, 0.03, 0.09), "accuracy": (0.05, 0.01, 0.09)}
    worse = {"log_loss": (0.081, 0.04, 0.12), "f1_macro": (-0.062, -0.09, -0.03), "accuracy": (-0.05, -0.09, -0.01)}
    nothing = {"log_loss": (0.01, -0.05, 0.07), "f1_macro": (0.004, -0.021, 0.029), "accuracy": (0.0, -0.03, 0.03)}
    rows = comparison_rows(
        "with_g:stn",
        "Does genre help as one of the tasks (STN)?",
        "STN with g",
        "STN, the same without g",
        effects=better,
        p=0.0004,
    )
    rows += comparison_rows(
        "stn_vs_mtn:3",
        "Of 3 tasks, do separate nets differ from one that shares its first layer?",
        "STN of 3 tasks",
        "MTN of the same 3 tasks",
        effects=nothing,
    )
    for net in ("stn", "mtn"):
        name = net.upper()
        rows += comparison_rows(
            f"n_tasks:{net}:5-1",
            f"Are 5 tasks better than 1 ({name})?",
            f"{name} of 5 tasks",
            f"{name} of 1 task",
            effects=worse,
            p=0.01,
            note="with more tasks g is more often one of them",
        )
        rows += comparison_rows(
            f"all_vs_g:{net}",
            f"Are all tasks together better than genre alone ({name})?",
            f"gsedm-{net}",
            "g-stn",
            effects=nothing,
        )
        for n in range(2, 6):
            rows += comparison_rows(
                f"best_vs_wide:{net}:{n}",
                f"Is the best {name} of {n} tasks better than a genre net of the same size?",
                f"best {name} of {n} tasks",
                f"wide genre net as large as {n}",
                effects=nothing,
                note="chosen from 10 on one half of the artists, scored on the other; the choice is held fixed",
            )
    rows += comparison_rows(
        "true_vs_shuffled:stn",
        "Is it who is like whom that helps, not any second task that tells artists apart (STN)?",
        "STN of g and factors",
        "STN of g and the same factors shuffled among the artists",
        effects=better,
        p=0.03,
    )
    rows += comparison_rows(
        "baseline:g-stn:prior", f"Is g-stn better than {EVIL}?", "g-stn", "prior", effects=better, p=0.002
    )
    return pd.DataFrame(rows)


def best_table() -> pd.DataFrame:
    """study_best_table."""
    rows = []
    for n in range(2, 6):
        for k, net in enumerate(("wstn", "stn", "mtn")):
            for metric, value in (("log_loss", 1.3 - 0.02 * n), ("f1_macro", 0.33 + 0.01 * n), ("accuracy", 0.5)):
                honest = value if net == "wstn" else value + (0.03 if metric == "log_loss" else -0.03)
                case = f"g-wstn{n}" if net == "wstn" else f"{TASKS[:n]}-{net}"
                cells = {"n_tasks": n, "architecture": net, "case": case, "metric": metric, "value": value + k / 100}
                cells |= {"low": value - 0.1, "high": value + 0.12, "honest_value": honest, "honest_low": honest - 0.1}
                rows.append(cells | {"honest_high": honest + 0.13, "honest_case": case, "n_cases": 10})
    return pd.DataFrame(rows)


def ablation_table() -> pd.DataFrame:
    """study_ablation_table."""
    choices = {
        "dictionary": ("256", "1024", "2048", "4096"), "groups": ("10", "40", "160"), "targets": ("soft", "hard"),
        "fit_on": ("train", "all"), "split": ("artist_disjoint", "stratified"), "draw": ("batch", "epoch"),
    }  # fmt: skip
    defaults = ("2048", "40", "soft", "train", "artist_disjoint", "batch")
    rows: list[dict[str, Any]] = []
    for (ablation, values), default in zip(choices.items(), defaults, strict=True):
        for k, value in enumerate(values):
            skipped = value == "160"
            cells: dict[str, Any] = {
                "ablation": ablation,
                "value": value,
                "case": "gsedm-mtn",
                "is_default": value == default,
            }
            cells |= {
                "status": "skipped" if skipped else "done",
                "reason": "160 groups for 51 artists" if skipped else None,
            }
            cells |= {"n_tracks": 0 if skipped else 138 if value == "stratified" else 921, "n_replicates": 1}
            for metric, score in (("log_loss", 1.3), ("f1_macro", 0.35), ("accuracy", 0.5)):
                own = np.nan if skipped else score + 0.02 * k
                gap = np.nan if skipped or value in (default, "stratified") else 0.02 * k - 0.01
                cells |= {
                    metric: own,
                    f"{metric}_low": own - 0.1,
                    f"{metric}_high": own + 0.1,
                    f"{metric}_difference": gap,
                }
                cells |= {
                    f"{metric}_difference_low": gap - 0.05,
                    f"{metric}_difference_high": gap + 0.05,
                    f"{metric}_difference_p": gap * 0 + 0.3,
                }
            rows.append(cells)
    return pd.DataFrame(rows)


def groups_table() -> pd.DataFrame:
    """study_groups_table."""
    rows = [
        {
            "feature_set": letter,
            "groups": n,
            "coherence": -1 - k / 5 - 0.1 * np.log(n),
            "held_out_bound": -6 - 0.2 * k + 0.01 * n - 0.0001 * n * n,
        }
        | {"n_artists": 51, "status": "done", "reason": None}
        for k, letter in enumerate("mdes")
        for n in (10, 20, 40, 80)
    ]
    return pd.DataFrame(
        [
            *rows,
            {
                "feature_set": "s",
                "groups": 160,
                "n_artists": 51,
                "status": "skipped",
                "reason": "160 groups for 51 artists",
            },
        ]
    )


def facts() -> dict[str, Any]:
    """What the page is told besides."""
    return {
        "corpus": "composers", "n_tracks": 921, "n_artists": 51, "n_genres": 5, "split": "artist_disjoint", "folds": 5,
        "seeds": [0], "split_seeds": [0], "epochs": 30, "fit_on": "train", "device": "cpu", "level": 0.95,
        "transfer": {"epochs": 10, "hop": 43}, "git": {"git.commit": "0" * 40, "git.dirty": "false"},
        "held_out_unit": "nats a word", "left_out": {"artist_vs_g:mtn": "no complete pair of cases: ga-mtn skipped"},
        "parameters": {"study": {"cases": "all", "seeds": "0"}, "tasks": TASKS}, "notes": [f"album {EVIL}"],
    }  # fmt: skip


def study(*, n_replicates: int = 1) -> dict[str, Any]:
    """All arguments of `render_study`."""
    return {
        "case_table": case_table(), "score_table": score_table(n_replicates=n_replicates), "mean_table": mean_table(),
        "comparison_table": comparison_table().assign(n_seeds=n_replicates), "best_table": best_table(),
        "ablation_table": ablation_table(), "groups_table": groups_table(), "facts": facts(),
    }  # fmt: skip
