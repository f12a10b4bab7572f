from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import pytest
from tests.reporting import artist_builder as builder

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting.artist_figures import (
    by_artists_plot,
    by_label_plot,
    differences_plot,
    training_plot,
)
from artist_transfer.reporting.artist_maps import tracks_by_artist_plot, tracks_by_genre_plot


def test_scores_over_artists_with_intervals() -> None:
    scores = builder.score_table()
    figure = by_artists_plot(scores, "map")
    assert [each.text for each in figure.layout.annotations] == ["GTZAN (fault-filtered)", "FMA small", "composers"]
    siamese = [trace for trace in figure.data if trace.name == "Siamese"]
    assert len(siamese) == 3
    assert [trace.showlegend for trace in siamese] == [True, False, False]
    own = scores[(scores["net"] == "siamese") & (scores["target"] == "gtzan") & (scores["metric"] == "map")]
    means = own.groupby("n_artists_trained")["value"].mean()
    np.testing.assert_allclose(siamese[0].y, means.to_numpy())
    np.testing.assert_allclose(siamese[0].x, means.index.to_numpy(dtype=float))
    bars = siamese[0].error_y
    assert bars.arrayminus[-1] == pytest.approx(0.02)
    lowest = own[own["n_artists_trained"] == 500]["low"].min()
    assert siamese[0].y[0] - bars.arrayminus[0] == pytest.approx(lowest)
    released = [trace for trace in figure.data if trace.name == "released Siamese"]
    assert len({trace.line.dash for trace in released}) == 1
    assert all(len(set(trace.y)) == 1 for trace in released)


def test_what_the_papers_print_are_open_marks() -> None:
    figure = by_artists_plot(builder.score_table(), "softmax_accuracy")
    found = {trace.name: dict(zip(trace.x, trace.y)) for trace in figure.data if "paper" in (trace.name or "")}
    assert found["Siamese (paper, ISMIR 2018, trained on MSD)"] == {5000: 0.5483, 10_000: 0.5673}  # FMA small, the last
    assert found["paper, DeepArtistID, trained on MSD"][5000] == 0.7617
    assert all("open" in trace.marker.symbol for trace in figure.data if "paper" in (trace.name or ""))
    assert not [trace for trace in by_artists_plot(builder.score_table(), "ap").data if "paper" in (trace.name or "")]
    with pytest.raises(ArtistTransferError, match="there is no accuracy"):
        by_artists_plot(builder.score_table(), "accuracy")


def test_a_discriminant_is_a_line_over_the_number_of_artists_beside_its_net() -> None:
    scores = builder.score_table()
    own = scores[(scores["net"] == "siamese") & (scores["metric"] == "map") & (scores["target"] == "composers")]
    more = own.assign(net="siamese + discriminant", system=own["system"] + " + discriminant", value=own["value"] + 0.1)
    traces = {trace.name: trace for trace in by_artists_plot(pd.concat([own, more]), "map").data}
    with_it, without = traces["Siamese + discriminant"], traces["Siamese"]
    np.testing.assert_allclose(np.array(with_it.y) - np.array(without.y), 0.1)
    assert len(with_it.x) == 4
    assert (with_it.line.dash, without.line.dash) == ("dot", "solid")


def test_systems_without_a_number_of_artists_are_drawn_too() -> None:
    scores = builder.score_table()
    figure = by_artists_plot(scores[scores["net"].isin(["released", "mfcc"])], "map")
    assert {trace.name for trace in figure.data if "paper" not in trace.name} == {"released Siamese", "MFCC"}


@pytest.mark.parametrize(
    ("target", "metric", "what", "n"), [("gtzan", "knn_accuracy", "genre", 10), ("magnatagatune", "auc", "tag", 50)]
)
def test_scores_by_label(target: str, metric: str, what: str, n: int) -> None:
    scores = builder.score_table()
    figure = by_label_plot(scores, target, metric, what=what)
    assert [trace.name for trace in figure.data] == [
        "Basic, 5,000 artists", "Siamese, 5,000 artists", "tag-label, 5,000 artists", "released Siamese", "MFCC",
    ]  # fmt: skip
    labels = list(figure.layout.yaxis.ticktext)
    assert len(labels) == n
    own = scores[(scores["target"] == target) & (scores["metric"] == metric) & (scores["system"] == "basic_5000_s0")]
    true = {escape(label, quote=False): value for label, value in zip(own["of"], own["value"])}
    for place, value in zip(figure.data[0].y, figure.data[0].x):
        assert value == true[labels[round(place)]]
    with pytest.raises(ArtistTransferError, match="no map of gtzan by genre"):
        by_label_plot(scores, "gtzan", "map")


def test_tracks_by_artist_shows_those_with_the_most_tracks() -> None:
    table = pd.concat([builder.track_map(), builder.track_map().query("artist_id == 'a20'").assign(x=0.0)])
    figure = tracks_by_artist_plot(table, most=22, coloured=15)
    names = [trace.name for trace in figure.data]
    assert names[0] == "Artist 20"
    assert names[1] == "&lt;script&gt;alert('x')&lt;/script&gt;"
    assert len(names) == 16
    assert names[-1] == "other artists"
    assert len(figure.data[-1].x) == 7 * 12
    assert len(figure.data[0].x) == 24
    looks = {(trace.marker.color, trace.marker.symbol) for trace in figure.data}
    assert len(looks) == 16


def test_tracks_by_genre_have_names_on_hover() -> None:
    table = builder.track_map()
    figure = tracks_by_genre_plot(table)
    assert sum(len(trace.x) for trace in figure.data) == len(table)
    assert figure.data[-1].name == "no genre"
    blues = next(trace for trace in figure.data if trace.name == "blues")
    assert "000000<br>&lt;script&gt;alert('x')&lt;/script&gt;<br>blues" in blues.text  # without a title, its id
    assert "Song 1<br>&lt;script&gt;alert('x')&lt;/script&gt;<br>blues" in blues.text
    with pytest.raises(ArtistTransferError, match="columns missing"):
        tracks_by_genre_plot(table.drop(columns="title"))


def test_every_net_has_its_own_panel_of_losses() -> None:
    figure = training_plot(builder.history())
    assert [each.text for each in figure.layout.annotations] == ["basic_5000_s0", "siamese_5000_s0", "tag_5000"]
    assert len(figure.data) == 6
    assert len({trace.yaxis for trace in figure.data}) == 3
    assert figure.data[0].y[0] == pytest.approx(8.5 / 2**0.5, abs=1e-4)


def test_differences_are_drawn_by_verdict() -> None:
    figure = differences_plot(builder.comparison_table())
    found = {trace.name: list(trace.x) for trace in figure.data}
    assert found == {"first better": [0.05], "second better": [-0.06], "no difference shown": [0.0, 0.03, 0.2]}
