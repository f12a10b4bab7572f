"""Panels of the figures of artist nets, and how title, legend and plots stand beneath each other."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from artist_transfer.reporting.figures import TEMPLATE, wrapped

TOP, PANEL = 130, 330  # pixels


def panels(titles: Sequence[str]) -> tuple[go.Figure, list[tuple[int, int]]]:
    """Make panels in two columns, in one if there is one panel only.

    Parameters
    ----------
    titles : sequence of str

    Returns
    -------
    figure : go.Figure
    places : list of (row, column)
    """
    columns = min(2, len(titles))
    rows = ceil(len(titles) / columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[wrapped(title, 40) for title in titles],
        horizontal_spacing=0.11,
        vertical_spacing=0.32 / rows if rows > 1 else 0,
    )
    return figure, [(1 + k // columns, 1 + k % columns) for k in range(len(titles))]


def dressed(figure: go.Figure, title: str, n_panels: int, *, height: int | None = None) -> go.Figure:
    """Put title, legend and plot beneath each other, whatever the width.

    Parameters
    ----------
    figure : go.Figure
    title : str
    n_panels : int > 0
    height : int, optional
        In pixels; by default as the panels need.

    Returns
    -------
    go.Figure
    """
    height = height or TOP + 65 + PANEL * ceil(n_panels / 2)
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "yanchor": "bottom", "font": {"size": 12}}
    legend["y"] = 1 + 34 / (height - TOP - 65)
    heading = {"text": title, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 10}}
    return figure.update_layout(
        template=TEMPLATE, title=heading, autosize=True, height=height, legend=legend,
        margin={"t": TOP, "b": 65, "r": 15, "l": 60},
    )  # fmt: skip
