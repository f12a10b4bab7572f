"""i-vectors: bob.learn.em's numbers, brute-force Gaussians, an objective that never falls, chunks change nothing."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.recognition.frames import SongFrames
from artist_transfer.recognition.gmm import DiagonalGmm, baum_welch
from artist_transfer.recognition.ivector import TotalVariability, extract, fit_total_variability
from artist_transfer.recognition.ivector_em import Triangles
from artist_transfer.recognition.ivector_songs import squares_by_mixture

GOLDEN = Path(__file__).parents[1] / "oracles" / "golden_bob_ivector.npz"
C, D, R, N = 5, 4, 3, 60
ROUNDING = 1e-12  # nats a frame


@dataclass(frozen=True)
class Mixture:
    means: np.ndarray
    variances: np.ndarray


@dataclass(frozen=True)
class Statistics:
    track_ids: tuple[str, ...]
    zeroth: np.ndarray
    first: np.ndarray


@dataclass(frozen=True)
class Corpus:
    """Songs drawn from a model, each frame with its true mixture."""

    gmm: Mixture
    loadings: np.ndarray  # (C, D, R)
    factors: np.ndarray  # (N, R)
    frames: list[np.ndarray]
    which: list[np.ndarray]
    statistics: Statistics
    squares: np.ndarray  # (N, C, D)


def drawn(seed: int = 0, *, n: int = N, frames: tuple[int, int] = (15, 60), size: float = 0.8) -> Corpus:
    draw = np.random.default_rng(seed)
    gmm = Mixture(draw.normal(size=(C, D)) * 10, draw.uniform(0.5, 3, size=(C, D)) * np.array([100, 10, 1, 0.1]))
    loadings = draw.normal(size=(C, D, R)) * np.sqrt(gmm.variances)[:, :, None] * size
    factors = draw.normal(size=(n, R))
    songs, mixtures = [], []
    for w in factors:
        which = draw.choice(C, size=draw.integers(*frames), p=np.full(C, 1 / C))
        shifted = gmm.means + loadings @ w
        songs.append(shifted[which] + draw.normal(size=(len(which), D)) * np.sqrt(gmm.variances[which]))
        mixtures.append(which)
    hot = [np.eye(C)[which] for which in mixtures]
    zeroth = np.stack([x.sum(axis=0) for x in hot])
    first, squares = (np.stack([x.T @ song**power for x, song in zip(hot, songs)]) for power in (1, 2))
    statistics = Statistics(tuple(f"s{k:03d}" for k in range(n)), zeroth, first)
    return Corpus(gmm, loadings, factors, songs, mixtures, statistics, squares)


def fit(corpus: Corpus, **how) -> tuple[TotalVariability, list[float]]:
    return fit_total_variability(corpus.gmm, corpus.statistics, **{"dimension": R, **how})


def densities(corpus: Corpus, model: TotalVariability, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and covariance of all frames of a song at once, given their mixtures, and their covariance with w."""
    which = corpus.which[k]
    loadings = model.T[which].reshape(-1, model.T.shape[2])  # (frame · coefficient, R)
    return model.means[which].ravel(), np.diag(model.sigma[which].ravel()) + loadings @ loadings.T, loadings


@pytest.mark.parametrize(("name", "update_sigma"), [("fixed", False), ("free", True)])
def test_it_is_bobs(name: str, update_sigma: bool) -> None:
    with np.load(GOLDEN, allow_pickle=False) as file:
        golden = dict(file)
    n, ids = int(golden["n_training"]), tuple(f"s{k:02d}" for k in range(len(golden["zeroth"])))
    statistics = Statistics(ids, golden["zeroth"], golden["first"])
    model, history = fit_total_variability(
        Mixture(golden["means"], golden["variances"]),
        statistics,
        train_ids=ids[:n],
        dimension=golden["start"].shape[2],
        iterations=int(golden["iterations"]),
        start=golden["start"],
        minimum_divergence=False,
        update_sigma=update_sigma,
        second=golden["second"][:n].sum(axis=0),
    )
    assert n < len(ids) and np.diff(history).min() > 0
    vectors = extract(model, statistics).vectors
    for found, expected in ((model.T, "T"), (model.sigma, "sigma"), (vectors, "vectors")):
        theirs = golden[f"{name}_{expected}"]
        np.testing.assert_allclose(found, theirs, rtol=1e-9, atol=1e-11 * np.abs(theirs).max())
    assert update_sigma == (not np.array_equal(model.sigma, golden["variances"]))


