"""Decoders that misbehave on files with certain names, for the process that decodes to import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from artist_transfer.audio.decode import Decoded, decode


def decode_or_die(path: str | Path, *, max_duration_s: float) -> Decoded:
    """Crash, hang or eat memory where the name says so, else decode."""
    name = Path(path).name
    if "segfault" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "sleeps" in name:
        time.sleep(3600)
    if "spins" in name:
        sum(1 for _ in iter(int, 1))
    if "eats" in name:
        hoard = []
        while True:
            hoard.append(np.empty(1 << 23))
    if "once" in name and not Path(f"{path}.seen").exists():
        Path(f"{path}.seen").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if "late" in name and not Path(f"{path}.seen").exists():
        Path(f"{path}.seen").touch()
        time.sleep(3600)
    if "raises" in name:
        raise KeyError("a bug of the decoder")
    return decode(path, max_duration_s=max_duration_s)
