"""Latent groups of artists: latent Dirichlet allocation over artists' bags of words.

Blei, Ng and Jordan 2003, by gensim's variational inference; 40 groups with symmetric priors of 1/40 (Park et
al. 2018, section 3.2). An artist's factor is its distribution over the groups.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from artist_transfer.artifacts import atomic_path, commit_folder
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

CHUNK = 2000  # artists an update


@dataclass(frozen=True)
class LatentDirichlet:
    """Groups, and the distribution of each artist over them.

    Attributes
    ----------
    topics : np.ndarray [shape=(group, word)], float64, rows sum to 1
        Distribution of each group over the words.
    theta : np.ndarray [shape=(artist, group)], float64, rows sum to 1
        Distribution of each artist over the groups.
    notes : tuple of str
        What a reader has to know, for instance that there are fewer groups than asked for.
    """

    topics: np.ndarray
    theta: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def uniformity(self) -> float:
        """Mean entropy of the artists' distributions, 0 … 1, see the function `uniformity`."""
        return uniformity(self.theta)

    @property
    def distinctness(self) -> float:
        """What group and artist say about each other, 0 … 1, see the function `distinctness`."""
        return distinctness(self.theta)


def uniformity(theta: np.ndarray) -> float:
    """Measure how little a factor table says.

    Parameters
    ----------
    theta : np.ndarray [shape=(artist, group)], rows sum to 1
        Distributions over groups.

    Returns
    -------
    float
        Mean entropy of the rows as a part of the greatest possible one, 0 (each artist in one group) … 1
        (each artist in all groups alike, or one group only).
    """
    if theta.shape[1] == 1:
        return 1.0
    entropy = -np.where(theta > 0, theta * np.log(np.where(theta > 0, theta, 1.0)), 0.0).sum(axis=1)
    return float(np.clip(entropy.mean() / np.log(theta.shape[1]), 0.0, 1.0))


def distinctness(theta: np.ndarray) -> float:
    """Measure how much a factor table tells artists apart.

    Parameters
    ----------
    theta : np.ndarray [shape=(artist, group)], rows sum to 1
        Distributions over groups.

    Returns
    -------
    float
        Mutual information between artist and group as a part of the greatest possible one, 0 (all artists
        alike, be it that all are uniform or that all are in one group) … 1.
    """
    if theta.shape[1] == 1:
        return 0.0
    whole = uniformity(theta.mean(axis=0, keepdims=True))
    return float(np.clip(whole - uniformity(theta), 0.0, 1.0))


def fit_groups(
    bags: np.ndarray,
    *,
    groups: int = 40,
    passes: int = 20,
    iterations: int = 100,
    restarts: int = 3,
    seed: int = 0,
    uniformity_limit: float = 0.95,
    label: str = "latent Dirichlet",
) -> LatentDirichlet:
    """Fit the groups and infer each artist's distribution.

    Parameters
    ----------
    bags : np.ndarray [shape=(artist, word)], float64, >= 0
        Bags of words; counts need not be whole. No row is all zero: the answer for it would be the prior,
        uniform.
    groups : int > 0
        Groups; not more than artists, else lowered with a warning. Both priors are 1 / groups.
    passes : int > 0
        Passes over the artists.
    iterations : int > 0
        Steps of the inference of one artist, at most.
    restarts : int > 0
        Fits from different initial groups, of which the one with the greatest variational bound is taken: a single
        one ends in a local optimum now and then, where two groups that share no word are one.
    seed : int
        Of the initial groups and of each inference.
    uniformity_limit : float, 0 … 1
        Above it, or with a distinctness below 1 less this, a warning says that the table says nothing.
    label : str
        What the progress bar and the warnings call it.

    Returns
    -------
    LatentDirichlet
        The same for every number of threads and every PYTHONHASHSEED.

    Raises
    ------
    ArtistTransferError
        If there are no artists, a row is all zero, a count is negative or not finite, or a parameter is below
        1.
    """
    bags = _checked(bags, groups=groups, passes=passes, iterations=iterations, restarts=restarts)
    notes = []
    n_groups = min(groups, len(bags))
    if n_groups < groups:
        notes.append(f"{n_groups} groups instead of {groups}: there are only {len(bags)} artists")
    corpus = [_document(row) for row in bags]
    bar = tqdm(total=restarts * passes * len(corpus), desc=label, unit="artist", leave=False)
    with threadpool_limits(1, user_api="blas"), _quiet_gensim(), bar:
        fits = [
            _fit(_Counted(corpus, bar), bags.shape[1], n_groups, passes, iterations, [seed, restart])
            for restart in range(restarts)
        ]
    _, topics, theta = max(fits, key=lambda fit: fit[0])
    result = LatentDirichlet(topics, theta, tuple(notes))
    if result.uniformity > uniformity_limit:
        notes.append(
            f"a target that says nothing: the factors of {len(bags)} artists are nearly uniform, their mean"
            f" entropy is {result.uniformity:.3f} of the maximum (limit {uniformity_limit:g})"
        )
    elif distinctness(theta) < 1.0 - uniformity_limit:
        notes.append(
            f"a target that says nothing: the factors of {len(bags)} artists are nearly alike, group and"
            f" artist share {distinctness(theta):.3f} of the information that they could"
            f" (limit {1.0 - uniformity_limit:.2f})"
        )
    for note in notes:
        warnings.warn(f"{label}: {note}.", ArtistTransferWarning, stacklevel=2)
    return LatentDirichlet(topics, theta, tuple(notes))


