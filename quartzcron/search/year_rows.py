"""Rows: the data of each year for next_fire, for the days of an expression in one zone, as one tuple per year.

Rows is a dict from years to rows that computes a row when it is first read, and is shared by all expressions with the
same days. The number of rows is bounded: only the most recently computed ones are kept.
"""

from __future__ import annotations

from datetime import date, datetime, tzinfo

from ..fields import FIRST_YEAR, LAST_YEAR
from ..wall.days import FIRST_DAYS, NONE_LEFT, DayRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..zones.zone import Midnights, Zone

    # new_year, days, plain, midnights, outside; see above CompiledExpression.next_fire. In RowsBehind, `days` has
    # the latest day up to each day, and `outside` is the midnight of the last day that fires in an earlier year.
    Row = tuple[int, tuple[int, ...], Midnights, Midnights, datetime | None]

NEVER = datetime.max

_ROWS = 8192
_ZONES = 64
_NO_MIDNIGHTS = (None,) * (NONE_LEFT + 2)
_NO_DAYS = (NONE_LEFT,) * (NONE_LEFT + 2)


class Rows(dict[int, "Row"]):
    """The rows of a day rule in which next_fire looks, for times with one tzinfo."""

    __slots__ = ("days", "tzinfo", "zone")

    def __init__(self, days: DayRule, zone: Zone, given: tzinfo | None) -> None:
        super().__init__()
        # Rows are found by the id of the tzinfo; holding it here keeps the id from being reused for another object.
        self.days, self.zone, self.tzinfo = days, zone, given

    def __missing__(self, year: int) -> Row:
        if type(year) is not int:  # pandas.NaT
            raise TypeError("a time must be a datetime, got NaT")
        if not FIRST_YEAR <= year <= LAST_YEAR:
            return date(year, 1, 1).toordinal(), _NO_DAYS, _NO_MIDNIGHTS, _NO_MIDNIGHTS, None
        zone_year = self.zone.year(year)
        row = self[year] = (
            FIRST_DAYS[year],
            self._table(year),
            zone_year.midnights_with(self.tzinfo),
            zone_year.midnights,
            None,
        )
        zone_year.users.append(self)
        _recent.append((self, year))
        if len(_recent) > _ROWS:
            for rows, oldest in _recent[: _ROWS // 2]:
                rows.pop(oldest, None)
            del _recent[: _ROWS // 2]
        return row

    def find_outside(self, year: int) -> datetime | None:
        """Compute the last part of a row, store it and return it."""
        day = self._day_outside(year)
        outside: datetime | None = NEVER
        if day is not None:
            its_year = date.fromordinal(day).year
            outside = self.zone.year(its_year).midnights[day - FIRST_DAYS[its_year]]
        self[year] = (*self[year][:4], outside)
        return outside

    def _table(self, year: int) -> tuple[int, ...]:
        return self.days.ahead(year)

    def _day_outside(self, year: int) -> int | None:
        return self.days.day_at_or_after(FIRST_DAYS[year + 1])


class RowsBehind(Rows):
    """The rows of a day rule in which prev_fire looks."""

    __slots__ = ()

    def _table(self, year: int) -> tuple[int, ...]:
        return self.days.behind(year)

    def _day_outside(self, year: int) -> int | None:
        return self.days.day_at_or_before(FIRST_DAYS[year] - 1)


# The oldest first; when there are too many, the older half is dropped.
_recent: list[tuple[Rows, int]] = []


def rows_ahead(days: DayRule, given: tzinfo | None) -> Rows:
    """The shared rows in which next_fire looks for times with this very tzinfo."""
    rows = days.rows_ahead.get(id(given))
    if rows is None:
        rows = _add_rows(Rows(days, _zone_of(given), given), "rows_ahead", days.rows_ahead)
    days.last_rows = rows
    return rows


def rows_behind(days: DayRule, given: tzinfo | None) -> Rows:
    """The shared rows in which prev_fire looks."""
    rows = days.rows_behind.get(id(given))
    if rows is None:
        rows = _add_rows(RowsBehind(days, _zone_of(given), given), "rows_behind", days.rows_behind)
    return rows


def _add_rows(rows: Rows, name: str, by_tzinfo: dict[int, Rows]) -> Rows:
    if len(by_tzinfo) >= _ZONES:
        by_tzinfo.clear()
    return rows.days.keep(name, id(rows.tzinfo), rows)


def _zone_of(info: tzinfo | None) -> Zone:
    from ..zones.lookup import zone_of

    return zone_of(info)
