from __future__ import annotations

from math import isnan, nan

import numpy as np
import pandas as pd
import pytest
from tests.reporting import artist_builder as builder

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.item_scores import score_items
from artist_transfer.reporting.artist_comparisons import BETTER, OPEN, WORSE, comparisons, sentence, verdict_of
from artist_transfer.reporting.artist_paper import EARLY, LABEL
from artist_transfer.reporting.artist_tables import (
    OURS,
    labelled_scores,
    merged_seeds,
    shown_size,
    table_4,
    table_of_nets,
)
from artist_transfer.reporting.artist_views import (
    all_scores,
    neighbours_view,
    score_text,
    sets_view,
    training_view,
    view_4,
    view_of_nets,
)


def small(**changes: object) -> dict[str, object]:
    row = {"system": "a", "net": "basic", "n_artists_trained": 500, "target": "gtzan", "metric": "map", "of": "overall"}
    return row | {"value": 0.5, "low": 0.4, "high": 0.6, "unit": "artist"} | changes


def test_scores_of_the_evaluation_fit() -> None:
    """The table that evaluation makes, with what is added here, is a score table."""
    tracks = pd.DataFrame({"track_id": list("abcdef"), "artist_id": list("xxyyzz")})
    draw = np.random.default_rng(0)
    systems = {name: pd.DataFrame({"track_id": list("abcdef"), "ap": draw.uniform(size=6)}) for name in ("n", "m")}
    scores = score_items(systems, tracks, value="ap", n_resamples=50).score_table()
    facts = {"n": {"net": "basic", "n_artists_trained": 51, "seed": 0}, "m": {"net": "mfcc"}}
    table = labelled_scores(scores, target="composers", systems=facts, metric="map", list_hash="ab")
    wide = table_of_nets(table, "map")
    ours = wide[wide["source"] == OURS].iloc[0]
    assert ours["target"] == "composers"
    assert ours["basic"] == pytest.approx(systems["n"]["ap"].mean())
    assert ours["m"] == pytest.approx(systems["m"]["ap"].mean())
    assert ours["basic_low"] < ours["basic"] < ours["basic_high"]
    assert (ours["n_artists_trained"], ours["unit"]) == (51, "artist")
    with pytest.raises(ArtistTransferError, match=r"nothing is known of the systems \['m'\]"):
        labelled_scores(scores, target="composers", systems={"n": facts["n"]})


def test_seeds_are_put_together_with_the_widest_interval() -> None:
    rows = [small(seed=0), small(system="b", seed=1, value=0.7, low=0.3, high=0.8)]
    merged = merged_seeds(pd.DataFrame(rows))
    assert len(merged) == 1
    row = merged.iloc[0]
    assert (row["value"], row["low"], row["high"], row["n_seeds"]) == (pytest.approx(0.6), 0.3, 0.8, 2)
    assert row["name"] == "basic, 2 seeds"
    rows[1]["low"] = nan
    assert isnan(merged_seeds(pd.DataFrame(rows)).iloc[0]["low"])


def test_two_systems_that_nothing_tells_apart_are_refused() -> None:
    with pytest.raises(ArtistTransferError, match=r"2 rows are the basic net on 500 artists for map of gtzan \(a, b\)"):
        merged_seeds(pd.DataFrame([small(), small(system="b")]))
    others = merged_seeds(pd.DataFrame([small(net="mfcc"), small(system="b", net="mfcc")]))
    assert others["name"].tolist() == ["a", "b"]  # others than the paper's nets go by their names
    with pytest.raises(ArtistTransferError, match="columns missing"):
        merged_seeds(pd.DataFrame([{"system": "a"}]))


@pytest.mark.parametrize(
    ("basic", "siamese", "size"),
    [
        ((500, 5000, 10_000), (500, 5000, 10_000), 5000),
        ((500, 1000, 2000), (500, 1000), 1000),
        ((500,), (1000,), 1000),
        ((51,), (), 51),
        ((), (), nan),
    ],
)
def test_nets_are_set_side_by_side_at_a_number_they_share(
    basic: tuple[int, ...], siamese: tuple[int, ...], size: float
) -> None:
    rows = [small(n_artists_trained=n) for n in basic]
    rows += [small(net="siamese", n_artists_trained=n) for n in siamese]
    rows.append(small(net="mfcc", n_artists_trained=nan))
    found = shown_size(pd.DataFrame(rows), "gtzan", "map")
    assert found == size or (isnan(found) and isnan(size))


def test_the_paper_stands_beneath_ours_and_says_so() -> None:
    table = table_of_nets(builder.score_table(), "map")
    assert list(zip(table["target"], table["source"])) == [
        ("gtzan", OURS),
        ("gtzan", LABEL),
        ("fma_small", OURS),
        ("fma_small", LABEL),
        ("composers", OURS),
        ("naver", LABEL),
    ]
    paper = table[table["source"] == LABEL].set_index("target")
    assert paper.loc["gtzan", ["basic", "siamese", "tag"]].tolist() == [0.4968, 0.5510, 0.5508]
    assert paper.filter(like="_low").isna().all(axis=None)
    scores = builder.score_table()
    ours = scores[(scores["target"] == "fma_small") & (scores["metric"] == "map")].set_index("system")["value"]
    row = table.iloc[2]
    assert row["siamese"] == ours["siamese_5000_s0"]
    assert row["tag"] == ours["tag_5000"]
    assert row["MFCC"] == ours["MFCC"]


