"""Early and late fusion: what a concatenation's cosine is, training rows only, averages by hand."""

from __future__ import annotations

import numpy as np
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.recognition.calibration import Calibration
from artist_transfer.recognition.fusion import calibrated_average, fit_early_fusion, plain_average
from artist_transfer.recognition.scoring import cosine_scores

IDS = tuple(f"t{k:03d}" for k in range(40))
TRAIN = IDS[:25]


def encoders(seed: int = 0) -> list[Embeddings]:
    draw = np.random.default_rng(seed)
    wide = (draw.normal(size=(40, 9)) * np.linspace(1, 50, 9) + 100).astype(np.float32)
    return [Embeddings(IDS, wide), Embeddings(IDS, 0.01 * draw.normal(size=(40, 3)))]


def test_by_length_the_cosine_is_the_mean_of_the_cosines() -> None:
    parts = encoders()
    fused = fit_early_fusion(parts, TRAIN).transform(parts)
    assert fused.width == 12 and fused.track_ids == IDS
    cosines = [cosine_scores(x, x) for x in parts]
    np.testing.assert_allclose(cosine_scores(fused, fused), (cosines[0] + cosines[1]) / 2, atol=1e-8)


def test_by_deviation_each_encoder_weighs_the_same() -> None:
    parts = encoders()
    fused = fit_early_fusion(parts, TRAIN, scaling="standard").transform(parts)
    own = fused.vectors[:25]
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(own[:, :9].std(axis=0), 1 / 3, atol=1e-12)
    np.testing.assert_allclose(own[:, 9:].std(axis=0), 1 / np.sqrt(3), atol=1e-12)
    assert (own[:, :9] ** 2).sum() == pytest.approx((own[:, 9:] ** 2).sum())
    x = parts[0].vectors.astype(float)
    expected = (x - x[:25].mean(axis=0)) / x[:25].std(axis=0) / 3
    np.testing.assert_allclose(fused.vectors[:, :9], expected, atol=1e-12)


@pytest.mark.parametrize("scaling", ["length", "standard"])
def test_other_rows_and_order_change_nothing(scaling: str) -> None:
    parts = encoders()
    fitted = fit_early_fusion(parts, TRAIN, scaling=scaling)
    expected = fitted.transform(parts)
    changed = parts[0].vectors.copy()
    changed[25:] = 7
    again = fit_early_fusion([Embeddings(IDS, changed), parts[1]], reversed(TRAIN), scaling=scaling)
    np.testing.assert_array_equal(again.transform(parts).vectors, expected.vectors)
    if scaling == "standard":
        changed[0] += 100
        other = fit_early_fusion([Embeddings(IDS, changed), parts[1]], TRAIN, scaling=scaling)
        assert not np.array_equal(other.transform(parts).vectors, expected.vectors)
    order = np.random.default_rng(1).permutation(40)
    turned = Embeddings(tuple(IDS[k] for k in order), parts[1].vectors[order])
    np.testing.assert_array_equal(fitted.transform([parts[0], turned]).vectors, expected.vectors)
    backwards = fitted.transform([Embeddings(IDS[::-1], parts[0].vectors[::-1]), turned])
    np.testing.assert_array_equal(backwards.of(IDS), expected.vectors)


def test_constant_features_are_counted_and_harmless() -> None:
    parts = encoders()
    dead = Embeddings(IDS, np.concatenate([parts[0].vectors, np.full((40, 2), 0.3, np.float32)], axis=1))
    fitted = fit_early_fusion([dead, parts[1]], TRAIN, scaling="standard")
    assert fitted.card["n_constant"] == 2
    out = fitted.transform([dead, parts[1]]).vectors
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out[:, 9:11], 0, atol=1e-12)


def test_averages_by_hand() -> None:
    one, two = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[-3.0, 2.0], [5.0, 0.0]])
    np.testing.assert_array_equal(plain_average([one, two]), [[-1, 2], [4, 2]])
    np.testing.assert_array_equal(plain_average([one]), one)
    found = calibrated_average([one, two], [Calibration(2.0, 1.0), Calibration(0.5, -1.0)])
    np.testing.assert_array_equal(found, [[0.25, 2.5], [4.25, 4.0]])
    assert one[0, 0] == 1.0  # the inputs stay
    # a system in other units decides the plain average alone, and the calibrated one not at all more
    loud = plain_average([one, 1000 * two])
    assert (loud.argsort(axis=None) == two.argsort(axis=None)).all()
    same = calibrated_average([one, 1000 * two], [Calibration(2.0, 1.0), Calibration(0.0005, -1.0)])
    np.testing.assert_allclose(same, found)


def test_refusals() -> None:
    parts = encoders()
    fitted = fit_early_fusion(parts, TRAIN)
    with pytest.raises(ArtistTransferError, match=r"length or standard \(found 'none'"):
        fit_early_fusion(parts, TRAIN, scaling="none")
    with pytest.raises(ArtistTransferError, match="found 1"):
        fit_early_fusion(parts[:1], TRAIN)
    with pytest.raises(ArtistTransferError, match="no vector of 1 tracks, the first is 'nobody'"):
        fit_early_fusion(parts, [*TRAIN, "nobody"], scaling="standard")
    with pytest.raises(ArtistTransferError, match=r"fitted on widths \[9, 3\], found \[3, 9\]"):
        fitted.transform(parts[::-1])
    fewer = Embeddings(IDS[1:], parts[1].vectors[1:])
    with pytest.raises(ArtistTransferError, match="1 tracks have a vector of encoder 1 or 2 only: 't000'"):
        fitted.transform([parts[0], fewer])
    vectors = parts[1].vectors.copy()
    vectors[4] = 0
    with pytest.raises(ArtistTransferError, match="zero vector: 't004'"):
        fitted.transform([parts[0], Embeddings(IDS, vectors)])
    with pytest.raises(ArtistTransferError, match="one shape"):
        plain_average([np.ones((2, 2)), np.ones((2, 3))])
    with pytest.raises(ArtistTransferError, match="2 systems, but 1 calibrations"):
        calibrated_average([np.ones(2), np.ones(2)], [Calibration(1.0, 0.0)])
