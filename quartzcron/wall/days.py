"""The days of a year that fire. A year has one of 14 shapes (the weekday of 1 January, leap or not), so a day rule is
computed once per shape, as a 366-bit mask: bit i is the (i + 1)th day of the year. No zones, no clock, no text.
"""

from __future__ import annotations

from datetime import date

from ..fields import FIRST_YEAR, LAST_YEAR, WEEK_DAYS, DayFields, Nth, Special

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol, TypeVar

    Made = TypeVar("Made")

    class Layer(Protocol):
        """The effect of a calendar on the days of an expression, see layered_days.py; a Calendar is one, and a Roll."""

        @property
        def name(self) -> str | None:
            """The calendar's name in descriptions."""


# "No more such day in this year": an index past the last day of any year.
NONE_LEFT = 366

_LENGTHS = ((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31))
_STARTS = tuple(tuple(sum(lengths[:month]) for month in range(12)) for lengths in _LENGTHS)
_WEEKLY = ((1 << 7 * 54) - 1) // ((1 << 7) - 1)
_NO_SHAPE = 14
_RULES = 1024

# Plain arithmetic, which runs at import: from 1901 to 2099, every fourth year is a leap year.
FIRST_DAYS = {year: 719_163 + (year - 1970) * 365 + (year - 1969) // 4 for year in range(FIRST_YEAR, LAST_YEAR + 2)}
SHAPES = {year: FIRST_DAYS[year] % 7 + (0 if year % 4 else 7) for year in range(FIRST_YEAR, LAST_YEAR + 1)}
YEARS_OF_SHAPE = [0] * 14
for _year, _its_shape in SHAPES.items():
    YEARS_OF_SHAPE[_its_shape] |= 1 << (_year - FIRST_YEAR)


# For each day of a year an index or a count; see DayRule.ahead, behind and ranks.
DayTable = tuple[int, ...]

_NOTHING: dict[int, Any] = {}


class _NoRows:
    """Stands for Rows before there are any: no time has its tzinfo."""

    __slots__ = ()
    tzinfo = object()


NO_ROWS: Any = _NoRows()


class DayRule:
    """The days that day fields and years name: masks and next-day tables, computed when they are needed.

    Shared by all expressions with the same day fields and years; see day_rule. Days are ordinals, as date.toordinal()
    returns them.
    """

    __slots__ = (
        "_ahead",
        "_behind",
        "_firing",
        "_masks",
        "_ranks",
        "fields",
        "given_years",
        "last_rows",
        "rows_ahead",
        "rows_behind",
    )
    #: The layers of calendars, in order, see layered_days.py; empty here.
    layers: tuple[Layer, ...] = ()
    #: Whether one of them moves fires to working days.
    is_rolled = False

    def __init__(self, fields: DayFields, years: int) -> None:
        self.fields = fields
        self.given_years = years
        self._firing: int | None = None
        self._masks: dict[int, int] = _NOTHING
        self._ahead: dict[int, DayTable] = _NOTHING
        self._behind: dict[int, DayTable] = _NOTHING
        self._ranks: dict[int, DayTable] = _NOTHING
        # Maintained by search/year_rows.py: the Rows for each tzinfo, by its id, and those of `rows_ahead` used last.
        self.rows_ahead: dict[int, Any] = _NOTHING
        self.rows_behind: dict[int, Any] = _NOTHING
        self.last_rows: Any = NO_ROWS

    def mask(self, year: int) -> int:
        """The days of a year that fire, bit 0 being 1 January."""
        return self._mask(SHAPES[year]) if self.given_years >> (year - FIRST_YEAR) & 1 else 0

    def _table_key(self, year: int) -> int:
        """The key of a year's tables: its shape, because years of one shape have the same days."""
        return SHAPES[year] if self.given_years >> (year - FIRST_YEAR) & 1 else _NO_SHAPE

    def ahead(self, year: int) -> DayTable:
        """For each day of a year, itself if it fires, else the next that does, else NONE_LEFT; 368 entries."""
        key = self._table_key(year)
        table = self._ahead.get(key)
        if table is None:
            table = self.keep("_ahead", key, _next_days(self.mask(year)))
        return table

    def behind(self, year: int) -> DayTable:
        """For each day of a year, itself if it fires, else the latest before it that does, else NONE_LEFT.

        The last entry is NONE_LEFT, so that index -1 is the day before 1 January.
        """
        key = self._table_key(year)
        table = self._behind.get(key)
        if table is None:
            table = self.keep("_behind", key, _previous_days(self.mask(year)))
        return table

    def ranks(self, year: int) -> DayTable:
        """For each day of a year, how many before it fire; from entry 366 on, how many fire in the whole year."""
        key = self._table_key(year)
        table = self._ranks.get(key)
        if table is None:
            table = self.keep("_ranks", key, _ranks(self.mask(year)))
        return table

    @property
    def firing_years(self) -> int:
        """The years in which some day fires, as a set; empty if none ever does."""
        if self._firing is None:
            self._firing = 0
            for shape, same in enumerate(YEARS_OF_SHAPE):
                if self.given_years & same and self._mask(shape):
                    self._firing |= self.given_years & same
        return self._firing

    @property
    def key(self) -> tuple[int, tuple[int, ...]]:
        """Equal for two rules exactly if they name the same days."""
        years = self.firing_years
        return years, tuple(self._mask(shape) if years & same else 0 for shape, same in enumerate(YEARS_OF_SHAPE))

    def day_at_or_after(self, day: int) -> int | None:
        """The first day that fires and is not before this one."""
        year = date.fromordinal(day).year
        if FIRST_YEAR <= year <= LAST_YEAR:
            index = self.ahead(year)[day - FIRST_DAYS[year]]
            if index != NONE_LEFT:
                return FIRST_DAYS[year] + index
        later = self._year_after(year)
        return None if later is None else FIRST_DAYS[later] + self.ahead(later)[0]

    def day_at_or_before(self, day: int) -> int | None:
        """The last day that fires and is not after this one."""
        year = date.fromordinal(day).year
        if FIRST_YEAR <= year <= LAST_YEAR:
            index = self.behind(year)[day - FIRST_DAYS[year]]
            if index != NONE_LEFT:
                return FIRST_DAYS[year] + index
        earlier = self._year_before(year)
        return None if earlier is None else FIRST_DAYS[earlier] + self.behind(earlier)[NONE_LEFT - 1]

    def _year_after(self, year: int) -> int | None:
        year = max(year, FIRST_YEAR - 1)
        later = self.firing_years >> (year + 1 - FIRST_YEAR)
        return year + (later & -later).bit_length() if later else None

    def _year_before(self, year: int) -> int | None:
        earlier = self.firing_years & ((1 << max(0, year - FIRST_YEAR)) - 1)
        return FIRST_YEAR + earlier.bit_length() - 1 if earlier else None

    def _mask(self, shape: int) -> int:
        mask = self._masks.get(shape)
        if mask is None:
            mask = self.keep("_masks", shape, _year_mask(self.fields, shape))
        return mask

    def keep(self, name: str, key: int, made: Made) -> Made:
        """Store a table in the dict of this name, which is created for its first entry; return the table."""
        tables = getattr(self, name)
        if tables is _NOTHING:
            tables = {}
            setattr(self, name, tables)
        tables[key] = made
        return made


_rules: dict[tuple[DayFields, int], DayRule] = {}


def day_rule(fields: DayFields, years: int) -> DayRule:
    """The rule of these day fields and years, shared by the expressions that have the same ones."""
    rule = _rules.get((fields, years))
    if rule is None:
        if len(_rules) >= _RULES:
            _rules.clear()
        rule = _rules[fields, years] = DayRule(fields, years)
    return rule


def _next_days(mask: int) -> DayTable:
    table: list[int] = []
    for gap in f"{mask:b}"[::-1].split("1")[:-1]:
        table += [len(table) + len(gap)] * (len(gap) + 1)
    table += [NONE_LEFT] * (NONE_LEFT + 2 - len(table))
    return tuple(table)


def _previous_days(mask: int) -> DayTable:
    table: list[int] = []
    latest = NONE_LEFT
    for gap in f"{mask:b}"[::-1].split("1")[:-1]:
        table += [latest] * len(gap)
        latest = len(table)
        table.append(latest)
    table += [latest] * (NONE_LEFT + 1 - len(table))
    return (*table, NONE_LEFT)


def _ranks(mask: int) -> DayTable:
    from itertools import accumulate

    return tuple(accumulate(map(int, reversed(f"{mask:0{NONE_LEFT + 1}b}")), initial=0))


def _year_mask(fields: DayFields, shape: int) -> int:
    months, month_days, specials, week_days, nth = fields
    leap, offset = divmod(shape, 7)
    if week_days:
        return _weekly(week_days, offset) & _month_spans(months, leap)
    mask = 0
    for month in range(12):
        if months >> (month + 1) & 1:
            start, length = _STARTS[leap][month], _LENGTHS[leap][month]
            first_weekday = (offset + start) % 7
            days = (month_days >> 1) & ((1 << length) - 1)
            for special in specials:
                days |= _special_day(special, length, first_weekday)
            if nth is not None:
                days |= _nth_day(nth, length, first_weekday)
            mask |= days << start
    return mask


# Weekdays are counted here as date.toordinal() does modulo 7: 0 is Sunday, as in Quartz less one.
def _weekly(week_days: int, first_weekday: int) -> int:
    return ((week_days >> WEEK_DAYS.low) * _WEEKLY) >> first_weekday


def _month_spans(months: int, leap: int) -> int:
    spans = 0
    for month in range(12):
        if months >> (month + 1) & 1:
            spans |= ((1 << _LENGTHS[leap][month]) - 1) << _STARTS[leap][month]
    return spans


def _special_day(special: Special, length: int, first_weekday: int) -> int:
    """The day that `L`, `L-n`, `nW`, `LW` or `L-nW` names in a month, as a bit; 0 if the month lacks it."""
    from_end, n, nearest_weekday = special
    day = length - n if from_end else n
    if not 1 <= day <= length:
        return 0
    if nearest_weekday:
        weekday = (first_weekday + day - 1) % 7
        if weekday == 6:
            day += 2 if day == 1 else -1
        elif weekday == 0:
            day += -2 if day == length else 1
    return 1 << (day - 1)


def _nth_day(nth: Nth, length: int, first_weekday: int) -> int:
    """The day that `d#n` or `dL` (n = 0) names in a month, as a bit; 0 if the month lacks it."""
    week_day, n = nth
    day = (week_day - 1 - first_weekday) % 7 + 1
    day += 7 * ((length - day) // 7 if n == 0 else n - 1)
    return 1 << (day - 1) if day <= length else 0
