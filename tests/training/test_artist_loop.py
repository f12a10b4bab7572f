"""Training of artist-label nets: each loss learns, the schedule is kept, and it goes on exactly where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training import artist_problem as problem
from tests.training.artist_problem import ARTISTS, SONGS, train_tiny

from artist_transfer.artifacts import MANIFEST, read_json
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.models.artist_net import ArtistNet
from artist_transfer.models.encoding import encode_songs
from artist_transfer.training import artist_finished as finished
from artist_transfer.training import artist_loop as module
from artist_transfer.training.checkpoints import Interrupted

torch.set_num_threads(1)
KINDS = ("basic", "siamese", "tag")
TRAINING = ARTISTS * (SONGS - 2)


def assert_same(one: ArtistNet, two: ArtistNet) -> None:
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name


def after(n: int):
    """Return a `stop` that says yes before update n."""
    calls = iter(range(10**9))
    return lambda: next(calls) >= n


def separation(net: ArtistNet) -> float:
    """Return how often a song that the training never saw is nearest to a song of its artist, by cosine."""
    ids = [f"a{artist}s{song}" for artist in range(ARTISTS) for song in (6, 7, 8)]
    vectors, left_out = encode_songs(net, problem.Source(), ids)
    assert not left_out
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T - 2 * np.eye(len(ids))
    return float(np.mean([ids[k][:2] == ids[j][:2] for k, j in enumerate(cosines.argmax(axis=1))]))


LOSSES = {
    "hinge": {},
    "hinge.by_input": {"statistics": "by_input"},
    "softmax": {"loss": "softmax"},
    "contrastive": {"loss": "contrastive", "margin": 1.0},
    "triplet": {"loss": "triplet"},
    "triplet.one": {"loss": "triplet", "negatives": 1},
    "triplet.euclidean": {"loss": "triplet", "distance": "euclidean", "margin": 1.0},
}


def learn(kind: str, **changes: object) -> tuple[float, float, float]:
    """Return what is left of training and validation loss, and the separation of songs that were never seen."""
    values = {"epochs": 30, "learning_rate": 0.02, "width": 0.25, "dropout": 0.2, "validation_crops": 4}
    net, result = train_tiny(kind, **values, **changes)
    losses = [row["loss"] for row in result.history]
    validation = [row["validation_loss"] for row in result.history]
    return float(np.mean(losses[-3:])) / losses[0], min(validation) / validation[0], separation(net)


@pytest.mark.parametrize("name", LOSSES)
def test_each_siamese_loss_learns_to_tell_artists_apart(name: str) -> None:
    training, validation, separated = learn("siamese", **LOSSES[name])
    assert training < 0.5 and validation < 0.25 and separated > 0.85


@pytest.mark.parametrize("kind", ["basic", "tag"])
def test_softmax_and_sigmoids_learn_too(kind: str) -> None:
    training, validation, separated = learn(kind)
    assert training < 0.5 and validation < 0.25 and separated > 0.85


def test_a_net_that_has_not_learnt_does_not_tell_artists_apart() -> None:
    net = ArtistNet(problem.make_config(width=0.25), seed=7)
    net.set_statistics(*problem.make_songs().statistics(problem.make_store()))
    assert separation(net) < 0.8


def test_history_steps_and_learning_rate() -> None:
    _, result = train_tiny(epochs=4, decay=0.1, patience=10)
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4]
    steps = TRAINING // 5
    assert result.steps == 4 * steps and all(row["steps"] == steps for row in result.history)
    last = steps * np.arange(1, 5) - 1  # updates done before the last of each epoch
    np.testing.assert_allclose([row["learning_rate"] for row in result.history], 0.1 / (1 + 0.1 * last))
    assert set(result.history[0]) == {"epoch", "loss", "validation_loss", "learning_rate", "steps"}


def test_the_plateau_lowers_the_rate_and_ends_and_the_best_weights_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    series, weights = iter([5.0, 3.0, 3.5, 3.2, 3.1, 3.3, 3.4, 3.6, 1.0]), []

    def validate(self: object) -> float:
        weights.append({name: value.clone() for name, value in self.net.state_dict().items()})
        return next(series)

    monkeypatch.setattr(module._Run, "validate", validate)
    net, result = train_tiny(epochs=30, patience=2, max_reductions=2, decay=0.0)
    assert [row["validation_loss"] for row in result.history] == [5.0, 3.0, 3.5, 3.2, 3.1, 3.3, 3.4, 3.6]
    rates = [row["learning_rate"] / 0.1 for row in result.history]
    np.testing.assert_allclose(rates, [1, 1, 1, 1, 0.2, 0.2, 0.04, 0.04])
    assert result.best_epoch == 2 and not net.training
    for name, value in net.state_dict().items():
        assert torch.equal(value, weights[1][name])
    assert not torch.equal(weights[1]["blocks.0.conv.weight"], weights[-1]["blocks.0.conv.weight"])


def test_the_validation_loss_is_that_of_the_kept_weights_on_fixed_crops() -> None:
    net, result = train_tiny(epochs=5, validation_crops=3)
    songs, store, params = problem.make_songs(), problem.make_store(), problem.make_params(validation_crops=3)
    run = module._Run(net, store, songs, params, problem.CPU)
    best = min(row["validation_loss"] for row in result.history)
    assert run.validate() == run.validate() == pytest.approx(best, rel=1e-6)
    assert net.training  # validating leaves the training mode as it was
    assert result.history[result.best_epoch - 1]["validation_loss"] == best
    rows, firsts = run.sampler.validation(3)
    with torch.no_grad():  # by hand, from the frames, one anchor at a time
        net.eval()
        total = 0.0
        for row, first in zip(rows, firsts, strict=True):
            crops = torch.stack([store.frames[f : f + 129] for f in first.tolist()])
            features = net.encode(net.standardise(crops))
            cosine = torch.nn.functional.cosine_similarity(features[:1], features[1:])
            total += float((0.4 - cosine[0] + cosine[1:]).clamp_min(0).sum())
            assert len(row) == 5
    assert total / len(rows) == pytest.approx(best, rel=1e-4)


def test_an_update_is_nesterov_with_the_penalty_on_kernels_only() -> None:
    """Against the formulas, in plain tensors: v ← 0.9 v + g, w ← w - rate (g + 0.9 v), g with 2 · l2 · w."""
    songs, store = problem.make_songs("basic"), problem.make_store()
    params = problem.make_params(l2=0.01, learning_rate=0.05, decay=0.5)
    net = ArtistNet(problem.make_config("basic", dropout=0.0), seed=1)
    twin = ArtistNet(problem.make_config("basic", dropout=0.0), seed=1).train()
    run = module._Run(net, store, songs, params, problem.CPU)
    sampler = module.make_sampler(net.config, store, songs, params)
    velocity = [torch.zeros_like(p) for p in twin.parameters()]
    for step in range(3):
        run.advance()
        crops, rows = sampler.draw()
        loss = torch.nn.functional.cross_entropy(twin(crops.float()), torch.from_numpy(songs.labels)[rows])
        penalty = 0.01 * sum((kernel**2).sum() for kernel in twin.kernels())
        gradients = torch.autograd.grad(loss + penalty, list(twin.parameters()))
        with torch.no_grad():
            for p, v, g in zip(twin.parameters(), velocity, gradients, strict=True):
                v.mul_(0.9).add_(g)
                p.sub_(0.05 / (1 + 0.5 * step) * (g + 0.9 * v))
        assert float(run.losses[step]) == pytest.approx(float(loss.detach()), rel=1e-5)
    for (name, mine), other in zip(net.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6, msg=name)


def test_the_hinge_is_summed_over_the_batch() -> None:
    """Twice the anchors, twice the step: with the same crops twice in a batch the gradient is twice as large."""
    songs, store, grads = problem.make_songs(), problem.make_store(), []
    for loss in ("hinge", "triplet"):  # with cosine distances they differ in sum and mean only
        params = problem.make_params(batch=5, loss=loss, distance="cosine", l2=0.0, momentum=0.0, decay=0.0)
        net = ArtistNet(problem.make_config(dropout=0.0), seed=1)
        run = module._Run(net, store, songs, params, problem.CPU)
        before = net.blocks[0].conv.weight.detach().clone()
        run.advance()
        grads.append((before - net.blocks[0].conv.weight.detach()) / 0.1)
    assert float(grads[1].abs().max()) > 0
    torch.testing.assert_close(grads[0], 5 * grads[1], rtol=1e-3, atol=1e-6)


def test_batch_norm_by_input_sees_each_column_by_itself() -> None:
    songs, store = problem.make_songs(), problem.make_store()
    means = {}
    for statistics in ("joint", "by_input"):
        net = ArtistNet(problem.make_config(dropout=0.0), seed=1)
        run = module._Run(net, store, songs, problem.make_params(statistics=statistics), problem.CPU)
        seen: list[int] = []
        net.blocks[0].norm.register_forward_hook(lambda _m, inputs, _o, seen=seen: seen.append(len(inputs[0])))
        crops, rows = run.sampler.draw()
        values = run.values(crops, rows)
        means[statistics] = (seen, values)
    assert means["joint"][0] == [25] and means["by_input"][0] == [5] * 5
    assert not torch.allclose(means["joint"][1], means["by_input"][1])


@pytest.mark.parametrize("statistics", ["joint", "by_input"])
def test_running_statistics_are_the_mean_over_the_first_batches(statistics: str) -> None:
    """After three updates they are the mean of three batches, without a share of the 0 and 1 that they began with."""
    net = ArtistNet(problem.make_config(dropout=0.0), seed=1)
    params = problem.make_params(statistics=statistics)
    run = module._Run(net, problem.make_store(), problem.make_songs(), params, problem.CPU)
    seen: list[torch.Tensor] = []
    norm = net.blocks[0].norm
    norm.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].detach().mean(dim=(0, 2, 3))))
    for _ in range(3):
        run.advance()
    assert len(seen) == (3 if statistics == "joint" else 15)
    torch.testing.assert_close(norm.running_mean, torch.stack(seen).mean(dim=0), rtol=1e-4, atol=1e-5)
    net.average_evenly(98)
    assert norm.momentum == pytest.approx(1 / 99)
    net.average_evenly(10**6)
    assert norm.momentum == 0.01


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [0, 6, 8])
def test_interrupted_and_resumed_is_bit_identical(tmp_path: Path, kind: str, at: int) -> None:
    """In the beginning, within an epoch, and at the end of one; an epoch has 4 updates."""
    whole, result = train_tiny(kind, epochs=4, decay=0.01, patience=1)
    with pytest.raises(Interrupted) as caught:
        train_tiny(kind, epochs=4, decay=0.01, patience=1, folder=tmp_path, stop=after(at))
    assert caught.value.code == 143 and f"{at} of 16" in str(caught.value)
    torch.rand(3)  # the caller's generator is no part of it
    asked: list[None] = []
    resumed, again = train_tiny(
        kind, epochs=4, decay=0.01, patience=1, folder=tmp_path, stop=lambda: asked.append(None)
    )
    assert len(asked) == result.steps - at
    assert_same(whole, resumed)
    assert again == result


def test_checkpoints_while_training_change_nothing(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    whole, _ = train_tiny(epochs=2)
    often, _ = train_tiny(epochs=2, folder=tmp_path, checkpoint_every_s=0)
    assert_same(whole, often)
    assert len(list(tmp_path.glob("checkpoint-*.json"))) == 2
    assert torch.equal(state, torch.get_rng_state())
    other, _ = train_tiny(epochs=2, seed=8)
    assert not torch.equal(whole.blocks[0].conv.weight, other.blocks[0].conv.weight)


@pytest.mark.parametrize("place", ["device", "disk"])
def test_where_the_frames_live_changes_nothing(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = train_tiny(epochs=1)
    make_store = problem.make_store
    monkeypatch.setattr(problem, "make_store", lambda device: make_store(device, place=place))
    assert_same(whole, train_tiny(epochs=1)[0])


def test_progress_tells_every_epoch() -> None:
    told: list[tuple[int, int, dict[str, float]]] = []
    _, result = train_tiny(epochs=3, progress=lambda *news: told.append(news))
    by_epoch = [news for news in told if news[0] % 4 == 0]
    assert [news[:2] for news in by_epoch] == [(4, 12), (8, 12), (12, 12)]
    expected = [{"train": row["loss"], "validation": row["validation_loss"]} for row in result.history]
    assert [news[2] for news in by_epoch] == expected


def test_a_loss_that_is_not_finite_names_update_and_learning_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, count = module.combined, iter(range(1000))
    monkeypatch.setattr(
        module, "combined", lambda values, loss: original(values, loss=loss) * (np.nan if next(count) >= 6 else 1)
    )
    with pytest.raises(ArtistTransferError, match=r"loss is nan at update 8; make artist_training.learning_rate = 0.1"):
        train_tiny(folder=tmp_path, checkpoint_every_s=1e9)


def test_a_checkpoint_never_holds_a_loss_that_is_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, count = module.combined, iter(range(1000))
    monkeypatch.setattr(
        module, "combined", lambda values, loss: original(values, loss=loss) * (np.nan if next(count) >= 5 else 1)
    )
    with pytest.raises(ArtistTransferError, match="nan at update 7"):
        train_tiny(folder=tmp_path, checkpoint_every_s=0)
    found = module.load_checkpoint(tmp_path)
    assert found is not None and found[1]["step"] == 6


def test_out_of_memory_names_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_kwargs: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(module._Run, "values", full)
    with pytest.raises(ArtistTransferError, match=r"artist_training\.batch = 5"):
        train_tiny()


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train_tiny(folder=tmp_path, stop=after(5))
    with pytest.raises(ArtistTransferError, match="another training"):
        train_tiny(folder=tmp_path, margin=0.3)


def test_net_songs_and_frames_must_belong_together() -> None:
    store, params = problem.make_store(), problem.make_params()

    def fails(kind: str, songs: str, match: str, **config: object) -> None:
        net = ArtistNet(module.ArtistNetConfig(kind, **{"n_mels": problem.BANDS, "width": 0.1, **config}))
        with pytest.raises(ArtistTransferError, match=match):
            module.train_artist(net, store, problem.make_songs(songs), params, device=problem.CPU, folder=None)

    fails("siamese", "siamese", "takes 13 bands, the frames have 12", n_mels=13)
    fails("basic", "basic", "7 outputs for 5 artists", n_outputs=7)
    fails("tag", "basic", "tag net was asked for, but the labels are artists", n_outputs=5)
    fails("siamese", "tag", "siamese net was asked for, but the labels are tags")
    fails("siamese", "siamese", "shorter than a crop of 190 frames", crop=190)


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_net_is_not_trained_again(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = problem.run(tmp_path / "a", kind=kind, epochs=2)
    names = sorted(path.name for path in first.folder.iterdir() if path.name[0] != ".")
    assert names == ["history.json", MANIFEST, "net.json", "net.safetensors"]
    assert first.folder.parent == tmp_path / "a" / "nets"
    other = problem.run(tmp_path / "b", kind=kind, epochs=2)
    for path in first.folder.iterdir():
        assert path.read_bytes() == (other.folder / path.name).read_bytes()
    assert problem.run(tmp_path / "a", kind=kind, epochs=3).folder != first.folder
    monkeypatch.setattr(finished, "train_artist", None)
    again = problem.run(tmp_path / "a", kind=kind, epochs=2, checkpoint_every_s=5)
    assert again.reused and not first.reused and again.folder == first.folder
    assert again.history == first.history == read_json(first.folder / "history.json")
    assert again.details == first.details
    assert_same(first.net, again.net)
    assert first.details["songs"] == {"train": TRAINING, "validation": 2 * ARTISTS}
    assert first.details["statistics"]["std"] > 0 and first.details["best_epoch"] in (1, 2)


def test_bit_rot_is_found_and_mended(tmp_path: Path) -> None:
    first = problem.run(tmp_path, epochs=1)
    path = first.folder / "net.safetensors"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.warns(ArtistTransferWarning, match=r"net\.safetensors"):
        again = problem.run(tmp_path, epochs=1)
    assert not again.reused and path.read_bytes() == good


def start(cache: Path, kind: str, epochs: int, every_s: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.training.artist_problem", str(cache), kind, str(epochs), str(every_s)]
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(command, cwd=root, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)


def newest(cache: Path) -> str:
    return max((path.name for path in cache.glob("nets/*/checkpoint-*.json")), default="")


def wait_for_a_checkpoint_after(before: str, cache: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while newest(cache) <= before:
        assert process.poll() is None and time.monotonic() < deadline, (process.communicate()[1] or b"").decode()
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_killed_at_any_time_the_next_run_ends_with_the_same_bytes(tmp_path: Path, sent: signal.Signals) -> None:
    epochs, cache, kills = 60, tmp_path / "killed", 0
    for pause in (0.0, 0.05, 0.1):
        before = newest(cache)
        process = start(cache, "siamese", epochs, 0)
        wait_for_a_checkpoint_after(before, cache, process)
        time.sleep(pause)
        process.send_signal(sent)
        assert process.wait(timeout=30) == (143 if sent == signal.SIGTERM else -sent)
        kills += 1
        assert not list(cache.glob(f"nets/*/{MANIFEST}"))
    process = start(cache, "siamese", epochs, 1e9)
    assert process.wait(timeout=60) == 0, (process.communicate()[1] or b"").decode()
    (folder,) = (cache / "nets").iterdir()
    expected = problem.run(tmp_path / "whole", epochs=epochs)
    assert folder.name == expected.folder.name
    assert not list(folder.glob("*checkpoint-*"))
    for name in ("history.json", MANIFEST, "net.json", "net.safetensors"):
        assert (folder / name).read_bytes() == (expected.folder / name).read_bytes()
    print(f"killed {kills} times by {sent.name}")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_on_a_gpu(kind: str, precision: str, tmp_path: Path) -> None:
    values = {"epochs": 20, "learning_rate": 0.02 if kind == "siamese" else 0.1, "precision": precision}
    with pytest.raises(Interrupted):
        train_tiny(kind, device="cuda", folder=tmp_path, stop=after(9), **values)
    net, result = train_tiny(kind, device="cuda", folder=tmp_path, **values)
    assert net.mean.device.type == "cuda"
    assert min(row["validation_loss"] for row in result.history) < 0.6 * result.history[0]["validation_loss"]
