"""Pages of the timers of a store, in the order of their environments and names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, tuple_

from ..core.breaker import BreakerState
from .database import Store
from .pages import MAX_LOOKED_AT, Page
from .schema import timers
from .statements import Among
from .stored_timer import StoredTimer, stored_timer_of


class TimerState(StrEnum):
    """The state of a timer: it fires, is disabled, has no further fire time, or its function fails."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    FINISHED = "finished"
    IN_TROUBLE = "in_trouble"


class TimerKey(NamedTuple):
    """The key of a timer in the store, which is also its position in the order."""

    environment: str
    name: str


@dataclass(frozen=True, slots=True)
class TimerFilter:
    """Selects timers; an attribute that is None excludes none.

    `text` is a part of a name, function, description or tag, ignoring case.
    """

    text: str | None = None
    state: TimerState | None = None
    environment: str | None = None
    function: str | None = None
    tag: str | None = None


def page_of_timers(
    store: Store, wanted: TimerFilter | None = None, *, after: TimerKey | None = None, limit: int = 50
) -> Page[StoredTimer, TimerKey]:
    """The first timers, or those after the key `after`, which is the `next` of a page."""
    ordered = select(timers).order_by(timers.c.environment, timers.c.name)
    if after is not None:
        ordered = ordered.where(tuple_(timers.c.environment, timers.c.name) > tuple_(*after))
    portion = ordered.limit(MAX_LOOKED_AT)
    table = portion.subquery()
    query = select(table).where(*_conditions(table.c, wanted or TimerFilter()))
    with store.reading() as connection:
        rows = connection.execute(query.order_by(table.c.environment, table.c.name).limit(limit + 1)).all()
        entries = [stored_timer_of(row, connection) for row in rows[:limit]]
        if len(rows) > limit:
            return Page(entries, TimerKey(rows[limit - 1].environment, rows[limit - 1].name))
        return Page(entries, _end(connection, portion))


def keys_of_timers(store: Store, wanted: TimerFilter, *, limit: int) -> list[TimerKey]:
    """The keys of the first timers that match, without reading the timers themselves."""
    query = select(timers.c.environment, timers.c.name).where(*_conditions(timers.c, wanted))
    with store.reading() as connection:
        rows = connection.execute(query.order_by(timers.c.environment, timers.c.name).limit(limit))
        return [TimerKey(*row) for row in rows]


def existing_keys(store: Store, keys: Sequence[TimerKey]) -> list[TimerKey]:
    """The keys among these that exist, in their order."""
    with store.reading() as connection:
        found = {TimerKey(*row) for row in _KEYS.rows(connection, sorted({key.name for key in keys}))}
    return [key for key in dict.fromkeys(keys) if key in found]


_KEYS = Among(select(timers.c.environment, timers.c.name), timers.c.name)


def has_timer_of(store: Store, environment: str | None, tag: str) -> bool:
    """Whether a timer of an environment, or of any, has a tag."""
    query = select(timers.c.id).where(*_conditions(timers.c, TimerFilter(environment=environment, tag=tag)))
    with store.reading() as connection:
        return connection.execute(query.limit(1)).first() is not None


def _end(connection: Connection, portion: Select[Any]) -> TimerKey | None:
    """The last key that a page has read; None if it has read all."""
    table = portion.subquery()
    if connection.execute(select(func.count()).select_from(table)).scalar_one() < MAX_LOOKED_AT:
        return None
    last = select(table.c.environment, table.c.name).order_by(table.c.environment.desc(), table.c.name.desc())
    return TimerKey(*connection.execute(last.limit(1)).one())


def _conditions(columns: Any, wanted: TimerFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.environment is not None:
        conditions.append(columns.environment == str(wanted.environment))
    if wanted.function is not None:
        conditions.append(columns.function == wanted.function)
    if wanted.tag is not None:
        # LIKE ignores case on one database and not on the other.
        tag = json.dumps(wanted.tag, ensure_ascii=False)
        conditions.append(func.replace(columns.tags, tag, "") != columns.tags)
    if wanted.text is not None:
        searched = (columns.name, columns.function, columns.description, columns.tags)
        conditions.append(or_(*(column.icontains(wanted.text, autoescape=True) for column in searched)))
    if wanted.state is not None:
        conditions.append(_is_in(columns, wanted.state))
    return conditions


def _is_in(columns: Any, state: TimerState) -> ColumnElement[bool]:
    """The condition that a timer is in a state."""
    match state:
        case TimerState.ENABLED:
            return and_(columns.enabled.is_(True), columns.next_fire_at.is_not(None))
        case TimerState.DISABLED:
            enabled: ColumnElement[bool] = columns.enabled
            return enabled.is_(False)
        case TimerState.FINISHED:
            return and_(columns.enabled.is_(True), columns.next_fire_at.is_(None))
        case TimerState.IN_TROUBLE:
            return or_(columns.consecutive_failures > 0, columns.breaker_state != BreakerState.CLOSED)
