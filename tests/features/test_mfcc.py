"""MFCC against librosa and against scipy's statistics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from artist_transfer.errors import ArtistTransferError
from artist_transfer.features.mfcc import delta_mfcc, mfcc, mfcc_statistics


def _spectrogram(frames: int, bands: int = 128) -> np.ndarray:
    return np.random.default_rng([3, frames]).normal(-30, 15, size=(frames, bands)).astype(np.float16)


@pytest.mark.parametrize("n", [1, 13, 25, 128])
@pytest.mark.parametrize("frames", [1, 2, 200])
def test_equals_librosa(frames: int, n: int) -> None:
    librosa = pytest.importorskip("librosa")
    spectrogram = _spectrogram(frames)
    expected = librosa.feature.mfcc(S=spectrogram.T.astype(np.float32), n_mfcc=n).T
    found = mfcc(spectrogram, n)
    assert found.dtype == np.float32 and found.shape == (frames, n)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_all_coefficients_keep_the_energy() -> None:
    spectrogram = _spectrogram(50).astype(np.float32)
    np.testing.assert_allclose((mfcc(spectrogram, 128) ** 2).sum(1), (spectrogram**2).sum(1), rtol=1e-4)


def test_flat_spectrum_has_only_the_first_coefficient() -> None:
    found = mfcc(np.full((3, 128), -40, np.float16))
    np.testing.assert_allclose(found[:, 0], -40 * np.sqrt(128), rtol=1e-5)
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-3)


@pytest.mark.parametrize(("frames", "rows"), [(1, 0), (2, 1), (100, 99)])
def test_delta_is_the_difference_of_subsequent_frames(frames: int, rows: int) -> None:
    spectrogram = _spectrogram(frames)
    delta = delta_mfcc(spectrogram)
    assert delta.shape == (rows, 25)
    coefficients = mfcc(spectrogram)
    for t in range(rows):
        np.testing.assert_array_equal(delta[t], coefficients[t + 1] - coefficients[t])


def test_statistics_equal_scipy() -> None:
    spectrogram = _spectrogram(300)
    values = mfcc(spectrogram).astype(np.float64)
    delta = np.diff(values, axis=0)
    expected = [
        *(values.mean(0), values.std(0), values.min(0), values.max(0), np.median(values, 0)),
        *(stats.skew(values), stats.kurtosis(values), delta.mean(0), delta.std(0)),
    ]
    found = mfcc_statistics(spectrogram)
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-4, atol=1e-4)
    assert found.shape == (225,)


@pytest.mark.parametrize("frames", [1, 2, 40])
@pytest.mark.parametrize("level", [-100.0, 0.0, 33.0])
def test_statistics_of_a_constant_are_finite(level: float, frames: int) -> None:
    found = mfcc_statistics(np.full((frames, 128), level)).reshape(9, 25)
    assert np.isfinite(found).all()
    spread = [1, 5, 6, 7, 8]  # deviation, skewness, kurtosis, and both of the differences
    np.testing.assert_allclose(found[spread], 0, atol=1e-3)


def test_refuses_impossible_input() -> None:
    for spectrogram, n in ((np.zeros((4, 10)), 25), (np.zeros(128), 5), (np.zeros((4, 128)), 0)):
        with pytest.raises(ArtistTransferError, match="allowed"):
            mfcc(spectrogram, n)
    with pytest.raises(ArtistTransferError, match="no frames"):
        mfcc_statistics(np.zeros((0, 128)))
