from __future__ import annotations

import subprocess
import sys

import pytest

from artist_transfer.tracking.process import identity, is_dead, scope

pytestmark = pytest.mark.skipif(scope() is None, reason="this system does not tell which boot it is")


def child() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_a_process_is_dead_once_it_was_killed():
    process = child()
    name = identity(process.pid)
    assert name is not None
    assert not is_dead(name)
    process.kill()
    process.wait()
    assert is_dead(name)


def test_a_zombie_is_dead():
    process = child()
    name = identity(process.pid)
    process.kill()
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["sleep", "5"], timeout=0.3)  # time to die, without anybody collecting it
    assert is_dead(name)
    process.wait()


def test_another_process_of_the_same_number_is_not_the_same():
    name = identity()
    assert name is not None
    place, _, started = name.rpartition("/")
    assert not is_dead(name)
    assert is_dead(f"{place}/{int(started) - 1}")


@pytest.mark.parametrize("name", [None, "", "x", "other-boot/1/999999/5", "a/b/c/d"])
def test_nothing_is_called_dead_that_cannot_be_known(name):
    assert not is_dead(name)


def test_two_processes_differ():
    process = child()
    try:
        assert identity(process.pid) != identity()
    finally:
        process.kill()
        process.wait()
