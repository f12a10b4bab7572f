"""Log-mel against librosa and against golden numbers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from artist_transfer.audio.mel import AGF, AGF_RELEASED, FRONT_ENDS, ISMIR, FrontEnd, log_mel, mel_filters
from artist_transfer.errors import ArtistTransferError

librosa = pytest.importorskip("librosa")


def _signal(kind: str, n: int) -> np.ndarray:
    rng = np.random.default_rng([7, n])
    if kind == "silence":
        return np.zeros(n, np.float32)
    if kind == "noise":
        return rng.standard_normal(n).astype(np.float32) * 0.2
    if kind == "tone":
        return (0.9 * np.sin(2 * np.pi * 440 / 22_050 * np.arange(n))).astype(np.float32)
    clicks = np.zeros(n, np.float32)
    clicks[::997] = 1.0
    return clicks


def _librosa(samples: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shorter than the window
        mel = librosa.feature.melspectrogram(
            y=samples,
            sr=front_end.sample_rate,
            n_fft=front_end.n_fft,
            hop_length=front_end.hop,
            n_mels=front_end.n_mels,
            power=front_end.power,
        )
    if front_end.log == "db":
        return np.asarray(librosa.power_to_db(mel, ref=1.0, amin=front_end.floor, top_db=None)).T
    if front_end.log == "db_magnitude20":
        return np.asarray(librosa.amplitude_to_db(mel, ref=1.0, amin=front_end.floor, top_db=None)).T
    return np.log10(1 + 10 * mel).T


@pytest.mark.parametrize("kind", ["silence", "noise", "tone", "clicks"])
@pytest.mark.parametrize("n", [1, 2, 511, 512, 513, 1023, 1024, 1025, 22_050, 140_001])
@pytest.mark.parametrize("front_end", [AGF, AGF_RELEASED, ISMIR], ids=lambda front_end: front_end.name)
def test_equals_librosa(front_end: FrontEnd, n: int, kind: str) -> None:
    samples = _signal(kind, n)
    ours, theirs = log_mel(samples, front_end), _librosa(samples, front_end)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape == (front_end.n_frames(n), 128)
    np.testing.assert_allclose(ours, theirs, atol=1e-3, rtol=0)


@pytest.mark.parametrize("sample_rate", [8_000, 22_050, 44_100])
@pytest.mark.parametrize(("n_fft", "hop", "n_mels"), [(512, 160, 40), (1024, 512, 128), (2048, 512, 96)])
def test_equals_librosa_for_other_settings(sample_rate: int, n_fft: int, hop: int, n_mels: int) -> None:
    front_end = FrontEnd(name="other", sample_rate=sample_rate, n_fft=n_fft, hop=hop, n_mels=n_mels)
    theirs = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels)
    np.testing.assert_allclose(mel_filters(front_end), theirs, atol=1e-7, rtol=0)
    samples = _signal("noise", 30_000)
    np.testing.assert_allclose(log_mel(samples, front_end), _librosa(samples, front_end), atol=1e-3, rtol=0)


def test_float16_is_within_half_a_step() -> None:
    spectrogram = log_mel(_signal("noise", 60_000))
    stored = spectrogram.astype(np.float16)
    assert (np.abs(stored.astype(np.float32) - spectrogram) <= np.spacing(np.abs(stored)).astype(np.float32) / 2).all()


def test_silence_is_the_floor() -> None:
    assert np.allclose(log_mel(np.zeros(5000, np.float32)), -100.0, atol=1e-4)
    assert (log_mel(np.zeros(5000, np.float32), ISMIR) == 0).all()


def test_ten_times_the_amplitude_is_twenty_db() -> None:
    samples = _signal("noise", 30_000)
    np.testing.assert_allclose(log_mel(samples * 10) - log_mel(samples), 20.0, atol=1e-3)


def test_released_ismir_front_end(shared_corpora: Path) -> None:
    path = shared_corpora / "released_weights" / "golden.npz"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    golden = np.load(path, allow_pickle=False)
    np.testing.assert_allclose(mel_filters(ISMIR), golden["mel_filters"], atol=1e-7)
    for samples, expected in zip(golden["samples"], golden["mel"], strict=True):
        frames = log_mel(samples, ISMIR)[1 : 1 + len(expected)]  # the first centred frame on whole samples
        np.testing.assert_allclose((frames - golden["mean"]) / golden["std"], expected, atol=1e-3)


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros((2, 100), np.float32)])
def test_refuses_other_shapes(samples: np.ndarray) -> None:
    with pytest.raises(ArtistTransferError, match="allowed"):
        log_mel(samples)


@pytest.mark.parametrize("field", [{"hop": 0}, {"power": 3.0}, {"log": "ln"}, {"floor": 0.0}])
def test_refuses_impossible_front_ends(field: dict[str, object]) -> None:
    with pytest.raises(ArtistTransferError, match="allowed"):
        FrontEnd(**field)  # type: ignore[arg-type]


def test_presets_are_found_by_name() -> None:
    assert {name: front_end.name for name, front_end in FRONT_ENDS.items()} == {
        "agf": "agf",
        "agf_released": "agf_released",
        "ismir": "ismir",
    }
