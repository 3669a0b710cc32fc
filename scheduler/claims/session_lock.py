"""SessionLock: a daemon's session on PostgreSQL, which holds a lock while the daemon lives, and gets notifications.

When the daemon's process ends, the server ends the session and releases its advisory lock, so that the daemons on all
machines notice. SQLite needs no such lock: its daemons share a machine and check each other's processes.
"""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ..store.daemon_locks import holders_of_locks
from ..store.database import Store
from ..store.subscription import Subscription
from ..store.wake_socket import CHANNEL


class SessionLock:
    """The session of one daemon of a store; without a server, every method does nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session = Subscription(store, CHANNEL)
        #: The daemon whose lock this session holds or last requested.
        self._daemon_id: int | None = None
        self._holds = False

    def hold_lock(self, daemon_id: int) -> bool:
        """Hold the lock of a daemon; returns True if the session that held it before was lost.

        Raises StoreUnavailableError while the server is out of reach.
        """
        if not self._store.has_server or (self._holds and self._session.is_open and self._daemon_id == daemon_id):
            return False
        was_lost = not self._session.is_open and self._daemon_id == daemon_id
        try:
            self._holds = _try_lock(self._session.connect(), daemon_id)
        except DBAPIError as error:
            self.close()
            self._store.raise_translated(error)
        self._daemon_id = daemon_id
        return was_lost

    def without_lock(self, connection: Connection, daemon_ids: set[int]) -> set[int]:
        """The daemons among `daemon_ids` that hold no lock now; empty without a server."""
        if not daemon_ids or not self._store.has_server:
            return set()
        return daemon_ids - holders_of_locks(connection)

    def filenos(self) -> list[int]:
        """The descriptors that become readable when there is a notification, or when the session is lost."""
        return self._session.filenos()

    def was_notified(self) -> bool:
        """Whether a timer may have changed since the last call; True after a loss of the session."""
        return self._session.receive() != []

    def close(self) -> None:
        """End the session, which releases the lock."""
        self._holds = False
        self._session.close()


def _try_lock(connection: Connection, daemon_id: int) -> bool:
    """Try to take the lock; False while the server still has an older session of this daemon."""
    connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
    return bool(connection.execute(_TRY_LOCK, {"id": daemon_id}).scalar())


_TRY_LOCK = text("SELECT pg_try_advisory_lock(:id)")
