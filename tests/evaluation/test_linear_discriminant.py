"""The linear discriminant: scikit-learn's directions, training rows only, no more of them than there are."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.linear_discriminant import LinearDiscriminant, fit_linear_discriminant

N = 160
IDS = tuple(f"t{k:03d}" for k in range(N))
TRAIN = IDS[:120]


def corpus(seed: int = 0, *, width: int = 12) -> tuple[Embeddings, dict[str, str | None]]:
    draw = np.random.default_rng(seed)
    artist = np.arange(N) % 20
    vectors = draw.normal(size=(20, width))[artist] + draw.normal(size=(N, width)) * np.linspace(0.2, 3, width)
    return Embeddings(IDS, vectors.astype(np.float32)), {x: f"artist{k:02d}" for x, k in zip(IDS, artist)}


def fit(embeddings: Embeddings, artists: dict[str, str | None], **more) -> LinearDiscriminant:
    return fit_linear_discriminant(embeddings, artists, TRAIN, **{"n_components": 6, **more})


@pytest.mark.parametrize(("solver", "shrinkage"), [("svd", None), ("eigen", None), ("eigen", 0.3), ("eigen", "auto")])
def test_it_is_scikit_learns(solver: str, shrinkage: float | str | None) -> None:
    embeddings, artists = corpus()
    found = fit(embeddings, artists, solver=solver, shrinkage=shrinkage)
    model = LinearDiscriminantAnalysis(solver=solver, shrinkage=shrinkage, n_components=6)
    x = embeddings.vectors.astype(float)
    expected = model.fit(x[:120], [artists[y] for y in TRAIN]).transform(x)
    expected = expected - expected[:120].mean(axis=0)  # scikit-learn centres with one of its solvers only
    out = found.transform(embeddings)
    assert out.track_ids == IDS and out.width == 6 and out.vectors.dtype == np.float32
    np.testing.assert_allclose(out.vectors, expected, atol=1e-4)
    np.testing.assert_allclose(out.vectors[:120].mean(axis=0), 0, atol=1e-5)


def test_artists_are_further_apart_afterwards() -> None:
    embeddings, artists = corpus(3)

    def ratio(vectors: np.ndarray) -> float:
        test = vectors[120:].astype(float)
        groups = [test[[k for k in range(40) if artists[IDS[120 + k]] == name]] for name in set(artists.values())]
        between = np.var([group.mean(axis=0) for group in groups], axis=0).sum()
        return between / np.mean([group.var(axis=0).sum() for group in groups])

    assert ratio(fit(embeddings, artists).transform(embeddings).vectors) > 1.5 * ratio(embeddings.vectors)


def test_test_rows_and_artists_change_nothing() -> None:
    embeddings, artists = corpus()
    expected = fit(embeddings, artists)
    vectors = embeddings.vectors.copy()
    vectors[120:] = 1e3
    found = fit(Embeddings(IDS, vectors), artists | dict.fromkeys(IDS[120:], "another"))
    np.testing.assert_array_equal(found.projection, expected.projection)
    np.testing.assert_array_equal(found.mean, expected.mean)
    vectors[3] += 1
    assert not np.array_equal(fit(Embeddings(IDS, vectors), artists).projection, expected.projection)
    order = np.random.default_rng(0).permutation(N)
    turned = Embeddings(tuple(IDS[k] for k in order), embeddings.vectors[order])
    np.testing.assert_array_equal(fit(turned, artists).projection, expected.projection)


def test_fewer_components_are_named() -> None:
    embeddings, artists = corpus()
    with pytest.warns(ArtistTransferWarning, match="100 components were asked for, 20 artists .* allow 12"):
        found = fit_linear_discriminant(embeddings, artists, TRAIN)
    assert found.transform(embeddings).width == 12
    few = {x: f"artist{k % 4}" for k, x in enumerate(IDS)}
    with pytest.warns(ArtistTransferWarning, match="allow 3"):
        assert fit(embeddings, few).projection.shape == (12, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit(embeddings, artists).projection.shape == (12, 6)


def test_features_that_are_constant_or_equal() -> None:
    embeddings, artists = corpus()
    vectors = np.concatenate([embeddings.vectors, embeddings.vectors[:, :3], np.zeros((N, 2), np.float32)], axis=1)
    wider = Embeddings(IDS, vectors)
    with pytest.warns(ArtistTransferWarning, match="allow 12"):
        found = fit(wider, artists, n_components=16)
    plain = fit(embeddings, artists, n_components=12)
    mine, theirs = (x.vectors.astype(float) for x in (found.transform(wider), plain.transform(embeddings)))
    np.testing.assert_allclose(np.abs(mine), np.abs(theirs), atol=2e-3)
    with pytest.raises(ArtistTransferError, match=r"singular .* shrinkage"):
        fit(wider, artists, solver="eigen")
    assert fit(wider, artists, solver="eigen", shrinkage="auto").projection.shape == (17, 6)


def test_it_is_saved_and_read(tmp_path: Path) -> None:
    embeddings, artists = corpus()
    found = fit(embeddings, artists | {IDS[0]: None})
    assert found.card["n_tracks_without_artist"] == 1 and found.card["n_tracks"] == 119
    found.save(tmp_path / "one")
    again = LinearDiscriminant.load(tmp_path / "one")
    np.testing.assert_array_equal(again.transform(embeddings).vectors, found.transform(embeddings).vectors)
    assert again.card == found.card
    with pytest.raises(ArtistTransferError, match="no finished linear discriminant"):
        LinearDiscriminant.load(tmp_path / "two")


def test_errors() -> None:
    embeddings, artists = corpus()
    with pytest.raises(ArtistTransferError, match="width 12, found 3"):
        fit(embeddings, artists).transform(Embeddings(("a",), np.ones((1, 3), np.float32)))
    with pytest.raises(ArtistTransferError, match="one of them with two tracks; found 120 artists of 120"):
        fit(embeddings, {x: x for x in IDS})
    for wrong, message in (
        ({"n_components": 0}, "at least 1"),
        ({"solver": "lsqr"}, "svd, eigen"),
        ({"shrinkage": "auto"}, "needs the solver eigen"),
        ({"solver": "eigen", "shrinkage": 2.0}, "from 0 to 1"),
    ):
        with pytest.raises(ArtistTransferError, match=message):
            fit(embeddings, artists, **wrong)
