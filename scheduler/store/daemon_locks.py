"""The advisory locks that daemons hold on a server, each on its own session, which show the live daemons.

A lock needs no clock; the clocks of two machines may differ by more than a lease. claims/session_lock.py takes the
locks. SQLite has none, because its daemons share a machine and its clock.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from .database import store_of


def holders_of_locks(connection: Connection) -> set[int]:
    """The ids of the daemons that hold their locks now; empty without a server."""
    return set(connection.execute(_HOLDERS).scalars()) if store_of(connection).has_server else set()


# The server shows a lock's 64-bit number as two halves; objsubid 1 marks a number that was given as one.
_HOLDERS = text("""
    SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
