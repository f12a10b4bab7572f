"""Frames drawn from the files that hold them already, where no memory holds all: nothing is copied before a training.

The files are ``.npy`` of float16 ``(frame, band)``, such as the shards of the mel cache, mapped into memory: the system
keeps of them what there is room for. Seen from outside they are one long tensor, track after track, so that the same
seed draws the same crops wherever the frames live.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from artist_transfer.errors import ArtistTransferError


@dataclass(frozen=True, eq=False)
class FramePlaces:
    """Where the frames of some tracks are.

    Attributes
    ----------
    paths : sequence of Path
        Files.
    file_of : np.ndarray [shape=(n_tracks,)], int64
        File of each track.
    rows : np.ndarray [shape=(n_tracks,)], int64
        First frame of each track in its file.
    """

    paths: Sequence[Path]
    file_of: np.ndarray
    rows: np.ndarray


class MappedFrames:
    """Frames of tracks in several files, one track after the other.

    Parameters
    ----------
    places : FramePlaces
        Where they are.
    lengths : np.ndarray [shape=(n_tracks,)], int64
        Frames of each track.
    n_mels : int > 0
        Mel bands.

    Attributes
    ----------
    device : torch.device
        The host.
    shape : tuple of (int, int)
        All frames, bands.

    Raises
    ------
    ArtistTransferError
        If a file cannot be mapped, or does not hold the frames that it should.
    """

    device = torch.device("cpu")

    def __init__(self, places: FramePlaces, lengths: np.ndarray, n_mels: int) -> None:
        ends = np.cumsum(lengths)
        self.shape = (int(ends[-1]) if len(ends) else 0, n_mels)
        self._first, self._rows, self._file_of = ends - lengths, places.rows, places.file_of
        self._files = [_mapped(path, n_mels) for path in places.paths]
        held = np.array([len(file) for file in self._files], dtype=np.int64)
        wrong = np.flatnonzero((places.rows < 0) | (places.rows + lengths > held[places.file_of]))
        if len(wrong):
            path = places.paths[int(places.file_of[wrong[0]])]
            raise ArtistTransferError(f"{path} does not hold the frames that it should; make the mel cache again")

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.shape[0]

    def __getitem__(self, part: slice) -> Tensor:
        """Copy frames that follow one another, over the ends of tracks.

        Parameters
        ----------
        part : slice
            Without a step.

        Returns
        -------
        Tensor [shape=(n, n_mels)], float16
        """
        begin, end, _ = part.indices(len(self))
        pieces = [np.empty((0, self.shape[1]), dtype=np.float16)]
        while begin < end:
            track = int(np.searchsorted(self._first, begin, side="right")) - 1
            stop = int(self._first[track + 1]) if track + 1 < len(self._first) else len(self)
            row, count = int(self._rows[track] + begin - self._first[track]), min(end, stop) - begin
            pieces.append(self._files[self._file_of[track]][row : row + count])
            begin += count
        return torch.from_numpy(np.concatenate(pieces))

    def split(self, size: int) -> Iterator[Tensor]:
        """Copy all frames, piece by piece.

        Parameters
        ----------
        size : int > 0
            Frames of a piece.

        Yields
        ------
        Tensor [shape=(size or fewer, n_mels)], float16
        """
        for begin in range(0, len(self), size):
            yield self[begin : begin + size]

    def crops(self, starts: Tensor, length: int) -> Tensor:
        """Copy crops, each of one track.

        Parameters
        ----------
        starts : Tensor [shape=(n,)], int64
            First frame of each.
        length : int > 0
            Frames of a crop.

        Returns
        -------
        Tensor [shape=(n, length, n_mels)], float16
        """
        begins = starts.numpy()
        tracks = np.searchsorted(self._first, begins, side="right") - 1
        rows = self._rows[tracks] + begins - self._first[tracks]
        crops = np.empty((len(begins), length, self.shape[1]), dtype=np.float16)
        for crop, file, row in zip(crops, self._file_of[tracks].tolist(), rows.tolist(), strict=True):
            crop[:] = self._files[file][row : row + length]
        return torch.from_numpy(crops)


def _mapped(path: Path, n_mels: int) -> np.ndarray:
    """Map a file; unlike numpy's map torch's keeps no file open, of which a process may commonly have 1,024."""
    try:
        with open(path, "rb") as stream:
            if np.lib.format.read_magic(stream) != (1, 0):
                raise ValueError("an unknown version of the format")
            shape, by_column, dtype = np.lib.format.read_array_header_1_0(stream)
            header = stream.tell()
        if by_column or dtype != np.float16 or shape[1:] != (n_mels,):
            raise ValueError(f"{dtype} {shape}, float16 of {n_mels} bands expected")
        skipped = header // 2  # float16 that the header would be
        values = torch.from_file(str(path), shared=False, size=skipped + shape[0] * n_mels, dtype=torch.float16)
    except (OSError, ValueError, RuntimeError) as error:
        raise ArtistTransferError(f"{path} cannot be read ({error}); make the mel cache again") from error
    return values[skipped:].view(shape).numpy()
