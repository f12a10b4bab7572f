"""Targets: who has one, and that they are distributions."""

from __future__ import annotations

import numpy as np
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.targets import TaskTarget, TaskTargets


def test_labels_become_one_hot_and_missing_ones_are_counted() -> None:
    target = TaskTarget.from_labels("g", ["rock", None, "folk", float("nan"), "rock"], ["folk", "rock"])
    assert target.rows.tolist() == [0, 2, 4] and target.n_without == 2
    assert target.soft.tolist() == [[0, 1], [1, 0], [0, 1]] and target.soft.dtype == np.float32


def test_vectors_keep_the_distribution() -> None:
    vectors = np.array([[0.25, 0.75], [np.nan, np.nan], [1.0, 0.0]])
    target = TaskTarget.from_vectors("m", vectors)
    assert target.rows.tolist() == [0, 2] and target.n_out == 2
    np.testing.assert_array_equal(target.soft, vectors[[0, 2]].astype(np.float32))


@pytest.mark.parametrize(
    "vectors",
    [
        np.full((3, 2), np.nan),
        np.array([[0.5, 0.4]]),
        np.array([[1.5, -0.5]]),
        np.array([[np.nan, 1.0]]),
        np.array([[np.inf, 0.0]]),
        np.ones((2, 1)),
        np.empty((0, 3)),
    ],
)
def test_what_is_no_distribution_is_an_error_that_names_the_task(vectors: np.ndarray) -> None:
    with pytest.raises(ArtistTransferError, match="task 'm'"):
        TaskTarget.from_vectors("m", vectors)


def test_unknown_label_is_named() -> None:
    with pytest.raises(ArtistTransferError, match="polka"):
        TaskTarget.from_labels("g", ["rock", "polka"], ["folk", "rock"])


def test_canonical_order_and_disagreement() -> None:
    one = TaskTarget.from_vectors("m", np.full((4, 2), 0.5))
    two = TaskTarget.from_vectors("g", np.full((4, 3), 1 / 3))
    assert TaskTargets([one, two]).outputs == (("g", 3), ("m", 2))
    with pytest.raises(ArtistTransferError, match="same tracks"):
        TaskTargets([one, TaskTarget.from_vectors("g", np.full((5, 2), 0.5))])
    for wrong in ([], [one, one]):
        with pytest.raises(ArtistTransferError, match="different tasks"):
            TaskTargets(wrong)
