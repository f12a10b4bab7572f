"""Artists that a net never saw: enrolled by the average of some songs, recognised by cosine, without training.

An artist is the mean of its songs' normalised vectors, normalised again. A song belongs to the artist of the largest
cosine; of equal ones the artist that comes first by id is the nearer.

References
----------
ISMIR: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", ISMIR 2018, section 7: "the
model can easily be re-trained using new added artists because the model does not have fixed output layer".
DeepArtistID, section 3: enrolment songs are summarised to an identity model, identification compares with all models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import GRID, map_blocks, some, unit_vectors
from artist_transfer.evaluation.embeddings import Embeddings

TOPS = (1, 5)


@dataclass(frozen=True)
class ArtistModels:
    """Enrolled artists.

    Attributes
    ----------
    artists : tuple of str, sorted
    vectors : np.ndarray [shape=(n_artists, width)], float64, of length 1
    n_songs : tuple of int
        Songs behind each.
    enrolled : frozenset of str
        Their tracks.
    n_without_artist : int
        Tracks that could not be enrolled because nobody knows their artist.
    """

    artists: tuple[str, ...]
    vectors: np.ndarray
    n_songs: tuple[int, ...]
    enrolled: frozenset[str]
    n_without_artist: int = 0

    def add(self, artist_id: str, songs: Embeddings) -> ArtistModels:
        """Enrol one more artist; nothing is trained and the others stay as they are.

        Parameters
        ----------
        artist_id : str
        songs : Embeddings
            Its songs, at least one.

        Returns
        -------
        ArtistModels

        Raises
        ------
        ArtistTransferError
            If the artist or a song is enrolled already, there is no song, or the width is another net's.
        """
        if artist_id in self.artists:
            raise ArtistTransferError(f"artist {artist_id!r} is enrolled already")
        shared = sorted(self.enrolled.intersection(songs.track_ids))
        if shared:
            raise ArtistTransferError(f"tracks that are enrolled already: {some(shared)}")
        self._check_width(songs)
        own = enrol(songs, dict.fromkeys(songs.track_ids, artist_id), songs.track_ids)
        at = int(np.searchsorted(np.array(self.artists, dtype=str), artist_id))
        return replace(
            self,
            artists=(*self.artists[:at], artist_id, *self.artists[at:]),
            vectors=np.insert(self.vectors, at, own.vectors[0], axis=0),
            n_songs=(*self.n_songs[:at], own.n_songs[0], *self.n_songs[at:]),
            enrolled=self.enrolled | own.enrolled,
        )

    def _check_width(self, embeddings: Embeddings) -> None:
        if embeddings.width != self.vectors.shape[1]:
            raise ArtistTransferError(
                f"the artists were enrolled with vectors of width {self.vectors.shape[1]}, found {embeddings.width}"
            )


@dataclass(frozen=True)
class Identified:
    """Which artist each song was taken for.

    Attributes
    ----------
    table : pd.DataFrame
        One row a song, sorted: ``track_id, artist_true, artist_predicted, similarity`` (cosine with the predicted),
        ``rank`` (of the true artist, from 1), ``top1, top5`` (bool), ``reciprocal_rank``.
    counts : dict of str to int
        ``n_tracks, n_artists`` (candidates), and what is left out: ``n_without_artist, n_not_enrolled``.
    not_enrolled : dict of artist to int
        Songs by artist that has no model.
    """

    table: pd.DataFrame
    counts: dict[str, int]
    not_enrolled: dict[str, int]


def enrol(embeddings: Embeddings, artists: Mapping[str, str | None], track_ids: Iterable[str]) -> ArtistModels:
    """Average the normalised vectors of each artist's songs.

    Parameters
    ----------
    embeddings : Embeddings
    artists : mapping of track id to artist id
        Tracks without an artist are left out and counted.
    track_ids : iterable of str
        The songs to enrol.

    Returns
    -------
    ArtistModels

    Raises
    ------
    ArtistTransferError
        If no track has an artist, a vector is zero, or the songs of an artist cancel out.
    """
    named = sorted(set(track_ids))
    ids = [x for x in named if not pd.isna(artists.get(x))]
    if not ids:
        raise ArtistTransferError(f"enrolment: none of {len(named)} tracks has an artist")
    songs = _Songs.of(embeddings, artists, ids)
    n_songs = tuple(int(n) for n in np.bincount(songs.of_song))
    return ArtistModels(songs.artists, songs.models(), n_songs, frozenset(ids), len(named) - len(ids))


def identify(
    models: ArtistModels,
    embeddings: Embeddings,
    artists: Mapping[str, str | None],
    track_ids: Iterable[str],
    *,
    rows: int | None = None,
) -> Identified:
    """Find the artist of songs that were not enrolled.

    Parameters
    ----------
    models : ArtistModels
    embeddings : Embeddings
    artists : mapping of track id to artist id
        The truth. Tracks without an artist, or whose artist is not enrolled, are left out and counted.
    track_ids : iterable of str
    rows : int > 0, optional
        Songs at once; changes nothing but memory and time.

    Returns
    -------
    Identified

    Raises
    ------
    ArtistTransferError
        If a song was enrolled, the width is another net's, or no song is left.
    """
    models._check_width(embeddings)
    named = sorted(set(track_ids))
    shared = [x for x in named if x in models.enrolled]
    if shared:
        raise ArtistTransferError(f"{len(shared)} songs to be identified were enrolled themselves: {some(shared)}")
    position = {name: k for k, name in enumerate(models.artists)}
    known = [x for x in named if not pd.isna(artists.get(x))]
    ids = [x for x in known if str(artists[x]) in position]
    if not ids:
        raise ArtistTransferError(f"identification: none of {len(named)} songs is of an enrolled artist")
    truth = np.array([position[str(artists[x])] for x in ids])
    units = unit_vectors(embeddings, embeddings.rows(ids))
    table = _ranked(ids, units, models.vectors, truth, models.artists, rows=rows)
    strange = Counter(str(artists[x]) for x in known if str(artists[x]) not in position)
    return _identified(table, models.artists, len(named) - len(known), strange)


def leave_one_out(
    embeddings: Embeddings,
    artists: Mapping[str, str | None],
    *,
    leave_out: Sequence[Mapping[str, str | None]] = (),
    rows: int | None = None,
) -> Identified:
    """Find the artist of each song, its own artist's average made without it.

    Parameters
    ----------
    embeddings : Embeddings
    artists : mapping of track id to artist id
        Tracks without an artist are left out and counted.
    leave_out : sequence of mappings of track id to group
        Songs of the artist that are in the song's group (recording, album) in one of them stay out of that average
        too.
    rows : int > 0, optional
        Songs at once; changes nothing but memory and time.

    Returns
    -------
    Identified
        Songs whose artist has nothing left are not in the table but counted as not enrolled; their artist is a
        candidate for the other songs.

    Raises
    ------
    ArtistTransferError
        If no song is left, a vector is zero, or the songs of an artist cancel out.
    """
    ids = sorted(x for x in embeddings.track_ids if not pd.isna(artists.get(x)))
    if not ids:
        raise ArtistTransferError(f"artist retrieval: none of {len(embeddings.track_ids)} tracks has an artist")
    songs = _Songs.of(embeddings, artists, ids)
    own, left = songs.without_each(leave_out)
    kept = np.flatnonzero(left)
    strange = Counter(songs.artists[songs.of_song[k]] for k in np.flatnonzero(~left))
    if not len(kept):
        raise ArtistTransferError("artist retrieval: no artist has a second song, so no song can be looked up")
    names = [ids[k] for k in kept]
    truth = songs.of_song[kept]
    table = _ranked(names, songs.units[kept], songs.models(), truth, songs.artists, own=own[kept], rows=rows)
    return _identified(table, songs.artists, len(embeddings.track_ids) - len(ids), strange)


@dataclass(frozen=True)
class _Songs:
    """Unit vectors of songs, and whose they are."""

    ids: Sequence[str]
    units: np.ndarray  # (song, width)
    artists: tuple[str, ...]
    of_song: np.ndarray  # (song,)

    @classmethod
    def of(cls, embeddings: Embeddings, artists: Mapping[str, str | None], ids: Sequence[str]) -> _Songs:
        names, of_song = np.unique(np.array([str(artists[x]) for x in ids], dtype=str), return_inverse=True)
        return cls(ids, unit_vectors(embeddings, embeddings.rows(ids)), tuple(str(x) for x in names), of_song)

    def sums(self) -> np.ndarray:
        sums = np.zeros((len(self.artists), self.units.shape[1]))
        np.add.at(sums, self.of_song, self.units)
        return sums

    def models(self) -> np.ndarray:
        sums = self.sums()
        lengths = np.linalg.norm(sums, axis=1)
        if not (lengths > 1e-9).all():
            none = [self.artists[k] for k in np.flatnonzero(~(lengths > 1e-9))]
            raise ArtistTransferError(f"enrolment: the songs of an artist cancel out: {some(none)}")
        return np.asarray(sums / lengths[:, None])

    def without_each(self, leave_out: Sequence[Mapping[str, str | None]]) -> tuple[np.ndarray, np.ndarray]:
        """Give each song's cosine with the rest of its artist, and whether there is a rest."""
        own, left = np.full(len(self.ids), np.nan), np.zeros(len(self.ids), dtype=bool)
        groups = [[group.get(x) for x in self.ids] for group in leave_out]
        for k in range(len(self.artists)):
            members = np.flatnonzero(self.of_song == k)
            rest = ~np.eye(len(members), dtype=bool)
            for group in groups:
                named = [None if pd.isna(group[m]) else str(group[m]) for m in members]
                codes = pd.factorize(pd.Series(named, dtype=object))[0]
                rest &= (codes[:, None] != codes) | (codes < 0)[:, None]
            vectors = self.units[members]
            average = rest @ vectors
            lengths = np.linalg.norm(average, axis=1)
            some_left = rest.any(axis=1)
            if (some_left & ~(lengths > 1e-9)).any():
                raise ArtistTransferError(f"artist retrieval: the songs of artist {self.artists[k]!r} cancel out")
            own[members] = np.einsum("ij,ij->i", vectors, average) / np.where(some_left, lengths, 1.0)
            left[members] = some_left
        return own, left


