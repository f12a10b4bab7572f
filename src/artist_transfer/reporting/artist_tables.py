"""The ISMIR paper's tables 1-4 from a run's scores, the paper's beside ours.

The **score table** has one row a system, target, metric and part, as `artist_transfer.evaluation.item_scores` and
`tag_intervals` make it, with what `labelled_scores` adds:

* ``system`` (its name), ``net`` (``basic``, ``siamese``, ``tag``, these with a discriminant, or anything else:
  ``released``, ``mfcc``, ``chance``, ``prior``), ``n_artists_trained`` (of a tag-label net that of the artist set of
  the same size; NaN where it means nothing), ``seed`` (None if there is one only);
* ``target`` (``gtzan``, ``fma_small``, ``magnatagatune``, ``composers``, …), ``list_hash`` (of its official lists),
  ``listed`` and ``missing`` (tracks on them, and those that this run does not have), ``split_hash`` (of the sides of
  the tracks that were there);
* ``metric`` (a key of `artist_paper.METRICS`) and ``of`` (``overall`` or ``macro``,
  else the genre or tag);
* ``value, low, high`` (NaN without an interval), ``unit`` (what was resampled: artist, recording, track), ``n_items``,
  ``n_units``, ``n_undefined``, ``note``.

Rows that differ in the seed only are put together: the mean of their values, and the widest of their intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.artist_paper import (
    EARLY,
    EARLY_TABLE_2,
    EARLY_TABLE_2_TARGETS,
    LABEL,
    N_ARTISTS,
    NETS,
    TABLE_4,
    TABLE_4_TARGETS,
    TABLES,
    TRAINED,
    paper_score,
)
from artist_transfer.reporting.scores import number

NEEDED = ("system", "net", "n_artists_trained", "target", "metric", "of", "value", "low", "high", "unit")
WHOLE = ("overall", "macro")
OURS = "this run"
PROBES = {
    "": ("softmax_accuracy", "auc"),
    ", logistic regression": ("logistic_accuracy", None),
    ", dense layers": ("neural_accuracy", "neural_auc"),
}
"""Classifiers of table 4: which accuracy, and which AUC of tags."""


def labelled_scores(
    scores: pd.DataFrame,
    *,
    target: str,
    systems: Mapping[str, Mapping[str, object]],
    metric: str | None = None,
    list_hash: str | None = None,
    split_hash: str | None = None,
    listed: int | None = None,
    missing: int | None = None,
) -> pd.DataFrame:
    """Add to a table of scores what they are of.

    Parameters
    ----------
    scores : pd.DataFrame
        ``ScoreDraws.score_table()``.
    target : str
    systems : mapping of name to mapping
        Of each system ``net`` and, if it means something, ``n_artists_trained`` and ``seed``.
    metric : str, optional
        Replaces the metric's name: average precisions of queries are called ``map`` here.
    list_hash : str, optional
        Of the official lists that were used.
    split_hash : str, optional
        Of the sides of the tracks that are there.
    listed, missing : int, optional
        Tracks on the official lists, and those of them that are not there.

    Returns
    -------
    pd.DataFrame

    Raises
    ------
    ArtistTransferError
        If a system of the scores is not among `systems`.
    """
    unknown = sorted(set(scores["system"]) - set(systems))
    if unknown:
        raise ArtistTransferError(f"scores of {target}: nothing is known of the systems {unknown}")
    facts = [systems[name] for name in scores["system"]]
    found = scores.assign(
        net=[str(each["net"]) for each in facts],
        n_artists_trained=[number(each.get("n_artists_trained")) for each in facts],
        seed=[each.get("seed") for each in facts],
        target=target,
        list_hash=list_hash,
        split_hash=split_hash,
        listed=number(listed),
        missing=number(missing),
    )
    return found if metric is None else found.assign(metric=metric)


def merged_seeds(score_table: pd.DataFrame) -> pd.DataFrame:
    """Put rows together that differ in the seed only.

    Parameters
    ----------
    score_table : pd.DataFrame
        See the module.

    Returns
    -------
    pd.DataFrame
        net, n_artists_trained, target, metric, of, value, low, high, unit, n_seeds, n_items, n_units, list_hash, name;
        in the order in which they came. ``name`` is the system's, or the net's where several were put together.

    Raises
    ------
    ArtistTransferError
        If a column is missing, or two systems without a seed are the same net on as many artists.
    """
    missing = [name for name in NEEDED if name not in score_table.columns]
    if missing:
        raise ArtistTransferError(f"score_table: columns missing: {missing}; it has {list(score_table.columns)}")
    groups: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for row in score_table.to_dict("records"):
        n = number(row["n_artists_trained"])
        same = row["net"] if row["net"] in TRAINED else row["system"]
        key = (same, n if isfinite(n) else None, row["target"], row["metric"], row["of"])
        groups.setdefault(key, []).append({str(name): value for name, value in row.items()})
    return pd.DataFrame([_merged(rows) for rows in groups.values()])


def _merged(rows: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    first = rows[0]
    if len(rows) > 1 and len({str(row.get("seed")) for row in rows}) < len(rows):
        names = ", ".join(sorted({str(row["system"]) for row in rows}))
        raise ArtistTransferError(
            f"score_table: {len(rows)} rows are the {first['net']} net on {first['n_artists_trained']} artists for "
            f"{first['metric']} of {first['target']} ({names}), and their seeds do not tell them apart"
        )
    numbers = [[number(row[name]) for row in rows] for name in ("value", "low", "high")]
    return {
        "net": first["net"],
        "n_artists_trained": number(first["n_artists_trained"]),
        "target": first["target"],
        "metric": first["metric"],
        "of": first["of"],
        "value": sum(numbers[0]) / len(rows),
        "low": min(numbers[1]) if all(map(isfinite, numbers[1])) else nan,
        "high": max(numbers[2]) if all(map(isfinite, numbers[2])) else nan,
        "unit": first["unit"],
        "n_seeds": len(rows),
        **{name: first.get(name) for name in ("n_items", "n_units", "n_undefined", "list_hash", "note")},
        "name": first["system"] if len(rows) == 1 else f"{first['net']}, {len(rows)} seeds",
    }


def shown_size(score_table: pd.DataFrame, target: str, metric: str) -> float:
    """Choose at which number of training artists nets are set side by side.

    Parameters
    ----------
    score_table : pd.DataFrame
    target, metric : str

    Returns
    -------
    float
        The paper's 5,000 if all nets there are have it, else the largest number that they share, else the largest; NaN
        without any.
    """
    rows = score_table[
        (score_table["target"] == target)
        & (score_table["metric"] == metric)
        & score_table["of"].isin(WHOLE)
        & score_table["net"].isin(["basic", "siamese"])
        & score_table["n_artists_trained"].notna()
    ]
    sizes = [set(part["n_artists_trained"]) for _, part in rows.groupby("net")]
    if not sizes:
        tags = score_table[(score_table["target"] == target) & (score_table["net"] == "tag")]["n_artists_trained"]
        return float(tags.max()) if tags.notna().any() else nan
    shared = set.intersection(*sizes)
    if N_ARTISTS in shared:
        return float(N_ARTISTS)
    return float(max(shared or set.union(*sizes)))


def table_of_nets(score_table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Set the nets side by side, target by target (ISMIR, tables 1-3).

    Parameters
    ----------
    score_table : pd.DataFrame
    metric : {"map", "knn_accuracy", "softmax_accuracy", "auc", "ap"}

    Returns
    -------
    pd.DataFrame
        target, source (``this run`` or the paper's label), n_artists_trained, unit; of each net value, low and high
        (``basic``, ``basic_low``, …), the paper's three first, then those with a discriminant, then others such
        as the released one, MFCC, chance and prior. The paper's rows stand beneath ours; its targets that were not run
        come last.
    """
    merged = merged_seeds(score_table)
    merged = merged[(merged["metric"] == metric) & merged["of"].isin(WHOLE)]
    others = list(dict.fromkeys(merged.loc[~merged["net"].isin(list(TRAINED)), "name"]))
    trained = [net for net in TRAINED if net in NETS or (merged["net"] == net).any()]
    rows: list[dict[str, object]] = []
    targets = list(dict.fromkeys(merged["target"]))
    for target in targets:
        size = shown_size(merged, target, metric)
        own = merged[merged["target"] == target]
        cells: dict[str, object] = {}
        for net in trained:
            cells |= _cells(net, own[(own["net"] == net) & (own["n_artists_trained"] == size)])
        for name in others:
            cells |= _cells(name, own[(own["name"] == name) & ~own["net"].isin(list(TRAINED))])
        units = sorted(set(own["unit"].dropna()))
        about = {"target": target, "source": OURS, "n_artists_trained": size, "unit": ", ".join(units)}
        rows.append({**about, **cells})
        rows += _paper_rows(target, metric, [*trained, *others])
    for target in TABLES.get(metric, {}):
        if target not in targets:
            rows += _paper_rows(target, metric, [*trained, *others])
    return pd.DataFrame(rows)


