"""Makes processes that a function forks close the sockets of our server, and end instead of continuing its code.

`multiprocessing` and `os.fork` copy every descriptor. With the listening socket, a child that outlives the server would
keep its port, and clients would wait in a queue that no process reads; with a connection, its client would wait for the
end. Programs that are started by exec get no socket, because none is inheritable.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")

#: The waitress servers of this process; `_map` of each has the objects that its loop polls, by file descriptor.
_servers: weakref.WeakSet[Any] = weakref.WeakSet()


def close_in_children(server: Any) -> None:
    """Make every process that is forked from now on close a server's listener and connections."""
    _servers.add(server)


def within_process(work: Callable[[], Result]) -> Result:
    """The result of `work`; a child process that `work` forked ends here.

    Otherwise it would answer its parent's request a second time, or wait for ever for another one.
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
            # A thread of the child that is about to answer checks this before it waits for a lock.
            polled.connected = False
            with contextlib.suppress(OSError):
                polled.socket.close()
    _servers.clear()


os.register_at_fork(after_in_child=_close_sockets)
