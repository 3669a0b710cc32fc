"""CalendarTable: calendars of working days by name, and the next fire times of the timers that use them.

A changed calendar moves the next fire times of its timers in the same transaction; a fire time that is due stays due.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from quartzcron.calendars import WorkingDays

from ..core.calendars import calendar_digest, calendar_of, calendar_text
from ..core.timer_checks import check_calendar_name
from ..core.timestamps import instant, stamp, stamp_or_none
from ..errors import TimerError, UnknownCalendarError
from .calendar_content import remember
from .change_recording import Action, Author, NewChange, Subject, record_changes
from .database import Store
from .planned_timers import EditedTimer
from .schema import calendars, timers
from .stored_timer import StoredTimer
from .timer_edits import NO_COUNTER, PlannedEdit
from .timer_plan import TimerPlan, carry_out

#: A calendar that is known for fewer days from now on is reported if timers use it.
SOON_DAYS = 60
#: The largest calendar, as text.
MAX_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class StoredCalendar:
    """A calendar with its name in the store, its source, and the number of timers that use it."""

    name: str
    working_days: WorkingDays
    source: str
    changed_at: datetime
    timers: int

    def ends_soon(self, today: date) -> bool:
        """Whether it is known for less than SOON_DAYS from now on."""
        known = self.working_days.known_until
        return known is not None and (known - today).days < SOON_DAYS


@dataclass(frozen=True, slots=True)
class MovedTimer:
    """A timer whose next fire time a changed calendar has moved; None means that it fires no more."""

    timer: str
    environment: str
    before: datetime | None
    after: datetime | None


class CalendarTable:
    """The calendars of one store.

    >>> from datetime import UTC, date
    >>> from scheduler.core.timer import Timer
    >>> from scheduler.core.triggers import Cron
    >>> from scheduler.store.timers import TimerTable
    >>> store, now = Store("sqlite://"), datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> table = CalendarTable(store)
    >>> table.add("firm", WorkingDays(), now=now)
    >>> daily = Timer(name="t", function="f", trigger=Cron("0 0 8 * * ?", "UTC"), calendar="firm", enabled=True)
    >>> (timer,) = TimerTable(store).add([daily], now=now)
    >>> str(timer.next_fire)
    '2026-01-02 08:00:00+00:00'
    >>> (moved,) = table.change("firm", WorkingDays(holidays=[date(2026, 1, 2)]), now=now)
    >>> str(moved.after)
    '2026-01-05 08:00:00+00:00'
    >>> store.close()
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> list[StoredCalendar]:
        """All calendars, by name."""
        with self._store.reading() as connection:
            counts = _uses(connection)
            rows = connection.execute(select(calendars).order_by(calendars.c.name)).all()
        return [_stored(row, counts.get(row.name, 0)) for row in rows]

    def get(self, name: str) -> StoredCalendar:
        """One calendar; UnknownCalendarError if there is none of that name."""
        with self._store.reading() as connection:
            return _stored(_row(connection, name), _uses(connection).get(name, 0))

    def add(
        self,
        name: str,
        working_days: WorkingDays,
        *,
        now: datetime | None = None,
        source: str = "",
        by: Author | None = None,
    ) -> None:
        """Add a calendar; TimerError if there is one of that name."""
        content, now = _content(working_days), now or datetime.now(UTC)
        if check_calendar_name(name) is None or name != name.strip():
            raise TimerError(f"the name of a calendar is text without blanks around it, got {name!r:.80}", field="name")
        with self._store.writing_and_notifying() as connection:
            self._store.acquire_mutex(connection)
            if connection.execute(select(calendars.c.name).where(calendars.c.name == name)).one_or_none():
                raise TimerError(f"there is a calendar {name!r} already; change it with: calendars edit", field="name")
            digest = calendar_digest(working_days)
            row = {"name": name, "digest": digest, "content": content, "source": source, "changed_at": stamp(now)}
            connection.execute(insert(calendars), row)
            added = NewChange(Action.ADDED, name, after=_summary(working_days, source), subject=Subject.CALENDAR)
            record_changes(connection, [added], by, now=now)

    def change(
        self,
        name: str,
        working_days: WorkingDays,
        *,
        now: datetime | None = None,
        source: str = "",
        by: Author | None = None,
    ) -> tuple[MovedTimer, ...]:
        """Replace the content of a calendar, and move the next fire times of its timers that are not due yet."""
        content, digest, now = _content(working_days), calendar_digest(working_days), now or datetime.now(UTC)
        working_days = remember(digest, working_days)
        values = {"digest": digest, "content": content, "source": source, "changed_at": stamp(now)}
        plan = TimerPlan(now, by)

        def compute(connection: Connection) -> list[EditedTimer]:
            _row(connection, name)
            edits = [
                plan.edit(row, lambda stored: _replanned(plan, stored, working_days, digest))
                for row in plan.using(name)
            ]
            return [edit for edit in edits if edit is not None]

        def finish(connection: Connection, _: list[EditedTimer]) -> None:
            before = _row(connection, name)
            connection.execute(update(calendars).where(calendars.c.name == name).values(values))
            change = NewChange(Action.CHANGED, name, before=_stored_summary(before), subject=Subject.CALENDAR)
            plan.record([change._replace(after=_summary(working_days, source))])

        moved = carry_out(self._store, plan, compute, plans_first=True, finish=finish)
        return tuple(
            MovedTimer(each.stored.timer.name, each.stored.timer.environment.value, before, after)
            for each in moved
            if (before := each.stored.next_fire) != (after := each.after.next_fire)
        )

    def remove(self, name: str, *, now: datetime | None = None, by: Author | None = None) -> None:
        """Remove a calendar; TimerError while timers use it, enabled or not."""
        with self._store.writing_and_notifying() as connection:
            self._store.acquire_mutex(connection)
            row = _row(connection, name)
            users = connection.execute(select(timers.c.name).where(timers.c.calendar == name).limit(4)).scalars().all()
            if users:
                named = ", ".join(map(repr, users[:3])) + (" and others" if len(users) > 3 else "")
                raise TimerError(f"calendar {name!r} is used by {named}; give them another one first", field="calendar")
            connection.execute(delete(calendars).where(calendars.c.name == name))
            summary = _stored_summary(row)
            removed = NewChange(Action.REMOVED, name, before=summary, subject=Subject.CALENDAR)
            record_changes(connection, [removed], by, now=now or datetime.now(UTC))


