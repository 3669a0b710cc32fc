"""Fire times around the days that a transition touches, and outside 1970-2099.

Where the transition lies outside what is asked, two midnights are enough; else policies.py answers, which is exact
everywhere.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from ..fields import FIRST_YEAR, LAST_YEAR
from ..wall.days import FIRST_DAYS
from ..wall.pattern import END_WALL, FIRST_WALL, WallPattern
from ..wall.times import DAY
from ..zones.dst_policies import Policy, at_or_after, at_or_before, fires_at
from ..zones.lookup import zone_of
from ..zones.zone import Touched, Zone, seconds_of

# Beyond these instants nothing fires in any zone.
_START = FIRST_WALL - 7 * DAY
_END = END_WALL + 7 * DAY


def next_on(pattern: WallPattern, policy: Policy, day: int, after: datetime) -> datetime | None:
    """The first fire on a touched day (by its place in the year) after a plain day, no day between them firing."""
    touched = _touched(after, day)
    if touched is not None:
        start, end, earlier, later = touched
        first = pattern.times.first
        if first < start:
            return earlier + timedelta(0, first)
        if first > end:
            return later + timedelta(0, first)
    return next_exactly(pattern, policy, after)


def next_from(pattern: WallPattern, policy: Policy, today: int, after: datetime) -> datetime | None:
    """The first fire after a time on a touched day."""
    touched = _touched(after, today)
    if touched is None:
        return next_exactly(pattern, policy, after)
    start, end, earlier, later = touched
    time = seconds_of(after) % DAY
    found = None
    if pattern.days.mask(after.year) >> today & 1 and time + 1 < DAY:
        found = pattern.times.at_or_after(time + 1)
    if found is not None and found < start and after.tzinfo is earlier.tzinfo:
        return earlier + timedelta(0, found)
    if time > end and after.tzinfo is later.tzinfo:  # the transition is over
        if found is not None:
            return later + timedelta(0, found)
        midnight = _next_midnight(pattern, after)
        if midnight is not None:
            return midnight + timedelta(0, pattern.times.first)
    return next_exactly(pattern, policy, after)


def _next_midnight(pattern: WallPattern, after: datetime) -> datetime | None:
    """The midnight of the next day that fires; None if there is none or it is not plain."""
    day = pattern.days.day_at_or_after(after.toordinal() + 1)
    if day is None:
        return None
    year = date.fromordinal(day).year
    return zone_of(after.tzinfo).year(year).midnights[day - FIRST_DAYS[year]]


def prev_on(pattern: WallPattern, policy: Policy, day: int, before: datetime) -> datetime | None:
    """The last fire on a touched day before a plain day, no day between them firing."""
    touched = _touched(before, day)
    if touched is not None:
        start, end, earlier, later = touched
        last = pattern.times.last
        if last < start:
            return earlier + timedelta(0, last)
        if last > end:
            return later + timedelta(0, last)
    return prev_exactly(pattern, policy, before)


def prev_from(pattern: WallPattern, policy: Policy, today: int, before: datetime) -> datetime | None:
    """The last fire before a time on a touched day."""
    touched = _touched(before, today)
    if touched is not None and pattern.days.mask(before.year) >> today & 1:
        start, end, earlier, later = touched
        time = seconds_of(before) % DAY
        latest = time if before.microsecond else time - 1
        found = pattern.times.at_or_before(latest) if latest >= 0 else None
        if found is not None and time < start and before.tzinfo is earlier.tzinfo:
            return earlier + timedelta(0, found)
        if found is not None and found > end and before.tzinfo is later.tzinfo:
            return later + timedelta(0, found)
    return prev_exactly(pattern, policy, before)


def next_exactly(pattern: WallPattern, policy: Policy, after: datetime) -> datetime | None:
    """The first fire after any time."""
    zone = zone_of(after.tzinfo)
    found = at_or_after(pattern, zone, policy, instant_of(zone, after) + 1)
    return None if found is None else zone.at(found)


def prev_exactly(pattern: WallPattern, policy: Policy, before: datetime) -> datetime | None:
    """The last fire before any time."""
    zone = zone_of(before.tzinfo)
    found = at_or_before(pattern, zone, policy, instant_of(zone, before) - (not before.microsecond))
    return None if found is None else zone.at(found)


def matches_exactly(pattern: WallPattern, policy: Policy, time: datetime) -> bool:
    """Whether the whole second of any time fires."""
    zone = zone_of(time.tzinfo)
    return fires_at(pattern, zone, policy, instant_of(zone, time))


def instant_of(zone: Zone, time: datetime) -> int:
    """The whole second of a time, brought near to the years in which anything fires."""
    if time.year < FIRST_YEAR - 1:
        return _START
    if time.year > LAST_YEAR + 1:
        return _END
    return min(max(zone.instant(time), _START), _END)


def _touched(time: datetime, day: int) -> Touched | None:
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        return None
    return zone_of(time.tzinfo).year(time.year).touched.get(day)
