"""The listening side of our HTTP server: it takes connections quickly, and drops the worst when there are too many.

Lives here: what concerns all connections together, their number and the bytes that they hold. Never here: one
connection, see http_connection.py. It imports waitress, and is therefore imported only when a server starts.
"""

from __future__ import annotations

import heapq
from typing import Any

from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer  # type: ignore[import-untyped]

from .http_connection import Connection

# What waitress does not document and this file relies on; test_waitress.py fails when it changes.
#
# TcpWSGIServer   __init__          made here as `create_server` makes one for a socket that listens
#                 handle_accept     overridden; takes one connection if one waits
#                 active_channels   the connections by file descriptor, a closed one included until the next turn
#                 adj.connection_limit   from so many descriptors on, waitress takes no more connections

#: So many connections are taken in one turn of the loop; waitress takes one, while each turn looks at all of them.
ACCEPTS_PER_TURN = 50
#: What requests that are arriving and those that wait for a thread may hold together, much of it in temporary files.
MAX_HELD = 256 * 1024 * 1024
#: After so many bytes were received, what is held is counted anew.
_COUNT_EVERY = 4 * 1024 * 1024


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """A server of waitress on a listening socket."""

    channel_class = Connection

    def __init__(
        self, app: Any, listener: Any, adjustments: Adjustments, *, of_loop: dict[int, Any], threads: Any
    ) -> None:
        address = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(
            app,
            of_loop,
            True,
            listener,
            dispatcher=threads,
            adj=adjustments,
            bind_socket=False,
            sockinfo=address,
        )
        #: Dropped at once when connections are short; those of one turn of the loop fit in.
        self._reserve = max(1, adjustments.connection_limit // 10)
        self._uncounted = 0

    def handle_accept(self) -> None:
        """Take the connections that wait."""
        for _ in range(min(ACCEPTS_PER_TURN, self._reserve)):
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before:
                break
        if len(self.active_channels) + self._reserve >= self.adj.connection_limit:
            self._make_room()

    def _make_room(self) -> None:
        """Drop connections that wait for their client: half requests first, and of these the oldest.

        A request that comes whole is never among them, so that others cannot keep ping out by opening connections.
        """
        waiting = [channel for channel in self.active_channels.values() if channel.is_waiting]
        for channel in heapq.nsmallest(self._reserve, waiting, key=lambda channel: channel.worth):
            channel.drop()

    def count_received(self, size: int) -> None:
        """Note that a connection has received bytes; where requests hold too many, drop the oldest that arrive."""
        self._uncounted += size
        if self._uncounted < _COUNT_EVERY:
            return
        self._uncounted = 0
        held = {channel: channel.held for channel in self.active_channels.values()}
        excess = sum(held.values()) - MAX_HELD
        if excess <= 0:
            return
        arriving = [channel for channel in held if held[channel] and channel.is_waiting]
        for channel in sorted(arriving, key=lambda channel: channel.worth):
            channel.drop()
            excess -= held[channel]
            if excess <= 0:
                return
