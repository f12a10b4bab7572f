"""PLDA: SpeechBrain's scores, Gaussian densities by brute force, a likelihood that never falls, named refusals."""

from __future__ import annotations

from contextlib import nullcontext as nothing
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf, ledoit_wolf_shrinkage

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.recognition.plda import AVERAGE, BY_THE_BOOK, Plda
from artist_transfer.recognition.plda_fit import fit_plda

GOLDEN = Path(__file__).parents[1] / "oracles" / "golden_plda.npz"
PLAIN = {"whiten": False, "length_normalise": False, "shrinkage": 0.0}


def named(vectors: np.ndarray, letter: str = "t") -> Embeddings:
    return Embeddings(tuple(f"{letter}{k:04d}" for k in range(len(vectors))), vectors)


def corpus(
    seed: int = 0, *, artists: int = 40, width: int = 6, songs: tuple[int, int] = (2, 6)
) -> tuple[Embeddings, dict[str, str | None]]:
    draw = np.random.default_rng(seed)
    counts = draw.integers(*songs, size=artists)
    artist = np.repeat(np.arange(artists), counts)
    mixing = draw.normal(size=(width, width)) / np.sqrt(width) + np.eye(width)
    voices = draw.normal(size=(artists, width)) * np.linspace(1.5, 0.3, width)
    embeddings = named(3 + voices[artist] + draw.normal(size=(len(artist), width)) @ mixing)
    return embeddings, {x: f"artist{k:03d}" for x, k in zip(embeddings.track_ids, artist)}


def model(seed: int = 0, width: int = 4, rank: int | None = None) -> Plda:
    draw = np.random.default_rng(seed)
    factors, noise = draw.normal(size=(width, rank or width)), draw.normal(size=(width, 2 * width))
    return Plda.of_parameters(
        draw.normal(size=width), factors @ factors.T, noise @ noise.T / width + 0.1 * np.eye(width)
    )


def log_density(plda: Plda, songs: np.ndarray) -> float:
    """Of songs of one artist together, as one Gaussian of all their numbers."""
    n = len(songs)
    covariance = np.kron(np.ones((n, n)), plda.between) + np.kron(np.eye(n), plda.within)
    return float(multivariate_normal(np.tile(plda.centre, n), covariance).logpdf(songs.ravel()))


def marginal(plda: Plda, embeddings: Embeddings, artists: dict[str, str | None]) -> float:
    """Log-likelihood per song of all artists' songs, after the model's own projection."""
    projected = plda.project(embeddings)
    groups = {name: [x for x in embeddings.track_ids if artists[x] == name] for name in set(artists.values())}
    return sum(log_density(plda, projected.of(ids)) for ids in groups.values()) / len(embeddings.track_ids)


def check_history(history) -> None:
    objective = np.array([step.objective for step in history])
    assert (np.diff(objective) >= -1e-10 * np.abs(objective[:-1])).all(), objective
    assert objective[-1] > objective[0] + 1e-6  # it does something at all


@pytest.mark.parametrize("rank", [8, 3])
def test_scores_are_speechbrains(rank: int) -> None:
    golden = np.load(GOLDEN)
    factors = golden[f"factors_{rank}"]
    plda = Plda.of_parameters(golden[f"mean_{rank}"], factors @ factors.T, golden[f"within_{rank}"])
    models, tests = named(golden["models"], "m"), named(golden["tests"], "s")
    scores = plda.scores(plda.enrol(models, {x: [x] for x in models.track_ids}), tests)
    assert np.ptp(golden[f"scores_{rank}"]) > 1
    np.testing.assert_allclose(scores, golden[f"scores_{rank}"], atol=1e-9)


