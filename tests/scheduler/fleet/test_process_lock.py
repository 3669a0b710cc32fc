"""The lock among the children of a fleet's worker: one at a time has it, and it is free again when that one dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scheduler.fleet.process_lock import ProcessLock
from tests.waiting import PATIENCE_S


@contextmanager
def held_elsewhere(lock: ProcessLock) -> Iterator[int]:
    """The pid of a process that has taken the lock."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        lock.acquire()
        os.write(writes, b"x")
        signal.pause()
        os._exit(0)
    try:
        os.read(reads, 1)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reads)
        os.close(writes)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_lock_is_free_when_its_holder_has_been_killed() -> None:
    """And not before: also where the holder stands still."""
    lock = ProcessLock()
    assert lock.holder() is None
    with held_elsewhere(lock) as pid:
        assert lock.holder() == pid
        os.kill(pid, signal.SIGSTOP)
        assert not lock.acquire(block=False)
        assert not lock.acquire(timeout=0.02)
    assert lock.acquire(timeout=PATIENCE_S)
    lock.release()
    with lock:
        pid = os.fork()
        if pid == 0:
            os._exit(lock.acquire(block=False))
        assert os.waitpid(pid, 0) == (pid, 0)
