"""Days taken out of an expression: holidays and other dates, weekends, the fires of another expression.

A calendar is a mask of 366 bits for each year, as in days.py. Its days leave the masks of an expression once; after
that next_fire, count and all the others read the same tables at the same speed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, tzinfo

from .errors import CronError, check_type, echoed
from .expression import CronExpression
from .fields import FIRST_YEAR, LAST_YEAR, DayFields
from .grammar.canonical import canonical_text
from .search.compiled import put
from .wall.day_forms import simplest_days
from .wall.days import FIRST_DAYS, SHAPES, DayRule, _next_days, _previous_days, _ranks, day_rule
from .wall.pattern import WallPattern
from .wall.times import time_rule
from .zones.lookup import zone_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .schedules import Union

_ALL_DAYS = (1 << 366) - 1
_MOST = 1000
_YEARS = range(FIRST_YEAR, LAST_YEAR + 1)


class Calendar:
    """A set of days from 1970 to 2099, as an immutable value; `|` unites two, `in` asks for a date.

    `dates` are dates, such as the keys that the package holidays makes; `name` is what descriptions call the days.

    >>> from datetime import date
    >>> spring_festival = Calendar([date(2026, 2, 16), date(2026, 2, 17)], name="Spring Festival")
    >>> date(2026, 2, 17) in spring_festival, len(spring_festival | Calendar.weekly("SAT", "SUN"))
    (True, 13568)
    """

    __slots__ = ("_masks", "name")

    _masks: tuple[int, ...]
    name: str | None

    def __init__(self, dates: Iterable[date] = (), *, name: str | None = None) -> None:
        masks = [0] * len(_YEARS)
        check_type(name, (str, type(None)), "the name of a calendar is a text")
        check_type(dates, Iterable, "a calendar is made of a list of dates")
        for day in dates:
            check_type(day, date, "a calendar is made of dates")
            if FIRST_YEAR <= day.year <= LAST_YEAR:
                masks[day.year - FIRST_YEAR] |= 1 << day.toordinal() - FIRST_DAYS[day.year]
        put(self, "_masks", tuple(masks))
        put(self, "name", name)

    @classmethod
    def weekly(cls, *week_days: str, name: str | None = None) -> Calendar:
        """Every such day of the week.

        >>> from datetime import date
        >>> date(2026, 1, 3) in Calendar.weekly("SAT", "SUN", name="weekends")
        True
        """
        for day in week_days:
            check_type(day, str, 'a day of the week is a text such as "MON"')
            if len(day.split()) != 1:
                raise CronError(f'{echoed(day)} is no day of the week; write "MON" or "MON-FRI"')
        if not week_days:
            raise CronError("a weekly calendar has at least one day of the week")
        return cls.of(CronExpression(f"0 0 0 ? * {','.join(week_days)}"), name=name)

    @classmethod
    def of(cls, expression: CronExpression, *, name: str | None = None) -> Calendar:
        """Every day on which an expression fires, at whatever time.

        >>> from datetime import date
        >>> date(2028, 12, 25) in Calendar.of(CronExpression("0 0 0 25,26 12 ?"))
        True
        """
        check_type(expression, CronExpression, "the days of a calendar are those of a CronExpression")
        return cls._of_masks((expression._pattern.days.mask(year) for year in _YEARS), name)

    @classmethod
    def _of_masks(cls, masks: Iterable[int], name: str | None) -> Calendar:
        self = cls(name=name)
        put(self, "_masks", tuple(masks))
        return self

    def mask(self, year: int) -> int:
        """The days of a year from 1970 to 2099, bit 0 being 1 January."""
        check_type(year, int, "a year is an int")
        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise CronError(f"the years of a calendar go from {FIRST_YEAR} to {LAST_YEAR}")
        return self._masks[year - FIRST_YEAR]

    def inverted(self) -> Calendar:
        """All the other days."""
        return self._of_masks((~mask & _ALL_DAYS for mask in self._masks), None)

    def __or__(self, other: Calendar) -> Calendar:
        if not isinstance(other, Calendar):
            return NotImplemented
        names = [name for name in (self.name, other.name) if name]
        masks = (one | two for one, two in zip(self._masks, other._masks, strict=True))
        return self._of_masks(masks, " and ".join(names) or None)

    def __contains__(self, day: object) -> bool:
        if not isinstance(day, date) or not FIRST_YEAR <= day.year <= LAST_YEAR:
            return False
        return bool(self.mask(day.year) >> (day.toordinal() - FIRST_DAYS[day.year]) & 1)

    def __iter__(self) -> Iterator[date]:
        for year, mask in zip(_YEARS, self._masks, strict=True):
            for index in range(FIRST_DAYS[year + 1] - FIRST_DAYS[year]):
                if mask >> index & 1:
                    yield date.fromordinal(FIRST_DAYS[year] + index)

    def __len__(self) -> int:
        lengths = (FIRST_DAYS[year + 1] - FIRST_DAYS[year] for year in _YEARS)
        return sum((mask & (1 << n) - 1).bit_count() for mask, n in zip(self._masks, lengths, strict=True))

    def __eq__(self, other: object) -> bool:
        return self._masks == other._masks if isinstance(other, Calendar) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._masks)

    def __repr__(self) -> str:
        return f"<Calendar {self.name or 'of'}{':' if self.name else ''} {len(self)} days>"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Calendar is immutable, {name!r} included")

    def __reduce__(self) -> tuple[Any, ...]:
        return Calendar._of_masks, (self._masks, self.name)


class ExcludingRule(DayRule):
    """The days of a DayRule, less those of a calendar; its tables are per year, since holidays are."""

    __slots__ = ("_calendar",)

    def __init__(self, fields: DayFields, years: int) -> None:
        super().__init__(fields, years)
        self._calendar: Calendar = fields.calendar  # type: ignore[attr-defined]

    def mask(self, year: int) -> int:
        """The days of a year that fire and are not excluded."""
        return super().mask(year) & ~self._calendar.mask(year)

    def ahead(self, year: int) -> tuple[int, ...]:
        """For each day of a year, itself or the next that fires, as DayRule has it."""
        table = self._ahead.get(year)
        if table is None:
            table = self.keep("_ahead", year, _next_days(self.mask(year)))
        return table

    def behind(self, year: int) -> tuple[int, ...]:
        """For each day of a year, itself or the latest before it that fires, as DayRule has it."""
        table = self._behind.get(year)
        if table is None:
            table = self.keep("_behind", year, _previous_days(self.mask(year)))
        return table

    def ranks(self, year: int) -> tuple[int, ...]:
        """For each day of a year, how many before it fire, as DayRule has it."""
        table = self._ranks.get(year)
        if table is None:
            table = self.keep("_ranks", year, _ranks(self.mask(year)))
        return table

    @property
    def firing_years(self) -> int:
        """The years in which some day fires, as a set."""
        if self._firing is None:
            self._firing = sum(1 << place for place, year in enumerate(_YEARS) if self.mask(year))
        return self._firing

    @property
    def key(self) -> tuple[int, tuple[int, ...]]:
        """That of a plain DayRule of the same days, if there can be one; else the masks of all 130 years."""
        masks = [self.mask(year) for year in _YEARS]
        by_shape = [0] * 14
        for year, mask in zip(_YEARS, masks, strict=True):
            if mask and by_shape[SHAPES[year]] not in (0, mask):
                return self.firing_years, tuple(masks)
            by_shape[SHAPES[year]] |= mask
        return self.firing_years, tuple(by_shape)


class ExcludedDays(tuple):  # type: ignore[type-arg]
    """Day fields with the calendar that is taken out of them; day_rule makes them an ExcludingRule."""

    rule = ExcludingRule
    calendar: Calendar

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExcludedDays) and tuple.__eq__(self, other) and self.calendar == other.calendar

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((tuple.__hash__(self), self.calendar))


class ExcludingExpression(CronExpression):
    """A CronExpression without the days of a calendar; see `excluding`."""

    __slots__ = ()

    @property
    def calendar(self) -> Calendar:
        """The days that never fire."""
        found: Calendar = self._fields.days.calendar  # type: ignore[attr-defined]
        return found

    @property
    def canonical(self) -> str:
        """The normal form, if there is an expression with just these days; raises CronError if not."""
        found = simplest_days(self._pattern.days.key)
        if found is None and not self.never_fires:
            raise CronError("no cron expression says which days a calendar takes out")
        if found is None:
            return CronExpression(self.text).canonical
        return canonical_text(WallPattern(day_rule(*found), self._pattern.times), interval=self._fields.interval)

    def describe(self, language: str = "en") -> str:
        """What is said of the expression and, where it takes more than a cron expression, of its calendar.

        >>> closed = Calendar.of(CronExpression("0 0 0 1 5 ? 2026"), name="Labour Day 2026")
        >>> CronExpression("0 0 8 ? * MON-FRI").excluding(closed).describe()
        'At 08:00, Monday to Friday, except on Labour Day 2026'
        """
        from .text.describe import describe, with_exception

        if self.never_fires or simplest_days(self._pattern.days.key) is not None:
            return describe(self, language)
        whole = CronExpression(self.text, tz=self.tz, dst=self.dst)
        return with_exception(describe(whole, language), self.calendar.name, language)

    def __repr__(self) -> str:
        return f"{super().__repr__()}.excluding({self.calendar!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _without, (self.text, self.tz, self.dst, self.calendar)


def excluding(
    expression: CronExpression, *excluded: Calendar | CronExpression | Iterable[date]
) -> CronExpression | Union:
    """An expression without the days of calendars, without some dates, or without the fires of other expressions.

    Other expressions are read in the zone of this one, and take away the times that they name, not whole days; what is
    left is a Union then, unless they name every time of a day or none. Raises CronError if they have another zone.

    >>> import datetime
    >>> weekdays = CronExpression("0 0 8 ? * MON-FRI")
    >>> holidays = Calendar.of(CronExpression("0 0 0 1 1 ?"))
    >>> weekdays.excluding(holidays).next_fire(datetime.datetime(2025, 12, 31, 8))
    datetime.datetime(2026, 1, 2, 8, 0)
    """
    check_type(expression, CronExpression, "what days are taken out of is a CronExpression")
    calendar = _calendar(expression)
    others: list[CronExpression] = []
    for item in excluded:
        if isinstance(item, CronExpression):
            others.append(item)
        else:
            calendar |= item if isinstance(item, Calendar) else Calendar(item)
    parts = [_without(expression.text, expression.tz, expression.dst, calendar) if excluded else expression]
    for other in others:
        if other.tz is not None and zone_key(other.tz) != zone_key(expression.tz):
            raise CronError("an expression that excludes is read in the zone of the other one, and has no other zone")
        parts = [left for part in parts for left in _difference(part, other)]
        if len(parts) > _MOST:
            raise CronError(f"to say what is left would take more than {_MOST:,} expressions")
    if len(parts) == 1:
        return parts[0]
    from .schedules import Union

    return Union(*parts)


def _difference(expression: CronExpression, other: CronExpression) -> list[CronExpression]:
    """What is left of an expression without the wall times of another, in expressions that have none in common."""
    times, taken = expression._pattern.times, other._pattern.times
    ours = (times.hours, times.minutes, times.seconds)
    theirs = (taken.hours, taken.minutes, taken.seconds)
    common = tuple(one & two for one, two in zip(ours, theirs, strict=True))
    if not all(common):
        return [expression]
    days = Calendar.of(other)
    parts = [_with_calendar(expression, days)]
    for place in range(3):
        left = (*common[:place], ours[place] & ~theirs[place], *ours[place + 1 :])
        if left[place]:
            hours, minutes, seconds = left
            pattern = WallPattern(
                day_rule(_plain_days(expression), expression._fields.years), time_rule(seconds, minutes, hours)
            )
            text = canonical_text(pattern, interval=expression._fields.interval)
            part = _without(text, expression.tz, expression.dst, _calendar(expression))
            parts.append(_with_calendar(part, days.inverted()))
    return [part for part in parts if not part.never_fires] or parts[:1]


def _plain_days(expression: CronExpression) -> DayFields:
    months, month_days, specials, week_days, nth = expression._fields.days
    return months, month_days, specials, week_days, nth


def _calendar(expression: CronExpression) -> Calendar:
    return getattr(expression._fields.days, "calendar", Calendar())


def _with_calendar(expression: CronExpression, calendar: Calendar) -> CronExpression:
    return _without(expression.text, expression.tz, expression.dst, _calendar(expression) | calendar)


def _without(text: str, tz: tzinfo | None, dst: str, calendar: Calendar) -> CronExpression:
    if calendar == Calendar():
        return CronExpression(text, tz=tz, dst=dst)
    self = ExcludingExpression(text, tz=tz, dst=dst)
    fields = self._fields
    days = ExcludedDays(fields.days)
    days.calendar = calendar
    put(self, "_days", day_rule(days, fields.years))
    return self
