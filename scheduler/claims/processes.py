"""Whether a daemon's process on this machine still runs; distinguished by start time, because pids are reused."""

from __future__ import annotations

import os
import socket
from pathlib import Path

#: The start of a process that runs on a system without /proc. It is in the rows of daemons, so it must not change.
_START_UNKNOWN = "lives"


def is_gone(host: str, pid: int, started: str) -> bool:
    """Whether a process ran on this machine, and has ended; `started` is what `process_started` returned for it."""
    return host == socket.gethostname() and process_started(pid) != started


def process_started(pid: int) -> str:
    """When a process of this machine started, as the kernel's text; empty when there is no such process."""
    try:
        # The command's name may hold spaces and brackets, so count from behind its last bracket (proc(5)).
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
        return _START_UNKNOWN if _is_running(pid) else ""


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
