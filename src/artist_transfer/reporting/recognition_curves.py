"""Detection error trade-off and score histograms of artist recognition.

References
----------
Martin, Doddington, Kamm, Ordowski, Przybocki, "The DET curve in assessment of detection task performance", Eurospeech
1997: both error rates on normal deviate scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isfinite

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy.stats import norm

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.artist_panels import dressed, panels
from artist_transfer.reporting.figures import COLOURS
from artist_transfer.reporting.recognition_figures import looks_of, under_legend
from artist_transfer.reporting.recognition_tables import at_size, named_systems, require, scored_rows, shown_size
from artist_transfer.reporting.scores import number

DET_COLUMNS = ("system", "false_alarm", "miss")
HISTOGRAM_COLUMNS = ("system", "target", "left", "right", "count")
RATES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LOWEST, HIGHEST = 1e-3, 0.95
MOST_POINTS = 400
KINDS = {True: ("the artist's own songs (targets)", COLOURS[0]), False: ("other artists' songs", COLOURS[1])}


def det_plot(det_table: pd.DataFrame, score_table: pd.DataFrame, *, size: float | None = None) -> go.Figure:
    """Draw the DET curves of all systems on normal deviate axes, with their EER.

    Parameters
    ----------
    det_table : pd.DataFrame [columns: system, n_artists_trained, false_alarm, miss]
        Shares in [0, 1], the points of a curve in their order.
    score_table : pd.DataFrame
        See `artist_transfer.reporting.recognition_tables`; its ``eer`` and interval are marked on the diagonal.
    size : float, optional
        Which number of training artists; by default that at which the systems are set side by side.

    Returns
    -------
    go.Figure
        A rate of 0 or 1 lies beyond the edge.

    Raises
    ------
    ArtistTransferError
        If a column is missing, a rate is no share, a system has no score, or no curve is of this number of artists.
    """
    require(det_table, DET_COLUMNS, "det_table")
    rows = scored_rows(score_table)
    looks = looks_of(rows)
    size = shown_size(rows) if size is None else size
    curves = at_size(named_systems(rows, det_table, "det_table"), size)
    rates = curves[["false_alarm", "miss"]].to_numpy(dtype=np.float64)
    if not len(rates):
        raise ArtistTransferError("det_table: there is no curve of this number of training artists")
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ArtistTransferError("det_table: false_alarm and miss must be shares from 0 to 1")
    eers = at_size(rows[rows["metric"] == "eer"], size).set_index("family")
    ends = _ends(rates, [number(value) for value in eers["value"]])
    figure = go.Figure()
    edge = norm.ppf(ends)
    figure.add_scatter(
        x=edge, y=edge, mode="lines", line={"color": "#cccccc", "width": 1}, hoverinfo="skip", showlegend=False
    )
    families = list(dict.fromkeys(curves["family"]))
    for family in families:
        own = curves[curves["family"] == family]
        x, y = _thinned(*(_deviates(own[key].to_numpy(dtype=np.float64), ends) for key in ("false_alarm", "miss")))
        look, name = looks[str(family)], escape(str(family), quote=False)
        figure.add_scatter(
            x=x.round(4).tolist(),
            y=y.round(4).tolist(),
            mode="lines",
            name=name,
            legendgroup=name,
            line={"color": look.colour, "dash": look.dash, "width": 2},
            customdata=[[round(100 * a, 3), round(100 * b, 3)] for a, b in zip(norm.cdf(x), norm.cdf(y))],
            hovertemplate="false alarms %{customdata[0]:.2f} %, misses %{customdata[1]:.2f} %"
            "<extra>%{fullData.name}</extra>",
        )
        if family in eers.index and isfinite(number(eers.loc[family, "value"])):
            _mark_eer(
                figure,
                [number(eers.loc[family, key]) for key in ("low", "value", "high")],
                ends,
                name,
                look.symbol,
                look.colour,
            )
    ticks = [rate for rate in RATES if ends[0] <= rate <= ends[1]]
    texts = [f"{100 * rate:g}" for rate in ticks]
    figure.update_xaxes(title_text="false alarms: other artists accepted (%)", constrain="domain")
    figure.update_yaxes(title_text="misses: the artist rejected (%)", scaleanchor="x", constrain="domain")
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(
            tickmode="array", tickvals=norm.ppf(ticks).round(5).tolist(), ticktext=texts,
            range=edge.tolist(), zeroline=False,
        )  # fmt: skip
    height = 640 + (24 * ((len(families) + 1) // 2) if len(families) > 4 else 0)
    words = f", {size:,.0f} training artists" if isfinite(size) else ""
    return under_legend(dressed(figure, f"Detection error trade-off{words}", 1, height=height), len(families))


def _mark_eer(
    figure: go.Figure, scores: Sequence[float], ends: np.ndarray, name: str, symbol: str, colour: str
) -> None:
    low, value, high = scores
    known = isfinite(low) and isfinite(high)
    rates = np.array([low, value, high] if known else [value])
    at = _deviates(rates, ends)
    words = f"{100 * low:.2f} to {100 * high:.2f} %" if known else "none"
    figure.add_scatter(
        x=at.round(4).tolist(),
        y=at.round(4).tolist(),
        mode="lines+markers" if known else "markers",
        legendgroup=name,
        name=name,
        showlegend=False,
        opacity=0.85,
        line={"color": colour, "width": 1.5},
        marker={
            "color": colour,
            "symbol": symbol,
            "size": [0, 11, 0] if known else 11,
            "line": {"width": 1, "color": "#ffffff"},
        },
        hovertemplate=f"EER {100 * value:.2f} %, interval {words}<extra>%{{fullData.name}}</extra>",
    )


def _ends(rates: np.ndarray, eers: Sequence[float]) -> np.ndarray:
    """Give the least and the largest rate of both axes."""
    inside = rates[(rates > 0) & (rates < 1)]
    low = float(np.clip(inside.min() if len(inside) else 0.01, LOWEST, 0.02))
    hard = max((each for each in eers if isfinite(each)), default=0.0)
    return np.array([low, 0.6 if hard < 0.15 else 0.9 if hard < 0.3 else HIGHEST])


def _deviates(rates: np.ndarray, ends: np.ndarray) -> np.ndarray:
    # a rate of 0 has no deviate: it is drawn a little beyond the edge, so that the curve goes on to it
    return np.asarray(norm.ppf(np.clip(rates, ends[0] / 4, 1 - (1 - ends[1]) / 4)))


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep as many points as can be seen, evenly along the curve."""
    if len(x) <= MOST_POINTS:
        return x, y
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], MOST_POINTS)).clip(0, len(x) - 1))
    return x[kept], y[kept]


