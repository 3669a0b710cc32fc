"""What a process that a function forks must not keep: the sockets of our server, and a life of its own in our code.

`multiprocessing` and `os.fork` copy every descriptor. With the listening socket, a child that outlives the server keeps
its port, and clients wait in a queue that nobody reads; with a connection, its client waits for an end. Never here:
programs that are started by exec; they get no socket, because none is inheritable.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")

#: The servers of this process, of waitress; `_map` of each has what its loop polls, by file descriptor.
_servers: weakref.WeakSet[Any] = weakref.WeakSet()


def close_in_children(server: Any) -> None:
    """Have every process that is forked from now on close the listener of a server and its connections."""
    _servers.add(server)


def within_process(work: Callable[[], Result]) -> Result:
    """The result of `work`; a child that `work` forked ends here instead of going on with the server's work.

    It would answer its parent's request a second time, or wait for ever for another one.
    """
    parent = os.getpid()
    status = 1
    try:
        result = work()
        status = 0
        return result
    finally:
        if os.getpid() != parent:
            os._exit(status)


def _close_sockets() -> None:
    for server in list(_servers):
        for polled in list(server._map.values()):
            # A thread of the child that is about to answer sees this before it waits for a lock.
            polled.connected = False
            with contextlib.suppress(OSError):
                polled.socket.close()
    _servers.clear()


os.register_at_fork(after_in_child=_close_sockets)
