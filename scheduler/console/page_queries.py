"""Queries of the store for pages: what is due next, the last lines of a run, the number of failing timers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, text

from ..core.run import Line
from ..store.change_pages import former_names
from ..store.database import Store
from ..store.rows import line_of
from ..store.schema import NOT_HELD, TROUBLED, lines, timers
from ..store.stored_timer import StoredTimer, stored_timer_of
from ..store.timer_pages import TimerKey

MAX_LINES_OF_RUN = 600


def due_next(store: Store, most: int) -> list[StoredTimer]:
    """The timers with the next fire times, the earliest first; an index contains them in this order."""
    query = select(timers).where(timers.c.next_fire_at.is_not(None), text(NOT_HELD))
    with store.reading() as connection:
        rows = connection.execute(query.order_by(timers.c.next_fire_at).limit(most)).all()
        return [stored_timer_of(row, connection) for row in rows]


def keys_of(store: Store, key: TimerKey) -> list[tuple[TimerKey, datetime | None]]:
    """The present and the former names of a timer, each with the instant at which it was renamed."""
    with store.reading() as connection:
        former = former_names(connection, key.name, key.environment)
    return [(key, None), *((TimerKey(key.environment, name), until) for name, _, until in former)]


def lines_of_run(store: Store, run_id: int) -> tuple[list[Line], bool]:
    """The last lines of a run, oldest first, and whether there are earlier ones."""
    query = select(lines).where(lines.c.run_id == run_id).order_by(lines.c.id.desc()).limit(MAX_LINES_OF_RUN + 1)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [line_of(row) for row in rows[:MAX_LINES_OF_RUN]][::-1], len(rows) > MAX_LINES_OF_RUN


def count_in_trouble(store: Store) -> int:
    """The number of timers whose last run failed, or whose breaker is open; an index contains exactly these."""
    with store.reading() as connection:
        query = select(func.count()).select_from(timers).where(text(f"({TROUBLED})"))
        return int(connection.execute(query).scalar_one())
