"""The program of the processes of `scheduler up`: each role names a function that is there."""

from __future__ import annotations

import errno
import resource
import threading
from importlib import import_module
from pathlib import Path

import pytest

from scheduler.up.program import ROLES, _exhausted


@pytest.mark.parametrize("role", ROLES)
def test_a_role_names_a_function(role: str) -> None:
    """It is imported only when a process of this role starts."""
    module, _, function = ROLES[role].partition(":")
    assert callable(getattr(import_module(f"scheduler.up.{module}"), function))


def test_a_thread_that_cannot_be_started_is_explained() -> None:
    """The limits that may be reached are named with their values; an error of another kind is not explained."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    # Room for all but the thread's stack, which is larger than any that an ended thread has left for the next one.
    most, stack = pages * resource.getpagesize() + 64 * 2**20, threading.stack_size(256 * 2**20)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
        with pytest.raises(RuntimeError) as raised:
            threading.Thread(target=int).start()
        text = _exhausted(raised.value)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        threading.stack_size(stack)
    assert "no further thread can be started; the limits are ulimit -u " in text
    assert f"ulimit -v {most // 1024}, and that of a container (pids)" in text
    assert _exhausted(OSError(errno.EAGAIN, "fork")) != ""
    assert _exhausted(OSError(errno.EMFILE, "open")).startswith("too many open files")
    assert _exhausted(OSError(errno.ENOENT, "open")) == _exhausted(RuntimeError("of the user")) == ""
