"""The listening side of our HTTP server: accepts connections quickly, and drops some when there are too many.

Lives here: limits for all connections together, of their number and their bytes. Never here: a single connection
(http_connection.py). It imports waitress, and is therefore imported only when a server starts.
"""

from __future__ import annotations

import heapq
from typing import Any

from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer  # type: ignore[import-untyped]

from .http_connection import Connection
from .http_dispatcher import OWN_ADDRESS

# What waitress does not document and this file relies on; test_waitress.py fails when it changes.
#
# TcpWSGIServer   __init__          made here as `create_server` makes one for a socket that listens
#                 handle_accept     overridden; takes one connection if one waits
#                 active_channels   the connections by file descriptor, a closed one included until the next turn
#                 _map, channel_class    serve a connection, in the loop's thread
#                 trigger.pull_trigger   calls a function in the loop's thread
#                 adj.connection_limit   from so many descriptors on, waitress takes no more connections

#: The most connections accepted in one turn of the loop; waitress accepts one, though each turn polls all of them.
ACCEPTS_PER_TURN = 50
#: The most bytes that arriving and waiting requests hold together, much of it in temporary files.
MAX_HELD = 256 * 1024 * 1024
#: After how many received bytes the held ones are counted again.
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
        #: How many are dropped at once when there are too many; enough for the new ones of a turn.
        self._reserve = max(1, adjustments.connection_limit // 10)
        self._uncounted = 0

    def handle_accept(self) -> None:
        """Accept the waiting connections."""
        for _ in range(min(ACCEPTS_PER_TURN, self._reserve)):
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before:
                break
        if len(self.active_channels) + self._reserve >= self.adj.connection_limit:
            self._make_room()

    def serve_own(self, connection: Any) -> None:
        """Serve a connection on which the server checks itself; safe from any thread."""
        self.trigger.pull_trigger(
            lambda: self.channel_class(self, connection, (OWN_ADDRESS, 0), self.adj, map=self._map)
        )

    def _make_room(self) -> None:
        """Drop connections that wait for their client: incomplete requests first, and of these the oldest.

        A request that arrives at once is never among them, so that opening connections cannot keep ping out.
        """
        waiting = [channel for channel in self.active_channels.values() if channel.is_waiting]
        for channel in heapq.nsmallest(self._reserve, waiting, key=lambda channel: channel.worth):
            channel.drop()

    def count_received(self, size: int) -> None:
        """Count the bytes that a connection received; if requests hold too many, drop the oldest arriving ones."""
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
