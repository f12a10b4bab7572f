from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.reporting import recognition_builder as builder

from artist_transfer.errors import ArtistTransferError
from artist_transfer.reporting import recognition_views as views
from artist_transfer.reporting.recognition_paper import less_is_better, metric_name
from artist_transfer.reporting.recognition_paper_tables import (
    paper_table_1,
    paper_table_2,
    table_1_view,
    table_2_view,
    transfer_rows,
)
from artist_transfer.reporting.recognition_tables import (
    at_size,
    judged,
    metrics_of,
    named_systems,
    pair_rows,
    scored_rows,
    shown_size,
    sizes_of,
)


def test_families_are_systems_over_all_numbers_of_artists() -> None:
    rows = scored_rows(builder.score_table())
    assert rows["family"].nunique() == len(builder.SYSTEMS)
    assert sizes_of(rows) == list(builder.SIZES)
    assert metrics_of(rows) == list(builder.METRICS)
    assert shown_size(rows) == 2000
    here = at_size(rows, 2000.0)
    assert (here[here["metric"] == "eer"].groupby("family").size() == 1).all()
    assert here["family"].nunique() == len(builder.SYSTEMS)


def test_systems_are_set_side_by_side_where_all_have_a_score() -> None:
    table = builder.score_table()
    short = table[~((table["encoder"] == "i-vector") & (table["n_artists_trained"] > 500))]
    assert shown_size(scored_rows(short)) == 500
    none = table[table["n_artists_trained"].isna()]
    assert np.isnan(shown_size(scored_rows(none)))
    assert len(at_size(scored_rows(none), float("nan"))) == len(none)


def test_two_systems_of_one_name_need_a_family() -> None:
    table = builder.score_table().assign(encoder="net")
    with pytest.raises(ArtistTransferError, match=r"come twice.*net · cosine.*a column family"):
        scored_rows(table)
    assert len(scored_rows(table.assign(family=table["system"]))) == len(table)
    with pytest.raises(ArtistTransferError, match=r"recognition_score_table: columns missing: \['low'\]"):
        scored_rows(table.drop(columns="low"))


@pytest.mark.parametrize(
    ("metric", "effect", "low", "high", "p", "verdict"),
    [
        ("eer", -0.1, -0.15, -0.05, 0.001, "first better"),
        ("eer", 0.1, 0.05, 0.15, 0.001, "second better"),
        ("min_dcf_0.01", 0.1, 0.05, 0.15, 0.001, "second better"),
        ("cllr", -0.1, -0.15, -0.05, 0.001, "first better"),
        ("top1", 0.1, 0.05, 0.15, 0.001, "first better"),
        ("top5", -0.1, -0.15, -0.05, 0.001, "second better"),
        ("eer", -0.1, -0.15, -0.05, 0.2, "no difference shown"),  # falls to Holm's correction
        ("eer", -0.1, -0.25, 0.05, 0.01, "no difference shown"),
        ("eer", -0.1, np.nan, np.nan, np.nan, "no difference shown"),
    ],
)
def test_less_error_is_better_and_more_accuracy(
    metric: str, effect: float, low: float, high: float, p: float, verdict: str
) -> None:
    assert judged({"metric": metric, "effect": effect, "low": low, "high": high, "p_holm": p}) == verdict


def test_names_of_metrics() -> None:
    assert [metric_name(name) for name in ("eer", "min_dcf_0.1", "top10")] == [
        "EER", "minDCF (0.1)", "top10",
    ]  # fmt: skip
    assert [less_is_better(name) for name in ("eer", "min_dcf_0.1", "cllr", "top10")] == [True] * 3 + [False]


def test_sides_of_a_comparison_are_found_by_name_or_by_number_of_artists() -> None:
    rows = scored_rows(builder.score_table())
    pairs = pair_rows(rows, builder.comparison_table())
    over = [row for row in pairs if row["first_family"] == row["second_family"]]
    assert {(row["first_size"], row["second_size"]) for row in over} == {(2000.0, 100.0)}
    named = builder.score_table().assign(system=lambda t: t["encoder"] + " " + t["scoring"])
    row = {"metric": "eer", "first": "i-vector cosine", "second": "released Siamese cosine", "of": "overall"}
    one = pd.DataFrame([row | {"effect": 0.1, "low": 0.05, "high": 0.15}])
    with pytest.raises(ArtistTransferError, match="n_artists_trained does not say which"):
        pair_rows(scored_rows(named), one)
    (found,) = pair_rows(scored_rows(named), one.assign(n_artists_trained=500))
    assert (found["first_size"], found["first_family"]) == (500.0, "i-vector · cosine")
    assert np.isnan(found["second_size"])
    with pytest.raises(ArtistTransferError, match="not on 700 artists"):
        pair_rows(scored_rows(named), one.assign(n_artists_trained=700))
    with pytest.raises(ArtistTransferError, match="'who' has no score"):
        pair_rows(rows, one.assign(first="who"))


