"""Walking over fire times: plain days are added up in C, many fires at a time; the rest goes from fire to fire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain

from .question import located
from .times import DAY, TimeRule, members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .expression import CronExpression

# A day of more fires than this is walked an hour at a time.
_MANY = 1440
_KNOWN_DAYS = 64

# The times from midnight (or from the beginning of each hour that fires) to each fire.
Deltas = tuple[timedelta, ...]

_day_deltas: dict[TimeRule, tuple[Deltas, Deltas]] = {}


def fires(expression: CronExpression, start: datetime | None, end: datetime | None) -> Iterator[datetime]:
    """The fire times strictly after `start` up to and including `end`."""
    if end is not None and end.tzinfo is None and expression.tz is not None:
        end = located(expression.tz, end)[0]
    if end is not None and end.tzinfo is not None:
        end = end.astimezone(UTC)  # two times of one zone compare by wall time, which an overlap repeats
    return chain.from_iterable(_runs(expression, start, end))


def _runs(expression: CronExpression, start: datetime | None, end: datetime | None) -> Iterator[Iterable[datetime]]:
    """The fires in runs: one alone, or those of a plain day or of an hour of it."""
    hours, deltas = _deltas(expression._pattern.times)
    last_day = DAY * 366 * 100 if end is None else end.toordinal() - 2  # no zone is a day ahead of UTC
    fire = expression.next_fire(start)
    while fire is not None and (end is None or fire <= end):
        carried, rows, first, _ = expression._ahead
        midnight = None
        if fire.tzinfo is carried:
            new_year, days, _, midnights, _ = rows[fire.year]
            index = fire.toordinal() - new_year
            midnight = midnights[index]
        if midnight is None or fire != midnight + first or index + new_year > last_day:
            yield (fire,)
            fire = expression.next_fire(fire)
            continue
        while midnight is not None and index + new_year <= last_day:
            for hour in hours:
                yield map((midnight + hour).__add__, deltas)
            latest = midnight
            index = days[index + 1]
            midnight = midnights[index]
        fire = expression.next_fire(latest + hours[-1] + deltas[-1])


def _deltas(times: TimeRule) -> tuple[Deltas, Deltas]:
    known = _day_deltas.get(times)
    if known is None:
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
        known = _day_deltas[times] = (tuple(hours), tuple(deltas))
    return known
