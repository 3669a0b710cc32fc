"""Rows: all that next_fire needs to know about one year of one expression's days in one zone, in one tuple.

Rows is a dict from years to rows that makes a row when it is first asked for, and is shared by all expressions with
the same days. However many there are, only the most recently made rows stay.
"""

from __future__ import annotations

from datetime import date, datetime, tzinfo

from ..fields import FIRST_YEAR, LAST_YEAR
from ..wall.days import FIRST_DAYS, NONE_LEFT, DayRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..zones.zone import Midnights, Zone

    # What a row holds: the ordinal of 1 January · the table of the next (or latest) day that fires · the midnights of
    # the days on which a time that carries this tzinfo is plain · the midnights that answers are made of · the midnight
    # of the first day that fires in a later (or the last one in an earlier) year: None if it is not plain or not yet
    # known, NEVER if there is none.
    Row = tuple[int, tuple[int, ...], Midnights, Midnights, datetime | None]

NEVER = datetime.max

_ROWS = 8192
_ZONES = 64
_NO_MIDNIGHTS = (None,) * (NONE_LEFT + 2)
_NO_DAYS = (NONE_LEFT,) * (NONE_LEFT + 2)


class Rows(dict[int, "Row"]):
    """The rows of a day rule, looking ahead, for times that carry one tzinfo."""

    __slots__ = ("carried", "days", "zone")

    def __init__(self, days: DayRule, zone: Zone, carried: tzinfo | None) -> None:
        super().__init__()
        # Holding the tzinfo keeps its id, a key of the almanac, from being taken by another object.
        self.days, self.zone, self.carried = days, zone, carried

    def __missing__(self, year: int) -> Row:
        if not FIRST_YEAR <= year <= LAST_YEAR:
            return date(year, 1, 1).toordinal(), _NO_DAYS, _NO_MIDNIGHTS, _NO_MIDNIGHTS, None
        known = self.zone.year(year)
        row = self[year] = (FIRST_DAYS[year], self._table(year), known.here(self.carried), known.midnights, None)
        known.users.append(self)
        _recent.append((self, year))
        if len(_recent) > _ROWS:
            for rows, oldest in _recent[: _ROWS // 2]:
                rows.pop(oldest, None)
            del _recent[: _ROWS // 2]
        return row

    def look_beyond(self, year: int) -> datetime | None:
        """Fill in the last part of a row, and return it."""
        day = self._day_beyond(year)
        found: datetime | None = NEVER
        if day is not None:
            there = date.fromordinal(day).year
            found = self.zone.year(there).midnights[day - FIRST_DAYS[there]]
        self[year] = (*self[year][:4], found)
        return found

    def _table(self, year: int) -> tuple[int, ...]:
        return self.days.ahead(year)

    def _day_beyond(self, year: int) -> int | None:
        return self.days.day_at_or_after(FIRST_DAYS[year + 1])


class RowsBehind(Rows):
    """The rows of a day rule, looking back."""

    __slots__ = ()

    def _table(self, year: int) -> tuple[int, ...]:
        return self.days.behind(year)

    def _day_beyond(self, year: int) -> int | None:
        return self.days.day_at_or_before(FIRST_DAYS[year] - 1)


# The oldest first; when there are too many, the older half makes room.
_recent: list[tuple[Rows, int]] = []


def rows_ahead(days: DayRule, carried: tzinfo | None) -> Rows:
    """The rows in which next_fire looks for times that carry this very tzinfo, shared."""
    rows = days.almanac.get(id(carried))
    if rows is None:
        rows = _add_rows(Rows(days, _zone_of(carried), carried), "almanac", days.almanac)
    days.rows = rows
    return rows


def rows_behind(days: DayRule, carried: tzinfo | None) -> Rows:
    """The rows in which prev_fire looks."""
    rows = days.almanac_behind.get(id(carried))
    if rows is None:
        rows = _add_rows(RowsBehind(days, _zone_of(carried), carried), "almanac_behind", days.almanac_behind)
    return rows


def _add_rows(rows: Rows, name: str, almanac: dict[int, Rows]) -> Rows:
    if len(almanac) >= _ZONES:
        almanac.clear()
    return rows.days.keep(name, id(rows.carried), rows)


def _zone_of(carried: tzinfo | None) -> Zone:
    from ..zones.lookup import zone_of

    return zone_of(carried)
