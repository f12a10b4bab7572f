"""Several nets at once: each is what it is alone, and the end of one is not the end of the others."""

from __future__ import annotations

import errno
import gc
import signal
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors import SafetensorError

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning, DeviceLost, DiskFull
from artist_transfer.training import side_by_side as module
from artist_transfer.training.checkpoints import Interrupted, load_checkpoint, only_one
from artist_transfer.training.engine import FastEngine
from artist_transfer.training.finished import TrainedNet
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.loop import train_cached
from artist_transfer.training.side_by_side import NetJob, train_cached_many
from artist_transfer.training.targets import TaskTargets

CPU = torch.device("cpu")


def make_job(problem: ModuleType, tasks: str = "g", **changes: object) -> NetJob:
    params = problem.make_params(**{"engine": "fast", "epochs": 3, **changes})
    return NetJob(problem.make_config(tasks), problem.make_targets(tasks), params, label=f"{tasks}-{params.seed}")


def make_jobs(problem: ModuleType, **changes: object) -> list[NetJob]:
    """Nets of one and two tasks, of different lengths."""
    return [
        make_job(problem, tasks, seed=seed, **{"epochs": 2 + seed, **changes})
        for seed in range(2)
        for tasks in ("g", "m", "gm")
    ]


def train_many(
    problem: ModuleType, cache: Path, jobs: list[NetJob], make_store: Callable[[], FrameStore] | None = None, **options
) -> list[TrainedNet | Exception]:
    make_store = make_store or problem.make_store
    return train_cached_many(jobs, make_store, source_key="tiny", device=CPU, cache_root=cache, **options)


