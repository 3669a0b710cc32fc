"""An HTTP server around a WSGI app, for programs that bring none: waitress within our bounds, made to stop when told.

Lives here: what every server of ours is bounded by, starting and stopping one. Never here: what is served. Any other
WSGI server does as well.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from .body import LIMIT_BYTES

# Beyond the threads that wait for functions, so that the site is answered while every worker is taken.
SPARE_THREADS = 4
_WAKE_S = 1.0
#: Idle connections must not keep ping out: clients may hold many, and some never say a word.
MAX_CONNECTIONS = 2_000
CHANNEL_TIMEOUT_S, CLEANUP_INTERVAL_S = 30, 10
MAX_HEADER_BYTES = 64 * 1024


class Capacity(NamedTuple):
    """How many requests are answered at a time, and how large the body of one may be."""

    threads: int
    max_body_bytes: int = LIMIT_BYTES

    @classmethod
    def of(cls, engine: Any) -> Capacity:
        """As much as an engine takes, and threads to spare."""
        threads = int(getattr(engine, "max_concurrency", 64)) + SPARE_THREADS
        return cls(threads, int(getattr(engine, "max_body_bytes", LIMIT_BYTES)))


def bounded_server(
    app: Callable[..., Any], listener: socket.socket, capacity: Capacity, *, of_loop: dict[int, Any]
) -> Any:
    """A server of waitress on a socket; `of_loop` is the map of what its loop looks after."""
    create_server = import_module("waitress.server").create_server  # slow to import, and few programs need it
    server = create_server(
        app,
        map=of_loop,
        sockets=[listener],
        _dispatcher=import_module("scheduler.engine.http_dispatcher").Dispatcher(capacity.threads),
        connection_limit=_connection_limit(),
        channel_timeout=CHANNEL_TIMEOUT_S,
        cleanup_interval=CLEANUP_INTERVAL_S,
        max_request_header_size=MAX_HEADER_BYTES,
        max_request_body_size=capacity.max_body_bytes + 1,  # waitress refuses what reaches its limit
        ident=None,
        clear_untrusted_proxy_headers=False,
    )
    server.channel_class = import_module("scheduler.engine.http_connection").Connection
    return server


def _connection_limit() -> int:
    """Half of the files that the process may open: bodies and stores need some, too."""
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if files == resource.RLIM_INFINITY else max(1, min(MAX_CONNECTIONS, files // 2))


class EngineServer:
    """Listens as soon as it is made; `port=0` takes a free one, which `url` then names; OSError for a port in use."""

    def __init__(self, app: Any, *, host: str, port: int, capacity: Capacity) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address, family=family)
        self._map: dict[int, Any] = {}
        self._server: Any = bounded_server(app, listener, capacity, of_loop=self._map)
        self._stopped = threading.Event()
        #: Whoever wakes the loop holds it, so that the pipe to write to is still the loop's own.
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
        """Let `serve` return, from whatever thread."""
        with self._closing:
            if not self._stopped.is_set():
                self._stopped.set()
                self._server.pull_trigger()
