"""The training loop: it learns, it is deterministic, and it goes on exactly where it was."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from artist_transfer.artifacts import MANIFEST, read_json
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.models.dcnn import MultiTaskNet
from artist_transfer.training import loop as module
from artist_transfer.training.checkpoints import Interrupted
from artist_transfer.training.loop import TrainParams, TrainResult, train
from artist_transfer.training.targets import TaskTargets

CPU = torch.device("cpu")


def train_tiny(
    problem: ModuleType, *, tasks: str = "gm", folder: Path | None = None, stop: object = None, **changes: object
) -> tuple[MultiTaskNet, TrainResult]:
    net = MultiTaskNet(problem.make_config(tasks), seed=7)
    store = problem.make_store()
    net.set_band_statistics(*store.band_statistics())
    targets, params = problem.make_targets(tasks), problem.make_params(**changes)
    return net, train(net, store, targets, params, device=CPU, folder=folder, stop=stop)


def assert_same(one: MultiTaskNet, two: MultiTaskNet) -> None:
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name


def after(n: int):
    """Return a `stop` that says yes before update n."""
    calls = iter(range(10**9))
    return lambda: next(calls) >= n


def test_a_separable_problem_is_learnt(problem: ModuleType) -> None:
    net, result = train_tiny(problem, tasks="g", epochs=100, batch=12, learning_rate=3e-3)
    losses = [row["loss"] for row in result.history]
    assert np.mean(losses[-5:]) < 0.3 * np.log(3) < 0.5 * losses[0]
    crops, right = [], []
    for number in range(20, 50):  # tracks that the training never saw
        crops.append(problem.Source().frames(f"t{number}")[: problem.CROP].T)
        right.append(number % 3)
    with torch.no_grad():
        guess = net(torch.from_numpy(np.stack(crops))[:, None], "g").argmax(dim=1)
    assert float((guess == torch.tensor(right)).float().mean()) > 0.9


def test_number_of_updates_and_history(problem: ModuleType) -> None:
    _, result = train_tiny(problem, epochs=5)
    assert result.steps == 5 * 2 * (problem.TRACKS // 4)
    assert sum(row["steps"] for row in result.history) == result.steps
    by_epoch = Counter()
    for row in result.history:
        by_epoch[row["epoch"]] += row["steps"]
    assert by_epoch == dict.fromkeys(range(1, 6), 6)
    assert {row["task"] for row in result.history} == {"g", "m"}


@pytest.mark.parametrize("changes", [{}, {"optimiser": "per_task"}, {"draw": "epoch"}, {"channels_last": False}])
@pytest.mark.parametrize("at", [0, 17, 24])
def test_interrupted_and_resumed_is_bit_identical(
    problem: ModuleType, tmp_path: Path, changes: dict[str, object], at: int
) -> None:
    whole, result = train_tiny(problem, epochs=6, **changes)
    with pytest.raises(Interrupted) as caught:
        train_tiny(problem, epochs=6, folder=tmp_path, stop=after(at), **changes)
    assert caught.value.code == 143 and f"{at} of 36" in str(caught.value)
    torch.rand(3)  # the caller's generator is no part of it
    asked: list[None] = []
    resumed, again = train_tiny(problem, epochs=6, folder=tmp_path, stop=lambda: asked.append(None), **changes)
    assert len(asked) == 36 - at
    assert_same(whole, resumed)
    assert again.history == result.history


def test_checkpoints_while_training_change_nothing(problem: ModuleType, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    whole, _ = train_tiny(problem, epochs=3)
    often, _ = train_tiny(problem, epochs=3, folder=tmp_path, checkpoint_every_s=0)
    assert_same(whole, often)
    assert len(list(tmp_path.glob("checkpoint-*.json"))) == 2
    assert torch.equal(state, torch.get_rng_state())
    other, _ = train_tiny(problem, epochs=3, seed=8)
    assert not torch.equal(whole.towers["g"].out.weight, other.towers["g"].out.weight)


def test_threads_are_pinned_and_put_back(problem: ModuleType) -> None:
    during = []
    before = torch.get_num_threads()

    def stop() -> bool:
        during.append(torch.get_num_threads())
        return True

    with pytest.raises(Interrupted):
        train_tiny(problem, threads=2, stop=stop)
    assert during == [2] and torch.get_num_threads() == before == 1


def test_drawing_by_epoch_keeps_a_task_for_its_epoch() -> None:
    params = TrainParams(epochs=50, draw="epoch")
    schedule = module._schedule(params, n_tasks=3, steps_per_epoch=7)
    assert schedule.shape == (50 * 3 * 7,)
    assert (schedule.reshape(-1, 7) == schedule.reshape(-1, 7)[:, :1]).all()
    by_batch = module._schedule(TrainParams(epochs=50), n_tasks=3, steps_per_epoch=7)
    assert by_batch.shape == schedule.shape and len({tuple(row) for row in by_batch.reshape(-1, 7).tolist()}) > 20
    for drawn in (schedule, by_batch):
        assert sorted(set(drawn.tolist())) == [0, 1, 2]


def test_steps_per_epoch() -> None:
    assert TrainParams(epochs=1).steps_per_epoch(21_250) == 332  # FMA medium, as in the paper's set-up
    assert TrainParams(epochs=1).steps_per_epoch(63) == 1


def test_progress_tells_every_epoch(problem: ModuleType) -> None:
    net = MultiTaskNet(problem.make_config("g"))
    told: list[tuple[int, int, dict[str, float]]] = []
    result = train(
        net,
        problem.make_store(),
        problem.make_targets("g"),
        problem.make_params(epochs=3),
        device=CPU,
        folder=None,
        progress=lambda *news: told.append(news),
    )
    assert [news[:2] for news in told] == [(3, 9), (6, 9), (9, 9)]
    assert [news[2]["g"] for news in told] == [row["loss"] for row in result.history]


def test_a_loss_that_is_not_finite_names_update_and_learning_rate(
    problem: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, count = module.update, iter(range(1000))

    def explode(*args: object, **kwargs: object) -> torch.Tensor:
        loss = original(*args, **kwargs)
        return loss * float("nan") if next(count) >= 7 else loss

    monkeypatch.setattr(module, "update", explode)
    with pytest.raises(ArtistTransferError, match=r"'g' is nan at update 8 of 18 .*learning_rate = 0.001"):
        train_tiny(problem, tasks="g", epochs=6, folder=tmp_path, checkpoint_every_s=0)
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == ["checkpoint-000000006", "checkpoint-000000007"]


def test_out_of_memory_names_the_batch_and_keeps_the_checkpoint(
    problem: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted):
        train_tiny(problem, folder=tmp_path, stop=after(5))

    def full(*_args: object, **_kwargs: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with monkeypatch.context() as patch:
        patch.setattr(module, "update", full)
        with pytest.raises(ArtistTransferError, match=r"training.batch = 4"):
            train_tiny(problem, folder=tmp_path)
    resumed, _ = train_tiny(problem, folder=tmp_path)
    assert_same(resumed, train_tiny(problem)[0])


def test_a_checkpoint_of_another_training_is_refused(problem: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train_tiny(problem, folder=tmp_path, stop=after(5))
    with pytest.raises(ArtistTransferError, match="another training"):
        train_tiny(problem, folder=tmp_path, learning_rate=1e-2)


def test_net_targets_and_frames_must_belong_together(problem: ModuleType) -> None:
    store, params = problem.make_store(), problem.make_params()
    net = MultiTaskNet(problem.make_config("g"))
    with pytest.raises(ArtistTransferError, match="outputs"):
        train(net, store, problem.make_targets("gm"), params, device=CPU, folder=None)
    net = MultiTaskNet(module.DcnnConfig(outputs=problem.make_targets("g").outputs, n_mels=64, crop=16))
    with pytest.raises(ArtistTransferError, match="64 bands"):
        train(net, store, problem.make_targets("g"), params, device=CPU, folder=None)


@pytest.mark.parametrize(
    ("key", "value"),
    {
        "epochs": 0,
        "batch": 1,
        "learning_rate": 0,
        "l2": -1,
        "optimiser": "sgd",
        "draw": "x",
        "precision": "float16",
        "threads": 0,
        "seed": -1,
        "checkpoint_every_s": -1,
    }.items(),
)
def test_bad_parameters_are_named(key: str, value: object) -> None:
    with pytest.raises(ArtistTransferError, match=f"training.{key}"):
        TrainParams(**{"epochs": 1, key: value})


def test_a_finished_net_is_not_trained_again(
    problem: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = problem.run(tmp_path / "a", epochs=2)
    assert sorted(path.name for path in first.folder.iterdir() if path.name[0] != ".") == [
        "history.json",
        MANIFEST,
        "net.json",
        "net.safetensors",
    ]
    other = problem.run(tmp_path / "b", epochs=2)
    for path in first.folder.iterdir():
        assert path.read_bytes() == (other.folder / path.name).read_bytes()
    assert problem.run(tmp_path / "a", epochs=3).folder != first.folder
    monkeypatch.setattr(module, "train", None)
    again = problem.run(tmp_path / "a", epochs=2, checkpoint_every_s=5)
    assert again.reused and not first.reused and again.folder == first.folder
    assert again.history == first.history and again.details == first.details
    assert_same(first.net, again.net)


def test_bit_rot_is_found_and_mended(problem: ModuleType, tmp_path: Path) -> None:
    first = problem.run(tmp_path, epochs=2)
    path = first.folder / "net.safetensors"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.warns(ArtistTransferWarning, match="net.safetensors"):
        again = problem.run(tmp_path, epochs=2)
    assert not again.reused and path.read_bytes() == good
    assert read_json(first.folder / "history.json") == first.history


def test_one_task_of_many_is_the_same_as_alone_without_sharing(problem: ModuleType) -> None:
    """A task's crops, first weights and targets do not change with the company it is trained in."""
    alone = problem.make_targets("g")
    both = TaskTargets(list(problem.make_targets("mg").values()))
    np.testing.assert_array_equal(alone["g"].soft, both["g"].soft)
    one, two = (MultiTaskNet(problem.make_config(tasks), seed=1) for tasks in ("g", "gm"))
    assert torch.equal(one.towers["g"].dense.weight, two.towers["g"].dense.weight)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("place", ["device", "host", "disk"])
def test_on_a_gpu(problem: ModuleType, tmp_path: Path, place: str) -> None:
    device = torch.device("cuda")
    params = problem.make_params(epochs=100, batch=12, learning_rate=3e-3)
    store = problem.make_store("cuda", place=place, spill=tmp_path)
    net = MultiTaskNet(problem.make_config("g"), seed=7)
    net.set_band_statistics(*store.band_statistics())
    with pytest.raises(Interrupted):
        train(net, store, problem.make_targets("g"), params, device=device, folder=tmp_path, stop=after(30))
    result = train(net, store, problem.make_targets("g"), params, device=device, folder=tmp_path)
    assert np.mean([row["loss"] for row in result.history[-5:]]) < 0.3 * np.log(3)
