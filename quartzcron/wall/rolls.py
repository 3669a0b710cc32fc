"""Roll conventions, by the terms of finance: move or skip the fires on days off.

All days from 1970 to 2099 are one set here, a line: bit 0 is 1 January 1970. So a convention is a few operations on
integers, and a run of days off may cross the end of a year, or have any length.
"""

from __future__ import annotations

from ..fields import FIRST_YEAR, LAST_YEAR
from .days import FIRST_DAYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    class WorkingLines(Protocol):
        """An object with the lines of working days; a WorkingDays is one."""

        @property
        def lines(self) -> Lines:
            """Its working days."""

        @property
        def name(self) -> str | None:
            """Its name in descriptions."""


YEARS = range(FIRST_YEAR, LAST_YEAR + 1)
FIRST_DAY = FIRST_DAYS[FIRST_YEAR]
DAYS = FIRST_DAYS[LAST_YEAR + 1] - FIRST_DAY
_LENGTHS = {year: FIRST_DAYS[year + 1] - FIRST_DAYS[year] for year in YEARS}
_MONTHS = {365: (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 366: (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)}


def line_of(masks: Iterable[int]) -> int:
    """The line of the masks of all years, in order."""
    texts = [f"{mask:0{_LENGTHS[year]}b}" for year, mask in zip(YEARS, masks, strict=True)]
    return int("".join(reversed(texts)), 2)


def mask_of(line: int, year: int) -> int:
    """The days of a year on a line, as a mask."""
    return line >> FIRST_DAYS[year] - FIRST_DAY & (1 << _LENGTHS[year]) - 1


class Lines:
    """The working days and the days off as lines, both ways; reversed, bit 0 is 31 December 2099.

    `tails` are the days off after the last working day of their month, `heads` those before the first one.
    """

    __slots__ = ("_heads", "_tails", "back", "off", "off_back", "working")

    def __init__(self, days: bytearray) -> None:
        """`days` has the digit 1 or 0 for each day, in order."""
        self.back = int(days, 2)
        self.working = int(days[::-1], 2)
        every = (1 << DAYS) - 1
        self.off, self.off_back = every & ~self.working, every & ~self.back
        self._tails = self._heads = -1

    @property
    def tails(self) -> int:
        """The days off after which no working day follows in their month."""
        if self._tails < 0:
            last = _first_days_of_months() >> 1 | 1 << DAYS - 1
            self._tails = last & self.off
            while (more := self._tails | self._tails >> 1 & self.off & ~last) != self._tails:
                self._tails = more
        return self._tails

    @property
    def heads(self) -> int:
        """The days off before which there is no working day in their month."""
        if self._heads < 0:
            first = _first_days_of_months()
            self._heads = first & self.off
            while (more := self._heads | self._heads << 1 & self.off & ~first) != self._heads:
                self._heads = more
        return self._heads


def _first_days_of_months() -> int:
    digits = bytearray(b"0") * DAYS
    day = 0
    for year in YEARS:
        for length in _MONTHS[_LENGTHS[year]]:
            digits[day] = ord("1")
            day += length
    return int(digits[::-1], 2)


def _following(off: int, lines: Lines) -> int:
    """For days off, the next working day of each."""
    # An addition carries from a day off through the rest of its run of days off, to the working day that ends the run.
    return off + lines.off & lines.working


def _preceding(off: int, lines: Lines) -> int:
    """For days off, the last working day before each; the same on the reversed line."""
    return _reversed(_reversed(off) + lines.off_back & lines.back) if off else 0


def _reversed(line: int) -> int:
    return int(f"{line:0{DAYS}b}"[::-1], 2)


def _following_in_month(off: int, lines: Lines) -> int:
    crossing = off & lines.tails
    return _following(off & ~crossing, lines) | _preceding(crossing, lines)


def _preceding_in_month(off: int, lines: Lines) -> int:
    crossing = off & lines.heads
    return _preceding(off & ~crossing, lines) | _following(crossing, lines)


# The function that moves days off to working days, by the name of the convention; None for `only_off`, which fires only
# on days off. Except for `only_off`, a working day always keeps its fires.
_MOVES: dict[str, Callable[[int, Lines], int] | None] = {
    "skip": lambda _off, _lines: 0,
    "following": _following,
    "preceding": _preceding,
    "modified_following": _following_in_month,
    "modified_preceding": _preceding_in_month,
    "only_off": None,
}
CONVENTIONS = tuple(_MOVES)


class Roll:
    """A calendar of working days and a convention, as a value."""

    __slots__ = ("convention", "working_days")

    def __init__(self, working_days: WorkingLines, convention: str) -> None:
        self.working_days, self.convention = working_days, convention

    def rolled(self, fires: int) -> int:
        """The line of the days that fire after the days off were moved or skipped."""
        lines, move = self.working_days.lines, _MOVES[self.convention]
        return fires & lines.off if move is None else fires & lines.working | move(fires & lines.off, lines)

    @property
    def name(self) -> str | None:
        """The name of the calendar."""
        return self.working_days.name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Roll):
            return NotImplemented
        return self.convention == other.convention and self.working_days == other.working_days

    def __hash__(self) -> int:
        return hash((self.working_days, self.convention))

    def __repr__(self) -> str:
        return f"{self.working_days!r}, roll={self.convention!r}"

    def __reduce__(self) -> tuple[object, ...]:
        return Roll, (self.working_days, self.convention)
