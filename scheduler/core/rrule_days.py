"""The days of a recurrence rule, which dateutil enumerates, as a layer of an expression. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from itertools import dropwhile
from typing import Any

from dateutil import rrule

from quartzcron.fields import FIRST_YEAR, LAST_YEAR
from quartzcron.wall.days import FIRST_DAYS

from .rrule_text import LAST_WALL, STEPS_S, RecurrenceRule, rule_fault
from .rrule_times import is_single

# Rules are enumerated 7,600 years later, because dateutil searches for an occurrence of an impossible rule until the
# year 9999. Four hundred years are whole weeks, so dates have the same days of the week there.
_LATER = 7_600


class RuleDays:
    """A layer of an expression: it removes the days that a rule does not name, which are enumerated year by year."""

    __slots__ = ("_key", "_masks", "_next", "_occurrences")

    name = None

    def __init__(self, rule: RecurrenceRule) -> None:
        left_out = set(rule.excluded) if is_single(rule) else set()
        self._key = (tuple(rule.parts.items()), rule.start, rule.until, frozenset(left_out))
        self._masks: dict[int, int] = {}
        self._occurrences = _day_walls(rule)
        self._next: date | None = _date_of(next(self._occurrences, None))

    def mask(self, year: int) -> int:
        """The days of a year that do not fire, as a mask."""
        if year not in self._masks:
            self._read_up_to(year)
        return (1 << FIRST_DAYS[year + 1] - FIRST_DAYS[year]) - 1 & ~self._masks[year]

    def _read_up_to(self, year: int) -> None:
        first = max(self._masks, default=FIRST_YEAR - 1) + 1
        excluded = {wall.date() for wall in self._key[3]}
        for current in range(first, year + 1):
            firing = 0
            while self._next is not None and self._next.year <= current:
                if self._next.year == current and self._next not in excluded:
                    firing |= 1 << self._next.toordinal() - FIRST_DAYS[current]
                self._next = _date_of(next(self._occurrences, None))
            self._masks[current] = firing

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, RuleDays) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)


def _date_of(wall: datetime | None) -> date | None:
    return None if wall is None else wall.date()


def rule_walls(parts: Mapping[str, str], start: datetime) -> Iterator[datetime]:
    """The wall times of a rule up to the end of 2099, enumerated by dateutil; UNTIL must be _LATER years later."""
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    try:
        begin = _begin(parts, start)
        rule: Any = rrule.rrulestr(text, dtstart=begin.replace(year=begin.year + _LATER))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise rule_fault(f"it cannot be read: {error}") from None
    return _enumerated(rule) if begin == start else dropwhile(lambda wall: wall < start, _enumerated(rule))


def _begin(parts: Mapping[str, str], start: datetime) -> datetime:
    """Where to begin to enumerate: for BYSETPOS of a weekly rule, at the beginning of the week of DTSTART.

    BYSETPOS counts among all days of an interval (RFC 5545, 3.3.10), also among those before DTSTART. dateutil does so
    for months and years, but not for weeks.
    """
    if parts["FREQ"] != "WEEKLY" or not parts.keys() >= {"BYSETPOS", "BYDAY"}:
        return start
    first_day = _WEEKDAYS.index(parts.get("WKST", "MO"))
    return start - timedelta(days=(start.weekday() - first_day) % 7)


_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def _enumerated(rule: Any) -> Iterator[datetime]:
    try:
        for wall in rule:
            if wall.year > LAST_YEAR + _LATER:
                return
            yield wall.replace(year=wall.year - _LATER)
    except ValueError as error:
        raise rule_fault(f"it never fires: {error}") from None


def _day_walls(rule: RecurrenceRule) -> Iterator[datetime]:
    """The days of a rule, each at midnight."""
    parts = {name: value for name, value in rule.parts.items() if name not in ("UNTIL", "COUNT")}
    if parts["FREQ"] in STEPS_S:
        parts = {**parts, "FREQ": "DAILY", "INTERVAL": "1"}
    end = min(LAST_WALL, rule.until or LAST_WALL)
    until = f"{end.year + _LATER}{end:%m%d}T235959"
    parts |= {"BYHOUR": "0", "BYMINUTE": "0", "BYSECOND": "0", "UNTIL": until}
    return rule_walls(parts, datetime.combine(rule.start.date(), time(0)))