def test_a_pair_in_several_families_of_tests_comes_once() -> None:
    rows = scored_rows(builder.score_table())
    table = builder.comparison_table()
    last = table.assign(p_holm=0.5)
    found = pair_rows(rows, pd.concat([table, last]))
    assert len(found) == len(table)
    assert {row["p_holm"] for row in found} == {0.5}


def test_curves_need_a_system_that_has_a_score() -> None:
    rows = scored_rows(builder.score_table())
    found = named_systems(rows, builder.det_table(), "det_table")
    assert set(found["family"]) == set(rows["family"])
    with pytest.raises(ArtistTransferError, match="det_table: the system 'x' has no score"):
        named_systems(rows, builder.det_table().assign(system="x"), "det_table")


def test_scores_in_words() -> None:
    rows = scored_rows(builder.score_table())
    view = views.scores_view(at_size(rows, 2000.0), 2000.0)
    assert len(view.rows) == len(builder.SYSTEMS)
    cells = dict(zip(view.columns, next(row for row in view.rows if row[0] == "i-vector · PLDA")))
    value = builder.eer_of(0.26, 0.015, 2000)
    assert cells["EER"].startswith(f"{value:.3f} ({value - 0.03:.3f}")
    assert cells["training artists"] == "2,000"
    no_llr = dict(zip(view.columns, next(row for row in view.rows if row[0] == "i-vector · cosine")))
    assert no_llr["Cllr (bits)"] == "–"
    assert "Cllr is given of calibrated systems only" in view.note
    assert "95 % intervals" in view.caption


def test_differences_come_by_metric_the_shown_ones_first() -> None:
    pairs = pair_rows(scored_rows(builder.score_table()), builder.comparison_table())
    view = views.pairs_view(pairs, "eer")
    assert view is not None
    verdicts = [row[-1] for row in view.rows]
    n_open = verdicts.count("no difference shown")
    assert 0 < n_open < len(verdicts)
    assert verdicts[-n_open:] == ["no difference shown"] * n_open
    assert "Less is better" in view.note
    for row, p in ((row, row[5]) for row in view.rows):
        assert (row[-1] == "no difference shown") == (p != "< 0.001" and float(p) >= 0.05)
    assert views.pairs_view(pairs, "nothing") is None


def test_what_was_left_out_is_counted_and_named() -> None:
    facts = builder.protocol_facts()
    view = views.left_out_view(facts)
    assert view is not None
    assert ("0", "fewer songs than needed", "2", f"{builder.EVIL} (19 songs), b1 (3 songs)") in view.rows
    assert ("1", "silent enrolments", "1", "t9") in view.rows
    assert len(view.rows) == 3
    many = views.left_out_view({0: {"left_out": {"few": [f"a{k:02d}" for k in range(13)], "bare": 4}}})
    assert many is not None
    assert many.rows[0][3].endswith("a09 and 3 more")
    assert many.rows[1] == ("0", "bare", "4", "–")
    assert views.left_out_view({0: {"left_out": {"few": []}}, 1: {}}) is None


def test_hardest_artists_first_and_means_over_systems() -> None:
    table = builder.artist_table()
    means = views.artist_means(table)
    assert (np.diff(means["eer"]) <= 0).all()
    one = table[table["artist_id"] == "a03"]
    assert means.set_index("artist_id").loc["a03", "eer"] == pytest.approx(one["eer"].mean())
    assert means.set_index("artist_id").loc["a07", "name"] == "a07"
    view = views.artists_view(table, most=10)
    assert view is not None
    assert view.rows[0][0] == builder.EVIL
    assert view.columns == ("artist", "own EER", "top-1 accuracy", "test songs")
    assert "40 more artists" in view.note
    plain = views.artists_view(table[["system", "artist_id", "eer", "top1"]])
    assert plain is not None
    assert plain.columns == ("artist", "own EER", "top-1 accuracy")
    with pytest.raises(ArtistTransferError, match="artist_table: columns missing"):
        views.artist_means(table.drop(columns="eer"))


