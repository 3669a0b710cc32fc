"""The console's server against clients that hold connections, send slowly or send much."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode, urlsplit

import pytest

pytest.importorskip("flask")

from scheduler.console import server as console_server
from scheduler.console.app import make_app
from scheduler.console.body_limits import MAX_STRANGERS_BYTES
from scheduler.console.live import MAX_STREAMS
from scheduler.console.pages import stream
from scheduler.console.server import ConsoleServer
from scheduler.console.tokens import TokenTable
from scheduler.engine import http_speed
from scheduler.project.settings import read_settings
from scheduler.store.database import Store
from tests.waiting import PATIENCE_S, eventually

#: More than the server keeps.
IDLE = 260


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The store of the console."""
    with Store(tmp_path / "store.db") as store:
        yield store


@pytest.fixture
def url(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a console."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ExitStack() as stack:
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


@pytest.fixture
def cookie(url: str, store: Store) -> str:
    """The cookie of a session."""
    secret = TokenTable(store).add("reader", "viewer", now=datetime.now(UTC))
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S)
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/login", urlencode({"token": secret}), headers)
    cookie = connection.getresponse().headers["Set-Cookie"].partition(";")[0]
    connection.close()
    return cookie


def _open_stream(url: str, cookie: str) -> socket.socket:
    """A page's stream, after its first event."""
    connection = _connect(url)
    connection.sendall(f"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
    begin = b""
    while b"connected" not in begin:
        more = connection.recv(4096)
        assert more, begin
        begin += more
    return connection


def test_pages_that_are_left_hold_no_stream(url: str, cookie: str, caplog: pytest.LogCaptureFixture) -> None:
    """One reader who goes from page to page on a store in which nothing happens; and nothing is logged of it."""
    caplog.set_level(logging.INFO)
    for _ in range(3 * MAX_STREAMS):
        _open_stream(url, cookie).close()
    assert "disconnected" not in caplog.text


def test_the_stream_of_a_page_that_is_left_ends(url: str, cookie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before its next heartbeat, also if no other page follows."""
    monkeypatch.setattr(stream, "_HEARTBEAT_S", 10 * PATIENCE_S)
    threads = [thread.name for thread in threading.enumerate()]
    assert "live" not in threads
    with _open_stream(url, cookie):
        assert "live" in [thread.name for thread in threading.enumerate()]
    eventually(lambda: "live" not in [thread.name for thread in threading.enumerate()])


def test_clients_that_leave_are_not_logged(url: str, cookie: str, caplog: pytest.LogCaptureFixture) -> None:
    """Though waitress would, for each page that is left; other records stay."""
    caplog.set_level(logging.INFO)
    assert _get(url) == 200, "it serves"
    _open_stream(url, cookie).close()
    logging.getLogger("waitress").info("Client disconnected while serving %s", "/live")
    logging.getLogger("waitress").info("something else")
    assert [record.getMessage() for record in caplog.records if record.name == "waitress"] == ["something else"]


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
        # What it has sent and nobody has read turns the close into a reset.
        with suppress(ConnectionResetError):
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
