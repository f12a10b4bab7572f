"""The spectrogram of one sound file that somebody asks about, decoded in a process that may die."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from artist_transfer.audio.extract import DECODER
from artist_transfer.audio.mel import ISMIR, FrontEnd
from artist_transfer.audio.probe import ProbeParams
from artist_transfer.audio.workers import Limits, borrowed_worker
from artist_transfer.errors import ArtistTransferError


def frames_of_file(
    path: str | Path,
    *,
    front_end: FrontEnd = ISMIR,
    probe: ProbeParams | None = None,
    limits: Limits | None = None,
    decoder: str = DECODER,
) -> np.ndarray:
    """Decode a file and take its spectrogram, with the safeguards of the corpus's own files.

    Parameters
    ----------
    path : str or Path
    front_end : FrontEnd
        That of the net.
    probe : ProbeParams, optional
        What counts as usable.
    limits : Limits, optional
        What it may cost.
    decoder : str
        As in `artist_transfer.audio.extract.extract`.

    Returns
    -------
    np.ndarray [shape=(n_frames, n_mels), float16]

    Raises
    ------
    ArtistTransferError
        If it is not a sound file, or not a usable one, with the reason.
    """
    request = {
        "track_id": str(path),
        "path": str(path),
        "declared_s": None,
        "front_end": asdict(front_end),
        "probe": asdict(probe or ProbeParams()),
        "decoder": decoder,
    }
    with borrowed_worker(limits or Limits()) as worker:
        ((row, frames),) = worker.extract_all([request])
    if frames is None:
        raise ArtistTransferError(f"query: {path} is not a sound file that can be searched with: {row['reason']}")
    return frames