@pytest.mark.parametrize(("minimum_divergence", "update_sigma"), [(False, False), (True, True)])
def test_it_is_the_joint_gaussian_of_all_frames(minimum_divergence: bool, update_sigma: bool) -> None:
    corpus = drawn(1, n=12)
    model, history = fit(
        corpus,
        iterations=3,
        minimum_divergence=minimum_divergence,
        update_sigma=update_sigma,
        second=corpus.squares.sum(axis=0),
    )
    vectors = extract(model, corpus.statistics).vectors
    gain = 0.0
    for k, song in enumerate(corpus.frames):
        mean, covariance, loadings = densities(corpus, model, k)
        which = corpus.which[k]
        without = multivariate_normal.logpdf(
            song.ravel(), corpus.gmm.means[which].ravel(), np.diag(corpus.gmm.variances[which].ravel())
        )
        gain += multivariate_normal.logpdf(song.ravel(), mean, covariance) - without
        expected = loadings.T @ np.linalg.solve(covariance, song.ravel() - mean)
        np.testing.assert_allclose(vectors[k], expected, rtol=1e-8, atol=1e-10)
    assert history[-1] == pytest.approx(gain / sum(map(len, corpus.frames)), rel=1e-10)


def test_triangles_are_there_and_back() -> None:
    x = torch.randn(4, 7, 7, dtype=torch.float64)
    packed = Triangles(7).pack(x)
    assert packed.shape == (4, 28)
    torch.testing.assert_close(Triangles(7).lower(packed), x.tril(), rtol=0, atol=0)


@pytest.mark.parametrize("update_sigma", [False, True])
@pytest.mark.parametrize("minimum_divergence", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_objective_never_falls(seed: int, minimum_divergence: bool, update_sigma: bool) -> None:
    corpus = drawn(seed)
    how = {"minimum_divergence": minimum_divergence, "update_sigma": update_sigma}
    _, history = fit(corpus, iterations=40, seed=seed, second=corpus.squares.sum(axis=0), **how)
    assert len(history) == 41
    assert np.diff(history).min() >= -ROUNDING
    assert history[5] > history[0] + 0.01


def test_iterations_and_their_objectives_are_told() -> None:
    corpus, told = drawn(0), []
    model, history = fit(corpus, iterations=3, progress=lambda *x: told.append(x))
    assert told == [(0, 3, {}), *((k, 3, {"gain": history[at]}) for k, at in ((1, 0), (2, 1), (3, 3)))]
    np.testing.assert_array_equal(model.T, fit(corpus, iterations=3)[0].T)


def test_the_objective_never_falls_where_variances_meet_their_floor() -> None:
    corpus = drawn(3)
    wide = replace(corpus, gmm=Mixture(corpus.gmm.means, corpus.gmm.variances * np.array([4, 1, 1, 0.2])))
    how = {"iterations": 15, "update_sigma": True, "variance_floor": 0.9}
    model, history = fit(wide, second=wide.squares.sum(axis=0), **how)
    share = model.sigma / wide.gmm.variances
    assert (share == 0.9).any() and (share > 2).any() and share.min() == 0.9
    assert np.diff(history).min() >= -ROUNDING


def test_single_precision_and_soft_occupancies() -> None:
    draw, corpus = np.random.default_rng(5), drawn(5)
    soft = draw.dirichlet(np.full(C, 0.3), size=N) * draw.uniform(0.01, 200, size=(N, 1))
    first = soft[:, :, None] * (corpus.gmm.means + draw.normal(size=(N, C, D)) * np.sqrt(corpus.gmm.variances))
    single = Statistics(corpus.statistics.track_ids, soft.astype(np.float32), first.astype(np.float32))
    _, history = fit(replace(corpus, statistics=single), iterations=30)
    assert np.diff(history).min() >= -ROUNDING
    _, double = fit(replace(corpus, statistics=Statistics(single.track_ids, soft, first)), iterations=30)
    np.testing.assert_allclose(history, double, rtol=1e-4)


def test_it_finds_the_model_that_made_the_songs() -> None:
    corpus = drawn(6, n=400, frames=(100, 200))
    scale = np.sqrt(corpus.gmm.variances)[:, :, None]
    model, history = fit(corpus, iterations=30, minimum_divergence=True)
    true, found = ((x / scale).reshape(C * D, R) for x in (corpus.loadings, model.T))
    cosines = np.linalg.svd(np.linalg.qr(true)[0].T @ np.linalg.qr(found)[0], compute_uv=False)
    assert cosines.min() > 0.99
    np.testing.assert_allclose(found @ found.T, true @ true.T, atol=0.15 * np.abs(true @ true.T).max())
    truth = TotalVariability(corpus.gmm.means, corpus.loadings, corpus.gmm.variances, {})
    vectors = extract(truth, corpus.statistics).vectors
    assert np.corrcoef(vectors.ravel(), corpus.factors.ravel())[0, 1] > 0.98
    at_truth = fit_total_variability(corpus.gmm, corpus.statistics, dimension=R, iterations=1, start=corpus.loadings)[
        1
    ][0]
    assert history[-1] > at_truth > 0


def test_with_minimum_divergence_the_size_of_the_start_does_not_matter() -> None:
    corpus = drawn(7)
    start = np.random.default_rng(0).normal(size=(C, D, R)) * np.sqrt(corpus.gmm.variances)[:, :, None]
    sizes = (0.02, 0.3, 5)
    plain, with_it = (
        [fit(corpus, start=start * size, minimum_divergence=x)[1][-1] for size in sizes] for x in (False, True)
    )
    assert np.ptp(with_it) < 0.005 * max(with_it) and np.ptp(plain) > 0.05 * max(plain)
    assert min(with_it) > max(plain) - 1e-3


def test_minimum_divergence_makes_the_factor_standard_normal() -> None:
    corpus = drawn(7)
    with_it, _ = fit(corpus, iterations=200, minimum_divergence=True)
    vectors = extract(with_it, corpus.statistics).vectors
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-3)
    precision = np.eye(R) + np.einsum(
        "nc,cdr,cds->nrs", corpus.statistics.zeroth, with_it.T / with_it.sigma[:, :, None], with_it.T
    )
    moment = np.linalg.inv(precision).mean(axis=0) + vectors.T @ vectors / N
    np.testing.assert_allclose(moment, np.eye(R), atol=1e-3)
    assert not np.array_equal(with_it.means, corpus.gmm.means)
    np.testing.assert_array_equal(fit(corpus, minimum_divergence=False)[0].means, corpus.gmm.means)


