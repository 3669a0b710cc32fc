"""The seven fields as a table, and the types of their values. Nothing here reads a text.

A set of values is an int: bit v stands for value v (for years, bit v - 1970). Days of the week are Quartz's:
1 is Sunday, 7 is Saturday.
"""

from __future__ import annotations

FIRST_YEAR = 1970
LAST_YEAR = 2099

_MONTHS = [
    "JANUARY",
    "FEBRUARY",
    "MARCH",
    "APRIL",
    "MAY",
    "JUNE",
    "JULY",
    "AUGUST",
    "SEPTEMBER",
    "OCTOBER",
    "NOVEMBER",
    "DECEMBER",
]
_WEEK_DAYS = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"]


def _named(names: list[str]) -> dict[str, int]:
    return {form: value for value, name in enumerate(names, 1) for form in (name[:3], name)}


class Field:
    """A field: its name, its bounds, the names of its values, and the largest step that Quartz accepts."""

    __slots__ = ("base", "full", "high", "low", "max_step", "name", "names", "size", "wraps")

    def __init__(
        self,
        name: str,
        low: int,
        high: int,
        max_step: int,
        *,
        names: dict[str, int] | None = None,
        base: int = 0,
        wraps: bool = True,
    ) -> None:
        self.name, self.low, self.high, self.max_step = name, low, high, max_step
        self.names = names or {}
        self.base = base
        self.wraps = wraps
        self.size = high - low + 1
        self.full = ((1 << self.size) - 1) << (low - base)

    @property
    def allowed(self) -> str:
        """The bounds as a sentence of an error message."""
        if not self.names:
            return f"{self.name} go from {self.low} to {self.high}"
        names = [name for name in self.names if len(name) == 3]
        return f"{self.name} go from {self.low} to {self.high} or {names[0]} to {names[-1]}"


SECONDS = Field("seconds", 0, 59, 59)
MINUTES = Field("minutes", 0, 59, 59)
HOURS = Field("hours", 0, 23, 23)
MONTH_DAYS = Field("days of the month", 1, 31, 31)
MONTHS = Field("months", 1, 12, 12, names=_named(_MONTHS))
WEEK_DAYS = Field("days of the week", 1, 7, 7, names=_named(_WEEK_DAYS))
YEARS = Field("years", FIRST_YEAR, LAST_YEAR, 9999, base=FIRST_YEAR, wraps=False)

FIELDS = (SECONDS, MINUTES, HOURS, MONTH_DAYS, MONTHS, WEEK_DAYS, YEARS)

MONTH_NAMES = tuple(name[:3] for name in _MONTHS)
WEEK_DAY_NAMES = tuple(name[:3] for name in _WEEK_DAYS)

# A special day of the month, (from the end?, n, nearest weekday?):
# L is (True, 0, False), L-3 (True, 3, False), 15W (False, 15, True), LW (True, 0, True), L-3W (True, 3, True).
Special = tuple[bool, int, bool]

# A special day of the week, (day, n): 6#3 is (6, 3); 6L, the last one, is (6, 0).
Nth = tuple[int, int]

# The fields that name days: (months, days of the month, specials, days of the week, nth). Days are given by month or by
# week, never both: the other two are empty. A tuple, since it is the key of the shared day tables.
DayFields = tuple[int, int, tuple[Special, ...], int, Nth | None]
