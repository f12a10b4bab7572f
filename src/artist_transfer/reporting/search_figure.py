"""The map of a search: everything in grey, what was found with its rank, and the query."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from artist_transfer.reporting.figures import COLOURS, TEMPLATE
from artist_transfer.search.index import SearchIndex
from artist_transfer.search.query import Query
from artist_transfer.search.song_map import place_of

FEW_ARTISTS = 3  # whose songs are set off
GREY, PALE = "#c4c4c4", "#9fc9e6"
OUTSIDE = " The query is not in the index: it is put in the middle of what is most like it."


def search_map_plot(
    index: SearchIndex, query: Query, songs: pd.DataFrame, artists: pd.DataFrame, map_table: pd.DataFrame
) -> tuple[go.Figure, str]:
    """Draw the map of an index with what was found.

    Parameters
    ----------
    index : SearchIndex
    query : Query
    songs, artists : pd.DataFrame
        What was found.
    map_table : pd.DataFrame [columns: kind, id, artist_id, artist, title, genre, n_songs, x, y]
        As of `artist_transfer.search.song_map.index_map`.

    Returns
    -------
    figure : go.Figure
    alt : str
        What it shows, in words.
    """
    of_songs = bool((map_table["kind"] == "song").any())
    found = songs if of_songs else artists
    ranks = dict(zip(found["recording_id" if of_songs else "artist_id"], found["rank"]))
    own = _own(index, query, of_songs)
    figure = go.Figure()
    rest = ~map_table["id"].isin([*ranks, *own])
    first = set(artists["artist_id"][:FEW_ARTISTS])
    near = map_table["artist_id"].isin(first) & rest if of_songs else rest & False
    what = "songs" if of_songs else "artists"
    _points(figure, map_table[rest & ~near], f"other {what}", {"color": GREY, "size": 6})
    if near.any():
        _points(
            figure,
            map_table[near],
            f"songs of the {len(first)} nearest artists",
            {"color": PALE, "size": 7},
        )
    there = map_table[map_table["id"].isin(ranks) & ~map_table["id"].isin(own)]
    there = there.assign(rank=there["id"].map(ranks)).sort_values("rank")
    _points(
        figure, there, f"{what} found, with their rank", {"color": COLOURS[0], "size": 11},
        text=[str(rank) for rank in there["rank"]],
    )  # fmt: skip
    outside = _draw_query(figure, query, found, map_table, map_table[map_table["id"].isin(own)])
    title = "Map of the songs" if of_songs else "Map of the artists"
    figure.update_xaxes(showticklabels=False, zeroline=False, title_text="no unit: only nearness counts")
    figure.update_yaxes(showticklabels=False, zeroline=False)
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(template=TEMPLATE, title_text=title, height=680, legend=legend, margin={"t": 110})
    return figure, _alt(index, map_table, of_songs, outside)


def _own(index: SearchIndex, query: Query, of_songs: bool) -> list[str]:
    if of_songs:
        return [str(each) for each in index.songs.table["recording_id"].iloc[query.own_songs]]
    return [query.key] if query.kind == "artist" else []


def _draw_query(
    figure: go.Figure, query: Query, found: pd.DataFrame, map_table: pd.DataFrame, own: pd.DataFrame
) -> bool:
    """Draw the query, and return whether it had to be put somewhere."""
    star = {"color": COLOURS[5], "size": 19, "symbol": "star", "line": {"width": 1, "color": "#ffffff"}}
    if len(own) > 1:
        star |= {"size": 11, "symbol": "diamond"}
    if len(own):
        _points(figure, own, "the query" if len(own) == 1 else "the query's songs", star)
        return False
    place = place_of(map_table, found)
    if place is None:
        return False
    figure.add_scatter(
        x=[place[0]], y=[place[1]], mode="markers", name="the query", marker=star,
        text=[escape(query.label, quote=False)], hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    return True


def _points(
    figure: go.Figure, rows: pd.DataFrame, name: str, marker: Mapping[str, Any], *, text: list[str] | None = None
) -> None:
    figure.add_scatter(
        x=[round(float(x), 3) for x in rows["x"]],
        y=[round(float(y), 3) for y in rows["y"]],
        mode="markers" if text is None else "markers+text",
        name=name,
        marker={"line": {"width": 0.5, "color": "#ffffff"}, **marker},
        text=text,
        textposition="top center",
        textfont={"size": 13, "color": "#1a1a1a"},
        customdata=[[_hover(row)] for row in rows.to_dict("records")],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )


def _hover(row: Mapping[Any, Any]) -> str:
    artist = row["artist"] or row["artist_id"] or "unknown artist"
    head = f"{row['title'] or row['id']}<br>" if row["kind"] == "song" else ""
    tail = row["genre"] or ""
    if row["kind"] == "artist":
        tail = ", ".join(part for part in (tail, f"{int(row['n_songs'])} songs") if part)
    parts = [escape(str(part), quote=False) for part in (artist, tail) if part]
    first = escape(str(row["title"] or row["id"]), quote=False) + "<br>" if head else ""
    return first + "<br>".join(parts)


def _alt(index: SearchIndex, map_table: pd.DataFrame, of_songs: bool, outside: bool) -> str:
    total = index.facts["n_songs"] if of_songs else index.facts["n_artists"]
    each = "a song" if of_songs else "an artist"
    drawn = f" {len(map_table):,} of {total:,} were drawn." if len(map_table) < total else ""
    if not of_songs:
        drawn += " There are too many songs for a map of them."
    return (
        f"Each point is {each}; those whose sound is alike are near each other (t-SNE), though the map cannot keep "
        f"every neighbourhood. Point at one to see its name.{drawn}{OUTSIDE if outside else ''}"
    )
