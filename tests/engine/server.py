"""A real HTTP server around a WSGI app, on a port of its own, that ends with its test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from waitress import wasyncore
from waitress.server import create_server


@contextlib.contextmanager
def serving(app: Any, threads: int = 8) -> Iterator[str]:
    """The base URL of a server, which is closed with all its connections at the end."""
    server: Any = create_server(app, host="127.0.0.1", port=0, threads=threads, clear_untrusted_proxy_headers=False)
    stop = threading.Event()
    thread = threading.Thread(target=_serve, args=(server, stop), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        stop.set()
        server.pull_trigger()
        thread.join(5)


def _serve(server: Any, stop: threading.Event) -> None:
    while not stop.is_set():
        wasyncore.loop(timeout=1.0, map=server._map, count=1)
    server.task_dispatcher.shutdown()
    wasyncore.close_all(server._map, ignore_all=True)
