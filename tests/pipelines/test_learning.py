"""What the nets of a fold learn: targets from the right artists of the right fold, and named gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from artist_transfer.evaluation.metrics import log_loss
from artist_transfer.pipelines.feature_learning.learning import source_key
from artist_transfer.pipelines.feature_learning.targets import (
    factor_target,
    fold_targets,
    label_target,
    tracks_of,
)
from artist_transfer.pipelines.transfer_evaluation.nodes import score_predictions, why_not_evaluated
from artist_transfer.pipelines.transfer_evaluation.params import BootstrapBlock, TransferBlock


@pytest.fixture
def usable() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "track_id": ["t3", "t1", "t2", "t4", "t5"],
            "recording_id": ["t3", "t1", "t2", "t4", "t5"],
            "artist_id": ["b", "a", "a", None, "c"],
            "genre_top": ["rock", "folk", None, "rock", "folk"],
            "audio_hash": list("34512"),
        }
    )


@pytest.fixture
def split(usable: pd.DataFrame) -> pd.DataFrame:
    sides = {0: ["train", "train", "train", "train", "test"], 1: ["test", "train", "train", "train", "train"]}
    return pd.concat(
        pd.DataFrame({"track_id": usable["track_id"], "fold": fold, "side": side}) for fold, side in sides.items()
    )


FACTORS = pd.DataFrame(
    {
        "fold": [0, 0, 1, 1],
        "artist_id": ["a", "b", "a", "c"],
        "f00": [0.9, 0.2, 0.5, 0.1],
        "f01": [0.1, 0.8, 0.5, 0.9],
    }
)


def test_tracks_of_a_side_come_sorted(usable: pd.DataFrame, split: pd.DataFrame) -> None:
    assert tracks_of(usable, split, fold=0, side="train")["track_id"].tolist() == ["t1", "t2", "t3", "t4"]
    assert tracks_of(usable, split, fold=1, side="test")["track_id"].tolist() == ["t3"]


def test_every_track_carries_its_artists_factors_of_its_fold(usable: pd.DataFrame, split: pd.DataFrame) -> None:
    tracks = tracks_of(usable, split, fold=0, side="train")
    target = factor_target("m", tracks, FACTORS, fold=0)
    assert not isinstance(target, str)
    assert target.rows.tolist() == [0, 1, 2]  # t4 has no artist
    np.testing.assert_allclose(target.soft, [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]], rtol=1e-6)
    other = factor_target("m", tracks_of(usable, split, fold=1, side="train"), FACTORS, fold=1)
    assert not isinstance(other, str)
    np.testing.assert_allclose(other.soft, [[0.5, 0.5], [0.5, 0.5], [0.1, 0.9]], rtol=1e-6)


def test_genre_is_one_hot_and_a_track_without_one_takes_no_part(usable: pd.DataFrame, split: pd.DataFrame) -> None:
    target = label_target("g", tracks_of(usable, split, fold=0, side="train"))
    assert not isinstance(target, str)
    assert target.rows.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(target.soft, [[1, 0], [0, 1], [0, 1]])  # folk, rock


def test_a_task_without_targets_is_named_with_its_reason(usable: pd.DataFrame, split: pd.DataFrame) -> None:
    tracks = tracks_of(usable, split, fold=0, side="train")
    empty = FACTORS.iloc[:0]
    strangers = FACTORS.assign(artist_id=["x", "y", "x", "y"])
    targets, left_out = fold_targets("gsm", tracks, {"s": empty, "m": strangers}, fold=0)
    assert list(targets) == ["g"]
    assert set(left_out) == {"s", "m"}
    assert "no artist has a factor" in left_out["s"]
    assert "no training track" in left_out["m"]
    assert isinstance(label_target("g", tracks.assign(genre_top=None)), str)


def test_the_source_key_follows_the_audio_and_not_its_place(usable: pd.DataFrame) -> None:
    key = source_key(usable, {"name": "agf"})
    assert source_key(usable.assign(path="elsewhere", shard="other", offset=3), {"name": "agf"}) == key
    assert source_key(usable.assign(audio_hash=list("34513")), {"name": "agf"}) != key
    assert source_key(usable, {"name": "ismir"}) != key


def test_a_corpus_without_genres_is_not_evaluated_and_says_why(usable: pd.DataFrame, split: pd.DataFrame) -> None:
    assert why_not_evaluated(usable, split)["skipped"] is None
    assert "no track of this corpus has a genre" in why_not_evaluated(usable.assign(genre_top=None), split)["skipped"]
    one = usable.assign(genre_top=["rock", None, None, None, "folk"])
    assert "fewer than two genres" in why_not_evaluated(one, split)["skipped"]


def test_all_systems_are_scored_on_the_same_tracks() -> None:
    generator = np.random.default_rng(0)
    n, classes = 40, ["folk", "rock"]
    p = generator.uniform(0.05, 0.95, n)
    tracks = [f"t{i:02d}" for i in range(n)]
    base = pd.DataFrame(
        {
            "track_id": tracks,
            "fold": 0,
            "artist_id": [f"a{i // 4}" for i in range(n)],
            "genre_true": generator.choice(classes, n),
        }
    )

    def predictions(p: np.ndarray) -> pd.DataFrame:
        guess = np.where(p > 0.5, "folk", "rock")
        return base.assign(genre_predicted=guess, p_folk=p, p_rock=1 - p)

    mine = predictions(p).iloc[:30]  # somebody's features may lack some tracks
    others = pd.concat([predictions(1 - p).assign(system="prior"), predictions(p).assign(system="stn_g")])
    usable = pd.DataFrame({"track_id": tracks, "recording_id": tracks})
    block = TransferBlock(bootstrap=BootstrapBlock(resamples=200))
    metrics, by_genre, confusion, facts = score_predictions(mine, others, usable, {"skipped": None}, block, 0)
    assert metrics["transfer.n_tracks"] == metrics["baseline.prior.n_tracks"] == 30
    assert metrics["baseline.stn_g.log_loss"] == pytest.approx(log_loss(mine))
    assert metrics["difference.stn_g.log_loss"] == pytest.approx(0, abs=1e-12)
    assert metrics["difference.prior.accuracy"] == pytest.approx(
        metrics["transfer.accuracy"] - metrics["baseline.prior.accuracy"]
    )
    assert by_genre["n_tracks"].sum() == 30
    assert confusion.drop(columns="genre_true").to_numpy().sum() == 30
    assert facts["n_units"] == 8
