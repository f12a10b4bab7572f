"""Fitting PLDA: what is read off the training songs, a rank check, shrinkage, and EM.

The songs are read three or four times, some at a time, in the order of artist and id: nothing depends on how the
vectors are sorted, and memory grows with artists and width alone.

References
----------
Ledoit, Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate
Analysis 88, 2004.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.recognition.plda import CHUNK, Plda, project_vectors
from artist_transfer.recognition.plda_em import ArtistSums, PldaStep, fit_two_covariances, start_from_moments

ITERATIONS = 20
NEGLIGIBLE = 1e-10  # share of the largest variance: below it a direction is rounding


def fit_plda(
    embeddings: Embeddings,
    artists: Mapping[str, str | None],
    train_ids: Iterable[str],
    *,
    whiten: bool = True,
    length_normalise: bool = True,
    shrinkage: float | str = "auto",
    iterations: int = ITERATIONS,
    rank: int | None = None,
    chunk: int = CHUNK,
    device: torch.device | str = "cpu",
) -> tuple[Plda, tuple[PldaStep, ...]]:
    """Fit on training songs; rows and artists of other songs are not read.

    Parameters
    ----------
    embeddings : Embeddings
    artists : mapping of track id to artist id
        Training songs without an artist take no part; `card` says how many.
    train_ids : iterable of str
    whiten, length_normalise : bool
    shrinkage : float in [0, 1] or "auto"
        Of the within-covariance, and of the covariance that is whitened, towards the identity times the mean variance.
        auto is Ledoit-Wolf's, of each by itself: for the songs about their artists' means, and about the mean.
    iterations : int >= 0
        Of EM.
    rank : int > 0, optional
        Of the between-covariance; default, and at most, artists − 1 or the width. If it is less than was asked for a
        warning names both numbers.
    chunk : int > 0
        Songs at once; changes nothing but memory, time and rounding.
    device : torch.device or str

    Returns
    -------
    plda : Plda
    history : tuple of PldaStep [len=iterations + 1]
        Its objective never falls.

    Raises
    ------
    ArtistTransferError
        If a parameter is impossible, fewer than two artists have two songs, no direction varies, or the
        within-covariance is singular and not shrunk.

    Warns
    -----
    ArtistTransferWarning
        If directions without variance are left out, or the rank is smaller than was asked for.
    """
    _check(shrinkage, iterations, rank, chunk)
    named = sorted(set(train_ids))
    songs = _TrainingSongs.of(embeddings, artists, named, chunk)
    mean, whitening, whitening_amount = songs.whitening(whiten, shrinkage)
    sums = songs.sums(mean, whitening, length_normalise)
    within = sums.within()
    target = float(np.trace(within)) / len(within)
    if shrinkage == "auto":
        residuals = songs.residuals(mean, whitening, length_normalise, sums)
        amount = _Moments.of(residuals, len(within)).ledoit_wolf()
    else:
        amount = float(shrinkage)
    _check_rank(within, target, amount, sums)
    limit = min(len(within), len(sums.counts) - 1)
    if rank is not None and rank > limit:
        warnings.warn(
            f"PLDA: a between-covariance of rank {rank} was asked for, {len(sums.counts)} artists and {len(within)} "
            f"dimensions allow {limit}",
            ArtistTransferWarning,
            stacklevel=2,
        )
    first = (1 - amount) * within + amount * target * np.eye(len(within))
    try:
        start = start_from_moments(sums, first, min(limit, rank or limit))
        found, history = fit_two_covariances(
            sums, start, iterations=iterations, shrinkage=amount, target=target, device=device
        )
    except (np.linalg.LinAlgError, torch.linalg.LinAlgError) as error:
        raise ArtistTransferError(f"PLDA: {_singular(sums, len(within))}") from error
    card: dict[str, object] = {
        "whiten": whiten,
        "length_normalise": length_normalise,
        "shrinkage_wanted": shrinkage,
        "shrinkage": amount,
        "shrinkage_of_whitening": whitening_amount,
        "iterations": iterations,
        "rank_wanted": rank,
        "rank": start.factors.shape[1],
        "n_songs": len(songs.rows),
        "n_artists": len(sums.counts),
        "n_artists_with_one_song": int((sums.counts == 1).sum()),
        "n_songs_without_artist": len(named) - len(songs.rows),
        "n_features": embeddings.width,
        "width": len(within),
        "log_likelihood": history[-1].log_likelihood,
    }
    between = found.factors @ found.factors.T
    return Plda(mean, whitening, found.centre, between, (found.within + found.within.T) / 2, card), history


@dataclass(frozen=True)
class _TrainingSongs:
    """Songs that have an artist, sorted by artist and id, read some at a time."""

    embeddings: Embeddings
    rows: np.ndarray  # (song,)
    of_song: np.ndarray  # (song,), artist, ascending
    chunk: int

    @classmethod
    def of(
        cls, embeddings: Embeddings, artists: Mapping[str, str | None], named: Sequence[str], chunk: int
    ) -> _TrainingSongs:
        pairs = sorted((str(artists[x]), x) for x in named if not pd.isna(artists.get(x)))
        names, of_song = np.unique(np.array([artist for artist, _ in pairs], dtype=str), return_inverse=True)
        several = int((np.bincount(of_song) > 1).sum()) if pairs else 0
        if several < 2:
            raise ArtistTransferError(
                f"PLDA: at least two artists with two songs each are needed; found {several} such artists "
                f"({len(pairs)} training songs of {len(names)} artists, {embeddings.width} dimensions)"
            )
        return cls(embeddings, embeddings.rows([song for _, song in pairs]), of_song, chunk)

    def parts(self) -> Iterable[tuple[slice, np.ndarray]]:
        for start in range(0, len(self.rows), self.chunk):
            here = slice(start, start + self.chunk)
            yield here, np.asarray(self.embeddings.vectors[self.rows[here]], dtype=np.float64)

    def whitening(self, whiten: bool, shrinkage: float | str) -> tuple[np.ndarray, np.ndarray, float | None]:
        """Mean of the songs, the matrix that makes their covariance the identity, and by how much that was shrunk."""
        mean = sum(part.sum(axis=0) for _, part in self.parts()) / len(self.rows)
        if not whiten:
            return mean, np.eye(len(mean)), None
        moments = _Moments.of((part - mean for _, part in self.parts()), len(mean))
        variances, directions = np.linalg.eigh(moments.covariance)
        if variances[-1] <= 0:
            raise ArtistTransferError(f"PLDA: the {len(self.rows)} training songs have one and the same vector")
        amount = moments.ledoit_wolf() if shrinkage == "auto" else float(shrinkage)
        # what is shrunk varies in every direction
        kept = (variances > NEGLIGIBLE * variances[-1]) | (amount > NEGLIGIBLE)
        if not kept.all():
            warnings.warn(
                f"PLDA: {int((~kept).sum())} of {len(mean)} directions do not vary over {len(self.rows)} training "
                "songs and are left out",
                ArtistTransferWarning,
                stacklevel=3,
            )
        variances = (1 - amount) * variances + amount * variances.mean()
        return mean, directions[:, kept] / np.sqrt(variances[kept]), amount

    def projected(self, mean: np.ndarray, whitening: np.ndarray, normalise: bool) -> Iterable[tuple[slice, np.ndarray]]:
        for here, part in self.parts():
            ids = [self.embeddings.track_ids[row] for row in self.rows[here]]
            yield here, project_vectors(part, ids, mean, whitening, normalise)

    def sums(self, mean: np.ndarray, whitening: np.ndarray, normalise: bool) -> ArtistSums:
        counts = np.bincount(self.of_song).astype(np.float64)
        width = whitening.shape[1]
        sums, scatter = np.zeros((len(counts), width)), np.zeros((width, width))
        for here, part in self.projected(mean, whitening, normalise):
            codes = self.of_song[here]
            firsts = np.flatnonzero(np.diff(codes, prepend=-1))
            sums[codes[firsts]] += np.add.reduceat(part, firsts, axis=0)
            scatter += part.T @ part
        return ArtistSums(counts, sums, scatter)

    def residuals(
        self, mean: np.ndarray, whitening: np.ndarray, normalise: bool, sums: ArtistSums
    ) -> Iterable[np.ndarray]:
        """Songs about their artists' means, made as large as if those were known."""
        larger = np.sqrt(sums.counts / np.maximum(sums.counts - 1, 1))
        for here, part in self.projected(mean, whitening, normalise):
            several = sums.counts[self.of_song[here]] > 1
            codes = self.of_song[here][several]
            yield (part[several] - sums.means[codes]) * larger[codes, None]


