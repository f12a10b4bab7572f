"""From a cached log-mel spectrogram to what a cepstrum is of: decibels, and songs that have none."""

from __future__ import annotations

import numpy as np

from artist_transfer.audio.mel import FrontEnd

LEAST_DB = -100.0
NO_FRAMES, NOT_FINITE = "no frames", "not finite"
SILENT, CONSTANT = "silent", "no variation: all frames are equal"
_EQUAL_DB = 1e-3  # a range below it is rounding


def decibels(log_mel: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """Write a log-mel spectrogram in decibels.

    Parameters
    ----------
    log_mel : np.ndarray [shape=(n_frames, n_mels)]
        As the front end makes it.
    front_end : FrontEnd

    Returns
    -------
    np.ndarray [shape=(n_frames, n_mels)], float32, dB re 1
        As it is if it is in decibels. A log10(1 + 10 · mel) is inverted: 20 · log10 of a magnitude mel (10 · log10 of a
        power mel), at least -100.
    """
    if front_end.log != "log10_1p10":
        return np.asarray(log_mel, dtype=np.float32)
    mel = np.expm1(np.asarray(log_mel, dtype=np.float64) * np.log(10.0)) / 10.0  # exact also where it is tiny
    ratio = 20.0 / front_end.power
    return (ratio * np.log10(np.maximum(mel, 10 ** (LEAST_DB / ratio)))).astype(np.float32)


def unusable(level: np.ndarray) -> str | None:
    """Say why a song's frames are of no use to a model of frames.

    Parameters
    ----------
    level : np.ndarray [shape=(n_frames, n_mels)], dB

    Returns
    -------
    str or None
        None if they are usable. Digital silence and a constant have no variation at all, and so no variance.
    """
    if not len(level):
        return NO_FRAMES
    if not np.isfinite(level).all():
        return NOT_FINITE
    if float(level.max()) <= LEAST_DB + _EQUAL_DB:
        return SILENT
    return CONSTANT if float(np.ptp(level, axis=0).max()) <= _EQUAL_DB else None
