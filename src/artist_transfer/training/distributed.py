"""Training by several processes: on the GPUs of one machine or of several, or on the cores of a CPU.

The caller, such as a Kedro node, stays one process with one call: torch's elastic agent is started inside it and
starts the ranks. Each rank builds its own frame store, draws the batches that one process would draw, and works on
its part of each; gradients are averaged. So the trainable weights are those of one process that accumulates the
gradients of the parts. Batch norm normalises by a rank's part on a CPU, and by the whole batch on GPUs (synchronised);
the statistics that are saved are rank 0's. Every rank has dropout masks of its own.

On several machines the same call is made on each, with one rendezvous. Their cache should be a folder that they
share: rank 0 keeps the checkpoints, and a machine that already has the finished net takes no part. Where the machines
have several network interfaces, the environment variables GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME name the one.
"""

from __future__ import annotations

import os
import pickle
import re
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from artist_transfer.artifacts import fingerprint, open_folder, read_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.dcnn import DcnnConfig
from artist_transfer.models.files import load_net
from artist_transfer.training.checkpoints import Stop, only_one, stop_on_sigterm
from artist_transfer.training.elastic_agent import run_ranks
from artist_transfer.training.finished import HISTORY
from artist_transfer.training.loop import Progress, TrainedNet, TrainParams, train_cached
from artist_transfer.training.rank_worker import Job, MakeStore
from artist_transfer.training.targets import TaskTargets

_KEY = "training.distributed"


@dataclass(frozen=True)
class Launch:
    """How many processes train, and where.

    Parameters
    ----------
    processes : int >= 1
        On each machine; on GPUs one for each card.
    nodes : int >= 1
        Machines.
    rendezvous : str or None
        ``host:port`` of one of them, which all can reach; needed for two or more.

    Raises
    ------
    ArtistTransferError
        If a value is out of bounds; its key is named.
    """

    processes: int
    nodes: int = 1
    rendezvous: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        for key in ("processes", "nodes"):
            if getattr(self, key) < 1:
                raise ArtistTransferError(f"{_KEY}.{key} must be 1 or more, got {getattr(self, key)}")
        if self.nodes > 1 and not re.fullmatch(r"\S+:\d{1,5}", self.rendezvous or ""):
            raise ArtistTransferError(
                f"{_KEY}.rendezvous must be host:port for {self.nodes} machines, such as 10.0.0.1:29400, got "
                f"{self.rendezvous!r}"
            )

    @property
    def world(self) -> int:
        """Number of ranks in all."""
        return self.processes * self.nodes


def train_cached_distributed(
    config: DcnnConfig,
    make_store: MakeStore,
    targets: TaskTargets,
    params: TrainParams,
    *,
    launch: Launch,
    source_key: str,
    device: torch.device,
    cache_root: str | Path,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> TrainedNet:
    """Return the net of these inputs from the cache, or train it by several processes.

    Parameters
    ----------
    config : DcnnConfig
        What to build; its outputs are those of the targets.
    make_store : callable
        Takes the device of a rank and makes its frame store; called in each rank. It crosses to them by pickle: a
        function of an importable module with small arguments (paths, manifests, tables; not opened memory maps, whose
        content would be copied), as by `functools.partial`.
    targets : TaskTargets
        What to learn.
    params : TrainParams
        How to train; `batch` is that of all ranks together, `threads` those of a machine.
    launch : Launch
        How many processes; with one in all, this is `train_cached`, in this process.
    source_key : str
        Fingerprint of the frames: front end, mel shards and training tracks.
    device : torch.device
        CPU, or CUDA for the GPUs of each machine; the net is left there.
    cache_root : str or Path
        Folder of all caches; the net lies in ``<cache_root>/nets/<fingerprint>``, and the number of ranks is part of
        the fingerprint.
    progress, stop : callable or None
        As for `train_cached`, called in this process.

    Returns
    -------
    TrainedNet
        Net, history (means over the ranks) and folder.

    Raises
    ------
    Interrupted
        As `train` does; every rank has stopped and rank 0 has written a checkpoint.
    ArtistTransferError
        If the batch cannot be divided among the ranks, `make_store` cannot be given to them, there are fewer GPUs than
        processes, or a rank fails: its number and reason are named, and no process is left.
    """
    if launch.world == 1:
        return train_cached(
            config,
            partial(make_store, device),
            targets,
            params,
            source_key=source_key,
            device=device,
            cache_root=cache_root,
            progress=progress,
            stop=stop,
        )
    check_launch(launch, params, make_store, device)
    key = fingerprint("net", config, params.identity(), source_key, targets.identity(), device.type, launch.world)
    folder = Path(cache_root).absolute() / "nets" / key
    folder.mkdir(parents=True, exist_ok=True)

    def make_job(control: Path, reports: Connection) -> Job:
        return Job(
            config=config,
            make_store=make_store,
            targets=targets,
            params=params,
            source_key=source_key,
            device_type=device.type,
            folder=folder,
            processes=launch.processes,
            nodes=launch.nodes,
            control=control,
            parent=os.getpid(),
            reports=reports,
        )

    with stop_on_sigterm() as sigterm:
        asked = stop or sigterm
        # machines that share the folder would wait for each other's lock; there rank 0 takes it
        with only_one(folder, stop=asked) if launch.nodes == 1 else nullcontext():
            details = open_folder(folder)
            reused = details is not None
            if details is None:
                run_ranks(
                    make_job,
                    processes=launch.processes,
                    nodes=launch.nodes,
                    rendezvous=launch.rendezvous,
                    run_id=key,
                    stop=asked,
                    progress=progress,
                )
                details = open_folder(folder)
    if details is None:
        raise ArtistTransferError(f"{folder}: the ranks have finished, but there is no whole net here")
    history = read_json(folder / HISTORY)
    return TrainedNet(load_net(folder, device), history, folder, details=details, reused=reused)


def check_launch(launch: Launch, params: TrainParams, make_store: MakeStore, device: torch.device) -> None:
    """Find what cannot work before any process is started.

    Parameters
    ----------
    launch : Launch
        Two processes or more in all.
    params : TrainParams
        How they train.
    make_store : callable
        As for `train_cached_distributed`.
    device : torch.device
        CPU, or CUDA for the GPUs of each machine.

    Raises
    ------
    ArtistTransferError
        If the batch cannot be divided among the ranks, the engine or `make_store` is not for several processes, or
        there are fewer GPUs than processes.
    """
    ranks = f"{_KEY}.processes = {launch.processes}"
    if launch.nodes > 1:
        ranks += f" on {_KEY}.nodes = {launch.nodes} machines"
    if params.batch % launch.world or params.batch < 2 * launch.world:
        raise ArtistTransferError(
            f"training.batch = {params.batch} cannot be divided by {ranks} into equal parts of two or more crops; take "
            f"a multiple of {launch.world} that is {2 * launch.world} or more"
        )
    if params.engine == "fast":
        raise ArtistTransferError(
            f"training.engine: 'fast' is for one process, but {ranks} are asked for; allowed here are auto and plain"
        )
    if device.type == "cuda" and launch.processes > torch.cuda.device_count():
        raise ArtistTransferError(
            f"{_KEY}.processes = {launch.processes}, but torch sees {torch.cuda.device_count()} GPU(s) here: one "
            "process for each card is the most"
        )
    function: object = make_store
    while isinstance(function, partial):
        function = function.func
    try:
        pickle.dumps(make_store)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ArtistTransferError(f"make_store cannot be given to other processes: {error}") from error
    if getattr(function, "__module__", None) == "__main__":
        raise ArtistTransferError("make_store is defined in the main program, which the ranks don't import; move it")
