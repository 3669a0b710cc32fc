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
    Span,
    Table,
    both,
    either,
    first_in,
    instant_in,
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
from .zones.lookup import local_zone, zone_key, zone_of
from .zones.zone import Zone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .search.compiled import Expression

_MOST = 1000
_DEEPEST = 50
_REMEMBERED = 4


class Schedule(ABC):
    """What unions and overlaps have in common: the questions of a CronExpression that make sense for them.

    Times are as there: an aware question is answered in its own zone; a naive one is wall time, in the zone of the
    expressions if they have one. A schedule is an immutable value; it holds up to 1,000 expressions. What it fires is a
    set that does not depend on where a question begins, also under dst="quartz".
    """

    __slots__ = ("_depth", "_hash", "_tables", "_zones", "expressions", "parts")

    parts: tuple[CompiledExpression | Schedule, ...]
    expressions: tuple[CompiledExpression, ...]
    _depth: int
    _hash: int
    _tables: list[tuple[Zone, Span, Table]]
    _zones: tuple[tzinfo | None, ...]

    def __init__(self, *parts: CompiledExpression | Schedule) -> None:
        found: list[CompiledExpression | Schedule] = []
        for part in parts:
            check_type(part, (CompiledExpression, Schedule), "schedules are made of expressions and schedules")
            found += part.parts if type(part) is type(self) else (part,)
        if not found:
            raise CronError(f"{self._kind} has at least one part")
        expressions = [one for part in found for one in _expressions_of(part)]
        depth = 1 + max(part._depth if isinstance(part, Schedule) else 0 for part in found)
        if len(expressions) > _MOST or depth > _DEEPEST:
            raise CronError(f"a schedule holds up to {_MOST:,} expressions, nested up to {_DEEPEST} deep")
        put(self, "parts", tuple(found))
        put(self, "expressions", tuple(expressions))
        put(self, "_zones", _different(one.tz for one in expressions))
        put(self, "_depth", depth)
        put(self, "_hash", hash((self._kind, frozenset(found))))
        put(self, "_tables", [])

    @property
    @abstractmethod
    def _kind(self) -> str:
        """What it is called."""

    @abstractmethod
    def _table(self, span: Span, asked: tzinfo | None) -> Table:
        """The days and times of a span that fire, for a question in some zone."""

    @abstractmethod
    def next_fire(self, after: datetime | None = None) -> datetime | None:
        """The first fire time strictly after `after`, or None if it is proved that there is none up to 2099."""

    @abstractmethod
    def prev_fire(self, before: datetime | None = None) -> datetime | None:
        """The last fire time strictly before `before`, or None if it is proved that there is none from 1970 on."""

    @abstractmethod
    def matches(self, time: datetime) -> bool:
        """Whether the whole second of `time` is a fire time."""

    def fires(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[datetime]:
        """The fire times strictly after `start` (now, if not given) up to and including `end` (2099, if not given)."""
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
        """A time that every expression takes alike; now, if none is given."""
        own = next((zone for zone in self._zones if zone is not None), None)
        if time is None:
            return datetime.now(UTC).astimezone(own or local_zone())
        check_type(time, datetime, "a time is a datetime")
        if time.tzinfo is not None or own is None:
            zone_of(time.tzinfo)  # which raises for a zone that says nothing
            return time
        if len(self._zones) > 1:
            raise CronError("a naive time is no moment for expressions of different zones; give it one")
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

    __slots__ = ("_askable",)

    _kind = "a union"
    _askable: tuple[CompiledExpression | Schedule, ...]

    def __init__(self, *parts: CompiledExpression | Schedule) -> None:
        super().__init__(*parts)
        # Asked in the first pass of an overlap, what fires in the second one alone takes part of it for over.
        alone = (part if isinstance(part, Schedule) or part.dst == VIXIE else Overlap(part) for part in self.parts)
        put(self, "_askable", tuple(alone))

    def next_fire(self, after: datetime | None = None) -> datetime | None:
        """The first fire time strictly after `after` of any part.

        >>> from quartzcron import CronExpression
        >>> weekly, monthly = CronExpression("0 0 8 ? * MON"), CronExpression("0 0 9 L * ?")
        >>> union(weekly, monthly).next_fire(datetime(2026, 1, 30))
        datetime.datetime(2026, 1, 31, 9, 0)
        """
        after = self._moment(after)
        return min((fire for part in self._askable if (fire := part.next_fire(after))), key=_instant, default=None)

    def prev_fire(self, before: datetime | None = None) -> datetime | None:
        """The last fire time strictly before `before` of any part."""
        before = self._moment(before)
        return max((fire for part in self.parts if (fire := part.prev_fire(before))), key=_instant, default=None)

    def matches(self, time: datetime) -> bool:
        """Whether the whole second of `time` is a fire time of any part."""
        time = self._moment(time)
        return any(part.matches(time) for part in self.parts)

    def _table(self, span: Span, asked: tzinfo | None) -> Table:
        return reduce(either, (_table_of(part, span, asked) for part in self.parts))


class Overlap(Schedule):
    """A schedule that fires when all of its parts do; see `overlap`."""

    __slots__ = ()

    _kind = "an overlap"

    def next_fire(self, after: datetime | None = None) -> datetime | None:
        """The first moment strictly after `after` at which all fire; None if it is proved that there is none.

        >>> from quartzcron import CronExpression
        >>> lunch_in_paris = CronExpression("0 0 12 * * ?", tz="Europe/Paris")
        >>> evening_in_shanghai = CronExpression("0 0 18 * * ?", tz="Asia/Shanghai")
        >>> print(overlap(lunch_in_paris, evening_in_shanghai).next_fire(datetime(2026, 1, 1, tzinfo=UTC)))
        2026-03-29 10:00:00+00:00
        """
        after = self._moment(after)
        carrier = zone_of(after.tzinfo)
        instant = instant_in(after, carrier) + 1
        while instant < AFTER_ALL:
            span, table = self._around(max(instant // DAY, FIRST_DAY), after.tzinfo)
            found = first_in(table, span, instant)
            if found is not None:
                return carrier.at(found)
            instant = span.end * DAY
        return None

    def prev_fire(self, before: datetime | None = None) -> datetime | None:
        """The last moment strictly before `before` at which all expressions fire; None if there is none."""
        before = self._moment(before)
        carrier = zone_of(before.tzinfo)
        instant = instant_in(before, carrier) - (not before.microsecond)
        while instant > BEFORE_ALL:
            span, table = self._around(min(instant // DAY, LAST_DAY), before.tzinfo)
            found = last_in(table, span, instant)
            if found is not None:
                return carrier.at(found)
            instant = span.start * DAY - 1
        return None

    def matches(self, time: datetime) -> bool:
        """Whether all parts fire at the whole second of `time`."""
        time = self._moment(time)
        return all(part.matches(time) for part in self.parts)

    def _around(self, day: int, asked: tzinfo | None) -> tuple[Span, Table]:
        """The span that holds a day, and what fires in it; the last few are remembered."""
        zone = zone_of(asked)
        for of, span, table in tuple(self._tables):
            if of is zone and span.start <= day < span.end:
                return span, table
        span = span_at(day, list({zone_of(asked if tz is None else tz): None for tz in self._zones}))
        table = self._table(span, asked)
        del self._tables[: -_REMEMBERED + 1]
        self._tables.append((zone, span, table))
        return span, table

    def _table(self, span: Span, asked: tzinfo | None) -> Table:
        table = _table_of(self.parts[0], span, asked)
        for part in self.parts[1:]:
            if not table:
                break
            table = both(table, _table_of(part, span, asked))
        return table


def union(*schedules: CompiledExpression | Schedule) -> Union:
    """What fires whenever one of these does, once where several do.

    >>> from quartzcron import CronExpression
    >>> both = union(CronExpression("0 0 8 13 * ?"), CronExpression("0 0 8 ? * FRI"))
    >>> [fire.day for fire in both.between(datetime(2026, 1, 1), datetime(2026, 1, 20))]
    [2, 9, 13, 16]
    """
    return Union(*schedules)


def overlap(*schedules: CompiledExpression | Schedule) -> Overlap:
    """What fires only when all of these do.

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
    if one of them has another zone, or if what is left would take more than 1,000 expressions.

    >>> from quartzcron import CronExpression
    >>> working, lunch = CronExpression("0 0 9-17 ? * MON-FRI"), CronExpression("* * 12 * * ?")
    >>> difference(working, lunch).canonical
    '0 0 9-11,13-17 ? * MON-FRI'
    """
    check_type(expression, CompiledExpression, "fires are taken out of a CronExpression")
    parts = [expression]
    for other in others:
        check_type(other, CompiledExpression, "the fires that are taken out are those of a CronExpression")
        if other.tz is not None and zone_key(other.tz) != zone_key(expression.tz):
            raise CronError("an expression that excludes is read in the zone of the other one, and has no other zone")
        parts = [left for part in parts for left in _difference(part, other)]
        if len(parts) > _MOST:
            raise CronError(f"to say what is left would take more than {_MOST:,} expressions")
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


def _table_of(part: CompiledExpression | Schedule, span: Span, asked: tzinfo | None) -> Table:
    if isinstance(part, Schedule):
        return part._table(span, asked)
    return table_of(part, zone_of(asked if part.tz is None else part.tz), span)


def _different(zones: Iterable[tzinfo | None]) -> tuple[tzinfo | None, ...]:
    """The zones without repetition; some of them do not hash."""
    found: list[tzinfo | None] = []
    for zone in zones:
        if not any(zone is known or zone_key(zone) == zone_key(known) for known in found):
            found.append(zone)
    return tuple(found)


def _instant(time: datetime) -> int:
    """What times are ordered by; two readings of one zone compare by wall time, which an overlap repeats."""
    return instant_in(time, zone_of(time.tzinfo))
