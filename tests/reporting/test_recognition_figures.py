from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from tests.reporting import recognition_builder as builder

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.recognition_artist_figure import hardest_artists_plot
from artist_transfer.reporting.recognition_curves import det_plot, histograms_plot
from artist_transfer.reporting.recognition_figures import (
    differences_matrix,
    looks_of,
    over_artists_plot,
    systems_plot,
)
from artist_transfer.reporting.recognition_sentences import at_one_size
from artist_transfer.reporting.recognition_tables import named_systems, pair_rows, scored_rows

FAMILIES = [f"{encoder} · {scoring}" for encoder, scoring, *_ in builder.SYSTEMS]


def test_every_family_has_a_look_of_its_own() -> None:
    rows = scored_rows(builder.score_table())
    looks = looks_of(rows)
    assert list(looks) == FAMILIES
    assert len(set(looks.values())) == len(FAMILIES)
    assert looks["i-vector · cosine"].colour == looks["i-vector · PLDA"].colour
    assert looks["i-vector · cosine"].dash == looks["DeepArtistID · cosine"].dash
    same = rows.assign(encoder="net", scoring="cosine")
    assert len(set(looks_of(same).values())) >= 6


def test_curves_meet_their_equal_error_rate_on_the_diagonal() -> None:
    figure = det_plot(builder.det_table(), builder.score_table())
    curves = [trace for trace in figure.data if trace.showlegend is None and trace.name]
    assert [trace.name for trace in curves] == [escape(name, quote=False) for name in FAMILIES]
    marks = {trace.name: trace for trace in figure.data if trace.name and trace.showlegend is False}
    assert set(marks) == {trace.name for trace in curves}
    for trace, (_, _, start, slope, _) in zip(curves, builder.SYSTEMS):
        value = builder.eer_of(start, slope, 2000)
        x, y = np.array(trace.x), np.array(trace.y)
        assert len(x) <= 400
        k = np.abs(x - y).argmin()
        assert norm.cdf(x[k]) == pytest.approx(value, abs=0.01)
        inside = (np.abs(x) < 2) & (np.abs(y) < 2)
        np.testing.assert_allclose((x + y)[inside], 2 * norm.ppf(value), atol=0.01)  # normal scores: a straight line
        np.testing.assert_allclose(norm.cdf(marks[trace.name].x), [value - 0.03, value, value + 0.035], atol=1e-3)


def test_axes_of_a_curve_are_normal_deviates() -> None:
    figure = det_plot(builder.det_table(), builder.score_table())
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        np.testing.assert_allclose(norm.cdf(axis.tickvals) * 100, [float(text) for text in axis.ticktext], rtol=1e-3)
    assert figure.layout.yaxis.scaleanchor == "x"
    assert tuple(figure.layout.xaxis.range) == tuple(figure.layout.yaxis.range)


def test_curves_of_another_number_of_artists_and_of_perfect_systems() -> None:
    few = det_plot(builder.det_table(), builder.score_table(), size=100)
    mark = next(trace for trace in few.data if trace.name == "DeepArtistID · cosine" and trace.showlegend is False)
    assert norm.cdf(mark.x[1]) == pytest.approx(0.30, abs=1e-3)
    scores = builder.score_table().query("system == 'released Siamese cosine'")
    scores = scores.assign(value=0.0, low=np.nan, high=np.nan)
    perfect = pd.DataFrame(
        {"system": "released Siamese cosine", "false_alarm": [1.0, 0.0, 0.0], "miss": [0.0, 0.0, 1.0]}
    )
    drawn = det_plot(perfect, scores)
    for trace in drawn.data:
        assert np.isfinite(np.array(trace.x, dtype=float)).all()
    with pytest.raises(ArtistTransferError, match="shares from 0 to 1"):
        det_plot(perfect.assign(miss=1.5), scores)
    with pytest.raises(ArtistTransferError, match=r"det_table: columns missing: \['miss'\]"):
        det_plot(perfect.drop(columns="miss"), scores)
    none = builder.det_table().query("n_artists_trained == 100")
    with pytest.raises(ArtistTransferError, match="no curve of this number"):
        det_plot(none, builder.score_table())


