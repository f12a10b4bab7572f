"""Real ranks on the CPU: what they learn, and what happens when one of them, or all of them, end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tests.training import distributed_problem as ranks
from tests.training import problem

from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.dcnn import MultiTaskNet
from artist_transfer.training import distributed
from artist_transfer.training.checkpoints import Interrupted, load_checkpoint
from artist_transfer.training.crops import CropSampler
from artist_transfer.training.distributed import Launch
from artist_transfer.training.loop import TrainedNet, _schedule, train_cached
from artist_transfer.training.losses import make_optimisers, soft_cross_entropy

ROOT = Path(__file__).resolve().parents[2]
ENDLESS = 100_000  # epochs: much longer than the tests let it run


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `exact_store` does, in this process."""
    monkeypatch.setattr(F, "dropout", lambda x, *_args, **_options: x)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def alone_by_halves(**changes: object) -> tuple[MultiTaskNet, list[float]]:
    """One process that puts the halves of each batch through the net one by one and adds up their gradients.

    The running statistics of batch norm are put back after the second half: they are those of rank 0.
    """
    params = problem.make_params(**changes)
    store, targets = problem.make_store(), problem.make_targets()
    net = MultiTaskNet(problem.make_config(), seed=params.seed)
    net.set_band_statistics(*store.band_statistics())
    net = net.train().to(memory_format=torch.channels_last)
    optimisers = make_optimisers(net, learning_rate=params.learning_rate, l2=params.l2, kind=params.optimiser)
    sampler = CropSampler(store, targets, batch=params.batch, crop=problem.CROP, seed=params.seed)
    losses = []
    for drawn in _schedule(params, n_tasks=2, steps_per_epoch=params.steps_per_epoch(problem.TRACKS)):
        task, half = net.config.tasks[drawn], params.batch // 2
        crops, soft = sampler.draw(task)
        first = soft_cross_entropy(net(crops[:half], task), soft[:half]) / 2
        first.backward()
        of_rank_0 = {name: value.clone() for name, value in net.named_buffers()}
        second = soft_cross_entropy(net(crops[half:], task), soft[half:]) / 2
        second.backward()
        for name, value in net.named_buffers():
            value.copy_(of_rank_0[name])
        optimisers[task].step()
        optimisers[task].zero_grad()
        losses.append(float((first + second).detach()))
    return net, losses


@pytest.mark.parametrize("optimiser", ["shared", pytest.param("per_task", marks=pytest.mark.slow)])
def test_two_ranks_learn_what_one_process_learns_from_the_halves(exact: None, tmp_path: Path, optimiser: str) -> None:
    changes = {"epochs": 8, "batch": 8, "l2": 1e-3, "optimiser": optimiser}
    told: list[tuple[int, int]] = []
    trained = ranks.run(
        tmp_path,
        make_store=ranks.exact_store,
        progress=lambda done, total, _losses: told.append((done, total)),
        **changes,
    )
    expected, losses = alone_by_halves(**changes)
    saved = load_file(trained.folder / "net.safetensors")
    assert saved.keys() == expected.state_dict().keys()
    for name, value in expected.state_dict().items():
        assert value.dtype == saved[name].dtype in (torch.float64, torch.int64)
        torch.testing.assert_close(saved[name], value, rtol=1e-9, atol=1e-11, msg=lambda text, n=name: f"{n}: {text}")
    moved = MultiTaskNet(problem.make_config(), seed=7).state_dict()
    assert not any(torch.equal(saved[name], moved[name]) for name in saved if name.endswith("conv2.weight"))
    assert len(losses) == sum(row["steps"] for row in trained.history) == trained.details["steps"] == 16
    mean = sum(row["loss"] * row["steps"] for row in trained.history) / 16
    assert mean == pytest.approx(np.mean(losses), rel=1e-9)
    assert told[-1] == (16, 16) and trained.details["distributed"] == {"processes": 2, "nodes": 1}
    assert not trained.reused and not net_files(trained, "checkpoint-*") and not children()
    again_without_processes(tmp_path, trained, **changes)


def again_without_processes(cache: Path, trained: TrainedNet, **changes: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed, "run_ranks", None)
        again = ranks.run(cache, make_store=ranks.failing_store, **changes)
    assert again.reused and again.folder == trained.folder
    assert again.history == trained.history and again.details == trained.details
    assert all(torch.equal(a, b) for a, b in zip(again.net.parameters(), trained.net.parameters()))


