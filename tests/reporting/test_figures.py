"""Figures show the numbers they are given."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting import figures
from artist_transfer.reporting.paper import paper_result


def all_figures(inputs: dict[str, Any]) -> dict[str, go.Figure]:
    return {
        "training": figures.training_curves_plot(inputs["history"]),
        "scores": figures.scores_plot(inputs["metrics"], paper_result("gsedm", "mtn")),
        "confusion": figures.confusion_plot(inputs["confusion"]),
        "genres": figures.genre_f1_plot(inputs["per_genre"]),
        "map": figures.artist_map_plot(inputs["map_table"]),
        "factors": figures.factor_plot(inputs["factor_tables"]),
        "left_out": figures.left_out_plot(inputs["quarantine_table"]),
    }


def test_every_figure_has_a_title_and_named_axes(inputs: dict[str, Any]) -> None:
    for name, figure in all_figures(inputs).items():
        assert figure.layout.title.text, name
        assert figure.layout.xaxis.title.text, name
        assert figure.layout.autosize, name
        assert "NaN" not in figure.to_json(), name


def test_names_are_escaped_everywhere(inputs: dict[str, Any]) -> None:
    evil = {genre: f"<b>{genre}</b>" for genre in inputs["confusion"].index}
    inputs["confusion"] = inputs["confusion"].rename(index=evil, columns=evil)
    inputs["per_genre"]["genre"] = inputs["per_genre"]["genre"].map(evil)
    inputs["map_table"]["genre"] = inputs["map_table"]["genre"].map(evil, na_action="ignore")
    inputs["quarantine_table"]["reason"] = "<i>bad</i>: file"
    inputs["history"]["net"] = "<i>net</i>" + inputs["history"]["net"]
    inputs["metrics"]["baseline.<i>x</i>.log_loss"] = 1.0
    for name, figure in all_figures(inputs).items():
        text = json.dumps(json.loads(figure.to_json()))
        for harm in ("<script", "<b>", "<i>"):
            assert harm not in text, (name, harm)


def test_error_bars_are_the_intervals(metrics: dict[str, float]) -> None:
    figure = figures.scores_plot(metrics)
    assert len(figure.data) == 3
    for trace, metric in zip(figure.data, ("log_loss", "f1_macro", "accuracy"), strict=True):
        assert trace.x[0] == metrics[f"transfer.{metric}"]
        assert trace.x[0] + trace.error_x.array[0] == pytest.approx(metrics[f"transfer.{metric}_high"])
        assert trace.x[0] - trace.error_x.arrayminus[0] == pytest.approx(metrics[f"transfer.{metric}_low"])
        assert trace.y[0] == "transfer (this run)"


def test_the_paper_is_a_mark_of_its_own(metrics: dict[str, float]) -> None:
    figure = figures.scores_plot(metrics, paper_result("gs", "stn"))
    marks = [trace for trace in figure.data if "not comparable" in trace.hovertemplate]
    assert [trace.x[0] for trace in marks] == [0.8606, 0.6114]
    assert all(trace.error_x.array is None for trace in marks)


def test_missing_intervals_draw_no_bars(metrics: dict[str, float]) -> None:
    metrics["transfer.log_loss_low"] = metrics["transfer.log_loss_high"] = float("nan")
    trace = figures.scores_plot(metrics).data[0]
    assert (trace.error_x.array[0], trace.error_x.arrayminus[0]) == (0, 0)
    with pytest.raises(ArtistTransferError, match=r"transfer\.log_loss"):
        figures.scores_plot({})


def test_every_net_task_and_fold_is_a_line(history: pd.DataFrame) -> None:
    figure = figures.training_curves_plot(history)
    assert len(figure.data) == 2 * 6
    assert sum(trace.showlegend for trace in figure.data) == 6
    colours = {(trace.name.split(" (")[0], trace.line.color) for trace in figure.data}
    assert len(colours) == 5  # a task keeps its colour in every net
    first = figure.data[0]
    assert (first.name, first.x[0], first.y[0]) == ("genre (mtn)", 1, 3.0)
    with pytest.raises(ArtistTransferError, match=r"history: columns missing: \['loss'\]"):
        figures.training_curves_plot(history.drop(columns="loss"))


def test_shuffled_rows_give_the_same_figure(history: pd.DataFrame, map_table: pd.DataFrame) -> None:
    for draw, table in ((figures.training_curves_plot, history), (figures.artist_map_plot, map_table)):
        assert draw(table.sample(frac=1, random_state=0)).to_json() == draw(table).to_json()


def test_confusion_shows_counts_and_colours_shares(inputs: dict[str, Any]) -> None:
    trace = figures.confusion_plot(inputs["confusion"]).data[0]
    assert np.sum(trace.z, axis=1) == pytest.approx(np.ones(5), abs=1e-3)
    assert np.array(trace.text).astype(int).sum() == inputs["confusion"].to_numpy().sum()
    empty = inputs["confusion"] * 0
    assert np.sum(figures.confusion_plot(empty).data[0].z) == 0


def test_genres_from_best_to_worst(inputs: dict[str, Any]) -> None:
    table = inputs["per_genre"].assign(f1_low=0.05, f1_high=0.9)
    trace = figures.genre_f1_plot(table).data[0]
    assert trace.y[-1] == "romantic (411)"  # plotly draws from below
    assert list(trace.x) == sorted(table["f1"])
    assert trace.x[0] + trace.error_x.array[0] == pytest.approx(0.9)
    assert figures.genre_f1_plot(inputs["per_genre"]).data[0].error_x.array is None


def test_every_artist_is_on_the_map_once(map_table: pd.DataFrame) -> None:
    figure = figures.artist_map_plot(map_table)
    assert sum(len(trace.x) for trace in figure.data) == len(map_table)
    assert figure.data[-1].name == "no genre"
    many = map_table.assign(genre=[f"genre {k % 20:02d}" for k in range(len(map_table))])
    looks = {(trace.marker.color, trace.marker.symbol) for trace in figures.artist_map_plot(many).data}
    assert len(looks) == 20


def test_a_uniform_factor_table_is_a_flat_line() -> None:
    columns = [f"f{k:02d}" for k in range(40)]
    flat = pd.DataFrame(np.full((7, 40), 1 / 40), columns=columns).assign(fold=0, artist_id="a")
    # one group for each artist, all groups in use: their mean is flat, and yet the table says everything
    sharp = pd.DataFrame(np.eye(40), columns=columns).assign(fold=0, artist_id="a")
    other_fold = sharp.assign(fold=1, f00=0.5)
    figure = figures.factor_plot({"m": pd.concat([sharp, other_fold]), "s": flat})
    assert [trace.name for trace in figure.data] == ["subgenres", "MFCC"]
    assert list(figure.data[0].y) == pytest.approx([0.025] * 40)
    assert list(figure.data[1].y) == [1.0] + [0.0] * 39


def test_left_out_counts_add_up(inputs: dict[str, Any]) -> None:
    trace = figures.left_out_plot(inputs["quarantine_table"]).data[0]
    assert dict(zip(trace.y, trace.x, strict=True)) == {
        "truncated": 4,
        "unreadable": 3,
        "empty file": 1,
        "missing file": 1,
    }