def _row(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(calendars).where(calendars.c.name == name)).one_or_none()
    if row is None:
        raise UnknownCalendarError(name, connection.execute(select(calendars.c.name)).scalars())
    return row


def _stored(row: Row[Any], uses: int) -> StoredCalendar:
    return StoredCalendar(row.name, calendar_of(row.content), row.source, instant(row.changed_at), uses)


def _uses(connection: Connection) -> dict[str, int]:
    named = select(timers.c.calendar, func.count()).where(timers.c.calendar.is_not(None)).group_by(timers.c.calendar)
    return {row[0]: row[1] for row in connection.execute(named)}


def _content(working_days: WorkingDays) -> str:
    content = calendar_text(working_days)
    if len(content) > MAX_BYTES:
        raise TimerError(f"the calendar takes {len(content):,} bytes; at most {MAX_BYTES:,} are allowed")
    return content


def _summary(working_days: WorkingDays, source: str) -> dict[str, object]:
    """The recorded summary of a calendar, without its thousands of days."""
    return {
        "week": working_days.week,
        "holidays": len(working_days.holidays),
        "worked": len(working_days.worked),
        "known_until": None if working_days.known_until is None else working_days.known_until.isoformat(),
        "source": source,
        "digest": calendar_digest(working_days),
    }


def _stored_summary(row: Row[Any]) -> dict[str, object]:
    return _summary(calendar_of(row.content), row.source)


def _replanned(plan: TimerPlan, stored: StoredTimer, working_days: WorkingDays, digest: str) -> PlannedEdit:
    """The edit that computes a timer's next fire time with another content of its calendar."""
    timer = replace(stored.timer, working_days=working_days)

    def next_fire(before: StoredTimer) -> datetime | None:
        if not timer.enabled or (before.next_fire is not None and before.next_fire <= plan.now):
            return before.next_fire
        # The claimed fire times are those of the old calendar.
        return timer.schedule.next_fire(plan.claimed.until(before.id, before.timer, before.next_fire))

    after = next_fire(stored)
    columns = {"calendar_digest": digest, "next_fire_at": stamp_or_none(after)}
    return PlannedEdit(timer, {**columns, **(NO_COUNTER if after != stored.next_fire else {})}, next_fire=next_fire)
