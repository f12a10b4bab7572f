"""Figures of artist recognition: all systems, more training artists, paired differences.

Scores over training artists are figures 2 and 3 of DeepArtistID. Curves and histograms are in
`artist_transfer.reporting.recognition_curves`, artists in `artist_transfer.reporting.recognition_artist_figure`.
Colour is the encoder, symbol and dash the scoring, the same in every figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.artist_comparisons import BETTER, OPEN
from artist_transfer.reporting.artist_panels import dressed, panels
from artist_transfer.reporting.figures import COLOURS, DASHES, SYMBOLS, error_bars, wrapped
from artist_transfer.reporting.recognition_paper import less_is_better, metric_name
from artist_transfer.reporting.recognition_tables import at_size, scored_rows, shown_size, sizes_of
from artist_transfer.reporting.scores import number, percent, signed

LABELS_AT_MOST = 14  # above this many systems a matrix of differences has no numbers in its cells


@dataclass(frozen=True)
class Look:
    """How a family is drawn.

    Attributes
    ----------
    colour, dash, symbol : str
    """

    colour: str
    dash: str
    symbol: str


def looks_of(rows: pd.DataFrame) -> dict[str, Look]:
    """Give every family a colour by its encoder, dash and symbol by its scoring.

    Parameters
    ----------
    rows : pd.DataFrame
        As `artist_transfer.reporting.recognition_tables.scored_rows` returns them.

    Returns
    -------
    dict of family to Look
        No two are alike as long as there are enough symbols.
    """
    encoders = list(dict.fromkeys(map(str, rows["encoder"])))
    scorings = list(dict.fromkeys(map(str, rows["scoring"])))
    found: dict[str, Look] = {}
    for family, encoder, scoring in zip(rows["family"], rows["encoder"], rows["scoring"]):
        if str(family) in found:
            continue
        colour, k = COLOURS[encoders.index(str(encoder)) % len(COLOURS)], scorings.index(str(scoring))
        free = [j for j in range(k, k + len(SYMBOLS)) if _look(colour, j) not in found.values()]
        found[str(family)] = _look(colour, free[0] if free else k)
    return found


def _look(colour: str, k: int) -> Look:
    return Look(colour, DASHES[k % len(DASHES)], SYMBOLS[k % len(SYMBOLS)])


def systems_plot(score_table: pd.DataFrame, metrics: Sequence[str], *, level: float = 0.95) -> go.Figure:
    """Draw all systems side by side at one number of training artists.

    Parameters
    ----------
    score_table : pd.DataFrame
        See `artist_transfer.reporting.recognition_tables`.
    metrics : sequence of str
        A panel each.
    level : float in (0, 1)

    Returns
    -------
    go.Figure
        Systems in the order of the first metric, the best on top; a dotted line is chance.

    Raises
    ------
    ArtistTransferError
        If there is no such metric.
    """
    rows = scored_rows(score_table)
    looks, here = looks_of(rows), at_size(rows, shown_size(rows))
    shown = [metric for metric in metrics if (here["metric"] == metric).any()]
    if not shown:
        raise ArtistTransferError(f"recognition_score_table: there is none of {', '.join(metrics)}, nothing to draw")
    first = here[here["metric"] == shown[0]].sort_values("value", ascending=less_is_better(shown[0]), kind="stable")
    order = list(dict.fromkeys([*first["family"], *here["family"]]))
    names = [wrapped(str(family), 34) for family in order]
    figure, places = panels([metric_name(metric) for metric in shown])
    for metric, (row, column) in zip(shown, places):
        own = here[here["metric"] == metric].set_index("family").reindex(order)
        scores = [tuple(number(value) for value in each) for each in own[["value", "low", "high"]].to_numpy()]
        figure.add_scatter(
            x=[value if isfinite(value) else None for value, _, _ in scores],
            y=names,
            error_x=error_bars([(a, b, c) for a, b, c in scores]),
            mode="markers",
            marker={
                "size": 10,
                "color": [looks[str(family)].colour for family in order],
                "symbol": [looks[str(family)].symbol for family in order],
            },
            customdata=[[f"{low:.3f} to {high:.3f}" if isfinite(low) else "none"] for _, low, high in scores],
            hovertemplate="%{y}: %{x:.3f}<br>interval %{customdata[0]}<extra></extra>",
            showlegend=False,
            row=row,
            col=column,
        )
        _draw_chance(figure, here, metric, (row, column), upright=True)
        figure.update_xaxes(title_text=_way(metric), row=row, col=column)
        if column > 1:
            figure.update_yaxes(showticklabels=False, row=row, col=column)
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    title = f"Scores with {percent(level)} intervals"
    lines = (len(places) + 1) // 2
    figure = dressed(figure, title, len(places), height=165 + (60 + 34 * len(order)) * lines)
    return figure.update_layout(margin={"t": 80})  # there is no legend


def over_artists_plot(score_table: pd.DataFrame, metric: str) -> go.Figure:
    """Draw a score over the number of training artists (DeepArtistID, figure 2: ``eer``, figure 3: ``top1``).

    Parameters
    ----------
    score_table : pd.DataFrame
    metric : str

    Returns
    -------
    go.Figure
        A line for each family with its intervals; what was trained on no number of artists as lines across.

    Raises
    ------
    ArtistTransferError
        If there is no score of this metric.
    """
    rows = scored_rows(score_table)
    looks, own = looks_of(rows), rows[rows["metric"] == metric]
    if not len(own):
        raise ArtistTransferError(f"recognition_score_table: there is no {metric}, so there is nothing to draw")
    sizes = sizes_of(own)
    figure = go.Figure()
    families = list(dict.fromkeys(own["family"]))
    ends = [0.8 * sizes[0], 1.25 * sizes[-1]] if sizes else [1.0, 10.0]
    for k, family in enumerate(families):
        part, look = own[own["family"] == family], looks[str(family)]
        name, colour = escape(str(family), quote=False), look.colour
        line = {"color": colour, "dash": look.dash}
        known = part[part["n_artists_trained"].notna()].sort_values("n_artists_trained")
        if len(known):
            scores = [tuple(number(row[key]) for key in ("value", "low", "high")) for row in known.to_dict("records")]
            shift = 1 + 0.012 * (k - (len(families) - 1) / 2)  # so that bars do not cover each other
            figure.add_scatter(
                x=[float(n) * shift for n in known["n_artists_trained"]],
                y=[value if isfinite(value) else None for value, _, _ in scores],
                error_y=error_bars([(a, b, c) for a, b, c in scores]) | {"color": colour, "thickness": 1.2, "width": 3},
                mode="lines+markers",
                name=name,
                line=line,
                marker={"color": colour, "symbol": look.symbol, "size": 9},
                customdata=[[f"{n:,.0f} artists"] for n in known["n_artists_trained"]],
                hovertemplate="%{customdata[0]}: %{y:.3f}<extra>%{fullData.name}</extra>",
            )
        for value in part.loc[part["n_artists_trained"].isna(), "value"]:
            figure.add_scatter(
                x=ends,
                y=[number(value)] * 2,
                mode="lines",
                name=name,
                line=line | {"width": 1.5},
                hovertemplate="%{y:.3f}<extra>%{fullData.name}</extra>",
            )
    _draw_chance(figure, own, metric, None, upright=False)
    figure.update_xaxes(
        type="log",
        tickmode="array",
        tickvals=sizes,
        ticktext=[f"{n:,}" for n in sizes],
        title_text="training artists" if sizes else "no system was trained on a number of artists",
    )
    figure.update_yaxes(title_text=f"{metric_name(metric)} ({_way(metric)})")
    extra = 24 * len(families) // 2
    return under_legend(
        dressed(figure, f"{metric_name(metric)} by number of training artists", 1, height=540 + extra), len(families)
    )


def under_legend(figure: go.Figure, entries: int) -> go.Figure:
    """Move a long legend beneath the plot, where it cannot cover the title.

    Parameters
    ----------
    figure : go.Figure
        As `artist_transfer.reporting.artist_figures.dressed` returns it.
    entries : int >= 0
        Of the legend; short ones stay where they are.

    Returns
    -------
    go.Figure
    """
    if entries <= 4:
        return figure
    figure.update_layout(margin={"t": 70, "b": 90 + 24 * ((entries + 1) // 2)})
    plot = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
    return figure.update_layout(legend={"yanchor": "top", "y": -75 / max(1, plot)})


def _draw_chance(
    figure: go.Figure, rows: pd.DataFrame, metric: str, place: tuple[int, int] | None, *, upright: bool
) -> None:
    chances = rows.loc[rows["metric"] == metric, "chance"].dropna() if "chance" in rows.columns else []
    for chance in sorted({float(value) for value in chances})[:1]:
        at: dict[str, Any] = {} if place is None else {"row": place[0], "col": place[1]}
        line = {"color": "#888888", "width": 1.5, "dash": "dot"}
        text = {"text": "chance", "font": {"size": 11, "color": "#666666"}}
        if upright:
            figure.add_vline(x=chance, line=line, annotation=text, annotation_position="bottom right", **at)
        else:
            figure.add_hline(y=chance, line=line, annotation=text, annotation_position="top right", **at)


def _way(metric: str) -> str:
    return "less is better" if less_is_better(metric) else "more is better"


def differences_matrix(pairs: Sequence[Mapping[str, Any]], metric: str) -> go.Figure:
    """Draw who is better than whom: a cell for each two systems.

    Parameters
    ----------
    pairs : sequence of mapping
        As `artist_transfer.reporting.recognition_tables.pair_rows` returns them, at one number of training artists.
    metric : str

    Returns
    -------
    go.Figure
        Blue: the system of the row is better, orange: that of the column, both after Holm's correction; grey: no
        difference could be shown.

    Raises
    ------
    ArtistTransferError
        If no two systems were compared in this metric.
    """
    own = [row for row in pairs if row["metric"] == metric and row["first_family"] != row["second_family"]]
    if not own:
        raise ArtistTransferError(f"recognition_comparison_table: no two systems were compared in {metric}")
    names = list(dict.fromkeys(str(row[f"{side}_family"]) for side in ("first", "second") for row in own))
    place = {name: k for k, name in enumerate(names)}
    size = len(names)
    z: list[list[float | None]] = [[None] * size for _ in names]
    text, hover = [[""] * size for _ in names], [[""] * size for _ in names]
    for row in own:
        a, b = place[str(row["first_family"])], place[str(row["second_family"])]
        won = 0 if row["verdict"] == OPEN else 1 if row["verdict"] == BETTER else -1
        for (i, j), sign in (((a, b), 1), ((b, a), -1)):
            effect = sign * number(row["effect"])
            low, high = sorted(sign * number(row[key]) for key in ("low", "high"))
            z[i][j] = sign * won
            text[i][j] = signed(effect)
            interval = f"interval {signed(low)} to {signed(high)}" if isfinite(low) else "without an interval"
            hover[i][j] = (
                f"{escape(names[i], quote=False)}<br>less {escape(names[j], quote=False)}:<br>{text[i][j]}, {interval}"
            )
    labels = [wrapped(name, 28) for name in names]
    figure = go.Figure()
    figure.add_heatmap(
        z=z,
        x=labels,
        y=labels,
        text=text,
        texttemplate="%{text}" if size <= LABELS_AT_MOST else None,
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
        colorscale=[[0, "#f3b27f"], [0.5, "#ececec"], [1, "#7fb3d9"]],
        zmin=-1,
        zmax=1,
        xgap=2,
        ygap=2,
        showscale=False,
    )
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    figure.update_xaxes(type="category", showgrid=False, tickangle=-40)
    title = f"{metric_name(metric)}: system of the row less that of the column"
    figure = dressed(figure, title, 1, height=270 + 44 * size)
    return figure.update_layout(margin={"t": 60})