def _checked(bags: np.ndarray, **parameters: int) -> np.ndarray:
    for name, value in parameters.items():
        if value < 1:
            raise ArtistTransferError(f"{name} is {value}; it has to be 1 or more")
    bags = np.asarray(bags, dtype=np.float64)
    if bags.ndim != 2 or not bags.size:
        raise ArtistTransferError(f"latent groups need artists with words; found bags of shape {bags.shape}")
    if not np.isfinite(bags).all() or (bags < 0).any():
        raise ArtistTransferError("bags of words have to be finite and not negative")
    empty = np.flatnonzero(bags.sum(axis=1) == 0)
    if empty.size:
        raise ArtistTransferError(f"{empty.size} bag(s) without a word, the first in row {empty[0]}; leave them out")
    return bags


def _document(row: np.ndarray) -> list[tuple[int, float]]:
    return [(int(word), float(row[word])) for word in np.flatnonzero(row)]


def _fit(
    corpus: _Counted, n_words: int, n_groups: int, passes: int, iterations: int, seed: list[int]
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the variational bound, the topics and the artists' distributions of one fit."""
    from gensim.models import LdaModel

    model = LdaModel(
        corpus,
        num_topics=n_groups,
        id2word={word: str(word) for word in range(n_words)},
        alpha="symmetric",
        eta="symmetric",
        chunksize=min(CHUNK, len(corpus)),
        passes=passes,
        iterations=iterations,
        minimum_probability=0.0,
        eval_every=None,
        random_state=np.random.RandomState(seed),
        dtype=np.float64,
    )
    # A fresh state: otherwise an artist's factor would depend on how many draws the fit happened to take.
    model.random_state = np.random.RandomState(seed)
    gamma, _ = model.inference(corpus.documents)
    bound = float(model.bound(corpus.documents, gamma=gamma[:, None, :]))  # (artist, 1, group), as it reads them
    return bound, model.get_topics(), gamma / gamma.sum(axis=1, keepdims=True)


class _Counted:
    """A corpus that tells a progress bar when a document is read; gensim reads it once a pass."""

    def __init__(self, documents: list[list[tuple[int, float]]], bar: tqdm) -> None:
        self.documents = documents
        self.bar = bar

    def __len__(self) -> int:
        return len(self.documents)

    def __iter__(self) -> Iterator[list[tuple[int, float]]]:
        for document in self.documents:
            yield document
            self.bar.update(1)


@contextmanager
def _quiet_gensim() -> Iterator[None]:
    """Keep gensim from logging that there are too few updates: it counts chunks, not passes over them."""
    logger = logging.getLogger("gensim.models.ldamodel")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def save_groups(folder: str | Path, model: LatentDirichlet) -> None:
    """Write groups as npz without pickle and declare the folder done.

    Parameters
    ----------
    folder : str or Path
        Where they go.
    model : LatentDirichlet
        What is written.
    """
    with atomic_path(Path(folder) / "groups.npz") as temporary, open(temporary, "wb") as stream:
        notes = np.array(model.notes, dtype=np.str_)
        np.savez_compressed(stream, topics=model.topics, theta=model.theta, notes=notes)
    n_artists, n_groups = model.theta.shape
    commit_folder(folder, files=["groups.npz"], details={"n_artists": n_artists, "n_groups": n_groups})


def load_groups(folder: str | Path) -> LatentDirichlet:
    """Read groups.

    Parameters
    ----------
    folder : str or Path
        A finished folder by `save_groups`.

    Returns
    -------
    LatentDirichlet
        As they were written.
    """
    with np.load(Path(folder) / "groups.npz", allow_pickle=False) as stored:
        notes = tuple(str(note) for note in stored["notes"])
        return LatentDirichlet(stored["topics"], stored["theta"], notes)
