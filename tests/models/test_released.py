"""The authors' Keras file: the same numbers as the published net, and as a forward pass written out here."""

from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from artist_transfer.artifacts import sha256_of
from artist_transfer.errors import ArtistTransferError
from artist_transfer.models import released as module
from artist_transfer.models.released import RELEASED, load_ismir2018
from artist_transfer.released_files import fetch_released

torch.set_num_threads(1)

KERNELS, POOLS, FILTERS = (4, 4, 4, 2, 1), (4, 4, 4, 2, 1), (128, 128, 128, 128, 256)


def make_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Return random weights under Keras's names, kernels as (frame, in, out)."""
    rng = np.random.default_rng(seed)
    weights, n_in = {}, 128
    for i, (kernel, filters) in enumerate(zip(KERNELS, FILTERS, strict=True), start=1):
        conv, norm = f"conv1d_{i}/conv1d_{i}", f"batch_normalization_{i}/batch_normalization_{i}"
        weights |= {
            f"{conv}/kernel:0": rng.normal(0, (kernel * n_in) ** -0.5, (kernel, n_in, filters)),
            f"{conv}/bias:0": rng.normal(0, 0.1, filters),
            f"{norm}/gamma:0": rng.normal(0.5, 1, filters),
            f"{norm}/beta:0": rng.normal(0.3, 0.3, filters),
            f"{norm}/moving_mean:0": rng.normal(0, 0.3, filters),
            f"{norm}/moving_variance:0": rng.uniform(0.3, 2, filters),
        }
        n_in = filters
    return {name: values.astype(np.float32) for name, values in weights.items()}


def write_keras(path: Path, weights: dict[str, np.ndarray]) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.1.1"
        for name, values in weights.items():
            file[f"model_weights/{name}"] = values
    return path


