"""Figures of artist nets: pure functions from saved tables to plotly.

Scores over the number of training artists (ISMIR, figures 2-4), by genre (figure 5) and by tag, training curves, paired
differences. Figures 6 and 7 are in `artist_transfer.reporting.artist_maps`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.artist_comparisons import BETTER, OPEN, WORSE, comparison_rows, verdict_of
from artist_transfer.reporting.artist_panels import TOP, dressed, panels
from artist_transfer.reporting.artist_paper import (
    EARLY,
    EARLY_BY_ARTISTS,
    EARLY_METRICS,
    LABEL,
    METRICS,
    NETS,
    PROJECTED,
    TRAINED,
    paper_by_artists,
)
from artist_transfer.reporting.artist_tables import WHOLE, merged_seeds, shown_size
from artist_transfer.reporting.artist_views import target_name
from artist_transfer.reporting.figures import COLOURS, GREY, SYMBOLS, error_bars, wrapped
from artist_transfer.reporting.scores import number

LOOKS = {"basic": (COLOURS[0], "circle"), "siamese": (COLOURS[1], "square"), "tag": (COLOURS[2], "diamond")}
LOOKS |= {f"{net}{PROJECTED}": (colour, f"{symbol}-open") for net, (colour, symbol) in LOOKS.items()}
OTHER_DASHES = ("dash", "dot", "dashdot", "longdash")


def by_artists_plot(score_table: pd.DataFrame, metric: str) -> go.Figure:
    """Draw scores over the number of training artists (ISMIR, figures 2-4).

    Parameters
    ----------
    score_table : pd.DataFrame
        See `artist_transfer.reporting.artist_tables`.
    metric : {"map", "knn_accuracy", "softmax_accuracy", "auc", "ap"}

    Returns
    -------
    go.Figure
        A panel for each target: the nets with their intervals; what was trained on no set of artists as lines across;
        what the papers print as open marks, of other data.

    Raises
    ------
    ArtistTransferError
        If there is no score of this metric.
    """
    merged = merged_seeds(score_table)
    merged = merged[(merged["metric"] == metric) & merged["of"].isin(WHOLE)]
    targets = list(dict.fromkeys(merged["target"]))
    if not targets:
        raise ArtistTransferError(f"score_table: there is no {metric}, so there is nothing to draw")
    figure, places = panels([target_name(target) for target in targets])
    named: set[str] = set()
    sizes: set[int] = set()
    others = dict.fromkeys(str(name) for name in merged.loc[~merged["net"].isin(list(TRAINED)), "name"])
    dashes = {name: OTHER_DASHES[k % len(OTHER_DASHES)] for k, name in enumerate(others)}
    for target, place in zip(targets, places):
        own = merged[merged["target"] == target]
        sizes |= _draw_nets(figure, own, place, named)
        sizes |= _draw_papers(figure, target, metric, place, named)
        _draw_others(figure, own, place, named, sorted(sizes), dashes)
    ticks = sorted(sizes)
    figure.update_xaxes(
        type="log", tickmode="array", tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks],
        title_text="training artists",
    )  # fmt: skip
    figure.update_yaxes(title_text=METRICS.get(metric, metric))
    return dressed(figure, f"{METRICS.get(metric, metric)} by number of training artists", len(places))


def by_label_plot(score_table: pd.DataFrame, target: str, metric: str, *, what: str = "genre") -> go.Figure:
    """Draw the score of each genre (ISMIR, figure 5) or tag.

    Parameters
    ----------
    score_table : pd.DataFrame
    target, metric : str
    what : {"genre", "tag"}

    Returns
    -------
    go.Figure
        The systems side by side at the number of artists of table 1, the labels sorted by their mean score.

    Raises
    ------
    ArtistTransferError
        If there is no score by label.
    """
    merged = merged_seeds(score_table)
    own = merged[(merged["target"] == target) & (merged["metric"] == metric)]
    parts = own[~own["of"].isin(WHOLE) & own["value"].notna()]
    if not len(parts):
        raise ArtistTransferError(f"score_table: there is no {metric} of {target} by {what}")
    size = shown_size(merged, target, metric)
    if isfinite(size):
        parts = parts[~parts["net"].isin(list(TRAINED)) | (parts["n_artists_trained"] == size)]
    means = parts.groupby("of")["value"].mean()
    order = sorted(means.index, key=lambda label: (float(means[label]), str(label)))
    place = {label: row for row, label in enumerate(order)}
    names = _in_order(parts)
    figure = go.Figure()
    for k, name in enumerate(names):
        rows = parts[parts["name"] == name]
        colour, symbol = LOOKS.get(str(rows["net"].iloc[0]), (COLOURS[(3 + k) % len(COLOURS)], SYMBOLS[(3 + k) % 6]))
        shift = 0.0 if len(names) == 1 else 0.22 * (1 - 2 * k / (len(names) - 1))
        scores = [(number(row["value"]), number(row["low"]), number(row["high"])) for row in rows.to_dict("records")]
        figure.add_scatter(
            x=[value for value, _, _ in scores],
            y=[place[label] + shift for label in rows["of"]],
            error_x=error_bars(scores) | {"thickness": 1.2, "width": 0, "color": colour},
            mode="markers",
            name=escape(_system_name(rows.iloc[0]), quote=False),
            marker={"color": colour, "symbol": symbol, "size": 8},
            customdata=[[escape(str(label), quote=False)] for label in rows["of"]],
            hovertemplate="%{customdata[0]}: %{x:.3f}<extra>" + escape(name, quote=False) + "</extra>",
        )
    ticks = [escape(str(label), quote=False) for label in order]
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(order))),
        ticktext=ticks,
        range=[-0.6, len(order) - 0.4],
        zeroline=False,
    )
    figure.update_xaxes(title_text=METRICS.get(metric, metric).replace(" (macro)", ""))
    title = f"{METRICS.get(metric, metric).replace(' (macro)', '')} by {what}: {target_name(target)}"
    return dressed(figure, title, 1, height=TOP + 90 + max(22, 10 * len(names)) * len(order))


def training_plot(history: pd.DataFrame) -> go.Figure:
    """Draw training and validation loss by epoch, a panel for each net.

    Parameters
    ----------
    history : pd.DataFrame [columns: net, epoch, loss, validation_loss]

    Returns
    -------
    go.Figure
        Each net has its own scale: cross-entropy and hinge cannot be compared.
    """
    missing = [name for name in ("net", "epoch", "loss", "validation_loss") if name not in history.columns]
    if missing:
        raise ArtistTransferError(f"history: columns missing: {missing}")
    nets = list(dict.fromkeys(history["net"]))
    figure, places = panels([str(net) for net in nets])
    for net, place in zip(nets, places):
        part = history[history["net"] == net].sort_values("epoch", kind="stable")
        for column, name, colour in (("loss", "training", COLOURS[0]), ("validation_loss", "validation", COLOURS[1])):
            figure.add_scatter(
                x=part["epoch"].tolist(),
                y=[round(value, 5) if isfinite(value) else None for value in map(float, part[column])],
                mode="lines+markers" if len(part) < 3 else "lines",
                name=name,
                legendgroup=name,
                showlegend=place == places[0],
                line={"color": colour, "dash": "solid" if column == "loss" else "dash"},
                hovertemplate=f"epoch %{{x}}: %{{y:.3f}}<extra>{name}</extra>",
                row=place[0],
                col=place[1],
            )
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text="loss")
    return dressed(figure, "Loss by epoch", len(places))


def differences_plot(comparison_table: pd.DataFrame, *, level: float = 0.95) -> go.Figure:
    """Draw every overall paired difference with its interval.

    Parameters
    ----------
    comparison_table : pd.DataFrame
        See `artist_transfer.reporting.artist_comparisons.comparisons`.
    level : float in (0, 1)

    Returns
    -------
    go.Figure
        Colour and symbol by the verdict after Holm's correction.
    """
    rows = [row for row in comparison_rows(comparison_table) if row["of"] in WHOLE and isfinite(number(row["effect"]))]
    looks = {BETTER: (COLOURS[0], "circle"), WORSE: (COLOURS[5], "square"), OPEN: (GREY, "circle-open")}
    figure = go.Figure()
    labels = [_difference_label(row) for row in rows]
    for verdict, (colour, symbol) in looks.items():
        own = [k for k, row in enumerate(rows) if verdict_of(row, level=level) == verdict]
        scores = [tuple(number(rows[k][key]) for key in ("effect", "low", "high")) for k in own]
        figure.add_scatter(
            x=[effect for effect, _, _ in scores],
            y=[len(rows) - k for k in own],
            error_x=error_bars([(a, b, c) for a, b, c in scores]) | {"color": colour},
            mode="markers",
            name=verdict,
            marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2, "color": colour}},
            customdata=[[labels[k]] for k in own],
            hovertemplate="%{customdata[0]}: %{x:+.3f}<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": "#444444", "width": 1})
    for k, label in enumerate(labels):
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=len(rows) - k, yref="y", yanchor="bottom", yshift=5, showarrow=False,
            align="left", text=label, font={"size": 12}, bgcolor="rgba(255,255,255,0.75)",
        )  # fmt: skip
    figure.update_yaxes(range=[0.5, len(rows) + 0.9], showticklabels=False, showgrid=False, zeroline=False)
    figure.update_xaxes(title_text="← second better | first better →")
    return dressed(figure, "First less second", 1, height=TOP + 90 + 42 * max(1, len(rows)))


def _draw_nets(figure: go.Figure, own: pd.DataFrame, place: tuple[int, int], named: set[str]) -> set[int]:
    """Draw the paper's three nets of a run, with and without discriminant, and return the numbers of artists."""
    sizes: set[int] = set()
    for k, net in enumerate(TRAINED):
        rows = own[(own["net"] == net) & own["n_artists_trained"].notna() & own["value"].notna()]
        rows = rows.sort_values("n_artists_trained")
        if not len(rows):
            continue
        colour, symbol = LOOKS[net]
        scores = [(number(row["value"]), number(row["low"]), number(row["high"])) for row in rows.to_dict("records")]
        sizes |= {int(n) for n in rows["n_artists_trained"]}
        seeds = [f", mean of {n} seeds" if n > 1 else "" for n in rows["n_seeds"]]
        figure.add_scatter(
            x=[float(n) * (1 + 0.02 * (k % 3 - 1)) for n in rows["n_artists_trained"]],  # so that bars do not cover
            y=[value for value, _, _ in scores],
            error_y=error_bars(scores) | {"color": colour},
            mode="lines+markers",
            name=TRAINED[net],
            legendgroup=net,
            showlegend=net not in named,
            line={"color": colour, "dash": "dot" if net.endswith(PROJECTED) else "solid"},
            marker={"color": colour, "symbol": symbol, "size": 9},
            customdata=[[f"{int(n):,} artists{more}"] for n, more in zip(rows["n_artists_trained"], seeds)],
            hovertemplate="%{customdata[0]}: %{y:.3f}<extra>" + TRAINED[net] + "</extra>",
            row=place[0],
            col=place[1],
        )
        named.add(net)
    return sizes


