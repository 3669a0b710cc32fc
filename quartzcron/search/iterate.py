"""Iterating over fire times: on plain days many at a time, by additions in C; elsewhere from fire to fire."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from itertools import chain, product, starmap
from operator import add

from ..errors import check_type
from ..wall.times import DAY, TimeRule, members
from ..zones.lookup import zone_of
from .compiled import CompiledExpression
from .localize import localized, mixed_times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .year_rows import Rows

# If a day has more fires than this, they are yielded an hour at a time.
_MANY = 1440
# If a day has fewer fires than this, those of all plain days of a year are yielded at a time.
_FEW = 12
_KNOWN_DAYS = 64
_DAY = timedelta(days=1)
_NO_LIMIT = DAY * 366 * 100

# The timedeltas from midnight, or from the beginning of an hour that fires, to each fire.
Deltas = tuple[timedelta, ...]

_day_deltas: dict[TimeRule, tuple[Deltas, Deltas]] = {}


def fires(expression: CompiledExpression, start: datetime | None, end: datetime | None) -> Iterator[datetime]:
    """The fire times strictly after `start` up to and including `end`."""
    for time in (start, end):
        check_type(time, (datetime, type(None)), "a time must be a datetime")
    if end is None:
        return chain.from_iterable(_batches(expression, start, None, None))
    if expression.tz is None and (start is not None and start.tzinfo is None) != (end.tzinfo is None):
        raise mixed_times()
    local = localized(expression.tz, end)[0]
    zone_of(local.tzinfo)  # raises for a zone without an offset
    if local.tzinfo is not None:  # two times of one zone compare by wall time, which repeats in an overlap
        return chain.from_iterable(_batches(expression, start, local.astimezone(UTC), local))
    return chain.from_iterable(_batches(expression, start, local, local))


def _batches(
    expression: CompiledExpression, start: datetime | None, end: datetime | None, local_end: datetime | None
) -> Iterator[Iterable[datetime]]:
    """The fires in batches: a single one, the rest of a plain day, or those of many plain days."""
    hours, deltas = _deltas(expression._pattern.times)
    fire = expression.next_fire(start)
    while fire is not None and (end is None or fire <= end):
        rows, last_day = expression._ahead, _last_day(fire, local_end)
        new_year, _, _, midnights, _ = rows[fire.year]
        today = fire.toordinal() - new_year
        midnight = midnights[today]
        if midnight is None or fire.tzinfo is not rows.tzinfo or today + new_year > last_day:
            if midnight is not None and local_end is not None and _same_day(fire, local_end):
                yield from _rest_of_day(fire, midnight, hours, deltas, local_end - midnight)
                return
            yield (fire,)
            fire = expression.next_fire(fire)
            continue
        yield from _rest_of_day(fire, midnight, hours, deltas, _DAY)
        plain = _plain_days(rows, fire.year, today, last_day - new_year)
        if len(hours) * len(deltas) < _FEW:
            yield starmap(add, product(plain, deltas))
        else:
            for midnight in plain:
                for hour in hours:
                    yield map((midnight + hour).__add__, deltas)
        fire = expression.next_fire((plain[-1] if plain else midnight) + hours[-1] + deltas[-1])


def _last_day(fire: datetime, local_end: datetime | None) -> int:
    """The last day that is entirely before the end; the zone of the fires may be another one than that of the end."""
    if local_end is None:
        return _NO_LIMIT
    return local_end.toordinal() - (1 if local_end.tzinfo is fire.tzinfo else 2)


def _same_day(fire: datetime, local_end: datetime) -> bool:
    return fire.tzinfo is local_end.tzinfo and fire.toordinal() == local_end.toordinal()


def _rest_of_day(
    fire: datetime, midnight: datetime, hours: Deltas, deltas: Deltas, until: timedelta
) -> Iterator[Iterable[datetime]]:
    """A fire on a plain day and the later ones of that day, up to a time of day."""
    time = fire - midnight
    current = bisect_right(hours, time) - 1
    for index, hour in enumerate(hours[current : bisect_right(hours, until)]):
        place = bisect_right(deltas, time - hour) - 1 if index == 0 else 0
        yield map((midnight + hour).__add__, deltas[place : bisect_right(deltas, until - hour)])


def _plain_days(rows: Rows, year: int, today: int, last: int) -> list[datetime]:
    """The midnights of the days after today that fire, up to the last one and before the next that is not plain."""
    zone_year = rows.zone.year(year)
    days = members(rows.days.mask(year))
    end = min(last + 1, zone_year.not_plain[bisect_right(zone_year.not_plain, today)])
    plain = days[bisect_right(days, today) : bisect_left(days, end)]
    return [midnight for day in plain if (midnight := zone_year.midnights[day]) is not None]


def _deltas(times: TimeRule) -> tuple[Deltas, Deltas]:
    """The hours that fire, and the fires within an hour; if a day has few fires, midnight and the fires of the day."""
    cached = _day_deltas.get(times)
    if cached is None:
        hours = [timedelta(hours=hour) for hour in members(times.hours)]
        deltas = [
            timedelta(minutes=minute, seconds=second)
            for minute in members(times.minutes)
            for second in members(times.seconds)
        ]
        if times.count <= _MANY:
            hours, deltas = [timedelta(0)], [hour + delta for hour in hours for delta in deltas]
        if len(_day_deltas) >= _KNOWN_DAYS:
            _day_deltas.clear()
        cached = _day_deltas[times] = (tuple(hours), tuple(deltas))
    return cached
