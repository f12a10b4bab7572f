"""Shuffled factors: the same rows, other artists, and nothing else changed."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.factors.reading import factor_columns
from artist_transfer.factors.shuffling import shuffle_artists


def factors(*sizes: int, groups: int = 4) -> pd.DataFrame:
    """Folds of so many artists; all rows differ."""
    rng = np.random.default_rng(0)
    parts = []
    for fold, size in enumerate(sizes):
        part = pd.DataFrame(rng.dirichlet(np.ones(groups), size), columns=[f"f{i:02d}" for i in range(groups)])
        part.insert(0, "artist_id", [f"artist{i:03d}" for i in range(size)])
        part.insert(0, "fold", fold)
        parts.append(part)
    return pd.concat(parts)  # with an index that is not unique


def rows_of(table: pd.DataFrame, fold: int) -> np.ndarray:
    return table.loc[table["fold"] == fold, factor_columns(table)].to_numpy()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [2, 3, 4, 7, 40])
def test_the_rows_of_a_fold_stay_and_few_artists_keep_theirs(size: int, seed: int) -> None:
    table = factors(size, size + 1)
    shuffled = shuffle_artists(table, seed=seed, salt="S")
    pd.testing.assert_frame_equal(shuffled[["fold", "artist_id"]], table[["fold", "artist_id"]])
    assert list(shuffled.columns) == list(table.columns)
    for fold in (0, 1):
        before, after = rows_of(table, fold), rows_of(shuffled, fold)
        np.testing.assert_array_equal(np.sort(before[:, 0]), np.sort(after[:, 0]))
        assert {row.tobytes() for row in before} == {row.tobytes() for row in after}
        assert (before == after).all(axis=1).sum() < len(before) / 3


def test_the_order_of_the_rows_changes_nothing() -> None:
    table = factors(20, 13)
    mixed = table.sample(frac=1.0, random_state=1)
    one, other = (shuffle_artists(each, seed=3, salt="E") for each in (table, mixed))
    pd.testing.assert_frame_equal(other[["fold", "artist_id"]], mixed[["fold", "artist_id"]])
    keys = ["fold", "artist_id"]
    pd.testing.assert_frame_equal(
        one.sort_values(keys).reset_index(drop=True), other.sort_values(keys).reset_index(drop=True)
    )


def test_seed_salt_and_fold_decide() -> None:
    table = factors(30)
    again = shuffle_artists(table, seed=0, salt="S")
    pd.testing.assert_frame_equal(again, shuffle_artists(table, seed=0, salt="S"))
    for seed, salt in ((0, "E"), (0, "D"), (1, "S")):
        assert (rows_of(shuffle_artists(table, seed=seed, salt=salt), 0) != rows_of(again, 0)).any()
    other_fold = shuffle_artists(table.assign(fold=1), seed=0, salt="S")
    assert (rows_of(other_fold, 1) != rows_of(again, 0)).any()


def test_other_columns_and_the_input_are_left_alone() -> None:
    table = factors(9).assign(name=[f"name {i}" for i in range(9)], f10=np.nan)
    before = table.copy()
    shuffled = shuffle_artists(table, seed=0, salt="M")
    pd.testing.assert_frame_equal(table, before)
    assert shuffled["name"].tolist() == table["name"].tolist()
    assert shuffled["f10"].isna().all()


def test_every_permutation_that_may_come_does() -> None:
    table = factors(3)
    found = {tuple(shuffle_artists(table, seed=seed, salt="S")["f00"]) for seed in range(40)}
    assert len(found) == 2  # the two permutations of three that leave nobody in place


def test_a_single_artist_is_said_aloud_and_nobody_is_nothing() -> None:
    with pytest.warns(ArtistTransferWarning, match="fold 1 has one artist"):
        shuffled = shuffle_artists(factors(4, 1), seed=0, salt="S")
    np.testing.assert_array_equal(rows_of(shuffled, 1), rows_of(factors(4, 1), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = factors(0)
        pd.testing.assert_frame_equal(shuffle_artists(nothing, seed=0, salt="S"), nothing)


def test_an_artist_twice_is_refused() -> None:
    table = factors(5)
    with pytest.raises(ArtistTransferError, match="artist002 is more than once in fold 0"):
        shuffle_artists(pd.concat([table, table.iloc[[2]]]), seed=0, salt="S")
