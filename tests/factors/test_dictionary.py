"""K-means dictionary: nearest centres, sizes, determinism."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, pairwise_distances_argmin
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning, NothingToFit
from artist_transfer.factors import dictionary as dictionary_module
from artist_transfer.factors.dictionary import (
    Dictionary,
    fit_dictionary,
    load_dictionary,
    sample_rows,
    save_dictionary,
)


def rows(n: int, d: int = 25, seed: int = 0) -> np.ndarray:
    scale = np.linspace(50, 2, d)  # as of MFCCs
    return (np.random.default_rng(seed).standard_normal((n, d)) * scale).astype(np.float32)


@pytest.mark.parametrize(("n", "k", "d"), [(1, 1, 3), (1023, 7, 25), (1024, 300, 25), (5000, 2048, 25)])
def test_words_are_the_nearest_centres(n: int, k: int, d: int) -> None:
    points, centres = rows(n, d), rows(k, d, seed=1)
    words = Dictionary(centres, 0.0, n).assign(points)
    assert words.dtype == np.int32
    exact = ((points.astype(np.float64)[:, None] - centres[None]) ** 2).sum(axis=2) if n * k < 1e6 else None
    expected = pairwise_distances_argmin(points, centres) if exact is None else exact.argmin(axis=1)
    np.testing.assert_array_equal(words, expected)


def test_words_equal_scikit_learns_prediction() -> None:
    from sklearn.cluster import MiniBatchKMeans

    points = rows(4000)
    model = MiniBatchKMeans(200, random_state=0, n_init=1).fit(points)
    words = Dictionary(model.cluster_centers_, 0.0, 0).assign(points)
    np.testing.assert_array_equal(words, model.predict(points))


def test_planted_clusters_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(8, size=2000)
    centres = rng.standard_normal((8, 10)) * 20
    points = (centres[truth] + rng.standard_normal((2000, 10))).astype(np.float32)
    dictionary = fit_dictionary(points, max_centres=8)
    assert adjusted_rand_score(truth, dictionary.assign(points)) > 0.99
    assert dictionary.inertia == pytest.approx(10, rel=0.05)  # ten coordinates of variance one


@pytest.mark.parametrize(("n", "expected"), [(5, 1), (19, 1), (20, 2), (1234, 123), (30_000, 2048)])
def test_size_is_rows_by_ten_at_most_the_maximum(n: int, expected: int) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dictionary = fit_dictionary(rows(n, 4))
    assert dictionary.size == expected
    assert dictionary.n_rows == n
    said = [str(w.message) for w in caught if issubclass(w.category, ArtistTransferWarning)]
    assert len(said) == len(dictionary.notes) == (0 if expected == 2048 else 1)
    assert all(f"{expected} centres instead of 2048" in text and str(n) in text for text in said)


def test_equal_rows_give_no_equal_centres() -> None:
    points = np.repeat(rows(3, 4), 40, axis=0)
    with pytest.warns(ArtistTransferWarning, match="3 centres instead of 12: there are no more distinct rows"):
        dictionary = fit_dictionary(points, max_centres=12)
    np.testing.assert_allclose(np.sort(dictionary.centres, axis=0), np.sort(rows(3, 4), axis=0), rtol=1e-3)
    assert set(dictionary.assign(points)) == {0, 1, 2}


def test_threads_do_not_change_a_bit() -> None:
    points = rows(4000)
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            dictionary = fit_dictionary(points, max_centres=200)
            results.append((dictionary.centres.tobytes(), dictionary.inertia, dictionary.assign(points).tobytes()))
    assert results[0] == results[1]
    assert fit_dictionary(points, max_centres=200, seed=1).centres.tobytes() != results[0][0]


def test_bars_count_every_step_and_row(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.cluster import MiniBatchKMeans

    bars: list[tqdm] = []

    class Bar(tqdm):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            bars.append(self)

    monkeypatch.setattr(dictionary_module, "tqdm", Bar)
    points = rows(4000, 4)
    found = fit_dictionary(points, max_centres=50, label="MFCC")
    counts = {bar.desc: (bar.n, bar.total) for bar in bars}
    assert counts == {"MFCC: k-means": (101, 101), "MFCC: distances": (4000, 4000)}
    plain = MiniBatchKMeans(
        50, n_init=1, max_iter=26, batch_size=1024, max_no_improvement=None, compute_labels=False, random_state=0
    )
    np.testing.assert_array_equal(found.centres, plain.fit(points).cluster_centers_)


def test_stored_and_read_again_with_equal_bytes(tmp_path) -> None:
    with pytest.warns(ArtistTransferWarning):
        dictionary = fit_dictionary(rows(300))
    for name in ("a.npz", "b.npz"):
        save_dictionary(tmp_path / name, dictionary)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = load_dictionary(tmp_path / "a.npz")
    np.testing.assert_array_equal(again.centres, dictionary.centres)
    assert (again.inertia, again.n_rows, again.notes) == (dictionary.inertia, 300, dictionary.notes)


@pytest.mark.parametrize("bad", [np.empty((0, 5)), np.array([[1.0, np.inf]] * 20), np.ones(5)])
def test_impossible_rows_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ArtistTransferError):
        fit_dictionary(bad)


class TestSample:
    lengths: ClassVar = {"a": 1000, "b": 3000, "c": 10}

    def of(self, track_id: str) -> np.ndarray:
        start = {"a": 0, "b": 10_000, "c": 20_000}[track_id]
        return np.arange(start, start + self.lengths[track_id], dtype=np.float32)[:, None]

    def draw(self, ids: str, **options: int) -> np.ndarray:
        return sample_rows(ids, rows_of=self.of, n_rows=self.lengths, **options)[:, 0]

    def test_all_rows_where_they_fit(self) -> None:
        assert len(self.draw("abc", max_rows=4010)) == 4010

    def test_shares_follow_the_lengths_without_repetition(self) -> None:
        drawn = self.draw("abc", max_rows=401)
        assert len(np.unique(drawn)) == len(drawn)
        counts = [(drawn < 9000).sum(), ((drawn >= 10_000) & (drawn < 20_000)).sum(), (drawn >= 20_000).sum()]
        assert counts == [100, 300, 1]

    def test_order_of_tracks_is_without_effect(self) -> None:
        np.testing.assert_array_equal(self.draw("cab", max_rows=50), self.draw("abc", max_rows=50))

    def test_seed_has_effect(self) -> None:
        assert not np.array_equal(self.draw("abc", max_rows=50), self.draw("abc", max_rows=50, seed=1))

    def test_rows_of_a_track_depend_on_no_other_track(self) -> None:
        both = self.draw("ab", max_rows=400)  # a tenth of each
        alone = self.draw("a", max_rows=100)
        np.testing.assert_array_equal(both[both < 9000], alone)

    def test_nothing_to_draw_is_refused(self) -> None:
        with pytest.raises(NothingToFit):
            sample_rows(["x"], rows_of=lambda _: np.empty((0, 3)), n_rows={"x": 0})
