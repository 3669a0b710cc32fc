"""Processes that end with the tests, however those end: also when they are killed.

The kernel kills such a process when the other end of a pipe closes, which only this process holds.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import cache

#: Arms the pipe and becomes the program: the kernel remembers both beyond that.
_PROGRAM = """
import fcntl, os, signal, sys
pipe = os.open("/proc/self/fd/" + sys.argv[1], os.O_RDONLY)
os.set_inheritable(pipe, True)
fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
fcntl.fcntl(pipe, getattr(fcntl, "F_SETSIG", 10), signal.SIGKILL)
fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
os.execv(sys.argv[2], sys.argv[2:])
"""


@cache
def lifeline() -> int:
    """The reading end of the pipe, which such a process needs as an open descriptor (`pass_fds`)."""
    reading, _ = os.pipe()
    return reading


def ending_with_tests(*command: str) -> list[str]:
    """The command of a process that ends with the tests, under the same pid; elsewhere than on Linux: as it is."""
    if sys.platform != "linux":
        return list(command)
    program = shutil.which(command[0])
    assert program is not None, command
    return [sys.executable, "-I", "-S", "-c", _PROGRAM, str(lifeline()), program, *command[1:]]
