"""Whether somebody fires the timers of a store."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select

from ..core.timestamps import stamp
from ..store.database import Store
from ..store.schema import daemons


def alive(store: Store) -> bool:
    """Whether a daemon holds a lease on the store."""
    query = select(func.count()).select_from(daemons).where(daemons.c.lease_until >= stamp(datetime.now(UTC)))
    with store.reading() as connection:
        return bool(connection.execute(query).scalar_one())
