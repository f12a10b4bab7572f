"""Features of songs: ten non-overlapping 3 s segments, averaged (ISMIR, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.artist_net import ArtistNet
from artist_transfer.processes import keep_memory

Placement = Literal["start", "even"]
_GPU_SONGS = 64


class FrameSource(Protocol):
    """Anything that gives the frames of a track, such as the mel store."""

    def frames(self, track_id: str, /) -> np.ndarray:
        """Return log10(1 + 10 · mel) [shape=(frame, band)]."""
        ...


def segment_starts(n_frames: int, *, segments: int = 10, crop: int = 129, placement: Placement = "start") -> np.ndarray:
    """Return where the segments of a song begin.

    Parameters
    ----------
    n_frames : int >= 0
        Frames of the song.
    segments : int >= 1
        At most; fewer where the song is shorter.
    crop : int >= 1
        Frames of a segment.
    placement : {"start", "even"}
        One after the other from the beginning; or spread over the whole song. On the paper's 30 s clips of 1,291
        frames they differ by a frame.

    Returns
    -------
    np.ndarray [shape=(n,)], int64
        No two segments overlap; empty for a song shorter than a segment.

    Raises
    ------
    ArtistTransferError
        If a value is out of bounds.
    """
    if segments < 1 or crop < 1 or placement not in ("start", "even"):
        raise ArtistTransferError(
            f"{segments} segments of {crop} frames from {placement!r}: 1 or more is allowed, from start or even"
        )
    number = min(segments, n_frames // crop)
    step = n_frames / number if placement == "even" and number else crop
    return np.floor(np.arange(number) * step).astype(np.int64)


def encode_songs(
    net: ArtistNet,
    source: FrameSource,
    track_ids: Sequence[str],
    *,
    segments: int = 10,
    placement: Placement = "start",
    device: torch.device | None = None,
    batch: int | None = None,
) -> tuple[np.ndarray, dict[str, str]]:
    """Return one vector a song.

    Parameters
    ----------
    net : ArtistNet
        Is put into evaluation mode; standardises the frames by its own statistics.
    source : FrameSource
        Frames of the ``ismir`` front end.
    track_ids : sequence of str
        The songs.
    segments : int >= 1
        Segments a song, at most; no two overlap.
    placement : {"start", "even"}
        See `segment_starts`.
    device : torch.device or None
        Where the net works; None where it is.
    batch : int >= 1 or None
        Songs in one pass of the net; None is 1 on a CPU, where more are no faster and the last bits of a song's vector
        would depend on those beside it, and 64 on a GPU.

    Returns
    -------
    vectors : np.ndarray [shape=(n, 256)], float32, >= 0
        Of the songs that are not left out, in the order given.
    left_out : dict of str to str
        Songs without a vector, with the reason.

    Raises
    ------
    ArtistTransferError
        If the frames of a song have another number of bands than the net takes, or a value is out of bounds.
    """
    if batch is not None and batch < 1:
        raise ArtistTransferError(f"a pass of the net over {batch} songs: 1 or more is allowed")
    device = device or net.mean.device
    if device.type == "cpu":
        keep_memory()  # a third of the time of a song would be page faults
    net.to(device).eval()
    crop, bands = net.config.crop, net.config.n_mels
    songs = batch or (_GPU_SONGS if device.type == "cuda" else 1)
    vectors = np.empty((len(track_ids), net.config.features), dtype=np.float32)
    left_out: dict[str, str] = {}
    waiting: list[np.ndarray] = []
    done = 0
    with torch.inference_mode():
        for track_id in track_ids:
            frames = source.frames(track_id)
            if frames.ndim != 2 or frames.shape[1] != bands:
                raise ArtistTransferError(f"track {track_id}: frames of shape {frames.shape}, {bands} bands expected")
            starts = segment_starts(len(frames), segments=segments, crop=crop, placement=placement)
            if len(starts):
                waiting.append(np.stack([frames[start : start + crop] for start in starts]))
            else:
                left_out[track_id] = f"too short: {len(frames)} frames, {crop} are needed"
            if len(waiting) == songs:
                done = _encode(net, waiting, vectors, done=done, device=device)
        if waiting:
            done = _encode(net, waiting, vectors, done=done, device=device)
    return vectors[:done], left_out


def _encode(net: ArtistNet, waiting: list[np.ndarray], vectors: np.ndarray, *, done: int, device: torch.device) -> int:
    """Write the vectors of the songs that wait behind those that are done, and return how many are."""
    counts = [len(pieces) for pieces in waiting]
    pieces = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
    x = torch.from_numpy(pieces).to(device)  # (segment, frame, band)
    features = net.encode(net.standardise(x)).cpu()
    for k, mine in enumerate(features.split(counts)):
        vectors[done + k] = mine.mean(dim=0).numpy()
    waiting.clear()
    return done + len(counts)
