"""Cosines on the grid: exact ties, named errors, blocks that change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation import cosine
from artist_transfer.evaluation.cosine import (
    EXCLUDED,
    GRID,
    check_width,
    map_blocks,
    nearest,
    some,
    unit_vectors,
    zero_vectors,
)
from artist_transfer.evaluation.embeddings import Embeddings


def made(vectors: np.ndarray, prefix: str = "t") -> Embeddings:
    return Embeddings(tuple(f"{prefix}{k:04d}" for k in range(len(vectors))), np.asarray(vectors, dtype=np.float32))


def whole(queries: np.ndarray, gallery: np.ndarray, **how: int) -> np.ndarray:
    parts = list(map_blocks(lambda start, block: (start, block.copy()), queries, gallery, **how))
    assert [start for _, (start, _) in parts] == [0, *(stop for stop, _ in parts[:-1])]
    assert parts[-1][0] == len(queries)
    return np.concatenate([block for _, (_, block) in parts])


def test_they_are_cosines_to_the_grid() -> None:
    draw = np.random.default_rng(0)
    a, b = unit_vectors(made(draw.normal(size=(9, 5)))), unit_vectors(made(draw.normal(size=(7, 5))))
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), 1, atol=1e-15)
    np.testing.assert_allclose(whole(a, b) / GRID, a @ b.T, atol=0.6 / GRID)


@pytest.mark.parametrize("tile", [2048, 7])
@pytest.mark.parametrize(("rows", "workers"), [(1, 1), (3, 4), (64, 2), (1000, 1)])
def test_blocks_of_any_size_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, rows: int, workers: int, tile: int
) -> None:
    draw = np.random.default_rng(1)
    gallery = unit_vectors(made(np.repeat(draw.normal(size=(150, 33)), 2, axis=0)))
    queries = unit_vectors(made(draw.normal(size=(131, 33))))
    expected = whole(queries, gallery)
    monkeypatch.setattr(cosine, "TILE", tile)
    found = whole(queries, gallery, rows=rows, workers=workers)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found[:, ::2], found[:, 1::2])  # equal vectors are equally similar, to the bit


def test_multiples_of_one_vector_are_one_direction() -> None:
    x = np.random.default_rng(2).normal(size=12)
    units = unit_vectors(made(np.stack([x, 2 * x, 1024 * x])))
    assert set(whole(units, units).ravel()) == {GRID}


def test_a_zero_vector_is_named() -> None:
    vectors = np.ones((4, 3))
    vectors[2] = 0
    assert zero_vectors(made(vectors)) == ["t0002"]
    with pytest.raises(ArtistTransferError, match=r"zero vector: 't0002' \("):
        unit_vectors(made(vectors))
    np.testing.assert_allclose(unit_vectors(made(vectors), np.array([0, 3])), 1 / np.sqrt(3))


def test_vectors_that_are_not_finite_are_named() -> None:
    vectors = np.ones((4, 3))
    vectors[1, 2] = np.nan
    with pytest.raises(ArtistTransferError, match="'t0001'"):
        made(vectors)


def test_widths_must_agree() -> None:
    with pytest.raises(ArtistTransferError, match=r"width 3 .* width 4"):
        check_width(made(np.ones((2, 3))), made(np.ones((2, 4))))


@pytest.mark.parametrize("rows", [None, 1, 5])
def test_nearest_is_a_stable_sort(rows: int | None) -> None:
    draw = np.random.default_rng(3)
    gallery = unit_vectors(made(draw.normal(size=(20, 4))[draw.integers(20, size=60)]))  # many are equal
    queries = unit_vectors(made(draw.normal(size=(17, 4))))
    left_out = [draw.choice(60, size=8, replace=False) for _ in range(17)]
    positions, similarities = nearest(queries, gallery, 7, left_out=left_out, rows=rows)
    for row, all_of in enumerate(whole(queries, gallery)):
        all_of[left_out[row]] = EXCLUDED
        expected = np.argsort(-all_of.astype(np.int64), kind="stable")[:7]
        np.testing.assert_array_equal(positions[row], expected)
        np.testing.assert_array_equal(similarities[row], all_of[expected])


def test_nearest_of_too_few() -> None:
    gallery = unit_vectors(made(np.eye(3)))
    positions, similarities = nearest(gallery[:1], gallery, 5, left_out=[np.array([0])])
    assert positions.tolist() == [[1, 2, -1]]
    assert similarities.tolist() == [[0, 0, EXCLUDED]]
    with pytest.raises(ArtistTransferError, match="k must be at least 1"):
        nearest(gallery, gallery, 0)
    for how in ({"rows": 0}, {"workers": 0}):
        with pytest.raises(ArtistTransferError, match="rows and workers must be at least 1"):
            whole(gallery, gallery, **how)


def test_names_are_cut() -> None:
    assert some(["a"]) == "'a'"
    assert some(list("abcdefg"), 2) == "'a', 'b' and 5 more"
