"""Nodes of splitting: sides for every track, and what the sides share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.pipelines.splitting.params import BalancedBlock, SplittingBlock

if TYPE_CHECKING:
    from artist_transfer.corpora.splits import BalancedParams

log = logging.getLogger(__name__)


def split_tracks(
    usable_table: pd.DataFrame, split: str, splitting: SplittingBlock, folds: int, seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Give every usable track a side in every fold.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The tracks.
    split : str
        stratified, artist_disjoint, official or balanced.
    splitting : SplittingBlock
        Shares.
    folds : int
        1, or with artist_disjoint the number of folds.
    seed : int
        Seed of the draw.

    Returns
    -------
    split_table : pd.DataFrame
        track_id, fold, side.
    split_facts : dict
        Kind, hash and sizes.
    """
    from artist_transfer.corpora.splits import make_split, split_hash

    table = make_split(
        usable_table,
        kind=split,
        seed=seed,
        test_share=splitting.test_share,
        folds=folds,
        balanced=balanced_params(splitting.balanced),
    )
    sizes = {
        f"fold {fold}": {str(side): int(count) for side, count in rows["side"].value_counts().sort_index().items()}
        for fold, rows in table.groupby("fold")
    }
    digest = split_hash(table)
    facts = {"kind": split, "folds": folds, "seed": seed, "hash": digest, "sizes": sizes}
    log.info("Split %s, hash %s: %s", split, digest[:12], sizes)
    return table, facts


def report_leakage(usable_table: pd.DataFrame, split_table: pd.DataFrame) -> pd.DataFrame:
    """Count what training shares with the other sides.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The tracks.
    split_table : pd.DataFrame
        Their sides.

    Returns
    -------
    pd.DataFrame
        One row a fold and kind of thing shared, a column a side.
    """
    from artist_transfer.corpora.leakage import leakage_report

    return leakage_report(usable_table, split_table)


def balanced_params(block: BalancedBlock) -> BalancedParams:
    """Turn the block of parameters into what the library takes.

    Parameters
    ----------
    block : BalancedBlock
        Artists, songs and their division.

    Returns
    -------
    BalancedParams
        The same.
    """
    from artist_transfer.corpora.splits import BalancedParams

    train, validation, test = block.division or (None, None, None)
    return BalancedParams(
        artists=block.artists,
        unseen_artists=block.unseen_artists,
        songs=block.songs,
        train=train,
        validation=validation,
        test=test,
    )
