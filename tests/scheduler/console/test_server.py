"""The console's server against clients that hold connections, send slowly or send much."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

pytest.importorskip("flask")

from scheduler.console import server as console_server
from scheduler.console.app import make_app
from scheduler.console.body_limits import MAX_STRANGERS_BYTES
from scheduler.console.server import ConsoleServer
from scheduler.engine import http_speed
from scheduler.project.settings import read_settings
from scheduler.store.database import Store
from tests.waiting import PATIENCE_S, eventually

#: More than the server keeps.
IDLE = 260


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a console."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ExitStack() as stack:
        store = stack.enter_context(Store(tmp_path / "store.db"))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
        server = ConsoleServer(make_app(store, read_settings(tmp_path, {}, {})), listener)
        thread = Thread(target=server.serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.stop()
        thread.join(PATIENCE_S)


def _connect(url: str) -> socket.socket:
    address = urlsplit(url)
    assert address.hostname is not None
    return socket.create_connection((address.hostname, address.port or 0), PATIENCE_S)


def _get(url: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S)
    connection.request("GET", "/login")
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("begin", [b"", b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"], ids=["idle", "begun"])
def test_connections_that_send_nothing_keep_nobody_out(url: str, begin: bytes) -> None:
    """However many are held open: the oldest are closed, and the next visitor is answered before any time-out."""
    with ExitStack() as stack:
        held = [stack.enter_context(_connect(url)) for _ in range(IDLE)]
        for connection in held:
            connection.sendall(begin)
        began = time.monotonic()
        assert _get(url) == 200
        assert time.monotonic() - began < console_server._CHANNEL_TIMEOUT_S / 2
        held[0].settimeout(PATIENCE_S)
        assert held[0].recv(1) == b""


def test_a_request_that_does_not_end_is_closed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not prolong the time for its headers."""
    monkeypatch.setattr(http_speed, "HEAD_S", 0.5)
    with _connect(url) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        connection.settimeout(0.05)

        def is_closed() -> bool:
            try:
                connection.sendall(b"X-A: b\r\n")
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        eventually(is_closed)


def test_a_stranger_sends_no_large_body(url: str) -> None:
    """Refused by its headers, before the body arrives; with a cookie, the pages themselves decide."""
    for cookie, status in (("", b"413"), ("Cookie: a=b\r\n", b"403")):
        with _connect(url) as connection:
            size = MAX_STRANGERS_BYTES + 1
            head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n{cookie}Content-Length: {size}\r\n\r\n"
            connection.sendall(head.encode() + (b"x" * size if cookie else b""))
            assert connection.recv(100).split()[1] == status
