"""How much data a study rests on, in which setting, and what could have been seen with it: the page's first words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from artist_transfer.evaluation.small_samples import MIN_UNITS, UnitCount
from artist_transfer.reporting.paper import LABEL
from artist_transfer.reporting.scores import METRICS, SAID, number, percent
from artist_transfer.reporting.study_paper import PAPER_EPOCHS, main_gain
from artist_transfer.reporting.study_sentences import size_text
from artist_transfer.reporting.study_tables import rows_of
from artist_transfer.reporting.study_views import COMPARISON_COLUMNS
from artist_transfer.reporting.tables import with_interval


def opening(
    facts: Mapping[str, Any],
    case_table: pd.DataFrame,
    score_table: pd.DataFrame,
    comparison_table: pd.DataFrame | None,
) -> list[str]:
    """Say how much data there is, in which setting, and what could have been seen with it.

    Parameters
    ----------
    facts : mapping
        See `study_page.render_study`.
    case_table, score_table : pd.DataFrame
    comparison_table : pd.DataFrame or None

    Returns
    -------
    list of str
        Paragraphs: the data, the simple baselines, and what could have been seen.
    """
    level = number(facts.get("level", 0.95))
    scores = {str(row["case"]): row for row in rows_of(score_table, ("case",), "score_table")}
    data = [_data_sentence(facts), _tested_sentence(scores), _training_sentence(facts), _setting_sentence(facts)]
    power = _power_sentences(
        rows_of(comparison_table, COMPARISON_COLUMNS, "comparison_table"), level, _units(_first(scores))
    )
    paragraphs = (data, [_baseline_sentence(case_table, scores, level)], power)
    return [text for text in (" ".join(filter(None, each)) for each in paragraphs) if text]


def alarms(facts: Mapping[str, Any]) -> list[str]:
    """Say what makes the scores optimistic.

    Parameters
    ----------
    facts : mapping

    Returns
    -------
    list of str
        Empty if nothing is known to.
    """
    said = []
    if artists_shared(facts):
        said.append(
            "Artists stand in training and in test at once, as in the paper: scores are then optimistic. They say "
            "nothing about music of artists whom the nets have never heard."
        )
    if facts.get("fit_on") == "all":
        said.append(
            "The factors were fitted on all tracks, those of the test included (fit_on: all, the paper's way): scores "
            "are then optimistic."
        )
    return said


def artists_shared(facts: Mapping[str, Any]) -> bool | None:
    """Tell whether artists stand on both sides of the split.

    Parameters
    ----------
    facts : mapping
        ``artists_shared``, or else ``split``.

    Returns
    -------
    bool or None
        None where it is not known.
    """
    if facts.get("artists_shared") is not None:
        return bool(facts["artists_shared"])
    return {"artist_disjoint": False, "stratified": True, "balanced": True}.get(str(facts.get("split", "")))


def _data_sentence(facts: Mapping[str, Any]) -> str:
    parts = [
        f"{int(number(facts[key])):,} {name}"
        for key, name in (("n_tracks", "tracks"), ("n_artists", "artists"), ("n_genres", "genres"))
        if isfinite(number(facts.get(key)))
    ]
    size = f": {', '.join(parts)}" if parts else ""
    split = str(facts.get("split", "not stated")).replace("_", "-")
    folds = number(facts.get("folds"))
    pooled = f", {int(folds)} folds pooled" if folds > 1 else ""
    seeds, splits = (_numbers(facts.get(key)) for key in ("seeds", "split_seeds"))
    return (
        f"Corpus {facts.get('corpus', 'not named')}{size}. Split {split}{pooled}; {_counted(seeds, 'seed')}, "
        f"{_counted(splits, 'split')}."
    )


def _numbers(value: object) -> list[str]:
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, (list, tuple)) else [str(value)]


def _counted(values: Sequence[str], what: str) -> str:
    if not values:
        return f"number of {what}s not stated"
    return f"{len(values)} {what if len(values) == 1 else what + 's'} ({', '.join(values)})"


def _tested_sentence(scores: Mapping[str, Mapping[str, Any]]) -> str:
    row = _first(scores)
    if row is None:
        return ""
    units, unit, n = int(number(row["n_units"])), str(row.get("unit", "unit")), number(row.get("n_replicates"))
    tested = f"Scores are of {int(number(row['n_tracks'])):,} test tracks"
    if units < 2:
        return f"{tested} that make {units} {unit}: there are no intervals then, and no comparison can show anything."
    method = (
        "Of a score they are the expanded percentiles of that bootstrap, of a difference the t interval with its "
        f"standard error.{_worth(row, unit)}"
    )
    if isfinite(n) and n > 1:
        drawn = f"{units:,} {unit}s and the seeds and splits of {int(n)} replicates"
        return f"{tested}; the intervals resample {drawn}. {method}"
    return (
        f"{tested}; the intervals resample {units:,} {unit}s. {method} They hold what other {unit}s would change, not "
        "what another seed or split would: there is one of each."
    )


def _worth(row: Mapping[str, Any], unit: str) -> str:
    """Say what the units are worth where that is less than their number."""
    found = _units(row)
    said = []
    if found.effective < 0.9 * found.count:
        said.append(f" Some {unit}s have many more tracks than others: they count as {found.effective:.1f} equal ones.")
    if found.count < MIN_UNITS:
        said.append(f" So few {unit}s can show no difference, however large: it takes {MIN_UNITS}.")
    return "".join(said)


def _first(scores: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((row for row in scores.values() if isfinite(number(row.get("n_units")))), None)


def _units(row: Mapping[str, Any] | None) -> UnitCount:
    """Read how many units there are and what they are worth; countless where it is not stated."""
    if row is None:
        return UnitCount(10**6, 1e6)
    count = int(number(row["n_units"]))
    effective = number(row.get("n_effective"))
    return UnitCount(count, effective if isfinite(effective) else float(count))


def _training_sentence(facts: Mapping[str, Any]) -> str:
    epochs = facts.get("epochs")
    if epochs is None:
        return "How long the nets were trained is not stated."
    by_net = epochs if isinstance(epochs, Mapping) else {"": epochs}
    ours = ", ".join(f"{net} {count}".strip() for net, count in by_net.items())
    short = min((number(count) for count in by_net.values()), default=0) < PAPER_EPOCHS
    said = f"Nets were trained for {ours} epochs a task ({LABEL}: {PAPER_EPOCHS})."
    return f"{said} A shorter training may hide what a longer one would show." if short else said


def _setting_sentence(facts: Mapping[str, Any]) -> str:
    shared = artists_shared(facts)
    if shared is None:
        return "Whether artists stand in training and in test at once is not stated."
    if shared:
        return ""  # an alarm says so
    return (
        "No artist stands in training and in test at once, so scores are of artists never heard. The paper's own split "
        "shared artists."
    )


def _baseline_sentence(case_table: pd.DataFrame, scores: Mapping[str, Mapping[str, Any]], level: float) -> str:
    names = {"prior": "guessing by the class priors", "mfcc_logreg": "MFCC statistics with logistic regression"}
    reached = [
        f"{name} reaches log loss {_score(scores[case], 'log_loss')} and macro F1 {_score(scores[case], 'f1_macro')}"
        for case, name in names.items()
        if case in scores
    ]
    if not reached:
        return "No baseline was scored, so it is open whether any net says more than a guess."
    kinds = {str(row["case"]): row["kind"] for row in rows_of(case_table, ("case", "kind"), "case_table")}
    nets = [scores[case] for case in scores if kinds.get(case) == "grid"]
    counts = []
    for case, name in (("prior", "the priors"), ("mfcc_logreg", "the MFCC statistics")):
        if case in scores and nets:
            below = sum(number(row.get("log_loss")) < number(scores[case].get("log_loss")) for row in nets)
            above = sum(number(row.get("f1_macro")) > number(scores[case].get("f1_macro")) for row in nets)
            counts.append(f"{below} have less log loss than {name} and {above} a higher macro F1")
    tail = (
        f" Of the {len(nets)} scored cases of the grid {'; '.join(counts)} (by their values, not by a test)."
        if counts
        else ""
    )
    text = f"{'; '.join(reached)} ({percent(level)} intervals in brackets).{tail}"
    return text[:1].upper() + text[1:]


def _score(row: Mapping[str, Any], metric: str) -> str:
    return with_interval(*(number(row.get(metric + end)) for end in ("", "_low", "_high")))


def _power_sentences(rows: Sequence[Mapping[str, Any]], level: float, units: UnitCount) -> list[str]:
    """Set what the intervals can tell apart beside the paper's own gain."""
    said = []
    for metric in SAID:
        there = [row for row in rows if row["metric"] == metric and isfinite(_half(row))]
        if there:
            main = [row for row in there if str(row["comparison"]).startswith("all_vs_g")]
            halves = [_half(row) for row in main or there]
            said.append(_power_sentence(metric, halves, len(there), bool(main), level, units))
    if rows and not said:
        said.append("No difference has an interval, so no difference of any size could have been shown.")
    return said


