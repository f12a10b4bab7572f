"""Whether a file can be used, and if not, why: one row of the probe table a track.

Quarantine is for unusable audio only. Known bad data: clips of FMA that were cut outside their track, mp3s
cut by a broken download, files of 0 bytes, files that hold silence, samples that are not numbers.
"""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from artist_transfer.audio.decode import Decoded
from artist_transfer.errors import ArtistTransferError

RATES = (1_000, 768_000)  # Hz; outside of them a header lies
LOUDEST = 2.0**32  # full scale = 1; whole numbers of 32 bits that were stored as floats stay below. Powers stay finite
HUNG, CRASHED, TOO_MUCH_MEMORY = "decoder hung", "decoder crashed", "decoder needs more than"
_MACHINE = (HUNG, CRASHED, TOO_MUCH_MEMORY)


@dataclass(frozen=True)
class ProbeParams:
    """What counts as usable audio.

    Attributes
    ----------
    min_duration_s : float [> 0, s], 1.5 s give one crop of 43 frames
    max_duration_s : float [> min_duration_s, s], decoding stops there
    length_tolerance : float [0 <= x < 1], share of the declared duration that may be missing
    silence_dbfs : float [< 0, dB], a peak below it is silence
    """

    min_duration_s: float = 1.5
    max_duration_s: float = 900.0
    length_tolerance: float = 0.05
    silence_dbfs: float = -80.0

    def __post_init__(self) -> None:
        """Refuse impossible settings before any work."""
        if not 0 < self.min_duration_s < self.max_duration_s:
            raise ArtistTransferError(
                f"min_duration_s {self.min_duration_s} and max_duration_s {self.max_duration_s}: "
                "allowed is 0 < min_duration_s < max_duration_s"
            )
        if not 0 <= self.length_tolerance < 1:
            raise ArtistTransferError(f"length_tolerance {self.length_tolerance}: allowed is 0 <= x < 1")
        if not self.silence_dbfs < 0:
            raise ArtistTransferError(f"silence_dbfs {self.silence_dbfs}: allowed is below 0")


@dataclass
class Probe:
    """One row of the probe table.

    Attributes
    ----------
    track_id : str
    reason : str or None, None if usable
    duration_s, declared_s : float or None [s], decoded, and what the header vouches for
    sample_rate : int [Hz], 0 if not decodable
    channels : int, 0 if not decodable
    peak, rms : float or None [0 <= x], of the mono mix, full scale = 1; no rms of what is not audio
    audio_hash : str or None, SHA-256 of the decoded samples, mixed to mono
    n_frames : int, log-mel frames; 0 if not usable
    shard : str or None, name of the shard that holds them
    offset : int, row of the first frame in it
    """

    track_id: str
    reason: str | None = None
    duration_s: float | None = None
    declared_s: float | None = None
    sample_rate: int = 0
    channels: int = 0
    peak: float | None = None
    rms: float | None = None
    audio_hash: str | None = None
    n_frames: int = 0
    shard: str | None = None
    offset: int = 0


def fault_row(track_id: str, reason: str) -> dict[str, Any]:
    """Return the probe row of a track about which nothing is known but why it is not usable.

    Parameters
    ----------
    track_id : str
        The track.
    reason : str
        Why.

    Returns
    -------
    dict
        A `Probe` as a dict.
    """
    return asdict(Probe(track_id, reason=reason))


def may_pass(reason: str | None) -> bool:
    """Tell whether a fault may be the machine's rather than the file's: a busy disk, memory that others took.

    Parameters
    ----------
    reason : str or None
        Of a probe row.

    Returns
    -------
    bool
        Whether the same file may be usable another time.
    """
    return reason is not None and reason.startswith(_MACHINE)


def is_audio(peak: float | None) -> bool:
    """Tell whether samples may be sound: a larger one comes from damage, and its power may be infinite.

    Parameters
    ----------
    peak : float or None [0 <= x]
        Of a probe row.

    Returns
    -------
    bool
        Whether it is known and at most `LOUDEST`.
    """
    return peak is not None and peak <= LOUDEST


def file_fault(path: str | Path) -> str | None:
    """Return what is wrong with a file before it is opened as audio.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    str or None
        A reason for quarantine, or None.
    """
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            return "not a file"
        if facts.st_size == 0:
            return "empty file"
        with open(path, "rb"):
            return None
    except (FileNotFoundError, NotADirectoryError):
        return "missing file"
    except PermissionError:
        return "no permission"
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        return f"unreadable: {getattr(error, 'strerror', None) or error}"


def probe_of(track_id: str, decoded: Decoded, *, params: ProbeParams, declared_s: float | None = None) -> Probe:
    """Judge decoded audio.

    Parameters
    ----------
    track_id : str
        The track.
    decoded : Decoded
        Its audio.
    params : ProbeParams
        What counts as usable.
    declared_s : float or None [s]
        Duration that the corpus's metadata declares, checked beside the header's.

    Returns
    -------
    Probe
        The row, with a reason if the audio is not usable.
    """
    row = Probe(track_id, declared_s=decoded.declared_s, channels=decoded.channels, sample_rate=decoded.sample_rate)
    row.duration_s, row.audio_hash = decoded.duration_s, decoded.audio_hash
    span = 0.0
    if decoded.samples.size:
        low, high = float(decoded.samples.min()), float(decoded.samples.max())
        span, peak = high - low, max(-low, high)
        if np.isfinite(peak) and np.isfinite(span):  # min and max hand NaN on
            row.peak = peak
        if is_audio(row.peak):
            row.rms = float(np.sqrt(np.vdot(decoded.samples, decoded.samples) / decoded.samples.size))
    row.reason = _reason(decoded, row, span=span, params=params, table_s=declared_s)
    return row


def _reason(decoded: Decoded, row: Probe, *, span: float, params: ProbeParams, table_s: float | None) -> str | None:
    """Return the first reason that holds, the most telling ones first."""
    duration = decoded.duration_s
    if not RATES[0] <= decoded.sample_rate <= RATES[1]:
        return f"unreadable: sample rate of {decoded.sample_rate} Hz"
    if decoded.samples.size and row.peak is None:
        return "not finite"
    if decoded.samples.size and not is_audio(row.peak):
        return f"not audio: a sample of {row.peak:.3g}, full scale is 1"
    if decoded.goes_on:
        return f"too long: more than {params.max_duration_s:g} s"
    declared = max(decoded.declared_s or 0.0, table_s if table_s is not None and table_s == table_s else 0.0)
    if duration < (1 - params.length_tolerance) * declared:
        return f"truncated: {duration:.1f} s of {declared:.1f} s declared"
    if decoded.is_cut:
        return f"truncated: {duration:.1f} s, the end of the stream is missing"
    if decoded.error and not decoded.declared_s:
        return f"unreadable: {decoded.error} after {duration:.1f} s"
    if duration < params.min_duration_s:
        return f"too short: {duration:.2f} s of at least {params.min_duration_s:g} s"
    threshold = 10 ** (params.silence_dbfs / 20)
    if (row.peak or 0.0) < threshold or span < threshold:  # a constant is silence beside the point
        return "silent"
    return None
