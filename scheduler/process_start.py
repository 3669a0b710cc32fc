"""When a process of this machine started: it distinguishes a process from later ones, because pids are reused."""

from __future__ import annotations

import os
from pathlib import Path

#: The start of a process that runs on a system without /proc. It is in the rows of daemons, so it must not change.
_UNKNOWN = "lives"


def process_started(pid: int) -> str:
    """When a process started, as the kernel's text; empty when there is no such process."""
    try:
        # The command's name may hold spaces and brackets, so count from behind its last bracket (proc(5)).
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except ProcessLookupError:  # it ended while it was read
        return ""
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
        return _UNKNOWN if _is_running(pid) else ""


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
