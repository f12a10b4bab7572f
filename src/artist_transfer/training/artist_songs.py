"""The songs that an artist-label or tag-label net learns from, with their labels and sides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from artist_transfer.artifacts import fingerprint
from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.frame_store import FrameStore

SIDES = ("train", "validation")
_CHUNK = 1 << 16  # frames


@dataclass(frozen=True, eq=False)
class Songs:
    """Training and validation songs.

    Parameters
    ----------
    track_ids : tuple of str, sorted
        The songs, those of the frame store.
    training : np.ndarray [shape=(n_songs,)], bool
        True for training, False for validation.
    labels : np.ndarray [shape=(n_songs,)], int64; or [shape=(n_songs, n_tags)], float32, 0 or 1
        Artist of each song, or its tags.
    names : tuple of str
        Artists or tags, in the order of the labels.
    left_out : tuple of str
        Tags of the vocabulary that no training song has; no net has an output for them.
    """

    track_ids: tuple[str, ...]
    training: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @classmethod
    def from_artists(cls, track_ids: Sequence[str], artist_ids: Sequence[str], sides: Sequence[str]) -> Songs:
        """Take artists as labels.

        Parameters
        ----------
        track_ids, artist_ids : sequence of str
            Songs, each once, in any order, and their artists.
        sides : sequence of {"train", "validation"}
            Where each song is used.

        Returns
        -------
        Songs
            Sorted by track.

        Raises
        ------
        ArtistTransferError
            If the lengths differ, a song stands twice, a side is unknown or empty, a song has no artist, or an artist
            has validation songs only.
        """
        order, training = _sorted(track_ids, artist_ids, sides)
        for i in order:
            if not isinstance(artist_ids[i], str):
                raise ArtistTransferError(f"song {track_ids[i]!r} has no artist; the nets need one for each song")
        names = tuple(sorted(set(artist_ids)))
        number = {name: k for k, name in enumerate(names)}
        labels = np.array([number[artist_ids[i]] for i in order], dtype=np.int64)
        trained = np.bincount(labels[training], minlength=len(names))
        if not trained.all():
            raise ArtistTransferError(
                f"{int((trained == 0).sum())} artists have validation songs but no training songs; the first is "
                f"{names[int(trained.argmin())]!r}"
            )
        return cls(tuple(track_ids[i] for i in order), training, labels, names)

    @classmethod
    def from_tags(
        cls,
        track_ids: Sequence[str],
        tags: Sequence[Collection[str]],
        sides: Sequence[str],
        *,
        vocabulary: Sequence[str],
    ) -> Songs:
        """Take tags as labels.

        Parameters
        ----------
        track_ids : sequence of str
            Songs, each once, in any order.
        tags : sequence of collections of str
            The tags of each song; those outside the vocabulary are passed over.
        sides : sequence of {"train", "validation"}
            Where each song is used.
        vocabulary : sequence of str
            The tags to learn, such as the 50 most used.

        Returns
        -------
        Songs
            Sorted by track; the tags that no training song has are in `left_out`.

        Raises
        ------
        ArtistTransferError
            If the lengths differ, a song stands twice, a side is unknown or empty, or no tag of the vocabulary is
            used.
        """
        order, training = _sorted(track_ids, tags, sides)
        wanted = sorted(set(vocabulary))
        labels = np.array([[tag in tags[i] for tag in wanted] for i in order], dtype=np.float32)
        labels = labels.reshape(len(order), len(wanted))
        used = labels[training].any(axis=0)
        if not used.any():
            raise ArtistTransferError(f"no training song has one of the {len(wanted)} tags of the vocabulary")
        names = tuple(tag for tag, here in zip(wanted, used, strict=True) if here)
        left_out = tuple(tag for tag, here in zip(wanted, used, strict=True) if not here)
        return cls(tuple(track_ids[i] for i in order), training, labels[:, used], names, left_out)

    @property
    def of_tags(self) -> bool:
        """Whether the labels are tags."""
        return self.labels.ndim == 2

    @property
    def what(self) -> str:
        """What the labels are: artists or tags."""
        return "tags" if self.of_tags else "artists"

    def identity(self) -> str:
        """Return a fingerprint of songs, sides and labels."""
        return fingerprint("songs", self.track_ids, self.training, self.labels, self.names)

    def statistics(self, store: FrameStore) -> tuple[float, float]:
        """Return mean and standard deviation over all bands and frames of the training songs, summed in float64.

        Parameters
        ----------
        store : FrameStore
            Frames of the songs.

        Returns
        -------
        mean, std : float
            The deviation is 1 where nothing ever changes.
        """
        total = square = count = 0.0
        for row in np.flatnonzero(self.training):
            first, length = int(store.offsets[row]), int(store.lengths[row])
            for chunk in store.frames[first : first + length].split(_CHUNK):
                values = chunk.double()
                total += float(values.sum())
                square += float(values.square().sum())
                count += values.numel()
        mean = total / count
        variance = max(0.0, square / count - mean**2)  # values are about as large as their deviation
        return mean, variance**0.5 if variance > 1e-12 else 1.0


def _sorted(track_ids: Sequence[str], labels: Sequence[object], sides: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the order by track, and which songs of that order train."""
    if not len(track_ids) == len(labels) == len(sides):
        raise ArtistTransferError(f"{len(track_ids)} songs, {len(labels)} labels and {len(sides)} sides")
    order = np.array(sorted(range(len(track_ids)), key=lambda i: track_ids[i]), dtype=np.int64)
    for a, b in pairwise(order):
        if track_ids[a] == track_ids[b]:
            raise ArtistTransferError(f"song {track_ids[a]!r} stands twice")
    for track_id, side in zip(track_ids, sides, strict=True):
        if side not in SIDES:
            raise ArtistTransferError(f"song {track_id!r}: side {side!r}; allowed are {' and '.join(SIDES)}")
    training = np.array([sides[i] == "train" for i in order], dtype=bool)
    if not training.any() or training.all():
        missing = "validation" if training.any() else "training"
        raise ArtistTransferError(f"there is no {missing} song; a net needs training and validation songs")
    return order, training
