"""Devices: which one to use, whether data fits on it, and torch's settings while it works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from artist_transfer.errors import ArtistTransferError, DeviceLost
from artist_transfer.processes import cpu_count, keep_memory

GIB = 1 << 30
DEVICES = ("auto", "cpu", "cuda")


def resolve_device(device: str) -> torch.device:
    """Turn the parameter into a device that is there.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        ``auto`` takes the GPU where there is one.

    Returns
    -------
    torch.device
        CPU or CUDA.

    Raises
    ------
    ArtistTransferError
        If the value is unknown, or a GPU is asked for where there is none.
    """
    if device not in DEVICES:
        raise ArtistTransferError(f"device: {device!r} is unknown; allowed are {', '.join(DEVICES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ArtistTransferError("device: 'cuda' was asked for, but torch sees no GPU here; use auto or cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def free_memory(device: torch.device) -> int:
    """Return the memory that is free on a device or on the host.

    Parameters
    ----------
    device : torch.device
        CPU stands for the host: the least of what the kernel says is available and what a container may still take.

    Returns
    -------
    int, bytes
        0 where nothing is known.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    amounts = [amount for amount in (_available(), _container_left()) if amount is not None]
    return max(0, min(amounts, default=0))


def fits(n_bytes: int, device: torch.device) -> bool:
    """Say whether data of this size may live on the device, with room left for the work itself.

    Parameters
    ----------
    n_bytes : int, bytes
        Size of the data.
    device : torch.device
        CPU stands for the host.

    Returns
    -------
    bool
        True if 4 GiB and a tenth of the free memory stay free on a GPU, or half of it on the host, which other
        processes need too.
    """
    free = free_memory(device)
    if device.type == "cuda":
        return n_bytes <= 0.9 * free - 4 * GIB
    return n_bytes <= 0.5 * free


@contextmanager
def surroundings(device: torch.device, *, seed: int, threads: int | None) -> Iterator[None]:
    """Seed torch, pin its threads and let cuDNN choose its kernels (all batches have one shape), for a block.

    Parameters
    ----------
    device : torch.device
        Where the block works.
    seed : int >= 0
        For torch's generators.
    threads : int >= 1 or None
        None leaves them as they are.

    Yields
    ------
    None
        Afterwards all is as it was before.
    """
    threads_before, benchmark_before = torch.get_num_threads(), torch.backends.cudnn.benchmark
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        keep_memory()
        torch.backends.cudnn.benchmark = device.type == "cuda"
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads_before)
            torch.backends.cudnn.benchmark = benchmark_before


class OwnGenerator:
    """A generator that takes the place of torch's default one for a block, so that no one else moves it.

    Parameters
    ----------
    device : torch.device
        Whose default generator it stands in for.
    seed : int >= 0
        Its seed; the numbers are those of the default generator under ``torch.manual_seed(seed)``.
    """

    def __init__(self, device: torch.device, *, seed: int) -> None:
        self.device = device
        self._generator = torch.Generator(device)
        self._generator.manual_seed(seed)

    @property
    def generator(self) -> torch.Generator:
        """The generator itself, for functions that take one."""
        return self._generator

    def get_state(self) -> Tensor:
        """Return its state, on the host, as ``torch.get_rng_state`` or ``torch.cuda.get_rng_state`` would."""
        return self._generator.get_state()

    def set_state(self, state: Tensor) -> None:
        """Go on where `get_state` was called."""
        self._generator.set_state(state.cpu())

    def renew(self, state: Tensor) -> None:
        """Go on where `get_state` was called, in place of a generator that a failed capture has left unusable."""
        self._generator = torch.Generator(self.device)
        self.set_state(state)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let all that draws random numbers in the block draw them here.

        Yields
        ------
        None
            Afterwards the default generator is as it was. A graph that is captured in the block goes on drawing from
            this generator at each replay, wherever that happens.
        """
        if self.device.type == "cuda":
            index = torch.cuda.current_device() if self.device.index is None else self.device.index
            default = torch.cuda.default_generators[index]
            before = default.graphsafe_get_state()
            default.graphsafe_set_state(self._generator)  # shares the state; a copy would be no good to a graph
            try:
                yield
            finally:
                default.graphsafe_set_state(before)
        else:
            state = torch.get_rng_state()
            torch.set_rng_state(self._generator.get_state())
            try:
                yield
            finally:
                self._generator.set_state(torch.get_rng_state())
                torch.set_rng_state(state)


def pin_threads(threads: int | None) -> int:
    """Fix the number of torch's threads on the CPU, for the last bits of a result depend on it; keep memory.

    Parameters
    ----------
    threads : int >= 1 or None
        None is as many as this process has cores.

    Returns
    -------
    int
        The number.
    """
    number = threads or cpu_count()
    torch.set_num_threads(number)
    keep_memory()
    return number


class OutOfMemory(ArtistTransferError):  # noqa: N818  (as torch names its own)
    """Memory ran out; less at once may fit."""


@contextmanager
def memory_errors(
    device: torch.device,
    batch: int,
    *,
    kept: str | Path | None,
    key: str = "training.batch",
    advice: str = "make the batch smaller",
) -> Iterator[None]:
    """Turn torch's complaint that memory ran out, or that a GPU has failed, into an error that says what to do.

    Parameters
    ----------
    device : torch.device
        Where the block works.
    batch : int
        Size of its batches.
    kept : str, Path or None
        Folder of its checkpoints.
    key : str
        Parameter of the batch.
    advice : str
        What helps.

    Yields
    ------
    None
        The block's other errors pass.

    Raises
    ------
    OutOfMemory
        If memory ran out.
    DeviceLost
        If the GPU has failed.
    """
    where = f" Checkpoints written before are kept in {kept}." if kept is not None else ""
    try:
        yield
    except RuntimeError as error:
        text = str(error).lower()
        known = "out of memory" in text or "can't allocate memory" in text
        if known or isinstance(error, torch.OutOfMemoryError):
            raise OutOfMemory(f"{device} ran out of memory with {key} = {batch}; {advice}.{where}") from error
        raise_if_lost(error, device, where)
        raise


def other_memory(device: torch.device) -> str:
    """Say where there may be memory, if a smaller batch is no help.

    Parameters
    ----------
    device : torch.device
        Whose memory is not enough.

    Returns
    -------
    str
        Advice for `memory_errors`.
    """
    return "take device: cpu" if device.type == "cuda" else "free some memory of this machine"


def raise_if_lost(error: BaseException, device: torch.device, more: str = "") -> None:
    """Raise that a GPU has failed, if an error says so: it answers every further call of this process with the same.

    Parameters
    ----------
    error : BaseException
        Any.
    device : torch.device
        The GPU.
    more : str
        Another sentence.

    Raises
    ------
    DeviceLost
        If it is an error of the GPU, and not a lack of memory.
    """
    if not isinstance(error, torch.AcceleratorError) or "out of memory" in str(error).lower():
        return
    reason = str(error).strip().split("\n")[0]
    raise DeviceLost(
        f"{device} has failed ({reason}) and computes nothing more for this process, so all that was to follow has "
        f"been left out. Run the same command again: it goes on from what is finished.{more}"
    ) from error


def _available() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        return None
    return None


def _container_left() -> int | None:
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) - used
