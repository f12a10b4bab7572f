"""Frames of all training tracks in one tensor, and batches of random crops drawn where that tensor lives.

AGF, section 3.2.4: one epoch is one permutation of the tracks, with one random 1 s crop of each. Every task has a
chain of permutations of its own, over the tracks that have its target. Permutation and crop starts are functions of
(seed, task, number of the permutation) alone, so the state of a sampler is one count for each task, and neither the
device nor the other tasks change what is drawn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.devices import fits
from artist_transfer.training.targets import TaskTargets

_CHAIN = 23  # keeps these random numbers apart from the others that a seed makes
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
    frames : Tensor [shape=(total_frames, n_mels)], float16, dB
        On the device; or in the host's memory; or a memory map of a file.
    offsets, lengths : np.ndarray [shape=(n_tracks,)], int64
        First frame and number of frames of each track.
    device : torch.device
        Where batches are wanted.
    place : {"device", "host", "disk"}
        Where the frames live.
    """

    track_ids: tuple[str, ...]
    frames: Tensor
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
        spill: str | Path | None = None,
        place: str | None = None,
    ) -> FrameStore:
        """Read all tracks once and put them where they fit.

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
        spill : str, Path or None
            Folder for the memory-mapped file, if the frames fit nowhere else. The file has no name and vanishes with
            the process. None is the system's temporary folder.
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
        rows = (starts[:, None] + steps).flatten()  # selecting whole rows is 6 times as fast as a 2-D index
        crops = self.frames.index_select(0, rows).view(len(starts), len(steps), self.n_mels)  # (batch, frame, band)
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


class CropSampler:
    """Endless batches of random crops with their targets, task by task.

    Parameters
    ----------
    store : FrameStore
        The frames.
    targets : TaskTargets
        Targets over the tracks of the store.
    batch : int >= 1
        Crops in a batch; always full, carried over the end of a permutation.
    crop : int >= 1
        Frames of a crop.
    seed : int >= 0
        Seed of the permutations and starts.
    part : tuple of (int, int)
        Rank and number of ranks: each draws the same batches, and gathers its own part of them only.

    Raises
    ------
    ArtistTransferError
        If the targets are over other tracks, a track is shorter than a crop, or the parts of a batch are not equal.
    """

    def __init__(
        self,
        store: FrameStore,
        targets: TaskTargets,
        *,
        batch: int = 64,
        crop: int = 43,
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        rank, world = part
        if batch % world:
            raise ArtistTransferError(f"a batch of {batch} crops cannot be divided among {world} ranks")
        if targets.n_tracks != len(store.track_ids):
            raise ArtistTransferError(
                f"targets are over {targets.n_tracks} tracks, the frame store has {len(store.track_ids)}"
            )
        short = np.flatnonzero(store.lengths < crop)
        if len(short):
            raise ArtistTransferError(
                f"{len(short)} training tracks are shorter than a crop of {crop} frames; the first is "
                f"{store.track_ids[short[0]]} with {store.lengths[short[0]]} frames"
            )
        self._store, self._targets = store, targets
        self._part = slice(rank * batch // world, (rank + 1) * batch // world)
        self.batch, self.crop, self.seed = batch, crop, seed
        self._soft = {task: torch.from_numpy(target.soft).to(store.device) for task, target in targets.items()}
        self._drawn = dict.fromkeys(targets, 0)
        self._plans: dict[str, tuple[int, Tensor, Tensor]] = {}

    def permutation(self, task: str, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one epoch of a task: which of its targets in which order, and where each crop starts.

        Parameters
        ----------
        task : str
            The task.
        number : int >= 0
            Number of the permutation.

        Returns
        -------
        order : np.ndarray [shape=(n,)], int64
            Indices into the task's targets.
        starts : np.ndarray [shape=(n,)], int64
            First frame of each crop within its track.
        """
        target = self._targets[task]
        generator = np.random.default_rng([self.seed, _CHAIN, number, *task.encode()])
        order = generator.permutation(len(target.rows))
        starts = generator.integers(0, self._store.lengths[target.rows[order]] - self.crop + 1)
        return order, starts

    def draw(self, task: str) -> tuple[Tensor, Tensor]:
        """Draw the next batch of a task.

        Parameters
        ----------
        task : str
            The task.

        Returns
        -------
        crops : Tensor [shape=(batch / ranks, 1, band, frame)], float16, dB
            Raw log-mel on the device.
        soft : Tensor [shape=(batch / ranks, n_out)], float32
            Their targets.
        """
        n = len(self._targets[task].rows)
        orders, starts, missing = [], [], self.batch
        while missing:
            number, first = divmod(self._drawn[task], n)
            order, start = self._plan(task, number)
            taken = min(missing, n - first)
            orders.append(order[first : first + taken])
            starts.append(start[first : first + taken])
            self._drawn[task] += taken
            missing -= taken
        order, start = (pieces[0] if len(pieces) == 1 else torch.cat(pieces) for pieces in (orders, starts))
        return self._store.gather(start[self._part], self.crop), self._soft[task][order[self._part]]

    def upcoming(self, task: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Look ahead at the crops that will be drawn, without drawing them.

        Parameters
        ----------
        task : str
            The task.
        count : int >= 1
            How many.

        Returns
        -------
        order : np.ndarray [shape=(count,)], int64
            Indices into the task's targets.
        firsts : np.ndarray [shape=(count,)], int64
            First frame of each crop in the store.
        """
        target, begin = self._targets[task], self._drawn[task]
        n = len(target.rows)
        numbers = range(begin // n, (begin + count - 1) // n + 1)
        orders, starts = zip(*(self.permutation(task, number) for number in numbers), strict=True)
        here = slice(begin % n, begin % n + count)
        order, start = np.concatenate(orders)[here], np.concatenate(starts)[here]
        return order, self._store.offsets[target.rows[order]] + start

    def skip(self, task: str) -> None:
        """Count the next batch of a task as drawn, for it was taken from what `upcoming` said.

        Parameters
        ----------
        task : str
            The task.
        """
        self._drawn[task] += self.batch

    def soft(self, task: str) -> Tensor:
        """Return all targets of a task.

        Parameters
        ----------
        task : str
            The task.

        Returns
        -------
        Tensor [shape=(n, n_out)], float32
            On the device, as `permutation` counts them.
        """
        return self._soft[task]

    def _plan(self, task: str, number: int) -> tuple[Tensor, Tensor]:
        """Return a permutation as tensors that lie where they are used; whole, so that batches cost no transfer."""
        if task not in self._plans or self._plans[task][0] != number:
            order, starts = self.permutation(task, number)
            firsts = self._store.offsets[self._targets[task].rows[order]] + starts
            self._plans[task] = (
                number,
                torch.from_numpy(order).to(self._store.device),
                torch.from_numpy(firsts).to(self._store.frames.device),
            )
        return self._plans[task][1:]

    def state_dict(self) -> dict[str, int]:
        """Return the crops drawn so far by task: with the seed, all there is to know.

        Returns
        -------
        dict of str to int
            JSON can hold it.
        """
        return dict(self._drawn)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where `state_dict` was taken.

        Parameters
        ----------
        state : mapping of str to int
            What `state_dict` returned.

        Raises
        ------
        ArtistTransferError
            If it is of other tasks.
        """
        if set(state) != set(self._drawn):
            raise ArtistTransferError(f"sampler state of tasks {sorted(state)}, {sorted(self._drawn)} expected")
        self._drawn = {task: int(state[task]) for task in self._drawn}
