"""Frames in files as the mel cache keeps them, so that what is measured on disk is what a training draws from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from artist_transfer.training.frame_store import FrameSource
from artist_transfer.training.mapped_frames import FramePlaces

TRACKS = 64  # of a shard


def in_shards(source: FrameSource, track_ids: Sequence[str], folder: str | Path) -> Callable[[], FramePlaces]:
    """Return what writes the frames of tracks into shards and says where they are."""

    def write() -> FramePlaces:
        paths, file_of, rows = [], [], []
        for first in range(0, len(track_ids), TRACKS):
            pieces = [source.frames(track) for track in track_ids[first : first + TRACKS]]
            paths.append(Path(folder) / f"{first}.npy")
            np.save(paths[-1], np.concatenate(pieces))
            file_of += [len(paths) - 1] * len(pieces)
            rows += np.cumsum([0, *(len(piece) for piece in pieces[:-1])]).tolist()
        return FramePlaces(paths, np.array(file_of, dtype=np.int64), np.array(rows, dtype=np.int64))

    return write
