"""Fire times on and around the days that an offset transition affects, and outside 1970-2099.

If the transition is on one side of the times in question, two midnights are enough; otherwise dst_policies.py computes
the answer, which is exact everywhere.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from ..fields import FIRST_YEAR, LAST_YEAR
from ..wall.days import FIRST_DAYS
from ..wall.pattern import END_WALL, FIRST_WALL, WallPattern
from ..wall.times import DAY
from ..zones.dst_policies import DstPolicy, at_or_after, at_or_before, fires_at
from ..zones.lookup import zone_of
from ..zones.zone import TransitionDay, Zone, seconds_of

# Beyond these instants nothing fires in any zone.
_START = FIRST_WALL - 7 * DAY
_END = END_WALL + 7 * DAY


def next_on(pattern: WallPattern, policy: DstPolicy, day: int, after: datetime) -> datetime | None:
    """The first fire on a transition day (index `day` of its year), if `after` is earlier and no day between fires."""
    transition = _transition_day(after, day)
    if transition is not None:
        start, end, earlier, later = transition
        first = pattern.times.first
        if first < start:
            return earlier + timedelta(0, first)
        if first > end:
            return later + timedelta(0, first)
    return next_exactly(pattern, policy, after)


def next_from(pattern: WallPattern, policy: DstPolicy, today: int, after: datetime) -> datetime | None:
    """The first fire after a time on a transition day."""
    transition = _transition_day(after, today)
    if transition is None:
        return next_exactly(pattern, policy, after)
    start, end, earlier, later = transition
    time = seconds_of(after) % DAY
    following = None
    if pattern.days.mask(after.year) >> today & 1 and time + 1 < DAY:
        following = pattern.times.at_or_after(time + 1)
    if following is not None and following < start and after.tzinfo is earlier.tzinfo:
        return earlier + timedelta(0, following)
    if time > end and after.tzinfo is later.tzinfo:  # the transition is over
        if following is not None:
            return later + timedelta(0, following)
        midnight = _next_midnight(pattern, after)
        if midnight is not None:
            return midnight + timedelta(0, pattern.times.first)
    return next_exactly(pattern, policy, after)


def _next_midnight(pattern: WallPattern, after: datetime) -> datetime | None:
    """The midnight of the next day that fires; None if no later day fires or it is a transition day."""
    day = pattern.days.day_at_or_after(after.toordinal() + 1)
    if day is None:
        return None
    year = date.fromordinal(day).year
    return zone_of(after.tzinfo).year(year).midnights[day - FIRST_DAYS[year]]


def prev_on(pattern: WallPattern, policy: DstPolicy, day: int, before: datetime) -> datetime | None:
    """The last fire on a transition day, if `before` is later and no day between fires."""
    transition = _transition_day(before, day)
    if transition is not None:
        start, end, earlier, later = transition
        last = pattern.times.last
        if last < start:
            return earlier + timedelta(0, last)
        if last > end:
            return later + timedelta(0, last)
    return prev_exactly(pattern, policy, before)


def prev_from(pattern: WallPattern, policy: DstPolicy, today: int, before: datetime) -> datetime | None:
    """The last fire before a time on a transition day."""
    transition = _transition_day(before, today)
    if transition is not None and pattern.days.mask(before.year) >> today & 1:
        start, end, earlier, later = transition
        time = seconds_of(before) % DAY
        latest = time - is_whole(before)
        preceding = pattern.times.at_or_before(latest) if latest >= 0 else None
        if preceding is not None and time < start and before.tzinfo is earlier.tzinfo:
            return earlier + timedelta(0, preceding)
        if preceding is not None and preceding > end and before.tzinfo is later.tzinfo:
            return later + timedelta(0, preceding)
    return prev_exactly(pattern, policy, before)


def next_exactly(pattern: WallPattern, policy: DstPolicy, after: datetime) -> datetime | None:
    """The first fire after any time."""
    zone = zone_of(after.tzinfo)
    instant = at_or_after(pattern, zone, policy, bounded_instant(zone, after) + 1)
    return None if instant is None else zone.at(instant)


def prev_exactly(pattern: WallPattern, policy: DstPolicy, before: datetime) -> datetime | None:
    """The last fire before any time."""
    zone = zone_of(before.tzinfo)
    instant = at_or_before(pattern, zone, policy, bounded_instant(zone, before) - is_whole(before))
    return None if instant is None else zone.at(instant)


def matches_exactly(pattern: WallPattern, policy: DstPolicy, time: datetime) -> bool:
    """Whether the whole second of any time fires."""
    zone = zone_of(time.tzinfo)
    return fires_at(pattern, zone, policy, bounded_instant(zone, time))


def is_whole(time: datetime) -> bool:
    """Whether a time is a whole second: without microseconds, and without the nanoseconds of a pandas.Timestamp."""
    return not time.microsecond and not getattr(time, "nanosecond", 0)


def bounded_instant(zone: Zone, time: datetime) -> int:
    """The instant of a time, in whole seconds, clamped to just outside the years with fire times."""
    if time.year < FIRST_YEAR - 1:
        return _START
    if time.year > LAST_YEAR + 1:
        return _END
    return min(max(zone.instant(time), _START), _END)


def _transition_day(time: datetime, day: int) -> TransitionDay | None:
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        return None
    return zone_of(time.tzinfo).year(time.year).transition_days.get(day)
