"""Checkpoints that are damaged, processes that are killed, folders that two want at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.models.dcnn import MultiTaskNet
from artist_transfer.training.checkpoints import (
    Interrupted,
    load_checkpoint,
    only_one,
    remove_checkpoints,
    save_checkpoint,
    stop_on_sigterm,
)
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.loop import train

EPOCHS = 400  # some 2,400 updates: much longer than the tests let it run


def save(folder: Path, step: int) -> None:
    save_checkpoint(folder, step, tensors={"a": torch.full((3,), float(step))}, state={"step": step})


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    for step in (5, 50, 100):
        save(tmp_path, step)
    names = sorted(path.stem for path in tmp_path.iterdir())
    assert names == ["checkpoint-000000050"] * 2 + ["checkpoint-000000100"] * 2
    found = load_checkpoint(tmp_path)
    assert found is not None and found[1] == {"step": 100} and found[0]["a"].tolist() == [100] * 3
    (tmp_path / ".checkpoint-000000101.abc.part.safetensors").touch()
    (tmp_path / "checkpoint-000000101.safetensors").touch()
    remove_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
@pytest.mark.parametrize("damage", [flip, lambda path: path.write_bytes(b""), lambda path: path.write_text("[]")])
def test_a_damaged_one_is_passed_over(tmp_path: Path, suffix: str, damage: Callable[[Path], object]) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    damage(tmp_path / f"checkpoint-000000002{suffix}")
    with pytest.warns(ArtistTransferWarning, match="goes on from checkpoint-000000001"):
        found = load_checkpoint(tmp_path)
    assert found is not None and found[1] == {"step": 1}
    damage(tmp_path / f"checkpoint-000000001{suffix}")
    with pytest.warns(ArtistTransferWarning) as warned:
        assert load_checkpoint(tmp_path) is None
    assert [("goes on from" in str(w.message), "from the beginning" in str(w.message)) for w in warned] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("which", ["newest", "all"])
def test_training_with_damaged_checkpoints_ends_with_the_same_bytes(
    problem: ModuleType, tmp_path: Path, which: str
) -> None:
    whole = problem.run(tmp_path / "whole")
    folder = tmp_path / "broken" / "nets" / whole.folder.name
    calls = iter(range(100))
    store = problem.make_store()
    net = make_net(problem, store)
    with pytest.raises(Interrupted):
        params = problem.make_params(checkpoint_every_s=0)
        train(
            net,
            store,
            problem.make_targets(),
            params,
            device=torch.device("cpu"),
            folder=folder,
            stop=lambda: next(calls) >= 20,
        )
    found = sorted(folder.glob("*.safetensors"))
    assert len(found) == 2
    for path in found[-1:] if which == "newest" else found:
        flip(path)
    with pytest.warns(ArtistTransferWarning, match="the checkpoint is damaged"):
        mended = problem.run(tmp_path / "broken")
    assert_equal_folders(mended.folder, whole.folder)


def make_net(problem: ModuleType, store: FrameStore) -> MultiTaskNet:
    net = MultiTaskNet(problem.make_config(), seed=problem.make_params().seed)
    net.set_band_statistics(*store.band_statistics())
    return net


def assert_equal_folders(one: Path, two: Path) -> None:
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir()) and "net.safetensors" in names
    assert not any("checkpoint" in name for name in names)
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def start(problem: ModuleType, cache: Path, epochs: int, every_s: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, problem.__file__, str(cache), str(epochs), str(every_s)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    for _ in range(3000):
        if condition():
            return
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.01)
    raise AssertionError("it took too long")


def test_sigkill_and_resume_give_the_same_bytes(problem: ModuleType, tmp_path: Path) -> None:
    epochs = 40
    whole = problem.run(tmp_path / "whole", epochs=epochs)
    folder = tmp_path / "killed" / "nets" / whole.folder.name
    process = start(problem, tmp_path / "killed", epochs, 0)
    wait_for(lambda: any(int(path.stem[11:]) >= 10 for path in folder.glob("checkpoint-*.json")), process)
    process.kill()
    assert process.wait() == -signal.SIGKILL and not (folder / "manifest.json").exists()
    found = load_checkpoint(folder)
    assert found is not None and found[1]["step"] >= 9
    told: list[int] = []
    resumed = problem.run(tmp_path / "killed", epochs=epochs, progress=lambda done, *_: told.append(done))
    assert told[0] > found[1]["step"]  # it went on and did not begin anew
    assert_equal_folders(resumed.folder, whole.folder)


def test_sigterm_writes_a_checkpoint_and_ends_with_143(problem: ModuleType, tmp_path: Path) -> None:
    process = start(problem, tmp_path, EPOCHS, 0.2)
    wait_for(lambda: any((tmp_path / "nets").glob("*/checkpoint-*.json")), process)
    before = {path.name for path in (tmp_path / "nets").glob("*/checkpoint-*.json")}
    process.terminate()
    assert process.wait(timeout=20) == 143
    (folder,) = (tmp_path / "nets").iterdir()
    after = {path.name for path in folder.glob("checkpoint-*.json")}
    assert max(after) > max(before)
    found = load_checkpoint(folder)
    assert found is not None and found[1]["step"] == int(max(after)[11:20])
    assert not (folder / "manifest.json").exists()


def test_sigterm_is_a_flag_once_and_handlers_come_back() -> None:
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append(True))
    try:
        mine = signal.getsignal(signal.SIGTERM)
        with stop_on_sigterm() as stop:
            assert not stop()
            signal.raise_signal(signal.SIGTERM)
            assert stop() and came == []
            signal.raise_signal(signal.SIGTERM)
            assert came == [True]
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_the_main_thread_there_is_no_handler() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with stop_on_sigterm() as stop:
            seen.append((stop(), signal.getsignal(signal.SIGTERM) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, True)]


def test_one_at_a_time_in_a_folder(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(Interrupted, match="another"), only_one(tmp_path, stop=lambda: True):
        raise AssertionError("both are in")
    with only_one(tmp_path, stop=lambda: True):
        pass


@pytest.mark.slow
def test_two_processes_on_one_cache(problem: ModuleType, tmp_path: Path) -> None:
    processes = [start(problem, tmp_path / "shared", 4, 0.05) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    alone = problem.run(tmp_path / "alone", epochs=4)
    assert_equal_folders(tmp_path / "shared" / "nets" / alone.folder.name, alone.folder)


@pytest.mark.parametrize("room", [4096, 100])
def test_a_full_disk_is_an_error_and_the_old_checkpoint_stays(tmp_path: Path, room: int) -> None:
    """A limit on the size of files stands for the full disk: the system refuses the write half-way."""
    resource = pytest.importorskip("resource")
    save(tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(ArtistTransferError, match=r"checkpoint-000000002\..*cannot be written"):
            save_checkpoint(tmp_path, 2, tensors={"a": torch.zeros(100_000)}, state={"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(list(tmp_path.iterdir())) == 2
    found = load_checkpoint(tmp_path)
    assert found is not None and found[1] == {"step": 1}