def test_seeds_are_put_together_and_the_discriminant_kept_apart() -> None:
    found = transfer_rows(builder.transfer_table())
    assert set(found["metric"]) == {"softmax_accuracy", "auc"}
    assert len(found) == 3 * 3 * 2
    assert set(found["model"]) == {"Basic"}
    assert set(found["n_seeds"]) == {2}


def test_a_discriminant_in_the_name_of_the_net() -> None:
    table = builder.transfer_table()
    on = table["linear_discriminant"]
    named = table.assign(
        net=table["net"] + np.where(on, " + discriminant", ""),
        system=table["system"] + np.where(on, " + discriminant", ""),
    )
    pd.testing.assert_frame_equal(transfer_rows(named.drop(columns="linear_discriminant")), transfer_rows(table))
    other = {
        **table.iloc[0],
        "system": "MFCC",
        "net": "mfcc",
        "n_artists_trained": np.nan,
        "linear_discriminant": False,
    }
    view = table_2_view(pd.concat([table, pd.DataFrame([other])]), "composers")
    assert view is not None
    assert "MFCC" in [row[0] for row in view.rows]


def test_table_1_has_the_papers_numbers_in_rows_of_their_own() -> None:
    table = paper_table_1(builder.transfer_table())
    ours = table[(table["source"] == "this run") & (table["target"] == "gtzan")]
    np.testing.assert_allclose(ours["value"], [0.4 + 0.08 * np.log10(n / 100) + 0.002 for n in (100, 500, 2000)])
    paper = table[(table["source"] != "this run") & (table["target"] == "gtzan")]
    assert dict(zip(paper["n_artists_trained"], paper["value"])) == {
        100: 0.5852, 500: 0.6672, 1000: 0.6893, 2000: 0.6893, 5000: 0.7617,
    }  # fmt: skip
    view = table_1_view(builder.transfer_table(), "composers")
    assert view is not None
    assert view.columns[4:] == ("100", "500", "1,000", "2,000", "5,000")
    printed = next(row for row in view.rows if row[0] == "MagnaTagATune")
    assert printed[1:] == (
        "AUC", "DeepArtistID (Basic)", "paper (DeepArtistID, trained on MSD)",
        "0.8394", "0.8740", "0.8822", "0.8855", "0.8917",
    )  # fmt: skip
    assert view.rows[1][:2] == ("GTZAN (fault-filtered)", "linear softmax accuracy")
    assert view.rows[1][3] == "this run, trained on composers"
    assert view.rows[1][6] == "–"


def test_table_2_with_and_without_the_discriminant_beside_previous_work() -> None:
    table = paper_table_2(builder.transfer_table())
    ours = table[table["source"] == "this run"]
    assert set(ours["model"]) == {
        "Basic, 2,000 artists, with linear discriminant", "Basic, 2,000 artists, without linear discriminant",
    }  # fmt: skip
    view = table_2_view(builder.transfer_table(), "composers")
    assert view is not None
    assert view.columns[-2:] == ("GTZAN (fault-filtered), accuracy (paper)", "MagnaTagATune, AUC (paper)")
    by = {row[0]: row for row in view.rows}
    assert by["Artist labels with linear discriminant"][-2:] == ("0.7821", "0.8888")
    assert by["Artist labels without linear discriminant"][-2:] == ("0.7617", "0.8917")
    assert by["2-D CNN [14]"][1] == "previous work, as the paper prints it"
    assert by["Artist labels with linear discriminant"][1] == "paper (DeepArtistID, trained on MSD)"
    assert by["2-D CNN [14]"][-2:] == ("0.6320", "–")
    assert by["Basic, 2,000 artists, with linear discriminant"][-2:] == ("–", "–")
    assert set(by["2-D CNN [14]"][2:-2]) == {"–"}
    plain = builder.transfer_table().drop(columns=["linear_discriminant", "net", "unit"])
    without = table_2_view(plain.drop_duplicates(["system", "target", "metric", "of"]), "composers")
    assert without is not None
    assert "No linear discriminant was scored" in without.note
    assert table_1_view(None, "x") is None
    assert table_2_view(builder.transfer_table().query("metric == 'map'"), "x") is None
