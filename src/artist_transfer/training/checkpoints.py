"""Checkpoints that survive SIGKILL, the flag that SIGTERM sets, and the lock on a net's folder.

A checkpoint is two files: tensors as safetensors, then the rest as JSON, which carries the checksum of both and is
written last. The newest two are kept; one that is damaged is passed over with a warning. Nothing is pickled.
"""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from artist_transfer.artifacts import atomic_path, fingerprint, read_json, sha256_of, write_json
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

KEPT = 2
Stop = Callable[[], bool]


class Interrupted(SystemExit):
    """A training was asked to stop and has written its checkpoint; ends the process with exit code 143."""

    def __init__(self, message: str) -> None:
        super().__init__(143)
        self.message = message

    def __str__(self) -> str:
        """Say what was interrupted."""
        return self.message


@contextmanager
def stop_on_sigterm(number: int = signal.SIGTERM) -> Iterator[Stop]:
    """Turn the first SIGTERM into a flag; a second one acts as it would have done before.

    Parameters
    ----------
    number : int
        Another signal.

    Yields
    ------
    callable
        Returns True once the signal has come. Outside the main thread, where Python allows no signal handlers, always
        False.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came = threading.Event()
    before = signal.getsignal(number)
    handler_before = signal.SIG_DFL if before is None else before  # None: one that was not set from Python

    def handler(_number: int, _frame: object) -> None:
        came.set()
        signal.signal(number, handler_before)

    signal.signal(number, handler)
    try:
        yield came.is_set
    finally:
        signal.signal(number, handler_before)


def save_checkpoint(folder: str | Path, step: int, *, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically and drop all but the newest two.

    Parameters
    ----------
    folder : str or Path
        Where it goes.
    step : int >= 0
        Updates done.
    tensors : mapping of str to Tensor
        On any device.
    state : mapping
        What JSON can hold.

    Raises
    ------
    ArtistTransferError
        If it cannot be written; the checkpoints before it are intact.
    """
    from safetensors import SafetensorError  # what trains without checkpoints runs without it
    from safetensors.torch import save_file

    path = Path(folder) / f"checkpoint-{step:09d}.safetensors"
    try:
        with atomic_path(path) as temporary:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)
        body = {"step": step, "state": dict(state), "tensors_sha256": sha256_of(path)}
        write_json(path.with_suffix(".json"), {"body": body, "fingerprint": fingerprint(body)})
    except (OSError, SafetensorError) as error:
        raise ArtistTransferError(f"{path}: the checkpoint cannot be written: {error}") from error
    for old in _checkpoints(folder)[:-KEPT]:
        _remove(old)


def load_checkpoint(folder: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the newest checkpoint that is whole.

    Parameters
    ----------
    folder : str or Path
        Where they are.

    Returns
    -------
    tensors, state : dict of str to Tensor, dict
        As saved, on the CPU; None if there is no whole checkpoint.

    Warns
    -----
    ArtistTransferWarning
        For each damaged one, with what happens instead.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found = _checkpoints(folder)
    while found:
        path = found.pop()
        try:
            content = read_json(path)
            body = content["body"]
            tensors_path = path.with_suffix(".safetensors")
            whole = content["fingerprint"] == fingerprint(body) and body["tensors_sha256"] == sha256_of(tensors_path)
            if whole:
                return load_file(tensors_path), body["state"]
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            pass
        instead = f"training goes on from {found[-1].name}" if found else "training starts again from the beginning"
        warnings.warn(f"{path}: the checkpoint is damaged; {instead}.", ArtistTransferWarning, stacklevel=2)
    return None


def remove_checkpoints(folder: str | Path) -> None:
    """Remove all checkpoints of a folder, and what a killed run left of one.

    Parameters
    ----------
    folder : str or Path
        Where they are.
    """
    for path in _checkpoints(folder):
        _remove(path)
    for pattern in ("checkpoint-*.safetensors", ".checkpoint-*.part*"):
        for path in Path(folder).glob(pattern):
            path.unlink(missing_ok=True)


def _checkpoints(folder: str | Path) -> list[Path]:
    return sorted(Path(folder).glob("checkpoint-*.json"))


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)  # first: without it the tensors count for nothing
    path.with_suffix(".safetensors").unlink(missing_ok=True)


def optimiser_tensors(net: nn.Module, optimisers: Mapping[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Return the states of all parameters in all optimisers, by name.

    Parameters
    ----------
    net : nn.Module
        The net whose parameters they are.
    optimisers : mapping of str to Optimizer
        By task; the same one may stand for several.

    Returns
    -------
    dict of str to Tensor
        ``adam.<number>.<parameter>.<key>``.
    """
    return {
        f"{prefix}{key}": value
        for prefix, parameter, optimiser in _optimised(net, optimisers)
        for key, value in optimiser.state[parameter].items()
    }


def restore_optimisers(
    net: nn.Module, optimisers: Mapping[str, torch.optim.Optimizer], tensors: Mapping[str, Tensor]
) -> None:
    """Put back what `optimiser_tensors` returned.

    Parameters
    ----------
    net : nn.Module
        The net, on its device.
    optimisers : mapping of str to Optimizer
        Newly made.
    tensors : mapping of str to Tensor
        May hold others, too.
    """
    for prefix, parameter, optimiser in _optimised(net, optimisers):
        for name in [name for name in tensors if name.startswith(prefix)]:
            value = tensors[name]
            like = parameter if value.shape == parameter.shape else value.to(parameter.device)
            # the fused kernel walks through memory: moments must have the layout of their parameter
            optimiser.state[parameter][name.removeprefix(prefix)] = torch.empty_like(like).copy_(value)


def _optimised(
    net: nn.Module, optimisers: Mapping[str, torch.optim.Optimizer]
) -> Iterator[tuple[str, nn.Parameter, torch.optim.Optimizer]]:
    for number, optimiser in enumerate(dict.fromkeys(optimisers.values())):
        mine = {id(p) for group in optimiser.param_groups for p in group["params"]}
        for name, parameter in net.named_parameters():
            if id(parameter) in mine:
                yield f"adam.{number}.{name}.", parameter, optimiser


@contextmanager
def only_one(folder: str | Path, *, stop: Stop | None = None) -> Iterator[None]:
    """Let one process at a time train in a folder; the lock goes with the process, however it ends.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    stop : callable or None
        Ends the waiting.

    Raises
    ------
    Interrupted
        If `stop` says so while another process has the lock.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl  # not on Windows
    except ImportError:
        yield
        return
    with open(folder / ".lock", "wb") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stop is not None and stop():
                    raise Interrupted(f"interrupted while another process trained in {folder}") from None
                time.sleep(0.2)
            except OSError:
                break  # a file system without locks: two trainings waste time, but each file is still whole
        yield
