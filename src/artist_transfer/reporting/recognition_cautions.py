"""What makes the scores of a run of artist recognition doubtful, in plain sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from artist_transfer.evaluation.small_samples import MIN_UNITS
from artist_transfer.reporting.recognition_paper import metric_name
from artist_transfer.reporting.recognition_sentences import listed
from artist_transfer.reporting.recognition_tables import metrics_of
from artist_transfer.reporting.recognition_views import counted
from artist_transfer.reporting.scores import number

FEW_ARTISTS = 20
USELESS = 1.0
"""Cllr of ratios that say nothing."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def few_artists(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Say whether the scores are of too few artists.

    Parameters
    ----------
    rows : pd.DataFrame

    Returns
    -------
    alarms : list of str
        If they cannot show any difference.
    remarks : list of str
        If they can show large ones only.
    """
    alarms: list[str] = []
    remarks: list[str] = []
    known = (
        pd.to_numeric(rows["n_units"], errors="coerce").dropna()
        if "n_units" in rows.columns
        else pd.Series(dtype=float)
    )
    n = int(known.min()) if len(known) else None
    if n is not None and n < MIN_UNITS:
        alarms.append(
            f"Only {n} unseen {'artist is' if n == 1 else 'artists are'} tried: so few can show no difference, however "
            f"large; it takes {MIN_UNITS}."
        )
    elif n is not None and n < FEW_ARTISTS:
        remarks.append(
            f"Only {n} unseen artists are tried: intervals are wide, and a difference that is not shown may well exist."
        )
    return alarms, remarks


def few_to_calibrate(rows: pd.DataFrame, protocol: Mapping[object, Mapping[str, Any]]) -> list[str]:
    """Say whether calibrated scores can be believed.

    Parameters
    ----------
    rows : pd.DataFrame
        Scores, with the metric cllr where a system is calibrated.
    protocol : mapping of fold to mapping
        ``validation_artists``, as far as they are known.

    Returns
    -------
    list of str
        That artists to calibrate on are few; which systems are worse calibrated than no answer at all.
    """
    found: list[str] = []
    held = [number(counted(facts.get("validation_artists"))) for facts in protocol.values()]
    fewest = min((each for each in held if each == each), default=FEW_ARTISTS)
    if fewest < FEW_ARTISTS:
        found.append(
            f"Scores are calibrated, and fusions weighted, on {fewest:.0f} validation artists: so few say little of "
            "how sure a score may be for others, though calibration is made the more careful the fewer they are."
        )
    cllr = pd.to_numeric(rows.loc[rows["metric"] == "cllr", "value"], errors="coerce")
    worse = rows.loc[cllr[cllr > USELESS].index]
    if len(worse):
        named = [f"{row['family']} ({number(row['value']):.2f})" for row in worse.to_dict("records")]
        found.append(
            f"Do not read the calibrated scores of {listed(named)} as odds: with a Cllr above {USELESS:g} they are "
            "worse than to say nothing. Error rates are not touched by that."
        )
    return found


def cautions(rows: pd.DataFrame, protocol: Mapping[object, Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Say what makes the scores doubtful.

    Parameters
    ----------
    rows : pd.DataFrame
    protocol : mapping of fold to mapping

    Returns
    -------
    alarms : list of str
    remarks : list of str
    """
    alarms, remarks = few_artists(rows)
    remarks += few_to_calibrate(rows, protocol)
    if rows["family"].nunique() > 1:
        remarks.append(
            "The best of several systems is chosen on the trials it is reported on, which flatters it a little."
        )
    hashes = [str(facts.get("hash")) for facts in protocol.values() if facts.get("hash")]
    if not hashes:
        remarks.append(
            "The trial list has no hash here, so nobody can tell whether another score is of the same trials."
        )
    return alarms, remarks + _notes(rows)


def _notes(rows: pd.DataFrame) -> list[str]:
    """Put the notes of the scores together: each once, with its metrics, those that differ in numbers as one."""
    if "note" not in rows.columns:
        return []
    found: dict[str, tuple[list[list[str]], list[str]]] = {}  # words without numbers → the numbers, metrics
    for row in rows[["metric", "note"]].dropna().drop_duplicates().to_dict("records"):
        for part in str(row["note"]).split("; "):
            if part.strip():
                numbers, metrics = found.setdefault(_NUMBER.sub("#", part.strip()), ([], []))
                numbers.append(_NUMBER.findall(part))
                metrics.append(str(row["metric"]))
    everything = metrics_of(rows)
    said = []
    for words, (numbers, metrics) in found.items():
        values = iter([_spread(column) for column in zip(*numbers, strict=True)])
        sentence = re.sub("#", lambda _: next(values), words)  # noqa: B023
        own = [metric for metric in everything if metric in metrics]
        end = "" if sentence.endswith(".") else "."
        start = f"{listed([metric_name(each) for each in own])}: "
        said.append((sentence[:1].upper() + sentence[1:] if own == everything else start + sentence) + end)
    return said


def _spread(values: Sequence[str]) -> str:
    unique = sorted(set(values), key=lambda value: float(value.replace(",", "")))
    return " and ".join(unique) if len(unique) < 3 else f"{unique[0]} to {unique[-1]}"
