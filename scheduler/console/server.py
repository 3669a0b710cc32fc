"""Serves the console with waitress, with limits for the size and the duration of requests."""

from __future__ import annotations

import signal
import socket
from importlib import import_module
from typing import Any

from flask import Flask

from .app import MAX_BODY_BYTES

_THREADS = 8
_MAX_HEADER_BYTES = 32 * 1024
_MAX_CONNECTIONS = 200
_CHANNEL_TIMEOUT_S = 30


def serve(app: Flask, listener: socket.socket) -> None:
    """Answer browsers until SIGTERM, SIGINT or SystemExit."""
    server: Any = import_module("waitress.server").create_server(
        app,
        sockets=[listener],
        threads=_THREADS,
        ident=None,
        connection_limit=_MAX_CONNECTIONS,
        channel_timeout=_CHANNEL_TIMEOUT_S,
        max_request_header_size=_MAX_HEADER_BYTES,
        max_request_body_size=MAX_BODY_BYTES + 1,
        clear_untrusted_proxy_headers=True,
    )
    # As process 1, a program gets no signal without a handler.
    signal.signal(signal.SIGTERM, _end)
    try:
        server.run()
    finally:
        server.close()


def _end(*_: object) -> None:
    raise SystemExit(0)
