"""Nearest vectors by cosine: exactly, or by faiss where there are too many to look at each.

Both find candidates in single precision and score them again in double precision, vector by vector, so that equal
vectors have equal scores whatever the number of threads, the chunk they fell into or the method; ties go by row, and
rows are sorted by id. The approximate way is an inverted file: vectors are grouped about 4·√n centres, and a query
looks into the nearest sixteenth of the groups.

References
----------
Johnson, Douze, Jégou, "Billion-scale similarity search with GPUs", IEEE Transactions on Big Data, 2019 (faiss);
Sivic and Zisserman, "Video Google", ICCV 2003 (inverted files).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artist_transfer.errors import ArtistTransferError

EXACT_UP_TO = 100_000
LISTS_PER_ROOT = 4  # groups of the inverted file: 4·√n
SHARE_OF_LISTS = 16  # a query looks into one sixteenth of them, and into 8 at least
FEWEST_LISTS = 8
POINTS_A_LIST = 64  # vectors on which a centre is fitted; fewer than 39 make faiss warn
ROUNDS = 10  # of the clustering
TOLERANCE = 1e-5  # what single precision may get wrong in the cosine of two vectors of length 1
SLACK = 32  # neighbours that faiss is asked for beyond those wanted, to break ties among
_SCORES = 1 << 24  # of an exact search that are in memory at once: 64 MB


@dataclass(frozen=True)
class Neighbours:
    """The nearest vectors of each query.

    Attributes
    ----------
    rows : np.ndarray [shape=(n_queries, k)], int64
        Best first, equals by row; -1 where there are no more.
    scores : np.ndarray [shape=(n_queries, k)], float64 in [-1, 1]
        Cosines; NaN where there are no more.
    """

    rows: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, eq=False)
class Approximate:
    """An inverted file of faiss.

    Attributes
    ----------
    faiss_index : faiss.IndexIVFFlat
    n_lists : int > 0
        Groups of vectors.
    n_probes : int > 0
        Groups that a query looks into.
    """

    faiss_index: Any
    n_lists: int
    n_probes: int

    @classmethod
    def build(cls, vectors: np.ndarray, *, seed: int = 0) -> Approximate:
        """Group vectors.

        Parameters
        ----------
        vectors : np.ndarray [shape=(n, width)], float32 of length 1, n >= 1
        seed : int >= 0
            Of the clustering.

        Returns
        -------
        Approximate
        """
        import faiss  # only a large index pays for its import

        n, width = vectors.shape
        n_lists = max(1, min(round(LISTS_PER_ROOT * sqrt(n)), n // POINTS_A_LIST))
        n_probes = min(n_lists, max(FEWEST_LISTS, -(-n_lists // SHARE_OF_LISTS)))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, n_lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = seed
        index.cp.niter = ROUNDS
        index.cp.spherical = True
        index.cp.max_points_per_centroid = POINTS_A_LIST
        index.cp.min_points_per_centroid = 1
        index.train(_sample(vectors, POINTS_A_LIST * n_lists, seed))
        for k in range(0, n, 1 << 16):
            index.add(np.ascontiguousarray(vectors[k : k + (1 << 16)], dtype=np.float32))
        return cls(index, n_lists, n_probes)

    @classmethod
    def read(cls, path: str | Path, facts: Mapping[str, Any]) -> Approximate:
        """Open a written one.

        Parameters
        ----------
        path : str or Path
        facts : mapping
            As `facts` gave them.

        Returns
        -------
        Approximate
        """
        import faiss

        return cls(faiss.read_index(str(path)), int(facts["n_lists"]), int(facts["n_probes"]))

    def write(self, path: str | Path) -> None:
        """Write it.

        Parameters
        ----------
        path : str or Path
        """
        import faiss

        faiss.write_index(self.faiss_index, str(path))

    def facts(self) -> dict[str, Any]:
        """Return what a reader of its results should know."""
        return {"method": "faiss IVF-Flat, inner product", "n_lists": self.n_lists, "n_probes": self.n_probes}

    def candidates(self, query: np.ndarray, wanted: int) -> np.ndarray:
        """Find rows that may be the nearest.

        Parameters
        ----------
        query : np.ndarray [shape=(width,)], float32
        wanted : int > 0

        Returns
        -------
        np.ndarray [shape=(n,)], int64
            `wanted` rows, or all.
        """
        import faiss

        probes, wanted = self.n_probes, min(wanted, self.faiss_index.ntotal)
        while True:
            how = faiss.SearchParametersIVF()
            how.nprobe = probes
            rows = self.faiss_index.search(np.ascontiguousarray(query[None], np.float32), wanted, params=how)[1][0]
            rows = rows[rows >= 0]
            if len(rows) == wanted or probes >= self.n_lists:
                return np.asarray(rows, dtype=np.int64)
            probes = min(self.n_lists, 4 * probes)  # the groups looked into held too few


def nearest(
    queries: np.ndarray,
    vectors: np.ndarray,
    k: int,
    *,
    excluded: Sequence[np.ndarray] | None = None,
    approximate: Approximate | None = None,
) -> Neighbours:
    """Find the nearest vectors of each query by cosine.

    Parameters
    ----------
    queries : np.ndarray [shape=(n_queries, width)], of length 1
    vectors : np.ndarray [shape=(n, width)], float32 of length 1, possibly memory-mapped
        Sorted by id: equals go by row.
    k : int > 0
        Neighbours of each.
    excluded : sequence of np.ndarray of int, optional
        For each query the rows that are not to be found, such as its own.
    approximate : Approximate, optional
        Of these vectors; without it each of them is looked at.

    Returns
    -------
    Neighbours

    Raises
    ------
    ArtistTransferError
        If widths differ or k is not positive.
    """
    queries = np.atleast_2d(queries)
    if queries.shape[1] != vectors.shape[1]:
        raise ArtistTransferError(
            f"search: the query has {queries.shape[1]} columns, the index has {vectors.shape[1]}: they are of "
            "different nets and cannot be compared"
        )
    if not k > 0:
        raise ArtistTransferError(f"search: k is {k}; allowed is > 0")
    hidden = list(excluded) if excluded is not None else [np.zeros(0, dtype=np.int64)] * len(queries)
    if len(hidden) != len(queries):
        raise ArtistTransferError(f"search: {len(queries)} queries, but exclusions for {len(hidden)}")
    rows = np.full((len(queries), k), -1, dtype=np.int64)
    scores = np.full((len(queries), k), np.nan)
    step = max(1, _SCORES // max(1, len(vectors)))
    for start in range(0, len(queries), step):
        part = slice(start, min(len(queries), start + step))
        found = (
            _exact_candidates(queries[part], vectors, k, hidden[part])
            if approximate is None
            else [
                _without(approximate.candidates(query, k + len(own) + SLACK), own)
                for query, own in zip(queries[part], hidden[part])
            ]
        )
        for at, candidates in enumerate(found, start=start):
            order, values = _ranked(queries[at], vectors, candidates, k)
            rows[at, : len(order)], scores[at, : len(order)] = order, values
    return Neighbours(rows, scores)


def recall(found: Neighbours, true: Neighbours) -> float:
    """Return the share of the true neighbours that were found.

    Parameters
    ----------
    found, true : Neighbours
        Of the same queries.

    Returns
    -------
    float in [0, 1]
    """
    hits = sum(len(set(a[a >= 0]) & set(b[b >= 0])) for a, b in zip(found.rows, true.rows))
    return hits / max(1, int((true.rows >= 0).sum()))


def _exact_candidates(
    queries: np.ndarray, vectors: np.ndarray, k: int, hidden: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Return for each query all rows that may be among its k nearest, ties included."""
    n = len(vectors)
    scores = torch.empty((len(queries), n))
    left = torch.from_numpy(np.array(queries, dtype=np.float32))  # a copy: they may be read-only
    for start in range(0, n, 1 << 14):
        piece = np.array(vectors[start : start + (1 << 14)], dtype=np.float32)  # a copy: the file is read-only
        scores[:, start : start + len(piece)] = left @ torch.from_numpy(piece).T  # (query, row)
    found = []
    for row, own in enumerate(hidden):
        line = scores[row]
        line[torch.from_numpy(np.array(own, dtype=np.int64))] = -torch.inf
        least = torch.topk(line, min(k, n)).values[-1] - TOLERANCE
        found.append(torch.nonzero((line >= least) & torch.isfinite(line))[:, 0].numpy())
    return found


def _sample(vectors: np.ndarray, most: int, seed: int) -> np.ndarray:
    if len(vectors) > most:
        vectors = vectors[np.sort(np.random.default_rng([seed, 41]).choice(len(vectors), most, replace=False))]
    return np.ascontiguousarray(vectors, dtype=np.float32)


def _without(rows: np.ndarray, own: np.ndarray) -> np.ndarray:
    return rows[~np.isin(rows, own)]


def _ranked(query: np.ndarray, vectors: np.ndarray, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.sort(candidates)
    # row by row: a matrix product may round equal rows differently
    values = (np.asarray(vectors[rows], dtype=np.float64) * np.asarray(query, dtype=np.float64)).sum(axis=1)
    order = np.argsort(-values, kind="stable")[:k]
    return rows[order], np.clip(values[order], -1.0, 1.0)