def test_table_4_has_ours_at_the_most_artists_and_both_papers() -> None:
    table = table_4(builder.score_table())
    assert table["source"].value_counts().to_dict() == {OURS: 5, LABEL: 6, EARLY: 9}
    first = table.iloc[0]
    scores = builder.score_table().set_index(["system", "target", "metric", "of"])["value"]
    assert first["model"] == "Basic, 5,000 artists"
    assert first["gtzan"] == scores["basic_5000_s0", "gtzan", "softmax_accuracy", "overall"]
    assert first["magnatagatune"] == scores["basic_5000_s0", "magnatagatune", "auc", "macro"]
    by_model = table[table["source"] == EARLY].set_index("model")
    assert by_model.loc["Artist labels with linear discriminant", "gtzan"] == 0.7821
    assert isnan(by_model.loc["1-D CNN [21]", "gtzan"])


def test_discriminants_floors_and_further_probes_have_places_of_their_own() -> None:
    rows = [
        small(net=f"{net}{more}", system=f"{net}-{n}{more}", n_artists_trained=n, metric=metric, value=value + k / 10)
        for metric in ("map", "softmax_accuracy", "logistic_accuracy", "neural_accuracy")
        for n, value in ((100, 0.2), (500, 0.3))
        for net in ("basic", "siamese")
        for k, more in enumerate(("", " + discriminant"))
    ]
    rows += [small(net="chance", system="chance", n_artists_trained=None, value=0.1)]
    scores = pd.DataFrame(rows)
    ours = table_of_nets(scores, "map").iloc[0]
    assert (ours["n_artists_trained"], ours["basic"], ours["basic + discriminant"]) == (500, 0.3, 0.4)
    assert ours["chance"] == 0.1
    view = view_of_nets(scores, "map")
    assert view is not None
    assert view.columns[3:] == (
        "Basic", "Siamese", "tag-label", "Basic + discriminant", "Siamese + discriminant", "chance",
    )  # fmt: skip
    models = table_4(scores).query("source == @OURS").set_index("model")["gtzan"]
    assert models["Basic + discriminant, 500 artists, logistic regression"] == 0.4
    assert models["Siamese, 500 artists, dense layers"] == 0.3
    assert len(models) == 4 * 3


def test_as_text() -> None:
    scores = builder.score_table()
    table = view_of_nets(scores, "map")
    assert table is not None
    assert table.columns == (
        "target", "source", "training artists", "Basic", "Siamese", "tag-label", "released Siamese", "MFCC",
    )  # fmt: skip
    assert table.rows[0][:3] == ("GTZAN (fault-filtered)", "this run, by track", "5,000")
    assert table.rows[1] == ("GTZAN (fault-filtered)", "paper (MSD)", "5,000", "0.4968", "0.5510", "0.5508", "–", "–")
    assert "for orientation, not for comparison" in table.note
    assert "too narrow" in table.note
    assert view_of_nets(scores[scores["target"] == "magnatagatune"], "map") is None
    assert view_4(scores[scores["target"] == "composers"]) is None
    assert score_text(0.51, 0.4, 0.6).split() == ["0.510", "(0.400", "to", "0.600)"]
    assert score_text(0.51, nan, nan).split() == ["0.510", "(no", "interval)"]
    assert score_text(nan, nan, nan) == "–"
    assert len(all_scores(scores).rows) == len(
        merged_seeds(scores)["of"].isin(["overall", "macro"]).pipe(lambda x: x[x])
    )


def test_sets_are_counted() -> None:
    table = sets_view(builder.artist_set_table())
    assert table is not None
    assert table.rows == (
        ("2", "2", "6", "2", "2", "10"),
        ("3", "3", "9", "3", "3", "10"),
        ("5", "5", "15", "5", "5", "10"),
    )
    assert sets_view(None) is None


def test_training_names_its_best_epoch() -> None:
    history = pd.DataFrame(
        {"net": "n", "epoch": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "validation_loss": [2.5, 2.0, 2.2]}
    )
    assert training_view(history).rows == (("n", "3", "3.000", "1.000", "2.200", "2.000", "2"),)


def test_artists_of_one_name_are_two() -> None:
    table = neighbours_view(builder.report()["neighbours"])
    assert table is not None
    assert [row[0] for row in table.rows] == [builder.EVIL, "Artist 1", "Artist 2", "Artist 2"]


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ({"effect": 0.1, "low": 0.05, "high": 0.2, "p_holm": 0.01}, BETTER),
        ({"effect": -0.1, "low": -0.2, "high": -0.05, "p_holm": 0.01}, WORSE),
        ({"effect": 0.1, "low": 0.05, "high": 0.2, "p_holm": 0.05}, OPEN),  # falls to the correction
        ({"effect": 0.1, "low": -0.01, "high": 0.2, "p_holm": 0.01}, OPEN),
        ({"effect": 0.1, "low": 0.05, "high": 0.2}, BETTER),
        ({"effect": 0.1, "low": nan, "high": nan, "p_holm": nan}, OPEN),
    ],
)
def test_verdicts(row: dict[str, float], verdict: str) -> None:
    assert verdict_of(row) == verdict


def test_what_is_said_of_comparisons() -> None:
    rows = builder.comparison_table().to_dict("records")
    said = [sentence({str(key): value for key, value in row.items()}) for row in rows]
    assert [kind for kind, _ in said] == ["better", "worse", "open", "open", "open"]
    assert "siamese_5000_s0 is better than basic_5000_s0 (+0.050" in said[0][1]
    assert "no difference could be shown" in said[3][1]
    assert "nothing follows from it" in said[4][1]
    table = comparisons(builder.comparison_table())
    assert table is not None
    assert [row[-1] for row in table.rows] == [BETTER, WORSE, OPEN, OPEN, OPEN]
    assert table.rows[4][5] == "none"
    assert comparisons(None) is None
    with pytest.raises(ArtistTransferError, match="columns missing"):
        comparisons(pd.DataFrame({"first": ["a"]}))
