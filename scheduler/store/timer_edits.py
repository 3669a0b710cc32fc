"""Edits of a timer's row, in the transaction of the caller: the columns of a new or edited timer, and its removal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from functools import partial
from secrets import randbits
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, update

from ..core import breaker
from ..core.calendars import RollConvention
from ..core.timer import Timer
from ..core.timer_checks import check_new_names, check_roll
from ..core.timer_values import timer_columns
from ..core.timestamps import stamp, stamp_or_none
from ..core.trigger_kinds import UnreadableTrigger
from ..errors import TimerError, UnknownCalendarError
from .calendar_content import content_of
from .change_recording import Author, record_changes
from .claimed_fires import claimed_until
from .entered_runs import enter_on_enable
from .pauses import delete_pause_of, hold_changed
from .rows import breaker_columns
from .schema import calendars, runs, timers
from .stored_timer import StoredTimer, stored_timer_of
from .timer_changes import edited

#: Fire times are counted in one run only while they follow one another: not across an edit or a pause.
NO_COUNTER = {"counter_run_id": None, "counter_outcome": None}


def new_columns(timer: Timer, now: datetime, claimed: Mapping[tuple[str, str], datetime]) -> dict[str, Any]:
    """The row of a new timer, which fires after the times that were `claimed` for a removed timer with its name."""
    check_new_names(timer.name, timer.function)
    check_roll(timer.roll, timer.calendar)
    anchored = timer.anchored(now)
    first = first_fire(anchored, max(now, claimed.get((timer.environment, timer.name), now)))
    return {
        **timer_columns(anchored),
        **breaker_columns(breaker.CLOSED),
        "next_fire_at": stamp(first) if timer.enabled else None,
        # Random, because SQLite may reuse the id of a removed timer, which the caches of daemons still contain.
        "revision": randbits(30),
        "created_at": stamp(now),
    }


class PlannedEdit(NamedTuple):
    """A timer after an edit, and its columns; `next_fire` computes a new next fire time from the timer before."""

    timer: Timer
    columns: dict[str, Any]
    is_enabled_now: bool = False
    next_fire: Callable[[StoredTimer], datetime | None] | None = None


def edited_columns(
    connection: Connection, stored: StoredTimer, changes: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """The columns of a timer whose attributes change; closes its breaker, and enters the run of fire_on_enable.

    If the schedule is unchanged, pending fire times stay due. Else its next fire time is after `now` and after the
    latest claimed one.
    """
    claimed = partial(claimed_until, connection, now=now)
    edit = planned_edit(stored, changes, now, partial(with_calendar, connection), claimed)
    if edit.is_enabled_now:
        enter_on_enable(connection, stored.id, edit.timer, now)
    return edit.columns


def planned_edit(
    stored: StoredTimer,
    changes: Mapping[str, Any],
    now: datetime,
    with_its_calendar: Callable[[Timer], Timer],
    claimed: Callable[[int, Timer, datetime | None], datetime],
) -> PlannedEdit:
    """The same without a run; `claimed` returns the latest claimed fire time of a timer with an id and a next fire."""
    timer = with_its_calendar(_changed(stored, changes))
    is_enabled_now = timer.enabled and not stored.timer.enabled
    if timer.trigger != stored.timer.trigger or is_enabled_now:
        timer = timer.anchored(now)
    counts_anew = timer.max_runs != stored.timer.max_runs or is_enabled_now

    def next_fire(before: StoredTimer) -> datetime | None:
        first = first_fire(timer, claimed(before.id, before.timer, before.next_fire))
        return first if timer.enabled else None

    is_planned_anew = _is_planned_anew(stored, timer, counts_anew=counts_anew)
    # None, for example, for a timer with a new name whose last fire time is over.
    fire = next_fire(stored) if is_planned_anew else stored.next_fire
    columns = {
        **timer_columns(timer),
        **breaker_columns(breaker.CLOSED),
        "next_fire_at": stamp_or_none(fire) if timer.enabled else None,
        **({"begun_runs": 0} if counts_anew else {}),
        **NO_COUNTER,
    }
    return PlannedEdit(timer, columns, is_enabled_now, next_fire if is_planned_anew else None)


def _is_planned_anew(stored: StoredTimer, timer: Timer, *, counts_anew: bool) -> bool:
    """Whether an edit gives a timer another next fire time; for a disabled one, whether its first one is checked."""
    if stored.timer.enabled and timer.enabled and timer.schedule == stored.timer.schedule:
        return stored.next_fire is None and counts_anew
    return timer.enabled or timer.trigger != stored.timer.trigger


_EDITABLE = {attribute.name: None for attribute in fields(Timer) if attribute.name != "working_days"}


def _changed(stored: StoredTimer, changes: Mapping[str, Any]) -> Timer:
    """The timer with other attributes; TimerError if it cannot have them. Without a calendar it has no roll, either."""
    if unknown := changes.keys() - _EDITABLE:
        raise TimerError(f"a timer has no attribute {min(unknown)!r}; its attributes are {', '.join(_EDITABLE)}")
    timer = replace(stored.timer, **changes)
    if changes.keys() & {"name", "function"}:
        check_new_names(timer.name, timer.function)
    if "calendar" in changes and timer.calendar is None and "roll" not in changes:
        timer = replace(timer, roll=RollConvention.SKIP)
    if changes.keys() & {"calendar", "roll"}:
        check_roll(timer.roll, timer.calendar)
    if timer.name != stored.timer.name and stored.declared_in is not None and not stored.has_vanished:
        raise TimerError(
            f"timer {stored.timer.name!r} is declared with @engine.timer, which gives its name; change it there",
            field="name",
        )
    return timer


def with_calendar(connection: Connection, timer: Timer) -> Timer:
    """The timer with the calendar that it names, read from the store; UnknownCalendarError if that has none."""
    found = None if timer.calendar is None else content_of(connection, timer.calendar)
    if timer.calendar is not None and found is None:
        raise UnknownCalendarError(timer.calendar, connection.execute(select(calendars.c.name)).scalars())
    return timer if found is timer.working_days else replace(timer, working_days=found)


def enable_again(connection: Connection, timer_id: int, until: datetime, by: Author | None) -> None:
    """Enable a timer that was disabled until now, unless it would never fire again."""
    row = connection.execute(
        select(timers).where(timers.c.id == timer_id, timers.c.enabled.is_(False)).with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        return
    stored = stored_timer_of(row, connection)
    with contextlib.suppress(TimerError):
        values = {**edited_columns(connection, stored, {"enabled": True}, until), "revision": timers.c.revision + 1}
        connection.execute(update(timers).where(timers.c.id == timer_id).values(values))
        hold_changed(connection)
        after = stored_timer_of(connection.execute(select(timers).where(timers.c.id == timer_id)).one(), connection)
        record_changes(connection, edited(stored, after), by, now=until)


def delete_timer(connection: Connection, timer_id: int) -> None:
    """Delete the row of a timer that is locked."""
    # SQLite may give its id to a later timer, which must not get its runs.
    still_open = (runs.c.timer_id == timer_id) & runs.c.outcome.is_(None)
    connection.execute(update(runs).where(still_open).values(timer_id=None))
    connection.execute(delete(timers).where(timers.c.id == timer_id))
    delete_pause_of(connection, timer_id)


def first_fire(timer: Timer, now: datetime) -> datetime:
    """The first fire time after `now`; TimerError if there is none."""
    first = timer.schedule.next_fire(now)
    if isinstance(timer.trigger, UnreadableTrigger):
        raise TimerError(timer.trigger.reason, field="trigger")
    if first is None:
        # By its name, because a list, or a command for several timers, may have many.
        when = f"never fires after {now.isoformat(timespec='seconds')}"
        raise TimerError(f"{timer.name}: {timer.schedule} {when}", field="expression")
    return first
