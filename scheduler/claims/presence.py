"""A daemon's own session on PostgreSQL: changes ring on it, and the lock that it holds says that the daemon lives.

The server ends the session when the daemon's process ends, and the lock with it, so every other daemon can see it, on
whatever machine. SQLite needs none of this: its daemons share a machine, and ask after one another's processes.
"""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ..store.database import Store
from ..store.listen import Subscription
from ..store.notify import CHANNEL


class Presence:
    """The session of the daemon that keeps a store; on SQLite there is none, and nothing happens here."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session = Subscription(store, CHANNEL)
        self._shown: int | None = None
        self._holds = False

    def show(self, daemon_id: int) -> bool:
        """Hold the lock that says that a daemon lives; True when the session that held it before was lost.

        Raises StoreUnavailableError while the server is out of reach.
        """
        if not self._store.has_server or (self._holds and self._session.is_open and self._shown == daemon_id):
            return False
        lost = not self._session.is_open and self._shown == daemon_id
        try:
            self._holds = _hold(self._session.connected(), daemon_id)
        except DBAPIError as error:
            self.close()
            self._store.raise_translated(error)
        self._shown = daemon_id
        return lost

    def filenos(self) -> list[int]:
        """What turns readable when there is news, or when the session is lost."""
        return self._session.filenos()

    def was_rung(self) -> bool:
        """Whether a timer changed since this was last asked; after a loss of the session nobody knows, so yes."""
        return self._session.heard() != []

    def close(self) -> None:
        """End the session, and thereby the lock."""
        self._holds = False
        self._session.close()


def _hold(connection: Connection, daemon_id: int) -> bool:
    """Take the lock. False while a session of ours that the server still believes in has it; it is asked for again."""
    connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
    return bool(connection.execute(_TAKE, {"id": daemon_id}).scalar())


def present(connection: Connection) -> set[int]:
    """The daemons that hold their locks at this moment."""
    return set(connection.execute(_HELD).scalars())


_TAKE = text("SELECT pg_try_advisory_lock(:id)")
_HELD = text("""
    SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
