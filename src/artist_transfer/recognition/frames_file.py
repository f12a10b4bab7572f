"""The file of MFCC frames, written from the cached mel spectrogram, so that audio is decoded once.

DeepArtistID (Park, Lee, Park, Ha, Nam: *Representation Learning of Music Using Artist Labels*, first version), section
3.3: 20 coefficients. A front end of log10(1 + 10 · mel) is inverted first and written in decibels, for a cepstrum is
the transform of a logarithm; 20 · log10 of the magnitude mel is then what librosa's MFCC is of.

The manifest is written last, so a run that was killed leaves no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np

from artist_transfer.artifacts import atomic_path, commit_folder, fingerprint, open_folder, sha256_of, write_json
from artist_transfer.audio.mel import ISMIR, FrontEnd
from artist_transfer.errors import ArtistTransferError
from artist_transfer.features.mfcc import mfcc
from artist_transfer.recognition.cepstrum import decibels, unusable
from artist_transfer.recognition.frames import FACTS, VALUES, Report, SongFrames

COEFFICIENTS = 20
_VERSION = 1  # raise it when the same spectrogram gives other frames


class Mel(Protocol):
    """What holds the spectrograms: an `artist_transfer.audio.store.MelStore`."""

    def frames(self, track_id: str, /) -> np.ndarray:
        """Return a track's log-mel frames [shape=(n_frames, n_mels)]."""


def write_song_frames(
    mel: Mel,
    track_ids: Iterable[str],
    folder: str | Path,
    *,
    coefficients: int = COEFFICIENTS,
    front_end: FrontEnd = ISMIR,
    key: str = "",
    progress: Report | None = None,
) -> SongFrames:
    """Write the MFCC frames of songs, or take those that are there.

    Parameters
    ----------
    mel : MelStore
        Spectrograms of that front end.
    track_ids : iterable of str
        Songs, in any order.
    folder : str or Path
        Where they go. If it holds frames of the same songs, coefficients, front end and key, they are read.
    coefficients : int [1 <= coefficients <= n_mels]
        The first of them, with the one that is the level.
    front_end : FrontEnd
    key : str
        What else decides the frames: the mel store's fingerprint.
    progress : callable or None
        Told songs done, songs in all, and how many were left out.

    Returns
    -------
    SongFrames
        Sorted by track, memory-mapped. Songs without frames, with values that are not finite, silent or without any
        variation are in `left_out` with their reason.

    Raises
    ------
    ArtistTransferError
        If there are no more bands than coefficients, or no song is left.
    """
    folder, wanted = Path(folder), sorted(set(track_ids))
    if not 1 <= coefficients <= front_end.n_mels:
        raise ArtistTransferError(
            f"frames: {coefficients} coefficients of {front_end.n_mels} mel bands; allowed are 1 to {front_end.n_mels}"
        )
    made_of = fingerprint(_VERSION, wanted, coefficients, asdict(front_end), key)
    details = open_folder(folder)
    if details is None or details.get("key") != made_of:
        counts, left_out = _write_values(mel, wanted, folder, coefficients, front_end, progress)
        facts = {"coefficients": coefficients, "front_end": asdict(front_end), "left_out": left_out, "songs": counts}
        facts["key"] = fingerprint(made_of, sha256_of(folder / VALUES))
        write_json(folder / FACTS, facts)
        numbers = {"n_songs": len(counts), "n_frames": sum(counts.values()), "n_left_out": len(left_out)}
        commit_folder(folder, files=[VALUES, FACTS], details={"key": made_of, **numbers})
    return SongFrames.open(folder)


def _write_values(
    mel: Mel,
    wanted: Sequence[str],
    folder: Path,
    coefficients: int,
    front_end: FrontEnd,
    progress: Report | None,
) -> tuple[dict[str, int], dict[str, str]]:
    counts: dict[str, int] = {}
    left_out: dict[str, str] = {}
    with atomic_path(folder / VALUES) as path, open(path, "wb") as stream:
        for done, track_id in enumerate(wanted, start=1):
            level = decibels(mel.frames(track_id), front_end)
            reason = unusable(level)
            if reason is None:
                stream.write(np.ascontiguousarray(mfcc(level, coefficients), dtype="<f4").data)
                counts[track_id] = len(level)
            else:
                left_out[track_id] = reason
            if progress is not None:
                progress(done, len(wanted), {"left out": len(left_out)})
        if not counts:
            first = f", the first is {wanted[0]!r} ({left_out[wanted[0]]})" if wanted else ""
            raise ArtistTransferError(f"frames: none of {len(wanted)} songs has a frame that can be used{first}")
    return counts, left_out
