"""The probe learns, sees no test row, and is the paper's."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.probe import Probe, ProbeParams, fit_probe, fit_probe_cached, predict_tracks
from artist_transfer.evaluation.segments import SegmentFeatures
from artist_transfer.training.devices import OutOfMemory

SMALL = ProbeParams(hidden=16, epochs=8, seed=3)


def toy(n_tracks: int = 60, *, width: int = 24, seed: int = 0) -> tuple[SegmentFeatures, dict[str, str]]:
    """Three genres with means far apart, 2 to 4 segments a track."""
    draw = np.random.default_rng(seed)
    ids = tuple(f"t{k:03d}" for k in range(n_tracks))
    counts = draw.integers(2, 5, n_tracks)
    index = np.repeat(np.arange(n_tracks), counts)
    centres = 4 * np.tile(np.eye(3), width // 3)
    features = centres[index % 3] + draw.normal(size=(len(index), width))
    genres = {track_id: "abc"[k % 3] for k, track_id in enumerate(ids)}
    return SegmentFeatures(features.astype(np.float32), index, ids), genres


def fit(features: SegmentFeatures, genres, ids, params: ProbeParams = SMALL) -> Probe:
    return fit_probe(features, genres, ids, params=params, progress=False)


def same(first: Probe, second: Probe) -> bool:
    return all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


def test_it_learns_what_can_be_separated() -> None:
    features, genres = toy()
    train, test = features.track_ids[:45], features.track_ids[45:]
    probe = fit(features, genres, train, ProbeParams(hidden=32, epochs=30))
    table = predict_tracks(probe, features, test)
    assert list(table.columns) == ["a", "b", "c"]
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-12)
    assert (table.idxmax(axis=1) == [genres[x] for x in test]).mean() >= 0.9
    assert probe.history[-1] < probe.history[0] / 2


def test_test_rows_and_labels_change_nothing() -> None:
    features, genres = toy()
    train, test = features.track_ids[:40], features.track_ids[40:]
    expected = fit(features, genres, train, ProbeParams(hidden=8, epochs=2, standardise=True))
    changed = features.features.copy()
    for track_id in test:
        changed[features.rows(track_id)] = np.nan
    other = SegmentFeatures(changed, features.track_index, features.track_ids)
    wrong = genres | dict.fromkeys(test, "another")
    assert same(fit(other, wrong, train, ProbeParams(hidden=8, epochs=2, standardise=True)), expected)


def test_a_training_row_does_change_it() -> None:
    features, genres = toy()
    train = features.track_ids[:40]
    changed = features.features.copy()
    changed[features.rows(train[0])] += 1
    other = SegmentFeatures(changed, features.track_index, features.track_ids)
    assert not same(fit(features, genres, train), fit(other, genres, train))


def test_row_order_and_runs_change_nothing() -> None:
    features, genres = toy()
    train = list(features.track_ids[:40])
    ids = features.track_ids[::-1]
    turned = len(ids) - 1 - features.track_index
    # tracks in another order, their segments each in the same
    rearranged = np.argsort(turned, kind="stable")
    other = SegmentFeatures(features.features[rearranged], turned[rearranged], ids)
    expected = fit(features, genres, train)
    torch.rand(5)  # the global generator plays no part
    assert same(fit(other, genres, train[::-1]), expected)


def test_the_seed_matters() -> None:
    features, genres = toy()
    assert not same(
        fit(features, genres, features.track_ids),
        fit(features, genres, features.track_ids, ProbeParams(hidden=16, epochs=8, seed=4)),
    )


def test_track_probabilities_are_the_mean_over_segments() -> None:
    features, genres = toy()
    probe = fit(features, genres, features.track_ids)
    x = features.of_track("t007").astype(np.float64)
    hidden = x @ probe.tensors["kernel1"].numpy().T + probe.tensors["bias1"].numpy()
    hidden = np.where(hidden > 0, hidden, np.expm1(hidden))
    logits = hidden @ probe.tensors["kernel2"].numpy().T + probe.tensors["bias2"].numpy()
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict_tracks(probe, features, ["t007"]).to_numpy()[0], softmax.mean(axis=0), atol=1e-5)


def test_one_step_is_adam_on_cross_entropy_and_l2() -> None:
    """Without dropout and in one batch, two epochs equal torch's own Adam on the written-out loss."""
    features, genres = toy(12)
    params = ProbeParams(hidden=5, dropout=0.0, epochs=2, batch=10_000, l2=0.01, learning_rate=0.05, seed=1)
    start = fit(features, genres, features.track_ids, ProbeParams(hidden=5, dropout=0.0, epochs=0, seed=1))
    end = fit(features, genres, features.track_ids, params)
    ours = {name: start.tensors[name].clone().requires_grad_() for name in ("kernel1", "bias1", "kernel2", "bias2")}
    optimiser = torch.optim.Adam(list(ours.values()), lr=0.05)
    x = torch.from_numpy(features.features)
    labels = torch.tensor(["abc".index(genres[features.track_ids[k]]) for k in features.track_index])
    for _ in range(2):
        hidden = torch.nn.functional.elu(x @ ours["kernel1"].T + ours["bias1"])
        loss = torch.nn.functional.cross_entropy(hidden @ ours["kernel2"].T + ours["bias2"], labels)
        loss = loss + 0.01 * (ours["kernel1"].square().sum() + ours["kernel2"].square().sum())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    for name, value in ours.items():
        torch.testing.assert_close(end.tensors[name], value.detach(), atol=1e-5, rtol=1e-4)