def _ranked(
    ids: Sequence[str],
    units: np.ndarray,
    models: np.ndarray,
    truth: np.ndarray,
    artists: Sequence[str],
    *,
    own: np.ndarray | None = None,
    rows: int | None = None,
) -> pd.DataFrame:
    """Rank the true artist among all; `own` replaces the cosine with it."""
    predicted, rank = np.empty(len(ids), dtype=np.int64), np.empty(len(ids), dtype=np.int64)
    similarity = np.empty(len(ids))
    columns = np.arange(len(artists))

    def rank_rows(start: int, block: np.ndarray) -> None:
        here, every = slice(start, start + len(block)), np.arange(len(block))
        mine = truth[here]
        if own is not None:
            block[every, mine] = np.round(own[here] * GRID)
        score = block[every, mine][:, None]
        ahead = (block > score) | ((block == score) & (columns < mine[:, None]))
        rank[here] = 1 + ahead.sum(axis=1)
        predicted[here] = block.argmax(axis=1)
        similarity[here] = block.max(axis=1) / GRID

    for _ in map_blocks(rank_rows, units, models, rows=rows):
        pass
    table = pd.DataFrame({"track_id": list(ids), "artist_true": [artists[int(k)] for k in truth]})
    table["artist_predicted"] = [artists[int(k)] for k in predicted]
    table["similarity"], table["rank"] = similarity, rank
    for top in TOPS:
        table[f"top{top}"] = rank <= top
    return table.assign(reciprocal_rank=1.0 / rank)


def _identified(
    table: pd.DataFrame, artists: Sequence[str], n_without_artist: int, strange: Counter[str]
) -> Identified:
    counts = {"n_tracks": len(table), "n_artists": len(artists), "n_without_artist": n_without_artist}
    return Identified(table, counts | {"n_not_enrolled": sum(strange.values())}, dict(sorted(strange.items())))
