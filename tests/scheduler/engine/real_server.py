"""A real HTTP server around a WSGI app, on a free port, that is stopped after its test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from scheduler.engine.body import LIMIT_BYTES
from scheduler.engine.http_server import Capacity, EngineServer
from tests.waiting import PATIENCE_S


@contextlib.contextmanager
def serving(app: Any, threads: int = 8) -> Iterator[str]:
    """The base URL of a server, which is closed with all its connections at the end."""
    server = EngineServer(
        app, host="127.0.0.1", port=0, capacity=Capacity(threads, getattr(app, "max_body_bytes", LIMIT_BYTES))
    )
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join(PATIENCE_S)
