"""Calendar, a set of days that expressions can exclude: holidays and other dates, weekends, the days of an expression.

A calendar is a mask of 366 bits for each year, as in wall/days.py; wall/layered_days.py removes its days from those of
an expression.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import reduce
from operator import or_

from ..errors import CronError, check_type, echoed
from ..fields import FIRST_YEAR, LAST_YEAR
from ..wall.days import FIRST_DAYS
from .compiled import CompiledExpression, make, with_layers
from .expression_value import VIXIE, put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..wall.days import Layer
    from .compiled import Expression

_ALL_DAYS = (1 << 366) - 1
_YEARS = range(FIRST_YEAR, LAST_YEAR + 1)


class Calendar:
    """A set of days from 1970 to 2099, as an immutable value; `|` unites two, `in` tests a date.

    `dates` are dates, such as the keys of a mapping from the package holidays; `name` is the name of the days in
    descriptions.

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
        check_type(name, (str, type(None)), "the name of a calendar must be a str")
        check_type(dates, Iterable, "the dates of a calendar must be an iterable")
        for day in dates:
            check_type(day, date, "each day of a calendar must be a date")
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
            check_type(day, str, 'a day of the week must be a str such as "MON"')
            if len(day.split()) != 1:
                raise CronError(f'{echoed(day)} is not a day of the week; write "MON" or "MON-FRI"')
        if not week_days:
            raise CronError("a weekly calendar needs at least one day of the week")
        return cls.of(make(CompiledExpression, f"0 0 0 ? * {','.join(week_days)}", None, VIXIE), name=name)

    @classmethod
    def of(cls, expression: CompiledExpression, *, name: str | None = None) -> Calendar:
        """Every day on which a CronExpression fires, at any time.

        >>> from datetime import date
        >>> from quartzcron import CronExpression
        >>> date(2028, 12, 25) in Calendar.of(CronExpression("0 0 0 25,26 12 ?"))
        True
        """
        check_type(expression, CompiledExpression, "the days of a calendar must be a CronExpression")
        return cls._of_masks((expression._days.mask(year) for year in _YEARS), name)

    @classmethod
    def _of_masks(cls, masks: Iterable[int], name: str | None) -> Calendar:
        self = cls(name=name)
        put(self, "_masks", tuple(masks))
        return self

    def mask(self, year: int) -> int:
        """The days of a year from 1970 to 2099, bit 0 being 1 January."""
        check_type(year, int, "a year must be an int")
        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise CronError(f"a year of a calendar must be from {FIRST_YEAR} to {LAST_YEAR}")
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


def calendar_of(expression: CompiledExpression) -> Calendar | None:
    """The calendar whose days an expression excludes; None if there is none."""
    excluded: Any = [layer for layer in expression._days.layers if isinstance(layer, Calendar)]
    return reduce(or_, excluded) if excluded else None


def without_days(expression: Expression, calendar: Calendar) -> Expression:
    """The expression without the days of a calendar, in addition to those that it excludes already."""
    if not calendar:
        return expression
    layers: tuple[Layer, ...] = expression._days.layers
    if layers and isinstance(layers[-1], Calendar):
        return with_layers(expression, (*layers[:-1], layers[-1] | calendar))
    return with_layers(expression, (*layers, calendar))
