"""GMM-UBM: bob.learn.em's adapted means and ratios, the definition, limits of the relevance, and fast scoring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.recognition.frames import SongFrames
from artist_transfer.recognition.gmm import DiagonalGmm, baum_welch, fit_gmm
from artist_transfer.recognition.gmm_kernel import log_likelihood
from artist_transfer.recognition.map_adaptation import adapt, log_likelihood_ratios
from artist_transfer.recognition.song_statistics import SongStatistics

GOLDEN = Path(__file__).parents[1] / "oracles" / "golden_bob_gmm.npz"
ARTISTS, SONGS, FRAMES, WIDTH = 20, 6, 150, 5


@pytest.fixture(scope="module")
def problem() -> tuple[DiagonalGmm, SongFrames, SongStatistics, dict[str, list[str]], list[str]]:
    """Artists whose frames are shifted, four songs to enrol and two to test."""
    draw = np.random.default_rng(0)
    scales = np.geomspace(40, 0.5, WIDTH)
    centres = draw.normal(size=(8, WIDTH)) * scales * 2 + np.r_[-300, np.zeros(WIDTH - 1)]
    songs = {}
    for artist in range(ARTISTS):
        own = draw.normal(size=(8, WIDTH)) * scales * 0.5
        for song in range(SONGS):
            which = draw.integers(8, size=FRAMES)
            songs[f"a{artist:02d}s{song}"] = (centres + own)[which] + draw.normal(size=(FRAMES, WIDTH)) * scales
    frames = SongFrames.from_arrays(songs)
    gmm, _ = fit_gmm(frames, frames.track_ids, mixtures=12, iterations=5)
    statistics = baum_welch(gmm, frames, frames.track_ids)
    groups = {f"a{k:02d}": [f"a{k:02d}s{song}" for song in range(4)] for k in range(ARTISTS)}
    tests = [f"a{k:02d}s{song}" for k in range(ARTISTS) for song in (4, 5)]
    return gmm, frames, statistics, groups, tests


@pytest.mark.parametrize(("precision", "tolerance"), [("double", 1e-9), ("single", 1e-5)])
def test_bob_adapts_and_scores_the_same(precision: str, tolerance: float) -> None:
    with np.load(GOLDEN, allow_pickle=False) as stored:
        golden = dict(stored)
    gmm = DiagonalGmm(golden["weights"], golden["means"], golden["variances"], card={})
    frames = SongFrames.from_arrays({f"s{k}": song for k, song in enumerate(golden["songs"])})
    statistics = baum_welch(gmm, frames, frames.track_ids, precision=precision)
    groups = {f"m{k}": [f"s{song}" for song in np.flatnonzero(row)] for k, row in enumerate(golden["groups"])}
    means = adapt(gmm, statistics, groups, relevance=float(golden["relevance"]))
    np.testing.assert_allclose(means, golden["adapted_means"], rtol=tolerance, atol=10 * tolerance)
    tests = [f"s{k}" for k in golden["tests"]]
    ratios = log_likelihood_ratios(gmm, means, frames, tests, precision=precision)
    np.testing.assert_allclose(ratios, golden["ratios"], rtol=0, atol=tolerance)


def test_ratios_by_the_definition(problem: tuple) -> None:
    gmm, frames, statistics, groups, tests = problem
    means = adapt(gmm, statistics, groups)
    found = log_likelihood_ratios(gmm, means, frames, tests[:5], precision="double", chunk=70)
    for column, track in enumerate(tests[:5]):
        x = frames.of(track)
        background = log_likelihood(gmm.kernel(precision="double"), x)
        for row in (0, 7, ARTISTS - 1):
            adapted = DiagonalGmm(gmm.weights, means[row], gmm.variances, card={})
            own = log_likelihood(adapted.kernel(precision="double"), x)
            np.testing.assert_allclose(found[row, column], (own - background).mean(), atol=1e-10)


def test_means_by_the_definition(problem: tuple) -> None:
    gmm, _, statistics, groups, _ = problem
    means = adapt(gmm, statistics, groups, relevance=3.0)
    rows = statistics.rows(groups["a03"])
    n, f = statistics.zeroth[rows].sum(axis=0), statistics.first[rows].astype(np.float64).sum(axis=0)
    for mixture in range(gmm.n_mixtures):
        alpha = n[mixture] / (n[mixture] + 3.0)  # equation 14 of Reynolds et al., then 12
        expected = alpha * f[mixture] / n[mixture] + (1 - alpha) * gmm.means[mixture]
        np.testing.assert_allclose(means[3, mixture], expected, rtol=1e-9)


def test_limits_of_the_relevance(problem: tuple) -> None:
    gmm, frames, statistics, groups, tests = problem
    stiff = adapt(gmm, statistics, groups, relevance=1e15)
    np.testing.assert_allclose(stiff, np.broadcast_to(gmm.means, stiff.shape), rtol=1e-9)
    ratios = log_likelihood_ratios(gmm, stiff, frames, tests, precision="double")
    np.testing.assert_allclose(ratios, 0, atol=1e-9)
    loose = adapt(gmm, statistics, groups, relevance=1e-12)
    rows = statistics.rows(groups["a00"])
    counts = statistics.zeroth[rows].sum(axis=0)
    held = counts > 1
    assert held.sum() > 3
    own = statistics.first[rows].sum(axis=0, dtype=np.float64)[held] / counts[held, None]
    np.testing.assert_allclose(loose[0, held], own, rtol=1e-9)
    unseen = SongStatistics(("a",), np.zeros((1, 12)), np.zeros((1, 12, WIDTH)), np.zeros(1))
    np.testing.assert_array_equal(adapt(gmm, unseen, {"x": ["a"]})[0], gmm.means)


def test_artists_are_recognised(problem: tuple) -> None:
    gmm, frames, statistics, groups, tests = problem
    means, told = adapt(gmm, statistics, groups), []
    scores = log_likelihood_ratios(gmm, means, frames, tests, progress=lambda *x: told.append(x))
    assert scores.shape == (ARTISTS, 2 * ARTISTS) and told[-1] == (2 * ARTISTS * FRAMES,) * 2 + ({},)
    truth = np.repeat(np.arange(ARTISTS), 2)
    assert (scores.argmax(axis=0) == truth).mean() >= 0.9
    target = truth == np.arange(ARTISTS)[:, None]
    assert scores[target].mean() > 0 > scores[~target].mean()


@pytest.mark.parametrize("top", [None, 4])
def test_chunks_and_order_change_rounding_only(problem: tuple, top: int | None) -> None:
    gmm, frames, statistics, groups, tests = problem
    means = adapt(gmm, statistics, groups)
    whole = log_likelihood_ratios(gmm, means, frames, tests, top=top)
    for chunk in (1, 37, 100_000):
        some = tests[:4] if chunk == 1 else tests
        part = log_likelihood_ratios(gmm, means, frames, some, top=top, chunk=chunk)
        np.testing.assert_allclose(part, whole[:, : len(some)], atol=2e-5)
    turned = log_likelihood_ratios(gmm, means[::-1], frames, tests[::-1], top=top)
    np.testing.assert_allclose(turned, whole[::-1, ::-1], atol=2e-5)


def test_fast_scoring_nears_the_exact_one(problem: tuple) -> None:
    gmm, frames, statistics, groups, tests = problem
    means = adapt(gmm, statistics, groups)
    exact = log_likelihood_ratios(gmm, means, frames, tests, precision="double")
    errors = []
    for top in (1, 3, 6, 11):
        fast = log_likelihood_ratios(gmm, means, frames, tests, top=top, precision="double")
        errors.append(np.abs(fast - exact).max())
    assert errors == sorted(errors, reverse=True) and errors[0] > 1e-3 and errors[-1] < 1e-3
    for top in (12, 500):
        every = log_likelihood_ratios(gmm, means, frames, tests, top=top, precision="double")
        np.testing.assert_array_equal(every, exact)


def test_fast_scoring_by_the_definition(problem: tuple) -> None:
    gmm, frames, statistics, groups, tests = problem
    means = adapt(gmm, statistics, groups)
    found = log_likelihood_ratios(gmm, means, frames, tests[:2], top=3, precision="double", chunk=64)
    for column, track in enumerate(tests[:2]):
        x = frames.of(track).astype(np.float64)[:, None]

        def joint(centres: np.ndarray, x: np.ndarray = x) -> np.ndarray:
            square = ((x - centres) ** 2 / gmm.variances).sum(axis=2)
            return np.log(gmm.weights) - 0.5 * (square + np.log(2 * np.pi * gmm.variances).sum(axis=1))

        background = joint(gmm.means)
        best = np.argsort(-background, axis=1)[:, :3]
        for row in (0, 5):
            own = np.take_along_axis(joint(means[row]), best, axis=1)
            under = np.take_along_axis(background, best, axis=1)
            ratio = np.log(np.exp(own).sum(axis=1)) - np.log(np.exp(under).sum(axis=1))
            np.testing.assert_allclose(found[row, column], ratio.mean(), atol=1e-9)


def test_impossible_adaptation(problem: tuple) -> None:
    gmm, _, statistics, _, _ = problem
    with pytest.raises(ArtistTransferError, match="relevance is 0"):
        adapt(gmm, statistics, {"x": ["a00s0"]}, relevance=0)
    with pytest.raises(ArtistTransferError, match="artist 'x' is enrolled by 0 songs"):
        adapt(gmm, statistics, {"x": []})
    with pytest.raises(ArtistTransferError, match="'x' is enrolled by 2 songs, 1 of them different"):
        adapt(gmm, statistics, {"x": ["a00s0", "a00s0"]})
    with pytest.raises(ArtistTransferError, match="first is 'silence'"):
        adapt(gmm, statistics, {"x": ["silence"]})
    other = SongStatistics(("a",), np.zeros((1, 3)), np.zeros((1, 3, WIDTH)), np.zeros(1))
    with pytest.raises(ArtistTransferError, match=r"statistics of \(3, 5\)"):
        adapt(gmm, other, {"x": ["a"]})


@pytest.mark.parametrize(("settings", "message"), [({"top": 0}, "top is 0"), ({"chunk": 0}, "chunk is 0")])
def test_impossible_scoring(problem: tuple, settings: dict[str, int], message: str) -> None:
    gmm, frames, statistics, groups, tests = problem
    means = adapt(gmm, statistics, groups)
    with pytest.raises(ArtistTransferError, match=message):
        log_likelihood_ratios(gmm, means, frames, tests, **settings)
    with pytest.raises(ArtistTransferError, match="do not fit"):
        log_likelihood_ratios(gmm, means[:, :5], frames, tests)
    with pytest.raises(ArtistTransferError, match="'silence'"):
        log_likelihood_ratios(gmm, means, frames, ["silence"])
    with pytest.raises(ArtistTransferError, match="not finite"):
        log_likelihood_ratios(gmm, means * np.nan, frames, tests)
