from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.search import neighbours as module
from artist_transfer.search.index import Encoder, build_index, open_index
from artist_transfer.search.neighbours import Approximate, nearest, recall
from artist_transfer.search.query import resolve
from artist_transfer.search.retrieve import songs_like


def directions(n: int, width: int = 32, *, seed: int = 0, groups: int = 0) -> np.ndarray:
    draw = np.random.default_rng([seed, n])
    vectors = draw.normal(size=(n, width))
    if groups:
        vectors = 0.5 * vectors + draw.normal(size=(groups, width))[draw.integers(groups, size=n)]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def by_hand(query: np.ndarray, vectors: np.ndarray, k: int, own: np.ndarray) -> list[int]:
    scores = [float(np.dot(query.astype(float), vector.astype(float))) for vector in vectors]
    ranked = sorted((row for row in range(len(vectors)) if row not in set(own)), key=lambda row: (-scores[row], row))
    return ranked[:k]


@pytest.mark.parametrize(("n", "k"), [(1, 1), (7, 3), (500, 10), (3, 10)])
def test_exact_neighbours_are_those_of_a_plain_sort(n: int, k: int) -> None:
    vectors = directions(n)
    own = [np.array([row]) for row in range(n)]
    found = nearest(vectors, vectors, k, excluded=own)
    for row in range(n):
        true = by_hand(vectors[row], vectors, k, own[row])
        assert found.rows[row, : len(true)].tolist() == true
        assert (found.rows[row, len(true) :] == -1).all()
        assert np.isnan(found.scores[row, len(true) :]).all()
        assert np.abs(found.scores[row, : len(true)] - (vectors[true] @ vectors[row])).max(initial=0) < 1e-6


def test_equals_go_by_row_even_when_they_are_more_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = directions(3000)
    vectors[5::7] = vectors[0]  # 428 copies all over the table
    monkeypatch.setattr(module, "_SCORES", 3000 * 3)  # several pieces
    found = nearest(np.stack([vectors[0]] * 8), vectors, 50)
    true = [0, *range(5, 3000, 7)][:50]
    assert all(row.tolist() == true for row in found.rows)
    assert (found.scores == found.scores[0, 0]).all()
    assert found.scores.max() <= 1


def test_the_number_of_threads_changes_nothing() -> None:
    vectors = directions(4000, 256)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(nearest(vectors[:40], vectors, 20))
    finally:
        torch.set_num_threads(before)
    assert (results[0].rows == results[1].rows).all()
    assert (results[0].scores == results[1].scores).all()


def test_other_widths_and_numbers_are_refused() -> None:
    vectors = directions(10)
    with pytest.raises(ArtistTransferError, match="16 columns, the index has 32"):
        nearest(vectors[:, :16], vectors, 3)
    with pytest.raises(ArtistTransferError, match="k is 0"):
        nearest(vectors, vectors, 0)


def test_approximate_neighbours_are_the_exact_ones_but_for_few() -> None:
    vectors = directions(20_000, 64, groups=300)
    queries = directions(200, 64, groups=300, seed=1)
    queries = np.concatenate([vectors[::200], queries[:100]])
    approximate = Approximate.build(vectors)
    assert approximate.n_probes < approximate.n_lists / 4
    exact = nearest(queries, vectors, 10)
    found = nearest(queries, vectors, 10, approximate=approximate)
    share = recall(found, exact)
    print(f"recall@10 {share:.4f}, {approximate.n_lists} lists, {approximate.n_probes} looked into")
    assert share >= 0.97
    same = found.rows == exact.rows
    assert (found.scores[same] == exact.scores[same]).all()


def test_recall_counts_what_was_found() -> None:
    exact = nearest(directions(4), directions(50), 10)
    half = module.Neighbours(np.where(np.arange(10) < 5, exact.rows, -1), exact.scores)
    assert recall(exact, exact) == 1
    assert recall(half, exact) == 0.5


def test_approximate_neighbours_leave_out_and_fill_up() -> None:
    vectors = directions(3000, 16)
    approximate = Approximate.build(vectors)
    own = np.argsort(-(vectors @ vectors[0]))[:900]  # as if an artist had the 900 nearest
    found = nearest(vectors[:1], vectors, 200, excluded=[own], approximate=approximate)
    assert (found.rows >= 0).all()
    assert not set(found.rows[0]) & set(own)
    everything = nearest(vectors[:1], vectors, 5000, approximate=approximate)
    assert sorted(everything.rows[0][everything.rows[0] >= 0]) == list(range(3000))


BUILD = """
import sys, numpy as np
from artist_transfer.search.neighbours import Approximate
Approximate.build(np.load(sys.argv[1]), seed=3).write(sys.argv[2])
"""


def test_two_builds_are_equal_bytes_with_one_thread_or_two(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", directions(4000, 32, groups=50))
    for threads in "12":
        command = [sys.executable, "-c", BUILD, str(tmp_path / "vectors.npy"), str(tmp_path / threads)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": threads})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_large_index_asks_faiss_and_a_small_one_does_not(
    tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder
) -> None:
    small = build_index(tmp_path / "small", embeddings, track_table, encoder)
    large = build_index(tmp_path / "large", embeddings, track_table, encoder, exact_up_to=10)
    assert small.approximate is None
    assert not (tmp_path / "small" / "neighbours.faiss").exists()
    large = open_index(large.folder)
    assert large.approximate is not None
    assert large.facts["neighbours"]["method"].startswith("faiss")
    for query in ("000007", "x.1", "a3"):
        pd.testing.assert_frame_equal(
            songs_like(large, resolve(query, large), k=7), songs_like(small, resolve(query, small), k=7)
        )
