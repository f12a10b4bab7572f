"""Figures of a study: pure functions from its tables to plotly.

Labels of rows stand above their points and not beside them, so that a telephone can show them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from artist_transfer.reporting.figures import COLOURS, GREY, TEMPLATE, error_bars, wrapped
from artist_transfer.reporting.paper import LABEL
from artist_transfer.reporting.scores import METRICS, SAID, UNITS, number
from artist_transfer.reporting.study_tables import figure_3, rows_of
from artist_transfer.reporting.study_views import (
    COMPARISON_COLUMNS,
)
from artist_transfer.reporting.tables import p_text

BETTER = {"log_loss": "less is better", "f1_macro": "more is better", "accuracy": "more is better"}
LOOKS = {
    "first better": (COLOURS[0], "circle"),
    "second better": (COLOURS[5], "square"),
    "no difference shown": (GREY, "circle-open"),
}
"""Colour and symbol of a verdict after Holm's correction."""
NET_LOOKS = {"stn": (COLOURS[0], "circle"), "mtn": (COLOURS[1], "square")}
MOST_LETTERS = 48  # of a row's label in one line, so that a telephone shows all of it
TOP = 150  # pixels above a plot: its title, a legend of up to four lines, the panels' titles
BASELINE_LOOKS = {"prior": ("class priors", "dot"), "mfcc_logreg": ("MFCC statistics", "dash")}


def figure_3_plot(mean_table: pd.DataFrame) -> go.Figure:
    """Draw the mean scores by number of tasks (AGF, figure 3).

    Parameters
    ----------
    mean_table : pd.DataFrame [columns: group, architecture, n_cases, metric, value, low, high]

    Returns
    -------
    go.Figure
        A panel for log loss and one for macro F1; the paper's means, computed from its table 4, as open marks.
    """
    table = figure_3(mean_table)
    figure = panels([f"{METRICS[metric]}: {BETTER[metric]}" for metric in SAID])
    for row, metric in enumerate(SAID, start=1):
        paper = next(name for name in table.columns if name.startswith(f"{metric} (") and LABEL in name)
        for k, (architecture, (colour, symbol)) in enumerate(NET_LOOKS.items()):
            own = table[table["architecture"] == architecture]
            there = own[own[metric].notna()]
            shift = 0.06 * (2 * k - 1)  # so that the intervals of the two do not cover each other
            scores = list(zip(there[metric], there[f"{metric}_low"], there[f"{metric}_high"]))
            figure.add_scatter(
                x=[size + shift for size in there["n_tasks"]],
                y=[float(value) for value in there[metric]],
                error_y=error_bars(scores),
                mode="lines+markers",
                name=architecture.upper(),
                legendgroup=architecture,
                showlegend=row == 1,
                marker={"color": colour, "symbol": symbol, "size": 10},
                customdata=[[int(size), int(n)] for size, n in zip(there["n_tasks"], there["n_cases"])],
                hovertemplate="%{customdata[0]} tasks, mean of %{customdata[1]} cases: %{y:.3f}<extra></extra>",
                row=row,
                col=1,
            )
            figure.add_scatter(
                x=[size + shift for size in own["n_tasks"]],
                y=[float(value) for value in own[paper]],
                mode="markers",
                name=f"{architecture.upper()} ({LABEL})",
                legendgroup=f"paper {architecture}",
                showlegend=row == 1,
                marker={"color": colour, "symbol": f"{symbol}-open", "size": 10, "line": {"width": 2}},
                hovertemplate="other data, computed from table 4: %{y:.4f}<extra></extra>",
                row=row,
                col=1,
            )
        figure.update_yaxes(title_text=UNITS[metric], row=row, col=1)
        figure.update_xaxes(dtick=1, range=[0.6, 5.4], row=row, col=1)
    figure.update_xaxes(title_text="number of tasks", row=2, col=1)
    return dressed(figure, "Mean performance by number of tasks", height=800)


