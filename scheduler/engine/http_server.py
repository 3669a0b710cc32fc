"""An HTTP server around a WSGI app, for programs without one: waitress with limits, and a way to stop it.

Lives here: the limits of our servers, starting and stopping one. Never here: the application. Any other WSGI server can
be used instead.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from .body import LIMIT_BYTES
from .forks import close_in_children

# What waitress does not document and this file relies on; test_waitress.py fails when it changes.
#
# Adjustments            the options of `create_server`; checks them
# TcpWSGIServer          see http_listener.py; effective_host, effective_port, task_dispatcher, pull_trigger
# wasyncore              loop, with `count`; close_all, with `ignore_all`

#: Threads beyond those that wait for functions, so that the site answers while every function thread is busy.
SPARE_THREADS = 4
#: The longest that the loop waits before it checks whether it was stopped; `stop` also wakes it.
_WAKE_S = 1.0
#: Clients may hold many idle connections; ping must still get one.
MAX_CONNECTIONS = 2_000
CHANNEL_TIMEOUT_S, CLEANUP_INTERVAL_S = 30, 10
MAX_HEADER_BYTES = 64 * 1024


class Capacity(NamedTuple):
    """The most requests that are answered at a time, and the most bytes of a body."""

    threads: int
    max_body_bytes: int = LIMIT_BYTES

    @classmethod
    def of(cls, engine: Any) -> Capacity:
        """The concurrency and the body limit of an engine, with spare threads."""
        threads = int(getattr(engine, "max_concurrency", 64)) + SPARE_THREADS
        return cls(threads, int(getattr(engine, "max_body_bytes", LIMIT_BYTES)))


def bounded_server(
    app: Callable[..., Any], listener: socket.socket, capacity: Capacity, *, of_loop: dict[int, Any]
) -> Any:
    """A server of waitress on a listening socket; `of_loop` is the map of file descriptors that its loop polls."""
    # waitress is slow to import, and few programs need it.
    adjustments = import_module("waitress.adjustments").Adjustments(
        sockets=[listener],
        connection_limit=_connection_limit(),
        channel_timeout=CHANNEL_TIMEOUT_S,
        cleanup_interval=CLEANUP_INTERVAL_S,
        max_request_header_size=MAX_HEADER_BYTES,
        max_request_body_size=capacity.max_body_bytes + 1,  # waitress also refuses a body of exactly this size
        ident=None,
        clear_untrusted_proxy_headers=False,
    )
    threads = import_module("scheduler.engine.http_dispatcher").Dispatcher(capacity.threads)
    server = import_module("scheduler.engine.http_listener").Listener(
        app, listener, adjustments, of_loop=of_loop, threads=threads
    )
    listener.set_inheritable(
        False
    )  # one from a parent process is inheritable, and a program started by a function would keep it
    close_in_children(server)
    return server


def _connection_limit() -> int:
    """At most half of the files that the process may open, because request bodies and stores need some too."""
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if files == resource.RLIM_INFINITY else max(1, min(MAX_CONNECTIONS, files // 2))


class EngineServer:
    """A server that listens once it is made; `port=0` takes a free one, see `url`; OSError if the port is in use."""

    def __init__(self, app: Any, *, host: str, port: int, capacity: Capacity) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address, family=family)
        self._map: dict[int, Any] = {}
        self._server: Any = bounded_server(app, listener, capacity, of_loop=self._map)
        self._stopped = threading.Event()
        #: Held while the loop is woken, so that `serve` does not close the pipe that wakes it meanwhile.
        self._closing = threading.RLock()

    @property
    def url(self) -> str:
        """The base URL, as in `http://127.0.0.1:3000`."""
        host, port = self._server.effective_host, self._server.effective_port
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def serve(self) -> None:
        """Answer requests until `stop`, or Ctrl-C; then close every connection."""
        wasyncore = import_module("waitress.wasyncore")
        try:
            while not self._stopped.is_set():
                wasyncore.loop(timeout=_WAKE_S, use_poll=True, map=self._map, count=1)
        except KeyboardInterrupt:
            pass
        finally:
            with self._closing:
                self._stopped.set()
            self._server.task_dispatcher.shutdown()
            wasyncore.close_all(self._map, ignore_all=True)

    def stop(self) -> None:
        """Make `serve` return; may be called from any thread."""
        with self._closing:
            if not self._stopped.is_set():
                self._stopped.set()
                self._server.pull_trigger()
