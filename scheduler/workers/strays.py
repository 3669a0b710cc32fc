"""Strays: processes that a dead worker has left behind, which the kernel gives to the daemon, and the daemon kills.

A worker that the daemon kills is stopped first, and its descendants are found below it. One that ends by itself may
leave some that hide: with a group, a session and an environment of their own, they cannot be distinguished from other
processes. In a daemon that runs no code of the user, every child that is not a worker is one of them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

from .process_tree import children_of
from .zombies import become_reaper

#: How often to look again, because the children of a stray become strays when it has ended.
_LOOKS, _LOOK_AGAIN_S = 20, 0.005


class Strays:
    """The children of this process that are not workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: list[subprocess.Popen[bytes]] = []
        self._is_adopting = False

    def adopt(self) -> None:
        """Become the parent of what workers leave behind; only for a process that starts nothing but workers."""
        become_reaper()
        self._is_adopting = True

    @contextlib.contextmanager
    def starting(self) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Within the block, a worker may be started, and is added to the list that this yields."""
        with self._lock:
            self._workers = [worker for worker in self._workers if worker.returncode is None]
            yield self._workers

    def kill(self) -> None:
        """Kill the present strays, and reap them."""
        if not self._is_adopting:
            return
        with self._lock:
            for _ in range(_LOOKS):
                workers = {worker.pid for worker in self._workers if worker.returncode is None}
                strays = [pid for pid in children_of(os.getpid()) if pid not in workers]
                if not strays:
                    return
                for pid in strays:
                    with contextlib.suppress(ProcessLookupError, PermissionError, ChildProcessError):
                        os.kill(pid, signal.SIGKILL)
                        os.waitpid(pid, os.WNOHANG)
                time.sleep(_LOOK_AGAIN_S)


#: The strays of this process, which the executors of all its environments share.
strays = Strays()
