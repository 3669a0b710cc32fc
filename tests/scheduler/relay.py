"""Relay: passes bytes between clients and a server, and stands still at a moment that a test names.

A client then finds what it finds at a server that is stopped or whose packets are lost: its connections stay open, new
ones open too, and nothing is answered.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time

from tests.waiting import PATIENCE_S


class Relay:
    """Listens on a free port of the loopback interface; `server` is a port there, or the path of a Unix socket."""

    def __init__(self, server: int | str) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        #: Stands still as soon as a client sends this; None never does.
        self._moment: bytes | None = None
        self.stands = threading.Event()
        self._is_over = False
        self._others: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._pass_on, name="relay", daemon=True)
        self._thread.start()

    def stand_still(self) -> None:
        """Pass nothing on from now on."""
        self.stands.set()

    def stand_still_at(self, moment: bytes) -> None:
        """Pass nothing on as soon as a client sends bytes with `moment` in them; those are not passed on either."""
        self._moment = moment

    def go_on(self) -> None:
        """Pass on what has come meanwhile."""
        self._moment = None
        self.stands.clear()

    def cut(self) -> None:
        """Close every connection."""
        for one in list(self._others):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._is_over = True
        self._thread.join(PATIENCE_S)
        for one in (*self._others, self._listener):
            one.close()
        self._selector.close()

    def _pass_on(self) -> None:
        while not self._is_over:
            if self.stands.is_set():
                time.sleep(0.02)
                continue
            for key, _ in self._selector.select(0.02):
                if self.stands.is_set():
                    break
                source = key.fileobj
                assert isinstance(source, socket.socket)
                if source is self._listener:
                    self._accept()
                elif source in self._others:
                    self._pass_on_from(source)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            if isinstance(self._server, int):
                server = socket.create_connection(("127.0.0.1", self._server))
            else:
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
        except OSError:
            client.close()
            return
        self._others |= {client: server, server: client}
        for one in (client, server):
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on_from(self, source: socket.socket) -> None:
        other = self._others[source]
        try:
            data = source.recv(65_536, socket.MSG_PEEK)
            if self._moment is not None and self._moment in data:
                self.stands.set()
                return
            if data:
                other.sendall(source.recv(len(data)))
                return
        except OSError:
            pass
        for one in (source, other):
            self._selector.unregister(one)
            self._others.pop(one, None)
            one.close()
