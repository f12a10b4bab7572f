"""Vectors that a learned embedding has to beat, and the tracks on which systems can be compared.

MFCC statistics of each track, standardised so that a cosine means something, and random vectors. What needs no
vectors is elsewhere: `target_labels.prior_vote`, `tagging.prior_tags`, and chance in `retrieval.Retrieval`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from tqdm.auto import tqdm

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import some
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.features.mfcc import N_MFCC, mfcc_statistics

STREAM = 7_041  # keeps these draws apart from others that start from the same seed


class Frames(Protocol):
    """Where log-mel frames come from: `artist_transfer.audio.store.MelStore`."""

    def frames(self, track_id: str, /) -> np.ndarray:
        """Return a track's frames, (frame, band)."""


def mfcc_embeddings(
    mel: Frames, track_ids: Sequence[str], *, fit_ids: Iterable[str], n: int = N_MFCC, progress: bool = False
) -> Embeddings:
    """Summarise each track by statistics of its MFCC, standardised by column.

    Parameters
    ----------
    mel : Frames
        Log-mel of any front end.
    track_ids : sequence of str
    fit_ids : iterable of str
        Tracks that mean and deviation are taken from: training tracks, or the gallery where nothing is trained.
    n : int [1 <= n <= bands]
        Coefficients.
    progress : bool

    Returns
    -------
    Embeddings [width=9 n], float32

    Raises
    ------
    ArtistTransferError
        If a track has no frames, or none of the tracks is to be fitted on.
    """
    ids = list(track_ids)
    vectors = np.empty((len(ids), 9 * n), dtype=np.float32)
    for row, track in enumerate(tqdm(ids, desc="MFCC statistics", unit="track", leave=False, disable=not progress)):
        vectors[row] = mfcc_statistics(mel.frames(track), n)
    return standardised(Embeddings(tuple(ids), vectors), fit_ids)


def standardised(embeddings: Embeddings, fit_ids: Iterable[str]) -> Embeddings:
    """Centre and scale each column by mean and deviation of some tracks.

    Parameters
    ----------
    embeddings : Embeddings
    fit_ids : iterable of str
        Those that have no vector are an error.

    Returns
    -------
    Embeddings, float32
        Columns that do not vary among these tracks are centred only.

    Raises
    ------
    ArtistTransferError
        If there is no track to fit on, or one has no vector.
    """
    fit = sorted(set(fit_ids))
    if not fit:
        raise ArtistTransferError("standardise: there is no track to take mean and deviation from")
    rows = embeddings.of(fit).astype(np.float64)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(deviation <= 1e-12 * np.maximum(1.0, np.abs(mean)), 1.0, deviation)
    return Embeddings(embeddings.track_ids, ((embeddings.vectors - mean) / scale).astype(np.float32))


def random_embeddings(track_ids: Sequence[str], *, width: int = 256, seed: int = 0) -> Embeddings:
    """Draw a vector for each track.

    Parameters
    ----------
    track_ids : sequence of str
    width : int > 0
    seed : int >= 0

    Returns
    -------
    Embeddings, float32
        A track's vector depends on its id and the seed only, not on the other tracks.

    Raises
    ------
    ArtistTransferError
        If the width is not positive.
    """
    if width < 1:
        raise ArtistTransferError(f"random vectors: the width must be at least 1, found {width}")
    vectors = np.empty((len(track_ids), width), dtype=np.float32)
    for row, track in enumerate(track_ids):
        number = int.from_bytes(hashlib.sha256(track.encode()).digest()[:16], "little")
        vectors[row] = np.random.default_rng([seed, STREAM, number]).standard_normal(width)
    return Embeddings(tuple(track_ids), vectors)


def common_tracks(systems: Mapping[str, Embeddings]) -> tuple[list[str], dict[str, int]]:
    """Find the tracks that every system has a vector of, so that all are compared on the same ones.

    Parameters
    ----------
    systems : mapping of name to Embeddings

    Returns
    -------
    track_ids : list of str, sorted
    left_out : dict of name to int
        Tracks of each system that another one lacks.

    Raises
    ------
    ArtistTransferError
        If there is no such track.
    """
    sets = {name: set(embeddings.track_ids) for name, embeddings in systems.items()}
    common = sorted(set.intersection(*sets.values())) if sets else []
    if not common:
        raise ArtistTransferError(f"no track has a vector in all of {some(list(sets))}: nothing can be compared")
    return common, {name: len(ids) - len(common) for name, ids in sets.items()}
