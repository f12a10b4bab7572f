"""Tables 1 and 2 of the DeepArtistID paper from a run's scores: classification and tagging with the nets' features.

The paper's numbers stand in rows and columns of their own: they are of other nets and other data.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan
from typing import Any

import pandas as pd

from artist_transfer.reporting.artist_paper import NETS, PROJECTED
from artist_transfer.reporting.artist_tables import OURS, WHOLE, merged_seeds
from artist_transfer.reporting.artist_views import score_text, target_name
from artist_transfer.reporting.recognition_paper import (
    PAPER,
    PAPER_NET,
    PRINTED,
    TABLE_1,
    TABLE_2,
    TABLE_2_TARGETS,
    transfer_metric_name,
)
from artist_transfer.reporting.recognition_tables import require
from artist_transfer.reporting.scores import number, percent
from artist_transfer.reporting.tables import Table

TRANSFER_COLUMNS = ("target", "system", "metric", "of", "value", "low", "high", "n_artists_trained")
ENDS = ("value", "low", "high")
PAPER_ROWS = "Artist labels"
"""How the rows of the paper's own models begin; the others are work that it cites."""


def transfer_rows(transfer_table: pd.DataFrame) -> pd.DataFrame:
    """Put seeds of a score table of artist nets together, with and without the linear discriminant by themselves.

    Parameters
    ----------
    transfer_table : pd.DataFrame
        The ``artist_score_table``: target, system, metric, of, value, low, high, n_artists_trained; if they are there
        ``net``, ``seed``, ``unit`` and ``linear_discriminant`` (bool; by default whether the net's name ends so).

    Returns
    -------
    pd.DataFrame
        As `artist_transfer.reporting.artist_tables.merged_seeds`, of the overall scores of classification and tagging,
        with ``linear_discriminant`` and ``model`` (the net, or the system's name).
    """
    require(transfer_table, TRANSFER_COLUMNS, "transfer scores")
    table = transfer_table[transfer_table["of"].isin(WHOLE) & transfer_table["metric"].map(_is_transfer)]
    for name, value in (("net", table["system"]), ("unit", None)):
        if name not in table.columns:
            table = table.assign(**{name: value})
    projected = table["net"].astype(str).str.endswith(PROJECTED)
    if "linear_discriminant" in table.columns:
        projected |= table["linear_discriminant"].eq(True)
    plain = {name: table[name].astype(str).str.removesuffix(PROJECTED) for name in ("net", "system")}
    table = table.assign(**plain)
    parts = [
        merged_seeds(table[projected == on]).assign(linear_discriminant=on)
        for on in (False, True)
        if (projected == on).any()
    ]
    if not parts:
        return pd.DataFrame(columns=["target", "metric", "model", "n_artists_trained", "linear_discriminant"])
    found = pd.concat(parts, ignore_index=True)
    return found.assign(model=[NETS.get(str(net), str(name)) for net, name in zip(found["net"], found["name"])])


def _is_transfer(metric: object) -> bool:
    name = str(metric)
    return name in ("auc", "neural_auc") or (name.endswith("accuracy") and not name.startswith("knn"))


def paper_table_1(transfer_table: pd.DataFrame) -> pd.DataFrame:
    """Set classification and tagging over the number of training artists beside the paper's (table 1).

    Parameters
    ----------
    transfer_table : pd.DataFrame
        See `transfer_rows`; only what was trained on a number of artists, without linear discriminant as in the paper.

    Returns
    -------
    pd.DataFrame
        One row a source (this run or the paper), target, metric, model and number of artists: value, low, high.
    """
    own = transfer_rows(transfer_table)
    own = own[own["n_artists_trained"].notna() & ~own["linear_discriminant"].astype(bool)]
    kept = ["target", "metric", "model", "n_artists_trained", "value", "low", "high"]
    ours = own.reindex(columns=kept).assign(source=OURS)
    printed = [
        {"target": target, "metric": "paper", "model": PAPER_NET, "n_artists_trained": float(n), "value": value}
        for target, values in TABLE_1.items()
        for n, value in values.items()
    ]
    paper = pd.DataFrame(printed).assign(low=nan, high=nan, source=PAPER)
    return pd.concat([ours, paper], ignore_index=True) if len(ours) else paper


