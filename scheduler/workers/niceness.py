"""Niceness of worker processes: low priority while a worker starts, or while its run takes long.

A priority is lowered only where the kernel would let us restore it.
"""

from __future__ import annotations

import contextlib
import os
from functools import cache
from pathlib import Path

#: The nice(2) increment of low-priority workers: they get about a tenth of a contended processor.
LOW = 10
_NICEST = 19
_CAP_SYS_NICE = 23


def lower(pid: int) -> bool:
    """Give a worker and its session low priority; False if it has to be tried again later."""
    return _set_group(pid, LOW) and _set_threads(pid, _own(), _low())


def restore(pid: int) -> bool:
    """Give a worker and its session the daemon's priority; False if it has to be tried again later."""
    return _set_group(pid, 0) and _set_threads(pid, _low(), _own())


def is_ours() -> bool:
    """Whether the niceness of this worker is one that its daemon gives to workers; else a function has set it."""
    with contextlib.suppress(OSError):
        of_daemon = os.getpriority(os.PRIO_PROCESS, os.getppid())
        return os.getpriority(os.PRIO_PROCESS, 0) in (of_daemon, min(of_daemon + LOW, _NICEST))
    return True


def _set_group(pid: int, niceness: int) -> bool:
    """Set the niceness of the session, for kernels that schedule by session: sched(7), "The autogroup feature"."""
    try:
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))
    except BlockingIOError:
        # Only root may change it more than ten times a second.
        return False
    except OSError:
        pass
    return True


def _set_threads(pid: int, before: int, after: int) -> bool:
    """Set the niceness of the threads that have `before`; others were changed by the functions and stay."""
    for thread in _threads(pid) if may_raise() else []:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpriority(os.PRIO_PROCESS, thread) == before:
                os.setpriority(os.PRIO_PROCESS, thread, after)
    return True


def _low() -> int:
    return min(_own() + LOW, _NICEST)


def _own() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def _threads(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
    return []


@cache
def may_raise() -> bool:
    """Whether this process may lower a niceness again: as root, and even then not in every container."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> _CAP_SYS_NICE & 1)
    return False
