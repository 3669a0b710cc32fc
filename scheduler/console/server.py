"""Serves the console with waitress, with limits for the connections, and for the size and the duration of requests."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from flask import Flask

from ..engine.credentials import of_headers
from .body_limits import MAX_IMPORT_BYTES, MAX_STRANGERS_BYTES
from .current import EXTENSION, Console
from .live import MAX_STREAMS

#: A stream keeps its thread.
_THREADS = 8 + MAX_STREAMS
_MAX_HEADER_BYTES = 32 * 1024
#: When there are nearly as many, those are closed that have not sent a request, the oldest first.
_MAX_CONNECTIONS = 200
_CHANNEL_TIMEOUT_S, _CLEANUP_INTERVAL_S = 30, 10
#: The longest that the loop waits before it checks whether it is to end.
_LOOK_EVERY_S = 1.0


class ConsoleServer:
    """A server on a listening socket, for one thread."""

    def __init__(self, app: Flask, listener: socket.socket) -> None:
        self._app = _Site(app)
        self._console: Console = app.extensions[EXTENSION]
        self._map: dict[int, Any] = {}
        self._is_stopped = False
        self._server = self._listen(listener)

    def _listen(self, listener: socket.socket) -> Any:
        # waitress is slow to import, and few programs need it.
        adjustments = import_module("waitress.adjustments").Adjustments(
            sockets=[listener],
            ident=None,
            connection_limit=_MAX_CONNECTIONS,
            channel_timeout=_CHANNEL_TIMEOUT_S,
            cleanup_interval=_CLEANUP_INTERVAL_S,
            max_request_header_size=_MAX_HEADER_BYTES,
            # The applications refuse shorter bodies, each its own.
            max_request_body_size=MAX_IMPORT_BYTES + 1,
            # proxies.py removes them, unless a trusted proxy has sent them.
            clear_untrusted_proxy_headers=False,
        )
        threads = import_module("waitress.task").ThreadedTaskDispatcher()
        threads.set_thread_count(_THREADS)
        listening = import_module("scheduler.engine.http_listener").Listener
        return listening(self._app, listener, adjustments, of_loop=self._map, threads=threads)

    def serve(self, *, idle_s: float | None = None) -> None:
        """Answer requests until `stop`, or until none has arrived for `idle_s` seconds."""
        loop = import_module("waitress.wasyncore")
        logging.getLogger("waitress").addFilter(_is_worth_logging)
        try:
            while not self._is_stopped and (idle_s is None or self._has_visitors(idle_s)):
                loop.loop(timeout=_LOOK_EVERY_S, use_poll=True, map=self._map, count=1)
        finally:
            self._console.close()
            self._server.task_dispatcher.shutdown()
            loop.close_all(self._map, ignore_all=True)

    def _has_visitors(self, idle_s: float) -> bool:
        return self._console.live.streams > 0 or time.monotonic() - self._app.asked_at < idle_s

    def stop(self) -> None:
        """Make `serve` return, at the latest after a second; may be called from any thread, and from a signal."""
        self._is_stopped = True


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Leave out records of clients that leave before the end of an answer, as every page leaves its stream."""
    return not record.getMessage().startswith("Client disconnected while serving ")


class _Site:
    """The application, and what the server asks of it while a request arrives."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        console: Console = app.extensions[EXTENSION]
        header = console.settings.console_user_header
        self._identifying = ["HTTP_COOKIE", "HTTP_AUTHORIZATION"]
        self._identifying += [] if header is None else [f"HTTP_{header.upper().replace('-', '_')}"]
        self.asked_at = time.monotonic()

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        self.asked_at = time.monotonic()
        return self._app(environ, start_response)

    def body_limit(self, environ: dict[str, str]) -> int | None:
        """The most bytes of a request's body; few without credentials, so that strangers cannot fill memory."""
        is_anonymous = of_headers(environ).are_absent and not any(environ.get(name) for name in self._identifying)
        return MAX_STRANGERS_BYTES if is_anonymous else None
