"""copy_of_timers: a copy of a store's timers in memory, on which a change is tried without a lock on the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, insert, select

from .database import Store
from .schema import calendars, pauses, timers

_COPIED = (calendars, timers, pauses)


@contextmanager
def copy_of_timers(store: Store) -> Iterator[Connection]:
    """A connection to a copy of the timers, calendars and pauses of a store; what is written to it is forgotten."""
    with store.reading() as connection:
        rows = {table: connection.execute(select(table)).mappings().all() for table in _COPIED}
    with Store("sqlite://") as copy, copy.writing() as connection:
        for table in _COPIED:
            if rows[table]:
                connection.execute(insert(table), [dict(row) for row in rows[table]])
        yield connection