def test_histograms_of_both_kinds_have_area_1() -> None:
    figure = histograms_plot(builder.histogram_table(), builder.score_table())
    assert len(figure.data) == 2 * len(FAMILIES)
    assert len({trace.yaxis for trace in figure.data}) == len(FAMILIES)
    for trace in figure.data:
        assert np.dot(trace.y, trace.width) == pytest.approx(1)
    targets, others = figure.data[:2]
    assert np.average(targets.x, weights=targets.y) > np.average(others.x, weights=others.y) + 1
    assert [trace.showlegend for trace in figure.data] == [True, True] + [False] * (2 * len(FAMILIES) - 2)
    counted = sum(int(text[0].split(" of ")[0].replace(",", "")) for text in others.customdata)
    assert abs(counted - 12_250) < 30  # the builder rounds
    assert {text[0].split(" of ")[1] for text in others.customdata} == {f"{counted:,}"}
    with pytest.raises(ArtistTransferError, match="left must be below right"):
        histograms_plot(builder.histogram_table().assign(left=9e9), builder.score_table())


@pytest.mark.parametrize("metric", ["eer", "top1"])
def test_scores_over_artists_with_intervals(metric: str) -> None:
    figure = over_artists_plot(builder.score_table(), metric)
    assert [trace.name for trace in figure.data] == [escape(name, quote=False) for name in FAMILIES]
    for trace, (_, _, start, slope, _) in zip(figure.data, builder.SYSTEMS):
        sizes = builder.SIZES if slope else (100, 100)
        expected = [builder.values_of(builder.eer_of(start, slope, n))[metric] for n in sizes]
        np.testing.assert_allclose(trace.y, expected)
        assert trace.mode == ("lines+markers" if slope else "lines")
        if slope:
            np.testing.assert_allclose(trace.x, sizes, rtol=0.1)
            np.testing.assert_allclose(trace.error_y.arrayminus, 0.03)
    assert list(figure.layout.xaxis.tickvals) == list(builder.SIZES)
    assert figure.layout.shapes[0].y0 == builder.CHANCE[metric]


def test_systems_without_a_number_of_artists_are_lines_across() -> None:
    table = builder.score_table()
    figure = over_artists_plot(table[table["n_artists_trained"].isna()], "eer")
    assert [trace.mode for trace in figure.data] == ["lines", "lines"]
    assert "no system was trained" in figure.layout.xaxis.title.text
    with pytest.raises(ArtistTransferError, match="there is no nothing"):
        over_artists_plot(table, "nothing")


def test_systems_side_by_side_the_best_on_top() -> None:
    figure = systems_plot(builder.score_table(), ["eer", "top1", "nothing"])
    assert [each.text for each in figure.layout.annotations][:2] == ["EER", "top-1 accuracy"]
    axes = (figure.layout.xaxis, figure.layout.xaxis2)
    assert [axis.title.text for axis in axes] == ["less is better", "more is better"]
    eer, top1 = figure.data
    assert list(eer.x) == sorted(eer.x)
    assert eer.y == top1.y
    assert eer.y[0].startswith("late fusion (calibrated)")
    assert list(figure.layout.yaxis.categoryarray) == list(eer.y)[::-1]
    with pytest.raises(ArtistTransferError, match="none of nothing"):
        systems_plot(builder.score_table(), ["nothing"])


def test_the_matrix_of_differences_is_read_by_its_rows() -> None:
    rows = scored_rows(builder.score_table())
    pairs = [row for row in pair_rows(rows, builder.comparison_table()) if at_one_size(row, 2000)]
    for metric, sign in (("eer", -1), ("top1", 1)):
        (heat,) = differences_matrix(pairs, metric).data
        z = np.array([[np.nan if value is None else value for value in row] for row in heat.z], dtype=float)
        assert np.isnan(np.diag(z)).all() and np.isfinite(z).sum() == 12 * 11
        np.testing.assert_array_equal(z, -z.T)
        best, worst = FAMILIES.index("late fusion (calibrated) · PLDA"), len(FAMILIES) - 1
        assert z[best, worst] == 1
        assert (heat.text[best][worst][0] == "+") == (sign > 0)
        assert (z == 0).any()
    with pytest.raises(ArtistTransferError, match="no two systems were compared"):
        differences_matrix([], "eer")


def test_the_hardest_artists() -> None:
    rows = scored_rows(builder.score_table())
    artists = named_systems(rows, builder.artist_table(), "artist_table").query("n_artists_trained == 2000")
    figure = hardest_artists_plot(artists, looks_of(rows), most=20)
    bars, *points = figure.data
    assert len(bars.x) == 20
    assert list(bars.x) == sorted(bars.x, reverse=True)
    assert len(points) == artists["family"].nunique()
    assert figure.layout.yaxis.ticktext[0] == escape(builder.EVIL, quote=False)
    assert bars.x[0] == pytest.approx(artists[artists["artist_id"] == bars.y[0]]["eer"].mean(), abs=1e-4)
    alone = hardest_artists_plot(artists[artists["family"] == "i-vector · PLDA"])
    assert len(alone.data) == 1
