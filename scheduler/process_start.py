"""process_started: the start of a process, which distinguishes it from later ones with the same pid."""

from __future__ import annotations

import os
from pathlib import Path

#: The value on a system without /proc. Rows of daemons contain it, so it must not change.
_UNKNOWN = "lives"


def process_started(pid: int) -> str:
    """The start of a process as the kernel's text; empty if the process does not exist."""
    try:
        # The command's name may contain spaces and brackets, so split after its last bracket (proc(5)).
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
