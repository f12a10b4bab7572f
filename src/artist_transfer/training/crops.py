"""Batches of random crops of the training tracks, drawn where their frames live.

AGF, section 3.2.4: one epoch is one permutation of the tracks, with one random 1 s crop of each. Every task has a
chain of permutations of its own, over the tracks that have its target. Permutation and crop starts are functions of
(seed, task, number of the permutation) alone, so the state of a sampler is one count for each task, and neither the
device nor the other tasks change what is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.targets import TaskTargets

_CHAIN = 23  # keeps these random numbers apart from the others that a seed makes


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
