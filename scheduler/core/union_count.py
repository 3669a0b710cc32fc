"""count_union: the number of instants at which any of several schedules fires. Pure.

For schedules with few fire times, it iterates over them and checks each instant in the others. For schedules with many,
it unites sets of bits, one for each second of a day of UTC, at a cost that does not depend on how often they fire.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from quartzcron import CronExpression
from quartzcron.search.bitsets import DaySpan, span_at, table_of
from quartzcron.zones.lookup import zone_of

from .fire_times import FireTimes
from .timestamps import EPOCH, stamp
from .triggers import Every

_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()
#: The most fire times of a schedule that is iterated; the one with the most is not.
_MOST_WALKED = 2_000


def count_union(parts: Sequence[FireTimes], start: datetime, end: datetime) -> int:
    """The number of instants in [start, end) at which any of these schedules fires."""
    counts = sorted(((part.count(start, end), place) for place, part in enumerate(parts)))
    walked = [parts[place] for count, place in counts[:-1] if 0 < count <= _MOST_WALKED]
    dense = [parts[place] for count, place in counts[:-1] if count > _MOST_WALKED] + [parts[counts[-1][1]]]
    instants = {fire for part in walked for fire in _fires(part, start, end)}
    alone = sum(not any(_fires_at(part, fire) for part in dense) for fire in instants)
    return alone + (dense[0].count(start, end) if len(dense) == 1 else _count_dense(dense, start, end))


def _fires(part: FireTimes, start: datetime, end: datetime) -> Iterator[datetime]:
    fire = part.next_fire(start - _MICROSECOND)
    while fire is not None and fire < end:
        yield fire
        fire = part.next_fire(fire)


def _fires_at(part: FireTimes, instant: datetime) -> bool:
    return part.next_fire(instant - _MICROSECOND) == instant


def _count_dense(parts: Sequence[FireTimes], start: datetime, end: datetime) -> int:
    """The same for schedules with many fire times; those at different microseconds share no instant."""
    by_microsecond: dict[int, list[FireTimes]] = {}
    for part in parts:
        anchor = part.anchor
        by_microsecond.setdefault(anchor.microsecond if anchor else 0, []).append(part)
    return sum(
        _count_seconds(alike, start - timedelta(microseconds=shift), end - timedelta(microseconds=shift), shift)
        for shift, alike in by_microsecond.items()
    )


def _count_seconds(parts: Sequence[FireTimes], start: datetime, end: datetime, shift: int) -> int:
    """The number of seconds in [start, end) that are a fixed number of microseconds before a fire time."""
    first, last = (-(-stamp(bound) // 1_000_000) for bound in (start, end))
    if first >= last:
        return 0
    total = 0
    for day in range(first // _DAY, (last - 1) // _DAY + 1):
        bits = 0
        for part in parts:
            bits |= _seconds_of_day(part, day, shift)
        low, high = max(first - day * _DAY, 0), min(last - day * _DAY, _DAY)
        total += (bits >> low & (1 << high - low) - 1).bit_count()
    return total


def _seconds_of_day(part: FireTimes, day: int, shift: int) -> int:
    """The seconds of a day since 1970 that are this many microseconds before a fire time, as bits."""
    if isinstance(part, Every):
        return _progression(part, day)
    compiled = getattr(part, "compiled", None)
    if isinstance(compiled, CronExpression):
        return _seconds_of_expression(compiled, day)
    midnight = EPOCH + timedelta(days=day, microseconds=shift)
    second = timedelta(seconds=1)
    return _bits((fire - midnight) // second for fire in _fires(part, midnight, midnight + timedelta(days=1)))


def _bits(seconds: Iterable[int]) -> int:
    bits = 0
    for place in seconds:
        bits |= 1 << place
    return bits


def _seconds_of_expression(expression: Any, day: int) -> int:
    ordinal, zone = day + _EPOCH_DAY, zone_of(expression.tz)
    in_transition = span_at(ordinal, [zone]).in_transition
    table = table_of(expression, zone, DaySpan(ordinal, ordinal + 1, in_transition))
    seconds = 0
    for days, times in table:
        seconds |= times if days & 1 else 0
    return seconds


def _progression(every: Every, day: int) -> int:
    """The bits of an interval: the first one, doubled until the day is full."""
    first = stamp(every.anchor) // 1_000_000 + every.seconds - day * _DAY
    if first < 0:
        first %= every.seconds
    if first >= _DAY:
        return 0
    bits, length = 1, every.seconds
    while length < _DAY:
        bits |= bits << length
        length *= 2
    return bits << first & (1 << _DAY) - 1