def net_files(trained: TrainedNet, pattern: str) -> list[Path]:
    return list(trained.folder.glob(pattern))


def children() -> list[int]:
    return [process.pid for process in multiprocessing.active_children() if process.pid is not None]


def test_a_killed_rank_is_named_and_none_is_left(tmp_path: Path) -> None:
    pids: list[int] = []

    def kill_the_second(*_news: object) -> None:
        if not pids:
            pids.extend(sorted(children()))
            os.kill(pids[1], signal.SIGKILL)

    with pytest.raises(ArtistTransferError, match=r"rank 1 of 2 ended: .*SIGKILL.*checkpoints .* are kept in .*nets"):
        ranks.run(tmp_path, epochs=ENDLESS, progress=kill_the_second)
    assert len(pids) == 2 and not any(alive(pid) for pid in pids) and not children()


@pytest.mark.slow
def test_a_rank_that_fails_is_named_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match=r"rank 1 of 2 ended: shard 7 is damaged\. All ranks"):
        ranks.run(tmp_path, make_store=ranks.failing_store)
    assert not children()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def start(*arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from tests.training.distributed_problem import main; main()"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([*command, *map(str, arguments)], cwd=ROOT, env=environment, stderr=subprocess.PIPE)


def ranks_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes below this one, but for Python's resource tracker."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == process.pid and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    for _ in range(1200):
        if condition():
            return
        if process is not None and process.poll() is not None:
            assert process.stderr is not None
            raise AssertionError(process.stderr.read().decode())
        time.sleep(0.05)
    raise AssertionError("it took too long")


def checkpoints(cache: Path) -> list[int]:
    return sorted(int(path.stem[11:]) for path in cache.glob("nets/*/checkpoint-*.json"))


def assert_equal_folders(one: Path, two: Path) -> None:
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir()) and "net.safetensors" in names
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_sigkill_leaves_no_orphan_and_resume_gives_the_same_bytes(tmp_path: Path) -> None:
    epochs = 60
    process = start(tmp_path / "killed", epochs, 0)
    wait_for(lambda: checkpoints(tmp_path / "killed")[-1:] >= [10], process)
    workers = ranks_of(process)
    process.kill()
    process.wait()
    assert len(workers) == 2
    wait_for(lambda: not any(map(alive, workers)))
    found = checkpoints(tmp_path / "killed")
    assert 10 <= found[-1] < 120
    told: list[int] = []
    resumed = ranks.run(tmp_path / "killed", epochs=epochs, progress=lambda done, *_: told.append(done))
    assert told[0] > found[0]  # it went on and did not begin anew
    whole = ranks.run(tmp_path / "whole", epochs=epochs)
    assert_equal_folders(resumed.folder, whole.folder)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("whom", ["parent", "rank", "all"])
def test_sigterm_writes_a_checkpoint_and_ends_with_143(tmp_path: Path, whom: str) -> None:
    process = start(tmp_path, ENDLESS, 0.2)
    wait_for(lambda: bool(checkpoints(tmp_path)), process)
    before, workers = checkpoints(tmp_path)[-1], ranks_of(process)
    for pid in {"parent": [process.pid], "rank": workers[1:], "all": [process.pid, *workers]}[whom]:
        os.kill(pid, signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    assert not any(map(alive, workers))
    found = load_checkpoint(next((tmp_path / "nets").iterdir()))
    assert found is not None and found[1]["step"] == checkpoints(tmp_path)[-1] > before


@pytest.mark.slow
def test_stop_is_asked_in_the_calling_process(tmp_path: Path) -> None:
    told: list[int] = []
    with pytest.raises(Interrupted, match=r"after \d+ of 200000 updates"):
        ranks.run(tmp_path, epochs=ENDLESS, progress=lambda done, *_: told.append(done), stop=lambda: bool(told))
    assert checkpoints(tmp_path)[-1] >= told[0] and not children()


@pytest.mark.slow
def test_what_goes_wrong_in_the_calling_process_ends_the_ranks_in_order(tmp_path: Path) -> None:
    def break_off(*_news: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ranks.run(tmp_path, epochs=ENDLESS, progress=break_off)
    assert checkpoints(tmp_path) and not children()


@pytest.mark.slow
def test_ranks_drop_different_values(tmp_path: Path) -> None:
    ranks.run(tmp_path, epochs=1, make_store=partial(ranks.recording_store, tmp_path))
    masks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    assert masks[0].shape == masks[1].shape and masks[0].shape[0] == 4  # half a batch of 8
    for mask in masks:
        assert float(mask.double().mean()) == pytest.approx(0.1, abs=0.03)
    assert float((masks[0] & masks[1]).double().mean()) == pytest.approx(0.01, abs=0.008)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False])
