"""UpServer: what it still answers after an order to stop."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from scheduler.up.http_server import Site, UpServer
from tests.waiting import PATIENCE_S, eventually


class Orders:
    """Orders to stop, as a test gives them."""

    is_retiring = False

    def __init__(self) -> None:
        self.received: list[int] = []
        self._wake: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def passed_to(self, wake: Callable[[], None]) -> Iterator[None]:
        self._wake = wake
        yield

    def stop(self) -> None:
        self.received.append(15)
        self._wake()


class Background:
    """Ends when `stop` is called."""

    def __init__(self) -> None:
        self.is_stopping = threading.Event()

    def run(self) -> None:
        self.is_stopping.wait(PATIENCE_S)

    def stop(self) -> None:
        self.is_stopping.set()

    def log_stopping(self, *, is_retiring: bool) -> None:
        pass

    def log_stopping_at_once(self) -> None:
        pass


def page(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def test_a_request_that_has_begun_to_arrive_is_answered() -> None:
    """Closing its connection would reset it, as a client saw when the sources were loaded again."""
    orders, background = Orders(), Background()
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        address = listener.getsockname()
        server = UpServer(orders, Site(listener.dup(), page))
        stack.enter_context(server.stops_recorded())
        serving = threading.Thread(target=server.serve, args=(background,))
        serving.start()
        with socket.create_connection(address, timeout=PATIENCE_S) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            channels = server._server.active_channels
            eventually(lambda: any(channel.request is not None for channel in list(channels.values())))
            orders.stop()
            eventually(background.is_stopping.is_set)
            client.sendall(b"\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        serving.join(PATIENCE_S)
        assert not serving.is_alive()
