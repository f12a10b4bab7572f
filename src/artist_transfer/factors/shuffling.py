"""Factors shuffled among artists: a second task whose targets are dealt out anew among the artists.

It still tells artists apart, for all tracks of an artist have one distribution that hardly any other artist has; but
its groups mean nothing, for two artists who share one need have nothing in common. The likeness between artists is all
that is destroyed. A net that learns from such factors as well as from the true ones has taken nothing from who is like
whom: what else the true ones give, a regularisation or the artists' identity, the shuffled ones give too. A task
without any information they are not.
"""

from __future__ import annotations

import warnings
import zlib

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.factors.reading import factor_columns

KEPT_AT_MOST = 1 / 3  # artists that a permutation leaves with their own factors; it is drawn again otherwise


def shuffle_artists(factor_table: pd.DataFrame, *, seed: int, salt: str) -> pd.DataFrame:
    """Permute the factors of each fold among its artists.

    Parameters
    ----------
    factor_table : pd.DataFrame
        ``fold``, ``artist_id``, ``f00`` …; an artist once a fold, rows in any order.
    seed : int
        Of the permutations.
    salt : str
        Another one gives other permutations, so that two shuffled tasks do not agree on their artists.

    Returns
    -------
    pd.DataFrame
        Rows, columns, order and index of `factor_table`; only the factors have changed places. Which artist gets
        whose factors depends on the seed, the salt, the fold and its artists, not on the order of the rows. Fewer
        than a third of the artists keep their own.

    Raises
    ------
    ArtistTransferError
        If an artist is there twice in a fold.

    Warns
    -----
    ArtistTransferWarning
        If a fold has only one artist, who then keeps its factors.
    """
    twice = factor_table[factor_table.duplicated(["fold", "artist_id"])]
    if len(twice):
        first = twice.iloc[0]
        raise ArtistTransferError(
            f"artist {first['artist_id']} is more than once in fold {first['fold']} of the factors; shuffling needs"
            " each artist once"
        )
    columns = factor_columns(factor_table)
    folds, artists = factor_table["fold"].to_numpy(), factor_table["artist_id"].to_numpy(dtype=object)
    giver = np.arange(len(factor_table))
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        rows = rows[np.argsort(artists[rows])]
        if len(rows) == 1:
            warnings.warn(
                f"fold {fold} has one artist with factors, who keeps them: nothing is shuffled there.",
                ArtistTransferWarning,
                stacklevel=2,
            )
        giver[rows] = rows[_permutation(len(rows), [seed, zlib.crc32(salt.encode("utf-8")), int(fold)])]
    shuffled = factor_table.copy()
    for column in columns:  # by position: an index may be there twice after a concatenation
        shuffled[column] = factor_table[column].to_numpy()[giver]
    return shuffled


def _permutation(n: int, seed: list[int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    while n > 1 and (order == np.arange(n)).mean() >= KEPT_AT_MOST:
        order = rng.permutation(n)
    return order
