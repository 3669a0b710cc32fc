"""Subscription: a session on PostgreSQL that listens on a channel, and whose descriptor threads can sleep on.

Lives here: opening the session, and receiving notifications. Never here: the meaning of a notification.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from .database import Store


class Subscription:
    """A session that receives the notifications on `channel`; opened on first use, and again after a loss.

    Only for a store that has a server.
    """

    def __init__(self, store: Store, channel: str) -> None:
        self._store = store
        self._channel = channel
        self._connection: Connection | None = None
        #: The driver's connection of the session, because SQLAlchemy no longer returns it once the session is lost.
        self._driver: Any = None

    @property
    def is_open(self) -> bool:
        """Whether the session is open, as far as is known."""
        return self._connection is not None

    def connect(self) -> Connection:
        """Open the session if needed, listen, and return it; raises StoreUnavailableError or the driver's error."""
        if self._connection is None:
            self._connection = self._store.own_connection()
            self._driver = self._connection.connection.dbapi_connection
            self._connection.exec_driver_sql(f"LISTEN {self._channel}")
        return self._connection

    def filenos(self) -> list[int]:
        """The descriptor that becomes readable when there is a notification, or when the session is lost."""
        return [] if self._connection is None else [self._driver.pgconn.socket]

    def receive(self) -> list[str] | None:
        """The notifications since the last call; None after a loss of the session, when some may have been missed."""
        if self._connection is None:
            return []
        libpq = self._driver.pgconn
        try:
            libpq.consume_input()
            payloads = []
            while (notification := libpq.notifies()) is not None:
                payloads.append(notification.extra.decode())
        except self._store.driver_error:
            self.close()
            return None
        return payloads

    def close(self) -> None:
        """End the session."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._driver.close()
            connection.invalidate()
            connection.close()
