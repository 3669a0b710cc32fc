"""A session of one's own on PostgreSQL that listens on a channel, for threads that sleep on it.

Lives here: keeping such a session, and what it hears. Never here: what the news means.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from .database import Store


class Subscription:
    """A session that hears what is notified on `channel`; opened when first used, and again after a loss.

    Not for SQLite, which has no such thing.
    """

    def __init__(self, store: Store, channel: str) -> None:
        self._store = store
        self._channel = channel
        self._connection: Connection | None = None
        #: The same, as the driver knows it: SQLAlchemy shows it no more once it is broken.
        self._driver: Any = None

    @property
    def is_open(self) -> bool:
        """Whether there is a session, as far as is known."""
        return self._connection is not None

    def connected(self) -> Connection:
        """The session, opened where there is none; it listens already. StoreUnavailableError, or the driver's error."""
        if self._connection is None:
            self._connection = self._store.own_connection()
            self._driver = self._connection.connection.dbapi_connection
            self._connection.exec_driver_sql(f"LISTEN {self._channel}")
        return self._connection

    def filenos(self) -> list[int]:
        """What turns readable when there is news, or when the session is lost."""
        return [] if self._connection is None else [self._driver.pgconn.socket]

    def heard(self) -> list[str] | None:
        """What was notified since this was last asked; None after a loss of the session: then nobody knows."""
        if self._connection is None:
            return []
        libpq = self._driver.pgconn
        try:
            libpq.consume_input()
            news = []
            while (notice := libpq.notifies()) is not None:
                news.append(notice.extra.decode())
        except self._store.driver_error:
            self.close()
            return None
        return news

    def close(self) -> None:
        """End the session."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._driver.close()
            connection.invalidate()
            connection.close()
