"""Figures of a study show the numbers of its tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from tests.reporting import study_builder as builder

from artist_transfer.reporting import study_choice_figures as choices
from artist_transfer.reporting import study_figures as figures
from artist_transfer.reporting.study_paper import paper_mean


def all_figures() -> dict[str, go.Figure]:
    scores, cases = builder.score_table(n_replicates=3), builder.case_table()
    return {
        "figure_3": figures.figure_3_plot(builder.mean_table()),
        "forest": figures.forest_plot(builder.comparison_table()),
        "cases": figures.cases_plot(scores, cases),
        "ablations": choices.ablation_plot(builder.ablation_table()),
        "groups": choices.groups_plot(builder.groups_table(), unit="nats a word"),
        "replicates": figures.replicates_plot(scores),
    }


def test_every_figure_has_a_title_and_named_axes() -> None:
    for name, figure in all_figures().items():
        assert figure.layout.title.text, name
        titles = [axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes())]
        assert any(titles), name
        assert "NaN" not in figure.to_json(), name
        assert figure.layout.height > 300, name


def test_names_are_escaped() -> None:
    comparisons = builder.comparison_table().replace({"first": {"STN with g": builder.EVIL}})
    scores = builder.score_table(n_replicates=2).replace({"case": {"gs-stn": builder.EVIL}})
    cases = builder.case_table().replace({"case": {"gs-stn": builder.EVIL}})
    ablations = builder.ablation_table().replace({"value": {"soft": builder.EVIL}, "ablation": {"draw": builder.EVIL}})
    groups = builder.groups_table().replace({"feature_set": {"e": builder.EVIL}})
    drawn = [
        figures.forest_plot(comparisons), figures.cases_plot(scores, cases), choices.ablation_plot(ablations),
        choices.groups_plot(groups, unit=builder.EVIL), figures.replicates_plot(scores),
    ]  # fmt: skip
    for figure in drawn:
        text = figure.to_json()
        assert "<script" not in text.replace("\\u003c", "<")
        assert "&lt;script" in text.replace("\\u0026", "&")


def test_figure_3_has_the_means_and_the_papers_open() -> None:
    figure = figures.figure_3_plot(builder.mean_table())
    means = builder.mean_table().set_index(["group", "architecture", "metric"])
    assert len(figure.data) == 8
    for trace, (metric, net) in zip(
        figure.data[::2], [(m, n) for m in ("log_loss", "f1_macro") for n in ("stn", "mtn")], strict=True
    ):
        expected = [means.loc[(f"n_tasks={n}", net, metric), "value"] for n in range(1, 6)]
        assert list(trace.y) == pytest.approx(expected)
        assert trace.y[0] + trace.error_y.array[0] == pytest.approx(means.loc[("n_tasks=1", net, metric), "high"])
    paper = figure.data[3]
    assert paper.marker.symbol.endswith("-open")
    assert "paper, FMA medium, stratified" in paper.name
    assert list(paper.y) == pytest.approx([paper_mean(f"n_tasks={n}", "mtn", "log_loss") for n in range(1, 6)])
    assert paper.error_y.array is None


def test_the_forest_has_every_effect_coloured_by_its_verdict() -> None:
    table = builder.comparison_table()
    figure = figures.forest_plot(table)
    for metric, axis in (("log_loss", "x"), ("f1_macro", "x2")):
        for verdict in figures.LOOKS:
            own = table[(table["metric"] == metric) & (table["verdict"] == verdict)]
            (trace,) = [each for each in figure.data if (each.xaxis or "x") == axis and each.name == verdict]
            assert sorted(trace.x) == sorted(own["effect"])
            assert trace.marker.color == figures.LOOKS[verdict][0]
            ends = np.array(trace.x) + np.array(trace.error_x.array)
            assert sorted(ends) == pytest.approx(sorted(own["high"]))
    labels = [each.text for each in figure.layout.annotations]
    assert sum("less" in text for text in labels) == table["comparison"].nunique()


def test_the_cases_stand_in_the_order_of_their_log_loss() -> None:
    scores, cases = builder.score_table(), builder.case_table()
    figure = figures.cases_plot(scores, cases)
    grid = cases.loc[cases["kind"] == "grid", "case"]
    expected = scores[scores["case"].isin(grid)].sort_values("log_loss", ascending=False)
    assert list(figure.layout.yaxis.categoryarray) == list(expected["case"])
    drawn = {y: x for trace in figure.data[:2] for x, y in zip(trace.x, trace.y, strict=True)}
    assert drawn == dict(zip(expected["case"], expected["log_loss"], strict=True))
    lines = {trace.name: trace.x[0] for trace in figure.data if trace.mode == "lines" and (trace.xaxis or "x") == "x"}
    values = scores.set_index("case")["log_loss"]
    assert lines == {"class priors": values["prior"], "MFCC statistics": values["mfcc_logreg"]}


def test_ablations_mark_one_default_a_panel() -> None:
    figure = choices.ablation_plot(builder.ablation_table())
    assert len(figure.data) == 12
    for trace in figure.data:
        assert list(trace.marker.symbol).count("diamond") == 1
    table = builder.ablation_table()
    first = table[(table["ablation"] == "dictionary")]
    assert list(figure.data[0].x) == list(first["log_loss"])
    assert "160" not in figure.data[2].y  # skipped: named in the table


def test_groups_and_replicates_show_their_tables() -> None:
    table = builder.groups_table()
    figure = choices.groups_plot(table, unit="nats a word")
    own = table[(table["feature_set"] == "s") & table["coherence"].notna()]
    trace = next(each for each in figure.data if each.name == "subgenres")
    assert list(trace.x) == list(own["groups"])
    assert list(trace.y) == list(own["coherence"])
    assert any("nats a word" in (axis.title.text or "") for axis in figure.select_yaxes())
    scores = builder.score_table(n_replicates=3)
    points = figures.replicates_plot(scores).data[0]
    assert list(points.y) == list(scores["log_loss_seed_sd"])
    assert list(points.x) == pytest.approx(list((scores["log_loss_high"] - scores["log_loss_low"]) / 2))


@pytest.mark.parametrize(
    "draw",
    [
        figures.figure_3_plot, figures.forest_plot, lambda table: figures.cases_plot(table, table),
        choices.ablation_plot, choices.groups_plot, figures.replicates_plot,
    ],
)  # fmt: skip
def test_empty_tables_draw_empty_figures(draw: Callable[[pd.DataFrame], go.Figure]) -> None:
    figure = draw(pd.DataFrame())
    assert figure.layout.title.text
    points = [x for trace in figure.data if "paper" not in (trace.name or "") for x in (trace.x or ())]
    assert points in ([], [0, 1.0, 0, 1.0])  # the last: the diagonal of the replicates
