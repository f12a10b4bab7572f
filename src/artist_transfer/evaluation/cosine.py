"""Cosine similarity of many vectors with many, a block of rows at a time.

Similarities are computed in double precision and rounded to a grid of 2⁻³⁰ (about 1e-9). What a single-precision
product gives depends in its last digits on how the work was cut into blocks, so equal vectors would come out almost
equal and ranks would depend on the size of a block. On the grid equal vectors tie exactly, nothing else does that
could be told apart, and whole numbers of 32 bits sort several times faster than floats.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.processes import cpu_count

T = TypeVar("T")
GRID = 2**30
EXCLUDED = np.iinfo(np.int32).min  # below every similarity
BLOCK = 1 << 24  # similarities held at once by all threads: 64 MiB
TILE = 2048  # columns of them that are computed at once
CHUNK = 8192  # rows that are normalised at once
_MOST_NAMED = 5


def zero_vectors(embeddings: Embeddings) -> list[str]:
    """Name the tracks whose vector has no direction, so that no cosine can be taken.

    Parameters
    ----------
    embeddings : Embeddings

    Returns
    -------
    list of str
        In their order.
    """
    found = []
    for start in range(0, len(embeddings.track_ids), CHUNK):
        norms = _norms(embeddings.vectors[start : start + CHUNK])
        found += [embeddings.track_ids[start + k] for k in np.flatnonzero(norms == 0)]
    return found


def unit_vectors(embeddings: Embeddings, rows: np.ndarray | None = None) -> np.ndarray:
    """Divide each vector by its length.

    Parameters
    ----------
    embeddings : Embeddings
    rows : np.ndarray [shape=(n,)], optional
        Which, in the order wanted; default all.

    Returns
    -------
    np.ndarray [shape=(n, width)], float64

    Raises
    ------
    ArtistTransferError
        If a vector is zero; the tracks are named.
    """
    rows = np.arange(len(embeddings.track_ids)) if rows is None else rows
    units = np.empty((len(rows), embeddings.width))
    for start in range(0, len(rows), CHUNK):
        part = units[start : start + CHUNK]
        part[:] = embeddings.vectors[rows[start : start + CHUNK]]
        norms = _norms(part)
        if not norms.all():
            zero = [embeddings.track_ids[row] for row in rows[start : start + CHUNK][norms == 0]]
            raise ArtistTransferError(
                f"no cosine can be taken of a zero vector: {some(zero)} (leave them out and count them: zero_vectors)"
            )
        part /= norms[:, None]
    return units


def check_width(first: Embeddings, second: Embeddings) -> None:
    """Refuse vectors of two nets.

    Parameters
    ----------
    first, second : Embeddings

    Raises
    ------
    ArtistTransferError
        If their widths differ.
    """
    if first.width != second.width:
        raise ArtistTransferError(
            f"vectors of width {first.width} cannot be compared with vectors of width {second.width}: "
            "both sides must come from one net"
        )


def map_blocks(
    function: Callable[[int, np.ndarray], T],
    queries: np.ndarray,
    gallery: np.ndarray,
    *,
    rows: int | None = None,
    workers: int | None = None,
) -> Iterator[tuple[int, T]]:
    """Apply a function to the cosines of every query with the whole gallery, some queries at a time.

    Parameters
    ----------
    function : callable (start, block)
        Gets the first query of a block, and np.ndarray [shape=(n, m)], int32, in -GRID … GRID: cosine × GRID. It may
        change the block and must not keep it. Several run at once.
    queries : np.ndarray [shape=(n, width)], float64, of length 1
    gallery : np.ndarray [shape=(m, width)], float64, of length 1
    rows : int > 0, optional
        Queries a block; default so many that all blocks together have at most 2²⁴ numbers.
    workers : int > 0, optional
        Threads, each with a block of its own; default the cores of this process.

    Yields
    ------
    stop : int
        The queries that are done.
    result
        What the function returned, blocks in order.

    Raises
    ------
    ArtistTransferError
        If rows or workers is not positive.
    """
    workers = cpu_count() if workers is None else workers
    if workers < 1 or (rows is not None and rows < 1):
        raise ArtistTransferError(f"similarities: rows and workers must be at least 1, found {rows} and {workers}")
    rows = rows or max(1, BLOCK // workers // max(1, len(gallery)))
    held = threading.local()

    def work(start: int) -> T:
        part = queries[start : start + rows] * GRID  # a power of two: nothing is rounded
        if not hasattr(held, "grid"):
            held.grid = np.empty((min(rows, len(queries)), len(gallery)), dtype=np.int32)
            held.tile = np.empty(len(held.grid) * min(TILE, len(gallery)))
        block: np.ndarray = held.grid[: len(part)]
        for place in range(0, len(gallery), TILE):
            across = gallery[place : place + TILE]
            exact = held.tile[: len(part) * len(across)].reshape(len(part), len(across))
            np.matmul(part, across.T, out=exact)
            block[:, place : place + TILE] = np.rint(exact, out=exact)  # while it is in the processor's cache
        return function(start, block)

    # one thread of the library in each of ours: its own would wait for each other at every tile
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        starts = range(0, len(queries), rows)
        for start, result in zip(starts, pool.map(work, starts)):
            yield min(start + rows, len(queries)), result


def nearest(
    queries: np.ndarray,
    gallery: np.ndarray,
    k: int,
    *,
    left_out: Sequence[np.ndarray] | None = None,
    rows: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the most similar of a gallery; of equals those that stand first in it.

    Parameters
    ----------
    queries : np.ndarray [shape=(n, width)], float64, of length 1
    gallery : np.ndarray [shape=(m, width)], float64, of length 1
    k : int > 0
        If the gallery has fewer, all of it.
    left_out : sequence of np.ndarray, optional
        For each query the positions that are no candidates.
    rows : int > 0, optional
        Queries at once.

    Returns
    -------
    positions : np.ndarray [shape=(n, k)], int64
        The most similar first; -1 where a query has fewer candidates.
    similarities : np.ndarray [shape=(n, k)], int64
        Cosine × GRID; EXCLUDED where there is none.

    Raises
    ------
    ArtistTransferError
        If k is not positive or the gallery is empty.
    """
    size = len(gallery)
    if k < 1 or not size:
        raise ArtistTransferError(f"nearest neighbours: k must be at least 1 (found {k}) and the gallery not empty")
    k = min(k, size)
    positions, similarities = (np.empty((len(queries), k), dtype=np.int64) for _ in range(2))
    last = np.arange(size - 1, -1, -1, dtype=np.int64)  # breaks ties: the first of equals has the largest

    def find(start: int, block: np.ndarray) -> None:
        stop = start + len(block)
        for row, positions_out in enumerate(left_out[start:stop] if left_out is not None else ()):
            block[row, positions_out] = EXCLUDED
        keys = block.astype(np.int64) * size + last
        keys.partition(size - k, axis=1)
        best = -np.sort(-keys[:, size - k :], axis=1)
        positions[start:stop], similarities[start:stop] = size - 1 - best % size, best // size

    for _ in map_blocks(find, queries, gallery, rows=rows):
        pass
    positions[similarities == EXCLUDED] = -1
    return positions, similarities


def some(names: Sequence[object], most: int = _MOST_NAMED) -> str:
    """Write a few of some names.

    Parameters
    ----------
    names : sequence
    most : int > 0

    Returns
    -------
    str
        ``'a', 'b' and 3 more``.
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _norms(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
