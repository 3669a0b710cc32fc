"""Waking daemons when a timer changes: by a datagram on this machine, or by PostgreSQL's NOTIFY on all of them.

Every daemon on a SQLite store listens on a port that it writes into the store; whoever changes a timer rings them all.
On PostgreSQL they listen on a channel (presence.py). Losing a ring costs a second, no fire.
"""

from __future__ import annotations

import contextlib
import socket

LOOPBACK = "127.0.0.1"
#: What PostgreSQL carries the news on.
CHANNEL = "scheduler"


class Bell:
    """What a daemon sleeps on; ringing it twice wakes it once."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((LOOPBACK, 0))

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    def fileno(self) -> int:
        """The file descriptor that turns readable when the bell is rung."""
        return self._socket.fileno()

    def ring(self) -> None:
        """Wake the sleeper; safe from any thread and from a signal handler."""
        ring(self.port)

    def was_rung(self) -> bool:
        """Whether it was rung since it was last asked."""
        rung = False
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(16):
                rung = True
        return rung

    def close(self) -> None:
        self._socket.close()


def ring(port: int) -> None:
    """Ring the bell at a port of this machine; nobody there is no error."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.sendto(b"!", (LOOPBACK, port))
