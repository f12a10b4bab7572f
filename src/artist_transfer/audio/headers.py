"""How long a file says it is, read from its own header.

A decoder that meets the end of a cut file often returns fewer samples and says nothing. The only witness is
the header: the Xing or VBRI frame of an mp3, the data chunk of a WAV, the stream information of a FLAC, the
end-of-stream page of an Ogg. What a decoder merely estimates from file size and bit rate is no witness.
"""

from __future__ import annotations

import struct
from io import FileIO
from typing import BinaryIO

Stream = BinaryIO | FileIO

_UNKNOWN_FRAMES = 1 << 62  # libsndfile's "no idea"
_UNKNOWN_BYTES = 0x7FFF_F000  # streaming writers put 0, 2**31 - something or 2**32 - 1 where the size belongs
_TAIL_BYTES = 1 << 17  # more than one Ogg page (at most 65,307 bytes) and a tag
_WAV_PLAIN = {1, 3, 0xFFFE}  # PCM, float, extensible: a frame has a fixed number of bytes


def declared_seconds(stream: Stream, *, container: str, frames: int, sample_rate: int) -> float | None:
    """Return the duration that a file's header vouches for.

    Parameters
    ----------
    stream : file object
        The file, seekable; its position is changed.
    container : str
        libsndfile's name of the container: ``"MP3"``, ``"WAV"``, ``"FLAC"``, …
    frames : int [>= 0]
        The decoder's own count of frames.
    sample_rate : int [Hz]
        The decoder's sample rate.

    Returns
    -------
    float or None [s]
        None if the header does not say.
    """
    if container in {"MP3", "MPEG"}:
        return mp3_seconds(stream)
    count: int | None = frames
    if container in {"WAV", "WAVEX"}:
        count = wav_frames(stream) or frames
    if not count or count >= _UNKNOWN_FRAMES or sample_rate <= 0:
        return None
    return count / sample_rate


def mp3_seconds(stream: Stream) -> float | None:
    """Return the duration in an mp3's Xing, Info or VBRI header.

    Parameters
    ----------
    stream : file object
        The file, seekable.

    Returns
    -------
    float or None [s]
        None if there is no such header: bit rate times size is a guess, wrong for variable bit rates.
    """
    start = _after_id3(stream)
    stream.seek(start)
    head = stream.read(1 << 13)
    for at in range(len(head) - 4):
        if head[at] == 0xFF and head[at + 1] & 0xE0 == 0xE0:
            found = _mpeg_frame(head[at:])
            if found is not None:
                return found if found > 0 else None
    return None


def _after_id3(stream: Stream) -> int:
    """Return where the audio begins, behind any ID3v2 tags."""
    position = 0
    while True:
        stream.seek(position)
        tag = stream.read(10)
        if len(tag) < 10 or tag[:3] != b"ID3" or any(byte & 0x80 for byte in tag[6:10]):
            return position
        size = tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]  # seven bits a byte
        position += 10 + size + (10 if tag[5] & 0x10 else 0)


def _mpeg_frame(data: bytes) -> float | None:
    """Return the duration in the frame at the start; 0 if it says nothing, None if it is no layer III."""
    version, layer = data[1] >> 3 & 3, data[1] >> 1 & 3
    bitrate, rate_index = data[2] >> 4, data[2] >> 2 & 3
    if version == 1 or layer != 1 or bitrate in {0, 15} or rate_index == 3:
        return None
    sample_rate = (44100, 48000, 32000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    samples_per_frame = 1152 if version == 3 else 576
    mono = data[3] >> 6 == 3
    side_info = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    xing = data[4 + side_info :]
    if xing[:4] in {b"Xing", b"Info"} and len(xing) >= 12:
        flags, frames = struct.unpack(">II", xing[4:12])
        samples = frames * samples_per_frame - _encoder_padding(xing, flags)
        return max(0, samples) / sample_rate if flags & 1 else 0.0
    vbri = data[36:]
    if vbri[:4] == b"VBRI" and len(vbri) >= 18:
        return int.from_bytes(vbri[14:18], "big") * samples_per_frame / sample_rate
    return 0.0


def _encoder_padding(xing: bytes, flags: int) -> int:
    """Return how many samples an encoder says it added at both ends; players leave them out."""
    tag = xing[8 + 4 * (flags & 1) + 2 * (flags & 2) + 25 * (flags & 4) + (flags & 8) // 2 :]
    if len(tag) < 24 or tag[:4] not in {b"LAME", b"Lavf", b"Lavc"}:
        return 0
    both = int.from_bytes(tag[21:24], "big")  # 12 bits each
    return (both >> 12) + (both & 0xFFF)


def wav_frames(stream: Stream) -> int | None:
    """Return the number of frames that the data chunk of a RIFF WAV declares.

    Parameters
    ----------
    stream : file object
        The file, seekable.

    Returns
    -------
    int or None
        None if it is no plain RIFF WAV or was written by a program that did not know.
    """
    stream.seek(0)
    riff = stream.read(12)
    if riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        return None
    block = 0
    for _ in range(64):
        chunk = stream.read(8)
        if len(chunk) < 8:
            return None
        name, size = chunk[:4], int.from_bytes(chunk[4:], "little")
        if name == b"fmt ":
            fmt = stream.read(min(size, 64))
            if len(fmt) < 14 or int.from_bytes(fmt[:2], "little") not in _WAV_PLAIN:
                return None
            block = int.from_bytes(fmt[12:14], "little")
            stream.seek(size - len(fmt) + size % 2, 1)
        elif name == b"data":
            return size // block if block and 0 < size < _UNKNOWN_BYTES else None
        else:
            stream.seek(size + size % 2, 1)
    return None


def is_cut(stream: Stream, *, container: str) -> bool:
    """Tell whether a container's end is missing, where its format lets one see that.

    An Ogg file ends with a page that is marked as the last (RFC 3533); a cut one looks whole to a decoder, as
    its length is that of the last page which is there. An AIFF's first chunk says how long the file is.

    Parameters
    ----------
    stream : file object
        The file, seekable; its position is changed.
    container : str
        libsndfile's name of the container.

    Returns
    -------
    bool
        True if the end is missing.
    """
    if container == "OGG":
        return _ogg_is_cut(stream)
    if container == "AIFF":
        size = stream.seek(0, 2)
        stream.seek(4)
        return 8 + int.from_bytes(stream.read(4), "big") > size
    return False


def _ogg_is_cut(stream: Stream) -> bool:
    """Tell whether the last page is incomplete, or not marked as the last."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _TAIL_BYTES))
    tail = stream.read()
    at = tail.rfind(b"OggS")
    if at < 0 or at + 27 > len(tail):
        return True
    segments = tail[at + 26]
    lacing = tail[at + 27 : at + 27 + segments]
    whole = len(lacing) == segments and at + 27 + segments + sum(lacing) <= len(tail)
    return not (whole and tail[at + 5] & 4)
