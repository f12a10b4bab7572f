"""From a file to samples: decoded by content in blocks, mixed to mono, hashed, resampled.

Nothing a header says is believed: memory follows what was really decoded, so a FLAC that declares 2**36
samples costs as much as the samples it holds. Decoding by soundfile (libsndfile), resampling by soxr (HQ).
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from artist_transfer.audio.headers import declared_seconds, is_cut
from artist_transfer.errors import ArtistTransferError

# Samples of all channels in one block: 16 MB, 47 s of 44.1 kHz stereo. soundfile seeks after each block, and an
# mp3 seek decodes a few frames again, so a clip had better fit into one.
_BLOCK_SAMPLES = 1 << 22
_SMALL_BLOCK_SAMPLES = 1 << 12


@dataclass(frozen=True)
class Decoded:
    """One decoded file.

    Attributes
    ----------
    samples : np.ndarray [shape=(n,), float32], mono, at the file's own rate
    sample_rate : int [Hz]
    channels : int [>= 1], before mixing
    declared_s : float or None [s], what the header vouches for
    audio_hash : str or None, SHA-256 of `samples`; None if the file goes on
    goes_on : bool, decoding stopped at the longest duration allowed
    is_cut : bool, the container's end is missing
    error : str or None, what the decoder said when it broke off
    """

    samples: np.ndarray
    sample_rate: int
    channels: int
    declared_s: float | None
    audio_hash: str | None
    goes_on: bool = False
    is_cut: bool = False
    error: str | None = None

    @property
    def duration_s(self) -> float:
        """Decoded duration in seconds."""
        return len(self.samples) / self.sample_rate


def decode(path: str | Path, *, max_duration_s: float = 900.0) -> Decoded:
    """Decode an audio file to mono float32, whatever its name says it is.

    Parameters
    ----------
    path : str or Path
        The file; its format is told from its content.
    max_duration_s : float [> 0, s]
        Decoding stops there.

    Returns
    -------
    Decoded
        Samples and what is known about them. A file that breaks off midway is returned as far as it goes.

    Raises
    ------
    ArtistTransferError
        If libsndfile does not recognise the file.
    OSError
        If it cannot be opened.
    """
    with open(path, "rb", buffering=0) as raw:
        decoded = _decode_open(raw, max_duration_s=max_duration_s, block_samples=_BLOCK_SAMPLES)
        if decoded.error:  # the block in which a decoder breaks off is lost: lose a small one
            decoded = _decode_open(raw, max_duration_s=max_duration_s, block_samples=_SMALL_BLOCK_SAMPLES)
    return decoded


def _decode_open(raw: io.FileIO, *, max_duration_s: float, block_samples: int) -> Decoded:
    raw.seek(0)
    try:
        # An open descriptor has no name: neither extension nor odd characters can mislead libsndfile.
        sound = soundfile.SoundFile(raw.fileno(), closefd=False)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise ArtistTransferError(_words(error)) from error
    with sound:
        samples, digest, words = _read_blocks(sound, max_duration_s=max_duration_s, block_samples=block_samples)
        rate, channels, container, frames = sound.samplerate, sound.channels, sound.format, sound.frames
    return Decoded(
        samples,
        rate,
        channels,
        declared_seconds(raw, container=container, frames=frames, sample_rate=rate),
        audio_hash=digest,
        goes_on=digest is None,
        is_cut=is_cut(raw, container=container),
        error=words,
    )


def _read_blocks(
    sound: soundfile.SoundFile, *, max_duration_s: float, block_samples: int
) -> tuple[np.ndarray, str | None, str | None]:
    """Return mono samples, their hash (None if too many), the decoder's last words."""
    block = np.empty((max(1, block_samples // sound.channels), sound.channels), np.float32)
    left = int(max_duration_s * sound.samplerate)
    digest, pieces, words = hashlib.sha256(), [], None
    while left >= 0:  # one sample more than allowed tells that the file goes on
        try:
            got = sound.read(out=block)
        except (soundfile.SoundFileError, RuntimeError) as error:
            words = _words(error)
            break
        if not len(got):
            break
        mono = to_mono(got)
        digest.update(mono.data)
        pieces.append(mono)
        left -= len(got)
    samples = pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0, np.float32), *pieces])
    if left < 0:
        return samples[:left], None, words
    return samples, digest.hexdigest(), words


def to_mono(block: np.ndarray) -> np.ndarray:
    """Return the mean over channels.

    Parameters
    ----------
    block : np.ndarray [shape=(n, channels), float32]
        Interleaved samples.

    Returns
    -------
    np.ndarray [shape=(n,), float32]
        A copy, also for one channel.
    """
    mono: np.ndarray = block[:, 0].copy()
    for channel in range(1, block.shape[1]):  # an order of magnitude faster than a mean over so short an axis
        mono += block[:, channel]
    if block.shape[1] > 1:
        mono /= np.float32(block.shape[1])
    return mono


def resample(samples: np.ndarray, rate_in: int, rate_out: int) -> np.ndarray:
    """Resample by soxr at its HQ setting.

    Parameters
    ----------
    samples : np.ndarray [shape=(n,), float32]
        Mono samples.
    rate_in, rate_out : int [> 0, Hz]
        Sample rates; equal ones return the input itself.

    Returns
    -------
    np.ndarray [shape=(m,), float32]
        Resampled samples.
    """
    if rate_in == rate_out:
        return samples
    return np.asarray(soxr.resample(samples, rate_in, rate_out, quality="HQ"), np.float32)


def _words(error: Exception) -> str:
    """Return libsndfile's message, without the address of the file object."""
    words = str(getattr(error, "error_string", error)).strip().rstrip(".").removeprefix("Error : ")
    if not words or words.startswith("File does not exist"):  # so it calls an mp3 of a few bytes
        return "format not recognised"
    return words[0].lower() + words[1:]
