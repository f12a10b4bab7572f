"""What the ranks of the distributed tests run: they import it, so it is a module of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tests.training import problem

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.distributed import Launch, train_cached_distributed
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.loop import Progress, TrainedNet


def plain_store(device: torch.device) -> FrameStore:
    return problem.make_store(str(device))


def exact_store(device: torch.device) -> FrameStore:
    """From here on this process works in float64 and drops nothing."""
    torch.set_default_dtype(torch.float64)
    F.dropout = lambda x, *_args, **_options: x
    return plain_store(device)


def failing_store(device: torch.device) -> FrameStore:
    if os.environ["RANK"] == "1":
        raise ArtistTransferError("shard 7 is damaged.")
    return plain_store(device)


def recording_store(folder: Path, device: torch.device) -> FrameStore:
    """Keep which values this process drops first."""
    dropout, path = F.dropout, folder / f"{os.environ['RANK']}.pt"

    def record(x: torch.Tensor, *args: Any) -> torch.Tensor:
        dropped = dropout(x, *args)
        if not path.exists():
            torch.save(dropped == 0, path)
        return dropped

    F.dropout = record
    return plain_store(device)


def run(
    cache: Path,
    *,
    processes: int = 2,
    nodes: int = 1,
    rendezvous: str | None = None,
    make_store: Callable[[torch.device], FrameStore] = plain_store,
    tasks: str = "gm",
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    **changes: object,
) -> TrainedNet:
    return train_cached_distributed(
        problem.make_config(tasks),
        make_store,
        problem.make_targets(tasks),
        problem.make_params(**{"batch": 8, "threads": processes, **changes}),
        launch=Launch(processes=processes, nodes=nodes, rendezvous=rendezvous),
        source_key="tiny",
        device=torch.device("cpu"),
        cache_root=cache,
        progress=progress,
        stop=stop,
    )


def main() -> None:
    """Train with the options of the command line: cache epochs checkpoint_every_s [processes nodes rendezvous]."""
    cache, epochs, every_s, *machines = sys.argv[1:]
    options: dict[str, Any] = {}
    if machines:
        options = {"processes": int(machines[0]), "nodes": int(machines[1]), "rendezvous": machines[2]}
    run(Path(cache), epochs=int(epochs), checkpoint_every_s=float(every_s), **options)
