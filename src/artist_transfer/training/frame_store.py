"""Frames of all training tracks, one after the other, where they fit: on the device, in memory, or on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.devices import fits
from artist_transfer.training.mapped_frames import FramePlaces, MappedFrames

_CHUNK = 1 << 16  # frames


class FrameSource(Protocol):
    """Anything that gives the frames of a track, such as the mel store."""

    def frames(self, track_id: str, /) -> np.ndarray:
        """Return float16 log-mel [shape=(frame, band)], dB."""
        ...


@dataclass(frozen=True, eq=False)
class FrameStore:
    """All frames of the training tracks, one after the other.

    Parameters
    ----------
    track_ids : tuple of str, sorted
        The tracks.
    frames : Tensor or MappedFrames [shape=(total_frames, n_mels)], float16, dB
        On the device; or in the host's memory; or on disk, in the files that held them before or in one of their own.
    offsets, lengths : np.ndarray [shape=(n_tracks,)], int64
        First frame and number of frames of each track.
    device : torch.device
        Where batches are wanted.
    place : {"device", "host", "disk"}
        Where the frames live.
    """

    track_ids: tuple[str, ...]
    frames: Tensor | MappedFrames
    offsets: np.ndarray
    lengths: np.ndarray
    device: torch.device
    place: str

    @classmethod
    def build(
        cls,
        source: FrameSource,
        track_ids: Sequence[str],
        *,
        device: torch.device,
        n_frames: Sequence[int] | None = None,
        places: Callable[[], FramePlaces] | None = None,
        spill: str | Path | None = None,
        place: str | None = None,
    ) -> FrameStore:
        """Read all tracks once and put them where they fit; leave them where they are if that is nowhere.

        Parameters
        ----------
        source : FrameSource
            Gives the frames.
        track_ids : sequence of str
            Sorted and unique, so that no row order of a table changes a training.
        device : torch.device
            Where the training runs.
        n_frames : sequence of int or None
            Frames of each track, where they are known; else the source is asked twice.
        places : callable or None
            Says in which files the frames are, if they are in files: if they fit nowhere else crops are drawn from
            these, and nothing is copied.
        spill : str, Path or None
            Folder for a memory-mapped copy, if the frames fit nowhere else and are in no files. It has no name and
            vanishes with the process. None is the system's temporary folder.
        place : {"device", "host", "disk"} or None
            Overrules what fits.

        Returns
        -------
        FrameStore
            The store.

        Raises
        ------
        ArtistTransferError
            If there is no track, the ids are not sorted and unique, or a track's frames are not of one shape.
        """
        ids = tuple(track_ids)
        if not ids:
            raise ArtistTransferError("no training tracks: a net needs at least one")
        if any(a >= b for a, b in pairwise(ids)):
            raise ArtistTransferError("training tracks must be sorted by track_id, each once")
        lengths = np.array([len(source.frames(i)) for i in ids] if n_frames is None else n_frames, dtype=np.int64)
        if len(lengths) != len(ids):
            raise ArtistTransferError(f"{len(ids)} training tracks but {len(lengths)} numbers of frames")
        offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        n_mels = int(source.frames(ids[0]).shape[1])
        total = int(lengths.sum())
        place = place or _place(2 * total * n_mels, device)
        if place == "disk" and places is not None:
            return cls(ids, MappedFrames(places(), lengths, n_mels), offsets, lengths, device, place)
        frames = _allocate((total, n_mels), place, device=device, spill=spill)
        for track_id, offset, length in zip(ids, offsets, lengths, strict=True):
            values = np.ascontiguousarray(source.frames(track_id), dtype=np.float16)
            if values.shape != (length, n_mels):
                raise ArtistTransferError(
                    f"track {track_id}: frames of shape {values.shape}, {(int(length), n_mels)} expected"
                )
            # a read-only memory map would make torch warn; a copy of one track is small
            frames[offset : offset + length] = torch.from_numpy(values if values.flags.writeable else values.copy())
        return cls(track_ids=ids, frames=frames, offsets=offsets, lengths=lengths, device=device, place=place)

    @property
    def n_mels(self) -> int:
        """Number of mel bands."""
        return int(self.frames.shape[1])

    def band_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of each band over all frames, summed in float64.

        Returns
        -------
        mean, std : np.ndarray [shape=(n_mels,)], float64, dB
            A band that never changes has the deviation 1.
        """
        n = len(self.frames)
        mean = torch.zeros(self.n_mels, dtype=torch.float64, device=self.frames.device)
        for chunk in self.frames.split(_CHUNK):
            mean += chunk.double().sum(dim=0)
        mean /= n
        square = torch.zeros_like(mean)
        for chunk in self.frames.split(_CHUNK):
            square += (chunk.double() - mean).square().sum(dim=0)
        std = (square / n).sqrt()
        std[std < 1e-6] = 1.0
        return mean.cpu().numpy(), std.cpu().numpy()

    def gather(self, starts: Tensor, crop: int | Tensor) -> Tensor:
        """Copy crops out of the store and onto the device.

        Parameters
        ----------
        starts : Tensor [shape=(batch,)], int64
            First frame of each crop, on the device of `frames`.
        crop : int >= 1, or Tensor [shape=(crop,)], int64
            Frames of a crop; or their numbers from 0, where those are at hand on the device.

        Returns
        -------
        Tensor [shape=(batch, 1, band, frame)], float16, dB
            A view whose bands lie next to each other in memory.
        """
        steps = torch.arange(crop, device=starts.device) if isinstance(crop, int) else crop
        if isinstance(self.frames, MappedFrames):
            crops = self.frames.crops(starts, len(steps))  # (batch, frame, band)
        else:
            rows = (starts[:, None] + steps).flatten()  # selecting whole rows is 6 times as fast as a 2-D index
            crops = self.frames.index_select(0, rows).view(len(starts), len(steps), self.n_mels)
        if crops.device.type != self.device.type:
            crops = crops.pin_memory().to(self.device, non_blocking=True)
        return crops.transpose(1, 2).unsqueeze(1)  # (batch, 1, band, frame)


def _place(n_bytes: int, device: torch.device) -> str:
    if fits(n_bytes, device):
        return "device"
    return "host" if device.type != "cpu" and fits(n_bytes, torch.device("cpu")) else "disk"


def _allocate(shape: tuple[int, int], place: str, *, device: torch.device, spill: str | Path | None) -> Tensor:
    if place == "device":
        return torch.empty(shape, dtype=torch.float16, device=device)
    if place == "host":
        return torch.empty(shape, dtype=torch.float16)
    if spill is not None:
        Path(spill).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=spill) as stream:  # the map keeps the nameless file alive
        return torch.from_numpy(np.memmap(stream, dtype=np.float16, mode="w+", shape=shape))
