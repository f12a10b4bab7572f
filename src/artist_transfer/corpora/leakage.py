"""What training shares with the other sides of a split."""

from __future__ import annotations

import pandas as pd

LEAKS = {
    "artists": "artist_id",
    "recordings": "recording_id",
    "exact duplicates": "audio_hash",
    "albums": "album_id",
}
"""What may be shared, and the column that tells."""
OTHER_SIDES = ("validation", "test", "unseen")


def leakage_report(usable_table: pd.DataFrame, split_table: pd.DataFrame) -> pd.DataFrame:
    """Count artists, recordings, exact duplicates and albums that stand on both sides of a split.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The usable tracks.
    split_table : pd.DataFrame
        ``track_id``, ``fold``, ``side``.

    Returns
    -------
    pd.DataFrame [shape=(4 x folds, 8)]
        One row a fold and kind. ``shared_validation``, ``shared_test``, ``shared_unseen``: how many of the
        kind are in training and on that side too; ``test_tracks``; ``test_tracks_affected``: how many of them
        share it with training; ``test_share_affected``, 0…1 (0 without test tracks).
    """
    columns = list(LEAKS.values())
    joined = split_table.merge(usable_table[["track_id", *columns]], on="track_id", validate="many_to_one")
    rows = []
    for fold, tracks in joined.groupby("fold", sort=True):
        train = tracks[tracks["side"] == "train"]
        test = tracks[tracks["side"] == "test"]
        for kind, column in LEAKS.items():
            known = set(train[column].dropna())
            sides = {
                f"shared_{side}": len(known & set(tracks.loc[tracks["side"] == side, column].dropna()))
                for side in OTHER_SIDES
            }
            affected = int(test[column].isin(known).sum())
            share = affected / len(test) if len(test) else 0.0
            rows.append(
                {"fold": int(fold), "kind": kind, **sides, "test_tracks": len(test)}
                | {"test_tracks_affected": affected, "test_share_affected": share}
            )
    return pd.DataFrame(rows)
