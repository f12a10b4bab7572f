"""Average precision: scikit-learn's, worked by hand, ties in every order, and nothing that depends on blocks."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation import cosine
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.retrieval import (
    Retrieval,
    average_precisions,
    chance_average_precision,
    mean_average_precision,
)


def made(vectors: np.ndarray, prefix: str = "t") -> Embeddings:
    return Embeddings(tuple(f"{prefix}{k:04d}" for k in range(len(vectors))), np.asarray(vectors, dtype=np.float32))


def labelled(embeddings: Embeddings, names: list[str] | np.ndarray) -> dict[str, str | None]:
    return {track: None if name is None else str(name) for track, name in zip(embeddings.track_ids, names)}


def by_track(found: Retrieval, column: str = "ap") -> dict[str, float]:
    return dict(zip(found.table["track_id"], found.table[column]))


def corpus(n: int = 120, *, width: int = 10, classes: int = 4, seed: int = 0) -> tuple[Embeddings, dict]:
    draw = np.random.default_rng(seed)
    genre = draw.integers(classes, size=n)
    embeddings = made(draw.normal(size=(n, width)) + 0.7 * np.eye(classes, width)[genre])
    return embeddings, labelled(embeddings, genre)


def by_definition(order: list[bool]) -> float:
    """Equation 3: mean over the relevant of the share of relevant ones among the first k."""
    return float(np.mean([sum(order[: k + 1]) / (k + 1) for k, hit in enumerate(order) if hit]))


def test_a_ranking_worked_by_hand() -> None:
    # cosines with a: b .9 (relevant), c .5, d .3 (relevant), e 0, f -.5 (relevant): (1/1 + 2/3 + 3/5) / 3
    cosines = np.array([1.0, 0.9, 0.5, 0.3, 0.0, -0.5])
    embeddings = made(np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1))
    labels = labelled(embeddings, ["x", "x", "y", "x", "y", "x"])
    assert by_track(average_precisions(embeddings, labels))["t0000"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert by_definition([True, False, True, False, True]) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


@pytest.mark.parametrize("seed", range(4))
def test_without_ties_it_is_scikit_learns(seed: int) -> None:
    embeddings, labels = corpus(seed=seed)
    units = embeddings.vectors.astype(float)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    found = by_track(average_precisions(embeddings, labels))
    names = np.array(list(labels.values()))
    for k, track in enumerate(embeddings.track_ids):
        others = np.arange(len(units)) != k  # a query is not its own answer
        expected = average_precision_score(names[others] == names[k], units[others] @ units[k])
        assert found[track] == pytest.approx(expected, abs=1e-9)
    assert mean_average_precision(embeddings, labels) == pytest.approx(np.mean(list(found.values())))


def test_queries_and_gallery_apart() -> None:
    embeddings, labels = corpus(90)
    queries = Embeddings(embeddings.track_ids[:30], embeddings.vectors[:30])
    gallery = Embeddings(embeddings.track_ids[30:], embeddings.vectors[30:])
    found = average_precisions(queries, labels, gallery=gallery)
    units = embeddings.vectors / np.linalg.norm(embeddings.vectors.astype(float), axis=1, keepdims=True)
    names = np.array(list(labels.values()))
    expected = [average_precision_score(names[30:] == names[k], units[30:] @ units[k]) for k in range(30)]
    np.testing.assert_allclose(found.table["ap"], expected, atol=1e-9)
    assert (found.table["n_candidates"] == 60).all()
    # a gallery that has the queries too: each is left out for itself only, so this is retrieval within the corpus
    within = by_track(average_precisions(embeddings, labels))
    both = average_precisions(queries, labels, gallery=embeddings)
    assert all(within[track] == value for track, value in by_track(both).items())


@pytest.mark.parametrize("seed", range(6))
def test_of_equals_every_order_counts_alike(seed: int) -> None:
    draw = np.random.default_rng(seed)
    levels = draw.integers(0, 3, size=6)  # cosines of six candidates, many equal
    relevant = draw.random(6) < 0.5
    relevant[0] = True
    cosines = np.array([1.0, *(levels / 4)])
    embeddings = made(np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1))
    labels = labelled(embeddings, ["x", *np.where(relevant, "x", "y")])
    orders = [
        by_definition([bool(relevant[k]) for k in order])
        for order in itertools.permutations(range(6))
        if all(levels[a] >= levels[b] for a, b in itertools.pairwise(order))
    ]
    assert by_track(average_precisions(embeddings, labels))["t0000"] == pytest.approx(np.mean(orders), abs=1e-12)


def test_equal_vectors_get_what_chance_gets() -> None:
    embeddings = made(np.ones((40, 3)))
    found = average_precisions(embeddings, labelled(embeddings, [k % 4 for k in range(40)]))
    np.testing.assert_allclose(found.table["ap"], found.table["chance"], rtol=1e-12)
    assert 9 / 39 < found.mean < 0.4


def test_chance_is_the_mean_over_random_orders() -> None:
    orders = set(itertools.permutations([True, True, True, False, False, False, False]))
    assert float(chance_average_precision(3, 7)) == pytest.approx(np.mean([by_definition(list(x)) for x in orders]))
    np.testing.assert_allclose(chance_average_precision(np.array([1, 5, 1]), np.array([1, 5, 2])), [1, 1, 0.75])
    assert np.isnan(chance_average_precision(np.array([0, 0]), np.array([0, 4]))).all()


def test_row_order_and_blocks_change_nothing() -> None:
    embeddings, labels = corpus(100)
    copies = Embeddings(
        (*embeddings.track_ids, *(f"u{k}" for k in range(20))),
        np.concatenate([embeddings.vectors, embeddings.vectors[:20]]),
    )
    labels |= {f"u{k}": str(k % 4) for k in range(20)}
    expected = average_precisions(copies, labels).table
    for rows, workers in ((1, 1), (7, 2), (64, 3), (5000, 1)):
        assert average_precisions(copies, labels, rows=rows, workers=workers).table.equals(expected)
    order = np.random.default_rng(0).permutation(120)
    turned = Embeddings(tuple(copies.track_ids[k] for k in order), copies.vectors[order])
    assert average_precisions(turned, labels).table.equals(expected)


def test_groups_are_left_out() -> None:
    embeddings, labels = corpus(60)
    recordings = {track: f"r{k // 3}" for k, track in enumerate(embeddings.track_ids)}
    albums = {track: f"a{k // 10}" if k < 30 else None for k, track in enumerate(embeddings.track_ids)}
    found = average_precisions(embeddings, labels, leave_out=[recordings, albums])
    units = embeddings.vectors / np.linalg.norm(embeddings.vectors.astype(float), axis=1, keepdims=True)
    names = np.array(list(labels.values()))
    for k, (ap, n) in enumerate(zip(found.table["ap"], found.table["n_candidates"])):
        keep = np.array([j // 3 != k // 3 and not (k < 30 and j < 30 and j // 10 == k // 10) for j in range(60)])
        assert n == keep.sum()
        assert ap == pytest.approx(average_precision_score(names[keep] == names[k], units[keep] @ units[k]), abs=1e-9)


def test_artist_retrieval_without_the_own_recording() -> None:
    # two clips of each recording are alike; artists are not: with its recording left out a clip finds nothing
    draw = np.random.default_rng(5)
    embeddings = made(np.repeat(draw.normal(size=(100, 16)), 2, axis=0))
    artists = labelled(embeddings, [k // 4 for k in range(200)])
    recordings = labelled(embeddings, [k // 2 for k in range(200)])
    assert average_precisions(embeddings, artists).mean > 1 / 3  # the other clip comes first
    fair = average_precisions(embeddings, artists, leave_out=[recordings])
    assert fair.mean < 0.1
    assert (fair.table["n_relevant"] == 2).all() and (fair.table["n_candidates"] == 198).all()


def test_a_query_without_a_relevant_track_is_counted_not_zero() -> None:
    embeddings, labels = corpus(30)
    labels[embeddings.track_ids[4]] = "alone"
    labels[embeddings.track_ids[7]] = None
    labels[embeddings.track_ids[8]] = float("nan")
    found = average_precisions(embeddings, labels)
    assert found.counts == {
        "n_queries": 28,
        "n_undefined": 1,
        "n_queries_without_label": 2,
        "n_gallery": 28,
        "n_gallery_without_label": 2,
    }
    assert found.undefined == {"alone": 1}
    values = by_track(found)
    assert np.isnan(values[embeddings.track_ids[4]])
    assert found.mean == pytest.approx(np.nanmean(list(values.values())))
    assert (found.table["n_candidates"] == 27).all()  # of 28, one's own left out


def test_a_label_of_one_side_only() -> None:
    embeddings, labels = corpus(40)
    queries = Embeddings(embeddings.track_ids[:10], embeddings.vectors[:10])
    gallery = Embeddings(embeddings.track_ids[10:], embeddings.vectors[10:])
    labels[queries.track_ids[0]] = "new"
    found = average_precisions(queries, labels, gallery=gallery)
    assert found.undefined == {"new": 1}
    assert found.table["ap"].isna().sum() == 1


def test_perfect_and_worst() -> None:
    embeddings = made(np.repeat(np.eye(3), 5, axis=0))
    assert average_precisions(embeddings, labelled(embeddings, np.arange(15) // 5)).mean == 1
    two = made(np.array([[1.0, 0], [-1, 0], [0.9, 0.1], [0.8, 0.2]]))
    worst = average_precisions(two, labelled(two, ["x", "x", "y", "z"]))
    assert by_track(worst)["t0000"] == pytest.approx(1 / 3)


def test_nothing_to_ask_is_an_error() -> None:
    embeddings, _ = corpus(10)
    with pytest.raises(ArtistTransferError, match="no query has a label"):
        average_precisions(embeddings, {})
    with pytest.raises(ArtistTransferError, match=r"width 10 .* width 3"):
        average_precisions(embeddings, labelled(embeddings, range(10)), gallery=made(np.ones((2, 3)), "g"))


@pytest.mark.parametrize(("n_queries", "n_gallery"), [(3000, 3000), (6000, 20)])
def test_memory_is_that_of_a_block_not_of_the_matrix(
    monkeypatch: pytest.MonkeyPatch, n_queries: int, n_gallery: int
) -> None:
    monkeypatch.setattr(cosine, "BLOCK", 1 << 17)
    queries, labels = corpus(n_queries, width=8)
    gallery = Embeddings(queries.track_ids[:n_gallery], queries.vectors[:n_gallery])
    tracemalloc.start()
    average_precisions(queries, labels, gallery=gallery, workers=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # all cosines at once would be 36 MB as whole numbers and 72 MB before that
