from __future__ import annotations

import numpy as np
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.verification import eer
from artist_transfer.reporting.recognition_saved import det_rows, histogram_rows


def part(seed: int, apart: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    targets = np.zeros((20, 100), dtype=bool)
    targets[np.arange(100) // 5, np.arange(100)] = True
    return draw.normal(size=targets.shape) + apart * targets, targets


def test_a_curve_passes_through_its_equal_error_rate_and_never_rises() -> None:
    scores, targets = part(1)
    table = det_rows("a", 100.0, [(scores, targets)])
    assert list(table.columns) == ["system", "n_artists_trained", "false_alarm", "miss"]
    assert (np.diff(table["miss"]) <= 0).all() and (np.diff(table["false_alarm"]) > 0).all()
    crossing = table.loc[(table["miss"] - table["false_alarm"]).abs().idxmin()]
    assert crossing["miss"] == pytest.approx(eer(scores, targets), abs=0.02)
    for rate in (0.05, 0.3):  # counted by hand
        threshold = np.sort(scores[~targets])[::-1][int(rate * (~targets).sum())]
        own = table.iloc[(table["false_alarm"] - rate).abs().argmin()]
        assert own["miss"] == pytest.approx((scores[targets] <= threshold).mean(), abs=0.03)


def test_folds_have_no_common_threshold() -> None:
    scores, targets = part(2)
    alone = det_rows("a", 100.0, [(scores, targets)])
    moved = det_rows("a", 100.0, [(scores, targets), (1000 + 5 * scores, targets)])
    np.testing.assert_allclose(moved["miss"], alone["miss"])
    half = det_rows("a", 100.0, [(scores, targets), (np.where(targets, 1.0, 0.0), targets)])
    np.testing.assert_allclose(half["miss"], alone["miss"] / 2, atol=1e-12)


def test_every_trial_is_counted_once() -> None:
    parts = [part(3), part(4)]
    table = histogram_rows("a", float("nan"), parts, bins=40)
    counts = table.groupby("target")["count"].sum()
    assert counts[True] == 200
    assert counts[False] == 2 * 1900
    assert len(table) == 80
    assert (table["right"] > table["left"]).all()
    own = table[table["target"]]
    all_targets = np.concatenate([scores[targets] for scores, targets in parts])
    one = own.iloc[25]
    assert one["count"] == ((all_targets >= one["left"]) & (all_targets < one["right"])).sum()


def test_equal_scores_have_a_histogram_too() -> None:
    targets = np.array([[True, False], [False, True]])
    table = histogram_rows("a", 1.0, [(np.full((2, 2), 1e6), targets)])
    assert table.groupby("target")["count"].sum().tolist() == [2, 2]
    assert (table["right"] > table["left"]).all()


@pytest.mark.parametrize("make", [det_rows, histogram_rows])
def test_scores_that_cannot_be_drawn_are_named(make: object) -> None:
    scores, targets = part(5)
    assert callable(make)
    with pytest.raises(ArtistTransferError, match="no scores of 'a'"):
        make("a", 1.0, [])
    scores[3, 4] = np.nan
    with pytest.raises(ArtistTransferError, match=r"NaN|finite|nan"):
        make("a", 1.0, [(scores, targets)])