def _draw_papers(figure: go.Figure, target: str, metric: str, place: tuple[int, int], named: set[str]) -> set[int]:
    """Draw what the papers print, and return the numbers of artists."""
    found = [(net, f"{NETS[net]} ({LABEL})", LOOKS[net], paper_by_artists(target, net, metric)) for net in NETS]
    if metric in EARLY_METRICS.get(target, ()):
        found.append(("early", EARLY, (COLOURS[3], "triangle-up"), EARLY_BY_ARTISTS[target]))
    sizes: set[int] = set()
    for key, name, (colour, symbol), values in found:
        if not values:
            continue
        sizes |= set(values)
        figure.add_scatter(
            x=list(values),
            y=list(values.values()),
            mode="markers",
            name=escape(name, quote=False),
            legendgroup=f"paper {key}",
            showlegend=f"paper {key}" not in named,
            marker={"color": colour, "symbol": f"{symbol}-open", "size": 10, "line": {"width": 2}},
            hovertemplate="other data: %{y:.4f}<extra></extra>",
            row=place[0],
            col=place[1],
        )
        named.add(f"paper {key}")
    return sizes


def _draw_others(
    figure: go.Figure,
    own: pd.DataFrame,
    place: tuple[int, int],
    named: set[str],
    sizes: Sequence[int],
    dashes: Mapping[str, str],
) -> None:
    others = own[~own["net"].isin(list(TRAINED))]
    ends = [float(sizes[0]), float(sizes[-1])] if sizes else [1.0, 10.0]
    if ends[0] == ends[1]:
        ends = [0.8 * ends[0], 1.25 * ends[1]]
    for row in others.to_dict("records"):
        name = str(row["name"])
        figure.add_scatter(
            x=ends,
            y=[number(row["value"])] * 2,
            mode="lines",
            name=escape(name, quote=False),
            legendgroup=escape(f"other {name}", quote=False),
            showlegend=f"other {name}" not in named,
            line={"color": "#444444", "dash": dashes[name], "width": 1.5},
            hovertemplate="%{y:.3f}<extra>" + escape(name, quote=False) + "</extra>",
            row=place[0],
            col=place[1],
        )
        named.add(f"other {name}")


def _system_name(row: pd.Series) -> str:
    n = number(row["n_artists_trained"])
    if row["net"] in TRAINED:
        return f"{TRAINED[row['net']]}, {n:,.0f} artists" if isfinite(n) else TRAINED[row["net"]]
    return str(row["name"])


def _in_order(rows: pd.DataFrame) -> list[str]:
    nets = list(TRAINED)
    first = rows.drop_duplicates("name")
    keyed = [
        (nets.index(net) if net in nets else len(nets), k, str(name))
        for k, (net, name) in enumerate(zip(first["net"], first["name"]))
    ]
    return [name for _, _, name in sorted(keyed)]


def _difference_label(row: Mapping[str, Any]) -> str:
    where = f"{target_name(row['target'])}, {METRICS.get(str(row['metric']), str(row['metric']))}: "
    return wrapped(f"{where}{row['first']} less {row['second']}", 90)