def test_one_minimum_divergence_step_by_hand() -> None:
    corpus = drawn(15, n=8)
    start = np.random.default_rng(1).normal(size=(C, D, R)) * np.sqrt(corpus.gmm.variances)[:, :, None]
    begin = TotalVariability(corpus.gmm.means, start, corpus.gmm.variances, {})
    vectors = extract(begin, corpus.statistics).vectors
    precisions = np.eye(R) + np.einsum(
        "nc,cdr,cds->nrs", corpus.statistics.zeroth, start / corpus.gmm.variances[:, :, None], start
    )
    mean = vectors.mean(axis=0)
    spread = np.linalg.inv(precisions).mean(axis=0) + np.cov(vectors.T, bias=True)
    plain, found = (fit(corpus, start=start, iterations=1, minimum_divergence=x)[0] for x in (False, True))
    assert np.abs(mean).max() > 0.05
    np.testing.assert_allclose(found.means, corpus.gmm.means + plain.T @ mean, rtol=1e-9)
    flat, before = (x.T.reshape(C * D, R) for x in (found, plain))
    expected = before @ spread @ before.T
    np.testing.assert_allclose(flat @ flat.T, expected, rtol=1e-8, atol=1e-10 * np.abs(expected).max())


def same(a: TotalVariability, b: TotalVariability) -> bool:
    return all(np.array_equal(x, y) for x, y in ((a.means, b.means), (a.T, b.T), (a.sigma, b.sigma)))


def test_chunks_change_nothing_but_rounding() -> None:
    corpus = drawn(8)
    how = {"minimum_divergence": True, "update_sigma": True, "second": corpus.squares.sum(axis=0)}
    expected, history = fit(corpus, **how)
    vectors = extract(expected, corpus.statistics).vectors
    for chunk in (1, 7, N):
        found, other = fit(corpus, chunk=chunk, **how)
        np.testing.assert_allclose(other, history, rtol=1e-10)
        for a, b in ((found.means, expected.means), (found.T, expected.T), (found.sigma, expected.sigma)):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10 * np.abs(b).max())
        np.testing.assert_allclose(extract(expected, corpus.statistics, chunk=chunk).vectors, vectors, rtol=1e-9)