def folders(cache: Path) -> dict[str, dict[str, bytes]]:
    return {
        folder.name: {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
        for folder in (cache / "nets").iterdir()
    }


def nets_of(results: list[TrainedNet | Exception]) -> list[TrainedNet]:
    assert all(isinstance(result, TrainedNet) for result in results), results
    return results  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("engine", "at_once"), [("fast", 1), ("fast", 3), ("fast", 20), ("plain", 3), ("auto", None), ("auto", 3)]
)
def test_at_once_changes_no_byte(problem: ModuleType, tmp_path: Path, engine: str, at_once: int | None) -> None:
    state = torch.get_rng_state()
    jobs = make_jobs(problem, engine=engine)
    many = nets_of(train_many(problem, tmp_path / "many", jobs, at_once=at_once))
    alone = [
        train_cached(
            job.config,
            problem.make_store,
            job.targets,
            job.params,
            source_key="tiny",
            device=CPU,
            cache_root=tmp_path / "alone",
        )
        for job in jobs
    ]
    assert folders(tmp_path / "many") == folders(tmp_path / "alone") and len(folders(tmp_path / "many")) == len(jobs)
    for one, two in zip(many, alone, strict=True):
        assert one.folder.name == two.folder.name and one.history == two.history and not one.reused
        assert not one.net.training
        assert all(torch.equal(value, two.net.state_dict()[name]) for name, value in one.net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_they_do_take_turns(problem: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    original = FastEngine.advance
    monkeypatch.setattr(FastEngine, "advance", lambda self, task: (turns.append(id(self)), original(self, task))[1])
    jobs = [make_job(problem, seed=seed) for seed in range(3)]
    train_many(problem, tmp_path, jobs, at_once=2)
    assert len(turns) == 3 * 9 and all(one != two for one, two in zip(turns[:18:2], turns[1:18:2], strict=True))
    turns.clear()
    train_many(problem, tmp_path / "other", [make_job(problem, engine="auto")], at_once=2)
    assert turns == []  # plain on a CPU


def test_the_store_is_made_once_and_only_for_what_is_missing(problem: ModuleType, tmp_path: Path) -> None:
    made: list[FrameStore] = []

    def make_store() -> FrameStore:
        made.append(problem.make_store())
        return made[-1]

    jobs = make_jobs(problem)
    told: list[tuple[str, int, int, dict[str, float]]] = []
    first = nets_of(
        train_many(problem, tmp_path, jobs[:4], make_store, at_once=2, progress=lambda *news: told.append(news))
    )
    assert len(made) == 1
    assert {news[0] for news in told} == {job.label for job in jobs[:4]}
    ends = {label: (done, total, losses) for label, done, total, losses in told}
    for job, net in zip(jobs[:4], first, strict=True):
        done, total, losses = ends[job.label]
        assert done == total == sum(row["steps"] for row in net.history)
        assert losses == {row["task"]: row["loss"] for row in net.history[-len(losses) :]}
    again = nets_of(train_many(problem, tmp_path, jobs[:4], make_store, at_once=2))
    assert len(made) == 1 and all(net.reused for net in again)
    more = nets_of(train_many(problem, tmp_path, jobs, make_store, at_once=2))
    assert len(made) == 2 and [net.reused for net in more] == [True] * 4 + [False] * 2
    assert train_many(problem, tmp_path, [], make_store) == [] and len(made) == 2


def test_equal_jobs_are_trained_once(problem: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[object] = []
    original = module.updates
    monkeypatch.setattr(module, "updates", lambda *args, **kwargs: (begun.append(1), original(*args, **kwargs))[1])
    jobs = [make_job(problem), make_job(problem, "m"), make_job(problem, checkpoint_every_s=3.0), make_job(problem)]
    nets = nets_of(train_many(problem, tmp_path, jobs, at_once=4))
    assert len(begun) == 2 and nets[0] is nets[2] is nets[3] and nets[1].folder != nets[0].folder


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_job_that_fails_does_not_hurt_the_others(problem: ModuleType, tmp_path: Path, at_once: int) -> None:
    good = make_jobs(problem)
    exploding = make_job(problem, learning_rate=1e30, epochs=20)
    other = problem.make_targets("gm")
    not_belonging = NetJob(problem.make_config("g"), TaskTargets([other["m"]]), problem.make_params(), label="wrong")
    jobs = [*good[:2], exploding, *good[2:4], not_belonging, *good[4:]]
    results = train_many(problem, tmp_path / "some", jobs, at_once=at_once)
    bad = [results.pop(5), results.pop(2)]
    assert all(isinstance(result, ArtistTransferError) for result in bad)
    assert "the net has outputs" in str(bad[0]) and "learning_rate = 1e+30" in str(bad[1])
    assert all(error.__traceback__ is None and error.__context__ is None for error in bad)
    alone = nets_of(train_many(problem, tmp_path / "good", good, at_once=at_once))
    for one, two in zip(nets_of(results), alone, strict=True):
        assert one.history == two.history
        assert (one.folder / "net.safetensors").read_bytes() == (two.folder / "net.safetensors").read_bytes()


def test_without_memory_for_all_fewer_take_turns(
    problem: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines: weakref.WeakSet[FastEngine] = weakref.WeakSet()
    original, refused = FastEngine.advance, 0

    def crowded(self: FastEngine, task: str) -> None:
        nonlocal refused
        engines.add(self)
        if len(engines) > 2:
            refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        original(self, task)

    with monkeypatch.context() as patch:
        patch.setattr(FastEngine, "advance", crowded)
        gc.disable()  # a net that has ended is gone without the collector's help, and its memory with it
        try:
            results = train_many(problem, tmp_path / "crowded", make_jobs(problem), at_once=4)
        finally:
            gc.enable()
    nets = nets_of(results)
    assert refused == 2  # of four nets two must wait
    for one, two in zip(nets, train_many(problem, tmp_path / "room", make_jobs(problem), at_once=4), strict=True):
        assert one.history == two.history

    def full(_self: FastEngine, _task: str) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(FastEngine, "advance", full)
    results = train_many(problem, tmp_path / "full", make_jobs(problem)[:3], at_once=4)
    assert ["training.batch = 4" in str(result) for result in results] == [True] * 3


@pytest.mark.parametrize("how", ["stop", "sigterm", "sigint"])
def test_all_that_are_asked_to_stop_write_their_checkpoints(problem: ModuleType, tmp_path: Path, how: str) -> None:
    jobs = make_jobs(problem, epochs=8)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    count = 0

    def stop() -> bool:
        nonlocal count
        count += 1
        if count == 25 and how != "stop":
            signal.raise_signal({"sigterm": signal.SIGTERM, "sigint": signal.SIGINT}[how])
        return how == "stop" and count >= 25

    with pytest.raises(KeyboardInterrupt if how == "sigint" else Interrupted):
        train_many(problem, tmp_path / "broken", jobs, at_once=4, stop=stop)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
    begun = [load_checkpoint(folder) for folder in (tmp_path / "broken" / "nets").iterdir()]
    steps = [found[1]["step"] for found in begun if found is not None]
    assert len(steps) == 4 and all(5 <= step <= 7 for step in steps)
    for job in jobs:  # no lock is left behind
        key = module.NetPlace(job.config, job.targets, job.params, "tiny", CPU, tmp_path / "broken")
        with only_one(key.folder, stop=lambda: True):
            pass
    resumed = nets_of(train_many(problem, tmp_path / "broken", jobs, at_once=3))
    whole = nets_of(train_many(problem, tmp_path / "whole", jobs, at_once=1))
    assert [net.history for net in resumed] == [net.history for net in whole]
    assert folders(tmp_path / "broken") == folders(tmp_path / "whole")


@pytest.mark.parametrize("kind", [KeyError, TypeError, AssertionError, ZeroDivisionError, OSError, MemoryError])
def test_whatever_a_net_fails_of_does_not_hurt_the_others(
    problem: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    original = module.NetPlace.finish

    def finish(self: module.NetPlace, *args: object) -> TrainedNet:
        if self.params.seed == 1:
            raise kind("this one")
        return original(self, *args)

    monkeypatch.setattr(module.NetPlace, "finish", finish)
    results = train_many(problem, tmp_path, [make_job(problem, seed=seed) for seed in range(3)], at_once=2)
    assert [type(result) for result in results] == [TrainedNet, kind, TrainedNet]


@pytest.mark.parametrize("where", ["checkpoint", "history", "weights"])
def test_a_full_disk_is_the_end_of_all(
    problem: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: object, **__: object) -> None:
        if where == "weights":
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        raise OSError(errno.ENOSPC, "No space left on device")

    name = {"checkpoint": "checkpoints.write_json", "history": "finished.write_json"}.get(where)
    place = f"artist_transfer.training.{name}" if name else "safetensors.torch.save_file"
    jobs = [make_job(problem, seed=seed, checkpoint_every_s=1e-6 if name else 60.0) for seed in range(4)]
    with monkeypatch.context() as patch, pytest.raises(DiskFull, match=r"a disk is full \(.*No space left"):
        patch.setattr(place, full)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ArtistTransferWarning)
            train_many(problem, tmp_path, jobs, at_once=2)
    assert len(folders(tmp_path)) == 2  # the other two have not been tried
    nets_of(train_many(problem, tmp_path, jobs, at_once=2))


@pytest.mark.parametrize("where", ["training", "finishing"])
@pytest.mark.parametrize("at_once", [1, 3])
def test_a_gpu_that_fails_is_the_end_of_all(
    problem: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, where: str
) -> None:
    """Whatever is called on it afterwards gives the same error: that is not a failure of each net in turn."""
    dead, tried = False, 0

    def call(original: Callable[..., object], kills: bool) -> Callable[..., object]:
        def called(self: object, *args: object) -> object:
            nonlocal dead, tried
            tried += dead
            dead = dead or (kills and len(folders(tmp_path)) >= at_once + 1)
            if dead:
                raise torch.AcceleratorError("CUDA error: device-side assert triggered\nFor debugging consider …")
            return original(self, *args)

        return called

    monkeypatch.setattr(FastEngine, "advance", call(FastEngine.advance, where == "training"))
    monkeypatch.setattr(module.NetPlace, "finish", call(module.NetPlace.finish, where == "finishing"))
    monkeypatch.setattr(FastEngine, "wait", call(FastEngine.wait, False))
    jobs = [make_job(problem, seed=seed) for seed in range(3 * at_once)]
    with pytest.raises(DeviceLost, match=r"^cpu has failed \(CUDA error: device-side assert triggered\) and .* again"):
        train_many(problem, tmp_path, jobs, at_once=at_once)
    assert dead and len(folders(tmp_path)) == 2 * at_once and tried <= 3 * at_once
    for job in jobs:  # no lock is left behind
        place = module.NetPlace(job.config, job.targets, job.params, "tiny", CPU, tmp_path)
        with only_one(place.folder, stop=lambda: True):
            pass
    monkeypatch.undo()
    nets_of(train_many(problem, tmp_path, jobs, at_once=at_once))


def test_an_error_of_the_program_ends_all_after_their_checkpoints(problem: ModuleType, tmp_path: Path) -> None:
    def progress(label: str, done: int, *_: object) -> None:
        if done >= 6:
            raise NameError(label)

    jobs = [make_job(problem, seed=seed, epochs=40) for seed in range(3)]
    with pytest.raises(NameError):
        train_many(problem, tmp_path, jobs, at_once=3, progress=progress)
    found = [load_checkpoint(folder) for folder in (tmp_path / "nets").iterdir()]
    assert sorted(0 if each is None else each[1]["step"] for each in found) == [0, 5, 5]


def test_what_another_process_trains_is_left_for_later(
    problem: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOCKED_S", 0.05)
    jobs = [make_job(problem, seed=seed) for seed in range(4)]
    place = module.NetPlace(jobs[0].config, jobs[0].targets, jobs[0].params, "tiny", CPU, tmp_path)
    done: list[str] = []
    lock = only_one(place.folder)
    lock.__enter__()

    def progress(label: str, updates: int, total: int, _: object) -> None:
        if updates == total:
            done.append(label)
        if len(done) == 2:
            lock.__exit__(None, None, None)

    order = [jobs[1], jobs[0], jobs[2], jobs[3]]
    nets_of(train_many(problem, tmp_path, order, at_once=2, progress=progress))
    assert done[-1] == "g-0" and sorted(done) == ["g-0", "g-1", "g-2", "g-3"]


def test_at_once_out_of_bounds_and_a_store_that_cannot_be_made(problem: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ArtistTransferError, match="at_once must be 1 or more, got 0"):
        train_many(problem, tmp_path, make_jobs(problem), at_once=0)

    def make_store() -> FrameStore:
        raise ArtistTransferError("track t03: no frames")

    with pytest.raises(ArtistTransferError, match="t03"):
        train_many(problem, tmp_path, make_jobs(problem), make_store)

    def make_store_on_a_lost_gpu() -> FrameStore:
        raise torch.AcceleratorError("CUDA error: an illegal memory access")

    with pytest.raises(DeviceLost, match="an illegal memory access"):
        train_many(problem, tmp_path, make_jobs(problem), make_store_on_a_lost_gpu)
