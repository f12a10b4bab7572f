"""Batches for artist-label and tag-label nets: which songs, and a fresh random 3 s crop of each (ISMIR, section 3.3).

Basic and tag-label nets go through permutations of the training songs. A Siamese net goes through permutations of
anchors; each comes with another song of its artist and songs of other artists, all different, drawn uniformly. All
crops of a batch are one gather where the frames live.

Songs and crops are functions of the seed and the number of the permutation alone, so the state of a sampler is one
count. A batch is always full, carried over the end of a permutation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.artist_songs import Songs
from artist_transfer.training.frame_store import FrameStore

_TRAINING, _VALIDATION = 47, 53  # keep these random numbers apart from the others that a seed makes


class PlainSampler:
    """Endless batches of random crops, for Basic and tag-label nets.

    Parameters
    ----------
    store : FrameStore
        The frames.
    songs : Songs
        Over the tracks of the store.
    batch : int >= 1
        Songs (or anchors) in a batch.
    crop : int >= 1
        Frames of a crop.
    seed : int >= 0
        Seed of songs and crops.

    Raises
    ------
    ArtistTransferError
        If the songs are not those of the store, or one is shorter than a crop.
    """

    columns = 1

    def __init__(self, store: FrameStore, songs: Songs, *, batch: int = 15, crop: int = 129, seed: int) -> None:
        if songs.track_ids != store.track_ids:
            raise ArtistTransferError(
                f"there are labels of {len(songs.track_ids)} songs and frames of {len(store.track_ids)}; the same "
                "songs are needed"
            )
        short = np.flatnonzero(store.lengths < crop)
        if len(short):
            raise ArtistTransferError(
                f"{len(short)} songs are shorter than a crop of {crop} frames; the first is "
                f"{store.track_ids[short[0]]} with {store.lengths[short[0]]} frames"
            )
        self.batch, self.crop, self.seed = batch, crop, seed
        self._store, self._songs = store, songs
        self._rows = np.flatnonzero(songs.training)
        self._drawn = 0
        self._plans: dict[int, tuple[Tensor, Tensor]] = {}

    def permutation(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one pass over the training songs.

        Parameters
        ----------
        number : int >= 0
            Number of the pass.

        Returns
        -------
        rows : np.ndarray [shape=(n_train, columns)], int64
            Songs; of a Siamese net anchor, positive and negatives.
        firsts : np.ndarray [shape=(n_train, columns)], int64
            First frame of each crop in the store.
        """
        generator = np.random.default_rng([self.seed, _TRAINING, number])
        rows = self._members(generator.permutation(self._rows), generator)
        return rows, self._firsts(rows, generator)

    def validation(self, crops: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return the crops that the validation loss is computed on, the same each time.

        Parameters
        ----------
        crops : int >= 1
            How many of each song.

        Returns
        -------
        rows, firsts : np.ndarray [shape=(crops * n_validation, columns)], int64
            As `permutation` returns them.
        """
        generator = np.random.default_rng([self.seed, _VALIDATION])
        rows = np.tile(np.flatnonzero(~self._songs.training), crops)
        rows = self._members(rows, generator, validation=True)
        return rows, self._firsts(rows, generator)

    def _members(self, anchors: np.ndarray, generator: np.random.Generator, *, validation: bool = False) -> np.ndarray:
        """Put the other columns beside the first; here there are none."""
        return anchors[:, None]

    def _firsts(self, rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return self._store.offsets[rows] + generator.integers(0, self._store.lengths[rows] - self.crop + 1)

    def gather(self, firsts: Tensor) -> Tensor:
        """Copy crops out of the store and onto the device, all in one go.

        Parameters
        ----------
        firsts : Tensor [shape=(n, columns)], int64
            First frame of each crop, where the frames live.

        Returns
        -------
        Tensor [shape=(n * columns, frame, band)], float16
            Raw log-mel, those of a row next to each other.
        """
        return self._store.gather(firsts.flatten(), self.crop).squeeze(1).transpose(1, 2)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Draw the next batch.

        Returns
        -------
        crops : Tensor [shape=(batch * columns, frame, band)], float16
            Raw log-mel on the device.
        rows : Tensor [shape=(batch,)], int64
            The songs (or anchors), on the device.
        """
        n = len(self._rows)
        pieces, missing = [], self.batch
        while missing:
            number, first = divmod(self._drawn, n)
            taken = min(missing, n - first)
            pieces.append([part[first : first + taken] for part in self._plan(number)])
            self._drawn += taken
            missing -= taken
        rows, firsts = (parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*pieces, strict=True))
        return self.gather(firsts), rows

    def _plan(self, number: int) -> tuple[Tensor, Tensor]:
        """Return a permutation as tensors that lie where they are used; whole, so that batches cost no transfer."""
        if number not in self._plans:
            rows, firsts = self.permutation(number)
            self._plans = {k: plan for k, plan in self._plans.items() if k == number - 1}
            self._plans[number] = (
                torch.from_numpy(rows[:, 0].copy()).to(self._store.device),
                torch.from_numpy(firsts).to(self._store.frames.device),
            )
        return self._plans[number]

    def state_dict(self) -> dict[str, int]:
        """Return the songs drawn so far: with the seed, all there is to know."""
        return {"drawn": self._drawn}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where `state_dict` was taken."""
        self._drawn = int(state["drawn"])


class SiameseSampler(PlainSampler):
    """Endless batches of anchors, each with a positive and negatives (ISMIR, section 2.2).

    The positive of a validation song is another validation song of its artist, or a training song where it has no
    other; negatives come from the side of the anchor.

    Parameters
    ----------
    store, songs, batch, crop, seed
        As `PlainSampler` takes them; the labels are artists.
    negatives : int >= 1
        Songs of other artists for each anchor.

    Raises
    ------
    ArtistTransferError
        As `PlainSampler`; and if the labels are tags, an artist has one training song only, or the others have fewer
        songs than negatives are wanted.
    """

    def __init__(
        self, store: FrameStore, songs: Songs, *, batch: int = 15, crop: int = 129, seed: int, negatives: int = 4
    ) -> None:
        super().__init__(store, songs, batch=batch, crop=crop, seed=seed)
        if songs.of_tags:
            raise ArtistTransferError("a Siamese net needs artists as labels, but these songs have tags")
        self.columns = 2 + negatives
        self._training = _ByArtist(songs, songs.training)
        self._validation = _ByArtist(songs, ~songs.training)
        lonely = np.flatnonzero(self._training.counts < 2)
        if len(lonely):
            raise ArtistTransferError(
                f"{len(lonely)} artists have one training song, two are needed for a positive; the first is "
                f"{songs.names[lonely[0]]!r}. Allowed: sets.songs and sets.division with two training songs an artist "
                "or more"
            )
        for side, by_artist in (("training", self._training), ("validation", self._validation)):
            others = by_artist.counts.sum() - by_artist.counts
            others[by_artist.counts == 0] = negatives
            if others.min() < negatives:
                raise ArtistTransferError(_too_few(songs, by_artist.counts, others, side, negatives))

    def _members(self, anchors: np.ndarray, generator: np.random.Generator, *, validation: bool = False) -> np.ndarray:
        side = self._validation if validation else self._training
        positives = side.same(anchors, generator)
        if validation:  # the 17/1/2 division leaves an artist one validation song
            alone = self._validation.counts[self._songs.labels[anchors]] < 2
            positives[alone] = self._training.any_of(anchors[alone], generator)
        return np.column_stack([anchors, positives, side.others(anchors, self.columns - 2, generator)])


def _too_few(songs: Songs, counts: np.ndarray, others: np.ndarray, side: str, negatives: int) -> str:
    """Say what is there, and which parameters give more songs or ask for fewer."""
    least = int(others.min())
    there = f"{int((counts > 0).sum())} artists with {int(counts.sum())} {side} songs"
    fewer = f"artist_training.negatives up to {least}, or " if least else ""
    return (
        f"artist_training.negatives={negatives}: there are only {least} {side} songs that are not of artist "
        f"{songs.names[int(others.argmin())]!r} ({there}). Allowed: {fewer}a larger set, by more artists "
        f"(sets.sizes) or by more {side} songs of each (sets.songs, sets.division)"
    )


class _ByArtist:
    """The songs of one side, artist by artist, to draw from.

    Parameters
    ----------
    songs : Songs
        All songs.
    side : np.ndarray [shape=(n_songs,)], bool
        Which of them.
    """

    def __init__(self, songs: Songs, side: np.ndarray) -> None:
        rows = np.flatnonzero(side)
        self._labels = songs.labels
        self._sorted = rows[np.argsort(songs.labels[rows], kind="stable")]
        self.counts = np.bincount(songs.labels[rows], minlength=len(songs.names))
        self._first = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        self._place = np.full(len(side), -1, dtype=np.int64)  # of each song among the sorted
        self._place[self._sorted] = np.arange(len(rows))

    def same(self, anchors: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw another song of each anchor's artist; itself where there is no other."""
        artist = self._labels[anchors]
        count, first = self.counts[artist], self._first[artist]
        onward = generator.integers(1, np.maximum(count, 2))  # 1 … count - 1 places, in a circle
        return self._sorted[first + (self._place[anchors] - first + onward) % count]

    def any_of(self, anchors: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw any song of each anchor's artist."""
        artist = self._labels[anchors]
        return self._sorted[self._first[artist] + generator.integers(0, self.counts[artist])]

    def others(self, anchors: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray:
        """Draw different songs of other artists for each anchor, uniformly."""
        artist = self._labels[anchors]
        count, first = self.counts[artist], self._first[artist]
        drawn = np.empty((len(anchors), 0), dtype=np.int64)  # places among the others, sorted
        columns = []
        for k in range(number):
            place = generator.integers(0, len(self._sorted) - count - k)
            for j in range(k):  # step over those drawn before, from the lowest up
                place += place >= drawn[:, j]
            drawn = np.sort(np.column_stack([drawn, place]), axis=1)
            columns.append(self._sorted[place + np.where(place >= first, count, 0)])
        return np.column_stack(columns)
