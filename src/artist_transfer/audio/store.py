"""Reading the mel cache: frames of a track as a view of a memory-mapped shard."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from artist_transfer.errors import ArtistTransferError

if TYPE_CHECKING:
    import pandas as pd

_OPEN_SHARDS = 512  # each costs a file descriptor, of which a process commonly has 1,024


class MelStore:
    """The usable tracks of a mel cache.

    Parameters
    ----------
    manifest : mapping
        As returned by `artist_transfer.audio.cache.cache_mel`.
    usable_table : pd.DataFrame
        Columns ``track_id, n_frames, shard, offset``; rows without a shard are passed over.

    Raises
    ------
    ArtistTransferError
        If the table names a shard or frames that the manifest does not have.
    """

    def __init__(self, manifest: Mapping[str, Any], usable_table: pd.DataFrame) -> None:
        self.folder = Path(manifest["folder"])
        self.n_mels = int(manifest["front_end"]["n_mels"])
        self._shards = {shard["name"]: int(shard["n_frames"]) for shard in manifest["shards"]}
        self._open: OrderedDict[str, np.ndarray] = OrderedDict()
        self._places: dict[str, tuple[str, int, int]] = {}
        usable = usable_table[usable_table["shard"].notna()]
        columns = (usable[name] for name in ("track_id", "shard", "offset", "n_frames"))
        for track_id, shard, offset, n_frames in zip(*columns, strict=True):
            if shard not in self._shards or offset + n_frames > self._shards[shard]:
                raise ArtistTransferError(
                    f"track {track_id}: frames {offset} to {offset + n_frames} of shard {shard} are not in "
                    f"the manifest of {self.folder}; table and manifest come from different runs"
                )
            self._places[str(track_id)] = (shard, int(offset), int(n_frames))

    @property
    def track_ids(self) -> list[str]:
        """Tracks that have frames, in the order of the table."""
        return list(self._places)

    def __len__(self) -> int:
        """Return the number of tracks that have frames."""
        return len(self._places)

    def __contains__(self, track_id: object) -> bool:
        """Tell whether a track has frames."""
        return track_id in self._places

    def frames(self, track_id: str) -> np.ndarray:
        """Return a track's log-mel frames.

        Parameters
        ----------
        track_id : str
            The track.

        Returns
        -------
        np.ndarray [shape=(n_frames, n_mels), float16], memory-mapped, read-only

        Raises
        ------
        ArtistTransferError
            If the track has no frames, or its shard is not what the manifest says.
        """
        shard, offset, n_frames = self._place(track_id)
        return self.shard(shard)[offset : offset + n_frames]

    def n_frames(self, track_id: str) -> int:
        """Return a track's number of frames.

        Parameters
        ----------
        track_id : str
            The track.

        Returns
        -------
        int
        """
        return self._place(track_id)[2]

    def shard(self, name: str) -> np.ndarray:
        """Return all frames of a shard.

        Parameters
        ----------
        name : str
            As in the manifest.

        Returns
        -------
        np.ndarray [shape=(n_frames, n_mels), float16], memory-mapped, read-only

        Raises
        ------
        ArtistTransferError
            If the file is missing or has another shape.
        """
        if name in self._open:
            self._open.move_to_end(name)
            return self._open[name]
        path, shape = self.folder / f"{name}.npy", (self._shards[name], self.n_mels)
        try:
            array = np.load(path, mmap_mode="r" if shape[0] else None, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ArtistTransferError(f"shard {path} cannot be read ({error}); make the mel cache again") from error
        if array.shape != shape or array.dtype != np.float16:
            raise ArtistTransferError(
                f"shard {path} is {array.dtype} {array.shape}, its manifest says float16 {shape}; "
                "make the mel cache again"
            )
        self._open[name] = array.view(np.ndarray)
        if len(self._open) > _OPEN_SHARDS:
            self._open.popitem(last=False)
        return self._open[name]

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Go through the shards.

        Yields
        ------
        name : str
            The shard.
        frames : np.ndarray [shape=(n_frames, n_mels), float16], memory-mapped
        """
        for name in self._shards:
            yield name, self.shard(name)

    def gather(self, track_ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Copy tracks into one array, for a device's memory.

        Parameters
        ----------
        track_ids : sequence of str
            The tracks.

        Returns
        -------
        frames : np.ndarray [shape=(total, n_mels), float16]
            Frames of all tracks, in this order.
        starts : np.ndarray [shape=(len(track_ids) + 1,), int64]
            Track i has rows ``starts[i]`` to ``starts[i + 1]``.
        """
        counts = [self.n_frames(track_id) for track_id in track_ids]
        starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
        frames = np.empty((int(starts[-1]), self.n_mels), np.float16)
        for start, count, track_id in zip(starts, counts, track_ids, strict=False):
            frames[start : start + count] = self.frames(track_id)
        return frames, starts

    def iterate(self, track_ids: Sequence[str], batch: int = 64) -> Iterator[tuple[Sequence[str], list[np.ndarray]]]:
        """Go through tracks in batches.

        Parameters
        ----------
        track_ids : sequence of str
            The tracks.
        batch : int [>= 1]
            Most tracks at once.

        Yields
        ------
        track_ids : sequence of str
            The batch's tracks.
        frames : list of np.ndarray [shape=(n_frames, n_mels), float16], memory-mapped
        """
        for start in range(0, len(track_ids), batch):
            some = track_ids[start : start + batch]
            yield some, [self.frames(track_id) for track_id in some]

    def _place(self, track_id: str) -> tuple[str, int, int]:
        try:
            return self._places[track_id]
        except KeyError:
            raise ArtistTransferError(
                f"track {track_id!r} has no frames in {self.folder}: it is in quarantine or of another corpus"
            ) from None


def band_statistics(
    store: MelStore, track_ids: Sequence[str], *, progress: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each mel band, to standardise with.

    Parameters
    ----------
    store : MelStore
        The frames.
    track_ids : sequence of str [not empty]
        The training tracks; their order does not matter.
    progress : bool
        Show a bar.

    Returns
    -------
    mean, std : np.ndarray [shape=(n_mels,), float32]
        Population statistics over all frames. A deviation below a hundredth of the largest is raised to that,
        and to 1 if no band varies, so that a constant band does no harm.

    Raises
    ------
    ArtistTransferError
        If there are no tracks.
    """
    if not len(track_ids):
        raise ArtistTransferError("band statistics of no tracks: at least one is needed")
    ordered = sorted(track_ids)  # sums of floats depend on their order
    pivot = store.frames(ordered[0]).mean(axis=0, dtype=np.float64)  # near the mean, so that squares stay small
    count, total, squares = 0, np.zeros(store.n_mels), np.zeros(store.n_mels)
    for track_id in tqdm(ordered, desc="band statistics", unit="track", disable=not progress):
        shifted = store.frames(track_id).astype(np.float64)
        shifted -= pivot
        count += len(shifted)
        total += shifted.sum(axis=0)
        squares += np.einsum("ij,ij->j", shifted, shifted)
    mean = total / count
    std = np.sqrt(np.maximum(0.0, squares / count - mean**2))
    largest = float(std.max())
    floor = largest / 100 if math.isfinite(largest) and largest > 1e-6 else 1.0
    return (pivot + mean).astype(np.float32), np.maximum(std, floor).astype(np.float32)
