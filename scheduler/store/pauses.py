"""Pauses: while one is in force, no daemon claims the timers that it covers.

A pause is a row: of everything, of an environment, of a tag, or of a tag in an environment. A column of the
timer says whether a pause holds it, so that claims and their index need no other table. This module writes the column
when a pause begins or ends, and when a timer gets another environment or other tags.

A held timer keeps its next fire time. When it is free again, its misfire policy decides about missed fire times, or
they are recorded as misfired if `skip` was given. Runs in progress end as usual, waiting runs keep waiting, and a run
that a user requests begins.

The pause of one timer is different: the timer is disabled, and enabled again when the pause ends.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, insert, select, update

from ..core.timer import Environment
from ..core.timestamps import instant, instant_or_none, stamp, stamp_or_none
from ..errors import TimerError
from .change_recording import Author
from .rows import storable
from .schema import pauses, timers
from .statements import Among


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause of everything, or of an environment, a tag or one timer; without `until`, it lasts until it is ended."""

    id: int
    environment: Environment | None
    tag: str | None
    timer_id: int | None
    since: datetime
    until: datetime | None
    by: str
    note: str

    def covers(self, environment: str, tags: Collection[str]) -> bool:
        """Whether it holds timers with this environment and these tags."""
        return (
            self.timer_id is None
            and (self.environment is None or self.environment == environment)
            and (self.tag is None or self.tag in tags)
        )

    @property
    def scope(self) -> str:
        """The scope of the pause in words."""
        if self.timer_id is not None:
            return "one timer"
        return scope_text(self.environment, self.tag)


def scope_text(environment: Environment | None, tag: str | None) -> str:
    """The scope of a pause of an environment, a tag, or neither, in words."""
    if tag is None:
        return "everything" if environment is None else f"every timer of {environment}"
    return f"every timer with the tag {tag!r}" + ("" if environment is None else f" in {environment}")


def check_end(until: datetime | None, now: datetime) -> None:
    """TimerError for an end of a pause that is not in the future."""
    if until is not None and until.tzinfo is None:
        raise TimerError("the end of a pause needs an offset, as in 2026-01-05T08:00:00+08:00", field="until")
    if until is not None and until <= now:
        at = until.isoformat(timespec="seconds")
        raise TimerError(f"a pause must end in the future, and {at} is past", field="until")


def insert_pause(
    connection: Connection,
    environment: Environment | None,
    tag: str | None,
    *,
    timer_id: int | None = None,
    now: datetime,
    until: datetime | None,
    by: Author,
) -> None:
    """Write the row of a pause."""
    connection.execute(
        insert(pauses).values(
            environment=environment,
            tag=tag,
            timer_id=timer_id,
            since=stamp(now),
            until=stamp_or_none(until),
            by=storable(by.name),
            note=storable(by.why),
        )
    )


def read_pauses(connection: Connection) -> list[Pause]:
    """All pauses, the oldest first."""
    return [pause_of(row) for row in connection.execute(select(pauses).order_by(pauses.c.id))]


def hold(connection: Connection) -> list[int]:
    """Write into every timer whether it is held; returns those that no longer are.

    For transactions that have the mutex, so that no timer and no pause is added meanwhile.
    """
    in_force = read_pauses(connection)
    held, freed = [], []
    for row in connection.execute(_ALL).all():
        is_held = any(pause.covers(row.environment, json.loads(row.tags)) for pause in in_force)
        if is_held and not row.held:
            held.append(row.id)
        elif row.held and not is_held:
            freed.append(row.id)
    for timer_ids, are_held in ((held, True), (freed, False)):
        if timer_ids:
            _SET.execute(connection, timer_ids, are_held=are_held)
    return freed


def hold_changed(connection: Connection) -> None:
    """Do the same after timers were added or changed; does nothing without a pause."""
    if connection.execute(_EXISTS).scalar():
        hold(connection)


def delete_pause_of(connection: Connection, timer_id: int) -> None:
    """Delete the pause of one timer, if there is one, because the timer is enabled or removed."""
    connection.execute(delete(pauses).where(pauses.c.timer_id == timer_id))


def pause_of(row: Row[Any]) -> Pause:
    """A row of the pauses table as a value."""
    return Pause(
        id=row.id,
        environment=None if row.environment is None else Environment(row.environment),
        tag=row.tag,
        timer_id=row.timer_id,
        since=instant(row.since),
        until=instant_or_none(row.until),
        by=row.by,
        note=row.note,
    )


# Locked by id, as in every transaction; waits for a claim in progress.
_ALL = (
    select(*(timers.c[name] for name in ("id", "environment", "tags", "held")))
    .order_by(timers.c.id)
    .with_for_update(key_share=True)
)
_SET = Among(update(timers).values(held=bindparam("are_held")), timers.c.id)
_EXISTS = select(exists().where(pauses.c.timer_id.is_(None)))
