"""Union and Overlap: a union fires when any of its parts does, an overlap when all do.

A union is merged from the fires of its parts. An overlap is found exactly and in bounded time with the bit sets of
search/bitsets.py: a year without a common fire is skipped as a whole, never from fire to fire, and the cost depends on
the number of expressions alone.
"""

from __future__ import annotations

from datetime import datetime
from functools import reduce

from ..errors import CronError
from ..fields import FIRST_YEAR, LAST_YEAR
from ..search.bitsets import (
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
)
from ..search.calendar import Calendar, without_days
from ..search.compiled import CompiledExpression
from ..search.expression_value import put
from ..search.joint_fires import instant_of, merged
from ..search.transition_days import is_whole
from ..search.working_days import WorkingDays, on_working_days
from ..wall.times import DAY
from ..zones.dst_policies import VIXIE
from ..zones.lookup import zone_of
from .difference import remaining_parts
from .schedule import Schedule, table_of_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..search.compiled import Expression
    from .schedule import ZoneFor

# A union with fewer fires than this is counted one by one.
_SHORT = 20_000
# From so many fires a day for each expression, tables are faster; and the fires that cost as much as a year's table.
_OFTEN, _FEW_A_DAY, _TABLE = 0.9, 50, 200


class Union(Schedule):
    """A schedule that fires whenever one of its parts does; see `union`."""

    __slots__ = ("_next_parts",)

    _kind, _word, _joint = "a union", "union", "||"
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
        return min((fire for part in self._next_parts if (fire := part.next_fire(after))), key=instant_of, default=None)

    def prev_fire(self, before: datetime | None = None) -> datetime | None:
        """The last fire time strictly before `before` of any part."""
        before = self._moment(before)
        return max((fire for part in self.parts if (fire := part.prev_fire(before))), key=instant_of, default=None)

    def matches(self, time: datetime) -> bool:
        """Whether the whole second of `time` is a fire time of any part."""
        time = self._moment(time)
        return any(part.matches(time) for part in self.parts)

    def _without(self, days: Calendar, others: tuple[CompiledExpression, ...]) -> Union:
        return Union(*(_without(part, days, others) for part in self.parts))

    def _on(self, working_days: WorkingDays, roll: str) -> Union:
        return Union(*(_on(part, working_days, roll) for part in self.parts))

    def _batches(self, start: datetime, last: int | None) -> Iterator[list[datetime]]:
        """Merged; but read from tables once there are so many that tables cost less."""
        until, per_day, many = AFTER_ALL if last is None else last, self._per_day(start), len(self.expressions)
        most_a_day = sum(one._pattern.times.count for one in self.expressions)
        batches = merged(self._next_parts, start, until, per_day=per_day, most_a_day=most_a_day)
        if not self._is_dense(start):
            yield from batches
            return
        low = instant_of(start) + 1
        left = 0 if last is not None and (last - low) / DAY * per_day > _TABLE * many else _TABLE * many
        for fires in batches if left else ():
            yield fires
            left -= len(fires)
            if left < 0:
                low = instant_of(fires[-1]) + 1
                break
        if left <= 0:
            yield from self._joint_fires(start).batches(low, until)

    def _is_dense(self, time: datetime) -> bool:
        return self._per_day(time) > max(len(self.expressions), _FEW_A_DAY) * _OFTEN

    def _is_short(self, first: datetime, last: int) -> bool:
        fires = (last - instant_of(first)) / DAY * self._per_day(first)
        # So many that _batches reads them from tables, too.
        is_tabled = fires > _TABLE * len(self.expressions) and self._is_dense(first)
        return fires < _SHORT and not is_tabled

    def _per_day(self, time: datetime) -> float:
        """The fires of all parts, on the average of the year of a time; never zero."""
        year = min(max(time.year, FIRST_YEAR), LAST_YEAR)
        fires = sum(one._pattern.times.count * one._days.mask(year).bit_count() for one in self.expressions)
        return max(fires, 1) / 366

    def _table(self, span: DaySpan, zone_for: ZoneFor) -> BitTable:
        return reduce(either, (table_of_part(part, span, zone_for) for part in self.parts))


class Overlap(Schedule):
    """A schedule that fires when all of its parts do; see `overlap`."""

    __slots__ = ()

    _kind, _word, _joint = "an overlap", "overlap", "&&"

    def next_fire(self, after: datetime | None = None) -> datetime | None:
        """The first time strictly after `after` at which all fire.

        None means there is none up to the end of 2099; the search is exhaustive.

        >>> from quartzcron import CronExpression
        >>> from datetime import UTC
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
        instant = clamped_instant(before, zone) - is_whole(before)
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

    def _without(self, days: Calendar, others: tuple[CompiledExpression, ...]) -> Overlap:
        return Overlap(_without(self.parts[0], days, others), *self.parts[1:])

    def _on(self, working_days: WorkingDays, roll: str) -> Overlap:
        first = _on(self.parts[0], working_days, roll)
        if roll not in ("skip", "only_off"):
            raise CronError("the fires of an overlap do not move; move those of its parts before they are overlapped")
        return Overlap(first, *self.parts[1:])

    def _batches(self, start: datetime, last: int | None) -> Iterator[list[datetime]]:
        return self._joint_fires(start).batches(instant_of(start) + 1, AFTER_ALL if last is None else last)

    def _is_dense(self, time: datetime) -> bool:  # noqa: ARG002 - its fires are read from tables, be they many or few
        return True

    def _is_short(self, first: datetime, last: int) -> bool:  # noqa: ARG002 - its fires are read from the same tables
        return False

    def _table(self, span: DaySpan, zone_for: ZoneFor) -> BitTable:
        table = table_of_part(self.parts[0], span, zone_for)
        for part in self.parts[1:]:
            if not table:
                break
            table = both(table, table_of_part(part, span, zone_for))
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

    The others are read in the zone of the first; they exclude wall times, not whole days. Raises CronError
    if one of them has another zone, or if the remaining fire times need more than 1,000 expressions.

    >>> from quartzcron import CronExpression
    >>> working, lunch = CronExpression("0 0 9-17 ? * MON-FRI"), CronExpression("* * 12 * * ?")
    >>> difference(working, lunch).canonical
    '0 0 9-11,13-17 ? * MON-FRI'
    """
    parts = remaining_parts(expression, others)
    return parts[0] if len(parts) == 1 else Union(*parts)


def _without(
    part: CompiledExpression | Schedule, days: Calendar, others: tuple[CompiledExpression, ...]
) -> CompiledExpression | Schedule:
    if isinstance(part, Schedule):
        return part._without(days, others)
    return difference(without_days(part, days), *others)


def _on(part: CompiledExpression | Schedule, working_days: WorkingDays, roll: str) -> CompiledExpression | Schedule:
    return part._on(working_days, roll) if isinstance(part, Schedule) else on_working_days(part, working_days, roll)
