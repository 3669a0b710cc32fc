"""A dedicated session on PostgreSQL that listens on a channel, for threads that sleep on it.

Here: keeping such a session, and receiving its notifications. Never here: what a notification means.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from .database import Store


class Subscription:
    """A session that receives what is notified on `channel`; opened when first used, and again after a loss.

    Only for a store that has a server.
    """

    def __init__(self, store: Store, channel: str) -> None:
        self._store = store
        self._channel = channel
        self._connection: Connection | None = None
        #: The driver's connection of the same session: SQLAlchemy does not give it any more once the session is lost.
        self._driver: Any = None

    @property
    def is_open(self) -> bool:
        """Whether there is a session, as far as is known."""
        return self._connection is not None

    def connect(self) -> Connection:
        """The session, listening; it is opened if need be. StoreUnavailableError, or the driver's error."""
        if self._connection is None:
            self._connection = self._store.own_connection()
            self._driver = self._connection.connection.dbapi_connection
            self._connection.exec_driver_sql(f"LISTEN {self._channel}")
        return self._connection

    def filenos(self) -> list[int]:
        """The descriptor that turns readable when there is a notification, or when the session is lost."""
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
