"""Parses intervals as users write them: 60, 90s, 5m, 1h 30m, 2 weeks. Pure.

An interval of seconds, minutes, hours or days is a number of seconds. One of days, weeks, months or years may also be
counted by the calendar, where a day has 23 to 25 hours.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..errors import shown

_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_CALENDAR = ("year", "month", "week", "day")
#: The words for each unit.
_WORDS = {
    "second": ("s", "sec", "secs", "second", "seconds"),
    "minute": ("m", "min", "mins", "minute", "minutes"),
    "hour": ("h", "hr", "hrs", "hour", "hours"),
    "day": ("d", "day", "days"),
    "week": ("w", "week", "weeks"),
    "month": ("mo", "month", "months"),
    "year": ("y", "year", "years"),
}
_UNITS = {word: unit for unit, words in _WORDS.items() for word in words}
_PART = re.compile(r"\s*(\d{1,9})\s*([a-z]+)(?:\s*,|\s+and\b)?", re.ASCII | re.IGNORECASE)
EXPECTED = "expected an interval as in 60, 90s, 5m, 2h, 1d or '2 weeks'"


class CalendarInterval(NamedTuple):
    """An interval by the calendar."""

    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0

    def __str__(self) -> str:
        parts = zip(self, _CALENDAR, strict=True)
        return " ".join(f"{number} {unit}{'' if number == 1 else 's'}" for number, unit in parts if number)


def read_interval(value: Any) -> int | str:
    """An interval in seconds, or a text if the calendar may count it; ValueError for anything else.

    >>> read_interval("60"), read_interval("1h 30m"), read_interval("2w"), read_interval("1d")
    (60, 5400, '2 weeks', '1 day')
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        return int(text)
    parts = _parts(text)
    if parts is None or not any(parts.values()):
        raise ValueError(f"{EXPECTED}, got {shown(value)}")
    if parts.keys() <= set(_CALENDAR):
        return str(CalendarInterval(*(parts.get(unit, 0) for unit in _CALENDAR)))
    if not parts.keys() <= _SECONDS.keys():
        raise ValueError(f"{shown(text)} mixes units of the clock with those of the calendar; use either")
    return sum(_SECONDS[unit] * number for unit, number in parts.items())


def seconds_of(interval: Any) -> Any:
    """The seconds of a result of `read_interval`; a value that is not a text is returned unchanged."""
    if not isinstance(interval, str):
        return interval
    read = read_interval(interval)
    if isinstance(read, int):
        return read
    counted = calendar_interval(read)
    assert counted is not None
    if counted.years or counted.months:
        raise ValueError(f"{read!r} is not a fixed number of seconds")
    return (counted.weeks * 7 + counted.days) * _SECONDS["day"]


def calendar_interval(interval: Any) -> CalendarInterval | None:
    """The interval by the calendar; None if it is not one."""
    if not isinstance(interval, str):
        return None
    parts = _parts(interval)
    if parts is None or not parts.keys() <= set(_CALENDAR):
        return None
    return CalendarInterval(*(parts.get(unit, 0) for unit in _CALENDAR))


def _parts(text: str) -> dict[str, int] | None:
    """The number of each unit in a text; None if it is not an interval."""
    parts: dict[str, int] = {}
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        unit = found and _UNITS.get(found[2].lower())
        if not found or not unit or unit in parts:
            return None
        parts[unit] = int(found[1])
        at = found.end()
    return parts or None
