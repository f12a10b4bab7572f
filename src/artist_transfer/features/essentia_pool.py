"""Essentia's shards made by processes that may crash or hang: here, or on a worker of any executor."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artist_transfer.artifacts import open_folder
from artist_transfer.errors import ArtistTransferError
from artist_transfer.features.essentia_shards import Failure, Result, mend_shard, unsettled_tracks, write_shard
from artist_transfer.processes import end_with_parent, light_spawn

if TYPE_CHECKING:
    from pebble import ProcessFuture

# Names of the descriptors of a file, and their values [shape=(descriptor,)], float32.
Describe = Callable[[str], tuple[list[str], np.ndarray]]

_MAIN = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from artist_transfer.features.essentia_pool import _make_from_stdin; _make_from_stdin()"
)


@dataclass(frozen=True)
class ShardJob:
    """A shard and all that it is made of; can be pickled.

    Attributes
    ----------
    folder : str, absolute, of this shard
    tracks : tuple of (track_id, absolute path)
    timeout_s : float [> 0, s], what one file may take
    describe : callable, from a path to names and values
    mends : bool, whether the shard is there and `tracks` are only those of it that are tried again
    """

    folder: str
    tracks: tuple[tuple[str, str], ...]
    timeout_s: float
    describe: Describe
    mends: bool = False


def left_to_do(job: ShardJob) -> ShardJob | None:
    """Look what of a shard is there.

    Parameters
    ----------
    job : ShardJob
        With all its tracks.

    Returns
    -------
    ShardJob or None
        The same if the shard is not there, one that mends it if some tracks are worth another try, None if it is done.
    """
    folder = Path(job.folder)
    if open_folder(folder) is None:
        return job
    again = unsettled_tracks(folder, job.timeout_s)
    tracks = tuple(track for track in job.tracks if track[0] in again)
    return replace(job, tracks=tracks, mends=True) if tracks else None


def make_shards(jobs: Sequence[ShardJob], *, n_workers: int, on_track: Callable[[], object] | None = None) -> None:
    """Make shards with one pool of processes.

    Parameters
    ----------
    jobs : sequence of ShardJob
        What `left_to_do` found to be done.
    n_workers : int [>= 1]
        Processes.
    on_track : callable, optional
        Called after each track.
    """
    for job, results in _run(jobs, n_workers, on_track or (lambda: None)):
        (mend_shard if job.mends else write_shard)(Path(job.folder), results)


def map_shards(
    jobs: Sequence[tuple[ShardJob, int]], executor: Executor, *, on_tracks: Callable[[int], object] | None = None
) -> None:
    """Make shards over any executor, and shut it down.

    Parameters
    ----------
    jobs : sequence of (ShardJob, int)
        Each with all its tracks, and how many of these are left to do.
    executor : Executor
        Of processes here or elsewhere, which may have no children of their own by `multiprocessing`.
    on_tracks : callable, optional
        Called with the number of tracks after each shard.

    Raises
    ------
    ArtistTransferError
        If a shard cannot be made.
    """
    futures = {executor.submit(make_shard_apart, job): n_tracks for job, n_tracks in jobs}
    try:
        for future in as_completed(futures):
            future.result()
            if on_tracks is not None:
                on_tracks(futures[future])
    finally:
        for future in futures:
            future.cancel()
        executor.shutdown(wait=True)


def make_shard_apart(job: ShardJob) -> None:
    """Make a shard, or find it done, in an interpreter of its own.

    The workers of a Dask cluster are daemonic: no pool can be started in them, but an interpreter can, and it ends
    soon after the worker if that is killed.

    Parameters
    ----------
    job : ShardJob
        With all its tracks.

    Raises
    ------
    ArtistTransferError
        If it cannot be made, with the last words of that interpreter.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, json.dumps(sys.path)],
        input=pickle.dumps(job),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise ArtistTransferError(
            f"Essentia's shard {job.folder} was not made (exit status {done.returncode}): {told[-1] if told else ''} "
            "Finished shards are kept; run the same command again."
        )


def _make_from_stdin() -> None:
    end_with_parent()
    left = left_to_do(pickle.loads(sys.stdin.buffer.read()))  # written by `make_shard_apart`, on a pipe of its own
    if left is not None:
        make_shards([left], n_workers=1)


def _start_worker() -> None:
    """Make a worker quiet and single-threaded: the decoder writes to stderr for every odd header."""
    end_with_parent()
    os.environ["OMP_NUM_THREADS"] = "1"
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _run(
    jobs: Sequence[ShardJob], n_workers: int, on_track: Callable[[], object]
) -> Iterator[tuple[ShardJob, list[Result]]]:
    from pebble import ProcessPool

    with light_spawn() as context:
        pool = ProcessPool(max_workers=n_workers, initializer=_start_worker, context=context)
        waiting: deque[tuple[ShardJob, list[tuple[str, ProcessFuture]]]] = deque()

        def collect() -> tuple[ShardJob, list[Result]]:
            job, futures = waiting.popleft()
            results = []
            for track_id, future in futures:
                results.append(_result_of(track_id, future, job.timeout_s))
                on_track()
            return job, results

        try:
            for job in jobs:
                tasks = [
                    (track_id, pool.schedule(job.describe, args=(path,), timeout=job.timeout_s))
                    for track_id, path in job.tracks
                ]
                waiting.append((job, tasks))
                # One shard is always waiting behind the one being collected, so that no worker idles at a border.
                if len(waiting) > 1 + n_workers // max(1, len(tasks)):
                    yield collect()
            while waiting:
                yield collect()
        finally:
            pool.stop()
            pool.join()


def _result_of(track_id: str, future: ProcessFuture, timeout_s: float) -> Result:
    from pebble import ProcessExpired

    try:
        names, values = future.result()
    except FutureTimeoutError:
        failure = Failure(f"took longer than {timeout_s:g} s", "timed out", timeout_s)
    except ProcessExpired as error:
        failure = Failure(f"the extractor crashed (exit code {error.exitcode})", "crashed", timeout_s)
    except MemoryError:
        failure = Failure("the extractor ran out of memory", "crashed", timeout_s)
    except Exception as error:  # whatever one file does to the extractor, the other files go on
        failure = Failure(str(error) or type(error).__name__, "refused", timeout_s)
    else:
        return track_id, names, values, None
    return track_id, [], np.empty(0, dtype=np.float32), failure
