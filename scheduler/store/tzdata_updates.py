"""TzdataUpdates: corrects stored next fire times after an update of the time zone database (tzdata).

The store contains instants. When a newer zone database moves the clock of a zone, a stored instant is no longer at the
wall time of the expression. A daemon checks the timers at its start and moves each such instant to the nearest fire
time, unless that one has been handled already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update

from ..core.calendars import RollConvention
from ..core.fire_times import FireTimes
from ..core.run import Kind
from ..core.timer import Timer
from ..core.timestamps import instant, instant_or_none, stamp_or_none
from ..core.trigger_kinds import UnreadableTrigger
from ..core.triggers import Every
from ..core.zone_names import zone
from .database import Store
from .rows import timer_of
from .schema import runs, timers

#: The most by which new rules move the clock of a zone, apart from changes of the date line, announced long before.
MOST_MOVED = timedelta(hours=3)
#: The most days by which a calendar moves a fire time: the days off in a row, and some.
_MOST_DAYS = 31
_MICROSECOND = timedelta(microseconds=1)
_PLANNED = select(timers).where(timers.c.trigger_kind != Every.kind, timers.c.next_fire_at.is_not(None))


@dataclass(frozen=True, slots=True)
class Moved:
    """A timer whose next fire time was moved; None: it fires no more."""

    timer: Timer
    before: datetime
    after: datetime | None


class TzdataUpdates:
    """Checks the enabled timers of a store once.

    In the order of ids: in the order of fire times, frequent timers would come again and again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        #: The id of the last checked timer; None if all were checked.
        self._seen: int | None = -1
        #: The triggers and fire times already checked in this portion, because many timers may share them.
        self._checked: set[tuple[Any, ...]] = set()

    @property
    def is_done(self) -> bool:
        """Whether every timer was checked."""
        return self._seen is None

    def check_first(self, most: int) -> list[Moved]:
        """Check the `most` timers that are due first, and correct their next fire times."""
        rows = self._rows(_PLANNED.order_by(timers.c.next_fire_at).limit(most))
        if len(rows) < most:
            self._seen = None
        return self._move_wrong(rows)

    def check(self, most: int) -> list[Moved]:
        """Check the next `most` timers by id, and correct their next fire times."""
        if self._seen is None:
            return []
        rows = self._rows(_PLANNED.where(timers.c.id > self._seen).order_by(timers.c.id).limit(most))
        self._seen = rows[-1].id if len(rows) == most else None
        return self._move_wrong(rows)

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self._store.reading() as connection:
            return connection.execute(query).all()

    def _move_wrong(self, rows: Sequence[Row[Any]]) -> list[Moved]:
        with self._store.reading() as connection:
            wrong = [row for row in rows if not self._is_fire_time(row, connection)]
        self._checked.clear()
        return [moved for row in wrong if (moved := self._move(row))]

    def _is_fire_time(self, row: Row[Any], connection: Connection) -> bool:
        window = (row.starts_at, row.ends_at)
        key = (row.trigger_kind, row.trigger, row.calendar_digest, row.roll, *window, row.next_fire_at)
        if not row.jitter_s and key in self._checked:
            return True
        timer, at = timer_of(row, connection), instant(row.next_fire_at)
        is_unknown = isinstance(timer.trigger, UnreadableTrigger) or (timer.calendar and timer.working_days is None)
        is_one = bool(is_unknown) or _fires_at(timer.schedule, at) or _was_taken_out_by_its_calendar(timer, at)
        if is_one and not row.jitter_s:
            self._checked.add(key)
        return is_one

    def _move(self, row: Row[Any]) -> Moved | None:
        """Correct one timer, unless it was changed since it was read."""
        before = instant(row.next_fire_at)
        of_timer = (runs.c.timer_id == row.id) & (runs.c.kind == Kind.SCHEDULED.value)
        unchanged = (timers.c.id == row.id) & (timers.c.next_fire_at == row.next_fire_at)
        with self._store.writing_and_notifying() as connection:
            timer = timer_of(row, connection)
            handled = connection.execute(select(func.max(runs.c.last_fire_at)).where(of_timer)).scalar()
            after = meant(timer.schedule, before, instant_or_none(handled))
            values = {"next_fire_at": stamp_or_none(after), "revision": timers.c.revision + 1}
            query = update(timers).where(unchanged, timers.c.revision == row.revision).values(values)
            if not connection.execute(query).rowcount:
                return None
        return Moved(timer, before, after)


def _fires_at(schedule: FireTimes, at: datetime) -> bool:
    return schedule.next_fire(at - _MICROSECOND) == at


def _was_taken_out_by_its_calendar(timer: Timer, at: datetime) -> bool:
    """Whether a fire time that was due, and stays due, became one of a day off when the calendar was changed.

    The calendar may have moved it by days, but to the same time of day, which new rules of a zone do not keep.
    """
    if timer.calendar is None:
        return False
    plain = replace(timer, calendar=None, roll=RollConvention.SKIP, working_days=None)
    schedule = replace(plain, starts_at=None, ends_at=None).schedule
    wall = at.astimezone(zone(timer.trigger.tz or "UTC"))
    days = (wall + timedelta(days=number) for number in range(-_MOST_DAYS, _MOST_DAYS + 1))
    return any(_fires_at(schedule, day.astimezone(UTC)) for day in days)


def meant(schedule: FireTimes, stored: datetime, handled: datetime | None) -> datetime | None:
    """The fire time that a stored instant stands for under the new rules; `handled` is the last handled one.

    >>> from datetime import UTC
    >>> from .. import Cron
    >>> daily = Cron("0 55 16 * * ?", tz="UTC")
    >>> meant(daily, datetime(2026, 3, 1, 17, 55, tzinfo=UTC), None).isoformat()
    '2026-03-01T16:55:00+00:00'
    >>> meant(daily, datetime(2026, 3, 1, 17, 55, tzinfo=UTC), datetime(2026, 3, 1, 16, 55, tzinfo=UTC)).isoformat()
    '2026-03-02T16:55:00+00:00'
    """
    earlier, later = schedule.prev_fire(stored), schedule.next_fire(stored)
    if earlier is None or stored - earlier > MOST_MOVED or (handled is not None and earlier <= handled):
        return later
    return earlier if later is None or stored - earlier < later - stored else later
