"""A worker process and all that descends from it: marked at the start, killed as one, gone when its daemon is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

#: An environment variable that every descendant inherits, even one that left the process group.
MARK = "SCHEDULER_WORKER"
_F_SETSIG = getattr(fcntl, "F_SETSIG", 10)
_SWEEPS = 5


def kill(process: subprocess.Popen[bytes], mark: str) -> None:
    """Kill a worker and its descendants; returns when the worker is gone and none of them is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    # A descendant may fork while the list is read, so look until nobody is left.
    for _ in range(_SWEEPS):
        if not _kill_marked(mark):
            return


def _kill_marked(mark: str) -> bool:
    wanted = f"{MARK}={mark}".encode()
    found = False
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), signal.SIGKILL)
                found = True
    return found


def die_with_parent(lifeline: int) -> None:
    """Have this process group killed when the other end of the pipe `lifeline` closes, as it does when its holder dies.

    On Linux the kernel does it, whatever the Python code of the group is busy with; elsewhere a thread.
    """
    if sys.platform != "linux":
        threading.Thread(target=_wait_and_kill, args=(lifeline,), daemon=True).start()
        return
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if os.getppid() == 1:  # the holder died before the pipe was armed
        os.killpg(0, signal.SIGKILL)


def _wait_and_kill(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)
