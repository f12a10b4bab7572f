"""MFCC frames of songs, in one file that is read in pieces: what the universal background model is fitted on.

`artist_transfer.recognition.frames_file` writes it: a folder with ``frames.f32`` (little-endian float32, ``(frame,
coefficient)``, one song after another) and ``frames.json``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from mmap import mmap
from pathlib import Path

import numpy as np

from artist_transfer.artifacts import open_folder, read_json
from artist_transfer.errors import ArtistTransferError

VALUES, FACTS = "frames.f32", "frames.json"

Report = Callable[[int, int, Mapping[str, float]], None]  # what is done, of how much, and figures on the way


@dataclass(frozen=True, eq=False)
class SongFrames:
    """Frames of songs.

    Attributes
    ----------
    track_ids : tuple of str, each once
    offsets : np.ndarray [shape=(n_songs, 2)], int64
        First row of a song in `values`, and the one after its last.
    values : np.ndarray [shape=(n_rows, coefficients)], float32
        Memory-mapped, or in memory. Rows of other songs may stand between.
    left_out : dict
        Songs that were asked for and have no frames here, with the reason.
    key : str
        Fingerprint of what the frames were made of, and of themselves; empty if they were put together in memory.

    Raises
    ------
    ArtistTransferError
        If the parts do not fit together, or a song has no row.
    """

    track_ids: tuple[str, ...]
    offsets: np.ndarray
    values: np.ndarray
    left_out: Mapping[str, str] = field(default_factory=dict)
    key: str = ""

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        if self.values.ndim != 2 or self.offsets.shape != (len(self.track_ids), 2):
            raise ArtistTransferError(
                f"frames: {len(self.track_ids)} songs, offsets of shape {self.offsets.shape} and values of shape "
                f"{self.values.shape} do not fit; allowed are (n_songs, 2) and (n_rows, coefficients)"
            )
        if len(self._rows) != len(self.track_ids):
            twice = next(track for k, track in enumerate(self.track_ids) if self._rows[track] != k)
            raise ArtistTransferError(f"frames: song {twice!r} stands twice")
        starts, stops = self.offsets[:, 0], self.offsets[:, 1]
        bad = np.flatnonzero((starts < 0) | (stops <= starts) | (stops > len(self.values)))
        if len(bad):
            raise ArtistTransferError(
                f"frames: song {self.track_ids[bad[0]]!r} is said to be rows {starts[bad[0]]} to {stops[bad[0]]} of "
                f"{len(self.values)}; at least one row that is there is needed"
            )

    @classmethod
    def from_arrays(cls, songs: Mapping[str, np.ndarray]) -> SongFrames:
        """Put frames that are in memory together.

        Parameters
        ----------
        songs : mapping of track id to np.ndarray [shape=(n_frames, coefficients)]

        Returns
        -------
        SongFrames
        """
        stops = np.cumsum([len(rows) for rows in songs.values()], dtype=np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), stops[:-1]])
        values = np.concatenate([np.asarray(rows, dtype=np.float32) for rows in songs.values()])
        return cls(tuple(songs), np.stack([starts, stops], axis=1), values)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {track: row for row, track in enumerate(self.track_ids)}

    @classmethod
    def open(cls, folder: str | Path) -> SongFrames:
        """Open what `artist_transfer.recognition.frames_file.write_song_frames` wrote.

        Parameters
        ----------
        folder : str or Path

        Returns
        -------
        SongFrames
            Memory-mapped.

        Raises
        ------
        ArtistTransferError
            If the folder holds no whole store.
        """
        folder = Path(folder)
        if open_folder(folder) is None:
            raise ArtistTransferError(f"{folder} holds no finished frames ({VALUES}, {FACTS}, manifest)")
        facts = read_json(folder / FACTS)
        songs = sorted(facts["songs"].items())  # the order in which they were written
        stops = np.cumsum([count for _, count in songs], dtype=np.int64)
        offsets = np.stack([np.concatenate([np.zeros(1, np.int64), stops[:-1]]), stops], axis=1)
        shape = (int(stops[-1]), int(facts["coefficients"]))
        values = np.memmap(folder / VALUES, dtype="<f4", mode="r", shape=shape)
        return cls(tuple(track for track, _ in songs), offsets, values, facts["left_out"], facts["key"])

    @property
    def width(self) -> int:
        """Number of coefficients."""
        return int(self.values.shape[1])

    def __len__(self) -> int:
        """Return the number of songs."""
        return len(self.track_ids)

    def __contains__(self, track_id: object) -> bool:
        """Tell whether a song has frames."""
        return track_id in self._rows

    def counts(self, track_ids: Sequence[str], *, share: float = 1.0) -> np.ndarray:
        """Return how many frames songs have.

        Parameters
        ----------
        track_ids : sequence of str
        share : float in (0, 1]
            Of each song's frames, as `chunks` draws them.

        Returns
        -------
        np.ndarray [shape=(n,)], int64

        Raises
        ------
        ArtistTransferError
            If one has none; it says why it was left out, if it was.
        """
        places = self._places(track_ids)
        return _quota(places[:, 1] - places[:, 0], share)

    def of(self, track_id: str) -> np.ndarray:
        """Return the frames of a song.

        Parameters
        ----------
        track_id : str

        Returns
        -------
        np.ndarray [shape=(n_frames, coefficients)], float32

        Raises
        ------
        ArtistTransferError
            If it has none.
        """
        start, stop = self._places([track_id])[0]
        return np.array(self.values[start:stop])

    def chunks(
        self, track_ids: Sequence[str], size: int, *, share: float = 1.0, seed: int = 0
    ) -> Iterator[tuple[np.ndarray, list[tuple[int, int, int]]]]:
        """Go through the frames of songs in pieces of equal size; memory is that of one piece.

        Parameters
        ----------
        track_ids : sequence of str
        size : int > 0
            Rows of a piece; the last may have fewer.
        share : float in (0, 1]
            Of each song's frames, at least one: drawn by the seed and the song's name alone, so equal in every pass
            and in every order of the songs.
        seed : int >= 0

        Yields
        ------
        rows : np.ndarray [shape=(<= size, coefficients)], float32
        pieces : list of (song, start, stop)
            Position in `track_ids`, and the rows of this piece that are its.

        Raises
        ------
        ArtistTransferError
            If a song has no frames, or a parameter is impossible.
        """
        if size < 1 or not 0 < share <= 1:
            raise ArtistTransferError(f"frames: chunks of {size} rows, a share of {share}: allowed are >= 1 and (0, 1]")
        buffer, filled = np.empty((size, self.width), np.float32), 0
        pieces: list[tuple[int, int, int]] = []
        for song, rows in enumerate(self._each(track_ids, share, seed)):
            taken = 0
            while taken < len(rows):
                part = min(len(rows) - taken, size - filled)
                buffer[filled : filled + part] = rows[taken : taken + part]
                pieces.append((song, filled, filled + part))
                taken, filled = taken + part, filled + part
                if filled == size:
                    yield buffer, pieces
                    buffer, filled, pieces = np.empty_like(buffer), 0, []
        if filled:
            yield buffer[:filled], pieces

    def _each(self, track_ids: Sequence[str], share: float, seed: int) -> Iterator[np.ndarray]:
        """Yield the rows of each song; a file is read, for mapped pages would count as this process's memory."""
        places = self._places(track_ids)
        values = self.values
        mapped = isinstance(values, np.memmap) and isinstance(values.base, mmap) and values.flags.c_contiguous
        with open(values.filename, "rb") if mapped else nullcontext() as stream:  # type: ignore[attr-defined]
            for track_id, (start, stop) in zip(track_ids, places):
                if stream is None:
                    rows = values[start:stop]
                else:
                    stream.seek(values.offset + int(start) * values.strides[0])  # type: ignore[attr-defined]
                    rows = np.fromfile(stream, values.dtype, (stop - start) * self.width).reshape(-1, self.width)
                yield rows if share == 1.0 else rows[_drawn(track_id, len(rows), share, seed)]

    def _places(self, track_ids: Sequence[str]) -> np.ndarray:
        unknown = [track for track in track_ids if track not in self._rows]
        if unknown:
            reason = self.left_out.get(unknown[0], "it is of another corpus or was not asked for")
            raise ArtistTransferError(f"frames: {len(unknown)} songs have none, the first is {unknown[0]!r} ({reason})")
        return self.offsets[[self._rows[track] for track in track_ids]].reshape(-1, 2)


def _quota(counts: np.ndarray, share: float) -> np.ndarray:
    """Return how many of a song's frames are drawn: at least one."""
    return np.maximum(1, np.floor(share * counts).astype(np.int64))


def _drawn(track_id: str, n: int, share: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, zlib.crc32(track_id.encode("utf-8"))])
    return np.sort(rng.choice(n, size=int(_quota(np.array(n), share)), replace=False))
