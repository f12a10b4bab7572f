"""Log-mel spectrograms, equal to librosa's and several times faster.

Conventions: 22,050 Hz mono, periodic Hann window as long as the FFT, centred frames with zero padding, 128
mel bands (Slaney's scale and area normalisation, 0 Hz to half the sample rate), frame-major output ``(frame,
band)``.

Front ends: ``AGF`` (Transfer Learning of Artist Group Factors, 2018: power mel in dB, reference 1, floor
1e-10, no ``top_db``); ``AGF_RELEASED``, what that paper's released code did (20·log10 of a magnitude mel);
``ISMIR`` (Representation Learning of Music Using Artist Labels, 2018: log10(1 + 10 · magnitude mel)). A
magnitude mel cannot be derived from a power mel, so a store is keyed by its front end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import rfft
from scipy.sparse import csr_array

from artist_transfer.errors import ArtistTransferError

LOGS = ("db", "db_magnitude20", "log10_1p10")
_CHUNK = 128  # frames: window, spectrum and power of a chunk stay in a core's cache


@dataclass(frozen=True)
class FrontEnd:
    """How samples become a log-mel spectrogram.

    Attributes
    ----------
    name : str
    sample_rate : int [> 0, Hz]
    n_fft : int [> 0, samples], also the window's length
    hop : int [> 0, samples]
    n_mels : int [> 0]
    power : float, 1 (magnitude) or 2 (power)
    log : str, ``"db"`` 10·log10, ``"db_magnitude20"`` 20·log10, ``"log10_1p10"`` log10(1 + 10·mel)
    floor : float [> 0], smallest mel value under the logarithm; without effect on ``"log10_1p10"``
    """

    name: str = "agf"
    sample_rate: int = 22_050
    n_fft: int = 1024
    hop: int = 512
    n_mels: int = 128
    power: float = 2.0
    log: str = "db"
    floor: float = 1e-10

    def __post_init__(self) -> None:
        """Refuse impossible settings before any work."""
        for field in ("sample_rate", "n_fft", "hop", "n_mels", "floor"):
            if not getattr(self, field) > 0:
                raise ArtistTransferError(f"front end {self.name}: {field} is {getattr(self, field)}, allowed is > 0")
        if self.power not in {1.0, 2.0}:
            raise ArtistTransferError(f"front end {self.name}: power is {self.power}, allowed are 1 and 2")
        if self.log not in LOGS:
            raise ArtistTransferError(f"front end {self.name}: log is {self.log!r}, allowed are {', '.join(LOGS)}")

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of `n_samples` samples.

        Parameters
        ----------
        n_samples : int [>= 0]
            At the front end's sample rate.

        Returns
        -------
        int
            Frames; centred, so one more than whole hops for an even FFT.
        """
        return 1 + (n_samples + 2 * (self.n_fft // 2) - self.n_fft) // self.hop


AGF = FrontEnd()
AGF_RELEASED = FrontEnd(name="agf_released", power=1.0, log="db_magnitude20", floor=1e-5)
ISMIR = FrontEnd(name="ismir", power=1.0, log="log10_1p10")
FRONT_ENDS = {front_end.name: front_end for front_end in (AGF, AGF_RELEASED, ISMIR)}


def log_mel(samples: np.ndarray, front_end: FrontEnd = AGF) -> np.ndarray:
    """Return the log-mel spectrogram of mono samples.

    Parameters
    ----------
    samples : np.ndarray [shape=(n,), n >= 1, float], mono, at the front end's sample rate
        The signal, finite.
    front_end : FrontEnd
        How.

    Returns
    -------
    np.ndarray [shape=(frames, n_mels), float32]
        For the default front end in dB, -100 or more.

    Raises
    ------
    ArtistTransferError
        If `samples` is not one-dimensional or has nothing in it.
    """
    if samples.ndim != 1 or not samples.size:
        raise ArtistTransferError(f"samples of shape {samples.shape}: allowed is (n,) with n >= 1")
    window, filters = _window(front_end.n_fft), _sparse_filters(front_end)
    padded = np.pad(samples.astype(np.float32, copy=False), front_end.n_fft // 2)
    if padded.size < front_end.n_fft:  # an odd FFT over one sample
        padded = np.pad(padded, (0, front_end.n_fft - padded.size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, front_end.n_fft)[:: front_end.hop]
    out = np.empty((len(frames), front_end.n_mels), np.float32)
    # In double precision, as librosa's is: in single, the skirts of a pure tone would be off by 0.1 dB.
    windowed = np.empty((min(_CHUNK, len(frames)), front_end.n_fft), np.float64)
    for start in range(0, len(frames), _CHUNK):
        chunk = frames[start : start + _CHUNK]
        spectrum = rfft(np.multiply(chunk, window, out=windowed[: len(chunk)]))  # (frame, bin)
        parts = spectrum.view(np.float64).astype(np.float32)  # rounded once, after the cancellations
        parts *= parts
        energy = parts[:, 0::2] + parts[:, 1::2]
        if front_end.power == 1.0:
            np.sqrt(energy, out=energy)
        out[start : start + _CHUNK] = (filters @ energy.T).T  # (band, bin) @ (bin, frame)
    return _logarithm(out, front_end)


def _logarithm(mel: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """Take the front end's logarithm, in place."""
    if front_end.log == "log10_1p10":
        mel *= np.float32(10)
        mel += np.float32(1)
        return np.log10(mel, out=mel)
    np.maximum(mel, np.float32(front_end.floor), out=mel)
    np.log10(mel, out=mel)
    mel *= np.float32(10 if front_end.log == "db" else 20)
    return mel


@lru_cache(maxsize=8)
def _window(n_fft: int) -> np.ndarray:
    """Return the periodic Hann window."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft))


@lru_cache(maxsize=8)
def _sparse_filters(front_end: FrontEnd) -> csr_array:
    """Keep the few weights that are not zero, about eight a band."""
    return csr_array(mel_filters(front_end))


def mel_filters(front_end: FrontEnd = AGF) -> np.ndarray:
    """Return triangular mel filters on Slaney's scale, each of equal area.

    Parameters
    ----------
    front_end : FrontEnd
        Its sample rate, FFT length and number of bands.

    Returns
    -------
    np.ndarray [shape=(n_mels, n_fft // 2 + 1), float32, >= 0]
        Equal to ``librosa.filters.mel``.
    """
    bins = np.arange(front_end.n_fft // 2 + 1) * (front_end.sample_rate / front_end.n_fft)
    top = _hz_to_mel(front_end.sample_rate / 2)
    edges = _mel_to_hz(np.linspace(0.0, top, front_end.n_mels + 2))
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return weights.astype(np.float32)


def _hz_to_mel(hz: float) -> float:
    """Use Slaney's scale: linear to 1 kHz (15 mel), logarithmic above (27 mel for a factor 6.4)."""
    return hz * 3 / 200 if hz < 1000 else 15.0 + 27.0 * float(np.log(hz / 1000)) / float(np.log(6.4))


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15.0, mel * 200 / 3, 1000 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))
