"""Probabilistic linear discriminant of artists, with full covariances between and within artists.

Vectors are centred, whitened and length-normalised; a song's vector is then x = y + e, y ~ N(m, B) of the artist and
e ~ N(0, W) of the song. The score of a trial is the log-likelihood ratio (nats) of "the test song is of the artist of
the enrolled songs" against "it is of an artist never heard".

References
----------
DeepArtistID: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", first version,
section 3.3: PLDA as the scoring of i-vectors and of a net's features.
Garcia-Romero, Espy-Wilson, "Analysis of i-vector length normalization in speaker recognition systems", Interspeech
2011. Rajan et al., "From single to multiple enrollment i-vectors", Digital Signal Processing 31, 2014: one model of
several songs, averaged or by the book.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from scipy.linalg import eigh

from artist_transfer.arrays_file import load_arrays, save_arrays
from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import some
from artist_transfer.evaluation.embeddings import Embeddings

WEIGHTS, CARD = "plda.safetensors", "plda.json"
AVERAGE, BY_THE_BOOK = ENROLMENTS = ("average", "by_the_book")
CHUNK = 8192  # songs at once
BLOCK = 256  # models at once


@dataclass(frozen=True)
class PldaModels:
    """Enrolled artists.

    Attributes
    ----------
    names : tuple of str
        The artists, in the order of the enrolments.
    sums : np.ndarray [shape=(n_models, width)], float64
        Of the projected songs; by `average` their mean, length-normalised again.
    counts : np.ndarray [shape=(n_models,)], int64
        Songs that each sum stands for; 1 by `average`.
    """

    names: tuple[str, ...]
    sums: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Plda:
    """A fitted model.

    Attributes
    ----------
    mean : np.ndarray [shape=(n_features,)], float64
        Of the training songs.
    whitening : np.ndarray [shape=(n_features, width)], float64
        Total covariance of the training songs → identity; directions without variance are gone.
    centre : np.ndarray [shape=(width,)], float64
        m, of the projected vectors.
    between, within : np.ndarray [shape=(width, width)], float64
        B (positive semi-definite) and W (positive definite).
    card : dict
        ``length_normalise``, and of a fitted one ``whiten, shrinkage_wanted, shrinkage, shrinkage_of_whitening (None if
        not whitened), iterations, rank_wanted, rank, n_songs, n_artists, n_artists_with_one_song,
        n_songs_without_artist, n_features, width, log_likelihood``.
    """

    mean: np.ndarray
    whitening: np.ndarray
    centre: np.ndarray
    between: np.ndarray
    within: np.ndarray
    card: dict[str, object]

    @classmethod
    def of_parameters(cls, centre: np.ndarray, between: np.ndarray, within: np.ndarray) -> Plda:
        """Take known parameters of vectors that are neither whitened nor length-normalised.

        Parameters
        ----------
        centre : np.ndarray [shape=(width,)]
        between, within : np.ndarray [shape=(width, width)]
            Positive semi-definite and positive definite.

        Returns
        -------
        Plda
        """
        centre, between, within = (np.asarray(x, dtype=np.float64) for x in (centre, between, within))
        size = len(centre)
        return cls(np.zeros(size), np.eye(size), centre, between, within, {"length_normalise": False})

    def project(self, embeddings: Embeddings) -> Embeddings:
        """Centre, whiten and length-normalise, as the training songs were.

        Parameters
        ----------
        embeddings : Embeddings

        Returns
        -------
        Embeddings [width=width], float64
            If length-normalised, of length √width.

        Raises
        ------
        ArtistTransferError
            If the width is not that of the training songs, or a vector to be length-normalised has no direction (the
            tracks are named).
        """
        if embeddings.width != len(self.mean):
            raise ArtistTransferError(f"PLDA was fitted on vectors of width {len(self.mean)}, found {embeddings.width}")
        out = np.empty((len(embeddings.track_ids), self.whitening.shape[1]))
        for start in range(0, len(out), CHUNK):
            ids = embeddings.track_ids[start : start + CHUNK]
            out[start : start + CHUNK] = project_vectors(
                embeddings.vectors[start : start + CHUNK], ids, self.mean, self.whitening, self._length_normalise
            )
        return Embeddings(embeddings.track_ids, out)

    def enrol(
        self, embeddings: Embeddings, enrolments: Mapping[str, Sequence[str]], *, by: str = AVERAGE
    ) -> PldaModels:
        """Make models of artists.

        Parameters
        ----------
        embeddings : Embeddings
            Vectors as they come from the encoder; others than the enrolled may be among them.
        enrolments : mapping of artist to track ids
        by : {"average", "by_the_book"}
            One vector a model, scored as one song, or the likelihood of all its songs together.

        Returns
        -------
        PldaModels

        Raises
        ------
        ArtistTransferError
            If an artist has no song or a song twice, songs have no vector, cancel out, or `by` is unknown.
        """
        if by not in ENROLMENTS:
            raise ArtistTransferError(f"PLDA: models are enrolled by {' or '.join(ENROLMENTS)}, found {by!r}")
        check_enrolments(enrolments)
        ids = sorted({x for songs in enrolments.values() for x in songs})
        songs = self.project(embeddings.subset(ids))
        counts = np.array([len(x) for x in enrolments.values()], dtype=np.int64)
        sums = np.stack([songs.of(sorted(x)).sum(axis=0) for x in enrolments.values()])
        names = tuple(enrolments)
        if by == BY_THE_BOOK:
            return PldaModels(names, sums, counts)
        means = sums / counts[:, None]
        if self._length_normalise:
            lengths = np.linalg.norm(means, axis=1)
            none = [names[k] for k in np.flatnonzero(lengths <= 1e-9)]
            if none:
                raise ArtistTransferError(f"PLDA: the songs of an artist cancel out: {some(none)}")
            means *= np.sqrt(means.shape[1]) / lengths[:, None]
        return PldaModels(names, means, np.ones_like(counts))

    def scores(
        self, models: PldaModels, tests: Embeddings, *, block: int = BLOCK, device: torch.device | str = "cpu"
    ) -> np.ndarray:
        """Score every test song against every model.

        Parameters
        ----------
        models : PldaModels
        tests : Embeddings
            Vectors as they come from the encoder.
        block : int > 0
            Models at once; changes nothing but memory, time and rounding.
        device : torch.device or str

        Returns
        -------
        np.ndarray [shape=(n_models, n_tests)], float64
            Log-likelihood ratios in nats.

        Raises
        ------
        ArtistTransferError
            If the width is another's, or a vector has no direction.
        """
        gains, basis = self._basis
        each, which = np.unique(models.counts, return_inverse=True)
        own = (models.sums - models.counts[:, None] * self.centre) @ basis  # (model, direction)
        test = (self.project(tests).vectors - self.centre) @ basis
        known = gains / (1 + models.counts[:, None] * gains)  # what is not known of the artist after its songs
        place = own * known
        weights = place / (1 + known)
        ratios = (gains - known) / (1 + known)  # (1 + g) / (1 + k) = 1 + that: no digits are lost where g is small
        fixed = 0.5 * (np.log1p(ratios) - place * weights).sum(axis=1)
        known = gains / (1 + each[:, None] * gains)
        squares = -0.5 * ((gains - known) / (1 + gains) / (1 + known)) @ (test**2).T  # (count, test)
        out = np.empty((len(models.names), len(tests.track_ids)))
        on, by_count, across = (torch.from_numpy(x).to(device) for x in (weights, squares, np.ascontiguousarray(test)))
        for start in range(0, len(out), block):
            here = slice(start, start + block)
            scores = on[here] @ across.T
            scores += torch.from_numpy(fixed[here, None]).to(device)
            scores += by_count[torch.from_numpy(which[here]).to(device)]
            out[here] = scores.cpu().numpy()
        return out

    @property
    def _length_normalise(self) -> bool:
        return bool(self.card["length_normalise"])

    @cached_property
    def _basis(self) -> tuple[np.ndarray, np.ndarray]:
        """Directions in which both covariances are diagonal: between-variances, and a basis where W is the identity."""
        gains, basis = eigh(self.between, self.within)
        kept = gains > 1e-12 * max(gains.max(), 1e-300)
        return gains[kept], basis[:, kept]

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON, and declare the folder done.

        Parameters
        ----------
        folder : Path
        """
        arrays = {name: getattr(self, name) for name in ("mean", "whitening", "centre", "between", "within")}
        save_arrays(folder, arrays, self.card, name=WEIGHTS, card_name=CARD, details=self.card)

    @classmethod
    def load(cls, folder: Path) -> Plda:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : Path

        Returns
        -------
        Plda

        Raises
        ------
        ArtistTransferError
            If the folder holds no whole one.
        """
        arrays, card = load_arrays(folder, "PLDA", name=WEIGHTS, card_name=CARD)
        return cls(**arrays, card=card)


def check_enrolments(enrolments: Mapping[str, Sequence[str]]) -> None:
    """Refuse enrolments that no model can be made of.

    Parameters
    ----------
    enrolments : mapping of artist to track ids

    Raises
    ------
    ArtistTransferError
        If there is no artist, one has no song, or a song stands twice with one.
    """
    none = [name for name, songs in enrolments.items() if not len(songs)]
    twice = [name for name, songs in enrolments.items() if len(set(songs)) != len(songs)]
    if not enrolments or none or twice:
        what = f"no song of {some(none)}" if none else f"a song stands twice with {some(twice)}"
        raise ArtistTransferError(f"enrolment: {what if enrolments else 'no artist'}; an artist needs 1 song or more")


def project_vectors(
    vectors: np.ndarray, ids: Sequence[str], mean: np.ndarray, whitening: np.ndarray, normalise: bool
) -> np.ndarray:
    """Centre, whiten and length-normalise some vectors.

    Parameters
    ----------
    vectors : np.ndarray [shape=(n, n_features)]
    ids : sequence of str [len=n]
        Their tracks, to be named.
    mean : np.ndarray [shape=(n_features,)]
    whitening : np.ndarray [shape=(n_features, width)]
    normalise : bool
        To length √width.

    Returns
    -------
    np.ndarray [shape=(n, width)], float64

    Raises
    ------
    ArtistTransferError
        If a vector to be length-normalised has no direction.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    away = vectors - mean
    out = np.asarray(away @ whitening)
    if normalise:
        lengths = np.linalg.norm(out, axis=1)
        rounding = 1e-12 * (np.linalg.norm(vectors, axis=1) + np.linalg.norm(mean))
        none = [ids[int(k)] for k in np.flatnonzero((lengths == 0) | (np.linalg.norm(away, axis=1) <= rounding))]
        if none:
            raise ArtistTransferError(
                f"PLDA: no direction is left of the vectors of {len(none)} songs once they are centred: {some(none)} "
                "(leave them out and count them)"
            )
        out *= np.sqrt(out.shape[1]) / lengths[:, None]
    return out