def test_initial_weights_are_glorot_uniform() -> None:
    features, genres = toy(width=300)
    probe = fit(features, genres, features.track_ids, ProbeParams(hidden=200, epochs=0))
    kernel = probe.tensors["kernel1"].numpy()
    bound = np.sqrt(6 / (300 + 200))
    assert np.abs(kernel).max() <= bound
    assert kernel.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert not probe.tensors["bias1"].any()


def test_standardising_uses_training_statistics_and_makes_scale_irrelevant() -> None:
    features, genres = toy()
    train = features.track_ids[:40]
    params = ProbeParams(hidden=8, epochs=2, standardise=True)
    probe = fit(features, genres, train, params)
    rows = np.concatenate([features.rows(x) for x in train])
    np.testing.assert_allclose(probe.tensors["mean"], features.features[rows].mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(probe.tensors["scale"], features.features[rows].std(axis=0), rtol=1e-5)
    scaled = SegmentFeatures(1024 * features.features, features.track_index, features.track_ids)  # exact in binary
    expected = predict_tracks(probe, features)
    np.testing.assert_allclose(predict_tracks(fit(scaled, genres, train, params), scaled), expected, atol=1e-5)


def test_a_constant_column_is_harmless() -> None:
    features, genres = toy()
    constant = features.features.copy()
    constant[:, 2] = 7.0
    held = SegmentFeatures(constant, features.track_index, features.track_ids)
    probe = fit(held, genres, features.track_ids, ProbeParams(hidden=8, epochs=1, standardise=True))
    assert probe.tensors["scale"][2] == 1.0


def test_tracks_without_genre_are_counted_and_left_out() -> None:
    features, genres = toy()
    genres["t000"] = None
    genres["t001"] = float("nan")
    probe = fit(features, genres, features.track_ids)
    assert probe.counts["n_train_without_genre"] == 2
    assert probe.counts["n_train_tracks"] == 58
    assert probe.classes == ("a", "b", "c")


def test_memory_mapped_half_precision_features(tmp_path) -> None:
    features, genres = toy()
    np.save(tmp_path / "f.npy", features.features.astype(np.float16))
    mapped = SegmentFeatures(np.load(tmp_path / "f.npy", mmap_mode="c"), features.track_index, features.track_ids)
    plain = SegmentFeatures(
        features.features.astype(np.float16).astype(np.float32), features.track_index, features.track_ids
    )
    assert same(fit(mapped, genres, features.track_ids), fit(plain, genres, features.track_ids))


def test_saved_and_loaded(tmp_path) -> None:
    features, genres = toy()
    probe = fit(features, genres, features.track_ids)
    probe.save(tmp_path / "one")
    fit(features, genres, features.track_ids).save(tmp_path / "two")
    loaded = Probe.load(tmp_path / "one")
    assert same(loaded, probe)
    assert (loaded.classes, loaded.params, loaded.history, loaded.counts) == (
        probe.classes,
        probe.params,
        probe.history,
        probe.counts,
    )
    for name in ("probe.safetensors", "probe.json", "manifest.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with pytest.raises(ArtistTransferError, match="no finished probe"):
        Probe.load(tmp_path / "none")


def test_cached_by_what_went_in(tmp_path, monkeypatch) -> None:
    features, genres = toy()
    train = features.track_ids[:40]
    options = {"cache_root": tmp_path, "params": SMALL, "progress": False}
    first, folder = fit_probe_cached(features, genres, train, **options)
    assert same(Probe.load(folder), first)

    def never(*_args: object, **_options: object) -> Probe:
        raise AssertionError("fitted again")

    with monkeypatch.context() as patch:
        patch.setattr("artist_transfer.evaluation.probe.fit_probe", never)
        assert same(fit_probe_cached(features, genres, train, **options)[0], first)
        with pytest.raises(AssertionError, match="fitted again"):
            fit_probe_cached(features, genres, train[1:], **options)
        with pytest.raises(AssertionError, match="fitted again"):
            fit_probe_cached(features, genres | {"t000": "b"}, train, **options)


KILLED = """
import json, os, signal, sys
from pathlib import Path
import numpy as np
import torch
from artist_transfer.evaluation import probe, probe_steps
from artist_transfer.evaluation.segments import SegmentFeatures

torch.set_num_threads(1)
draw = np.random.default_rng(0)
ids = tuple(f"t{k}" for k in range(100))
features = SegmentFeatures(draw.normal(size=(100, 16)).astype("f4"), np.arange(100), ids)
genres = {x: "ab"[k % 2] for k, x in enumerate(ids)}
params = probe.ProbeParams(hidden=8, epochs=2)

def fit(folder):
    probe.fit_probe_cached(features, genres, ids, cache_root=Path(folder), params=params, progress=False)

def die(*_args, **_options):
    os.kill(os.getpid(), signal.SIGKILL)

killed, clean = sys.argv[1:]
told = []
# in a step; with weights and card there and the manifest not yet
for where, function in ((probe_steps, "scaled"), (probe, "commit_folder")):
    child = os.fork()
    if child == 0:
        setattr(where, function, die)
        fit(killed)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    told.append([os.WTERMSIG(status), sorted(path.name for path in Path(killed).rglob("*") if path.is_file())])
fit(killed)
fit(clean)
print(json.dumps(told))
"""


def test_a_killed_fit_leaves_nothing_that_looks_done(tmp_path) -> None:
    killed, clean = tmp_path / "killed", tmp_path / "clean"
    command = [sys.executable, "-c", KILLED, str(killed), str(clean)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert told == [[signal.SIGKILL, []], [signal.SIGKILL, ["probe.json", "probe.safetensors"]]]
    files = [sorted(path for path in folder.rglob("*") if path.is_file()) for folder in (killed, clean)]
    assert [path.name for path in files[0]] == ["manifest.json", "probe.json", "probe.safetensors"]
    assert [p.relative_to(killed) for p in files[0]] == [p.relative_to(clean) for p in files[1]]
    assert [p.read_bytes() for p in files[0]] == [p.read_bytes() for p in files[1]]


def test_bad_input() -> None:
    features, genres = toy()
    with pytest.raises(ArtistTransferError, match="at least two genres, found 1"):
        fit(features, dict.fromkeys(genres, "a"), features.track_ids)
    with pytest.raises(ArtistTransferError, match="no segment features of track 'zz'"):
        fit(features, genres | {"zz": "a"}, ["zz"])
    with pytest.raises(ArtistTransferError, match="not finite"):
        fit(SegmentFeatures(features.features * np.nan, features.track_index, features.track_ids), genres, genres)
    probe = fit(features, genres, features.track_ids)
    narrow = SegmentFeatures(features.features[:, :2], features.track_index, features.track_ids)
    with pytest.raises(ArtistTransferError, match="fitted on 24 features, found 2"):
        predict_tracks(probe, narrow)
    with pytest.raises(ArtistTransferError, match="no segment to predict from"):
        predict_tracks(probe, SegmentFeatures(features.features, features.track_index, (*features.track_ids, "x")))


def test_without_memory_the_keys_are_named(monkeypatch) -> None:
    def full(*_args: object, **_options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    features, genres = toy()
    probe = fit(features, genres, features.track_ids)
    monkeypatch.setattr("artist_transfer.evaluation.probe_steps.scaled", full)
    with pytest.raises(OutOfMemory, match=r"cpu ran out of memory with transfer\.batch = 64; make the batch smaller"):
        fit(features, genres, features.track_ids)
    monkeypatch.setattr("artist_transfer.evaluation.probe._on_device", full)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_: self)  # there is no such device here
    with pytest.raises(
        OutOfMemory, match=r"transfer\.batch = 64; .* take device: cpu \(.* alone are 1\.[0-9]e-05 GiB\)"
    ):
        fit_probe(features, genres, features.track_ids, params=SMALL, device="cuda", progress=False)
    monkeypatch.setattr("artist_transfer.evaluation.probe.scaled", full)
    with pytest.raises(OutOfMemory, match=r"cuda ran out of memory with tracks at once = 1; take device: cpu"):
        predict_tracks(probe, features, device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_learns_too() -> None:
    features, genres = toy()
    probe = fit_probe(features, genres, features.track_ids[:45], params=SMALL, device="cuda", progress=False)
    assert probe.history[-1] < probe.history[0] / 2
    table = predict_tracks(probe, features, features.track_ids[45:], device="cuda")
    np.testing.assert_allclose(table, predict_tracks(probe, features, features.track_ids[45:]), atol=1e-4)