def forest_plot(comparison_table: pd.DataFrame) -> go.Figure:
    """Draw the effect of every comparison with its interval.

    Parameters
    ----------
    comparison_table : pd.DataFrame [columns: comparison, question, first, second, metric, effect, low, high]

    Returns
    -------
    go.Figure
        A panel for each metric; colour and symbol by the verdict after Holm's correction.
    """
    rows = [
        row
        for row in rows_of(comparison_table, (*COMPARISON_COLUMNS, "verdict"), "comparison_table")
        if row["metric"] in METRICS and isfinite(number(row["effect"]))
    ]
    metrics = [metric for metric in SAID if any(row["metric"] == metric for row in rows)]
    metrics = metrics or [metric for metric in METRICS if any(row["metric"] == metric for row in rows)] or [SAID[0]]
    names = list(dict.fromkeys(str(row["comparison"]) for row in rows if row["metric"] in metrics))
    place = {name: len(names) - k for k, name in enumerate(names)}
    figure = make_subplots(
        rows=1,
        cols=len(metrics),
        shared_yaxes=True,
        horizontal_spacing=0.05,
        subplot_titles=[METRICS[metric] for metric in metrics],
    )
    for column, metric in enumerate(metrics, start=1):
        for verdict, (colour, symbol) in LOOKS.items():
            own = [row for row in rows if row["metric"] == metric and row["verdict"] == verdict]
            scores = [(number(row["effect"]), number(row["low"]), number(row["high"])) for row in own]
            figure.add_scatter(
                x=[effect for effect, _, _ in scores],
                y=[place[str(row["comparison"])] for row in own],
                error_x=error_bars(scores) | {"color": colour},
                mode="markers",
                name=verdict,
                legendgroup=verdict,
                showlegend=column == 1,
                marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2, "color": colour}},
                customdata=[[escape(_contrast(row), quote=False), p_text(number(row.get("p_holm")))] for row in own],
                hovertemplate="%{customdata[0]}: %{x:+.3f}, corrected p %{customdata[1]}<extra></extra>",
                row=1,
                col=column,
            )
        way = "← first better" if metric == "log_loss" else "first better →"
        figure.update_xaxes(title_text=way, row=1, col=column)
        figure.add_vline(x=0, line={"color": "#444444", "width": 1}, row=1, col=column)
    labelled = {str(row["comparison"]): row for row in rows if str(row["comparison"]) in place}
    lines = max((_label(row).count("<br>") + 1 for row in labelled.values()), default=1)
    for name, row in labelled.items():
        _row_label(figure, place[name], _label(row))
    figure.update_yaxes(range=[0.5, len(names) + 0.9], showticklabels=False, showgrid=False, zeroline=False)
    return dressed(figure, "First less second", height=TOP + 80 + (22 + 15 * lines) * len(names), l=10)


def cases_plot(score_table: pd.DataFrame, case_table: pd.DataFrame) -> go.Figure:
    """Draw every case of the grid, the best log loss first.

    Parameters
    ----------
    score_table : pd.DataFrame [columns: case, log_loss, log_loss_low, …]
    case_table : pd.DataFrame [columns: case, tasks, kind]

    Returns
    -------
    go.Figure
        A panel for log loss and one for macro F1 in the same order; baselines as lines.
    """
    kinds = {str(row["case"]): row for row in rows_of(case_table, ("case", "tasks", "kind"), "case_table")}
    scores = {str(row["case"]): row for row in rows_of(score_table, ("case",), "score_table")}
    grid = [case for case in scores if case in kinds and kinds[case]["kind"] == "grid"]
    order = sorted(grid, key=lambda case: (-_or_last(scores[case].get("log_loss")), case))
    figure = make_subplots(
        rows=1,
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=[f"{METRICS[metric]}<br>{BETTER[metric]}" for metric in SAID],
    )
    for column, metric in enumerate(SAID, start=1):
        for name, with_genre, colour in (("with genre", True, COLOURS[0]), ("without genre", False, COLOURS[1])):
            own = [case for case in order if ("g" in str(kinds[case]["tasks"])) == with_genre]
            found = [score_of(scores[case], metric) for case in own]
            figure.add_scatter(
                x=[value if isfinite(value) else None for value, _, _ in found],
                y=[escape(case, quote=False) for case in own],
                error_x=error_bars(found) | {"color": colour, "thickness": 1.2, "width": 3},
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                marker={
                    "color": colour,
                    "size": 8,
                    "symbol": ["square" if case.endswith("-mtn") else "circle" for case in own],
                },
                hovertemplate="%{y}: %{x:.3f}<extra></extra>",
                row=1,
                col=column,
            )
        for case, (name, dash) in BASELINE_LOOKS.items():
            value = number(scores.get(case, {}).get(metric))
            if isfinite(value):
                figure.add_scatter(
                    x=[value, value],
                    y=[escape(order[0], quote=False), escape(order[-1], quote=False)] if order else [case, case],
                    mode="lines",
                    name=name,
                    legendgroup=name,
                    showlegend=column == 1,
                    line={"color": "#444444", "dash": dash, "width": 1.5},
                    hovertemplate=f"{name}: %{{x:.3f}}<extra></extra>",
                    row=1,
                    col=column,
                )
        figure.update_xaxes(title_text=UNITS[metric], row=1, col=column)
    ticks = [escape(case, quote=False) for case in order]
    figure.update_yaxes(
        categoryorder="array", categoryarray=ticks, type="category", tickmode="array", tickvals=ticks, ticktext=ticks,
        tickfont={"size": 11}, range=[-1, max(1, len(order))],
    )  # fmt: skip
    return dressed(figure, "The cases of the grid", height=TOP + 80 + 19 * max(3, len(order)), l=20)


