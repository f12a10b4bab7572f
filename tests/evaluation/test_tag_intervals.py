"""Intervals of AUC and AP: the statistic anew in each resample, against the bootstrap written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.resampling import resamples
from artist_transfer.evaluation.tag_intervals import MACRO, score_tags
from artist_transfer.evaluation.tagging import TagScores, macro, tag_metrics

N = 80
IDS = tuple(f"t{k:03d}" for k in range(N))
TRACKS = pd.DataFrame({"track_id": IDS, "artist_id": [f"artist{k // 4:02d}" for k in range(N)]})


def scored(seed: int = 0, *, skill: float = 1.0, trials: int = 1) -> TagScores:
    truth = np.random.default_rng(7).random((N, 4)) < [0.2, 0.5, 0.3, 0.0]  # nobody has the last
    noise = np.random.default_rng(seed).normal(size=(trials, N, 4))
    scores = np.round(skill * truth + noise, 1)  # with ties
    return TagScores(IDS, ("a", "b", "c", "d"), truth, scores, {"e": "no training track has it"}, {})


def test_values_are_those_of_the_metrics() -> None:
    scores = scored(trials=2)
    found = score_tags({"net": scores}, TRACKS, n_resamples=50)
    expected = tag_metrics(scores)
    for measure in ("auc", "ap"):
        table = found[measure].score_table()
        assert table["of"].tolist() == [MACRO, "a", "b", "c"]
        np.testing.assert_allclose(table["value"], [macro(expected)[measure], *expected[measure][:3]])
        assert set(table["n_undefined"]) == {2}  # d in the test, e in the training
        assert table["n_items"].tolist() == [N, *scores.truth[:, :3].sum(axis=0)]
        assert (table["low"] < table["value"]).all() and (table["value"] < table["high"]).all()
        assert set(table["unit"]) == {"artist"} and set(table["n_units"]) == {20}


def test_each_resample_is_scikit_learns_of_the_drawn_artists() -> None:
    scores = scored(1)
    found = score_tags({"net": scores}, TRACKS, n_resamples=40, seed=5)
    weights = np.concatenate(list(resamples(20, 40, 5)))
    for draw in range(40):
        copies = weights[draw][np.arange(N) // 4].astype(int)
        rows = np.repeat(np.arange(N), copies)
        aucs, aps = [], []
        for tag in range(3):
            y, s = scores.truth[rows, tag], scores.scores[0, rows, tag]
            aucs.append(roc_auc_score(y, s))
            aps.append(average_precision_score(y, s))
        np.testing.assert_allclose(found["auc"].draws[draw, 0], [np.mean(aucs), *aucs], atol=1e-12)
        np.testing.assert_allclose(found["ap"].draws[draw, 0], [np.mean(aps), *aps], atol=1e-12)


def test_a_tag_is_of_the_artists_of_the_side_of_which_fewer_are() -> None:
    truth = np.zeros((N, 2), dtype=bool)
    truth[:12, 0] = True  # three artists
    truth[4:, 1] = True  # all but one
    scores = TagScores(IDS, ("few", "most"), truth, np.random.default_rng(0).normal(size=(1, N, 2)), {}, {})
    found = score_tags({"net": scores}, TRACKS, n_resamples=100)["auc"]
    assert [x.count for x in found.unit_counts] == [20, 3, 1]
    table = found.score_table().set_index("of")
    assert np.isnan(table.loc["most", ["low", "high"]].to_numpy(dtype=float)).all()
    assert "of 1 artist: no interval" in table.at["most", "note"]
    assert "of 3 artists: too few for a verdict" in table.at["few", "note"]


def test_differences_are_paired_and_corrected() -> None:
    good, bad = scored(2, skill=3.0), scored(2, skill=0.5)
    found = score_tags({"good": good, "bad": bad, "again": good}, TRACKS, n_resamples=400)["auc"]
    table = found.compare([("good", "bad"), ("good", "again")], columns=[MACRO])
    assert table["p_holm"].iloc[0] < 0.02 and table["low"].iloc[0] > 0
    assert table["effect"].iloc[1] == 0 and table["p_holm"].iloc[1] == 1
    assert len(found.compare([("good", "bad")])) == 4


def test_a_tag_that_vanishes_in_a_resample_is_left_out_of_it() -> None:
    scores = scored()
    truth = scores.truth.copy()
    truth[:, 0] = np.arange(N) < 3  # artist00 alone
    found = score_tags({"net": replace(scores, truth=truth)}, TRACKS, n_resamples=200)["auc"]
    missing = np.isnan(found.draws[:, 0, 1])
    assert 0.2 < missing.mean() < 0.5  # (1 - 1/20)^20
    assert np.isfinite(found.draws[:, 0, 0]).all()
    np.testing.assert_allclose(found.draws[missing, 0, 0], found.draws[missing, 0, 2:].mean(axis=1))
    assert "not defined in" in found.score_table().set_index("of").loc["a", "note"]


def test_intervals_cover() -> None:
    hits = 0
    for seed in range(80):
        draw = np.random.default_rng(seed)
        truth = draw.random((N, 1)) < 0.4
        own = np.repeat(draw.normal(size=20), 4)[:, None]  # tracks of an artist get similar scores, for no reason
        scores = TagScores(IDS, ("a",), truth, (own + draw.normal(size=(N, 1)))[None], {}, {})
        row = score_tags({"net": scores}, TRACKS, n_resamples=150, seed=seed)["auc"].score_table().iloc[0]
        hits += row["low"] <= 0.5 <= row["high"]
    assert 0.85 <= hits / 80 <= 1.0


def test_trials_are_drawn() -> None:
    scores = scored(3, trials=3)
    drawn = score_tags({"net": scores}, TRACKS, n_resamples=100)["auc"]
    fixed = score_tags({"net": scores}, TRACKS, n_resamples=100, draw_trials=False)["auc"]
    assert drawn.n_trials == (3,) and np.isfinite(drawn.trial_sd).all()
    assert not np.allclose(drawn.draws, fixed.draws)
    alone = [
        score_tags({"net": replace(scores, scores=scores.scores[[k]])}, TRACKS, n_resamples=100)["auc"].draws
        for k in range(3)
    ]
    np.testing.assert_allclose(fixed.draws, np.mean(alone, axis=0))


def test_errors() -> None:
    scores = scored()
    with pytest.raises(ArtistTransferError, match="no system"):
        score_tags({}, TRACKS)
    with pytest.raises(ArtistTransferError, match="'a' and 'b' differ in truth"):
        score_tags({"a": scores, "b": replace(scores, truth=~scores.truth)}, TRACKS, n_resamples=10)
    with pytest.raises(ArtistTransferError, match="none of 4 tags"):
        score_tags({"a": replace(scores, truth=np.ones((N, 4), dtype=bool))}, TRACKS, n_resamples=10)
    with pytest.raises(ArtistTransferError, match="not in the track table"):
        score_tags({"a": scores}, TRACKS.iloc[3:], n_resamples=10)


def test_tags_of_several_folds_are_ranked_within_each_and_averaged() -> None:
    whole = scored(3)
    halves = [slice(0, 40), slice(40, N)]
    folds = [
        TagScores(IDS[rows], whole.tags[:kept], whole.truth[rows, :kept], whole.scores[:, rows, :kept] + shift, {}, {})
        for rows, kept, shift in ((halves[0], 3, 0.0), (halves[1], 2, 100.0))
    ]
    found = score_tags({"net": folds}, TRACKS, n_resamples=30, seed=2)["auc"]
    by_fold = [tag_metrics(fold)["auc"].to_numpy() for fold in folds]
    means = [(by_fold[0][0] + by_fold[1][0]) / 2, (by_fold[0][1] + by_fold[1][1]) / 2, by_fold[0][2]]
    np.testing.assert_allclose(found.values[0], [np.mean(means), *means])
    assert found.n_items == (N, *whole.truth[:, :2].sum(axis=0), whole.truth[halves[0], 2].sum())
    weights = np.concatenate(list(resamples(20, 30, 2)))
    rows = [np.repeat(np.arange(40), weights[0][np.arange(h.start, h.stop) // 4].astype(int)) for h in halves]
    drawn = [roc_auc_score(f.truth[r, 0], f.scores[0][r, 0]) for f, r in zip(folds, rows, strict=True)]
    assert found.draws[0, 0, 1] == pytest.approx(np.mean(drawn), abs=1e-12)


def test_folds_that_share_a_track_are_refused() -> None:
    with pytest.raises(ArtistTransferError, match="80 tracks are tested in two folds"):
        score_tags({"net": [scored(), scored()]}, TRACKS, n_resamples=10)
