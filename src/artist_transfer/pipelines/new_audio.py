"""New audio that somebody asks about: the files, decoded with the safeguards of a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.pipelines.ingestion.params import IngestionBlock
from artist_transfer.pipelines.mel_cache.params import MelBlock
from artist_transfer.processes import cpu_count


def list_audio(audio: str, ingestion: IngestionBlock) -> tuple[pd.DataFrame, dict[str, Any]]:
    """List the file, or the music files of the folder.

    Parameters
    ----------
    audio : str
        File or folder.
    ingestion : IngestionBlock
        Which endings are music.

    Returns
    -------
    audio_track_table : pd.DataFrame
        One row a file.
    audio_facts : dict
        Their folder.
    """
    from artist_transfer.corpora.folder import read_folder
    from artist_transfer.corpora.schema import make_track_table

    path = Path(audio)
    if path.is_dir():
        table, notes = read_folder(path, extensions=ingestion.folder.extensions)
        return table, {"root": path.as_posix(), "notes": notes}
    row = pd.DataFrame({"track_id": [path.name], "path": [path.name]})
    return make_track_table(row, source=f"audio={audio}"), {"root": path.parent.as_posix(), "notes": {}}


def hear_audio(
    audio_track_table: pd.DataFrame,
    audio_facts: Mapping[str, Any],
    front_end: Mapping[str, Any],
    mel: MelBlock,
    *,
    workers: int | None,
    cache_root: str,
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Decode the files, and set aside those that cannot be used.

    Parameters
    ----------
    audio_track_table : pd.DataFrame
        The files.
    audio_facts : mapping
        Their folder.
    front_end : mapping
        Of the net that will hear them.
    mel : MelBlock
        What counts as usable audio.
    workers : int or None
        Processes that decode; None for all cores.
    cache_root : str
        Where their spectrograms are kept.

    Returns
    -------
    mel_manifest : dict
        Their spectrograms.
    usable_table, quarantine_table : pd.DataFrame
        As of a corpus.
    """
    from artist_transfer.audio.cache import cache_mel
    from artist_transfer.audio.mel import FrontEnd
    from artist_transfer.audio.probe import ProbeParams
    from artist_transfer.corpora.screening import screen

    manifest, probe_table = cache_mel(
        audio_track_table,
        corpus_root=Path(audio_facts["root"]),
        front_end=FrontEnd(**front_end),
        probe=ProbeParams(**mel.probe.model_dump()),
        folder=Path(cache_root) / "mel",
        shard_size=mel.shard_size,
        n_workers=workers or cpu_count(),
    )
    usable, quarantine, _ = screen(audio_track_table, probe_table)
    return manifest, usable, quarantine
