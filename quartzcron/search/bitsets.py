"""The seconds of many days of UTC at which a schedule fires, as bit sets; overlaps and unions are computed with them.

A BitTable divides the days of a DaySpan into classes that fire at the same seconds. Both are sets: the days as bits
from the first one of the span, the times as 86,400 bits. So uniting or intersecting two schedules for a year takes a
few operations on integers, however often they fire. A day on which a transition of a zone matters is a span of its own.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import reduce

from ..fields import FIRST_YEAR, LAST_YEAR
from ..wall.times import DAY, lowest, members
from ..zones.dst_policies import OffsetPeriod, any_within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..wall.pattern import WallPattern
    from ..wall.times import TimeRule
    from ..zones.zone import Zone
    from .compiled import CompiledExpression

# The days of UTC on which anything fires, in any zone, and the second before and the one after them.
FIRST_DAY = date(FIRST_YEAR, 1, 1).toordinal() - 1
LAST_DAY = date(LAST_YEAR, 12, 31).toordinal() + 1
BEFORE_ALL = FIRST_DAY * DAY - 1
AFTER_ALL = (LAST_DAY + 1) * DAY

_TIMES = 512
_times: dict[TimeRule, int] = {}

# Classes of days that fire at the same seconds: (days, times), neither empty, no day in two classes.
BitTable = list[tuple[int, int]]


class DaySpan:
    """Days of UTC, as ordinals in [start, end), all in one year.

    `in_transition` are the zones with a transition that matters on them; if there are any, the span is a single day.
    """

    __slots__ = ("end", "in_transition", "start")

    def __init__(self, start: int, end: int, in_transition: Sequence[Zone] = ()) -> None:
        self.start, self.end, self.in_transition = start, end, in_transition


def span_at(day: int, zones: list[Zone]) -> DaySpan:
    """The longest span around a day without a transition of any zone; that day alone if a transition matters on it."""
    year = date.fromordinal(day).year
    start, end = date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal()
    in_transition = []
    for zone in zones:
        for instant, before, after in [t for near in (year - 1, year, year + 1) for t in zone.transitions(near)]:
            reach = abs(after - before)
            first, last = (instant - reach) // DAY, (instant + reach) // DAY
            if last < day:
                start = max(start, last + 1)
            elif day < first:
                end = min(end, first)
            elif zone not in in_transition:
                in_transition.append(zone)
    return DaySpan(day, day + 1, in_transition) if in_transition else DaySpan(start, end)


def table_of(expression: CompiledExpression, zone: Zone, span: DaySpan) -> BitTable:
    """The days and times at which an expression that is read in a zone fires."""
    if zone not in span.in_transition:
        return _plain_table(expression._pattern, zone.offset(span.start * DAY), span)
    times = _times_of_day(expression, zone, span)
    return [(1, times)] if times else []


def either(one: BitTable, other: BitTable) -> BitTable:
    """The union of two tables of the same span."""
    united = []
    covered = reduce(int.__or__, (days for days, _ in other), 0)
    for days, times in one:
        alone = days & ~covered
        if alone:
            united.append((alone, times))
        for their_days, their_times in other if alone != days else ():
            if days & their_days:
                united.append((days & their_days, times | their_times))
    covered = reduce(int.__or__, (days for days, _ in one), 0)
    return united + [(days & ~covered, times) for days, times in other if days & ~covered]


def both(one: BitTable, other: BitTable) -> BitTable:
    """The intersection of two tables of the same span."""
    return [(d, t) for days, times in one for more, others in other if (d := days & more) and (t := times & others)]


def without(one: BitTable, other: BitTable) -> BitTable:
    """The difference of two tables of the same span."""
    for days, times in other:
        left = [(mask & ~days, own) for mask, own in one] + [(mask & days, own & ~times) for mask, own in one]
        one = [(mask, own) for mask, own in left if mask and own]
    return one


def first_in(table: BitTable, span: DaySpan, instant: int) -> int | None:
    """The first instant of a table that is not before another one."""
    place, time = max(divmod(instant - span.start * DAY, DAY), (0, 0))
    for days, times in table:
        if days >> place & 1 and times >> time:
            return (span.start + place) * DAY + time + lowest(times >> time)
    later = [(lowest(days >> place + 1), times) for days, times in table if days >> place + 1]
    if not later:
        return None
    after, times = min(later)
    return (span.start + place + 1 + after) * DAY + lowest(times)


def last_in(table: BitTable, span: DaySpan, instant: int) -> int | None:
    """The last instant of a table that is not after another one."""
    place, time = min(divmod(instant - span.start * DAY, DAY), (span.end - span.start - 1, DAY - 1))
    for days, times in table:
        so_far = times & (1 << time + 1) - 1
        if days >> place & 1 and so_far:
            return (span.start + place) * DAY + so_far.bit_length() - 1
    before = (1 << place) - 1
    earlier = [((days & before).bit_length() - 1, times.bit_length() - 1) for days, times in table if days & before]
    if not earlier:
        return None
    day, time = max(earlier)
    return (span.start + day) * DAY + time


def _plain_table(pattern: WallPattern, offset: int, span: DaySpan) -> BitTable:
    """The table at a constant offset: each day of UTC is the end of one day by wall clock and the start of the next."""
    earlier, past = divmod(offset, DAY)
    here = _days_from(pattern, span.start + earlier, span.end - span.start + 1)
    today, tomorrow = here & (1 << span.end - span.start) - 1, here >> 1
    if not here:
        return []
    times = _times_of(pattern.times)
    late, early = times >> past, (times & (1 << past) - 1) << DAY - past
    classes = [
        (today & tomorrow, late | early),
        (today & ~tomorrow, late),
        (tomorrow & ~today, early),
    ]
    return [(days, seconds) for days, seconds in classes if days and seconds]


def _days_from(pattern: WallPattern, start: int, count: int) -> int:
    """The days by wall clock that fire, as bits from the ordinal `start` on."""
    days = 0
    for year in range(date.fromordinal(start).year, date.fromordinal(start + count).year + 1):
        if FIRST_YEAR <= year <= LAST_YEAR:
            shift = date(year, 1, 1).toordinal() - start
            mask = pattern.days.mask(year)
            days |= mask << shift if shift > 0 else mask >> -shift
    return days & (1 << count) - 1


def _times_of_day(expression: CompiledExpression, zone: Zone, span: DaySpan) -> int:
    """The seconds of a single day of UTC that fire, computed for one period of constant offset after the other."""
    pattern, policy = expression._pattern, expression._policy
    midnight, end = span.start * DAY, span.end * DAY
    times, instant = 0, midnight
    while instant < end:
        period = OffsetPeriod(zone, instant, policy)
        stop = end if period.end is None else min(end, period.end)
        low = instant + period.offset if period.low is None else max(instant + period.offset, period.low)
        high = stop + period.offset if period.high is None else min(stop + period.offset, period.high)
        if low < high:
            times |= _walls(pattern, low, high) << low - period.offset - midnight
        if instant == period.start and period.gap and any_within(pattern, *period.gap):
            times |= 1 << instant - midnight
        instant = stop
    return times


def _walls(pattern: WallPattern, low: int, high: int) -> int:
    """The wall times of a pattern from `low` up to `high`, as bits from `low` on."""
    first = low // DAY
    walls = 0
    for place in range(high // DAY - first + 1):
        if _days_from(pattern, first + place, 1):
            walls |= _times_of(pattern.times) << place * DAY
    return walls >> low - first * DAY & (1 << high - low) - 1


def _times_of(times: TimeRule) -> int:
    """The times of a day as a set of seconds, cached."""
    cached = _times.get(times)
    if cached is None:
        hour = sum(times.seconds << minute * 60 for minute in members(times.minutes))
        cached = sum(hour << start * 3600 for start in members(times.hours))
        if len(_times) >= _TIMES:
            _times.clear()
        _times[times] = cached
    return cached


def clamped_instant(time: datetime, zone: Zone) -> int:
    """The instant of a time, in whole seconds, from BEFORE_ALL to AFTER_ALL."""
    if time.year < FIRST_YEAR - 1:
        return BEFORE_ALL
    if time.year > LAST_YEAR + 1:
        return AFTER_ALL
    return min(max(zone.instant(time), BEFORE_ALL), AFTER_ALL)
