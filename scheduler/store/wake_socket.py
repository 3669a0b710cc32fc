"""WakeSocket: wakes daemons when a timer changes, by a datagram on this machine; PostgreSQL has NOTIFY instead.

Every daemon on a SQLite store listens on a UDP port, which its row contains; a program that changes a timer sends a
datagram to each. On PostgreSQL, daemons listen on a channel. `Store.writing_and_notifying` chooses. A lost datagram
costs at most a second, and no fire time.
"""

from __future__ import annotations

import contextlib
import socket

LOOPBACK = "127.0.0.1"
#: PostgreSQL's channel of all daemons of a store.
CHANNEL = "scheduler"


class WakeSocket:
    """The socket that a daemon sleeps on; wake-ups coalesce."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((LOOPBACK, 0))
        self.port: int = self._socket.getsockname()[1]

    def fileno(self) -> int:
        """The file descriptor that becomes readable when the daemon is to wake."""
        return self._socket.fileno()

    def wake(self) -> None:
        """Wake the daemon, if it has not ended; safe from any thread and from a signal handler."""
        # Through the socket itself, which needs no further descriptor: the program may have none left.
        with contextlib.suppress(OSError):
            self._socket.sendto(b"!", (LOOPBACK, self.port))

    def was_woken(self) -> bool:
        """Whether a datagram has arrived since the last call."""
        was_woken = False
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(16):
                was_woken = True
        return was_woken

    def close(self) -> None:
        self._socket.close()


def wake(port: int) -> None:
    """Wake the daemon at a port of this machine; it is no error if none listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.sendto(b"!", (LOOPBACK, port))
