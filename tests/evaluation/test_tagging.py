"""AUC and AP of tags: scikit-learn's, with and without weights; tags that are undefined; who is fitted on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.tagging import (
    TagScores,
    hold_out_tagged,
    macro,
    prior_tags,
    tag_metrics,
    tag_scores,
    tagged_split,
)
from artist_transfer.evaluation.weighted_ranking import RankedRows

IDS = [f"t{k:03d}" for k in range(60)]
WORDS = ["guitar", "slow", "vocal"]
TRACKS = pd.DataFrame({"track_id": IDS, "artist_id": [f"artist{k // 3}" for k in range(60)]})


def tagged(seed: int = 0) -> dict[str, list[str] | None]:
    draw = np.random.default_rng(seed)
    return {x: [word for word in WORDS if draw.random() < 0.4] for x in IDS}


@pytest.mark.parametrize("seed", range(8))
def test_weighted_measures_are_scikit_learns(seed: int) -> None:
    draw = np.random.default_rng(seed)
    n = int(draw.integers(5, 80))
    scores = draw.integers(0, 12, n).astype(float) if seed % 2 else draw.normal(size=n)  # with ties and without
    truth = draw.random(n) < 0.3
    truth[:2] = [True, False]
    weights = draw.integers(0, 4, size=(n, 6)).astype(float)
    weights[:2] += 1
    weights[:, 0] = 1
    found = RankedRows.of(scores, truth).measure(weights)
    for k, (auc, ap) in enumerate(found):
        assert auc == pytest.approx(roc_auc_score(truth, scores, sample_weight=weights[:, k]), abs=1e-12)
        assert ap == pytest.approx(average_precision_score(truth, scores, sample_weight=weights[:, k]), abs=1e-12)


def test_a_weight_is_a_number_of_copies() -> None:
    draw = np.random.default_rng(3)
    scores, truth = draw.integers(0, 6, 20).astype(float), draw.random(20) < 0.5
    copies = draw.integers(0, 3, 20)
    weighted = RankedRows.of(scores, truth).measure(copies[:, None].astype(float))[0]
    copied = RankedRows.of(np.repeat(scores, copies), np.repeat(truth, copies)).measure(np.ones((copies.sum(), 1)))[0]
    np.testing.assert_allclose(weighted, copied, atol=1e-12)


def test_measures_worked_by_hand() -> None:
    scores, truth = np.array([4.0, 3, 2, 1]), np.array([True, False, True, False])
    auc, ap = RankedRows.of(scores, truth).measure(np.ones((4, 1)))[0]
    assert auc == pytest.approx(3 / 4)  # of four pairs one is the wrong way round
    assert ap == pytest.approx((1 + 2 / 3) / 2)
    assert RankedRows.of(np.zeros(4), truth).measure(np.ones((4, 1)))[0].tolist() == [0.5, 0.5]


def test_one_class_is_undefined() -> None:
    scores = np.arange(4.0)
    for truth in (np.zeros(4, dtype=bool), np.ones(4, dtype=bool)):
        assert np.isnan(RankedRows.of(scores, truth).measure(np.ones((4, 2)))).all()
    half = RankedRows.of(scores, np.array([True, False, True, False]))
    weights = np.array([[1.0, 0, 1], [1, 1, 0], [1, 0, 1], [1, 1, 0]])
    found = half.measure(weights)
    assert np.isfinite(found[0]).all() and np.isnan(found[1:]).all()  # no positive left, no negative left


def test_every_track_and_tag_is_accounted_for() -> None:
    words = tagged() | {IDS[0]: None, IDS[41]: float("nan"), IDS[42]: []}
    for x in IDS[:40]:
        words[x] = None if words[x] is None else [*words[x], "always"]
    words[IDS[45]] = [*words[IDS[45]], "new", "always"]
    split = tagged_split(words, train_ids=IDS[:30], validation_ids=IDS[30:40], test_ids=IDS[40:])
    assert split.tags == ("guitar", "slow", "vocal")
    assert split.skipped == {"always": "every training track has it"}
    assert split.only_in_test == {"new": 1}
    assert (split.counts["n_train"], split.counts["n_train_without_list"]) == (29, 1)
    assert (split.counts["n_test"], split.counts["n_test_without_list"]) == (19, 1)
    assert split.counts["n_test_untagged"] >= 1
    for side, ids in (("train", split.train), ("test", split.test)):
        for row, x in enumerate(ids):
            assert [tag for tag, has in zip(split.tags, split.truth[side][row]) if has] == [
                word for word in words[x] if word in split.tags
            ]


def test_tags_that_were_asked_for() -> None:
    split = tagged_split(tagged(), train_ids=IDS[:40], test_ids=IDS[40:], tags=["vocal", "absent", "guitar"])
    assert split.tags == ("vocal", "guitar")
    assert split.skipped == {"absent": "no training track has it"}


def test_undefined_tags_are_skipped_and_named() -> None:
    words = tagged()
    for k, x in enumerate(IDS[40:]):
        words[x] = ["slow", *(["guitar"] if k % 2 else [])]
    split = tagged_split(words, train_ids=IDS[:40], test_ids=IDS[40:], tags=[*WORDS, "absent"])
    scores = np.random.default_rng(0).normal(size=(2, 20, 3))
    table = tag_metrics(tag_scores(split, scores)).set_index("tag")
    assert table["reason"].to_dict() == {
        "guitar": None,
        "slow": "every test track has it",
        "vocal": "no test track has it",
        "absent": "no training track has it",
    }
    assert table["auc"].notna().tolist() == [True, False, False, False]
    overall = macro(table.reset_index())
    assert (overall["n_tags"], overall["n_tags_skipped"]) == (1, 3)
    expected = [roc_auc_score(split.truth["test"][:, 0], trial[:, 0]) for trial in scores]
    assert overall["auc"] == pytest.approx(np.mean(expected))
    assert table.loc["guitar", "n_positive"] == 10 and table.loc["slow", "n_positive"] == 20


def test_macro_is_scikit_learns() -> None:
    split = tagged_split(tagged(), train_ids=IDS[:40], test_ids=IDS[40:])
    scores = np.random.default_rng(1).normal(size=(1, 20, 3))
    overall = macro(tag_metrics(tag_scores(split, scores)))
    assert overall["auc"] == pytest.approx(roc_auc_score(split.truth["test"], scores[0], average="macro"))
    assert overall["ap"] == pytest.approx(average_precision_score(split.truth["test"], scores[0], average="macro"))


def test_the_prior_knows_nothing() -> None:
    split = tagged_split(tagged(), train_ids=IDS[:40], test_ids=IDS[40:])
    table = tag_metrics(prior_tags(split))
    np.testing.assert_allclose(table["auc"], 0.5)
    np.testing.assert_allclose(table["ap"], split.truth["test"].mean(axis=0))
    np.testing.assert_allclose(prior_tags(split).scores[0, 0], split.truth["train"].mean(axis=0))


def test_test_tags_do_not_change_what_is_to_be_fitted() -> None:
    words = tagged()
    other = words | {x: ["guitar", "unheard"] for x in IDS[40:]}
    first, second = (tagged_split(x, train_ids=IDS[:40], test_ids=IDS[40:]) for x in (words, other))
    assert first.tags == second.tags and first.skipped == second.skipped
    np.testing.assert_array_equal(first.truth["train"], second.truth["train"])
    held = [hold_out_tagged(x, TRACKS, share=0.2, seed=0) for x in (first, second)]
    assert held[0].train == held[1].train and held[0].validation == held[1].validation


def test_held_out_are_whole_artists_and_no_tag_is_lost() -> None:
    words = tagged() | {IDS[0]: ["rare"], IDS[1]: ["rare", "slow"]}  # of artist0 only
    split = tagged_split(words, train_ids=IDS[:48], test_ids=IDS[48:])
    for seed in range(6):
        held = hold_out_tagged(split, TRACKS, share=0.2, seed=seed)
        assert {IDS[0], IDS[1]} <= set(held.train)
        assert sorted((*held.train, *held.validation)) == list(split.train)
        assert 0.2 * 48 <= len(held.validation) < 0.3 * 48
        artist = dict(zip(TRACKS["track_id"], TRACKS["artist_id"]))
        assert not {artist[x] for x in held.train} & {artist[x] for x in held.validation}
        rows = dict(zip(split.train, split.truth["train"]))
        np.testing.assert_array_equal(held.truth["validation"], [rows[x] for x in held.validation])
        np.testing.assert_array_equal(held.truth["train"], [rows[x] for x in held.train])
    official = tagged_split(words, train_ids=IDS[:30], validation_ids=IDS[30:40], test_ids=IDS[40:])
    assert hold_out_tagged(official, TRACKS, share=0.2, seed=0) is official


def test_errors() -> None:
    with pytest.raises(ArtistTransferError, match="on two sides of the split: 't003'"):
        tagged_split(tagged(), train_ids=IDS[:40], test_ids=[IDS[3], *IDS[40:]])
    with pytest.raises(ArtistTransferError, match="none of 20 test tracks has a list"):
        tagged_split(tagged() | dict.fromkeys(IDS[40:]), train_ids=IDS[:40], test_ids=IDS[40:])
    with pytest.raises(ArtistTransferError, match="can be learned: no training track has it: 1 tags"):
        tagged_split(tagged(), train_ids=IDS[:40], test_ids=IDS[40:], tags=["absent"])
    with pytest.raises(ArtistTransferError, match="the text 'rock'"):
        tagged_split(tagged() | {IDS[3]: "rock"}, train_ids=IDS[:40], test_ids=IDS[40:])
    truth, scores = np.ones((2, 1), dtype=bool), np.zeros((1, 2, 1))
    scores[0, 1] = np.nan
    with pytest.raises(ArtistTransferError, match="not finite: 'b'"):
        TagScores(("a", "b"), ("x",), truth, scores, {}, {})
    with pytest.raises(ArtistTransferError, match="scores of shape"):
        TagScores(("a", "b"), ("x",), truth, scores[0], {}, {})
    with pytest.raises(ArtistTransferError, match="every artist is the last one"):
        one = TRACKS.assign(artist_id="one")
        hold_out_tagged(tagged_split(tagged(), train_ids=IDS[:40], test_ids=IDS[40:]), one, share=0.2, seed=0)
