"""Which device, and what fits on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from artist_transfer.errors import ArtistTransferError, DeviceLost
from artist_transfer.training import devices as module
from artist_transfer.training.devices import GIB, OutOfMemory, fits, free_memory, memory_errors, resolve_device
from artist_transfer.training.failures import FAILURES

CPU = torch.device("cpu")


@pytest.mark.parametrize("there", [True, False])
def test_resolving(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type == ("cuda" if there else "cpu")
    if there:
        assert resolve_device("cuda").type == "cuda"
    else:
        with pytest.raises(ArtistTransferError, match="device: 'cuda'"):
            resolve_device("cuda")
    with pytest.raises(ArtistTransferError, match="auto, cpu, cuda"):
        resolve_device("tpu")


def test_margins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_memory", lambda _device: 100 * GIB)
    assert fits(50 * GIB, CPU) and not fits(51 * GIB, CPU)
    assert fits(86 * GIB, torch.device("cuda")) and not fits(87 * GIB, torch.device("cuda"))


def test_a_container_may_have_less_than_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert free_memory(CPU) > 0
    monkeypatch.setattr(module, "_available", lambda: 8 * GIB)
    monkeypatch.setattr(module, "_container_left", lambda: 2 * GIB)
    assert free_memory(CPU) == 2 * GIB
    monkeypatch.setattr(module, "_container_left", lambda: None)
    assert free_memory(CPU) == 8 * GIB


def test_only_lack_of_memory_is_translated() -> None:
    with (
        pytest.raises(ArtistTransferError, match=r"training.batch = 64.*kept in here"),
        memory_errors(CPU, 64, kept="here"),
    ):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
    with pytest.raises(RuntimeError, match="shape"), memory_errors(CPU, 64, kept=None):
        raise RuntimeError("shape mismatch")


def test_a_gpu_that_has_failed_is_told_from_one_that_is_full() -> None:
    failed = torch.AcceleratorError("CUDA error: an illegal memory access\nCompile with TORCH_USE_CUDA_DSA …")
    told = r"^cpu has failed \(CUDA error: an illegal memory access\) .* are kept in here\.$"
    with (
        pytest.raises(DeviceLost, match=told) as lost,
        memory_errors(CPU, 64, kept="here"),
    ):
        raise failed
    assert not isinstance(lost.value, FAILURES)  # what goes on after those ends after this
    with (
        pytest.raises(OutOfMemory, match=r"^cpu ran out of memory with a\.b = 64; take another\.$"),
        memory_errors(CPU, 64, kept=None, key="a.b", advice="take another"),
    ):
        raise torch.AcceleratorError("CUDA error: out of memory")


KEPT = """
import sys
import torch
from artist_transfer.training.devices import keep_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

kept = keep_memory() if sys.argv[1] == "keep" else True
before = resident()
blocks = [torch.ones(5 << 20) for _ in range(10)]  # 20 MB each
del blocks
print(int(kept), resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_freed_memory_is_kept() -> None:
    grown = {}
    for how in ("keep", "leave"):
        done = subprocess.run([sys.executable, "-c", KEPT, how], capture_output=True, text=True, check=True)
        kept, grown[how] = map(int, done.stdout.split())
        if not kept:
            pytest.skip("this C library has no mallopt")
    assert grown["leave"] < 100e6 < 190e6 < grown["keep"]