@pytest.mark.parametrize("rank", [8, 3])
def test_the_fit_is_at_least_as_likely_as_speechbrains(rank: int) -> None:
    golden = np.load(GOLDEN)
    embeddings = named(golden["vectors"])
    artists = {x: f"a{k:02d}" for x, k in zip(embeddings.track_ids, golden["artist"])}
    factors = golden[f"factors_{rank}"]
    theirs = Plda.of_parameters(golden[f"mean_{rank}"], factors @ factors.T, golden[f"within_{rank}"])
    ours, history = fit_plda(
        embeddings, artists, embeddings.track_ids, rank=rank, iterations=int(golden["iterations"]), **PLAIN
    )
    reached = marginal(ours, embeddings, artists)
    assert reached >= marginal(theirs, embeddings, artists)
    assert history[-1].log_likelihood == pytest.approx(reached, abs=1e-10)
    assert np.linalg.matrix_rank(ours.between, tol=1e-8) == rank


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("songs", [1, 2, 5])
def test_scores_are_log_ratios_of_gaussian_densities(songs: int, rank: int | None) -> None:
    plda, draw = model(rank=rank), np.random.default_rng(1)
    vectors, tests = named(draw.normal(size=(3 * songs, 4))), named(2 * draw.normal(size=(4, 4)), "s")
    enrolments = {f"m{k}": list(vectors.track_ids[k * songs : (k + 1) * songs]) for k in range(3)}
    scores = plda.scores(plda.enrol(vectors, enrolments, by=BY_THE_BOOK), tests)
    averaged = plda.scores(plda.enrol(vectors, enrolments, by=AVERAGE), tests)
    for k, ids in enumerate(enrolments.values()):
        own = vectors.of(ids)
        for j, test in enumerate(tests.vectors):
            apart = log_density(plda, own) + log_density(plda, test[None])
            assert scores[k, j] == pytest.approx(log_density(plda, np.vstack([own, test])) - apart, abs=1e-9)
            mean = own.mean(axis=0, keepdims=True)
            apart = log_density(plda, mean) + log_density(plda, test[None])
            assert averaged[k, j] == pytest.approx(log_density(plda, np.vstack([mean, test])) - apart, abs=1e-9)


def test_models_of_different_numbers_of_songs_do_not_disturb_each_other() -> None:
    plda, draw = model(), np.random.default_rng(2)
    vectors, tests = named(draw.normal(size=(30, 4))), named(draw.normal(size=(9, 4)), "s")
    ids, at, enrolments = vectors.track_ids, 0, {}
    for k, n in enumerate([3, 1, 7, 3, 2, 1, 5, 8]):
        enrolments[f"m{k}"], at = list(ids[at : at + n]), at + n
    together = plda.scores(plda.enrol(vectors, enrolments, by=BY_THE_BOOK), tests)
    for k, (name, own) in enumerate(enrolments.items()):
        alone = plda.scores(plda.enrol(vectors, {name: own}, by=BY_THE_BOOK), tests)
        np.testing.assert_allclose(together[k : k + 1], alone, atol=1e-12)
    models = plda.enrol(vectors, enrolments, by=BY_THE_BOOK)
    for block in (1, 3, 100):
        np.testing.assert_allclose(plda.scores(models, tests, block=block), together, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 6))
def test_two_songs_score_the_same_either_way_and_in_any_units(seed: int, width: int) -> None:
    plda, draw = model(seed, width), np.random.default_rng(seed)
    songs = named(draw.normal(size=(5, width)))
    scores = plda.scores(plda.enrol(songs, {x: [x] for x in songs.track_ids}), songs)
    np.testing.assert_allclose(scores, scores.T, atol=1e-8)
    turn = np.linalg.qr(draw.normal(size=(width, width)))[0] * draw.uniform(0.1, 10, size=width)
    other = Plda.of_parameters(turn @ plda.centre, turn @ plda.between @ turn.T, turn @ plda.within @ turn.T)
    moved = named(songs.vectors @ turn.T)
    again = other.scores(other.enrol(moved, {x: [x] for x in moved.track_ids}), moved)
    np.testing.assert_allclose(again, scores, atol=1e-6)


