"""What a table of scores lacks: systems that could not be trained, tracks of official lists that are not there.

The **score table** is described in `artist_transfer.reporting.artist_tables`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

import pandas as pd

from artist_transfer.reporting.artist_tables import WHOLE
from artist_transfer.reporting.scores import number


def failed_scores(scores: pd.DataFrame, failed: Mapping[str, Mapping[str, object]]) -> pd.DataFrame:
    """Give systems that could not be trained a row for every overall score of the others, with the reason in its note.

    Parameters
    ----------
    scores : pd.DataFrame
        Of one target, as `labelled_scores` gives them.
    failed : mapping of name to mapping
        ``net``, ``n_artists_trained`` and ``reason`` of each.

    Returns
    -------
    pd.DataFrame
        The scores, and NaN for those systems.
    """
    if not len(scores) or not failed:
        return scores
    whole = scores[scores["of"].isin(WHOLE)].drop_duplicates("metric")
    kept = whole[["metric", "of", "n_items", "unit", "target", "list_hash", "split_hash", "listed", "missing"]]
    rows = [
        kept.assign(
            system=name,
            net=str(each["net"]),
            n_artists_trained=number(each["n_artists_trained"]),
            seed=None,
            value=nan,
            low=nan,
            high=nan,
            note=f"failed: {each['reason']}",
        )
        for name, each in failed.items()
    ]
    return pd.concat([scores, *rows], ignore_index=True)


def missing_tracks(score_table: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Say of which targets a run lacks tracks of the official lists.

    Parameters
    ----------
    score_table : pd.DataFrame
        See `artist_transfer.reporting.artist_tables`.

    Returns
    -------
    dict of target to (missing, listed)
        Of those that lack any.
    """
    if not {"missing", "listed"} <= set(score_table.columns):
        return {}
    rows = score_table.drop_duplicates("target")
    return {
        str(target): (int(missing), int(listed))
        for target, missing, listed in zip(rows["target"], rows["missing"], rows["listed"])
        if missing > 0
    }
