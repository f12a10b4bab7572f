"""The saved tables of artist recognition, checked and made ready to be shown.

The **score table** has one row a system, number of training artists and metric: ``system, metric, of`` (``overall``),
``value, low, high``, ``encoder`` and ``scoring`` (what the system is made of), ``n_artists_trained`` (NaN where it
means nothing), and if they are there ``family``, ``chance``, ``trial_sd, n_trials, n_items, n_undefined, n_units,
unit, note``. A *family* is one system over all numbers of training artists: ``family`` where the table has it, else
"encoder · scoring".

The **comparison table** has one row a pair and metric: ``metric, of, first, second, effect`` (first less second),
``low, high``, and if they are there ``p, p_holm, n_units, unit, note``. ``first`` and ``second`` are systems of the
score table; if names come again for other numbers of artists, a column ``n_artists_trained`` says which is meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.artist_comparisons import verdict_of
from artist_transfer.reporting.artist_tables import WHOLE
from artist_transfer.reporting.recognition_paper import RECOGNITION_METRICS, less_is_better
from artist_transfer.reporting.scores import number

SCORE_COLUMNS = ("system", "metric", "of", "value", "low", "high", "encoder", "scoring", "n_artists_trained")
SIDE = ("family", "size")
COMPARISON_COLUMNS = ("metric", "first", "second", "effect", "low", "high")


def require(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse a table that lacks a column.

    Parameters
    ----------
    table : pd.DataFrame
    columns : sequence of str
    what : str
        The table's name.

    Raises
    ------
    ArtistTransferError
        With the names of the columns.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ArtistTransferError(f"{what}: columns missing: {missing}; it has {list(table.columns)}")


def scored_rows(score_table: pd.DataFrame) -> pd.DataFrame:
    """Check a score table and add what each row is called.

    Parameters
    ----------
    score_table : pd.DataFrame
        See the module.

    Returns
    -------
    pd.DataFrame
        The overall rows, with ``family`` and a float ``n_artists_trained``, in the order in which they came.

    Raises
    ------
    ArtistTransferError
        If a column is missing, or two rows are the same family, number of artists and metric.
    """
    require(score_table, SCORE_COLUMNS, "recognition_score_table")
    rows = score_table[score_table["of"].isin(WHOLE)].reset_index(drop=True)
    if "family" not in rows.columns:
        rows["family"] = [f"{a} · {b}" if b and b == b else str(a) for a, b in zip(rows["encoder"], rows["scoring"])]
    rows["n_artists_trained"] = [number(n) for n in rows["n_artists_trained"]]
    twice = rows[rows.duplicated(["family", "n_artists_trained", "metric"])]
    if len(twice):
        row = twice.iloc[0]
        raise ArtistTransferError(
            f"recognition_score_table: {len(twice)} rows come twice, the first is {row['metric']} of {row['family']!r} "
            f"on {row['n_artists_trained']:g} artists (system {row['system']!r}); a column family can tell them apart"
        )
    return rows


def metrics_of(rows: pd.DataFrame) -> list[str]:
    """List the metrics there are, the known ones first.

    Parameters
    ----------
    rows : pd.DataFrame

    Returns
    -------
    list of str
    """
    found = list(dict.fromkeys(str(metric) for metric in rows["metric"]))
    return [metric for metric in RECOGNITION_METRICS if metric in found] + [
        metric for metric in found if metric not in RECOGNITION_METRICS
    ]


def sizes_of(rows: pd.DataFrame) -> list[int]:
    """List the numbers of training artists.

    Parameters
    ----------
    rows : pd.DataFrame

    Returns
    -------
    list of int
    """
    return sorted({int(n) for n in rows["n_artists_trained"].dropna()})


def shown_size(rows: pd.DataFrame) -> float:
    """Choose at which number of training artists systems are set side by side.

    Parameters
    ----------
    rows : pd.DataFrame
        As `scored_rows` returns them.

    Returns
    -------
    float
        The largest that all families trained on a number of artists have, else the largest; NaN without any.
    """
    known = rows[rows["n_artists_trained"].notna()]
    sizes = [set(part["n_artists_trained"]) for _, part in known.groupby("family")]
    if not sizes:
        return nan
    return float(max(set.intersection(*sizes) or set.union(*sizes)))


def at_size(rows: pd.DataFrame, size: float) -> pd.DataFrame:
    """Return the rows of one number of training artists, and those without any.

    Parameters
    ----------
    rows : pd.DataFrame [columns: n_artists_trained, …]
    size : float

    Returns
    -------
    pd.DataFrame
    """
    return rows[rows["n_artists_trained"].isna() | (rows["n_artists_trained"] == size)]


def named_systems(rows: pd.DataFrame, table: pd.DataFrame, what: str) -> pd.DataFrame:
    """Give a table of systems (curves, histograms, artists) the families of the score table.

    Parameters
    ----------
    rows : pd.DataFrame
        As `scored_rows` returns them.
    table : pd.DataFrame [columns: system, n_artists_trained, …]
        Without ``n_artists_trained`` its systems must have different names for different numbers.
    what : str
        The table's name.

    Returns
    -------
    pd.DataFrame
        With ``family`` and a float ``n_artists_trained``.

    Raises
    ------
    ArtistTransferError
        If a system is not in the score table.
    """
    require(table, ("system",), what)
    asked = (
        pd.Series(nan, index=table.index) if "n_artists_trained" not in table.columns else table["n_artists_trained"]
    )
    known = _lookup(rows)
    parts = pd.DataFrame({"system": table["system"].astype(str), "size": [number(size) for size in asked]})
    codes = parts.groupby(["system", "size"], dropna=False, sort=False).ngroup().to_numpy()
    unique = parts.drop_duplicates()
    pairs = [_find(known, str(system), size, what) for system, size in zip(unique["system"], unique["size"])]
    found = table.assign(
        family=[pairs[code][0] for code in codes], n_artists_trained=[pairs[code][1] for code in codes]
    )
    return found.reset_index(drop=True)


def pair_rows(
    rows: pd.DataFrame, comparison_table: pd.DataFrame | None, *, level: float = 0.95
) -> list[dict[str, Any]]:
    """Check a comparison table, name its systems and judge its differences.

    Parameters
    ----------
    rows : pd.DataFrame
        As `scored_rows` returns them.
    comparison_table : pd.DataFrame or None
        See the module.
    level : float in (0, 1)

    Returns
    -------
    list of dict
        With ``first_family, first_size, second_family, second_size`` and ``verdict`` (see `judged`). A pair that stands
        in several families of tests (two systems without a number of artists, beside those of each number) comes once,
        as of the last, that of the most artists.

    Raises
    ------
    ArtistTransferError
        If a column is missing, or a system is not in the score table.
    """
    if comparison_table is None or not len(comparison_table):
        return []
    what = "recognition_comparison_table"
    require(comparison_table, COMPARISON_COLUMNS, what)
    known = _lookup(rows)
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for each in comparison_table.to_dict("records"):
        row = {str(key): value for key, value in each.items()}
        if str(row.get("of", WHOLE[0])) not in WHOLE:
            continue
        size = row.get("n_artists_trained")
        for side in ("first", "second"):
            row[f"{side}_family"], row[f"{side}_size"] = _find(known, str(row[side]), size, what)
        key = (str(row["metric"]), *(str(row[f"{side}_{part}"]) for side in ("first", "second") for part in SIDE))
        found[key] = row | {"verdict": judged(row, level=level)}
    return list(found.values())


def judged(row: Mapping[str, Any], *, level: float = 0.95) -> str:
    """Judge a paired difference, of errors and costs the lower the better.

    Parameters
    ----------
    row : mapping
        ``metric, effect, low, high`` and, if it was corrected, ``p_holm``.
    level : float in (0, 1)

    Returns
    -------
    {"first better", "second better", "no difference shown"}
    """
    if not less_is_better(row["metric"]):
        return verdict_of(row, level=level)
    turned = {"effect": -number(row["effect"]), "low": -number(row["high"]), "high": -number(row["low"])}
    return verdict_of({**row, **turned}, level=level)


def _lookup(rows: pd.DataFrame) -> dict[str, dict[float | None, str]]:
    """Give of every system the numbers of artists (None for none) and what it is called."""
    found: dict[str, dict[float | None, str]] = {}
    for system, size, family in zip(rows["system"], rows["n_artists_trained"], rows["family"]):
        found.setdefault(str(system), {})[size if isfinite(size) else None] = str(family)
    return found


def _find(known: Mapping[str, Mapping[float | None, str]], system: str, size: object, what: str) -> tuple[str, float]:
    sizes = known.get(system)
    if sizes is None:
        raise ArtistTransferError(f"{what}: the system {system!r} has no score; those that have: {', '.join(known)}")
    wanted = number(size)
    key = wanted if isfinite(wanted) and wanted in sizes else None
    if key is None and None not in sizes:
        if len(sizes) > 1 or isfinite(wanted):
            there = ", ".join(f"{n:g}" for n in sizes if n is not None)
            asked = f"not on {wanted:g} artists" if isfinite(wanted) else "and n_artists_trained does not say which"
            raise ArtistTransferError(f"{what}: the system {system!r} was scored on {there} artists, {asked}")
        key = next(iter(sizes))
    return sizes[key], nan if key is None else key