def test_em_reaches_the_closed_form_of_a_balanced_corpus() -> None:
    embeddings, artists = corpus(3, artists=300, width=4, songs=(5, 6))
    plda, history = fit_plda(embeddings, artists, embeddings.track_ids, iterations=300, **PLAIN)
    means = embeddings.vectors.reshape(300, 5, 4).mean(axis=1)
    away = embeddings.vectors - np.repeat(means, 5, axis=0)
    within = away.T @ away / (300 * 4)
    between = np.cov(means.T, bias=True) - within / 5
    assert np.linalg.eigvalsh(between).min() > 0  # else the closed form is another
    np.testing.assert_allclose(plda.mean + plda.centre, means.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(plda.within, within, atol=1e-5)
    np.testing.assert_allclose(plda.between, between, atol=1e-5)
    check_history(history)


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("length_normalise", [True, False])
@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0, "auto"])
@pytest.mark.parametrize("rank", [None, 2])
def test_em_never_lowers_its_objective(
    whiten: bool, length_normalise: bool, shrinkage: float | str, rank: int | None
) -> None:
    embeddings, artists = corpus(5)
    plda, history = fit_plda(
        embeddings, artists, embeddings.track_ids, whiten=whiten, length_normalise=length_normalise,
        shrinkage=shrinkage, rank=rank, iterations=15,
    )  # fmt: skip
    check_history(history)
    assert history[-1].log_likelihood == pytest.approx(marginal(plda, embeddings, artists), abs=1e-9)
    assert len(history) == 16 and plda.card["rank"] == (rank or 6)
    if shrinkage == 0.0:
        assert all(step.objective == step.log_likelihood for step in history)
    if shrinkage == 1.0:
        np.testing.assert_allclose(plda.within, plda.within[0, 0] * np.eye(6), atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), artists=st.integers(3, 12), width=st.integers(2, 12))
def test_em_never_lowers_its_objective_with_few_artists_of_many_dimensions(seed: int, artists: int, width: int) -> None:
    embeddings, names = corpus(seed, artists=artists, width=width, songs=(2, 4))
    _, history = fit_plda(embeddings, names, embeddings.track_ids, whiten=False, iterations=8, shrinkage=0.2)
    objective = np.array([step.objective for step in history])
    assert np.isfinite(objective).all()
    assert (np.diff(objective) >= -1e-9 * (1 + np.abs(objective[:-1]))).all()


def test_automatic_shrinkage_is_ledoit_and_wolfs() -> None:
    embeddings, artists = corpus(6, artists=20, width=10, songs=(1, 4))
    plda, _ = fit_plda(embeddings, artists, embeddings.track_ids, whiten=False, length_normalise=False)
    residuals = []
    for name in sorted(set(artists.values())):
        own = embeddings.of([x for x in embeddings.track_ids if artists[x] == name])
        if len(own) == 1:
            continue  # says nothing of what varies within
        residuals.append((own - own.mean(axis=0)) * np.sqrt(len(own) / (len(own) - 1)))
    expected = ledoit_wolf_shrinkage(np.concatenate(residuals), assume_centered=True)
    assert 0.01 < expected < 0.99 and len(residuals) < 20
    assert plda.card["shrinkage"] == pytest.approx(expected, rel=1e-9)


def test_projection_whitens_and_normalises() -> None:
    embeddings, artists = corpus(7)
    plda, _ = fit_plda(embeddings, artists, embeddings.track_ids, length_normalise=False, shrinkage=0.0)
    out = plda.project(embeddings).vectors
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.cov(out.T, bias=True), np.eye(6), atol=1e-10)
    plda, _ = fit_plda(embeddings, artists, embeddings.track_ids, shrinkage=0.0)
    unit = plda.project(embeddings).vectors
    np.testing.assert_allclose(unit, out * np.sqrt(6) / np.linalg.norm(out, axis=1, keepdims=True), atol=1e-12)
    models = plda.enrol(embeddings, {"m": embeddings.track_ids[:5]})
    np.testing.assert_allclose(np.linalg.norm(models.sums, axis=1), np.sqrt(6))
    plda, _ = fit_plda(embeddings, artists, embeddings.track_ids, length_normalise=False)
    away = embeddings.vectors - embeddings.vectors.mean(axis=0)
    shrunk, amount = ledoit_wolf(embeddings.vectors)
    assert 0.001 < amount < 0.9 and plda.card["shrinkage_of_whitening"] == pytest.approx(amount)
    mapped = plda.whitening.T @ shrunk @ plda.whitening
    np.testing.assert_allclose(mapped, np.eye(6), atol=1e-10)
    np.testing.assert_allclose(plda.project(embeddings).vectors, away @ plda.whitening, atol=1e-10)


