"""Calendars in the store: by name, shared by timers, whose next fire times move when a calendar changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from quartzcron.calendars import WorkingDays
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron
from scheduler.errors import TimerError, UnknownCalendarError
from scheduler.store import calendar_content
from scheduler.store.calendars import CalendarTable
from scheduler.store.change_pages import ChangeHistory
from scheduler.store.database import Store
from scheduler.store.schema import calendars
from scheduler.store.timers import TimerTable
from scheduler.store.tzdata_updates import TzdataUpdates
from tests.scheduler.scripted_service import START, Service

#: START is a Thursday.
FRIDAY, MONDAY = date(2026, 1, 2), date(2026, 1, 5)
DAY = timedelta(days=1)


def daily(name: str = "t", hour: int = 8, **options: Any) -> Timer:
    """A timer of every day, at an hour of UTC, by the calendar of the firm."""
    values = {"calendar": "firm", "enabled": True, **options}
    return Timer(name=name, function="f", trigger=Cron(f"0 0 {hour} * * ?", "UTC"), **values)


def at(day: date, hour: int = 8) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def test_a_changed_calendar_moves_the_next_fires_of_its_timers(store: Store) -> None:
    """Of enabled ones that are not due; what is due stays due, and others are left alone."""
    table, timetable = CalendarTable(store), TimerTable(store)
    table.add("firm", WorkingDays(), now=START)
    table.add("other", WorkingDays(), now=START)
    off = daily("off", enabled=False)
    timetable.add([daily(), daily("rolls", roll="preceding"), off, daily("other", calendar="other")], now=START)
    timetable.add([daily("due", 0), daily("plain", calendar=None)], now=START - timedelta(hours=1))
    moved = table.change("firm", WorkingDays(holidays=[FRIDAY, START.date()]), now=START + timedelta(hours=1))
    assert {move.timer: move.after for move in moved} == {"t": at(MONDAY), "rolls": at(MONDAY)}
    after = {entry.timer.name: entry.next_fire for entry in timetable.list()}
    assert after == {
        "t": at(MONDAY), "rolls": at(MONDAY), "off": None, "other": at(START.date()), "due": START,
        "plain": at(START.date()),
    }  # fmt: skip
    assert timetable.get("t").timer.working_days == WorkingDays(holidays=[FRIDAY, START.date()])
    (change,) = ChangeHistory(store).page(limit=1).items
    assert (change.subject, change.action, change.name, change.environment) == ("calendar", "changed", "firm", None)
    assert [values and values["holidays"] for values in (change.before, change.after)] == [0, 2]


def test_a_daemon_fires_by_the_calendar_as_it_is_now(service: Service) -> None:
    """Timers with the same trigger and calendar share their fire times; a finished one fires again."""
    table = CalendarTable(service.store)
    table.add("firm", WorkingDays(), now=START)
    service.timetable.add([daily(), daily("u"), daily("only", roll="only_off")], now=START)
    for _ in range(5):
        service.after(24 * 3600)
    fired = sorted((run.timer, run.fire_time.day) for run in service.history.runs())
    assert fired == [("only", 3), ("only", 4), ("t", 1), ("t", 2), ("t", 5), ("u", 1), ("u", 2), ("u", 5)]
    table.change("firm", WorkingDays("SUN-SAT", holidays=[date(2026, 1, 7)]), now=service.clock.now())
    for _ in range(3):
        service.after(24 * 3600)
    fired = sorted((run.timer, run.fire_time.day) for run in service.history.runs() if run.fire_time.day > 5)
    assert fired == [("only", 7), ("t", 6), ("t", 8), ("u", 6), ("u", 8)]
    table.change("firm", WorkingDays("SUN-SAT"), now=service.clock.now())
    assert service.timetable.get("only").state == "finished"
    table.change("firm", WorkingDays(), now=service.clock.now())
    assert service.timetable.get("only").state == "enabled"


def test_a_roll_needs_a_calendar(store: Store) -> None:
    """In a new timer and in an edit; with its calendar, a timer loses its roll."""
    CalendarTable(store).add("firm", WorkingDays(), now=START)
    timetable = TimerTable(store)
    needs = "roll 'preceding' needs a calendar, which says which days are off"
    with pytest.raises(TimerError, match=needs):
        timetable.add([daily(calendar=None, roll="preceding")], now=START)
    timetable.add([daily(roll="preceding"), daily("plain", calendar=None)], now=START)
    with pytest.raises(TimerError, match=needs):
        timetable.edit("plain", Environment.PRODUCTION, {"roll": "preceding"}, now=START)
    with pytest.raises(TimerError, match=needs):
        timetable.edit("t", Environment.PRODUCTION, {"calendar": None, "roll": "preceding"}, now=START)
    timetable.edit("t", Environment.PRODUCTION, {"calendar": None}, now=START)
    without = timetable.get("t", Environment.PRODUCTION).timer
    assert (without.calendar, without.roll) == (None, "skip")


@pytest.mark.parametrize("roll", ["skip", "preceding", "following"])
def test_a_fire_that_is_due_stays_due_for_a_daemon_that_starts_after_the_change(service: Service, roll: str) -> None:
    """Its check for new rules of time zones leaves it alone, also if the calendar had moved it to another day."""
    table = CalendarTable(service.store)
    table.add("firm", WorkingDays(holidays=[FRIDAY]), now=START)
    monthly = Timer(
        name="m", function="f", trigger=Cron("0 0 8 2 * ?", "UTC"), calendar="firm", roll=roll, enabled=True
    )
    service.timetable.add([daily(roll=roll), monthly], now=START)
    service.after(12 * 3600)
    fired = [(run.timer, run.fire_time) for run in service.history.runs()]
    due = {entry.timer.name: entry.next_fire for entry in service.timetable.list()}
    service.kill()
    service.clock.advance(6 * 24 * 3600)
    days_off = [FRIDAY, *(fire.date() for fire in due.values() if fire and fire < service.clock.now())]
    table.change("firm", WorkingDays(holidays=days_off), now=service.clock.now())
    service.start()
    service.settle()
    rows = service.history.runs()
    for name, fire in due.items():
        is_due = fire is not None and fire <= service.clock.now()
        assert sum(run.fire_time == fire and run.timer == name for run in rows) == is_due
    assert sorted(fired) == sorted((run.timer, run.fire_time) for run in rows if run.fire_time < START + DAY / 2)


def test_a_calendar_in_use_is_not_removed(store: Store) -> None:
    """By disabled timers too; another one, or none, sets it free."""
    table, timetable = CalendarTable(store), TimerTable(store)
    table.add("firm", WorkingDays(), now=START)
    timetable.add([daily(enabled=False)], now=START)
    with pytest.raises(TimerError, match="calendar 'firm' is used by 't'"):
        table.remove("firm", now=START)
    edited = timetable.edit("t", Environment.PRODUCTION, {"calendar": None}, now=START)
    assert (edited.timer.calendar, edited.timer.working_days) == (None, None)
    table.remove("firm", now=START)
    assert table.list() == []
    with pytest.raises(UnknownCalendarError, match="no calendar 'firm'; there are no calendars"):
        table.get("firm")


def test_a_timer_names_a_calendar_that_there_is(store: Store) -> None:
    """When it is added and when it is edited."""
    table, timetable = CalendarTable(store), TimerTable(store)
    with pytest.raises(UnknownCalendarError, match="no calendar 'firm'"):
        timetable.add([daily()], now=START)
    table.add("cn", WorkingDays(), now=START)
    with pytest.raises(TimerError, match="there is a calendar 'cn' already"):
        table.add("cn", WorkingDays(), now=START)
    timetable.add([daily(calendar=None)], now=START)
    with pytest.raises(UnknownCalendarError, match="no calendar 'firm'; known calendars: cn"):
        timetable.edit("t", Environment.PRODUCTION, {"calendar": "firm"}, now=START)
    edited = timetable.edit("t", Environment.PRODUCTION, {"calendar": "cn"}, now=START + 2 * DAY)
    assert edited.next_fire == at(MONDAY)


def test_a_calendar_that_is_gone_keeps_its_timers_waiting(service: Service) -> None:
    """Its row was deleted by hand: they stay due, others fire, and nothing is moved."""
    CalendarTable(service.store).add("firm", WorkingDays(holidays={FRIDAY: "gone"}), now=START)
    service.timetable.add([daily(), daily("plain", calendar=None)], now=START)
    with service.store.writing() as connection:
        connection.execute(delete(calendars))
    # As in a process that did not know it before.
    calendar_content._KNOWN.clear()
    service.after(9 * 3600)
    assert {run.timer for run in service.history.runs()} == {"plain"}
    assert service.timetable.get("t").next_fire == at(START.date())
    assert TzdataUpdates(service.store).check_first(10) == []
    assert [calendar.name for calendar in CalendarTable(service.store).list()] == []


def test_the_end_of_a_calendar_is_seen_sixty_days_ahead(store: Store) -> None:
    """One without holidays has none."""
    table = CalendarTable(store)
    table.add("firm", WorkingDays(holidays=[FRIDAY]), now=START)
    table.add("week", WorkingDays(), now=START)
    firm, week = table.list()
    assert (firm.ends_soon(date(2026, 11, 1)), firm.ends_soon(date(2026, 11, 2))) == (False, True)
    assert not week.ends_soon(date(2099, 1, 1))
