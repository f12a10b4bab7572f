"""Reading the mel cache: frames of a track as a view of a memory-mapped shard."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artist_transfer.audio.shards import is_shard
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
        self._sums = {shard["name"]: str(shard["sha256"]) for shard in manifest["shards"]}
        self._seen: dict[str, tuple[int, int, int]] = {}  # inode, time and size of the files that were checked
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

    def places(self, track_ids: Sequence[str]) -> tuple[list[Path], np.ndarray, np.ndarray]:
        """Say in which files the frames of some tracks are, for a reader that maps these itself.

        Parameters
        ----------
        track_ids : sequence of str
            The tracks.

        Returns
        -------
        paths : list of Path
            Files, each once.
        file_of, rows : np.ndarray [shape=(n_tracks,)], int64
            Of each track its file and its first frame there.

        Raises
        ------
        ArtistTransferError
            If a track has no frames, or its shard is not what the manifest says.
        """
        found = [self._place(track_id) for track_id in track_ids]
        names = {name: number for number, name in enumerate(dict.fromkeys(shard for shard, _, _ in found))}
        for name in names:
            self._check(name)
        file_of = np.array([names[shard] for shard, _, _ in found], dtype=np.int64)
        rows = np.array([offset for _, offset, _ in found], dtype=np.int64)
        return [self.folder / f"{name}.npy" for name in names], file_of, rows

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
            If the file is missing, has another shape, or was made of other files since.
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
        self._check(name)  # after it was opened: what replaces it now does not replace what is open
        self._open[name] = array.view(np.ndarray)
        if len(self._open) > _OPEN_SHARDS:
            self._open.popitem(last=False)
        return self._open[name]

    def _check(self, name: str) -> None:
        """Make sure that a file is the manifest's; once, unless it changes."""
        path = self.folder / f"{name}.npy"
        try:
            facts = path.stat()
            now = facts.st_ino, facts.st_mtime_ns, facts.st_size
            if self._seen.get(name) != now and not is_shard(path, self._sums[name]):
                raise ArtistTransferError(
                    f"shard {path} is not the one that its manifest names: another run has made it anew since, or it "
                    "is damaged; make the mel cache again"
                )
        except OSError as error:
            raise ArtistTransferError(f"shard {path} cannot be read ({error}); make the mel cache again") from error
        self._seen[name] = now

    def _place(self, track_id: str) -> tuple[str, int, int]:
        try:
            return self._places[track_id]
        except KeyError:
            raise ArtistTransferError(
                f"track {track_id!r} has no frames in {self.folder}: it is in quarantine or of another corpus"
            ) from None
