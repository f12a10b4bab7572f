"""Figures of the choices that the paper left open: ablations, and the number of groups."""

from __future__ import annotations

from html import escape
from math import isfinite

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from artist_transfer.reporting.figures import COLOURS, GREY, error_bars
from artist_transfer.reporting.paper import TASK_NAMES
from artist_transfer.reporting.scores import SAID, UNITS, number
from artist_transfer.reporting.study_figures import dressed, panels, score_of
from artist_transfer.reporting.study_tables import rows_of
from artist_transfer.reporting.study_views import (
    ABLATION_COLUMNS,
    ABLATIONS,
    GROUP_COLUMNS,
    value_tried,
)


def ablation_plot(ablation_table: pd.DataFrame) -> go.Figure:
    """Draw the choices that the paper left open, a row of panels each.

    Parameters
    ----------
    ablation_table : pd.DataFrame [columns: ablation, value, status, reason, is_default, log_loss, …]

    Returns
    -------
    go.Figure
        The default is a filled diamond.
    """
    rows = [
        row
        for row in rows_of(ablation_table, ABLATION_COLUMNS, "ablation_table")
        if any(isfinite(number(row.get(metric))) for metric in SAID)
    ]
    names = list(dict.fromkeys(str(row["ablation"]) for row in rows)) or [""]
    sizes = [max(1, sum(str(row["ablation"]) == name for row in rows)) for name in names]
    height = 150 + sum(70 + 30 * size for size in sizes)
    figure = make_subplots(
        rows=len(names),
        cols=2,
        shared_xaxes="columns",
        shared_yaxes=True,
        horizontal_spacing=0.06,
        vertical_spacing=min(0.9 / max(1, len(names) - 1), 62 / (height - 145)) if len(names) > 1 else 0,
        row_heights=sizes,
        subplot_titles=[_panel_title(name, metric) for name in names for metric in SAID],
    )
    for line, name in enumerate(names, start=1):
        own = [row for row in rows if str(row["ablation"]) == name]
        for column, metric in enumerate(SAID, start=1):
            scores = [score_of(row, metric) for row in own]
            default = [bool(row["is_default"]) for row in own]
            figure.add_scatter(
                x=[value if isfinite(value) else None for value, _, _ in scores],
                y=[escape(str(row["value"]), quote=False) for row in own],
                error_x=error_bars(scores) | {"color": GREY},
                mode="markers",
                showlegend=False,
                marker={
                    "color": [COLOURS[0] if each else "#444444" for each in default],
                    "symbol": ["diamond" if each else "circle-open" for each in default],
                    "size": [12 if each else 9 for each in default],
                },
                customdata=[[escape(value_tried(row), quote=False)] for row in own],
                hovertemplate="%{customdata[0]}: %{x:.3f}<extra></extra>",
                row=line,
                col=column,
            )
        figure.update_yaxes(type="category", autorange="reversed", row=line)
    for column, metric in enumerate(SAID, start=1):
        figure.update_xaxes(title_text=UNITS[metric], row=len(names), col=column)
    return dressed(figure, "Choices that the paper left open", height=height, top=80, l=20)


def groups_plot(groups_table: pd.DataFrame, *, unit: str = "") -> go.Figure:
    """Draw coherence and held-out bound by number of groups.

    Parameters
    ----------
    groups_table : pd.DataFrame [columns: feature_set, groups, coherence, held_out_bound]
    unit : str
        Of the bound (``nats a word``, …).

    Returns
    -------
    go.Figure
        A line for each feature set.
    """
    rows = rows_of(groups_table, GROUP_COLUMNS, "groups_table")
    figure = panels(["coherence: more is better", "held-out bound: more is better"])
    sets = {str(row["feature_set"]) for row in rows}
    letters = [letter for letter in TASK_NAMES if letter in sets]
    for line, what in enumerate(("coherence", "held_out_bound"), start=1):
        for letter in letters + sorted(sets - set(letters)):
            own = [row for row in rows if str(row["feature_set"]) == letter and isfinite(number(row[what]))]
            own = sorted(own, key=lambda row: number(row["groups"]))
            k = list(TASK_NAMES).index(letter) if letter in TASK_NAMES else len(TASK_NAMES)
            figure.add_scatter(
                x=[int(row["groups"]) for row in own],
                y=[number(row[what]) for row in own],
                mode="lines+markers",
                name=escape(TASK_NAMES.get(letter, letter), quote=False),
                legendgroup=escape(letter, quote=False),
                showlegend=line == 1,
                line={"color": COLOURS[k % len(COLOURS)]},
                hovertemplate="%{x} groups: %{y:.4g}<extra></extra>",
                row=line,
                col=1,
            )
    ticks = sorted({int(row["groups"]) for row in rows})
    figure.update_xaxes(type="log", tickmode="array", tickvals=ticks, ticktext=[str(tick) for tick in ticks])
    figure.update_xaxes(title_text="number of groups", row=2, col=1)
    figure.update_yaxes(title_text="coherence", row=1, col=1)
    figure.update_yaxes(title_text=escape(f"bound ({unit})" if unit else "bound", quote=False), row=2, col=1)
    return dressed(figure, "How many groups of artists", height=720)


def _panel_title(name: str, metric: str) -> str:
    return escape(f"{ABLATIONS.get(name, name)}" if metric == SAID[0] else "", quote=False)