def forward(weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Compute the features of (batch, frame, band) frame by frame, in float64."""
    x = x.astype(np.float64)
    for i, (kernel, pool) in enumerate(zip(KERNELS, POOLS, strict=True), start=1):
        w = {k.split("/")[2]: v.astype(np.float64) for k, v in weights.items() if k.split("/")[0].endswith(f"_{i}")}
        batch, frames, n_in = x.shape
        padded = np.zeros((batch, frames + kernel - 1, n_in))
        left = (kernel - 1) // 2
        padded[:, left : left + frames] = x
        y = np.empty((batch, frames, w["bias:0"].size))
        for t in range(frames):
            y[:, t] = np.einsum("bki,kio->bo", padded[:, t : t + kernel], w["kernel:0"]) + w["bias:0"]
        y = (y - w["moving_mean:0"]) / np.sqrt(w["moving_variance:0"] + 0.001) * w["gamma:0"] + w["beta:0"]
        y = np.maximum(y, 0)
        whole = frames // pool
        x = y[:, : whole * pool].reshape(batch, whole, pool, -1).max(axis=2)
    return x.mean(axis=1)


def test_golden_outputs(shared_corpora: Path) -> None:
    net = load_ismir2018(shared_corpora / "released_weights" / RELEASED.name)
    golden = np.load(shared_corpora / "released_weights" / "golden.npz")
    with torch.no_grad():
        mel = torch.from_numpy(golden["mel"])
        blocks, output = net.block_outputs(mel), net.encode(mel)
    np.testing.assert_allclose(blocks[0].numpy(), golden["block1"], atol=1e-3)
    np.testing.assert_allclose(blocks[3].numpy(), golden["block4"], atol=1e-4)
    np.testing.assert_allclose(output.numpy(), golden["output"], rtol=0, atol=1e-4)
    assert output.shape == (6, 256) and output.max() > 1
    assert float(net.mean) == pytest.approx(float(golden["mean"]), abs=1e-8)
    assert float(net.std) == pytest.approx(float(golden["std"]), abs=1e-8)


def test_golden_outputs_from_samples(shared_corpora: Path) -> None:
    """From sound to features, through our own front end and its float16."""
    from artist_transfer.audio.mel import ISMIR, log_mel

    net = load_ismir2018(shared_corpora / "released_weights" / RELEASED.name)
    golden = np.load(shared_corpora / "released_weights" / "golden.npz")
    # centred frames: the padding of 512 samples makes frame k + 1 that of samples[512k : 512k + 1024]
    mel = np.stack([log_mel(samples, ISMIR)[1:130] for samples in golden["samples"]])
    with torch.no_grad():
        exact = net.encode(net.standardise(torch.from_numpy(mel)))
        rounded = net.encode(net.standardise(torch.from_numpy(mel.astype(np.float16))))
    np.testing.assert_allclose(exact.numpy(), golden["output"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(rounded.numpy(), golden["output"], rtol=0, atol=0.03)


def test_a_keras_file_against_a_forward_pass_in_numpy(tmp_path: Path) -> None:
    weights = make_weights()
    net = load_ismir2018(write_keras(tmp_path / "net.h5", weights), sha256=None)
    x = np.random.default_rng(1).normal(size=(3, 129, 128)).astype(np.float32)
    with torch.no_grad():
        output = net.encode(torch.from_numpy(x)).numpy()
    expected = forward(weights, x)
    assert (expected > 0).mean() > 0.3
    np.testing.assert_allclose(output, expected, atol=1e-4)
    assert net.config.kind == "siamese" and not net.training
    assert float(net.mean) == pytest.approx(RELEASED.mean) and float(net.std) == pytest.approx(RELEASED.std)


def test_another_file_is_refused_by_its_checksum_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_keras(tmp_path / "net.h5", make_weights())
    monkeypatch.setattr(h5py, "File", None)
    with pytest.raises(ArtistTransferError, match=rf"net.h5 .*{sha256_of(path)}.*{RELEASED.sha256}"):
        load_ismir2018(path)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match=r"nowhere\.h5: no such file; .*fetch_released"):
        load_ismir2018(tmp_path / "nowhere.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(ArtistTransferError, match=r"text\.h5 cannot be read as HDF5"):
        load_ismir2018(tmp_path / "text.h5", sha256=None)
    whole = write_keras(tmp_path / "whole.h5", make_weights()).read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtistTransferError, match=r"cut\.h5"):
        load_ismir2018(tmp_path / "cut.h5", sha256=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("conv1d_3/conv1d_3/kernel:0", np.zeros((3, 128, 128))), r"conv1d_3/kernel:0 has the shape \(3, 128, 128\)"),
        (("conv1d_5/conv1d_5/bias:0", None), "conv1d_5/bias:0 is missing"),
        (("batch_normalization_2/batch_normalization_2/gamma:0", np.full(128, np.nan)), "gamma:0 .*not finite"),
        (("conv1d_1/conv1d_1/bias:0", np.array([b"x"] * 128)), "conv1d_1/bias:0 is missing or cannot be read"),
    ],
)
def test_a_file_of_another_shape_names_the_layer(
    tmp_path: Path, change: tuple[str, np.ndarray | None], message: str
) -> None:
    weights = make_weights() | {change[0]: change[1]}
    path = write_keras(tmp_path / "other.h5", {name: value for name, value in weights.items() if value is not None})
    with pytest.raises(ArtistTransferError, match=message):
        load_ismir2018(path, sha256=None)


def test_a_group_in_place_of_an_array_is_named(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "odd.h5", make_weights())
    with h5py.File(path, "a") as file:
        del file["model_weights/conv1d_1/conv1d_1/bias:0"]
        file.create_group("model_weights/conv1d_1/conv1d_1/bias:0")
    with pytest.raises(ArtistTransferError, match="conv1d_1/bias:0 is missing"):
        load_ismir2018(path, sha256=None)


def test_h5py_is_imported_only_to_read_the_file() -> None:
    import subprocess

    code = "import sys, artist_transfer.models.released, artist_transfer.released_files; print('h5py' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server of a folder with random weights in it."""
    (tmp_path / "web").mkdir()
    write_keras(tmp_path / "web" / "model.h5", make_weights())

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}/model.h5"
        web.shutdown()
        thread.join()


def test_the_file_is_fetched_once_and_checked(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    right = replace(RELEASED, url=server, sha256=sha256_of(tmp_path / "web" / "model.h5"))
    path = fetch_released(tmp_path / "cache", released=right)
    assert path == tmp_path / "cache" / RELEASED.name and sha256_of(path) == right.sha256
    before = path.stat().st_mtime_ns
    assert fetch_released(tmp_path / "cache", released=right).stat().st_mtime_ns == before
    load_ismir2018(path, sha256=right.sha256)


def test_a_wrong_file_at_the_address_is_refused(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(ArtistTransferError, match=rf"{RELEASED.name} \(SHA-256 {RELEASED.sha256}\)"):
        fetch_released(tmp_path / "cache", released=replace(RELEASED, url=server))
    assert list((tmp_path / "cache").glob("*")) == []
    with pytest.raises(ArtistTransferError, match="cannot be fetched"):
        fetch_released(tmp_path / "cache", released=replace(RELEASED, url=server + ".no"))


def test_the_address_names_a_commit_and_the_file() -> None:
    assert "/68841d227fef71ac76b44e704007e50452042a38/" in RELEASED.url and RELEASED.url.endswith(".h5")
    assert len(RELEASED.sha256) == 64 and module.RELEASED is RELEASED
