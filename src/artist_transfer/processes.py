"""Worker processes that start quickly and do not outlive the process that started them; a process's own memory."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h


def cpu_count() -> int:
    """Count the cores that this process may use, which a container or a batch system may have made fewer.

    Returns
    -------
    int, >= 1
        The cores of its affinity where the system knows one, else those of the machine.
    """
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


@contextmanager
def light_spawn() -> Iterator[SpawnContext]:
    """Give a context whose workers do not import the main program again.

    A spawned process imports the caller's ``__main__``; under `kedro run` that is all of Kedro and MLflow, seconds
    for each worker. Functions that are given to the workers must not be defined in ``__main__``.

    Yields
    ------
    SpawnContext
        For pools that live no longer than the block. Spawned rather than forked, because the threads of torch and
        OpenMP do not survive a fork.
    """
    main: dict[str, object] = sys.modules["__main__"].__dict__
    names: tuple[str, ...] = ("__file__", "__spec__")
    hidden = {name: main.pop(name) for name in names if name in main}
    main["__spec__"] = None
    try:
        yield multiprocessing.get_context("spawn")
    finally:
        main.update(hidden)


def end_with_parent() -> None:
    """End this process soon after its parent has gone, even if that was killed; called first in a worker."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end_with_parent").start()


def keep_memory() -> bool:
    """Have the C library keep the memory that is freed.

    A step on a CPU frees and takes tens of megabytes again. By default glibc gives large blocks back to the kernel, and
    faulting their pages in again took a third of a float32 step.

    Returns
    -------
    bool
        False where there is no glibc; nothing is changed then.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 32 << 20) and mallopt(_TRIM_THRESHOLD, (1 << 31) - 1))
