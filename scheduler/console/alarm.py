"""Whether something is wrong now, for the icon in the browser's tab: a timer is overdue, or a breaker is open."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, text

from ..core.breaker import BreakerState
from ..core.misfire import GRACE
from ..core.timestamps import stamp
from ..store.database import Store
from ..store.schema import NOT_HELD, TROUBLED, timers

_OVERDUE = select(timers.c.id).where(timers.c.next_fire_at.is_not(None), text(NOT_HELD)).limit(1)
_OPEN = select(timers.c.id).where(text(f"({TROUBLED})"), timers.c.breaker_state != BreakerState.CLOSED).limit(1)


def is_alarmed(store: Store, now: datetime) -> bool:
    """Whether the icon is red; indexes contain both kinds of timers."""
    overdue = _OVERDUE.where(timers.c.next_fire_at < stamp(now - GRACE))
    with store.reading() as connection:
        return connection.execute(overdue).first() is not None or connection.execute(_OPEN).first() is not None
