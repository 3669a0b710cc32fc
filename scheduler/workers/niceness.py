"""How much of the processors a worker gets while others want them: less while it starts, or runs for long.

What is lowered can be raised again, so nothing is done where the kernel would not allow that.
"""

from __future__ import annotations

import contextlib
import os
from functools import cache
from pathlib import Path

#: By how much it is nicer that has time: a tenth of the processor where somebody else wants all of it, else all.
LOW = 10
_NICEST = 19
_CAP_SYS_NICE = 23


def lower(pid: int) -> bool:
    """Let others go before a worker, which leads a session; False where the kernel wants to be asked again later."""
    return _set_group(pid, LOW) and _set_threads(pid, _own(), _low())


def restore(pid: int) -> bool:
    """Let a worker go as its daemon does again; False where the kernel wants to be asked again later."""
    return _set_group(pid, 0) and _set_threads(pid, _low(), _own())


def _set_group(pid: int, niceness: int) -> bool:
    """Where sessions share the processors, as groups: sched(7), "The autogroup feature"."""
    try:
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))
    except BlockingIOError:
        # All but root may do so ten times a second.
        return False
    except OSError:
        pass
    return True


def _set_threads(pid: int, before: int, after: int) -> bool:
    """Where threads share them; what the functions have set themselves is left as it is."""
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
    """Whether this process may take niceness back: as root, and not in every container."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> _CAP_SYS_NICE & 1)
    return False
