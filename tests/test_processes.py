"""Workers start without the main program and end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from artist_transfer.processes import cpu_count

PROGRAM = """
    import os, sys, time
    from concurrent.futures import ProcessPoolExecutor
    from pathlib import Path
    with open({log!r}, "a") as stream:
        stream.write("main imported\\n")
    from artist_transfer.processes import end_with_parent, light_spawn
    if __name__ == "__main__":
        with light_spawn() as context, ProcessPoolExecutor(1, context, initializer=end_with_parent) as pool:
            print(pool.submit(os.getpid).result(), flush=True)
            print(sys.modules["__main__"].__spec__, flush=True)
            pool.submit(time.sleep, 60)
            time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_worker_starts_light_and_goes_with_a_killed_parent(tmp_path: Path) -> None:
    log, script = tmp_path / "log", tmp_path / "main.py"
    script.write_text(textwrap.dedent(PROGRAM.format(log=str(log))))
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    assert worker != process.pid
    assert log.read_text() == "main imported\n", "the worker imported the main program again"
    assert alive(worker)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(worker)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system knows no affinity")
def test_only_cores_that_may_be_used_are_counted() -> None:
    code = "import os; from artist_transfer.processes import cpu_count; print(cpu_count());"
    code += " os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(cpu_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [str(len(os.sched_getaffinity(0))), "1"]


@pytest.mark.parametrize(("machine", "count"), [(7, 7), (None, 1)])
def test_without_affinity_the_machines_cores_are_counted(
    monkeypatch: pytest.MonkeyPatch, machine: int | None, count: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: machine)
    assert cpu_count() == count
