"""Whether a daemon's process on this machine still runs; distinguished by start time, because pids are reused."""

from __future__ import annotations

import socket

from ..process_start import process_started


def is_gone(host: str, pid: int, started: str) -> bool:
    """Whether a process ran on this machine, and has ended; `started` is what `process_started` returned for it."""
    return host == socket.gethostname() and process_started(pid) != started
