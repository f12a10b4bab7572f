"""From the track table and the probe of every file: what is usable, what is not and why, and the counts.

Only audio decides: a track without genre still serves the factors, one without artist still serves the genre
task, and exact duplicates stay (a split keeps them on one side).
"""

from __future__ import annotations

import pandas as pd

from artist_transfer.corpora.schema import TRACK_COLUMNS
from artist_transfer.errors import ArtistTransferError

PROBE_COLUMNS = ("duration_s", "audio_hash", "n_frames", "shard", "offset")
"""Columns of the probe table that the usable table takes over."""
USABLE_COLUMNS = (*TRACK_COLUMNS, *PROBE_COLUMNS)
QUARANTINE_COLUMNS = ("track_id", "path", "artist_id", "reason")


def screen(track_table: pd.DataFrame, probe_table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Part the tracks whose audio is usable from those whose audio is not.

    Parameters
    ----------
    track_table : pd.DataFrame [shape=(n, 11)]
        The track table.
    probe_table : pd.DataFrame [shape=(n, any)]
        One row a track: ``track_id``, ``reason`` (missing: usable) and `PROBE_COLUMNS`.

    Returns
    -------
    usable_table : pd.DataFrame
        `USABLE_COLUMNS`, sorted by ``track_id``.
    quarantine_table : pd.DataFrame
        `QUARANTINE_COLUMNS`, sorted by ``track_id``.
    counts : dict of int
        ``tracks`` = ``usable`` + ``quarantined``; ``quarantined: <kind>`` for each kind of reason (its text
        before the colon); of the usable ones: ``usable without genre``, ``usable without artist``,
        ``duplicate groups`` (same decoded audio under several ids), ``duplicates in them``, ``artists``,
        ``genres``, ``recordings``.

    Raises
    ------
    ArtistTransferError
        If the tables do not hold the same tracks once each.
    """
    _check_same_tracks(track_table, probe_table)
    probed = probe_table.loc[:, ["track_id", "reason", *PROBE_COLUMNS]]
    both = track_table.merge(probed, on="track_id", validate="one_to_one").sort_values("track_id")
    good = both["reason"].isna()
    usable = both.loc[good, list(USABLE_COLUMNS)].reset_index(drop=True)
    usable = usable.astype({"n_frames": "int64", "offset": "int64"})
    quarantine = both.loc[~good, list(QUARANTINE_COLUMNS)].reset_index(drop=True)
    counts = _count(usable, quarantine)
    if counts["tracks"] != len(track_table):
        raise AssertionError(f"{len(track_table)} tracks in, {counts['tracks']} accounted for")
    return usable, quarantine, counts


def _check_same_tracks(track_table: pd.DataFrame, probe_table: pd.DataFrame) -> None:
    tracks, probed = track_table["track_id"], probe_table["track_id"]
    for name, ids in (("track table", tracks), ("probe table", probed)):
        if ids.duplicated().any():
            raise ArtistTransferError(f"{name}: track {ids[ids.duplicated()].iloc[0]!r} stands there twice.")
    for name, here, there in (("probe table", tracks, probed), ("track table", probed, tracks)):
        absent = here[~here.isin(there)]
        if len(absent):
            raise ArtistTransferError(f"{name}: {len(absent)} tracks are missing, the first {absent.iloc[0]!r}.")


def _count(usable: pd.DataFrame, quarantine: pd.DataFrame) -> dict[str, int]:
    kinds = quarantine["reason"].astype("str").str.split(":", n=1).str[0].value_counts()
    sharers = usable.loc[usable["audio_hash"].notna(), "audio_hash"].value_counts()
    sharers = sharers[sharers > 1]
    return {
        "tracks": len(usable) + len(quarantine),
        "usable": len(usable),
        "quarantined": len(quarantine),
        **{f"quarantined: {kind}": int(kinds[kind]) for kind in sorted(kinds.index)},
        "usable without genre": int(usable["genre_top"].isna().sum()),
        "usable without artist": int(usable["artist_id"].isna().sum()),
        "duplicate groups": len(sharers),
        "duplicates in them": int(sharers.sum()),
        "artists": int(usable["artist_id"].nunique()),
        "genres": int(usable["genre_top"].nunique()),
        "recordings": int(usable["recording_id"].nunique()),
    }
