"""What one rank of a distributed training does, from its first line to the saved net."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from artist_transfer.artifacts import open_folder
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.processes import cpu_count, end_with_parent
from artist_transfer.training.checkpoints import Interrupted, only_one, stop_on_sigterm
from artist_transfer.training.devices import pin_threads
from artist_transfer.training.finished import facts_of, save_finished
from artist_transfer.training.frame_store import FrameStore
from artist_transfer.training.loop import TrainParams, train
from artist_transfer.training.ranks import PATIENCE, GroupRanks, PeerLost
from artist_transfer.training.targets import TaskTargets

MakeStore = Callable[[torch.device], FrameStore]

GO = "go"  # the ranks go on while this file is there
GRACE_S = 20.0  # for a checkpoint, once it is gone
_BLAME_S = 10.0
_TERMINATED = 143


@dataclass(frozen=True)
class Job:
    """What a rank is told.

    Parameters
    ----------
    config, make_store, targets, params, source_key
        As for `artist_transfer.training.distributed.train_cached_distributed`.
    device_type : {"cpu", "cuda"}
        Where to train; on GPUs a rank has the one of its number on the machine.
    folder : Path
        Of the net, on this machine.
    processes, nodes : int >= 1
        Ranks a machine, machines.
    control : Path
        Folder that this machine's ranks share with the process that started them.
    parent : int
        That process.
    reports : Connection
        To that process: ("started",), ("progress", done, total, losses) or ("warning", text).
    """

    config: DcnnConfig
    make_store: MakeStore
    targets: TaskTargets
    params: TrainParams
    source_key: str
    device_type: str
    folder: Path
    processes: int
    nodes: int
    control: Path
    parent: int
    reports: Connection

    def told_to_end(self) -> bool:
        """Say whether the process that started the ranks wants them to end."""
        return not (self.control / GO).exists()


def work(job: Job) -> str | None:
    """Be one rank.

    Parameters
    ----------
    job : Job
        What to do.

    Returns
    -------
    str or None
        How far the training was, if it was interrupted.
    """
    end_with_parent()
    if os.getppid() != job.parent or job.told_to_end():
        os._exit(_TERMINATED)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends them in order
    threading.Thread(target=_end_in_time, args=(job,), daemon=True).start()
    local = int(os.environ["LOCAL_RANK"])
    _pass_warnings_on(job, first=local == 0)
    job.reports.send(("started",))
    # threads are given for the machine
    threads = pin_threads(max(1, (job.params.threads or cpu_count()) // job.processes))
    device = torch.device("cuda", local) if job.device_type == "cuda" else torch.device("cpu")
    try:
        ranks = _join_group(job, device)
        message = _train(replace(job, params=replace(job.params, threads=threads)), ranks, device, local)
    except PeerLost:
        time.sleep(_BLAME_S)  # the first to end is the one that is reported: let it be the one that failed
        raise
    dist.destroy_process_group()
    return message


def _end_in_time(job: Job) -> None:
    while not job.told_to_end():
        time.sleep(0.2)
    time.sleep(GRACE_S)
    os._exit(_TERMINATED)


def _pass_warnings_on(job: Job, *, first: bool) -> None:
    show = warnings.showwarning

    def pass_on(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *more: object, **others: object
    ) -> None:
        if not issubclass(category, ArtistTransferWarning):
            show(message, category, filename, lineno)
        elif first:  # the others' are the same
            job.reports.send(("warning", str(message)[:2000]))

    warnings.showwarning = pass_on


def _join_group(job: Job, device: torch.device) -> GroupRanks:
    if job.nodes == 1 and Path("/sys/class/net/lo").exists():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # whatever the machine's name resolves to
    try:
        if device.type == "cuda":
            torch.cuda.set_device(device)
            dist.init_process_group("nccl", timeout=PATIENCE, device_id=device)
        else:
            dist.init_process_group("gloo", timeout=PATIENCE)
    except RuntimeError as error:
        raise PeerLost(f"the ranks don't find each other: {error}") from error
    return GroupRanks(device)


def _train(job: Job, ranks: GroupRanks, device: torch.device, local: int) -> str | None:
    with ExitStack() as stack:
        if job.nodes > 1 and ranks.rank == 0:  # on one machine the caller has the lock
            try:
                stack.enter_context(only_one(job.folder, stop=lambda: True))
            except Interrupted:
                raise ArtistTransferError(f"{job.folder}: another training is at work here; wait for it") from None
        store = _build_store(job, ranks, device, local)
        net = MultiTaskNet(job.config, seed=job.params.seed)
        if ranks.rank == 0:
            net.set_band_statistics(*store.band_statistics())
        ranks.share(net)
        if device.type == "cuda":
            net = nn.SyncBatchNorm.convert_sync_batchnorm(net)

        def progress(done: int, total: int, losses: Mapping[str, float]) -> None:
            job.reports.send(("progress", done, total, dict(losses)))

        with stop_on_sigterm() as sigterm:
            try:
                result = train(
                    net,
                    store,
                    job.targets,
                    job.params,
                    device=device,
                    folder=job.folder,
                    progress=progress if local == 0 else None,
                    stop=lambda: sigterm() or job.told_to_end(),
                    ranks=ranks,
                )
            except Interrupted as interrupted:
                return str(interrupted)
            except PeerLost as lost:
                if sigterm():  # the agent ends this rank because of the other
                    raise SystemExit(_TERMINATED) from lost
                raise
        ranks.share(net)  # the batch-norm statistics
        facts = facts_of(job.params, device, job.source_key, result)
        facts["distributed"] = {"processes": job.processes, "nodes": job.nodes}
        if ranks.rank == 0:
            save_finished(job.folder, net, job.targets, history=result.history, facts=facts)
        ranks.barrier()
        if ranks.rank and local == 0 and open_folder(job.folder) is None:  # a machine with a cache of its own
            save_finished(job.folder, net, job.targets, history=result.history, facts=facts)
    return None


def _build_store(job: Job, ranks: GroupRanks, device: torch.device, local: int) -> FrameStore:
    """Build the frame store; on a CPU in turns, so that each sees how much memory the others left."""
    if device.type == "cuda":
        return job.make_store(device)
    stores = []
    for turn in range(job.processes):
        if turn == local:
            stores.append(job.make_store(device))
        ranks.barrier()
    return stores[0]
