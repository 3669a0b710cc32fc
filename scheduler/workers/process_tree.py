"""A worker process and its descendants: marked at the start, killed together, and killed when their daemon dies."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator

from ..process_start import process_started

#: The environment variable of the mark; descendants inherit it, even one that left the process group.
MARK = "SCHEDULER_WORKER"
_F_SETSIG = getattr(fcntl, "F_SETSIG", 10)
_SWEEPS = 5
#: How long to wait for the end of killed processes.
_ENDS_S = 0.2


def new_mark() -> str:
    """A mark for a new worker: pid, start time and pid namespace of this process, and a random number."""
    return f"{os.getpid()}.{process_started(os.getpid())}.{_namespace()}.{os.urandom(8).hex()}"


def _namespace() -> str:
    """The pid namespace of this process; `0` where the system has none."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)  # noqa: PTH116 - a bare number is all that is wanted
    except OSError:
        return "0"


def kill(process: subprocess.Popen[bytes], mark: str) -> bool:
    """Kill a worker and its descendants, and wait a moment for their end; returns whether the worker has ended.

    A process that has not ended by then waits in the kernel, and runs no more of its program.
    """
    # A stopped worker starts no further children, and as the reaper it still adopts descendants that lose their parent.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process.pid, signal.SIGSTOP)
    give_up_at = time.monotonic() + _ENDS_S
    descendants: set[int] = set(_listed_descendants(process.pid, give_up_at))
    # At once, because reading the whole of /proc takes several milliseconds, and more on a busy machine.
    _kill_all(descendants)
    while living := [pid for pid in _descendants(process.pid) if _lives(pid)]:
        descendants.update(living)
        _kill_all(living)
        if time.monotonic() > give_up_at:
            break
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_ENDS_S)
    # On a system without a reaper, a descendant may fork while /proc is read: read it again until none is left.
    for _ in range(_SWEEPS):
        if not _kill_all(pid for pid, found in _marked() if found == mark):
            break
    _wait_until_ended(descendants)
    return process.returncode is not None


def sweep_orphans() -> None:
    """Kill the processes whose mark names a daemon that has ended: descendants of the workers of a killed daemon."""
    _kill_all(pid for pid, mark in _marked() if _is_orphaned(mark))


def _wait_until_ended(pids: Iterable[int]) -> None:
    """Wait until killed processes have ended, for _ENDS_S at most: the kernel may be unable to end one."""
    give_up_at = time.monotonic() + _ENDS_S
    while any(_lives(pid) for pid in pids) and time.monotonic() < give_up_at:
        time.sleep(0.001)


def _lives(pid: int) -> bool:
    status = _status(pid)
    return bool(status) and status[0] not in "ZX"


def _is_orphaned(mark: str) -> bool:
    pid, began, *namespace, _ = mark.split(".") if mark.count(".") >= 2 else ("", "", "")
    # A pid of another namespace, as in a container, names a different process here.
    if namespace and namespace[0] != _namespace():
        return False
    return pid.isdigit() and began.isdigit() and process_started(int(pid)) != began


def _kill_all(pids: Iterable[int]) -> bool:
    killed = False
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
            killed = True
    return killed


def children_of(parent: int) -> list[int]:
    """The children of a process, ended ones too."""
    return _children().get(parent, [])


def _children() -> dict[int, list[int]]:
    """The children of each process."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        if status := _status(pid):
            children.setdefault(int(status[1]), []).append(pid)
    return children


def _listed_descendants(pid: int, give_up_at: float = math.inf) -> list[int]:
    """The descendants as the kernel lists them, where it does; some are missing if others end meanwhile."""
    descendants = [pid]
    for parent in descendants:
        # Processes that keep forking may grow this list faster than it is read.
        if time.monotonic() > give_up_at:
            break
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{parent}/task"):  # noqa: PTH208 - a third of the time
                descendants += map(int, _read(f"/proc/{parent}/task/{thread}/children").split())
    return descendants[1:]


def _descendants(pid: int) -> list[int]:
    """The descendants of a process, as far as all processes between them still live."""
    children = _children()
    descendants: list[int] = []
    unseen = [pid]
    while unseen:
        found = children.get(unseen.pop(), [])
        descendants += found
        unseen += found
    return descendants


def _marked() -> Iterator[tuple[int, str]]:
    prefix = f"{MARK}=".encode()
    for pid in _pids():
        with contextlib.suppress(OSError):
            environ = _read(f"/proc/{pid}/environ")
            # Nearly no process has the mark.
            if prefix not in environ:
                continue
            for entry in environ.split(b"\0"):
                if entry.startswith(prefix):
                    yield pid, entry[len(prefix) :].decode("ascii", "replace")


def _pids() -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - a third of the time
    return []


def _status(pid: int) -> list[str]:
    """The fields of proc(5)'s stat from the third on: state, parent, group …; empty if the process does not exist."""
    with contextlib.suppress(OSError):
        # The command's name may contain spaces and brackets, so split after the last bracket.
        return _read(f"/proc/{pid}/stat").rpartition(b")")[2].decode("ascii").split()
    return []


def _read(path: str) -> bytes:
    """The contents of a file of /proc, without pathlib's overhead: a kill reads hundreds of them while timers wait."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(descriptor, 65_536):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def exit_text(status: int) -> str:
    """How a worker ended, as the history shows it; a negative status is a signal."""
    if status >= 0:
        return f"the worker process ended with exit status {status}"
    try:
        return f"the worker process was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"the worker process was killed by signal {-status}"


def die_with_parent(lifeline: int) -> None:
    """Kill this process group when the other end of the pipe `lifeline` closes, as it does when its holder dies.

    On Linux the kernel kills it, even while Python code holds the GIL; elsewhere a thread does.
    """
    if sys.platform != "linux":
        threading.Thread(target=_wait_and_kill, args=(lifeline,), daemon=True).start()
        return
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    # The holder may have died before the pipe was armed. getppid() would not show it: in a container, the holder may be
    # process 1.
    pipe = select.poll()
    pipe.register(lifeline, 0)
    if pipe.poll(0):
        os.killpg(0, signal.SIGKILL)


def _wait_and_kill(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)