def replicates_plot(score_table: pd.DataFrame) -> go.Figure:
    """Draw the spread between replicates against the width of the intervals.

    Parameters
    ----------
    score_table : pd.DataFrame [columns: case, n_replicates, log_loss_seed_sd, log_loss_low, log_loss_high, …]

    Returns
    -------
    go.Figure
        Of each case half its interval and the standard deviation between its replicates.
    """
    rows = rows_of(score_table, ("case", "n_replicates"), "score_table")
    figure = panels([METRICS[metric] for metric in SAID])
    for line, metric in enumerate(SAID, start=1):
        halves = [(number(row.get(f"{metric}_high")) - number(row.get(f"{metric}_low"))) / 2 for row in rows]
        spreads = [number(row.get(f"{metric}_seed_sd")) for row in rows]
        there = [k for k, pair in enumerate(zip(halves, spreads)) if all(map(isfinite, pair))]
        figure.add_scatter(
            x=[halves[k] for k in there],
            y=[spreads[k] for k in there],
            text=[escape(str(rows[k]["case"]), quote=False) for k in there],
            mode="markers",
            showlegend=False,
            marker={"color": COLOURS[0], "size": 9, "opacity": 0.8},
            hovertemplate="%{text}: between replicates %{y:.4f}, half interval %{x:.4f}<extra></extra>",
            row=line,
            col=1,
        )
        most = max([halves[k] for k in there] + [spreads[k] for k in there], default=1.0)
        figure.add_scatter(
            x=[0, most], y=[0, most], mode="lines", showlegend=False, hoverinfo="skip",
            line={"color": GREY, "dash": "dot", "width": 1}, row=line, col=1,
        )  # fmt: skip
        figure.update_yaxes(title_text="between replicates", rangemode="tozero", row=line, col=1)
        figure.update_xaxes(rangemode="tozero", row=line, col=1)
    figure.update_xaxes(title_text="half the interval", row=2, col=1)
    return dressed(figure, "What another seed or split changes", height=640, top=80)


def panels(titles: Sequence[str]) -> go.Figure:
    """Make panels beneath each other."""
    return make_subplots(rows=len(titles), cols=1, subplot_titles=list(titles), vertical_spacing=0.13)


def dressed(figure: go.Figure, title: str, *, height: int, top: int = TOP, **margin: int) -> go.Figure:
    """Put title, legend and plot beneath each other, whatever the width."""
    margins = {"t": top, "b": 65, "r": 15, "l": 60} | margin
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "yanchor": "bottom", "font": {"size": 12}}
    legend["y"] = 1 + 44 / (height - margins["t"] - margins["b"])
    heading = {"text": title, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 10}}
    return figure.update_layout(
        template=TEMPLATE, title=heading, autosize=True, height=height, legend=legend, margin=margins
    )


def _label(row: Mapping[str, Any]) -> str:
    text = _contrast(row)
    parts = [text] if len(text) <= MOST_LETTERS else [str(row["first"]), f"less {row['second']}"]
    return "<br>".join(wrapped(part, MOST_LETTERS) for part in parts)


def _row_label(figure: go.Figure, at: float, text: str) -> None:
    figure.add_annotation(
        x=0, xref="paper", xanchor="left", y=at, yref="y", yanchor="bottom", yshift=5, showarrow=False, align="left",
        text=text, font={"size": 12}, bgcolor="rgba(255,255,255,0.75)",
    )  # fmt: skip


def _contrast(row: Mapping[str, Any]) -> str:
    return f"{row['first']} less {row['second']}"


def score_of(row: Mapping[str, Any], metric: str) -> tuple[float, float, float]:
    """Return a score of a table's row with the ends of its interval."""
    return number(row.get(metric)), number(row.get(f"{metric}_low")), number(row.get(f"{metric}_high"))


def _or_last(value: object) -> float:
    found = number(value)
    return found if isfinite(found) else float("inf")