def _power_sentence(
    metric: str, halves: Sequence[float], family: int, is_main: bool, level: float, units: UnitCount
) -> str:
    half, gain, freedom = float(np.median(halves)), main_gain(metric), max(units.effective, 2.0) - 1
    one, strictest, power = (student.ppf(x, freedom) for x in ((1 + level) / 2, 1 - (1 - level) / 2 / family, 0.8))
    alone, corrected = (
        half * (quantile + power) / one if tests * units.least_p < 1 - level else inf
        for tests, quantile in ((1, one), (family, strictest))
    )
    if alone == inf:
        found = f"{units.count} units agree too easily by chance for a true difference of any size to be found"
        verdict = "that it is not shown says nothing"
    else:
        most = f"one of {size_text(corrected)}" if corrected < inf else "none of any size"
        found = (
            f"four times in five, a true difference of {size_text(alone)} is found by itself and {most} after the "
            f"strictest correction for {family} comparisons"
        )
        verdict = _seen(gain, half, alone, corrected)
    what = "of all tasks less genre alone" if is_main else "of a typical difference"
    return (
        f"In {METRICS[metric]} the {percent(level)} interval {what} reaches {size_text(half)} to each side: {found}. "
        f"The gain of all five tasks over genre alone ({LABEL}) is {size_text(gain)}: {verdict}."
    )


def _seen(gain: float, half: float, alone: float, corrected: float) -> str:
    """Say whether a gain would have been seen."""
    if corrected <= gain:
        return "a gain of that size would probably have been seen, even after the correction"
    if alone <= gain:
        return "a gain of that size would probably have been seen by itself, but may be lost in the correction"
    if half <= gain:
        return "a gain of that size may well have been missed"
    return "a gain of that size could hardly have been seen, so where none is shown that says little"


def _half(row: Mapping[str, Any]) -> float:
    return (number(row["high"]) - number(row["low"])) / 2
