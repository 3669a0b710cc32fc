"""A receiver of webhooks and pings on 127.0.0.1, which records what it gets and answers as the test says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Received(NamedTuple):
    """A request: its path with the query, its headers in lower case, its body."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Records requests; `behave` answers each, 200 by default."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[Received] = []
        self.behave: Callable[[BaseHTTPRequestHandler], None] = answer(200)
        self.is_closing = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(self.path, headers, body))
                with contextlib.suppress(OSError):
                    receiver.behave(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def close(self) -> None:
        self.is_closing.set()
        self._server.shutdown()
        self._server.server_close()

    # How to behave

    def hang(self, _: BaseHTTPRequestHandler) -> None:
        """Answer nothing."""
        self.is_closing.wait(30)

    def drip(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a byte now and then, for ever."""
        handler.wfile.write(b"HTTP/1.1 2")
        while not self.is_closing.wait(0.1):
            handler.wfile.write(b"0")

    def flood(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer with an error of any length."""
        handler.wfile.write(b"HTTP/1.1 500 no\r\n\r\n")
        while not self.is_closing.is_set():
            handler.wfile.write(b"x" * 65_536)

    @staticmethod
    def cut(handler: BaseHTTPRequestHandler) -> None:
        """Close the connection."""
        handler.connection.shutdown(socket.SHUT_RDWR)


def answer(status: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with a status."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behave


@contextlib.contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver for the length of a block, at any free port or at this one."""
    receiver = Receiver(port)
    try:
        yield receiver
    finally:
        receiver.close()


def took_s(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began
