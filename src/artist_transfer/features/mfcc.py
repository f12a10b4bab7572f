"""MFCC from a cached log-mel spectrogram: audio is decoded once.

Transfer Learning of Artist Group Factors (2018), section 3.1.2: 25 coefficients of each frame, and dMFCC, the
first-order difference of subsequent frames. The released code used 13 coefficients of 40 bands by accident;
the paper's 25 of 128 are the default here.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dct

from artist_transfer.errors import ArtistTransferError

N_MFCC = 25


def mfcc(log_mel: np.ndarray, n: int = N_MFCC) -> np.ndarray:
    """Return mel-frequency cepstral coefficients: the orthonormal DCT-II along bands.

    Parameters
    ----------
    log_mel : np.ndarray [shape=(frames, n_mels), float], dB
        A log-mel spectrogram.
    n : int [1 <= n <= n_mels]
        Number of coefficients.

    Returns
    -------
    np.ndarray [shape=(frames, n), float32]
        Equal to ``librosa.feature.mfcc(S=log_mel.T, n_mfcc=n).T``.

    Raises
    ------
    ArtistTransferError
        If `log_mel` is not two-dimensional or has fewer than `n` bands.
    """
    if log_mel.ndim != 2 or not 1 <= n <= log_mel.shape[1]:
        raise ArtistTransferError(
            f"{n} coefficients of shape {log_mel.shape}: allowed are 1 to n_mels of (frame, band)"
        )
    coefficients = dct(log_mel.astype(np.float32), type=2, norm="ortho", axis=1)[:, :n]
    return np.ascontiguousarray(coefficients, np.float32)


def delta_mfcc(log_mel: np.ndarray, n: int = N_MFCC) -> np.ndarray:
    """Return dMFCC: the first-order difference of subsequent frames (section 3.1.2).

    Parameters
    ----------
    log_mel : np.ndarray [shape=(frames, n_mels), float], dB
        A log-mel spectrogram.
    n : int [1 <= n <= n_mels]
        Number of coefficients.

    Returns
    -------
    np.ndarray [shape=(max(0, frames - 1), n), float32]
        Row t is MFCC of frame t + 1 minus that of frame t.
    """
    return np.diff(mfcc(log_mel, n), axis=0)


def mfcc_statistics(log_mel: np.ndarray, n: int = N_MFCC) -> np.ndarray:
    """Summarise a track for a classical baseline.

    Parameters
    ----------
    log_mel : np.ndarray [shape=(frames, n_mels), frames >= 1, float], dB
        A log-mel spectrogram.
    n : int [1 <= n <= n_mels]
        Number of coefficients.

    Returns
    -------
    np.ndarray [shape=(9 * n,), float32]
        Mean, deviation, minimum, maximum, median, skewness and excess kurtosis of each coefficient, then mean
        and deviation of each difference. Finite: skewness and kurtosis of a constant are 0, as are
        differences of one frame.

    Raises
    ------
    ArtistTransferError
        If there are no frames.
    """
    if not len(log_mel):
        raise ArtistTransferError("MFCC statistics of no frames: at least one is needed")
    values = mfcc(log_mel, n).astype(np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0)
    varies = std > 1e-6 * (1 + np.abs(mean))
    scaled = np.where(varies, (values - mean) / np.where(varies, std, 1.0), 0.0)
    kurtosis = np.where(varies, (scaled**4).mean(axis=0) - 3.0, 0.0)
    parts = [
        mean,
        std,
        values.min(axis=0),
        values.max(axis=0),
        np.median(values, axis=0),
        (scaled**3).mean(axis=0),
    ]
    delta = np.diff(values, axis=0) if len(values) > 1 else np.zeros((1, n))
    return np.concatenate([*parts, kurtosis, delta.mean(axis=0), delta.std(axis=0)]).astype(np.float32)
