"""Parameters of the extraction on many machines."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from pydantic import field_validator

from artist_transfer.pipelines.typed import Block

_ADDRESS = re.compile(r"(tcp|tls|ucx)://([^\s/:\[\]]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")


class ClusterBlock(Block):
    """A Dask cluster that decodes and extracts instead of this machine's cores."""

    scheduler: str | None = None

    @field_validator("scheduler")
    @classmethod
    def _address(cls, scheduler: str | None) -> str | None:
        found = None if scheduler is None else _ADDRESS.fullmatch(scheduler)
        if scheduler is not None and (found is None or not 0 < int(found[3]) < 1 << 16):
            raise ValueError("allowed is the address of a Dask scheduler, like tcp://host:8786 (or tls, ucx), or null")
        return scheduler


def executor_factory(
    cluster: ClusterBlock,
    *,
    corpus_root: str | Path,
    folder: str | Path,
    at_end: Callable[[], object] | None = None,
) -> Callable[[int], Executor] | None:
    """Return what makes the executor of the cluster, if there is to be one.

    Parameters
    ----------
    cluster : ClusterBlock
        Its scheduler.
    corpus_root : str or Path
        Folder that the workers read.
    folder : str or Path
        Folder that they write.
    at_end : callable, optional
        Called on every worker when all is done.

    Returns
    -------
    callable or None
        See `artist_transfer.cluster.dask_executor_factory`; None for the cores of this machine.
    """
    if cluster.scheduler is None:
        return None
    from artist_transfer.cluster import dask_executor_factory

    return dask_executor_factory(cluster.scheduler, corpus_root=corpus_root, folder=folder, at_end=at_end)