def _cells(name: str, rows: pd.DataFrame) -> dict[str, object]:
    ends = ("value", "low", "high")
    found = [float(rows.iloc[0][end]) if len(rows) else nan for end in ends]
    return dict(zip((name, f"{name}_low", f"{name}_high"), found))


def _paper_rows(target: str, metric: str, names: Sequence[str]) -> list[dict[str, object]]:
    if target not in TABLES.get(metric, {}):
        return []
    cells: dict[str, object] = {}
    for name in names:
        value = paper_score(target, name, metric) if name in NETS else nan
        cells |= {name: value, f"{name}_low": nan, f"{name}_high": nan}
    about = {"target": target, "source": LABEL, "n_artists_trained": float(N_ARTISTS), "unit": None}
    return [{**about, **cells}]


def table_4(score_table: pd.DataFrame) -> pd.DataFrame:
    """Set the nets beside other models (ISMIR, table 4; DeepArtistID, table 2).

    Parameters
    ----------
    score_table : pd.DataFrame

    Returns
    -------
    pd.DataFrame
        model, source; value, low and high of accuracy on ``gtzan`` and ``fma_small`` and of AUC on ``magnatagatune``.
        Ours first, each net on its largest number of artists, with a linear classifier and, beneath, with the others.
    """
    columns = ("gtzan", "fma_small", "magnatagatune")
    merged = merged_seeds(score_table)
    merged = merged[merged["of"].isin(WHOLE) & merged["value"].notna()]
    rows: list[dict[str, object]] = []
    for name, part in _largest(merged):
        for how, (accuracy, auc) in PROBES.items():
            cells: dict[str, object] = {}
            for target in columns:
                metric = auc if target == "magnatagatune" else accuracy
                cells |= _cells(target, part[(part["target"] == target) & (part["metric"] == metric)])
            if any(isfinite(number(cells[target])) for target in columns):
                rows.append({"model": f"{name}{how}", "source": OURS, **cells})
    for table, targets, source in (
        (TABLE_4, TABLE_4_TARGETS, LABEL),
        (EARLY_TABLE_2, EARLY_TABLE_2_TARGETS, EARLY),
    ):
        for model, values in table.items():
            found = dict(zip(targets, values))
            cells = {}
            for target in columns:
                cells |= {target: found.get(target, nan), f"{target}_low": nan, f"{target}_high": nan}
            rows.append({"model": model, "source": source, **cells})
    return pd.DataFrame(rows)


def _largest(merged: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each system, of the paper's nets only those of the most artists."""
    found = []
    for net in TRAINED:
        own = merged[merged["net"] == net]
        if len(own):
            size = own["n_artists_trained"].max()
            words = f"{TRAINED[net]}, {size:,.0f} artists" if isfinite(size) else TRAINED[net]
            found.append((words, own if not isfinite(size) else own[own["n_artists_trained"] == size]))
    others = merged[~merged["net"].isin(list(TRAINED))]
    return found + [(str(name), others[others["name"] == name]) for name in dict.fromkeys(others["name"])]