def histograms_plot(
    score_histogram_table: pd.DataFrame, score_table: pd.DataFrame, *, size: float | None = None
) -> go.Figure:
    """Draw how the scores of target and non-target trials are spread, a panel for each system.

    Parameters
    ----------
    score_histogram_table : pd.DataFrame [columns: system, n_artists_trained, target, left, right, count]
        ``target`` (bool): whether the song is of the model's artist; ``left`` < ``right``: the bin.
    score_table : pd.DataFrame
        See `artist_transfer.reporting.recognition_tables`.
    size : float, optional
        As in `det_plot`.

    Returns
    -------
    go.Figure
        Densities: both kinds have area 1, though there are far fewer target trials.

    Raises
    ------
    ArtistTransferError
        If a column is missing, a bin is empty or a count is negative, or nothing is of this number of artists.
    """
    require(score_histogram_table, HISTOGRAM_COLUMNS, "score_histogram_table")
    rows = scored_rows(score_table)
    size = shown_size(rows) if size is None else size
    bins = at_size(named_systems(rows, score_histogram_table, "score_histogram_table"), size)
    if not len(bins):
        raise ArtistTransferError("score_histogram_table: there is nothing of this number of training artists")
    if not ((bins["right"] > bins["left"]) & (bins["count"] >= 0)).all():
        raise ArtistTransferError("score_histogram_table: left must be below right and counts not negative")
    families = list(dict.fromkeys(bins["family"]))
    figure, places = panels([str(family) for family in families])
    for family, place in zip(families, places):
        for target, (name, colour) in KINDS.items():
            own = bins[(bins["family"] == family) & (bins["target"].astype(bool) == target)].sort_values("left")
            total, width = own["count"].sum(), (own["right"] - own["left"]).to_numpy(dtype=np.float64)
            if not total:
                continue
            counts = own["count"].to_numpy(dtype=np.float64)
            figure.add_bar(
                x=(own["left"].to_numpy(dtype=np.float64) + width / 2).tolist(),
                y=(counts / total / width).tolist(),
                width=width.tolist(),
                name=name,
                legendgroup=name,
                showlegend=place == places[0],
                marker={"color": colour, "line": {"width": 0}},
                opacity=0.55,
                customdata=[[f"{int(n):,} of {int(total):,}"] for n in counts],
                hovertemplate=f"%{{x:.3g}}: %{{customdata[0]}}<extra>{name}</extra>",
                row=place[0],
                col=place[1],
            )
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(showticklabels=False, rangemode="tozero")
    lines = (len(places) + 1) // 2
    figure = dressed(
        figure, "Scores of target and non-target trials", len(places), height=195 + (210 if lines > 1 else 260) * lines
    )
    return figure.update_layout(barmode="overlay", bargap=0)
