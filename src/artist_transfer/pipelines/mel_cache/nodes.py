"""Nodes of the mel cache: decode every file once, keep its spectrogram, and set unusable audio aside."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.pipelines.cluster import ClusterBlock, executor_factory
from artist_transfer.pipelines.mel_cache.params import MelBlock
from artist_transfer.processes import cpu_count

log = logging.getLogger(__name__)


def cache_mel(
    track_table: pd.DataFrame,
    corpus_facts: dict[str, Any],
    mel: MelBlock,
    workers: int | None,
    cache_root: str,
    cluster: ClusterBlock,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Decode, probe and store the log-mel of every track.

    Parameters
    ----------
    track_table : pd.DataFrame
        The tracks.
    corpus_facts : dict
        Where they are.
    mel : MelBlock
        The front end, and what counts as usable.
    workers : int or None
        Processes; None for all cores.
    cache_root : str
        Where the shards go.
    cluster : ClusterBlock
        Other machines to work on.

    Returns
    -------
    mel_manifest : dict
        The shards with their checksums.
    probe_table : pd.DataFrame
        What was found in each file.
    """
    from artist_transfer.audio.cache import cache_mel as cache
    from artist_transfer.audio.mel import FRONT_ENDS
    from artist_transfer.audio.probe import ProbeParams
    from artist_transfer.audio.workers import close_idle_workers

    root, folder = Path(corpus_facts["root"]), Path(cache_root) / "mel"
    return cache(
        track_table,
        corpus_root=root,
        front_end=FRONT_ENDS[mel.front_end],
        probe=ProbeParams(**mel.probe.model_dump()),
        folder=folder,
        shard_size=mel.shard_size,
        n_workers=workers or cpu_count(),
        executor_factory=executor_factory(cluster, corpus_root=root, folder=folder, at_end=close_idle_workers),
    )


def cache_ismir_mel(
    track_table: pd.DataFrame,
    corpus_facts: dict[str, Any],
    mel: MelBlock,
    workers: int | None,
    cache_root: str,
    cluster: ClusterBlock,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Do the same with the front end of the artist-label nets, whatever `mel.front_end` says.

    Parameters
    ----------
    track_table : pd.DataFrame
        The tracks.
    corpus_facts : dict
        Where they are.
    mel : MelBlock
        What counts as usable.
    workers : int or None
        Processes; None for all cores.
    cache_root : str
        Where the shards go.
    cluster : ClusterBlock
        Other machines to work on.

    Returns
    -------
    mel_manifest : dict
        The shards with their checksums.
    probe_table : pd.DataFrame
        What was found in each file.
    """
    ismir = mel.model_copy(update={"front_end": "ismir"})
    return cache_mel(track_table, corpus_facts, ismir, workers, cache_root, cluster)


def screen_tracks(
    track_table: pd.DataFrame, probe_table: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Part the usable tracks from the unusable, and count both.

    Parameters
    ----------
    track_table : pd.DataFrame
        All tracks.
    probe_table : pd.DataFrame
        What was found in each file.

    Returns
    -------
    usable_table, quarantine_table : pd.DataFrame
        Together all tracks.
    count_facts : dict
        The counts.
    """
    from artist_transfer.corpora.screening import screen

    usable, quarantine, counts = screen(track_table, probe_table)
    log.info("%d tracks = %d usable + %d in quarantine", len(track_table), len(usable), len(quarantine))
    for row in quarantine.itertuples():
        log.info("In quarantine: %s (%s): %s", row.track_id, row.path, row.reason)
    return usable, quarantine, counts
