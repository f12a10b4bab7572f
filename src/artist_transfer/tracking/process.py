"""Which process a run belongs to, so that a later one can tell whether it is dead.

A process is named by the machine's boot, the namespace its id is counted in, the id, and when it started: ids are
used again, and two containers of one machine both have a process 7. Only Linux tells all four; elsewhere a process
has no name and nothing is ever called dead.
"""

from __future__ import annotations

import os
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def scope() -> str | None:
    """Return what all processes have in common that this one can see.

    Returns
    -------
    str or None
        Boot and process namespace; None where the system does not tell.
    """
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
        return f"{_BOOT.read_text(encoding='ascii').strip()}/{namespace}"
    except OSError:
        return None


def identity(pid: int | None = None) -> str | None:
    """Name a process so that no other one ever has the same name.

    Parameters
    ----------
    pid : int, optional
        Its id; this process by default.

    Returns
    -------
    str or None
        ``boot/namespace/pid/start``; None if there is no such process or the system does not tell.
    """
    pid = pid or os.getpid()
    here, started = scope(), _started(pid)
    return None if here is None or started is None else f"{here}/{pid}/{started}"


def is_dead(name: str | None) -> bool:
    """Tell whether a process that was named by `identity` has surely ended.

    Parameters
    ----------
    name : str or None
        What `identity` returned once, perhaps on another machine.

    Returns
    -------
    bool
        False also where it cannot be known: another machine, another boot, another container, no name.
    """
    here = scope()
    if not name or here is None or name.count("/") != 3:
        return False
    place, pid, started = name.rsplit("/", 2)
    return place == here and pid.isdecimal() and _started(int(pid)) != started


def _started(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return None if fields[0] in "ZX" else fields[19]  # field 22 of proc(5): clock ticks since boot
