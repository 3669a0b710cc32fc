"""Schedule, the base of unions and overlaps: the methods of a CronExpression, and those of a value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from itertools import chain

from ..errors import CronError, check_type, echoed
from ..search import compiled
from ..search.bitsets import BitTable, DaySpan, span_at, table_of
from ..search.calendar import Calendar
from ..search.compiled import CompiledExpression
from ..search.expression_value import put
from ..search.joint_fires import JointFires, instant_of, wall_gaps
from ..search.localize import mixed_times, not_a_datetime
from ..search.working_days import WorkingDays, known_until
from ..text import describe, json_form, pydantic_schema
from ..zones.lookup import local_zone, same_zone, zone_of
from ..zones.zone import Zone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date
    from typing import Any, Self

    # The zone in which an expression with this `tz` is read.
    ZoneFor = Callable[[tzinfo | None], Zone]

MOST = 1000
DEEPEST = 50
_REMEMBERED = 4
_FEW = 1000


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
        if len(expressions) > MOST or depth > DEEPEST:
            raise CronError(f"a schedule holds up to {MOST:,} expressions, nested up to {DEEPEST} deep")
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

    @property
    @abstractmethod
    def _word(self) -> str:
        """Its name in JSON: "union" or "overlap"."""

    @property
    @abstractmethod
    def _joint(self) -> str:
        """The operator between its parts in a text: `||` or `&&`."""

    @abstractmethod
    def _table(self, span: DaySpan, zone_for: ZoneFor) -> BitTable:
        """The days and times of a span that fire."""

    @abstractmethod
    def _batches(self, start: datetime, last: int | None) -> Iterator[list[datetime]]:
        """The fire times strictly after `start` up to the instant `last`, many at a time."""

    # -- fire times --

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
        first, last = self._bounds(start, end)
        return chain.from_iterable(self._batches(first, last))

    def between(self, start: datetime, end: datetime) -> list[datetime]:
        """The fire times strictly after `start` up to and including `end`."""
        return list(self.fires(start, end))

    def count(self, start: datetime, end: datetime) -> int:
        """The number of fire times strictly after `start` up to and including `end`.

        It is read from one table a year, so a century takes a hundred times as long as a year.
        """
        first, last = self._bounds(start, end)
        if last is None:
            raise TypeError("count needs the end of a span of time")
        if self._is_short(first, last):
            return sum(map(len, self._batches(first, last)))
        return self._joint_fires(first).count(instant_of(first) + 1, last)

    def nth(self, n: int, after: datetime | None = None) -> datetime | None:
        """The n-th fire time strictly after `after`, n from 1; None if there are fewer."""
        check_type(n, int, "n must be an int")
        if n < 1:
            raise CronError(f"n must be at least 1, got {echoed(n)}")
        first, _ = self._bounds(after, None)
        if n > _FEW and self._is_dense(first):
            return self._joint_fires(first).nth(n, instant_of(first) + 1)
        for fires in self._batches(first, None):
            if n <= len(fires):
                return fires[n - 1]
            n -= len(fires)
        return None

    @property
    def never_fires(self) -> bool:
        """Whether nothing fires in the years 1970 to 2099; expressions without a zone are read as if in UTC."""
        return self.next_fire(datetime(1969, 1, 1, tzinfo=UTC)) is None

    @property
    def min_gap(self) -> timedelta | None:
        """The shortest time by wall clock from one fire to the next; None if there are fewer than two.

        Raises CronError if the expressions have different zones, and so no wall clock in common.
        """
        gaps = self._gaps()
        return None if gaps is None else timedelta(seconds=gaps[0])

    @property
    def max_gap(self) -> timedelta | None:
        """The longest time by wall clock from one fire to the next; see `min_gap`."""
        gaps = self._gaps()
        return None if gaps is None else timedelta(seconds=gaps[1])

    def _gaps(self) -> tuple[int, int] | None:
        if len(self._zones) > 1:
            raise CronError("expressions of different zones have no wall clock in common, by which gaps are measured")
        naive = zone_of(None)
        return wall_gaps(partial(self._table, zone_for=lambda _: naive), naive)

    def excluding(self, *excluded: Calendar | CompiledExpression | Iterable[date]) -> Schedule:
        """The schedule without the days of calendars, without dates, or without the fires of other expressions.

        >>> from quartzcron import CronExpression
        >>> from quartzcron.schedules import union
        >>> twice = union(CronExpression("0 0 8 * * ?"), CronExpression("0 0 9 * * ?"))
        >>> twice.excluding(CronExpression("0 0 9 1 * ?")).count(datetime(2025, 12, 31, 10), datetime(2026, 1, 2, 10))
        3
        """
        others = tuple(item for item in excluded if isinstance(item, CompiledExpression))
        days = Calendar()
        for item in excluded:
            if not isinstance(item, CompiledExpression):
                days |= item if isinstance(item, Calendar) else Calendar(item)
        return self._without(days, others)

    def on(self, working_days: WorkingDays, roll: str = "skip") -> Schedule:
        """The schedule by a calendar of working days, as `on` of an expression.

        Raises CronError for an overlap whose fires would move: those of its parts can, before it is made.
        """
        return self._on(working_days, roll)

    @property
    def known_until(self) -> date | None:
        """The last day up to which the calendars of working days of all parts are known; None without any."""
        days = [known for one in self.expressions if (known := known_until(one)) is not None]
        return min(days, default=None)

    # -- other forms --

    @property
    def tz(self) -> tzinfo | None:
        """The zone in which all expressions are read; None if they have none, or different ones."""
        return self._zones[0] if len(self._zones) == 1 else None

    @property
    def text(self) -> str:
        """The texts of the parts, joined by `||` in a union and `&&` in an overlap; `from_text` reads it.

        >>> from quartzcron import CronExpression
        >>> from quartzcron.schedules import union
        >>> union(CronExpression("0 0 8 ? * SAT#1"), CronExpression("0 0 8 ? * SAT#3")).text
        '0 0 8 ? * SAT#1 || 0 0 8 ? * SAT#3'
        """
        return f" {self._joint} ".join(
            f"({part.text})" if isinstance(part, Schedule) and len(part.parts) > 1 else part.text for part in self.parts
        )

    @property
    def canonical(self) -> str:
        """The normal forms of the parts, without repetition, sorted and joined as in `text`."""
        texts = {
            f"({part.canonical})" if isinstance(part, Schedule) and len(part.parts) > 1 else part.canonical
            for part in self.parts
        }
        return f" {self._joint} ".join(sorted(texts))

    def describe(self, language: str = "en") -> str:
        """The schedule in words, in English ("en") or 简体中文 ("zh"). Raises CronError for another language.

        >>> from quartzcron import CronExpression
        >>> from quartzcron.schedules import union
        >>> union(CronExpression("0 0 8 ? * SAT#1"), CronExpression("0 0 9 L * ?")).describe()
        'Any of: at 08:00 on the first Saturday of every month; at 09:00 on the last day of every month'
        """
        texts = [
            f"({part.describe(language)})" if isinstance(part, Schedule) else describe.describe(part, language)
            for part in self.parts
        ]
        return texts[0] if len(texts) == 1 else describe.joined(texts, self._word, language)

    def to_json(self) -> dict[str, list[Any]]:
        """The value that json.dumps is to write: the parts as `{"union": […]}` or `{"overlap": […]}`.

        Raises CronError for excluded days.
        """
        return {
            self._word: [part.to_json() if isinstance(part, Schedule) else json_form.write(part) for part in self.parts]
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The schedule of a decoded JSON value; raises CronError for any other value."""
        schedule = from_json(value) if isinstance(value, dict) and set(value) <= {"union", "overlap"} else None
        if not isinstance(schedule, cls):
            raise CronError(f'a schedule must be an object such as {{"union": […]}}, got {echoed(value)}')
        return schedule

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """For pydantic, which calls it for a model with a schedule."""
        return pydantic_schema.schema_of(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        """For pydantic's JSON schema."""
        parts = {"type": "array", "minItems": 1}
        properties = {"union": parts, "overlap": parts}
        return {"title": "Schedule", "type": "object", "properties": properties, "maxProperties": 1, "minProperties": 1}

    # -- how they are computed --

    def _bounds(self, start: datetime | None, end: datetime | None) -> tuple[datetime, int | None]:
        """The time after which fires are wanted, and the instant of the last one."""
        first = self._moment(start)
        last = None if end is None else self._moment(end)
        if last is not None and (first.tzinfo is None) != (last.tzinfo is None):
            raise mixed_times()
        return first, None if last is None else instant_of(last)

    def _moment(self, time: datetime | None) -> datetime:
        """The time that is passed to every part: in the zone of the expressions if it is naive, now if it is None."""
        own = next((zone for zone in self._zones if zone is not None), None)
        if time is None:
            return datetime.now(UTC).astimezone(own or local_zone())
        check_type(time, datetime, "a time must be a datetime")
        if time.year != time.year:  # pandas.NaT
            raise not_a_datetime(time)
        if time.tzinfo is not None or own is None:
            zone_of(time.tzinfo)  # raises for a zone without an offset
            return time
        if len(self._zones) > 1:
            raise CronError("a naive time is ambiguous for expressions of different zones; pass an aware one")
        zone = zone_of(own)
        return zone.at(zone.instant(time))

    def _joint_fires(self, time: datetime) -> JointFires:
        """The fires by the tables of spans, in the zone of a time."""
        return JointFires(zone_of(time.tzinfo), partial(self._around, given=time.tzinfo))

    @abstractmethod
    def _without(self, days: Calendar, others: tuple[CompiledExpression, ...]) -> Schedule:
        """The schedule without the days of a calendar and the fires of other expressions."""

    @abstractmethod
    def _on(self, working_days: WorkingDays, roll: str) -> Schedule:
        """The schedule by a calendar of working days."""

    @abstractmethod
    def _is_dense(self, time: datetime) -> bool:
        """Whether there are so many fires that reading them from tables takes less than merging them."""

    @abstractmethod
    def _is_short(self, first: datetime, last: int) -> bool:
        """Whether reading the fires one by one takes less than a table of a year."""

    def _around(self, day: int, given: tzinfo | None) -> tuple[DaySpan, BitTable]:
        """The span around a day, and its table; the last few are cached."""
        zone = zone_of(given)
        for of, span, table in tuple(self._tables):
            if of is zone and span.start <= day < span.end:
                return span, table
        span = span_at(day, list({zone: None, **{zone_of(given if tz is None else tz): None for tz in self._zones}}))
        table = self._table(span, lambda tz: zone if tz is None else zone_of(tz))
        del self._tables[: -_REMEMBERED + 1]
        self._tables.append((zone, span, table))
        return span, table

    # -- a value among values --

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

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self.parts


def from_json(value: object, *, _depth: int = 0) -> CompiledExpression | Schedule:
    """The schedule or the expression of a decoded JSON value, as `to_json` returns it. Raises CronError.

    >>> from_json({"union": ["0 0 8 ? * SAT#1", {"expression": "0 0 8 ? * SAT#3", "tz": "UTC"}]})
    union(CronExpression('0 0 8 ? * SAT#1'), CronExpression('0 0 8 ? * SAT#3', tz='UTC'))
    """
    kinds = {kind._word: kind for kind in Schedule.__subclasses__()}
    if not isinstance(value, dict) or not set(value) & set(kinds):
        expression: CompiledExpression = compiled.users_class.from_json(value)
        return expression
    (word, parts), *more = value.items()
    if more or word not in kinds or not isinstance(parts, list):
        raise CronError('a schedule must be an object such as {"union": […]} or {"overlap": […]}')
    if _depth > DEEPEST:
        raise CronError(f"a schedule is nested up to {DEEPEST} deep")
    return kinds[word](*(from_json(part, _depth=_depth + 1) for part in parts))


def table_of_part(part: CompiledExpression | Schedule, span: DaySpan, zone_for: ZoneFor) -> BitTable:
    """The days and times of a span at which a part fires."""
    if isinstance(part, Schedule):
        return part._table(span, zone_for)
    return table_of(part, zone_for(part.tz), span)


def _expressions_of(part: CompiledExpression | Schedule) -> tuple[CompiledExpression, ...]:
    return part.expressions if isinstance(part, Schedule) else (part,)


def _without_repetition(zones: Iterable[tzinfo | None]) -> tuple[tzinfo | None, ...]:
    """The zones without repetition; not a set, since some of them do not hash."""
    different: list[tzinfo | None] = []
    for zone in zones:
        if not any(same_zone(zone, known) for known in different):
            different.append(zone)
    return tuple(different)
