"""What the workers of a cluster import in the tests: slow decoders, tasks that kill, a folder that is not mounted."""

from __future__ import annotations

import os
import pathlib
import signal
import time
from pathlib import Path

from artist_transfer.audio.decode import Decoded, decode


def decode_slowly(path: str | Path, *, max_duration_s: float) -> Decoded:
    """Decode, but give somebody time to kill the worker."""
    time.sleep(0.3)
    return decode(path, max_duration_s=max_duration_s)


def describe_slowly(path: str) -> dict[str, float | str]:
    """Describe a file as Essentia would, but quickly enough, and slowly enough."""
    time.sleep(0.3)
    name = Path(path).name
    return {"a.mean": float(len(name)), "b.mean": float(Path(path).stat().st_size), "x.key": "A"}


def kill_worker(marker: str | None = None) -> str:
    """Kill the process that runs this task, the first time only if there is a file to remember it by."""
    if marker is None or not Path(marker).exists():
        if marker is not None:
            Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def decoders() -> list[str]:
    """Return the decoding processes that run below this worker."""
    import psutil

    found = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    return [line for line in found if "artist_transfer" in line]


def hide(folder: str) -> None:
    """Make this process see nothing in a folder, as if it were not mounted."""
    see, read = pathlib.Path.stat, pathlib.Path.read_text

    def stat(path: Path, **options: bool) -> os.stat_result:
        if str(path).startswith(folder):
            raise FileNotFoundError(path)
        return see(path, **options)

    def read_text(path: Path, *arguments: str | None, **options: str | None) -> str:
        if str(path).startswith(folder):
            raise FileNotFoundError(path)
        return read(path, *arguments, **options)

    pathlib.Path.stat, pathlib.Path.read_text = stat, read_text  # type: ignore[assignment, method-assign]


if os.environ.get("HIDDEN_FOLDER"):
    hide(os.environ["HIDDEN_FOLDER"])