def test_two_machines_meet_and_both_have_the_net(tmp_path: Path, shared: bool) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        rendezvous = f"127.0.0.1:{sock.getsockname()[1]}"
    caches = [tmp_path / "a", tmp_path / ("a" if shared else "b")]
    machines = [start(cache, 3, 60, 1, 2, rendezvous) for cache in caches]
    for machine in machines:
        _, errors = machine.communicate(timeout=90)
        assert machine.returncode == 0, errors.decode()
    folders = [next((cache / "nets").iterdir()) for cache in caches]
    if not shared:
        assert_files_equal(*folders)
    same_world = ranks.run(tmp_path / "one", epochs=3, processes=2)
    one, other = (load_file(folder / "net.safetensors") for folder in (folders[0], same_world.folder))
    assert all(torch.equal(one[name], other[name]) for name in one | other)


def assert_files_equal(*folders: Path) -> None:
    for name in ("net.safetensors", "net.json", "history.json", "manifest.json"):
        assert len({(folder / name).read_bytes() for folder in folders}) == 1, name


def test_one_rank_is_the_plain_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "run_ranks", None)
    one = ranks.run(tmp_path, processes=1, epochs=2)
    plain = train_cached(
        problem.make_config(),
        problem.make_store,
        problem.make_targets(),
        problem.make_params(epochs=2, batch=8),
        source_key="tiny",
        device=torch.device("cpu"),
        cache_root=tmp_path,
    )
    assert plain.reused and plain.folder == one.folder


@pytest.mark.parametrize(("batch", "processes"), [(8, 3), (4, 4)])
def test_a_batch_that_cannot_be_divided_names_both_parameters(tmp_path: Path, batch: int, processes: int) -> None:
    names = rf"training\.batch = {batch} .*training\.distributed\.processes = {processes}"
    with pytest.raises(ArtistTransferError, match=names):
        ranks.run(tmp_path, batch=batch, processes=processes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("processes", {"processes": 0}),
        ("nodes", {"processes": 1, "nodes": 0}),
        ("rendezvous", {"processes": 1, "nodes": 2}),
        ("rendezvous", {"processes": 1, "nodes": 2, "rendezvous": "10.0.0.1"}),
    ],
)
def test_bad_values_are_named(key: str, values: dict[str, object]) -> None:
    with pytest.raises(ArtistTransferError, match=rf"training\.distributed\.{key}"):
        Launch(**values)


def test_the_fast_engine_is_for_one_process(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match=r"training\.engine: 'fast'.*processes = 2"):
        ranks.run(tmp_path, engine="fast")


def test_each_rank_draws_its_part_of_the_same_batches() -> None:
    store, targets = problem.make_store(), problem.make_targets()
    whole, *parts = (
        CropSampler(store, targets, batch=6, crop=problem.CROP, seed=3, part=part)
        for part in ((0, 1), (0, 3), (1, 3), (2, 3))
    )
    for task in "gmggmmg":  # over the end of permutations of 11 and 10 tracks
        crops, soft = whole.draw(task)
        drawn = [part.draw(task) for part in parts]
        assert all(len(piece) == 2 for piece, _ in drawn)
        assert torch.equal(torch.cat([piece for piece, _ in drawn]), crops)
        assert torch.equal(torch.cat([piece for _, piece in drawn]), soft)
    assert all(part.state_dict() == whole.state_dict() for part in parts)


def test_a_store_that_cannot_cross_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match="make_store"):
        ranks.run(tmp_path, make_store=lambda device: ranks.plain_store(device))


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_synchronise_batch_norm(exact: None, tmp_path: Path) -> None:
    """With synchronised batch norm and without dropout, two halves are the whole batch."""
    nets = []
    for processes, make_store in ((2, ranks.exact_store), (1, ranks.plain_store)):
        trained = distributed.train_cached_distributed(
            problem.make_config(),
            make_store,
            problem.make_targets(),
            problem.make_params(epochs=4, batch=8, engine="plain"),
            launch=Launch(processes=processes),
            source_key="tiny",
            device=torch.device("cuda"),
            cache_root=tmp_path,
        )
        nets.append(load_file(trained.folder / "net.safetensors"))
    for name, value in nets[1].items():
        torch.testing.assert_close(nets[0][name], value, rtol=1e-6, atol=1e-8)