def paper_table_2(transfer_table: pd.DataFrame) -> pd.DataFrame:
    """Set the nets with and without linear discriminant beside previous work (table 2).

    Parameters
    ----------
    transfer_table : pd.DataFrame
        See `transfer_rows`.

    Returns
    -------
    pd.DataFrame
        One row a source, model, target and metric: value, low, high; ours on the largest number of artists, with
        ``n_artists_trained`` and ``linear_discriminant``.
    """
    own = transfer_rows(transfer_table)
    rows: list[dict[str, object]] = []
    both = {*NETS.values(), *own.loc[own["linear_discriminant"].astype(bool), "model"]}
    for (model, on), part in own.groupby(["model", "linear_discriminant"], sort=False):
        size = part["n_artists_trained"].max()
        for row in part[part["n_artists_trained"].isna() | (part["n_artists_trained"] == size)].to_dict("records"):
            words = f"{model}, {size:,.0f} artists" if isfinite(size) else str(model)
            said = f", {'with' if on else 'without'} linear discriminant" if on or model in both else ""
            name = f"{words}{said}"
            cells = {key: row[key] for key in ("target", "metric", "value", "low", "high", "n_artists_trained")}
            rows.append({"model": name, "source": OURS, "linear_discriminant": bool(on), **cells})
    for model, values in TABLE_2.items():
        for target, value in zip(TABLE_2_TARGETS, values):
            cells = {"target": target, "metric": "paper", "value": value, "low": nan, "high": nan}
            on = "with linear" in model
            rows.append({"model": model, "source": PAPER, "linear_discriminant": on, **cells, "n_artists_trained": nan})
    return pd.DataFrame(rows)


def table_1_view(transfer_table: pd.DataFrame | None, corpus: str, *, level: float = 0.95) -> Table | None:
    """Show table 1: numbers of artists as columns as in the paper, its rows beneath ours.

    Parameters
    ----------
    transfer_table : pd.DataFrame or None
        See `transfer_rows`.
    corpus : str
        What the nets of this run were trained on.
    level : float in (0, 1)

    Returns
    -------
    Table or None
        None if no net of this run was scored.
    """
    if transfer_table is None or not len(transfer_table):
        return None
    table = paper_table_1(transfer_table)
    if not (table["source"] == OURS).any():
        return None
    sizes = sorted(set(table["n_artists_trained"]))
    rows = []
    for (source, target, metric, model), part in table.groupby(["source", "target", "metric", "model"], sort=False):
        by_size = {row["n_artists_trained"]: row for row in part.to_dict("records")}
        cells = (_score(by_size[n], source) if n in by_size else "–" for n in sizes)
        rows.append((target_name(target), _printed(metric, target), str(model), _source(source, corpus), *cells))
    heads = ("data", "metric", "net", "source", *(f"{n:,.0f}" for n in sizes))
    caption = f"Table 1. Classification and tagging by number of training artists, {percent(level)} intervals"
    return Table(caption, heads, tuple(rows), frozenset(range(4, len(heads))), note=_paper_note(corpus))


def table_2_view(transfer_table: pd.DataFrame | None, corpus: str, *, level: float = 0.95) -> Table | None:
    """Show table 2: with and without linear discriminant beside previous work; columns of the paper's numbers last.

    Parameters
    ----------
    transfer_table : pd.DataFrame or None
    corpus : str
    level : float in (0, 1)

    Returns
    -------
    Table or None
        None if no system of this run was scored.
    """
    if transfer_table is None or not len(transfer_table):
        return None
    table = paper_table_2(transfer_table)
    ours = table[table["source"] == OURS]
    if not len(ours):
        return None
    own = list(dict.fromkeys(zip(ours["target"], ours["metric"])))
    columns = [*((OURS, *each) for each in own), *((PAPER, target, "paper") for target in TABLE_2_TARGETS)]
    rows = []
    for (source, model), part in table.groupby(["source", "model"], sort=False):
        by = {(source, row["target"], row["metric"]): row for row in part.to_dict("records")}
        cells = (_score(by[key], source) if key in by else "–" for key in columns)
        cited = source == PAPER and not str(model).startswith(PAPER_ROWS)
        words = "previous work, as the paper prints it" if cited else _source(source, corpus)
        rows.append((str(model), words, *cells))
    heads = (
        "model",
        "source",
        *(
            f"{target_name(target)}, {_printed(metric, target)} ({'paper' if source == PAPER else 'this run'})"
            for source, target, metric in columns
        ),
    )
    without = not ours["linear_discriminant"].astype(bool).any()
    note = _paper_note(corpus) + (" No linear discriminant was scored in this run." if without else "")
    caption = f"Table 2. With and without linear discriminant, beside previous work, {percent(level)} intervals"
    return Table(caption, heads, tuple(rows), frozenset(range(2, len(heads))), note=note)


def _score(row: Mapping[str, Any], source: object) -> str:
    return score_text(*(number(row[end]) for end in ENDS), ours=source == OURS)


def _printed(metric: object, target: object) -> str:
    return PRINTED[str(target)] if metric == "paper" else transfer_metric_name(metric)


def _source(source: object, corpus: str) -> str:
    return f"this run, trained on {corpus}" if source == OURS else f"paper ({source})"


def _paper_note(corpus: str) -> str:
    return (
        f"The paper's nets were trained on the Million Song Dataset and scored on its own GTZAN and MagnaTagATune, one "
        f"run each, without intervals; those of this run on {corpus}. Other data: for orientation, not for comparison."
    )