def test_songs_of_an_artist_score_higher_and_more_songs_help() -> None:
    embeddings, artists = corpus(8, artists=60, songs=(8, 9))
    ids = embeddings.track_ids
    plda, _ = fit_plda(embeddings, artists, [x for x in ids if artists[x] < "artist030"])
    unseen = [f"artist{k:03d}" for k in range(30, 60)]
    songs = {name: [x for x in ids if artists[x] == name] for name in unseen}
    tests = Embeddings(tuple(songs[name][7] for name in unseen), embeddings.of([songs[name][7] for name in unseen]))

    def right(n: int, by: str) -> float:
        scores = plda.scores(plda.enrol(embeddings, {name: own[:n] for name, own in songs.items()}, by=by), tests)
        return float((scores.argmax(axis=0) == np.arange(30)).mean())

    chance = 1 / 30
    for by in (AVERAGE, BY_THE_BOOK):
        assert right(7, by) > right(1, by) > 3 * chance


def test_other_rows_change_nothing_nor_does_order_or_chunk() -> None:
    embeddings, artists = corpus(9)
    train = embeddings.track_ids[:100]
    expected, _ = fit_plda(embeddings, artists, train)
    vectors = embeddings.vectors.copy()
    vectors[100:] = 1e3
    found, _ = fit_plda(named(vectors), artists | dict.fromkeys(embeddings.track_ids[100:], "another"), train)
    order = np.random.default_rng(0).permutation(len(vectors))
    turned = Embeddings(tuple(embeddings.track_ids[k] for k in order), embeddings.vectors[order])
    again, _ = fit_plda(turned, artists, reversed(train))
    for name in ("mean", "whitening", "centre", "between", "within"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        np.testing.assert_array_equal(getattr(again, name), getattr(expected, name))
    vectors[3] += 1
    assert not np.array_equal(fit_plda(named(vectors), artists, train)[0].within, expected.within)
    models = {"m": embeddings.track_ids[:3], "o": embeddings.track_ids[3:9]}
    scores = expected.scores(expected.enrol(embeddings, models), embeddings)
    for chunk in (1, 7, 64):
        other, _ = fit_plda(embeddings, artists, train, chunk=chunk)
        np.testing.assert_allclose(other.scores(other.enrol(embeddings, models), embeddings), scores, atol=1e-8)


def test_it_is_saved_and_read(tmp_path: Path) -> None:
    embeddings, artists = corpus()
    artists[embeddings.track_ids[0]] = None
    found, _ = fit_plda(embeddings, artists, embeddings.track_ids)
    assert found.card["n_songs_without_artist"] == 1
    assert found.card["n_songs"] == len(embeddings.track_ids) - 1
    found.save(tmp_path / "one")
    fit_plda(embeddings, artists, embeddings.track_ids)[0].save(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    again = Plda.load(tmp_path / "one")
    assert again.card == found.card
    models = {"m": embeddings.track_ids[:3]}
    np.testing.assert_array_equal(
        again.scores(again.enrol(embeddings, models), embeddings),
        found.scores(found.enrol(embeddings, models), embeddings),
    )
    with pytest.raises(ArtistTransferError, match="no finished PLDA"):
        Plda.load(tmp_path / "three")


def test_too_few_artists_or_too_many_dimensions_are_named() -> None:
    embeddings, artists = corpus(1, artists=10, width=40)
    ids, songs = embeddings.track_ids, len(embeddings.track_ids)
    for whiten in (True, False):
        message = rf"dimensions is singular: {songs} songs of 10 artists leave {songs - 10} .*shrinkage"
        with (
            pytest.raises(ArtistTransferError, match=message),
            pytest.warns(ArtistTransferWarning) if whiten else nothing(),
        ):
            fit_plda(embeddings, artists, ids, shrinkage=0.0, whiten=whiten)
    plda, _ = fit_plda(embeddings, artists, ids, whiten=False)
    assert 0 < plda.card["shrinkage"] <= 1 and plda.card["rank"] == 9
    assert np.isfinite(plda.scores(plda.enrol(embeddings, {"m": ids[:2]}), embeddings)).all()
    alone = {x: x for x in ids} | {ids[0]: "both", ids[1]: "both"}
    with pytest.raises(ArtistTransferError, match=rf"found 1 such artists \({songs} training songs of {songs - 1}"):
        fit_plda(embeddings, alone, ids)
    with pytest.raises(ArtistTransferError, match="found 0 such artists"):
        fit_plda(embeddings, dict.fromkeys(ids), ids)
    with pytest.warns(ArtistTransferWarning, match="rank 30 was asked for, 10 artists and 40 dimensions allow 9"):
        fit_plda(embeddings, artists, ids, rank=30, whiten=False)


def test_directions_that_do_not_vary() -> None:
    embeddings, artists = corpus(2)
    ids = embeddings.track_ids
    wider = named(np.concatenate([embeddings.vectors, np.ones((len(ids), 2)), embeddings.vectors[:, :1]], axis=1))
    with pytest.warns(ArtistTransferWarning, match=f"3 of 9 directions do not vary over {len(ids)} training songs"):
        plda, _ = fit_plda(wider, artists, ids, shrinkage=0.0)
    plain, _ = fit_plda(embeddings, artists, ids, shrinkage=0.0)
    models = {"m": ids[:3], "o": ids[3:9]}
    scores = plda.scores(plda.enrol(wider, models), wider)
    assert plda.card["width"] == 6 and plda.card["n_features"] == 9
    # a column that stands twice weighs nothing more once it is whitened
    np.testing.assert_allclose(scores, plain.scores(plain.enrol(embeddings, models), embeddings), atol=1e-7)
    with pytest.raises(ArtistTransferError, match=r"9 dimensions is singular.*constant or collinear"):
        fit_plda(wider, artists, ids, shrinkage=0.0, whiten=False, length_normalise=False)
    for whiten in (True, False):  # shrunk, nothing is singular
        plda, history = fit_plda(wider, artists, ids, whiten=whiten)
        check_history(history)
        assert plda.card["width"] == 9 and np.isfinite(plda.scores(plda.enrol(wider, models), wider)).all()
    with pytest.raises(ArtistTransferError, match="one and the same vector"):
        fit_plda(named(np.ones((len(ids), 3))), artists, ids)
    with pytest.raises(ArtistTransferError, match="songs of each artist have one and the same vector"):
        first = {name: k for k, name in reversed(list(enumerate(artists.values())))}
        fit_plda(named(embeddings.vectors[[first[artists[x]] for x in ids]]), artists, ids, whiten=False)


def test_errors() -> None:
    embeddings, artists = corpus()
    ids = embeddings.track_ids
    plda, _ = fit_plda(embeddings, artists, ids)
    for wrong, message in (
        ({"shrinkage": "much"}, "auto or a number from 0 to 1, found 'much'"),
        ({"shrinkage": 1.5}, "from 0 to 1"),
        ({"shrinkage": float("nan")}, "from 0 to 1"),
        ({"iterations": -1}, "at least 0"),
        ({"rank": 0}, "at least 1"),
    ):
        with pytest.raises(ArtistTransferError, match=message):
            fit_plda(embeddings, artists, ids, **wrong)
    with pytest.raises(ArtistTransferError, match="width 6, found 3"):
        plda.project(named(np.ones((2, 3))))
    still = Embeddings(("silence", "sound"), np.stack([plda.mean, plda.mean + 1]))
    with pytest.raises(ArtistTransferError, match=r"no direction is left of the vectors of 1 songs .*'silence'"):
        plda.project(still)
    for enrolments, message in (
        ({}, "no artist"),
        ({"m": []}, "no song of 'm'"),
        ({"m": [ids[0], ids[0]]}, "twice with 'm'"),
        ({"m": ["nobody"]}, "no vector of 1 tracks, the first is 'nobody'"),
    ):
        with pytest.raises(ArtistTransferError, match=message):
            plda.enrol(embeddings, enrolments)
    with pytest.raises(ArtistTransferError, match="average or by_the_book, found 'vote'"):
        plda.enrol(embeddings, {"m": ids[:1]}, by="vote")
    opposite = Embeddings(("a", "b"), np.stack([plda.mean + 1, plda.mean - 1]))
    with pytest.raises(ArtistTransferError, match="cancel out: 'm'"):
        plda.enrol(opposite, {"m": ["a", "b"]})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same() -> None:
    embeddings, artists = corpus(4, artists=60, width=20)
    found = []
    for device in ("cpu", "cuda"):
        plda, _ = fit_plda(embeddings, artists, embeddings.track_ids, device=device)
        models = plda.enrol(embeddings, {"m": embeddings.track_ids[:3], "o": embeddings.track_ids[3:9]}, by=BY_THE_BOOK)
        found.append(plda.scores(models, embeddings, device=device))
    np.testing.assert_allclose(found[1], found[0], atol=1e-8)