def test_seeds_and_the_order_of_rows() -> None:
    corpus = drawn(9)
    expected = fit(corpus)[0]
    assert same(fit(corpus)[0], expected)
    assert not np.allclose(fit(corpus, seed=1)[0].T, expected.T)
    order = np.random.default_rng(0).permutation(N)
    s = corpus.statistics
    turned = Statistics(tuple(s.track_ids[k] for k in order), s.zeroth[order], s.first[order])
    assert same(fit(replace(corpus, statistics=turned))[0], expected)
    found = extract(expected, turned)
    assert found.track_ids == turned.track_ids and found.vectors.dtype == np.float64
    np.testing.assert_allclose(found.of(s.track_ids), extract(expected, s).vectors, rtol=1e-10)
    some = ("s007", "s003")
    assert extract(expected, s, track_ids=some).track_ids == some
    np.testing.assert_allclose(extract(expected, s, track_ids=some).vectors, found.of(some), rtol=1e-10)


def test_other_songs_are_not_read() -> None:
    corpus = drawn(10)
    s, train = corpus.statistics, corpus.statistics.track_ids[:40]
    expected = fit(corpus, train_ids=train)[0]
    alone = Statistics(train, s.zeroth[:40], s.first[:40])
    assert same(fit(replace(corpus, statistics=alone))[0], expected)
    spoilt = Statistics(s.track_ids, s.zeroth.copy(), s.first.copy())
    spoilt.first[40:] = np.nan
    spoilt.zeroth[45:] = -1
    assert same(fit(replace(corpus, statistics=spoilt), train_ids=reversed(train))[0], expected)
    assert not same(fit(corpus)[0], expected)


def test_fewer_dimensions_are_named() -> None:
    few = drawn(n=4)
    with pytest.warns(ArtistTransferWarning, match=r"400 dimensions .* supports 3: 4 songs allow 3, 5 .* × 4 .* 20$"):
        model, history = fit_total_variability(few.gmm, few.statistics)
    assert model.T.shape == (C, D, 3) and model.card["dimension"] == 3 and model.card["n_wanted"] == 400
    assert np.diff(history).min() >= -ROUNDING
    corpus = drawn()
    s = corpus.statistics
    zeroth, first = s.zeroth.copy(), s.first.copy()
    zeroth[:, 1] = first[:, 1] = 0
    lacking = replace(corpus, statistics=Statistics(s.track_ids, zeroth, first))
    with pytest.warns(ArtistTransferWarning, match=r"17 dimensions .* supports 16: 60 songs allow 59, 4 .* × 4 .* 16$"):
        model, history = fit(lacking, dimension=17)
    assert model.card["n_empty_mixtures"] == 1 and not model.T[1].any() and model.T[0].any()
    assert np.isfinite(model.T).all() and np.diff(history).min() >= -ROUNDING
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(lacking, dimension=16)


def test_songs_without_frames_are_counted_and_named() -> None:
    corpus = drawn(11)
    s = corpus.statistics
    zeroth, first = s.zeroth.copy(), s.first.copy()
    zeroth[[5, 8]] = first[[5, 8]] = 0
    silent = replace(corpus, statistics=Statistics(s.track_ids, zeroth, first))
    model, _ = fit(silent)
    assert model.card["n_songs"] == N - 2 and model.card["n_songs_without_frames"] == 2
    assert same(model, fit(corpus, train_ids=[x for x in s.track_ids if x not in ("s005", "s008")])[0])
    with pytest.raises(ArtistTransferError, match="2 songs have no frame: 's005', 's008'"):
        extract(model, silent.statistics)
    assert extract(model, silent.statistics, track_ids=s.track_ids[:5]).width == R


