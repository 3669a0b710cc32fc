"""The advisory locks that daemons hold on a server, each by its own session: they show which daemons live.

A lock needs no clock: those of the daemon's machine and of the one that asks may differ by more than a lease. The locks
are taken in claims/session_lock.py. SQLite has none: its daemons share a machine, and with it the clock.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from .database import store_of


def holders_of_locks(connection: Connection) -> set[int]:
    """The ids of the daemons that hold their locks at this moment; without a server, none is known."""
    return set(connection.execute(_HOLDERS).scalars()) if store_of(connection).has_server else set()


# The server shows a lock's 64-bit number as two halves; objsubid 1 marks a number that was given as one.
_HOLDERS = text("""
    SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
