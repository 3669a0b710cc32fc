"""Whether a daemon's process on this machine still runs: by its pid, its start time and its pid namespace.

Pids are reused, also after a reboot, and each container may have a namespace of its own. A process of another pid
namespace is invisible here, so it never counts as ended.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

from ..process_start import process_started


def own_identity() -> str:
    """The identity of this process for `is_gone`, besides its host and pid."""
    return f"{process_started(os.getpid())} {_pids_of()}"


def is_gone(host: str, pid: int, identity: str) -> bool:
    """Whether a process ran on this machine and has ended; `identity` is the `own_identity` of that process."""
    if host != socket.gethostname():
        return False
    started, _, pids_of = identity.partition(" ")
    if pids_of and pids_of != _pids_of():
        boot, _, _ = pids_of.partition(".")
        return boot != _pids_of().partition(".")[0]
    return process_started(pid) != started


def is_running(host: str, pid: int, identity: str) -> bool:
    """Whether a process runs on this machine, where this process sees it; False also if that is not known."""
    started, _, pids_of = identity.partition(" ")
    return host == socket.gethostname() and pids_of == _pids_of() and process_started(pid) == started


@cache
def _pids_of() -> str:
    """The boot id of the machine, and this process's pid namespace; empty on a system without both."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}.{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""
