"""The fires of several expressions in order: merged, or read from the bit tables of spans of days."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain, compress, pairwise
from operator import ne

from ..fields import FIRST_YEAR, LAST_YEAR
from ..wall.times import DAY, lowest
from ..zones.lookup import zone_of
from . import iterate
from .bitsets import AFTER_ALL, FIRST_DAY, LAST_DAY, BitTable, DaySpan, clamped_instant, span_at
from .compiled import CompiledExpression

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Protocol

    from ..zones.zone import Zone

    class Part(Protocol):
        """An expression or a schedule."""

        def next_fire(self, after: datetime | None = None) -> datetime | None:
            """The first fire time strictly after `after`."""

        def fires(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[datetime]:
            """The fire times strictly after `start` up to and including `end`."""


# A window of a merge holds up to this many fires for each part, the first one fewer: users may want only one.
_FIRST_OF_PART, _OF_PART = 2, 64
_AT_ONCE, _MOST_AT_ONCE = 50_000, 1_000_000
# This many fires of a part are taken one by one, which is faster than preparing to take many.
_STEPS = 6
_LONGEST = 10 * 366 * DAY

# (the instant of its next fire, that fire, the part)
Waiting = tuple[int, datetime, "CompiledExpression | Part"]


def instant_of(time: datetime) -> int:
    """The order of times; datetime compares two times of one zone by wall time, which repeats in an overlap."""
    return clamped_instant(time, zone_of(time.tzinfo))


# -- merged --


def merged(
    parts: Sequence[CompiledExpression | Part], start: datetime, last: int, *, per_day: float, most_a_day: int
) -> Iterator[list[datetime]]:
    """The fires of any part strictly after `start` up to the instant `last`, in order and once, a window at a time.

    A window is sorted as a whole, which costs less than taking the first of all parts again and again. It ends before
    clocks go back, so that the times in it are ordered by wall time.
    """
    zone = zone_of(start.tzinfo)
    waiting = [(instant_of(fire), fire, part) for part in parts if (fire := part.next_fire(start))]
    longest = max(1, min(_MOST_AT_ONCE * DAY // most_a_day, _LONGEST))
    length = min(longest, _first_length(last - instant_of(start), len(parts), per_day))
    clocks_back = -1
    while waiting:
        head = min(instant for instant, _, _ in waiting)
        if head > last:
            return
        if clocks_back <= head:
            clocks_back = _next_overlap(zone, head)
        until = min(head + length - 1, last, clocks_back - 1)
        high = zone.at(until)
        found: list[list[datetime]] = []
        waiting = [one for waits in waiting if (one := _advanced(waits, until, high, found)) is not None]
        fires = _united(found)
        yield fires
        if len(fires) < _OF_PART * len(parts):
            length = min(length * 4, longest)


def _first_length(wanted: int, parts: int, per_day: float) -> int:
    """The seconds of the first window: the whole range, unless it probably has too many fires."""
    if wanted * per_day < _AT_ONCE * DAY:
        return max(1, wanted)
    return max(1, int(_FIRST_OF_PART * parts * DAY / per_day))


def _advanced(waits: Waiting, until: int, high: datetime, found: list[list[datetime]]) -> Waiting | None:
    """A part with its next fire after a window; its fires within the window are added to those that were found."""
    instant, fire, part = waits
    if instant > until:
        return waits
    fires = [fire]
    found.append(fires)
    for _ in range(_STEPS):
        following = part.next_fire(fires[-1])
        if following is None:
            return None
        instant = instant_of(following)
        if instant > until:
            return instant, following, part
        fires.append(following)
    fires += (
        iterate.fires(part, fires[-1], high) if isinstance(part, CompiledExpression) else part.fires(fires[-1], high)
    )
    following = part.next_fire(high)
    return None if following is None else (instant_of(following), following, part)


def _united(lists: list[list[datetime]]) -> list[datetime]:
    """The times of sorted lists in order, each once."""
    if len(lists) == 1:
        return lists[0]
    times = list(chain.from_iterable(lists))
    times.sort()
    return [*times[:1], *compress(times[1:], map(ne, times, times[1:]))]


def _next_overlap(zone: Zone, instant: int) -> int:
    """The next instant at which the clock goes back."""
    year = max(FIRST_YEAR, datetime.fromordinal(max(instant // DAY, 1)).year)
    for near in range(year, LAST_YEAR + 2):
        for change, before, after in zone.transitions(near):
            if change > instant and after < before:
                return change
    return AFTER_ALL + DAY


# -- read from tables --


class JointFires:
    """The fires of a schedule in a zone; `around` gives the span around a day, and its table."""

    __slots__ = ("_around", "_zone")

    def __init__(self, zone: Zone, around: Callable[[int], tuple[DaySpan, BitTable]]) -> None:
        self._zone, self._around = zone, around

    def batches(self, first: int, last: int) -> Iterator[list[datetime]]:
        """The fires from one instant to another, a day at a time."""
        for span, table in self._spans(first, last):
            deltas: dict[int, tuple[timedelta, ...]] = {}
            for day, times in _days_in(table, span, first, last):
                if times not in deltas:
                    deltas[times] = (_few_deltas if times.bit_count() <= _FEW else _deltas)(times)
                yield self._on_day(span, (span.start + day) * DAY, deltas[times])

    def count(self, first: int, last: int) -> int:
        """The number of fires from one instant to another."""
        return sum(_count_in(table, span, first, last) for span, table in self._spans(first, last))

    def nth(self, n: int, first: int) -> datetime | None:
        """The n-th fire from an instant on, n from 1; None if there are fewer."""
        for span, table in self._spans(first, AFTER_ALL):
            here = _count_in(table, span, first, AFTER_ALL)
            if n > here:
                n -= here
                continue
            for day, times in _days_in(table, span, first, AFTER_ALL):
                if n <= times.bit_count():
                    return self._zone.at((span.start + day) * DAY + bits(times)[n - 1])
                n -= times.bit_count()
        return None

    def _spans(self, first: int, last: int) -> Iterator[tuple[DaySpan, BitTable]]:
        day, end = max(first // DAY, FIRST_DAY), min(last // DAY, LAST_DAY)
        while day <= end:
            span, table = self._around(day)
            yield span, table
            day = span.end

    def _on_day(self, span: DaySpan, midnight: int, deltas: tuple[timedelta, ...]) -> list[datetime]:
        """The times of a day of UTC; by addition unless the clock changes on it."""
        if self._zone in span.in_transition:
            second = timedelta(seconds=1)
            return [self._zone.at(midnight + delta // second) for delta in deltas]
        return list(map(self._zone.at(midnight).__add__, deltas))


def _days_in(table: BitTable, span: DaySpan, first: int, last: int) -> list[tuple[int, int]]:
    """The days of a span, in order, with their times between two instants."""
    low, early = max(divmod(first - span.start * DAY, DAY), (0, 0))
    high, late = min(divmod(last - span.start * DAY, DAY), (span.end - span.start - 1, DAY - 1))
    days = []
    for mask, times in table:
        for day in bits(mask >> low << low & (1 << high + 1) - 1):
            here = times >> early << early if day == low else times
            if day == high:
                here &= (1 << late + 1) - 1
            if here:
                days.append((day, here))
    return sorted(days)


def _count_in(table: BitTable, span: DaySpan, first: int, last: int) -> int:
    """The number of fires of a span between two instants."""
    if first <= span.start * DAY and last >= span.end * DAY - 1:
        return sum(days.bit_count() * times.bit_count() for days, times in table)
    low, early = max(divmod(first - span.start * DAY, DAY), (0, 0))
    high, late = min(divmod(last - span.start * DAY, DAY), (span.end - span.start - 1, DAY - 1))
    if low > high:
        return 0
    total = 0
    for mask, times in table:
        days = mask >> low & (1 << high - low + 1) - 1
        total += days.bit_count() * times.bit_count()
        total -= (times & (1 << early) - 1).bit_count() if days & 1 else 0
        total -= (times >> late + 1).bit_count() if days >> high - low & 1 else 0
    return total


def _deltas(times: int) -> tuple[timedelta, ...]:
    return tuple([timedelta(seconds=second) for second in bits(times)])


# So many times of a day are remembered, of the last few schedules.
_FEW = 2_000
_few_deltas = lru_cache(maxsize=32)(_deltas)


def bits(values: int) -> list[int]:
    """The members of a set of many values, in order."""
    text = bin(values)[:1:-1]
    if values.bit_count() * _SPARSE > len(text):
        return list(compress(range(len(text)), text.encode().translate(_AS_NUMBERS)))
    places = []
    place = text.find("1")
    while place >= 0:
        places.append(place)
        place = text.find("1", place + 1)
    return places


# A search for the next member takes as long as a look at so many values.
_SPARSE = 6
_AS_NUMBERS = bytes.maketrans(b"01", b"\0\1")


# -- gaps --


def wall_gaps(table_of: Callable[[DaySpan], BitTable], naive: Zone) -> tuple[int, int] | None:
    """The shortest and the longest time by wall clock from one fire to the next; None if there are fewer than two."""
    within: dict[int, tuple[int, int]] = {}
    gaps: set[int] = set()
    latest, day = None, FIRST_DAY
    while day <= LAST_DAY:
        span = span_at(day, [naive])
        for place, times in _days_in(table_of(span), span, span.start * DAY, span.end * DAY - 1):
            midnight = (span.start + place) * DAY
            if latest is not None:
                gaps.add(midnight + lowest(times) - latest)
            latest = midnight + times.bit_length() - 1
            if times not in within:
                within[times] = _gaps_of_day(times)
        day = span.end
    gaps.update(*within.values())
    gaps.discard(0)
    return (min(gaps), max(gaps)) if gaps else None


def _gaps_of_day(times: int) -> tuple[int, int]:
    """The shortest and the longest time between two successive times of a day; zeros if there is only one."""
    listed = bits(times)
    gaps = [later - earlier for earlier, later in pairwise(listed)] or [0]
    return min(gaps), max(gaps)