@dataclass(frozen=True)
class _Moments:
    """Of centred vectors: how many, their covariance, and the mean of their lengths to the fourth."""

    n: int
    covariance: np.ndarray
    fourth: float

    @classmethod
    def of(cls, parts: Iterable[np.ndarray], width: int) -> _Moments:
        n, fourth, scatter = 0, 0.0, np.zeros((width, width))
        for part in parts:
            n += len(part)
            fourth += float(((part**2).sum(axis=1) ** 2).sum())
            scatter += part.T @ part
        return cls(n, scatter / n, fourth / n)

    def ledoit_wolf(self) -> float:
        squares = float((self.covariance**2).sum())
        away = squares - float(np.trace(self.covariance)) ** 2 / len(self.covariance)
        if away <= NEGLIGIBLE * squares:
            return 1.0  # it is the target already
        return float(np.clip((self.fourth - squares) / self.n / away, 0, 1))


def _check(shrinkage: float | str, iterations: int, rank: int | None, chunk: int) -> None:
    number = isinstance(shrinkage, (int, float)) and not isinstance(shrinkage, bool) and 0 <= shrinkage <= 1
    if shrinkage != "auto" and not number:
        raise ArtistTransferError(f"PLDA: shrinkage must be auto or a number from 0 to 1, found {shrinkage!r}")
    if iterations < 0 or chunk < 1 or (rank is not None and rank < 1):
        raise ArtistTransferError(
            f"PLDA: iterations must be at least 0 (found {iterations}), rank (found {rank}) and chunk (found {chunk}) "
            "at least 1"
        )


def _check_rank(within: np.ndarray, target: float, amount: float, sums: ArtistSums) -> None:
    total = float(np.trace(sums.scatter)) / sums.n_songs / len(within)
    if target <= NEGLIGIBLE * total:
        raise ArtistTransferError("PLDA: the songs of each artist have one and the same vector: nothing varies within")
    variances = np.linalg.eigvalsh(within)
    if amount == 0 and (sums.n_songs - len(sums.counts) < len(within) or variances[0] <= NEGLIGIBLE * variances[-1]):
        raise ArtistTransferError(f"PLDA: {_singular(sums, len(within))}")


def _singular(sums: ArtistSums, width: int) -> str:
    free = sums.n_songs - len(sums.counts)
    why = f"leave {free} to estimate it" if free < width else "have constant or collinear features"
    return (
        f"the within-artist covariance of {width} dimensions is singular: {sums.n_songs} songs of {len(sums.counts)} "
        f"artists {why}; give a shrinkage (auto, or a number above 0), fewer dimensions (linear "
        "discriminant) or more songs"
    )
