"""Tracks in the plane by artist and by genre (ISMIR, figures 6 and 7): pure functions from a map to plotly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.artist_figures import dressed
from artist_transfer.reporting.figures import COLOURS, GREY, SYMBOLS

MOST_NAMED = 22  # artists on the map of figure 6
MOST_COLOURED = 15  # of them in colour, as in the paper
NO_LABEL = "no genre"


def tracks_by_artist_plot(
    map_table: pd.DataFrame, *, most: int = MOST_NAMED, coloured: int = MOST_COLOURED
) -> go.Figure:
    """Draw tracks in the plane by artist (ISMIR, figure 6).

    Parameters
    ----------
    map_table : pd.DataFrame [columns: track_id, artist_id, artist, title, genre, x, y]
        As of `artist_transfer.evaluation.track_map.track_map`.
    most : int > 0
        Artists shown: those with the most tracks, of equally many the first by id.
    coloured : int >= 0
        Of them in colour of their own; the others are grey.

    Returns
    -------
    go.Figure
    """
    _require(map_table)
    rows = map_table[map_table["artist_id"].notna()]
    counts = rows["artist_id"].value_counts()
    chosen = sorted(counts.index, key=lambda artist: (-int(counts[artist]), str(artist)))[:most]
    groups = [(_artist_name(rows, artist), rows[rows["artist_id"] == artist]) for artist in chosen]
    rest = rows[rows["artist_id"].isin(chosen[coloured:])]
    groups = [*groups[:coloured], *([("other artists", rest)] if len(rest) else [])]
    return _plane(groups, "Tracks by artist", grey="other artists")


def tracks_by_genre_plot(map_table: pd.DataFrame) -> go.Figure:
    """Draw tracks in the plane by genre (ISMIR, figure 7).

    Parameters
    ----------
    map_table : pd.DataFrame [columns: track_id, artist_id, artist, title, genre, x, y]

    Returns
    -------
    go.Figure
    """
    _require(map_table)
    genres = map_table["genre"].where(map_table["genre"].notna(), NO_LABEL)
    names = sorted(set(genres) - {NO_LABEL}) + [NO_LABEL] * bool((genres == NO_LABEL).any())
    return _plane([(str(name), map_table[genres == name]) for name in names], "Tracks by genre", grey=NO_LABEL)


def _plane(groups: Sequence[tuple[str, pd.DataFrame]], title: str, *, grey: str) -> go.Figure:
    figure = go.Figure()
    for k, (name, rows) in enumerate(groups):
        shown = escape(name, quote=False)
        figure.add_scatter(
            x=[round(float(x), 3) for x in rows["x"]],
            y=[round(float(y), 3) for y in rows["y"]],
            mode="markers",
            name=shown,
            marker={
                "size": 8,
                "color": GREY if name == grey else COLOURS[k % len(COLOURS)],
                "symbol": "circle-open" if name == grey else SYMBOLS[k // len(COLOURS) % len(SYMBOLS)],
                "line": {"width": 1 if name == grey else 0.5, "color": GREY if name == grey else "#ffffff"},
            },
            text=[_hover(row) for row in rows.to_dict("records")],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_xaxes(showticklabels=False, zeroline=False, title_text="no unit: only nearness counts")
    figure.update_yaxes(showticklabels=False, zeroline=False)
    return dressed(figure, title, 1, height=680).update_layout(
        legend={"orientation": "v", "x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top", "itemsizing": "constant"},
        showlegend=True,
        margin={"t": 60},
    )


def _hover(row: Mapping[Any, Any]) -> str:
    parts = (row["title"] if isinstance(row["title"], str) else row["track_id"], row["artist"], row["genre"])
    return "<br>".join(escape(str(part), quote=False) for part in parts if isinstance(part, str))


def _artist_name(rows: pd.DataFrame, artist_id: str) -> str:
    names = rows.loc[rows["artist_id"] == artist_id, "artist"].dropna()
    return str(names.iloc[0]) if len(names) else str(artist_id)


def _require(map_table: pd.DataFrame) -> None:
    columns = ("track_id", "artist_id", "artist", "title", "genre", "x", "y")
    missing = [name for name in columns if name not in map_table.columns]
    if missing:
        raise ArtistTransferError(f"map_table: columns missing: {missing}; it has {list(map_table.columns)}")
