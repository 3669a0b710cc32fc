"""Mailbox: other threads post items; its owner waits for them with select or poll, and takes all at once."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Posting is safe from any thread; `fileno` is readable while there are items."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._lock = threading.Lock()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def post(self, item: Item) -> None:
        with self._lock:
            self._items.append(item)
            if len(self._items) == 1:
                # An item posted after `close` is dropped.
                with contextlib.suppress(OSError):
                    self._writer.send(b"!")

    def take(self) -> list[Item]:
        """All items since the last call, oldest first."""
        with self._lock:
            items, self._items = self._items, []
            if items:
                with contextlib.suppress(OSError):
                    self._reader.recv(16)
        return items

    def __len__(self) -> int:
        return len(self._items)

    def fileno(self) -> int:
        return self._reader.fileno()

    def close(self) -> None:
        with self._lock:
            self._reader.close()
            self._writer.close()