def test_errors() -> None:
    corpus = drawn(n=6)
    s = corpus.statistics
    for how, message in (
        ({"dimension": 0}, "at least 1, found 0, 5 and None"),
        ({"iterations": 0}, "at least 1, found 3, 0 and None"),
        ({"chunk": 0}, "at least 1, found 3, 5 and 0"),
        ({"variance_floor": 0.0}, "variance_floor must be above 0"),
        ({"update_sigma": True}, r"of shape \(5, 4\); found none"),
        ({"update_sigma": True, "second": np.ones((4, 5))}, r"found shape \(4, 5\)"),
        ({"start": np.ones((C, D, 2))}, r"of shape \(5, 4, 3\); found \(5, 4, 2\)"),
        ({"start": np.full((C, D, R), np.nan)}, "the start must be finite"),
        ({"start": np.full((C, D, R), 1e200)}, "no finite covariance"),
        ({"train_ids": ["s000", "s001", "other"]}, "no statistics of 1 songs: 'other'"),
        ({"train_ids": ["s000"]}, "at least two training songs with frames are needed, found 1 of 1"),
    ):
        with pytest.raises(ArtistTransferError, match=message):
            fit(corpus, **how)
    for name, value in (("first", np.nan), ("first", np.inf), ("zeroth", np.nan), ("zeroth", -1.0)):
        spoilt = Statistics(s.track_ids, s.zeroth.copy(), s.first.copy())
        getattr(spoilt, name)[4, 2] = value
        with pytest.raises(ArtistTransferError, match=r"statistics of 1 songs are not finite.*'s004'"):
            fit(replace(corpus, statistics=spoilt))
        with pytest.raises(ArtistTransferError, match="'s004'"):
            extract(fit(corpus)[0], spoilt)
    with pytest.raises(ArtistTransferError, match=r"5 mixtures of 4 coefficients, .* of 6 songs have shapes \(6, 4\)"):
        fit(replace(corpus, statistics=Statistics(s.track_ids, s.zeroth[:, :4], s.first[:, :4])))
    with pytest.raises(ArtistTransferError, match=r"all above 0; .* smallest variance 0"):
        fit(replace(corpus, gmm=Mixture(corpus.gmm.means, corpus.gmm.variances * 0)))


def test_it_is_saved_and_read(tmp_path: Path) -> None:
    corpus = drawn(12)
    model, _ = fit(corpus, minimum_divergence=True)
    model.save(tmp_path / "one")
    again = TotalVariability.load(tmp_path / "one")
    assert same(again, model) and again.card == model.card
    fit(corpus, minimum_divergence=True)[0].save(tmp_path / "two")
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    with pytest.raises(ArtistTransferError, match="no finished total variability"):
        TotalVariability.load(tmp_path / "three")


def test_squares_and_the_whole_way_from_frames() -> None:
    corpus = drawn(13, n=30)
    songs = dict(zip(corpus.statistics.track_ids, (x.astype(np.float32) for x in corpus.frames)))
    frames = SongFrames.from_arrays(songs)
    gmm = DiagonalGmm(np.full(C, 1 / C), corpus.gmm.means, corpus.gmm.variances, {})
    train = list(songs)[:20]
    squares = squares_by_mixture(gmm, frames, train, precision="double")
    rows = np.concatenate([songs[x] for x in train]).astype(np.float64)
    joint = -0.5 * ((rows[:, None] - gmm.means) ** 2 / gmm.variances + np.log(gmm.variances)).sum(axis=2)
    share = np.exp(joint - joint.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(squares, share.T @ rows**2, rtol=1e-9)
    np.testing.assert_allclose(squares_by_mixture(gmm, frames, train, chunk=17), squares, rtol=1e-3)
    statistics = baum_welch(gmm, frames, songs, precision="double")
    model, history = fit_total_variability(
        gmm, statistics, train_ids=train, dimension=R, iterations=15, update_sigma=True, second=squares
    )
    assert np.diff(history).min() >= -ROUNDING
    vectors = extract(model, statistics).of(list(songs))
    basis = np.c_[np.ones(30), vectors]
    left = corpus.factors - basis @ np.linalg.lstsq(basis, corpus.factors)[0]
    assert (left**2).sum() < 0.25 * ((corpus.factors - corpus.factors.mean(axis=0)) ** 2).sum()
    with pytest.raises(ArtistTransferError, match="GMM of 3 coefficients, found frames of 4"):
        squares_by_mixture(DiagonalGmm(gmm.weights, gmm.means[:, :3], gmm.variances[:, :3], {}), frames, train)
    songs[train[3]][0, 1] = np.nan
    with pytest.raises(ArtistTransferError, match="frame is not finite"):
        squares_by_mixture(gmm, SongFrames.from_arrays(songs), train)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same() -> None:
    corpus = drawn(14)
    how = {"minimum_divergence": True, "update_sigma": True, "second": corpus.squares.sum(axis=0)}
    (one, history), (two, other) = fit(corpus, **how), fit(corpus, device="cuda", **how)
    np.testing.assert_allclose(other, history, rtol=1e-9)
    np.testing.assert_allclose(two.T, one.T, rtol=1e-6, atol=1e-9 * np.abs(one.T).max())
    vectors = (extract(one, corpus.statistics, device=device).vectors for device in ("cpu", "cuda"))
    np.testing.assert_allclose(*vectors, rtol=1e-8, atol=1e-10)
