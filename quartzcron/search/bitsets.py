"""Which seconds of which days of UTC fire, for a whole stretch of days at a time: what overlaps are found by.

A Table divides the days of a Span into classes that fire at the same seconds. Both are sets, the days as bits from the
first one of the span, the times as 86,400 bits, so that uniting or intersecting two schedules for a year is a handful
of operations on integers, however often they fire. A day on which a change of a zone's offset matters is a span alone.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import reduce

from ..fields import FIRST_YEAR, LAST_YEAR
from ..wall.times import DAY, members
from ..zones.dst_policies import _any_within, _Stretch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..wall.pattern import WallPattern
    from ..wall.times import TimeRule
    from ..zones.zone import Zone
    from .compiled import CompiledExpression

# The days of UTC on which anything fires, whatever its zone, and a second before and after them.
FIRST_DAY = date(FIRST_YEAR, 1, 1).toordinal() - 1
LAST_DAY = date(LAST_YEAR, 12, 31).toordinal() + 1
BEFORE_ALL = FIRST_DAY * DAY - 1
AFTER_ALL = (LAST_DAY + 1) * DAY

_KNOWN = 64
_known: dict[TimeRule, int] = {}

# Classes of days that fire at the same seconds: (days, times), neither empty, no day in two of them.
Table = list[tuple[int, int]]


class Span:
    """Some days of UTC, as ordinals from `start` up to `end`, all of one year.

    `broken` are the zones of which a change of offset matters to it; if there are any, it is a single day.
    """

    __slots__ = ("broken", "end", "start")

    def __init__(self, start: int, end: int, broken: Sequence[Zone] = ()) -> None:
        self.start, self.end, self.broken = start, end, broken


def span_at(day: int, zones: list[Zone]) -> Span:
    """The longest span that holds a day and in which no zone changes its offset, or that day alone if one does."""
    year = date.fromordinal(day).year
    start, end = date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal()
    broken = []
    for zone in zones:
        for instant, before, after in [t for near in (year - 1, year, year + 1) for t in zone.transitions(near)]:
            reach = abs(after - before)
            first, last = (instant - reach) // DAY, (instant + reach) // DAY
            if last < day:
                start = max(start, last + 1)
            elif day < first:
                end = min(end, first)
            elif zone not in broken:
                broken.append(zone)
    return Span(day, day + 1, broken) if broken else Span(start, end)


def table_of(expression: CompiledExpression, zone: Zone, span: Span) -> Table:
    """The days and times of an expression that is read in a zone."""
    if zone not in span.broken:
        return _plain_table(expression._pattern, zone.offset(span.start * DAY), span)
    times = _times_of_day(expression, zone, span)
    return [(1, times)] if times else []


def either(one: Table, other: Table) -> Table:
    """What is in either of two tables of the same span."""
    found = []
    left = reduce(int.__or__, (days for days, _ in other), 0)
    for days, times in one:
        alone = days & ~left
        if alone:
            found.append((alone, times))
        for their_days, their_times in other if alone != days else ():
            if days & their_days:
                found.append((days & their_days, times | their_times))
    left = reduce(int.__or__, (days for days, _ in one), 0)
    return found + [(days & ~left, times) for days, times in other if days & ~left]


def both(one: Table, other: Table) -> Table:
    """What is in both of two tables of the same span."""
    return [(d, t) for days, times in one for more, others in other if (d := days & more) and (t := times & others)]


def first_in(table: Table, span: Span, instant: int) -> int | None:
    """The first instant of a table that is not before another one."""
    place, time = max(divmod(instant - span.start * DAY, DAY), (0, 0))
    for days, times in table:
        if days >> place & 1 and times >> time:
            return (span.start + place) * DAY + time + _lowest(times >> time)
    later = [(_lowest(days >> place + 1), times) for days, times in table if days >> place + 1]
    if not later:
        return None
    after, times = min(later)
    return (span.start + place + 1 + after) * DAY + _lowest(times)


def last_in(table: Table, span: Span, instant: int) -> int | None:
    """The last instant of a table that is not after another one."""
    place, time = min(divmod(instant - span.start * DAY, DAY), (span.end - span.start - 1, DAY - 1))
    for days, times in table:
        earlier = times & (1 << time + 1) - 1
        if days >> place & 1 and earlier:
            return (span.start + place) * DAY + earlier.bit_length() - 1
    before = (1 << place) - 1
    found = [((days & before).bit_length() - 1, times.bit_length() - 1) for days, times in table if days & before]
    if not found:
        return None
    day, time = max(found)
    return (span.start + day) * DAY + time


def _plain_table(pattern: WallPattern, offset: int, span: Span) -> Table:
    """Each day of UTC is the end of one day by wall clock and the beginning of the next."""
    earlier, past = divmod(offset, DAY)
    here = _days_from(pattern, span.start + earlier, span.end - span.start + 1)
    today, tomorrow = here & (1 << span.end - span.start) - 1, here >> 1
    if not here:
        return []
    times = _times_of(pattern.times)
    late, early = times >> past, (times & (1 << past) - 1) << DAY - past
    found = [
        (today & tomorrow, late | early),
        (today & ~tomorrow, late),
        (tomorrow & ~today, early),
    ]
    return [(days, seconds) for days, seconds in found if days and seconds]


def _days_from(pattern: WallPattern, start: int, count: int) -> int:
    """The days by wall clock that fire, as bits from the ordinal `start` on."""
    found = 0
    for year in range(date.fromordinal(start).year, date.fromordinal(start + count).year + 1):
        if FIRST_YEAR <= year <= LAST_YEAR:
            shift = date(year, 1, 1).toordinal() - start
            mask = pattern.days.mask(year)
            found |= mask << shift if shift > 0 else mask >> -shift
    return found & (1 << count) - 1


def _times_of_day(expression: CompiledExpression, zone: Zone, span: Span) -> int:
    """The seconds of a single day of UTC, piece by piece between the changes of the zone's offset."""
    pattern, policy = expression._pattern, expression._policy
    midnight, end = span.start * DAY, span.end * DAY
    found, instant = 0, midnight
    while instant < end:
        stretch = _Stretch(zone, instant, policy)
        stop = end if stretch.end is None else min(end, stretch.end)
        low = instant + stretch.offset if stretch.low is None else max(instant + stretch.offset, stretch.low)
        high = stop + stretch.offset if stretch.high is None else min(stop + stretch.offset, stretch.high)
        if low < high:
            found |= _walls(pattern, low, high) << low - stretch.offset - midnight
        if instant == stretch.start and stretch.gap and _any_within(pattern, *stretch.gap):
            found |= 1 << instant - midnight
        instant = stop
    return found


def _walls(pattern: WallPattern, low: int, high: int) -> int:
    """The wall times of a pattern from `low` up to `high`, as bits from `low` on."""
    first = low // DAY
    found = 0
    for place in range(high // DAY - first + 1):
        if _days_from(pattern, first + place, 1):
            found |= _times_of(pattern.times) << place * DAY
    return found >> low - first * DAY & (1 << high - low) - 1


def _times_of(times: TimeRule) -> int:
    """The times of a day as a set of seconds, remembered for some."""
    found = _known.get(times)
    if found is None:
        hour = sum(times.seconds << minute * 60 for minute in members(times.minutes))
        found = sum(hour << start * 3600 for start in members(times.hours))
        if len(_known) >= _KNOWN:
            _known.clear()
        _known[times] = found
    return found


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def instant_in(time: datetime, zone: Zone) -> int:
    """The whole second of a time, brought to the edge of the years in which anything fires."""
    if time.year < FIRST_YEAR - 1:
        return BEFORE_ALL
    if time.year > LAST_YEAR + 1:
        return AFTER_ALL
    return min(max(zone.instant(time), BEFORE_ALL), AFTER_ALL)
