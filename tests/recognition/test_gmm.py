"""The background model: bob.learn.em's numbers, brute force, EM that never falls, and memory that does not grow."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.mixture import GaussianMixture

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.recognition.frames import SongFrames
from artist_transfer.recognition.gmm import CARD, WEIGHTS, DiagonalGmm, baum_welch, fit_gmm
from artist_transfer.recognition.gmm_kernel import log_likelihood
from artist_transfer.recognition.song_statistics import SongStatistics

GOLDEN = Path(__file__).parents[1] / "oracles" / "golden_bob_gmm.npz"
TOLERANCE = {"double": 1e-9, "single": 1e-4}  # of a parameter's or a statistic's scale
FLOOR = 1e-6


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN, allow_pickle=False) as stored:
        return dict(stored)


def golden_frames(golden: Mapping[str, np.ndarray]) -> SongFrames:
    return SongFrames.from_arrays({f"s{k}": song for k, song in enumerate(golden["songs"])})


def golden_gmm(golden: Mapping[str, np.ndarray], prefix: str = "") -> DiagonalGmm:
    return DiagonalGmm(*(golden[f"{prefix}{name}"] for name in ("weights", "means", "variances")), card={})


def made_up(seed: int, songs: int = 12, frames: int = 90, width: int = 6) -> SongFrames:
    """Frames off the origin, of unlike scales, as the level and the higher coefficients are."""
    draw = np.random.default_rng(seed)
    scales = np.geomspace(40, 0.5, width)
    centres = draw.normal(size=(10, width)) * scales * 2 + np.r_[-300, np.zeros(width - 1)]
    which = draw.integers(len(centres), size=(songs, frames))
    noise = draw.normal(size=(songs, frames, width)) * scales * draw.uniform(0.3, 1.5, size=(10, 1))[which]
    values = centres[which] + noise
    return SongFrames.from_arrays({f"t{k:02d}": song for k, song in enumerate(values)})


@pytest.mark.parametrize("precision", ["double", "single"])
def test_bob_fits_the_same(golden: dict[str, np.ndarray], precision: str) -> None:
    frames, start = golden_frames(golden), golden_gmm(golden, "start_")
    gmm, history = fit_gmm(
        frames,
        frames.track_ids,
        mixtures=8,
        iterations=len(golden["history"]),
        start=start,
        variance_floor=FLOOR,
        precision=precision,
    )
    scale = frames.values.std(axis=0, dtype=np.float64)
    tolerance = TOLERANCE[precision]
    np.testing.assert_allclose(history, golden["history"], rtol=0, atol=tolerance / 10)
    np.testing.assert_allclose(gmm.weights, golden["weights"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(gmm.means / scale, golden["means"] / scale, rtol=0, atol=tolerance)
    np.testing.assert_allclose(gmm.variances / scale**2, golden["variances"] / scale**2, rtol=0, atol=tolerance)


@pytest.mark.parametrize("precision", ["double", "single"])
def test_bob_finds_the_same_statistics(golden: dict[str, np.ndarray], precision: str) -> None:
    gmm, frames, tolerance = golden_gmm(golden), golden_frames(golden), TOLERANCE[precision]
    x = np.asarray(frames.values, dtype=np.float32 if precision == "single" else np.float64)
    before = x.copy()
    likelihoods = log_likelihood(gmm.kernel(precision=precision), x, chunk=100)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(likelihoods, golden["frame_log_likelihood"], rtol=0, atol=tolerance)
    found = baum_welch(gmm, frames, frames.track_ids, precision=precision, chunk=100)
    length = golden["songs"].shape[1]
    np.testing.assert_allclose(found.zeroth, golden["zeroth"], rtol=0, atol=tolerance * length)
    scale = np.abs(golden["first"]).max(axis=(0, 1))
    np.testing.assert_allclose(found.first / scale, golden["first"] / scale, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.log_likelihood, golden["log_likelihood"], rtol=tolerance / 10)


def test_scikit_learn_fits_the_same() -> None:
    frames = made_up(3)
    x = np.asarray(frames.values, dtype=np.float64)
    start, _ = fit_gmm(frames, frames.track_ids, mixtures=5, iterations=1, precision="double")
    theirs = GaussianMixture(
        5,
        covariance_type="diag",
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=1 / start.variances,
        reg_covar=0,
        max_iter=4,
        tol=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        theirs.fit(x)
    ours, _ = fit_gmm(
        frames, frames.track_ids, mixtures=5, iterations=4, start=start, variance_floor=FLOOR, precision="double"
    )
    np.testing.assert_allclose(ours.means, theirs.means_, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(ours.variances, theirs.covariances_, rtol=1e-6)
    np.testing.assert_allclose(log_likelihood(ours.kernel(precision="double"), x), theirs.score_samples(x), atol=1e-6)


def test_statistics_by_the_definition() -> None:
    frames = made_up(1, songs=3, frames=40)
    gmm, _ = fit_gmm(frames, frames.track_ids, mixtures=4, iterations=2, precision="double")
    found = baum_welch(gmm, frames, ["t02", "t00"], precision="double", chunk=17)
    assert found.track_ids == ("t00", "t02")
    for row, track in enumerate(found.track_ids):
        x = frames.of(track).astype(np.float64)
        joint = norm.logpdf(x[:, None], gmm.means, np.sqrt(gmm.variances)).sum(axis=2) + np.log(gmm.weights)
        gamma = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        np.testing.assert_allclose(found.zeroth[row], gamma.sum(axis=0), atol=1e-9)
        np.testing.assert_allclose(found.first[row], gamma.T @ x, rtol=1e-9, atol=1e-7)
        np.testing.assert_allclose(found.log_likelihood[row], logsumexp(joint, axis=1).sum(), rtol=1e-12)
        np.testing.assert_allclose(found.zeroth[row].sum(), len(x))
        np.testing.assert_allclose(found.first[row].sum(axis=0), x.sum(axis=0), rtol=1e-9)


@pytest.mark.filterwarnings("ignore::artist_transfer.errors.ArtistTransferWarning")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("precision", "rounding"), [("double", 1e-12), ("single", 1e-6)])
def test_em_never_lowers_the_likelihood(seed: int, precision: str, rounding: float) -> None:
    frames = made_up(seed)
    mixtures, floor = [(1, 1e-3), (3, 0.5), (8, 1e-3), (16, 0.2), (40, 1e-2), (120, 1e-3)][seed]
    gmm, history = fit_gmm(
        frames, frames.track_ids, mixtures=mixtures, iterations=15, variance_floor=floor, seed=seed, precision=precision
    )
    assert len(history) == 15 and gmm.card["mean_log_likelihood"] == history[-1]
    after = log_likelihood(gmm.kernel(precision="double"), np.asarray(frames.values)).mean()
    assert (np.diff([*history, after]) >= -rounding * abs(after)).all()
    if mixtures > 1:  # of one mixture the start is the maximum
        assert after > history[0] + 1e-3
    np.testing.assert_allclose(gmm.weights.sum(), 1)
    if floor >= 0.2:
        assert gmm.card["n_floored_variances"] > 0
        least = gmm.variances.min(axis=0)  # a share of the variance of a sample
        np.testing.assert_allclose(least, floor * frames.values.var(axis=0), rtol=0.25)


def test_a_known_mixture_is_found() -> None:
    draw = np.random.default_rng(0)
    weights = np.array([0.5, 0.3, 0.2])
    means, deviations = np.array([[-300.0, 0], [0, 5], [300, -5]]), np.array([[20.0, 1], [10, 0.5], [30, 2]])
    which = draw.choice(3, size=30_000, p=weights)
    frames = SongFrames.from_arrays({"a": means[which] + draw.normal(size=(len(which), 2)) * deviations[which]})
    gmm, _ = fit_gmm(frames, ["a"], mixtures=3)
    order = gmm.means[:, 0].argsort()
    np.testing.assert_allclose(gmm.weights[order], weights, atol=0.015)
    np.testing.assert_allclose((gmm.means[order] - means) / deviations, 0, atol=0.05)
    np.testing.assert_allclose(np.sqrt(gmm.variances[order]) / deviations, 1, atol=0.03)


def test_only_training_songs_are_read_in_any_order_and_chunks(tmp_path: Path) -> None:
    clean = made_up(2)
    songs = {track: clean.of(track) for track in clean.track_ids}
    ids = list(songs)[:8]
    poisoned = {track: rows if track in ids else np.full_like(rows, np.nan) for track, rows in songs.items()}
    settings = {"mixtures": 6, "iterations": 4, "seed": 3}
    first, history = fit_gmm(clean, ids, **settings, chunk=64)
    second, again = fit_gmm(SongFrames.from_arrays(poisoned), [*ids[::-1], ids[0]], **settings, chunk=64)
    assert history == again
    for gmm, name in ((first, "a"), (second, "b")):
        gmm.save(tmp_path / name)
    for name in (WEIGHTS, CARD, "manifest.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    third, _ = fit_gmm(clean, ids, **settings, chunk=1000)
    np.testing.assert_allclose(third.means, first.means, rtol=1e-4, atol=1e-3)
    one, other = baum_welch(first, clean, ids, chunk=7), baum_welch(first, clean, ids, chunk=5000)
    np.testing.assert_allclose(one.zeroth, other.zeroth, atol=1e-4)
    np.testing.assert_allclose(one.first, other.first, rtol=1e-4, atol=1e-2)
    assert fit_gmm(clean, ids, **settings | {"seed": 4})[1] != history


def test_a_frame_that_is_not_finite_is_an_error() -> None:
    songs = {"a": np.random.default_rng(0).normal(size=(3000, 2)), "b": np.full((1, 2), np.inf)}
    with pytest.raises(ArtistTransferError, match="not finite"):
        fit_gmm(SongFrames.from_arrays(songs), ["a", "b"], mixtures=2)


def test_an_empty_mixture_is_counted_and_kept() -> None:
    frames = made_up(4)
    good, _ = fit_gmm(frames, frames.track_ids, mixtures=3, iterations=2)
    means = good.means.copy()
    means[1] = 5000.0
    start = DiagonalGmm(good.weights, means, good.variances, card={})
    with pytest.warns(ArtistTransferWarning, match="1 of 3 mixtures hold less than one frame"):
        gmm, history = fit_gmm(frames, frames.track_ids, mixtures=3, iterations=8, start=start)
    assert gmm.card["n_empty_mixtures"] == 1
    np.testing.assert_array_equal(gmm.means[1], means[1])
    assert 0 < gmm.weights[1] < 1e-9 and np.isfinite(history).all()
    assert (np.diff(history) >= -1e-6 * abs(history[-1])).all()


def test_frames_of_a_share(golden: dict[str, np.ndarray]) -> None:
    frames, told = made_up(5, songs=20, frames=100), []
    gmm, history = fit_gmm(
        frames, frames.track_ids, mixtures=2, iterations=3, max_frames=500, progress=lambda *x: told.append(x)
    )
    assert gmm.card["n_frames"] == 2000 and gmm.card["n_frames_used"] == 500
    assert told[-1][:2] == (1500, 1500) and [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][2]["log-likelihood"] == history[1]
    assert fit_gmm(frames, frames.track_ids, mixtures=2, iterations=3, max_frames=5000)[0].card["n_frames_used"] == 2000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mixtures": 0}, "mixtures is 0; allowed is at least 1"),
        ({"iterations": 0}, "iterations is 0"),
        ({"max_frames": 0}, "max_frames is 0"),
        ({"variance_floor": 0.0}, "variance_floor is 0.0"),
        ({"variance_floor": 1.0}, "variance_floor is 1.0"),
        ({"mixtures": 60}, "60 mixtures were asked for, the sample has 50 distinct frames"),
        ({"precision": "half"}, "'half' is unknown; allowed are single, double"),
        ({"chunk": 0}, "chunk: 0 frames"),
    ],
)
def test_impossible_parameters(settings: dict[str, object], message: str) -> None:
    frames = SongFrames.from_arrays({"a": np.repeat(np.random.default_rng(0).normal(size=(50, 3)), 4, axis=0)})
    with pytest.raises(ArtistTransferError, match=message):
        fit_gmm(frames, ["a"], **{"mixtures": 2, **settings})


def test_what_cannot_be_fitted() -> None:
    still = np.random.default_rng(0).normal(size=(50, 3))
    still[:, 1] = 7
    frames = SongFrames.from_arrays({"a": still})
    with pytest.raises(ArtistTransferError, match="coefficient 1 is equal in all of 50 training frames"):
        fit_gmm(frames, ["a"], mixtures=2)
    with pytest.raises(ArtistTransferError, match="no training songs"):
        fit_gmm(frames, [], mixtures=2)
    with pytest.raises(ArtistTransferError, match="1 songs have none, the first is 'b'"):
        fit_gmm(frames, ["a", "b"], mixtures=2)
    narrow = DiagonalGmm(np.ones(1), np.zeros((1, 2)), np.ones((1, 2)), card={})
    with pytest.raises(ArtistTransferError, match="fitted on 2 coefficients, found frames of 3"):
        baum_welch(narrow, frames, ["a"])
    with pytest.raises(ArtistTransferError, match="fitted on 2 coefficients"):
        log_likelihood(narrow.kernel(), still)


def test_few_frames_are_warned_of() -> None:
    with pytest.warns(ArtistTransferWarning, match="90 frames for 10 mixtures are 9.0 each"):
        fit_gmm(made_up(0, songs=1), ["t00"], mixtures=10)


@pytest.mark.parametrize(
    ("weights", "means", "variances", "message"),
    [
        ([0.5, 0.5], [[0.0], [1.0]], [[1.0]], "allowed are"),
        ([0.5, 0.6], [[0.0], [1.0]], [[1.0], [1.0]], "sum to 1"),
        ([1.0, 0.0], [[0.0], [1.0]], [[1.0], [1.0]], "positive"),
        ([0.5, 0.5], [[0.0], [np.nan]], [[1.0], [1.0]], "finite"),
        ([0.5, 0.5], [[0.0], [1.0]], [[1.0], [0.0]], "positive"),
    ],
)
def test_what_is_no_mixture(weights: list, means: list, variances: list, message: str) -> None:
    with pytest.raises(ArtistTransferError, match=message):
        DiagonalGmm(np.array(weights), np.array(means), np.array(variances), card={})


def test_files(tmp_path: Path) -> None:
    frames = made_up(6)
    gmm, _ = fit_gmm(frames, frames.track_ids, mixtures=4)
    gmm.save(tmp_path / "gmm")
    same = DiagonalGmm.load(tmp_path / "gmm")
    assert same.card == gmm.card
    for name in ("weights", "means", "variances"):
        np.testing.assert_array_equal(getattr(same, name), getattr(gmm, name))
    with pytest.raises(ArtistTransferError, match="no finished GMM"):
        DiagonalGmm.load(tmp_path / "nowhere")


def test_statistics_are_found_by_song() -> None:
    found = SongStatistics(("b", "a", "c"), np.zeros((3, 2)), np.zeros((3, 2, 4)), np.zeros(3))
    assert found.rows(["c", "b", "c"]).tolist() == [2, 0, 2]
    with pytest.raises(ArtistTransferError, match="none of 1 songs, the first is 'x'"):
        found.rows(["a", "x"])
    with pytest.raises(ArtistTransferError, match="'a' stands twice"):
        SongStatistics(("a", "a"), np.zeros((2, 2)), np.zeros((2, 2, 4)), np.zeros(2))
    with pytest.raises(ArtistTransferError, match="allowed are"):
        SongStatistics(("a",), np.zeros((1, 3)), np.zeros((1, 2, 4)), np.zeros(1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_same() -> None:
    frames = made_up(8)
    settings = {"mixtures": 6, "precision": "double"}
    here, history = fit_gmm(frames, frames.track_ids, **settings)
    there, other = fit_gmm(frames, frames.track_ids, **settings, device="cuda")
    np.testing.assert_allclose(other, history, rtol=1e-9)
    np.testing.assert_allclose(there.means, here.means, rtol=1e-7, atol=1e-7)
    one, two = baum_welch(here, frames, frames.track_ids), baum_welch(here, frames, frames.track_ids, device="cuda")
    np.testing.assert_allclose(two.zeroth, one.zeroth, atol=1e-3)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_frames(tmp_path: Path) -> None:
    """Four million numbers of frames, and sixteen times as many: the same peak, though all are read twice."""
    program = (
        "import resource, sys, json, numpy as np, torch\n"
        "torch.set_num_threads(1)\n"
        "from artist_transfer.recognition.frames import SongFrames\n"
        "from artist_transfer.recognition.gmm import fit_gmm, baum_welch\n"
        "songs = int(sys.argv[2])\n"
        "stops = 1000 * np.arange(1, songs + 1)\n"
        "values = np.memmap(sys.argv[1], '<f4', 'r', shape=(1000 * songs, 20))\n"
        "ids = tuple(f'{k:06d}' for k in range(songs))\n"
        "frames = SongFrames(ids, np.stack([stops - 1000, stops], axis=1), values)\n"
        "gmm, _ = fit_gmm(frames, ids, mixtures=8, iterations=2)\n"
        "baum_welch(gmm, frames, ids)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    draw = np.random.default_rng(0)
    with open(tmp_path / "values", "wb") as stream:
        for _ in range(160):
            stream.write(draw.standard_normal((20_000, 20), dtype=np.float32).data)  # 256 MB in all
    peaks = []
    for songs in (200, 3200):
        command = [sys.executable, "-c", program, str(tmp_path / "values"), str(songs)]
        peaks.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert peaks[1] - peaks[0] < 25, peaks  # 240 MB more are read; statistics of 3,000 more songs are 5
