"""Several expressions as one schedule: a union fires when any of them does, an overlap when all do.

An overlap is found exactly and in bounded time: between two changes of a zone's offset the times of day that all have
in common are one mask of 86,400 bits. Where it is empty, the whole stretch is passed over; where not, the search goes
from one of them to the next day on which an expression fires, never from second to second.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, tzinfo
from itertools import product

from .days import FIRST_DAYS
from .errors import CronError
from .expression import CronExpression
from .fields import FIRST_YEAR, LAST_YEAR
from .policies import at_or_after, at_or_before, fires_at
from .search import END_WALL, FIRST_WALL
from .times import DAY, TimeRule, members
from .zone_names import local_zone, zone_key, zone_of
from .zones import Zone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_START = FIRST_WALL - 2 * DAY
_END = END_WALL + 2 * DAY
_WHOLE_DAY = (1 << DAY) - 1
_ALL_DAYS = (1 << 366) - 1


class Schedule(ABC):
    """What unions and overlaps have in common: the questions of a CronExpression that make sense for them.

    Times are as there: an aware question is answered in its own zone; a naive one is wall time, in the zone of the
    expressions if they have one.
    """

    __slots__ = ()

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
        last = None if end is None else _instant(self._moment(end))
        fire = self.next_fire(start)
        while fire is not None and (last is None or _instant(fire) <= last):
            yield fire
            fire = self.next_fire(fire)

    def between(self, start: datetime, end: datetime) -> list[datetime]:
        """The fire times strictly after `start` up to and including `end`."""
        return list(self.fires(start, end))

    @property
    @abstractmethod
    def _expressions(self) -> tuple[CronExpression, ...]:
        """All expressions in it."""

    def _moment(self, time: datetime | None) -> datetime:
        """A time that every expression takes alike; now, if none is given."""
        zones = [expression.tz for expression in self._expressions]
        own = next((zone for zone in zones if zone is not None), None)
        if time is None:
            return datetime.now(UTC).astimezone(own or local_zone())
        if not isinstance(time, datetime):
            raise TypeError(f"a time is a datetime, not {type(time).__name__}")
        if time.tzinfo is not None or own is None:
            return time
        if len({zone_key(zone) for zone in zones}) > 1:
            raise CronError("a naive time is no moment for expressions of different zones; give it one")
        zone = zone_of(own)
        return zone.at(zone.instant(time))


class Union(Schedule):
    """A schedule that fires whenever one of its parts does; see `union`."""

    __slots__ = ("parts",)

    parts: tuple[CronExpression | Overlap, ...]

    def __init__(self, parts: Iterable[CronExpression | Overlap]) -> None:
        self.parts = tuple(parts)

    def next_fire(self, after: datetime | None = None) -> datetime | None:
        """The first fire time strictly after `after` of any part.

        >>> weekly, monthly = CronExpression("0 0 8 ? * MON"), CronExpression("0 0 9 L * ?")
        >>> union(weekly, monthly).next_fire(datetime(2026, 1, 30))
        datetime.datetime(2026, 1, 31, 9, 0)
        """
        after = self._moment(after)
        return min((fire for part in self.parts if (fire := part.next_fire(after))), key=_instant, default=None)

    def prev_fire(self, before: datetime | None = None) -> datetime | None:
        """The last fire time strictly before `before` of any part."""
        before = self._moment(before)
        return max((fire for part in self.parts if (fire := part.prev_fire(before))), key=_instant, default=None)

    def matches(self, time: datetime) -> bool:
        """Whether the whole second of `time` is a fire time of any part."""
        time = self._moment(time)
        return any(part.matches(time) for part in self.parts)

    @property
    def _expressions(self) -> tuple[CronExpression, ...]:
        return tuple(one for part in self.parts for one in _alternatives_of(part))

    def __eq__(self, other: object) -> bool:
        return set(self.parts) == set(other.parts) if isinstance(other, Union) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self.parts))

    def __repr__(self) -> str:
        return f"union({', '.join(map(repr, self.parts))})"


class Overlap(Schedule):
    """A schedule that fires when all of its expressions do; see `overlap`."""

    __slots__ = ("_masks", "expressions")

    expressions: tuple[CronExpression, ...]

    def __init__(self, expressions: Iterable[CronExpression]) -> None:
        self.expressions = tuple(expressions)
        self._masks: dict[tuple[int, ...], int] = {}

    def next_fire(self, after: datetime | None = None) -> datetime | None:
        """The first moment strictly after `after` at which all fire; None if it is proved that there is none.

        >>> lunch_in_paris = CronExpression("0 0 12 * * ?", tz="Europe/Paris")
        >>> evening_in_shanghai = CronExpression("0 0 18 * * ?", tz="Asia/Shanghai")
        >>> print(overlap(lunch_in_paris, evening_in_shanghai).next_fire(datetime(2026, 1, 1, tzinfo=UTC)))
        2026-03-29 10:00:00+00:00
        """
        after = self._moment(after)
        zones = self._zones(after.tzinfo)
        instant = _whole_second(after, zones) + 1
        fresh = True
        while instant < _END:
            if fresh and self._all_fire(instant, zones):
                return zone_of(after.tzinfo).at(instant)
            end = min(_change_after(zone, instant) for zone in zones)
            candidate = _next_bit(self._common(instant, zones), instant)
            if candidate is None or candidate >= end:
                instant, fresh = end, True
                continue
            barren = self._barren_year(candidate, zones)
            found = barren[1] if barren else self._latest_of_next(candidate, zones)
            if found is None:
                return None
            if found == candidate:
                return zone_of(after.tzinfo).at(candidate)
            instant, fresh = min(found, end), found >= end
        return None

    def prev_fire(self, before: datetime | None = None) -> datetime | None:
        """The last moment strictly before `before` at which all expressions fire; None if there is none."""
        before = self._moment(before)
        zones = self._zones(before.tzinfo)
        instant = _whole_second(before, zones) - (not before.microsecond)
        while instant >= _START:
            begin = max(_change_until(zone, instant) for zone in zones)
            candidate = _last_bit(self._common(instant, zones), instant)
            barren = None if candidate is None else self._barren_year(candidate, zones)
            if candidate is None or candidate < begin or (barren and barren[0] <= begin):
                if begin > _START and self._all_fire(begin, zones):
                    return zone_of(before.tzinfo).at(begin)
                instant = begin - 1
                continue
            found = barren[0] - 1 if barren else self._earliest_of_last(candidate, zones)
            if found is None:
                return None
            if found == candidate:
                return zone_of(before.tzinfo).at(candidate)
            instant = found if found >= begin else begin - 1
        return None

    def matches(self, time: datetime) -> bool:
        """Whether all expressions fire at the whole second of `time`."""
        time = self._moment(time)
        return all(expression.matches(time) for expression in self.expressions)

    @property
    def _expressions(self) -> tuple[CronExpression, ...]:
        return self.expressions

    def _zones(self, asked: tzinfo | None) -> tuple[Zone, ...]:
        return tuple(zone_of(asked if expression.tz is None else expression.tz) for expression in self.expressions)

    def _all_fire(self, instant: int, zones: tuple[Zone, ...]) -> bool:
        return all(
            fires_at(e._pattern, zone, e._policy, instant) for e, zone in zip(self.expressions, zones, strict=True)
        )

    def _latest_of_next(self, instant: int, zones: tuple[Zone, ...]) -> int | None:
        latest = instant
        for expression, zone in zip(self.expressions, zones, strict=True):
            found = at_or_after(expression._pattern, zone, expression._policy, instant)
            if found is None:
                return None
            latest = max(latest, found)
        return latest

    def _earliest_of_last(self, instant: int, zones: tuple[Zone, ...]) -> int | None:
        earliest = instant
        for expression, zone in zip(self.expressions, zones, strict=True):
            found = at_or_before(expression._pattern, zone, expression._policy, instant)
            if found is None:
                return None
            earliest = min(earliest, found)
        return earliest

    def _barren_year(self, instant: int, zones: tuple[Zone, ...]) -> tuple[int, int] | None:
        """Of one zone, the first instant of the year around and that of the next, if they have no day in common."""
        wall = instant + zones[0].offset(instant)
        if not FIRST_WALL <= wall < END_WALL or any(zone is not zones[0] for zone in zones):
            return None
        year = datetime.fromordinal(wall // DAY).year
        days = _ALL_DAYS
        for expression in self.expressions:
            days &= expression._pattern.days.mask(year)
        start = instant - wall
        return None if days else (FIRST_DAYS[year] * DAY + start, FIRST_DAYS[year + 1] * DAY + start)

    def _common(self, instant: int, zones: tuple[Zone, ...]) -> int:
        """The seconds of a day of UTC that all have in common as long as no zone changes its offset."""
        offsets = tuple(zone.offset(instant) for zone in zones)
        common = self._masks.get(offsets)
        if common is None:
            common = _WHOLE_DAY
            for expression, offset in zip(self.expressions, offsets, strict=True):
                common &= _turned(_day_mask(expression._pattern.times), offset % DAY)
            self._masks[offsets] = common
        return common

    def __eq__(self, other: object) -> bool:
        return set(self.expressions) == set(other.expressions) if isinstance(other, Overlap) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self.expressions))

    def __repr__(self) -> str:
        return f"overlap({', '.join(map(repr, self.expressions))})"

    def __reduce__(self) -> tuple[object, ...]:
        return Overlap, (self.expressions,)


def union(*schedules: CronExpression | Schedule) -> Union:
    """What fires whenever one of these does, once where several do.

    >>> both = union(CronExpression("0 0 8 13 * ?"), CronExpression("0 0 8 ? * FRI"))
    >>> [fire.day for fire in both.between(datetime(2026, 1, 1), datetime(2026, 1, 20))]
    [2, 9, 13, 16]
    """
    if not schedules:
        raise CronError("a union has at least one part")
    return Union(_as_part(chosen) for schedule in schedules for chosen in _alternatives(schedule))


def overlap(*schedules: CronExpression | Schedule) -> Schedule:
    """What fires only when all of these do.

    >>> friday_13th = overlap(CronExpression("0 0 8 13 * ?"), CronExpression("0 0 8 ? * FRI"))
    >>> friday_13th.next_fire(datetime(2026, 3, 14))
    datetime.datetime(2026, 11, 13, 8, 0)
    >>> never = overlap(CronExpression("0 0 8 ? * MON"), CronExpression("0 0 8 ? * TUE"))
    >>> print(never.next_fire(datetime(2026, 1, 1)))
    None
    """
    if not schedules:
        raise CronError("an overlap has at least one part")
    choices = list(product(*(_alternatives(schedule) for schedule in schedules)))
    overlaps = [Overlap(expression for part in choice for expression in part) for choice in choices]
    return overlaps[0] if len(overlaps) == 1 else Union(overlaps)


def _alternatives(schedule: CronExpression | Schedule) -> list[tuple[CronExpression, ...]]:
    """A schedule as a list of overlaps of which any one will do."""
    if isinstance(schedule, Union):
        return [_alternatives_of(part) for part in schedule.parts]
    if isinstance(schedule, CronExpression | Overlap):
        return [_alternatives_of(schedule)]
    raise TypeError(f"schedules are made of expressions, not of {type(schedule).__name__}")


def _alternatives_of(part: CronExpression | Overlap) -> tuple[CronExpression, ...]:
    return part.expressions if isinstance(part, Overlap) else (part,)


def _as_part(expressions: tuple[CronExpression, ...]) -> CronExpression | Overlap:
    return expressions[0] if len(expressions) == 1 else Overlap(expressions)


def _instant(time: datetime) -> datetime:
    """What times are ordered by; two readings of one zone compare by wall time, which an overlap repeats."""
    return time if time.tzinfo is None else time.astimezone(UTC)


def _whole_second(time: datetime, zones: tuple[Zone, ...]) -> int:
    if time.year < FIRST_YEAR - 1:
        return _START - 1
    if time.year > LAST_YEAR + 1:
        return _END
    zone = zone_of(time.tzinfo) if time.tzinfo is not None else zones[0]
    return min(max(zone.instant(time), _START - 1), _END)


def _change_after(zone: Zone, instant: int) -> int:
    """The first change of the offset after an instant."""
    for year in range(datetime.fromordinal(instant // DAY).year, LAST_YEAR + 2):
        for change, _, _ in zone.transitions(year):
            if change > instant:
                return change
    return _END


def _change_until(zone: Zone, instant: int) -> int:
    """The last change of the offset that is not after an instant."""
    for year in range(datetime.fromordinal(instant // DAY).year, FIRST_YEAR - 2, -1):
        for change, _, _ in reversed(zone.transitions(year)):
            if change <= instant:
                return change
    return _START


def _day_mask(times: TimeRule) -> int:
    """The times of a day as a set of seconds."""
    hour = sum(times.seconds << minute * 60 for minute in members(times.minutes))
    return sum(hour << start * 3600 for start in members(times.hours))


def _turned(mask: int, offset: int) -> int:
    """The seconds of a day of UTC for those of a day that is `offset` ahead of it."""
    return (mask >> offset | mask << (DAY - offset)) & _WHOLE_DAY


def _next_bit(mask: int, instant: int) -> int | None:
    if not mask:
        return None
    day, time = divmod(instant, DAY)
    later = mask >> time
    if later:
        return instant + (later & -later).bit_length() - 1
    return (day + 1) * DAY + (mask & -mask).bit_length() - 1


def _last_bit(mask: int, instant: int) -> int | None:
    if not mask:
        return None
    day, time = divmod(instant, DAY)
    earlier = mask & (1 << time + 1) - 1
    return day * DAY + earlier.bit_length() - 1 if earlier else (day - 1) * DAY + mask.bit_length() - 1
