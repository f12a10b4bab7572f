"""Extraction on a Dask cluster: real schedulers, real worker processes, really killed."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.audio.conftest import tone, write

from artist_transfer import cluster, places
from artist_transfer.artifacts import sha256_of
from artist_transfer.audio.cache import cache_mel
from artist_transfer.audio.workers import close_idle_workers
from artist_transfer.cluster import check_scheduler, dask_executor_factory
from artist_transfer.errors import ArtistTransferError
from artist_transfer.features.essentia_extractor import extract_corpus
from artist_transfer.features.essentia_shards import read_corpus

HERE = Path(__file__).parent
N_TRACKS = 14
WAIT_S = 60.0


class Cluster:
    """A scheduler, and workers that are processes of their own, started elsewhere."""

    def __init__(self, folder: Path, *, allowed_failures: int = 3) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        found = folder / "scheduler.json"
        options = ["--host=127.0.0.1", "--port=0", "--no-dashboard", f"--scheduler-file={found}"]
        failures = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": allowed_failures}
        self.scheduler = self._start("scheduler", options, failures)
        until(lambda: found.is_file() and found.read_text().endswith("}"))
        self.address: str = json.loads(found.read_text())["address"]

    def worker(self, **environment: object) -> subprocess.Popen[bytes]:
        options = [self.address, "--nthreads=1", "--no-dashboard", f"--local-directory={self.folder}"]
        return self._start("worker", options, environment)

    def _start(self, kind: str, options: list[str], environment: dict[str, Any]) -> subprocess.Popen[bytes]:
        added = {"PYTHONPATH": HERE, "OMP_NUM_THREADS": 1} | environment
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *options],
            cwd=self.folder,
            env=os.environ | {name: str(value) for name, value in added.items()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def ask(self, what: Callable[[Any], Any]) -> Any:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return what(client)

    def wait_for(self, n_workers: int) -> None:
        self.ask(lambda client: client.wait_for_workers(n_workers, timeout=WAIT_S))

    def close(self) -> None:
        for process in self.processes:
            kill(process)


NewCluster = Callable[..., Cluster]


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with its nanny and its children, as when the machine goes off."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def table(root: Path) -> pd.DataFrame:
    names = sorted(path.name for path in root.iterdir())
    return pd.DataFrame({"track_id": names, "path": names, "declared_s": None, "audio_hash": names})


def files(folder: Path) -> dict[str, str]:
    found = [path for path in folder.rglob("[!.]*") if path.is_file()]  # a dot: half written by one that was killed
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in found}


@pytest.fixture
def new_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewCluster]:
    started: list[Cluster] = []

    def start(**options: int) -> Cluster:
        started.append(Cluster(tmp_path_factory.mktemp("cluster"), **options))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fourteen files in the folder ``corpus`` below the current one, one of them unusable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(HERE)
    for number in range(N_TRACKS):
        write(tmp_path / "corpus" / f"{number:02d}.wav", tone(0.5 if number == 5 else 2.0, seed=number))
    return Path("corpus")  # relative, as in the embedded configuration; the workers were started elsewhere


def mel(corpus: Path, folder: str, factory: Callable[[int], Executor] | None) -> tuple[dict[str, Any], pd.DataFrame]:
    options: dict[str, Any] = {"shard_size": 2, "n_workers": 2, "progress": False, "executor_factory": factory}
    return cache_mel(table(corpus), corpus_root=corpus, folder=folder, decoder="on_cluster:decode_slowly", **options)


def essentia(corpus: Path, folder: str, factory: Callable[[int], Executor] | None) -> dict[str, Any]:
    from on_cluster import describe_slowly

    options: dict[str, Any] = {"shard_size": 2, "n_workers": 2, "extract": describe_slowly, "executor_factory": factory}
    return extract_corpus(table(corpus), corpus_root=corpus, folder=folder, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extraction", "done", "cache_folder"),
    [(mel, "[!.]*[!t].json", "cache/mel"), (essentia, "*/manifest.json", "cache/essentia")],
)
def test_a_worker_killed_half_way_changes_no_byte(
    corpus: Path,
    new_cluster: NewCluster,
    extraction: Callable[..., Any],
    done: str,
    cache_folder: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Even where Dask gives a task up at the first death."""
    from on_cluster import decoders

    dask = new_cluster(allowed_failures=0)
    workers = {"first": dask.worker(), "second": dask.worker()}
    dask.wait_for(2)
    folder = Path(cache_folder)
    factory = dask_executor_factory(dask.address, corpus_root=corpus, folder=folder, at_end=close_idle_workers)
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(extraction, corpus, cache_folder, factory)
        until(lambda: list(folder.glob(done)) or result.done())
        tasks = dask.ask(lambda client: client.processing())
        kill(workers["first"])
        n_done = len(list(folder.glob(done)))
        again = result.result(timeout=WAIT_S)
    assert len(tasks) == 2 and all(tasks.values()), "both workers were at it"
    assert 1 <= n_done < N_TRACKS // 2
    beside = cache_folder.replace("cache", "clean")  # as far from the corpus, which is given relatively
    clean = extraction(corpus, beside, None)
    assert files(folder) == files(Path(beside))
    with capsys.disabled():
        print(f"\nworker killed after {n_done} of {N_TRACKS // 2} shards")
    if extraction is mel:
        pd.testing.assert_frame_equal(again[1], clean[1])
        assert list(again[1]["track_id"]) == list(table(corpus)["track_id"])
        assert list(again[1]["reason"].notna()) == [number == 5 for number in range(N_TRACKS)]
        assert list(dask.ask(lambda client: client.run(decoders)).values()) == [[]], "left running"
    else:
        assert again == clean and again["n_tracks"] == N_TRACKS
        assert len(read_corpus(again, folder=folder).track_ids) == N_TRACKS


