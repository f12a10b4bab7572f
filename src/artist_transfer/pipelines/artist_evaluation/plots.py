"""Node that draws the figures of artist-label nets for Kedro-Viz and MLflow (ISMIR, figures 2-7)."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from artist_transfer.pipelines.artist_evaluation.told import with_own_name

NUMBER_PLOTS = {
    "map_number_plot": "map",
    "knn_number_plot": "knn_accuracy",
    "softmax_number_plot": "softmax_accuracy",
    "tag_number_plot": "auc",
    "artist_number_plot": "artist_map",
}
"""Outputs that show a score over the number of artists, and which (figures 2-4; tags; artists)."""
PLOTS = [
    *NUMBER_PLOTS,
    "genre_accuracy_plot",
    "artist_curve_plot",
    "track_by_artist_plot",
    "track_by_genre_plot",
]


def plot_artist_nets(
    artist_score_table: pd.DataFrame,
    artist_net_table: pd.DataFrame,
    artist_track_map_table: pd.DataFrame,
    genre_track_map_table: pd.DataFrame,
    target: str | None,
    corpus: str,
) -> tuple[go.Figure, ...]:
    """Draw scores over the number of artists and by genre, training curves, and the maps.

    Parameters
    ----------
    artist_score_table : pd.DataFrame
        All scores.
    artist_net_table : pd.DataFrame
        Losses by net and epoch.
    artist_track_map_table, genre_track_map_table : pd.DataFrame
        Tracks in the plane.
    target : str or None
        Name of the run's own corpus.
    corpus : str
        Its kind.

    Returns
    -------
    tuple of go.Figure
        In the order of `PLOTS`; what the run has no numbers for says so.
    """
    from artist_transfer.reporting.artist_figures import by_artists_plot, training_plot
    from artist_transfer.reporting.artist_maps import tracks_by_artist_plot, tracks_by_genre_plot
    from artist_transfer.reporting.artist_paper import METRICS
    from artist_transfer.reporting.artist_tables import WHOLE

    scored = with_own_name(artist_score_table, target, corpus)
    there = set(scored.loc[scored["of"].isin(WHOLE), "metric"]) if len(scored) else set()
    over_number = [
        by_artists_plot(scored, metric) if metric in there else _empty(f"No {METRICS[metric]} in this run")
        for metric in NUMBER_PLOTS.values()
    ]
    return (
        *over_number,
        _by_genre(scored),
        training_plot(artist_net_table),
        tracks_by_artist_plot(artist_track_map_table) if len(artist_track_map_table) else _empty("No artist is known"),
        tracks_by_genre_plot(genre_track_map_table) if len(genre_track_map_table) else _empty("No genre is known"),
    )


def _by_genre(scored: pd.DataFrame) -> go.Figure:
    """Draw the accuracy of each genre of the first target that has one (figure 5)."""
    from artist_transfer.reporting.artist_figures import by_label_plot
    from artist_transfer.reporting.artist_tables import WHOLE

    for metric in ("knn_accuracy", "softmax_accuracy") if len(scored) else ():
        parts = scored[(scored["metric"] == metric) & ~scored["of"].isin(WHOLE) & scored["value"].notna()]
        if len(parts):
            return by_label_plot(scored, str(parts["target"].iloc[0]), metric)
    return _empty("No accuracy by genre in this run")


def _empty(message: str) -> go.Figure:
    return go.Figure(layout={"title": {"text": message}, "template": "plotly_white"})
