"""Figure of the artists that are hardest to recognise."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import pandas as pd
import plotly.graph_objects as go

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.artist_panels import dressed
from artist_transfer.reporting.figures import COLOURS, SYMBOLS
from artist_transfer.reporting.recognition_figures import Look, under_legend
from artist_transfer.reporting.recognition_views import artist_means
from artist_transfer.reporting.scores import number

MOST_ARTISTS = 30


def hardest_artists_plot(
    artists: pd.DataFrame, looks: Mapping[str, Look] | None = None, *, most: int = MOST_ARTISTS
) -> go.Figure:
    """Draw the artists that are hardest to tell, as bars of their own EER.

    Parameters
    ----------
    artists : pd.DataFrame
        See `artist_transfer.reporting.recognition_views.artists_view`; with ``family`` the systems are drawn as points.
    looks : mapping of family to Look, optional
        As `looks_of` returns them.
    most : int > 0

    Returns
    -------
    go.Figure
        Bars are means over the systems, the hardest on top.

    Raises
    ------
    ArtistTransferError
        If a column is missing or there is no artist.
    """
    means = artist_means(artists).head(most)
    if not len(means):
        raise ArtistTransferError("artist_table: there is no artist to draw")
    ids = list(means["artist_id"])
    figure = go.Figure()
    figure.add_bar(
        x=[round(number(value), 5) for value in means["eer"]],
        y=ids,
        orientation="h",
        name="mean of the systems",
        marker={"color": "#c6d8e6"},
        customdata=[
            [escape(str(name), quote=False), f"{top1:.3f}"] for name, top1 in zip(means["name"], means["top1"])
        ],
        hovertemplate="%{customdata[0]}: own EER %{x:.3f}, top-1 accuracy %{customdata[1]}<extra></extra>",
    )
    families = list(dict.fromkeys(artists["family"])) if "family" in artists.columns else []
    for k, family in enumerate(families if len(families) > 1 else []):
        own = artists[(artists["family"] == family) & artists["artist_id"].isin(ids)]
        look = (looks or {}).get(str(family), Look(COLOURS[k % len(COLOURS)], "solid", SYMBOLS[k % len(SYMBOLS)]))
        figure.add_scatter(
            x=[round(number(value), 5) for value in own["eer"]],
            y=list(own["artist_id"]),
            mode="markers",
            name=escape(str(family), quote=False),
            marker={"color": look.colour, "symbol": look.symbol, "size": 7},
            hovertemplate="%{x:.3f}<extra>%{fullData.name}</extra>",
        )
    ticks = [escape(str(name), quote=False) for name in means["name"]]
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=ids[::-1], tickmode="array", tickvals=ids, ticktext=ticks,
        range=[-0.6, len(ids) - 0.4],
    )  # fmt: skip
    figure.update_xaxes(title_text="own EER: its test songs against its model and the others'", rangemode="tozero")
    entries = len(figure.data)
    height = 230 + 22 * len(ids) + (24 * ((entries + 1) // 2) if entries > 4 else 0)
    figure = under_legend(dressed(figure, "The hardest artists", 1, height=height), entries)
    if entries == 1:
        figure.update_layout(margin={"t": 60}, height=height - 70)
    return figure.update_layout(showlegend=entries > 1, barmode="overlay")