@pytest.mark.slow
def test_a_task_that_ends_its_workers_comes_to_an_end(
    corpus: Path, new_cluster: NewCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from on_cluster import kill_worker

    monkeypatch.setattr(cluster, "LIVES", 2)
    dask = new_cluster(allowed_failures=0)
    dask.worker()
    with dask_executor_factory(dask.address, corpus_root=corpus, folder="cache")(1) as executor:
        assert executor.submit(kill_worker, str(Path("marker").absolute())).result(WAIT_S) == "alive"
        with pytest.raises(ArtistTransferError, match=r"no worker survives .* tcp://127\.0\.0\.1"):
            executor.submit(kill_worker).result(WAIT_S)


@pytest.mark.slow
def test_all_workers_gone_is_an_error_that_keeps_what_is_done(corpus: Path, new_cluster: NewCluster) -> None:
    dask = new_cluster()
    worker = dask.worker()
    dask.wait_for(1)
    factory = dask_executor_factory(dask.address, corpus_root=corpus, folder="cache", workers_s=3.0)
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(mel, corpus, "cache", factory)
        until(lambda: list(Path("cache").glob("[!.]*[!t].json")) or result.done())
        kill(worker)
        with pytest.raises(ArtistTransferError, match=r"no worker for 3 s.*finished is kept"):
            result.result(WAIT_S)
    kept = {path: path.stat().st_mtime_ns for path in Path("cache").glob("[!.]*[!t].json")}
    assert kept and not list(Path("cache").glob(".cluster.*"))
    mel(corpus, "cache", None)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    mel(corpus, "clean", None)
    assert files(Path("cache")) == files(Path("clean"))


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_an_error(corpus: Path, new_cluster: NewCluster) -> None:
    dask = new_cluster()
    dask.worker()
    factory = dask_executor_factory(dask.address, corpus_root=corpus, folder="cache")
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(mel, corpus, "cache", factory)
        until(lambda: list(Path("cache").glob("[!.]*[!t].json")) or result.done())
        kill(dask.scheduler)
        with pytest.raises(ArtistTransferError, match=r"cluster\.scheduler=tcp.*scheduler went away"):
            result.result(WAIT_S)


@pytest.mark.slow
def test_a_worker_in_the_wrong_place_is_named(corpus: Path, tmp_path: Path, new_cluster: NewCluster) -> None:
    """One that was there before the run, and one that came later: each would find nothing but missing files."""
    dask = new_cluster()
    worker = dask.worker()
    fine = {"corpus_root": corpus, "folder": "cache"}
    with dask_executor_factory(dask.address, **fine)(1) as executor:
        dask.worker(HIDDEN_FOLDER=tmp_path, DASK_DISTRIBUTED__WORKER__PRELOAD="on_cluster")
        dask.wait_for(2)
        kill(worker)
        with pytest.raises(ArtistTransferError, match=rf"worker tcp://.*corpus folder {tmp_path}/corpus"):
            executor.submit(len, "abc").result(WAIT_S)
    for hidden, wrong in (("corpus", fine), ("cache", {"corpus_root": HERE, "folder": "cache"})):
        with pytest.raises(
            ArtistTransferError, match=rf"worker tcp://.*does not see the {hidden} folder {tmp_path}/{hidden}"
        ):
            dask_executor_factory(dask.address, **wrong)(1)
    assert not list(Path("cache").iterdir())


@pytest.mark.slow
def test_other_versions_on_a_worker_are_named(corpus: Path, tmp_path: Path, new_cluster: NewCluster) -> None:
    for name, version in (("numpy", "1.0.7"), ("artist_transfer", "9.9")):
        facts = tmp_path / "other" / f"{name}-{version}.dist-info" / "METADATA"
        facts.parent.mkdir(parents=True)
        facts.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    dask = new_cluster()
    dask.worker(PYTHONPATH=tmp_path / "other")
    with pytest.raises(
        ArtistTransferError, match=r"worker tcp://\S+ has artist-transfer 9\.9 .*, numpy 1\.0\.7 \(here"
    ):
        dask_executor_factory(dask.address, corpus_root=corpus, folder="cache")(1)
    assert not Path("cache").exists()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a cluster of threads in this process."""
    from distributed import LocalCluster

    options = {"processes": False, "dashboard_address": ":0", "local_directory": str(tmp_path_factory.mktemp("dask"))}
    log = logging.getLogger(
        "distributed"
    )  # writing to it, in full colour, would keep the scheduler's thread from answering
    handlers, propagates = log.handlers[:], log.propagate
    log.handlers, log.propagate = [logging.NullHandler()], False
    with LocalCluster(n_workers=1, threads_per_worker=2, **options) as local:
        yield local.scheduler_address
    log.handlers, log.propagate = handlers, propagates


def test_results_come_in_order_and_errors_as_they_are(corpus: Path, here: str) -> None:
    ended = Path("ended").absolute()
    factory = dask_executor_factory(here, corpus_root=corpus, folder="cache", at_end=ended.touch)
    with factory(99) as executor:
        assert list(executor.map(pow, range(20), [2] * 20)) == [number**2 for number in range(20)]
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 1, 0).result(WAIT_S)
        assert list(Path("cache").glob(".cluster.*")) and not ended.exists()
    assert ended.exists() and not list(Path("cache").iterdir())
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(len, "")
    executor.shutdown()


def test_what_is_cancelled_here_is_cancelled_there(corpus: Path, here: str) -> None:
    executor = dask_executor_factory(here, corpus_root=corpus, folder="cache")(1)
    futures = [executor.submit(time.sleep, 1) for _ in range(40)]
    start = time.monotonic()
    assert all(future.cancel() for future in futures)
    executor.shutdown()
    assert time.monotonic() - start < 10  # all of them would take 20 s


def test_other_code_on_a_worker_is_named(corpus: Path, here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = dask_executor_factory(here, corpus_root=corpus, folder="cache")
    own = threading.get_ident()
    monkeypatch.setattr(places, "code_digest", lambda: "mine" if threading.get_ident() == own else "the worker's")
    with pytest.raises(ArtistTransferError, match=r"worker inproc://\S+ its code of artist_transfer is not"):
        factory(1)
    assert not list(Path("cache").iterdir())


def test_another_dask_at_the_scheduler_is_named(corpus: Path, here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    asked = distributed.Client.get_versions

    def answer(client: Any, **options: Any) -> Any:
        found = asked(client, **options)
        found["scheduler"]["packages"] |= {"distributed": "1.2.3", "numpy": "1.2.3"}
        return found

    monkeypatch.setattr(distributed.Client, "get_versions", answer)
    with pytest.raises(ArtistTransferError, match=r": the scheduler has distributed 1\.2\.3 \(here \S+\)\. The"):
        dask_executor_factory(here, corpus_root=corpus, folder="cache")(1)


def test_a_folder_that_cannot_be_written_is_named(corpus: Path, here: str) -> None:
    Path("file").touch()
    with pytest.raises(ArtistTransferError, match=r"folders of the cluster.*file"):
        dask_executor_factory(here, corpus_root=corpus, folder="file/cache")(1)


def test_no_worker_is_an_error_after_the_stated_wait(corpus: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as local:
        start = time.monotonic()
        with pytest.raises(ArtistTransferError, match=r"cluster\.scheduler=inproc.*no worker has come within 0\.5 s"):
            dask_executor_factory(local.scheduler_address, corpus_root=corpus, folder="cache", workers_s=0.5)(1)
        assert time.monotonic() - start < 5
    assert not Path("cache").exists()


@pytest.mark.parametrize("listens", [False, True])
def test_nobody_or_somebody_else_at_the_address_is_an_error_within_seconds(listens: bool) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        if listens:
            other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        start, threads = time.monotonic(), threading.active_count()
        with pytest.raises(ArtistTransferError, match=rf"cluster\.scheduler={address}: no Dask scheduler.*dask worker"):
            check_scheduler(address, connect_s=1.0)
        assert time.monotonic() - start < 5 and threading.active_count() == threads


def test_a_client_does_not_import_dask_before_it_has_to() -> None:
    code = (
        "import sys, artist_transfer.cluster, artist_transfer.pipelines.cluster; sys.exit('distributed' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
