"""Processes of this machine: whether a daemon's process still runs, or another one with the same id."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def is_gone(host: str, pid: int, started: str) -> bool:
    """Whether a process ran on this machine, and has ended; `started` is what `process_started` returned for it."""
    return host == socket.gethostname() and process_started(pid) != started


def process_started(pid: int) -> str:
    """When a process of this machine started, as the kernel's text; empty when there is no such process."""
    try:
        # The command's name may hold spaces and brackets, so count from behind its last bracket (proc(5)).
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return "" if Path("/proc/self").exists() else _lives(pid)


def _lives(pid: int) -> str:
    """For systems without /proc: only whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "lives"
