"""Calendrical: every so many days, weeks, months or years at a wall time, against dateutil and against brute force."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.calendrical import Calendrical
from scheduler.core.zone_names import zone
from scheduler.errors import TimerError
from tests.example_counts import examples
from tests.strategies import calendricals

MICROSECOND = timedelta(microseconds=1)


def walls(trigger: Calendrical, until: date) -> list[datetime]:
    """Its wall times up to a date, by dateutil."""
    months, days = trigger.years * 12 + trigger.months, trigger.weeks * 7 + trigger.days
    options: dict[str, Any] = {"freq": rrule.DAILY, "interval": days}
    if months:
        options = {"freq": rrule.MONTHLY, "interval": months, "bymonthday": trigger.start.day}
    start, end = datetime.combine(trigger.start, trigger.at), datetime.combine(until, time(23, 59, 59))
    return list(rrule.rrule(dtstart=start, until=end, **options))


def instant(wall: datetime, trigger: Calendrical) -> datetime | None:
    """The instant of a wall time by the rule for clock changes, found by trying the seconds around a change."""
    first, second = (wall.replace(tzinfo=zone(trigger.tz), fold=fold).astimezone(UTC) for fold in (0, 1))
    is_read = first.astimezone(zone(trigger.tz)).replace(tzinfo=None) == wall
    if is_read:
        return first if trigger.dst == "vixie" else second
    if trigger.dst == "quartz":
        return None
    # A gap: its end is where the offset changes.
    low, high = min(first, second) - timedelta(seconds=1), max(first, second)
    before = low.astimezone(zone(trigger.tz)).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone(trigger.tz)).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


@settings(max_examples=examples(150), deadline=None)
@given(calendricals(), st.integers(0, 4000))
def test_it_fires_at_the_wall_times_of_dateutil(trigger: Calendrical, offset: int) -> None:
    """Each in its zone by the policy for clock changes; next, previous and count agree."""
    begin = datetime.combine(trigger.start, time(0), tzinfo=UTC) + timedelta(days=offset - 10)
    span = 400 * max(1, trigger.years * 3)
    end = begin + timedelta(days=span)
    listed = {instant(wall, trigger) for wall in walls(trigger, end.date() + timedelta(days=3))} - {None}
    expected = sorted(at for at in listed if at is not None and begin <= at < end)
    found, at = [], begin - MICROSECOND
    while (fire := trigger.next_fire(at)) is not None and fire < end:
        found.append(at := fire)
    assert found == expected
    assert trigger.count(begin, end) == len(expected)
    for fire in expected[:3]:
        # The first instant of a span counts, the one after it does not.
        assert (trigger.count(fire, fire + MICROSECOND), trigger.count(fire - MICROSECOND, fire)) == (1, 0)
    back, at = [], end
    while (fire := trigger.prev_fire(at)) is not None and fire >= begin:
        back.append(at := fire)
    assert back[::-1] == expected


def test_a_day_that_a_zone_leaves_out_fires_at_its_end() -> None:
    """Apia had no 30 December 2011; by Quartz's rule it does not fire, and a month without the day is passed over."""
    friday = {"weeks": 1, "at": "09:00", "start": "2011-12-23", "tz": "Pacific/Apia"}
    after = datetime(2011, 12, 24, tzinfo=UTC)
    assert Calendrical(**friday).next_fire(after) == datetime(2011, 12, 30, 10, tzinfo=UTC)
    quartz = Calendrical(**friday, dst="quartz").next_fire(after)
    assert quartz == datetime(2012, 1, 6, 9, tzinfo=zone("Pacific/Apia"))
    last = Calendrical(months=3, start=date(2026, 12, 31), tz="UTC")
    at, fires = datetime(2026, 12, 1, tzinfo=UTC), []
    for _ in range(3):
        fires.append(at := last.next_fire(at) or at)
    assert [fire.date() for fire in fires] == [date(2026, 12, 31), date(2027, 3, 31), date(2027, 12, 31)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "has years and months, or weeks and days, got none of them"),
        ({"months": 1, "days": 1}, "got '1 month 1 day'"),
        ({"weeks": -1}, "weeks must be a whole number from 0 to 6,783, got -1"),
        ({"months": 1.5}, "months must be a whole number"),
        ({"days": 10**9}, "days must be a whole number from 0 to 47,482"),
        ({"days": 1, "at": "25:00"}, "at: expected a time of day as in 09:00"),
        ({"days": 1, "at": "9"}, "at: expected a time of day"),
        ({"days": 1, "start": "2026-02-30"}, "start: expected a date as in 2026-12-01"),
        ({"days": 1, "start": "1960-01-01"}, "outside the years 1970 to 2099"),
        ({"days": 1, "tz": "Mars/Olympus"}, "Mars/Olympus"),
        ({"days": 1, "dst": "other"}, "other"),
    ],
)
def test_what_is_no_interval_by_the_calendar_is_refused(options: dict[str, Any], said: str) -> None:
    """With what is wrong."""
    with pytest.raises(TimerError, match=said):
        Calendrical(**{"tz": "UTC", **options})
