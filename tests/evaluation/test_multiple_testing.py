"""Holm's correction against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.multiple_testing import holm


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        # 4 × 0.005, 3 × 0.01, 2 × 0.03, then 1 × 0.04 lifted to what stands before it
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.02], [0.02]),
        ([0.5, 0.6, 0.9], [1.0, 1.0, 1.0]),
        ([0.01, 0.01, 0.01], [0.03, 0.03, 0.03]),
        # NaN does not count in the family: 2 × 0.01 and 1 × 0.03
        ([np.nan, 0.03, 0.01], [np.nan, 0.03, 0.02]),
        ([np.nan], [np.nan]),
        ([], []),
    ],
)
def test_by_hand(p_values, expected) -> None:
    np.testing.assert_allclose(holm(p_values), expected, rtol=1e-14)


def test_the_order_of_the_family_changes_nothing_and_the_input_stays() -> None:
    draw = np.random.default_rng(0)
    p_values = draw.random(30)
    before = p_values.copy()
    adjusted, order = holm(p_values), draw.permutation(30)
    np.testing.assert_array_equal(holm(p_values[order]), adjusted[order])
    np.testing.assert_array_equal(p_values, before)
    assert (adjusted >= p_values).all()
    assert (adjusted <= np.minimum(1, 30 * p_values)).all()


def test_rejects_what_the_step_down_procedure_rejects() -> None:
    """Holm's own words: go up from the least p while p ≤ α / (number not yet rejected)."""
    draw = np.random.default_rng(1)
    for _ in range(200):
        p_values = draw.random(12) ** 4
        rejected = np.zeros(12, dtype=bool)
        for step, at in enumerate(np.argsort(p_values)):
            if p_values[at] > 0.05 / (12 - step):
                break
            rejected[at] = True
        np.testing.assert_array_equal(holm(p_values) <= 0.05, rejected)


@pytest.mark.parametrize("bad", [[0.1, 1.2], [-0.1], [[0.1]]])
def test_bad_input(bad) -> None:
    with pytest.raises(ArtistTransferError, match="holm"):
        holm(bad)
