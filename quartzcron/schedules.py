"""Several expressions as one schedule: a union fires when any of them does, an overlap when all do, a difference when
the first does and none of the others.

Schedules may contain schedules. An overlap is found exactly and in bounded time with the bit sets of search/bitsets.py:
a year without a common fire is skipped as a whole, never from fire to fire, and the cost depends on the number of
expressions alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, tzinfo
from functools import reduce

from .errors import CronError, check_type
from .grammar.canonical import canonical_text
from .search.bitsets import (
    AFTER_ALL,
    BEFORE_ALL,
    FIRST_DAY,
    LAST_DAY,
    BitTable,
    DaySpan,
    both,
    clamped_instant,
    either,
    first_in,
    last_in,
    span_at,
    table_of,
)
from .search.calendar import Calendar, calendar_of, without_days
from .search.compiled import CompiledExpression, make, put
from .search.localize import mixed_times
from .wall.days import day_rule
from .wall.pattern import WallPattern
from .wall.times import DAY, time_rule
from .zones.dst_policies import VIXIE
from .zones.lookup import local_zone, same_zone, zone_of
from .zones.zone import Zone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .search.compiled import Expression

_MOST = 1000
_DEEPEST = 50
_REMEMBERED = 4


class Schedule(ABC):
    """The base of unions and overlaps: the methods of a CronExpression that make sense for them.

    Times are as there: an aware time is answered in its own zone; a naive one is wall time, in the zone of the
    expressions if they have one. A schedule is an immutable value of up to 1,000 expressions. The set of its fire times
    does not depend on the time that is passed, also under dst="quartz".
    """

    __slots__ = ("_depth", "_hash", "_tables", "_zones", "expressions", "parts")

    parts: tuple[CompiledExpression | Schedule, ...]
    expressions: tuple[CompiledExpression, ...]
    _depth: int
    _hash: int
    _tables: list[tuple[Zone, DaySpan, BitTable]]  # the last few that `_around` computed
    _zones: tuple[tzinfo | None, ...]

    def __init__(self, *parts: CompiledExpression | Schedule) -> None:
        flat: list[CompiledExpression | Schedule] = []
        for part in parts:
            check_type(
                part, (CompiledExpression, Schedule), "each part of a schedule must be an expression or a schedule"
            )
            flat += part.parts if type(part) is type(self) else (part,)
        if not flat:
            raise CronError(f"{self._kind} needs at least one part")
        expressions = [one for part in flat for one in _expressions_of(part)]
        depth = 1 + max(part._depth if isinstance(part, Schedule) else 0 for part in flat)
        if len(expressions) > _MOST or depth > _DEEPEST:
            raise CronError(f"a schedule holds up to {_MOST:,} expressions, nested up to {_DEEPEST} deep")
        put(self, "parts", tuple(flat))
        put(self, "expressions", tuple(expressions))
        put(self, "_zones", _without_repetition(one.tz for one in expressions))
        put(self, "_depth", depth)
        put(self, "_hash", hash((self._kind, frozenset(flat))))
        put(self, "_tables", [])

    @property
    @abstractmethod
    def _kind(self) -> str:
        """Its name in error messages."""

    @abstractmethod
    def _table(self, span: DaySpan, given: tzinfo | None) -> BitTable:
        """The days and times of a span that fire, where expressions without a zone are read in `given`."""

    @abstractmethod
    def next_fire(self, after: datetime | None = None) -> datetime | None:
        """The first fire time strictly after `after`.

        None means there is none up to the end of 2099; the search is exhaustive.
        """

    @abstractmethod
    def prev_fire(self, before: datetime | None = None) -> datetime | None:
        """The last fire time strictly before `before`.

        None means there is none from 1970 on; the search is exhaustive.
        """

    @abstractmethod
    def matches(self, time: datetime) -> bool:
        """Whether the whole second of `time` is a fire time."""

    def fires(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[datetime]:
        """The fire times strictly after `start` (default: now) up to and including `end` (default: the end of 2099)."""
        first = self._moment(start)
        last = None if end is None else self._moment(end)
        if last is not None and (first.tzinfo is None) != (last.tzinfo is None):
            raise mixed_times()
        return self._walk(first, None if last is None else _instant(last))

    def _walk(self, start: datetime, last: int | None) -> Iterator[datetime]:
        fire = self.next_fire(start)
        while fire is not None and (last is None or _instant(fire) <= last):
            yield fire
            fire = self.next_fire(fire)

    def between(self, start: datetime, end: datetime) -> list[datetime]:
        """The fire times strictly after `start` up to and including `end`."""
        return list(self.fires(start, end))

    def _moment(self, time: datetime | None) -> datetime:
        """The time that is passed to every part: in the zone of the expressions if it is naive, now if it is None."""
        own = next((zone for zone in self._zones if zone is not None), None)
        if time is None:
            return datetime.now(UTC).astimezone(own or local_zone())
        check_type(time, datetime, "a time must be a datetime")
        if time.tzinfo is not None or own is None:
            zone_of(time.tzinfo)  # raises for a zone without an offset
            return time
        if len(self._zones) > 1:
            raise CronError("a naive time is ambiguous for expressions of different zones; pass an aware one")
        zone = zone_of(own)
        return zone.at(zone.instant(time))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        same = type(self) is type(other) and self._hash == other._hash
        return self is other or (same and set(self.parts) == set(other.parts))

    def __hash__(self) -> int:
        return self._hash

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a schedule is immutable, {name!r} included")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a schedule is immutable, {name!r} included")

    def __repr__(self) -> str:
        return f"{type(self).__name__.lower()}({', '.join(map(repr, self.parts))})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self.parts


class Union(Schedule):
    """A schedule that fires whenever one of its parts does; see `union`."""

    __slots__ = ("_next_parts",)

    _kind = "a union"
    _next_parts: tuple[CompiledExpression | Schedule, ...]

    def __init__(self, *parts: CompiledExpression | Schedule) -> None:
        super().__init__(*parts)
        # Under dst="quartz", an expression that is passed a time in the first pass of an overlap skips earlier wall
        # times in the second pass (see dst_policies.at_or_after); an Overlap of it alone does not.
        exact = (part if isinstance(part, Schedule) or part.dst == VIXIE else Overlap(part) for part in self.parts)
        put(self, "_next_parts", tuple(exact))

    def next_fire(self, after: datetime | None = None) -> datetime | None:
        """The first fire time strictly after `after` of any part.

        >>> from quartzcron import CronExpression
        >>> weekly, monthly = CronExpression("0 0 8 ? * MON"), CronExpression("0 0 9 L * ?")
        >>> union(weekly, monthly).next_fire(datetime(2026, 1, 30))
        datetime.datetime(2026, 1, 31, 9, 0)
        """
        after = self._moment(after)
        return min((fire for part in self._next_parts if (fire := part.next_fire(after))), key=_instant, default=None)

    def prev_fire(self, before: datetime | None = None) -> datetime | None:
        """The last fire time strictly before `before` of any part."""
        before = self._moment(before)
        return max((fire for part in self.parts if (fire := part.prev_fire(before))), key=_instant, default=None)

    def matches(self, time: datetime) -> bool:
        """Whether the whole second of `time` is a fire time of any part."""
        time = self._moment(time)
        return any(part.matches(time) for part in self.parts)

    def _table(self, span: DaySpan, given: tzinfo | None) -> BitTable:
        return reduce(either, (_table_of(part, span, given) for part in self.parts))


class Overlap(Schedule):
    """A schedule that fires when all of its parts do; see `overlap`."""

    __slots__ = ()

    _kind = "an overlap"

    def next_fire(self, after: datetime | None = None) -> datetime | None:
        """The first time strictly after `after` at which all fire.

        None means there is none up to the end of 2099; the search is exhaustive.

        >>> from quartzcron import CronExpression
        >>> lunch_in_paris = CronExpression("0 0 12 * * ?", tz="Europe/Paris")
        >>> evening_in_shanghai = CronExpression("0 0 18 * * ?", tz="Asia/Shanghai")
        >>> print(overlap(lunch_in_paris, evening_in_shanghai).next_fire(datetime(2026, 1, 1, tzinfo=UTC)))
        2026-03-29 10:00:00+00:00
        """
        after = self._moment(after)
        zone = zone_of(after.tzinfo)
        instant = clamped_instant(after, zone) + 1
        while instant < AFTER_ALL:
            span, table = self._around(max(instant // DAY, FIRST_DAY), after.tzinfo)
            first = first_in(table, span, instant)
            if first is not None:
                return zone.at(first)
            instant = span.end * DAY
        return None

    def prev_fire(self, before: datetime | None = None) -> datetime | None:
        """The last time strictly before `before` at which all fire.

        None means there is none from 1970 on; the search is exhaustive.
        """
        before = self._moment(before)
        zone = zone_of(before.tzinfo)
        instant = clamped_instant(before, zone) - (not before.microsecond)
        while instant > BEFORE_ALL:
            span, table = self._around(min(instant // DAY, LAST_DAY), before.tzinfo)
            last = last_in(table, span, instant)
            if last is not None:
                return zone.at(last)
            instant = span.start * DAY - 1
        return None

    def matches(self, time: datetime) -> bool:
        """Whether all parts fire at the whole second of `time`."""
        time = self._moment(time)
        return all(part.matches(time) for part in self.parts)

    def _around(self, day: int, given: tzinfo | None) -> tuple[DaySpan, BitTable]:
        """The span around a day, and its table; the last few are cached."""
        zone = zone_of(given)
        for of, span, table in tuple(self._tables):
            if of is zone and span.start <= day < span.end:
                return span, table
        span = span_at(day, list({zone_of(given if tz is None else tz): None for tz in self._zones}))
        table = self._table(span, given)
        del self._tables[: -_REMEMBERED + 1]
        self._tables.append((zone, span, table))
        return span, table

    def _table(self, span: DaySpan, given: tzinfo | None) -> BitTable:
        table = _table_of(self.parts[0], span, given)
        for part in self.parts[1:]:
            if not table:
                break
            table = both(table, _table_of(part, span, given))
        return table


def union(*schedules: CompiledExpression | Schedule) -> Union:
    """A schedule that fires whenever one of these does, once where several do.

    >>> from quartzcron import CronExpression
    >>> both = union(CronExpression("0 0 8 13 * ?"), CronExpression("0 0 8 ? * FRI"))
    >>> [fire.day for fire in both.between(datetime(2026, 1, 1), datetime(2026, 1, 20))]
    [2, 9, 13, 16]
    """
    return Union(*schedules)


def overlap(*schedules: CompiledExpression | Schedule) -> Overlap:
    """A schedule that fires only when all of these do.

    >>> from quartzcron import CronExpression
    >>> friday_13th = overlap(CronExpression("0 0 8 13 * ?"), CronExpression("0 0 8 ? * FRI"))
    >>> friday_13th.next_fire(datetime(2026, 3, 14))
    datetime.datetime(2026, 11, 13, 8, 0)
    >>> never = overlap(CronExpression("0 0 8 ? * MON"), CronExpression("0 0 8 ? * TUE"))
    >>> print(never.next_fire(datetime(2026, 1, 1)))
    None
    """
    return Overlap(*schedules)


def difference(expression: Expression, *others: CompiledExpression) -> Expression | Union:
    """The fires of an expression without those of the others: an expression if one can express them, else a Union.

    The others are read in the zone of the first; what they take away are wall times, not whole days. Raises CronError
    if one of them has another zone, or if the remaining fire times need more than 1,000 expressions.

    >>> from quartzcron import CronExpression
    >>> working, lunch = CronExpression("0 0 9-17 ? * MON-FRI"), CronExpression("* * 12 * * ?")
    >>> difference(working, lunch).canonical
    '0 0 9-11,13-17 ? * MON-FRI'
    """
    check_type(expression, CompiledExpression, "the expression must be a CronExpression")
    parts = [expression]
    for other in others:
        check_type(other, CompiledExpression, "an excluded expression must be a CronExpression")
        if other.tz is not None and not same_zone(other.tz, expression.tz):
            raise CronError("an excluded expression must have the zone of the other one, or none")
        parts = [left for part in parts for left in _difference(part, other)]
        if len(parts) > _MOST:
            raise CronError(f"the remaining fire times need more than {_MOST:,} expressions")
    return parts[0] if len(parts) == 1 else Union(*parts)


def _difference(expression: Expression, other: CompiledExpression) -> list[Expression]:
    """What is left of an expression without the wall times of another, as expressions that have no time in common.

    The first has the days on which the other does not fire. The rest have the days on which it does: with the hours
    that the other lacks; with the common hours, and the minutes that it lacks; with the common hours and minutes, and
    the seconds that it lacks.
    """
    times, taken = expression._pattern.times, other._pattern.times
    ours = (times.hours, times.minutes, times.seconds)
    theirs = (taken.hours, taken.minutes, taken.seconds)
    common = tuple(one & two for one, two in zip(ours, theirs, strict=True))
    if not all(common):
        return [expression]
    days, excluded = Calendar.of(other), calendar_of(expression) or Calendar()
    parts = [without_days(expression, days)]
    for place in range(3):
        left = (*common[:place], ours[place] & ~theirs[place], *ours[place + 1 :])
        if left[place]:
            parts.append(without_days(_with_times(expression, *left), excluded | days.inverted()))
    return [part for part in parts if not part.never_fires] or parts[:1]


def _with_times(expression: Expression, hours: int, minutes: int, seconds: int) -> Expression:
    """An expression with the same day fields, zone and policy at other times of day; it excludes no days."""
    days = day_rule(expression._days.fields, expression._days.given_years)
    text = canonical_text(WallPattern(days, time_rule(seconds, minutes, hours)), interval=expression._interval)
    return make(type(expression), text, expression.tz, expression.dst)


def _expressions_of(part: CompiledExpression | Schedule) -> tuple[CompiledExpression, ...]:
    return part.expressions if isinstance(part, Schedule) else (part,)


def _table_of(part: CompiledExpression | Schedule, span: DaySpan, given: tzinfo | None) -> BitTable:
    if isinstance(part, Schedule):
        return part._table(span, given)
    return table_of(part, zone_of(given if part.tz is None else part.tz), span)


def _without_repetition(zones: Iterable[tzinfo | None]) -> tuple[tzinfo | None, ...]:
    """The zones without repetition; not a set, since some of them do not hash."""
    different: list[tzinfo | None] = []
    for zone in zones:
        if not any(same_zone(zone, known) for known in different):
            different.append(zone)
    return tuple(different)


def _instant(time: datetime) -> int:
    """The order of times; datetime compares two times of one zone by wall time, which repeats in an overlap."""
    return clamped_instant(time, zone_of(time.tzinfo))
