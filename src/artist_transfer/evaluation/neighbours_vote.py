"""k nearest neighbours by cosine: the largest number of the neighbours' labels (ISMIR, section 4.3).

Conventions
-----------
Of equally similar training tracks those that come first by id are the nearer ones. Of labels with equally many
neighbours the one whose neighbours' similarities have the larger sum wins, then the alphabetically first.

References
----------
ISMIR: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", ISMIR 2018, section 4.3 and
table 2: k = 20, neighbours from the training set.
"""

from __future__ import annotations

import numpy as np

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import EXCLUDED, nearest, unit_vectors
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.target_labels import Classified, LabelledSplit, classified

K = 20


def neighbours_vote(embeddings: Embeddings, split: LabelledSplit, *, k: int = K, rows: int | None = None) -> Classified:
    """Classify the test tracks by their nearest training tracks.

    Parameters
    ----------
    embeddings : Embeddings
    split : LabelledSplit
        Its validation tracks take no part.
    k : int > 0
        If there are fewer training tracks, all of them vote: ``counts["k"]`` says how many did.
    rows : int > 0, optional
        Test tracks at once; changes nothing but memory and time.

    Returns
    -------
    Classified
        Of one trial.

    Raises
    ------
    ArtistTransferError
        If k is not positive, or a track has no vector or a zero vector.
    """
    if k < 1:
        raise ArtistTransferError(f"k nearest neighbours: k must be at least 1, found {k}")
    gallery = unit_vectors(embeddings, embeddings.rows(split.train))
    queries = unit_vectors(embeddings, embeddings.rows(split.test))
    positions, similarities = nearest(queries, gallery, k, rows=rows)
    labels = split.codes(split.train)[positions]
    return classified(split, vote(labels, similarities, len(split.classes))[None], k=positions.shape[1])


def vote(labels: np.ndarray, similarities: np.ndarray, n_classes: int) -> np.ndarray:
    """Count the neighbours' labels.

    Parameters
    ----------
    labels : np.ndarray [shape=(n, k)], in 0 … n_classes − 1
    similarities : np.ndarray [shape=(n, k)], int64
        As of `cosine.nearest`; one that is EXCLUDED has no vote.
    n_classes : int > 0

    Returns
    -------
    np.ndarray [shape=(n,)], int64
        The label of each row.
    """
    counts, sums = (np.zeros((len(labels), n_classes), dtype=np.int64) for _ in range(2))
    rows = np.broadcast_to(np.arange(len(labels))[:, None], labels.shape)
    heard = similarities != EXCLUDED
    np.add.at(counts, (rows[heard], labels[heard]), 1)
    np.add.at(sums, (rows[heard], labels[heard]), similarities[heard])
    most = counts == counts.max(axis=1, keepdims=True)
    # whole numbers, so that equal sums are equal; argmax takes the first
    return np.asarray(np.where(most, sums, np.iinfo(np.int64).min).argmax(axis=1))
