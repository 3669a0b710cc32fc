"""read_rule(text) -> RecurrenceRule: reads a rule (RFC 5545) and its zone, or raises an error that says what is wrong
with it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, time
from typing import NamedTuple

from quartzcron.fields import FIRST_YEAR, LAST_YEAR

from ..default_rules import assumed_tz
from ..errors import TimerError, shown
from .zone_names import named, zone

MAX_LENGTH = 4_000
MAX_COUNT = 10_000
_MOST_EXCLUDED = 1_000
FIRST_WALL, LAST_WALL = datetime(FIRST_YEAR, 1, 1), datetime(LAST_YEAR, 12, 31, 23, 59, 59)
#: The seconds from one fire to the next, of frequencies within the day with an INTERVAL of 1.
STEPS_S = {"SECONDLY": 1, "MINUTELY": 60, "HOURLY": 3_600}
_DAY_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_PARTS = {
    *("FREQ", "UNTIL", "COUNT", "INTERVAL", "WKST", "BYSETPOS", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"),
    *("BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND"),
}
_DATE_TIME = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?", re.ASCII)
_EXAMPLE = "FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9;BYMINUTE=0;BYSECOND=0"


def rule_fault(message: str) -> TimerError:
    """The error of a rule."""
    return TimerError(f"rrule: {message}", field="text")


#: A line: its name, its parameters and its value.
_Line = tuple[str, tuple[str, ...], str]


class RecurrenceRule(NamedTuple):
    """A recurrence rule: its parts, and the wall times at which it starts and ends, and which it leaves out."""

    parts: Mapping[str, str]
    start: datetime
    has_start: bool
    until: datetime | None
    excluded: tuple[datetime, ...]
    tz: str


def read_rule(text: object, tz: str | None) -> RecurrenceRule:
    """Read an RRULE, or several lines with DTSTART and EXDATE; raise TimerError for anything else."""
    lines = _lines(text)
    rules = [value for name, _, value in lines if name == "RRULE"]
    if len(rules) != 1:
        raise rule_fault(f"expected one RRULE, got {len(rules)}; AnyOf unites several")
    parts = _parts(rules[0])
    start, own_tz = _start(lines)
    if own_tz is not None and tz is not None and own_tz != tz:
        raise rule_fault(f"DTSTART is in the zone {own_tz}, but the zone given is {tz}; give that one, or none")
    tz = tz or own_tz or assumed_tz()
    excluded = _excluded(lines, tz)
    until = _wall((), parts["UNTIL"], tz, is_end=True) if "UNTIL" in parts else None
    if start is not None and not FIRST_WALL <= start <= LAST_WALL:
        raise rule_fault(f"DTSTART is outside the years {FIRST_YEAR} to {LAST_YEAR}")
    _check(parts, has_start=start is not None)
    return RecurrenceRule(parts, start or FIRST_WALL, start is not None, until, excluded, tz)


def _lines(text: object) -> list[_Line]:
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_LENGTH:
        raise rule_fault(
            f"expected a rule as in {_EXAMPLE}, of at most {MAX_LENGTH:,} characters, got {shown(text, 60)}"
        )
    unfolded = re.sub(r"\r?\n[ \t]", "", text.strip())
    return [_line(line.strip()) for line in unfolded.splitlines() if line.strip()]


def _start(lines: list[_Line]) -> tuple[datetime | None, str | None]:
    """The wall time of DTSTART, and its zone if it names one."""
    starts = [(params, value) for name, params, value in lines if name == "DTSTART"]
    if len(starts) > 1:
        raise rule_fault("DTSTART is given twice")
    return _date_time(*starts[0]) if starts else (None, None)


def _excluded(lines: list[_Line], tz: str) -> tuple[datetime, ...]:
    """The wall times of EXDATE."""
    listed = [(params, value) for name, params, values in lines if name == "EXDATE" for value in values.split(",")]
    if len(listed) > _MOST_EXCLUDED:
        raise rule_fault(f"EXDATE names {len(listed):,} times; at most {_MOST_EXCLUDED:,} are allowed")
    return tuple(_wall(params, value, tz) for params, value in listed)


def _line(line: str) -> _Line:
    """The name, the parameters and the value of a line; one without a name is a rule."""
    head, colon, value = line.partition(":")
    if not colon:
        head, value = "RRULE", line
    name, *params = head.upper().split(";") if head.upper().startswith("RRULE") else head.split(";")
    if name.upper() not in ("RRULE", "DTSTART", "EXDATE"):
        raise rule_fault(f"{name[:40]!r} is not supported; lines are DTSTART, RRULE and EXDATE")
    return name.upper(), tuple(params), value.strip()


def _parts(rule: str) -> dict[str, str]:
    """The parts of an RRULE by name, in upper case."""
    parts: dict[str, str] = {}
    for part in filter(None, rule.split(";")):
        name, equals, value = part.strip().partition("=")
        if not equals or not value or name.upper() not in _PARTS:
            raise rule_fault(f"{part.strip()[:60]!r} is not a part of a rule, as in FREQ=DAILY")
        if name.upper() in parts:
            raise rule_fault(f"{name.upper()} is given twice")
        parts[name.upper()] = value.strip().upper()
    return parts


def _check(parts: Mapping[str, str], *, has_start: bool) -> None:
    """Refuse a frequency or a number that cannot be, and COUNT where it cannot be counted."""
    frequencies = (*_DAY_FREQUENCIES, *STEPS_S)
    if parts.get("FREQ") not in frequencies:
        raise rule_fault(f"FREQ must be one of {', '.join(frequencies)}, got {parts.get('FREQ', 'none')!r:.40}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise rule_fault("COUNT and UNTIL exclude each other; give one of them")
    if "COUNT" in parts and not has_start:
        raise rule_fault("COUNT needs a DTSTART from which it counts, as in DTSTART:20261201T090000")
    for name, most in (("COUNT", MAX_COUNT), ("INTERVAL", 100_000)):
        value = parts.get(name, "1")
        if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= most and len(value) < 10):
            hint = "; UNTIL has no such limit" if name == "COUNT" else ""
            raise rule_fault(f"{name} must be from 1 to {most:,}, got {value!r:.20}{hint}")


def _date_time(params: tuple[str, ...], value: str) -> tuple[datetime, str | None]:
    """A wall time, and its zone if it names one."""
    found = _DATE_TIME.fullmatch(value.strip().upper())
    zones = [param[5:] for param in params if param.upper().startswith("TZID=")]
    try:
        if found is None:
            raise ValueError
        wall = datetime.strptime(f"{found[1]}T{found[2] or '000000'}", "%Y%m%dT%H%M%S")
    except ValueError:
        raise rule_fault(f"expected a time as in 20261201T090000, got {value[:40]!r}") from None
    return wall, named(zones[0]) if zones else "UTC" if found[3] else None


def _wall(params: tuple[str, ...], value: str, tz: str, *, is_end: bool = False) -> datetime:
    """A time as wall time of a zone; for a date alone midnight, or the last second of the day if `is_end`."""
    wall, own = _date_time(params, value)
    if own is not None and own != tz:
        wall = wall.replace(tzinfo=zone(own)).astimezone(zone(tz)).replace(tzinfo=None)
    return datetime.combine(wall.date(), time(23, 59, 59)) if is_end and "T" not in value.upper() else wall
