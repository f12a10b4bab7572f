"""Figures of a run: pure functions from saved results to plotly.

All text that comes from files (artist and genre names) is escaped, as plotly reads a part of HTML in it.
Colours are those of Okabe and Ito, told apart with any colour vision; beyond eight classes the symbol changes
too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import isfinite

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.paper import TASK_NAMES, PaperResult
from artist_transfer.reporting.scores import (
    METRICS,
    UNITS,
    number,
    percent,
    score_of,
    system_label,
    systems_of,
)

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A6D00", "#444444")
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x")
NO_GENRE = "no genre"
GREY = "#9a9a9a"
DASHES = ("solid", "dash", "dot", "dashdot")
MOST_TICKS = 12
MOST_CELLS = 30  # above this many classes a confusion matrix has no numbers in its cells

TEMPLATE = go.layout.Template(
    layout={
        "font": {
            "family": "system-ui, -apple-system, 'Segoe UI', sans-serif",
            "size": 14,
            "color": "#222222",
        },
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "colorway": list(COLOURS),
        "xaxis": {
            "gridcolor": "#e4e4e4",
            "linecolor": "#888888",
            "zerolinecolor": "#bbbbbb",
            "automargin": True,
        },
        "yaxis": {
            "gridcolor": "#e4e4e4",
            "linecolor": "#888888",
            "zerolinecolor": "#bbbbbb",
            "automargin": True,
        },
        "margin": {"l": 60, "r": 20, "t": 60, "b": 65},
        "title": {"x": 0, "xanchor": "left", "font": {"size": 17}},
        "hoverlabel": {"bgcolor": "#ffffff", "font": {"color": "#222222"}},
    }
)


def training_curves_plot(history: pd.DataFrame) -> go.Figure:
    """Draw the training loss by epoch.

    Parameters
    ----------
    history : pd.DataFrame [columns: fold, net, epoch, task, loss]
        ``loss`` is the mean cross-entropy in nats; ``task`` a task letter.

    Returns
    -------
    go.Figure
        One line for each fold, net and task; folds share colour and entry of the legend.
    """
    _require(history, ("fold", "net", "epoch", "task", "loss"), "history")
    figure = _figure("Training loss by epoch", "epoch", "mean cross-entropy (nats)")
    nets = sorted(set(history["net"]))
    tasks = [task for task in TASK_NAMES if task in set(history["task"])]
    tasks += sorted(set(history["task"]) - set(tasks))
    lines = history.sort_values(["fold", "epoch"], kind="stable").groupby(["net", "task", "fold"])
    seen = set()
    for net, task, fold in sorted(lines.groups, key=lambda key: (nets.index(key[0]), tasks.index(key[1]), key[2])):
        rows = lines.get_group((net, task, fold))
        name = TASK_NAMES.get(str(task), str(task)) + (f" ({net})" if len(nets) > 1 else "")
        dash = DASHES[nets.index(net) % len(DASHES)]
        figure.add_scatter(
            x=rows["epoch"].tolist(),
            y=_rounded(rows["loss"]),
            mode="lines+markers" if len(rows) == 1 else "lines",
            name=escape(name, quote=False),
            legendgroup=escape(f"{net}/{task}", quote=False),
            showlegend=(net, task) not in seen,
            line={"color": COLOURS[tasks.index(task) % len(COLOURS)], "dash": dash},
            opacity=0.8,
            hovertemplate=f"fold {fold}, epoch %{{x}}: %{{y:.3f}}<extra>{escape(name, quote=False)}</extra>",
        )
        seen.add((net, task))
    figure.update_layout(hovermode="closest", height=430)
    return figure


def scores_plot(metrics: Mapping[str, float], paper: PaperResult | None = None, *, level: float = 0.95) -> go.Figure:
    """Draw each system's scores with their intervals.

    Parameters
    ----------
    metrics : mapping
        ``transfer.<metric>``, ``…_low``, ``…_high`` and the same of ``baseline.<name>``.
    paper : PaperResult, optional
        Shown hollow beneath, on other data and without interval.
    level : float in (0, 1)
        Of the intervals.

    Returns
    -------
    go.Figure
        A panel for each of log loss, macro F1 and accuracy.
    """
    systems = systems_of(metrics)
    if not systems:
        raise ArtistTransferError("metrics: there is no transfer.log_loss, so there are no scores to draw")
    labels = [wrapped(system_label(name)) for name in systems]
    titles = ("log loss: lower is better", "macro F1: higher is better", "accuracy: higher is better")
    figure = make_subplots(rows=1, cols=3, shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.04)
    for column, metric in enumerate(METRICS, start=1):
        scores = [score_of(metrics, name, metric) for name in systems]
        figure.add_scatter(
            x=[_or_none(value) for value, _, _ in scores],
            y=labels,
            error_x=error_bars(scores),
            mode="markers",
            marker={"size": 11, "color": [COLOURS[0]] + ["#444444"] * (len(systems) - 1)},
            customdata=[[f"{low:.3f} to {high:.3f}" if isfinite(low) else "none"] for _, low, high in scores],
            hovertemplate="%{y}: %{x:.3f}<br>interval %{customdata[0]}<extra></extra>",
            row=1,
            col=column,
        )
        value = getattr(paper, metric, None)
        if paper is not None and value is not None:
            figure.add_scatter(
                x=[value],
                y=[wrapped(paper.label)],
                mode="markers",
                marker={"size": 11, "color": GREY, "symbol": "diamond-open", "line": {"width": 2}},
                hovertemplate="other data, not comparable: %{x:.4f}<extra></extra>",
                row=1,
                col=column,
            )
        figure.update_xaxes(title_text=UNITS[metric], row=1, col=column, rangemode="tozero")
    order = labels + ([wrapped(paper.label)] if paper is not None else [])
    figure.update_yaxes(categoryorder="array", categoryarray=order[::-1])
    return _dressed(figure, f"Scores with {percent(level)} intervals", height=200 + 48 * len(order), showlegend=False)


def confusion_plot(confusion: pd.DataFrame) -> go.Figure:
    """Draw the confusion matrix: numbers of tracks, coloured by share of the true genre.

    Parameters
    ----------
    confusion : pd.DataFrame [shape=(genre, genre)], int
        Rows true, columns predicted.

    Returns
    -------
    go.Figure
    """
    counts = confusion.to_numpy(dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = _figure("Confusion matrix", "predicted genre", "true genre")
    text = [[f"{value:.0f}" for value in row] for row in counts]
    figure.add_heatmap(
        z=np.round(shares, 4).tolist(),
        x=[escape(str(name), quote=False) for name in confusion.columns],
        y=[escape(str(name), quote=False) for name in confusion.index],
        text=text,
        texttemplate="%{text}" if len(confusion) <= MOST_CELLS else None,
        colorscale=[[0, "#f7fbff"], [0.5, "#7fb3d5"], [1, "#08306b"]],
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "share of<br>true genre"}, "tickformat": ".0%"},
        hovertemplate="true %{y}, predicted %{x}:<br>%{text} tracks, %{z:.0%}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(type="category")
    figure.update_layout(height=min(900, 220 + 42 * len(confusion)))
    return figure


def genre_f1_plot(per_genre: pd.DataFrame) -> go.Figure:
    """Draw the F1 of each genre.

    Parameters
    ----------
    per_genre : pd.DataFrame [columns: genre, f1, n_tracks; f1_low, f1_high if there are intervals]

    Returns
    -------
    go.Figure
    """
    _require(per_genre, ("genre", "f1", "n_tracks"), "per_genre")
    table = per_genre.sort_values(["f1", "genre"], ascending=[True, False], kind="stable")
    names = [
        f"{escape(str(genre), quote=False)} ({int(n)})"
        for genre, n in zip(table["genre"], table["n_tracks"], strict=True)
    ]
    low_column, high_column = _interval_columns(per_genre)
    scores = [
        (float(value), number(row.get(low_column)), number(row.get(high_column)))
        for value, row in zip(table["f1"], table.to_dict("records"), strict=True)
    ]
    figure = _figure("F1 by genre (number of test tracks)", "F1", None)
    figure.add_scatter(
        x=[value for value, _, _ in scores],
        y=names,
        mode="markers",
        error_x=error_bars(scores) if low_column else None,
        marker={"size": 11, "color": COLOURS[0]},
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_layout(height=160 + 32 * len(table))
    return figure


def artist_map_plot(map_table: pd.DataFrame) -> go.Figure:
    """Draw the artists in the plane, coloured by genre.

    Parameters
    ----------
    map_table : pd.DataFrame [columns: artist_id, artist, genre, x, y, n_tracks]

    Returns
    -------
    go.Figure
    """
    _require(map_table, ("artist_id", "artist", "genre", "x", "y", "n_tracks"), "map_table")
    figure = _figure("Map of artists by their mean features", None, None)
    genres = map_table["genre"].where(map_table["genre"].notna(), NO_GENRE)
    names = sorted(set(genres) - {NO_GENRE}) + [NO_GENRE] * bool((genres == NO_GENRE).any())
    for k, genre in enumerate(names):
        rows = map_table[genres == genre].sort_values("artist_id", kind="stable")
        shown = rows["artist"].where(rows["artist"].notna(), rows["artist_id"])
        name = escape(str(genre), quote=False)
        figure.add_scatter(
            x=_rounded(rows["x"]),
            y=_rounded(rows["y"]),
            mode="markers",
            name=name,
            marker={
                "size": 9,
                "color": GREY if genre == NO_GENRE else COLOURS[k % len(COLOURS)],
                "symbol": SYMBOLS[k // len(COLOURS) % len(SYMBOLS)],
                "line": {"width": 0.5, "color": "#ffffff"},
            },
            customdata=[[int(n)] for n in rows["n_tracks"]],
            text=[escape(str(artist), quote=False) for artist in shown],
            hovertemplate=f"%{{text}}<br>{name}, %{{customdata[0]}} tracks<extra></extra>",
        )
    figure.update_xaxes(showticklabels=False, zeroline=False, title_text="no unit: only nearness counts")
    figure.update_yaxes(showticklabels=False, zeroline=False)
    figure.update_layout(height=620, showlegend=len(names) > 1, legend={"itemsizing": "constant"})
    return figure


def factor_plot(factor_tables: Mapping[str, pd.DataFrame], *, fold: int = 0) -> go.Figure:
    """Draw how far the artists of a fold stand in few groups, for each feature set.

    Parameters
    ----------
    factor_tables : mapping of task letter to pd.DataFrame [columns: fold, artist_id, f00…]
        Rows sum to 1.
    fold : int >= 0
        Whose artists are shown.

    Returns
    -------
    go.Figure
        Mean share of an artist's heaviest group, of its second, …; a flat line is a table that says nothing.
    """
    figure = _figure("How concentrated the factors are", "an artist's groups, heaviest first", "mean share")
    letters = [letter for letter in TASK_NAMES if letter in factor_tables]
    for letter in letters + sorted(set(factor_tables) - set(letters)):
        table = factor_tables[letter]
        columns = [name for name in table.columns if name[:1] == "f" and name[1:].isdigit()]
        theta = table.loc[table["fold"] == fold, columns].dropna(axis=1, how="all").to_numpy(dtype=float)
        if not theta.size:
            continue
        means = -np.sort(-theta, axis=1).mean(axis=0)
        k = list(TASK_NAMES).index(letter) if letter in TASK_NAMES else len(TASK_NAMES)
        figure.add_scatter(
            x=list(range(1, len(means) + 1)),
            y=_rounded(means),
            mode="lines+markers",
            name=escape(TASK_NAMES.get(letter, letter), quote=False),
            line={"color": COLOURS[k % len(COLOURS)]},
            hovertemplate="group %{x}: %{y:.1%}<extra></extra>",
        )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    figure.update_layout(height=380, showlegend=True)
    return figure


def left_out_plot(quarantine_table: pd.DataFrame) -> go.Figure:
    """Draw how many tracks were left out for which reason.

    Parameters
    ----------
    quarantine_table : pd.DataFrame [columns: reason]
        Reasons are grouped by their text before the colon.

    Returns
    -------
    go.Figure
    """
    _require(quarantine_table, ("reason",), "quarantine_table")
    kinds = quarantine_table["reason"].astype("str").str.partition(":")[0].value_counts()
    kinds = kinds.sort_index(ascending=False).sort_values(kind="stable")
    figure = _figure("Tracks left out, by reason", "tracks", None)
    figure.add_bar(
        x=[int(count) for count in kinds],
        y=[escape(str(kind), quote=False) for kind in kinds.index],
        orientation="h",
        marker={"color": COLOURS[5]},
        text=[str(int(count)) for count in kinds],
        hovertemplate="%{y}: %{x} tracks<extra></extra>",
    )
    figure.update_yaxes(type="category")
    figure.update_xaxes(rangemode="tozero", dtick=1 if kinds.max() <= MOST_TICKS else None)
    figure.update_layout(height=150 + 34 * max(1, len(kinds)))
    return figure


def _figure(title: str, x: str | None, y: str | None) -> go.Figure:
    figure = go.Figure()
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y)
    return _dressed(figure, title)


def _dressed(figure: go.Figure, title: str, **layout: object) -> go.Figure:
    return figure.update_layout(template=TEMPLATE, title_text=title, autosize=True, **layout)


def _require(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ArtistTransferError(f"{what}: columns missing: {missing}; it has {list(table.columns)}")


def error_bars(scores: Sequence[tuple[float, float, float]]) -> dict[str, object]:
    """Return plotly's error bars for scores with their intervals; none where there is no interval."""
    above = [high - value if isfinite(high) else 0.0 for value, _, high in scores]
    below = [value - low if isfinite(low) else 0.0 for value, low, _ in scores]
    return {
        "type": "data",
        "array": above,
        "arrayminus": below,
        "symmetric": False,
        "thickness": 1.8,
        "width": 5,
    }


def _interval_columns(table: pd.DataFrame) -> tuple[str, str]:
    for low, high in (("low", "high"), ("f1_low", "f1_high")):
        if low in table and high in table:
            return low, high
    return "", ""


def wrapped(text: str, width: int = 26) -> str:
    """Return a label in lines of at most `width` characters, escaped."""
    lines = [""]
    for word in escape(text, quote=False).split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(lines)


def _rounded(values: Iterable[float]) -> list[float | None]:
    return [_or_none(round(float(value), 5)) for value in values]


def _or_none(value: float) -> float | None:
    return value if isfinite(value) else None
