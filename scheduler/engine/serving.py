"""An HTTP server around a WSGI app, for programs that bring none: waitress, made to stop when it is told.

Lives here: starting and stopping. Never here: what is served. Any other WSGI server does as well.
"""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any

# Beyond the threads that wait for functions, so that ping and the site are answered while every worker is taken.
SPARE_THREADS = 4
_WAKE_S = 1.0
#: Idle connections must not keep ping out: clients may hold many, and some never say a word.
CONNECTION_LIMIT = 2_000
CHANNEL_TIMEOUT_S = 30


class Server:
    """Listens as soon as it is made; `port=0` takes a free one, which `url` then names; OSError for a port in use."""

    def __init__(self, app: Any, *, host: str, port: int, threads: int) -> None:
        create_server = import_module("waitress.server").create_server  # slow to import, and few programs need it
        self._server: Any = create_server(
            app,
            host=host,
            port=port,
            threads=threads,
            connection_limit=CONNECTION_LIMIT,
            channel_timeout=CHANNEL_TIMEOUT_S,
            clear_untrusted_proxy_headers=False,
        )
        self._stopped = threading.Event()
        #: Whoever wakes the loop holds it, so that the pipe to write to is still the loop's own.
        self._closing = threading.RLock()

    @property
    def url(self) -> str:
        """The base URL, as in `http://127.0.0.1:3000`."""
        return f"http://{self._server.effective_host}:{self._server.effective_port}"

    def serve(self) -> None:
        """Answer requests until `stop`, or Ctrl-C; then close every connection."""
        wasyncore = import_module("waitress.wasyncore")
        try:
            while not self._stopped.is_set():
                wasyncore.loop(timeout=_WAKE_S, use_poll=True, map=self._server._map, count=1)
        except KeyboardInterrupt:
            pass
        finally:
            with self._closing:
                self._stopped.set()
            self._server.task_dispatcher.shutdown()
            wasyncore.close_all(self._server._map, ignore_all=True)

    def stop(self) -> None:
        """Let `serve` return, from whatever thread."""
        with self._closing:
            if not self._stopped.is_set():
                self._stopped.set()
                self._server.pull_trigger()
