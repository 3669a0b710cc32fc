"""RRule, a recurrence rule (RFC 5545) as calendar applications write it, read by python-dateutil. Pure.

The days of a rule are looked up year by year, and its times of day are those of expressions, so the calculator answers
for it. A rule with COUNT is a list of instants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any, ClassVar, NamedTuple, Self

from dateutil import rrule

from quartzcron import CronExpression
from quartzcron.calendars import WorkingDays
from quartzcron.fields import FIRST_YEAR, LAST_YEAR
from quartzcron.grammar.canonical import canonical_text
from quartzcron.search.compiled import with_layers
from quartzcron.wall.day_forms import simplest_days
from quartzcron.wall.days import FIRST_DAYS, day_rule
from quartzcron.wall.pattern import WallPattern

from ..errors import TimerError
from ..rules import assumed_tz
from .any_of import United
from .at import At
from .calendrical import Calendrical
from .options import trimmed
from .triggers import TZ, Compiled, Cron, FireTimes, Trigger, TriggerOption
from .window import windowed
from .zones import named, zone

MAX_LENGTH = 4_000
MAX_COUNT = 10_000
_MOST_EXCLUDED = 1_000
#: The most expressions of times of day that one rule takes.
_MOST_GROUPS = 100
_DAY_S = 86_400
_FIRST, _LAST = datetime(FIRST_YEAR, 1, 1), datetime(LAST_YEAR, 12, 31, 23, 59, 59)
_MICROSECOND = timedelta(microseconds=1)
_PARTS = {
    *("FREQ", "UNTIL", "COUNT", "INTERVAL", "WKST", "BYSETPOS", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"),
    *("BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND"),
}
_SECONDS = {"SECONDLY": 1, "MINUTELY": 60, "HOURLY": 3_600}
# Four hundred years are whole weeks, so dates 7,600 years later have the same days of the week. Rules are walked there:
# dateutil looks for an occurrence until the year 9999, however impossible a rule is.
_LATER = 7_600
_OF_DAYS = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_DATE_TIME = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?", re.ASCII)
_EXAMPLE = "FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9;BYMINUTE=0;BYSECOND=0"


def _fault(message: str) -> TimerError:
    return TimerError(f"rrule: {message}", field="text")


class _Rule(NamedTuple):
    """A rule that was read: its parts, where it starts by wall clock, and what it leaves out."""

    parts: Mapping[str, str]
    start: datetime
    has_start: bool
    until: datetime | None
    excluded: tuple[datetime, ...]
    tz: str


@dataclass(frozen=True, slots=True, init=False)
class RRule(Trigger):
    """Fire when a recurrence rule (RFC 5545) does, as python-dateutil reads it.

    `text` is an RRULE, or several lines with DTSTART and EXDATE. Its times are wall times of `tz`; that of DTSTART is
    the default, else the zone of this machine. Clock changes are handled as for a Cron. Without DTSTART, a rule begins
    in 1970, at midnight. COUNT is at most 10,000, and an interval of hours, minutes or seconds divides the day.

    >>> RRule("FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9", tz="UTC").next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-13T09:00:00+00:00'
    """

    kind: ClassVar[str] = "rrule"
    options: ClassVar[tuple[TriggerOption, ...]] = (
        TriggerOption(
            name="rrule",
            flag="--rrule",
            read=trimmed,
            metavar="RULE",
            help="Fire by a recurrence rule of a calendar application, as in 'FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9'.",
            field="text",
            noun="a recurrence rule",
            example="FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9",
        ),
        TZ,
    )

    text: str
    tz: str

    def __init__(self, text: str, tz: str | None = None) -> None:
        rule = _read(text, None if tz is None else named(tz))
        object.__setattr__(self, "text", text.strip())
        object.__setattr__(self, "tz", rule.tz)
        _schedule(self.text, self.tz)

    @property
    def has_days(self) -> bool:
        return True

    def on(self, working_days: WorkingDays, roll: str) -> FireTimes:
        return _moved(self.text, self.tz, working_days, roll)

    def next_fire(self, after: datetime) -> datetime | None:
        return _schedule(self.text, self.tz).next_fire(after)

    def prev_fire(self, before: datetime) -> datetime | None:
        return _schedule(self.text, self.tz).prev_fire(before)

    def count(self, start: datetime, end: datetime) -> int:
        return _schedule(self.text, self.tz).count(start, end)

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Any:
        """The rule; a Cron or a Calendrical where one has exactly its fire times."""
        rule = cls(values["rrule"], values.get("tz") or None)
        return _simpler(rule) or rule

    def option_values(self) -> dict[str, Any]:
        return {"rrule": self.text, "tz": self.tz}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(values["text"], values["tz"])

    def as_json(self) -> dict[str, Any]:
        return {"text": self.text, "tz": self.tz}

    def __str__(self) -> str:
        return f"{' '.join(self.text.split())} ({self.tz})"


# Reading


def _read(text: object, tz: str | None) -> _Rule:
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_LENGTH:
        raise _fault(f"expected a rule as in {_EXAMPLE}, of at most {MAX_LENGTH:,} characters, got {text!r:.60}")
    lines = re.sub(r"\r?\n[ \t]", "", text.strip()).splitlines()
    named_lines = [_line(line.strip()) for line in lines if line.strip()]
    rules = [value for name, _, value in named_lines if name == "RRULE"]
    if len(rules) != 1:
        raise _fault(f"expected one RRULE, got {len(rules)}; AnyOf unites several")
    parts = _parts(rules[0])
    starts = [(params, value) for name, params, value in named_lines if name == "DTSTART"]
    if len(starts) > 1:
        raise _fault("DTSTART is given twice")
    start, of_start = _FIRST, None
    if starts:
        start, of_start = _date_time(*starts[0])
    if of_start is not None and tz is not None and of_start != tz:
        raise _fault(f"DTSTART is in the zone {of_start}, but the zone given is {tz}; give that one, or none")
    tz = tz or of_start or assumed_tz()
    excluded = [
        _wall(params, value, tz)
        for name, params, listed in named_lines
        if name == "EXDATE"
        for value in listed.split(",")
    ]
    if len(excluded) > _MOST_EXCLUDED:
        raise _fault(f"EXDATE names {len(excluded):,} times; at most {_MOST_EXCLUDED:,} are allowed")
    until = _wall((), parts["UNTIL"], tz, is_end=True) if "UNTIL" in parts else None
    if not _FIRST <= start <= _LAST:
        raise _fault(f"DTSTART is outside the years {FIRST_YEAR} to {LAST_YEAR}")
    _check(parts, has_start=bool(starts))
    return _Rule(parts, start, bool(starts), until, tuple(excluded), tz)


def _line(line: str) -> tuple[str, tuple[str, ...], str]:
    """The name, the parameters and the value of a line; one without a name is a rule."""
    head, colon, value = line.partition(":")
    if not colon:
        head, value = "RRULE", line
    name, *params = head.upper().split(";") if head.upper().startswith("RRULE") else head.split(";")
    if name.upper() not in ("RRULE", "DTSTART", "EXDATE"):
        raise _fault(f"{name[:40]!r} is not supported; lines are DTSTART, RRULE and EXDATE")
    return name.upper(), tuple(params), value.strip()


def _parts(rule: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in filter(None, rule.split(";")):
        name, equals, value = part.strip().partition("=")
        if not equals or not value or name.upper() not in _PARTS:
            raise _fault(f"{part.strip()[:60]!r} is no part of a rule, as in FREQ=DAILY")
        if name.upper() in parts:
            raise _fault(f"{name.upper()} is given twice")
        parts[name.upper()] = value.strip().upper()
    return parts


def _check(parts: Mapping[str, str], *, has_start: bool) -> None:
    if parts.get("FREQ") not in (*_OF_DAYS, *_SECONDS):
        raise _fault(f"FREQ must be one of {', '.join((*_OF_DAYS, *_SECONDS))}, got {parts.get('FREQ', 'none')!r:.40}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise _fault("COUNT and UNTIL exclude each other; give one of them")
    if "COUNT" in parts and not has_start:
        raise _fault("COUNT needs a DTSTART from which it counts, as in DTSTART:20261201T090000")
    for name, most in (("COUNT", MAX_COUNT), ("INTERVAL", 100_000)):
        value = parts.get(name, "1")
        if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= most and len(value) < 10):
            hint = "; UNTIL has no such limit" if name == "COUNT" else ""
            raise _fault(f"{name} must be from 1 to {most:,}, got {value[:20]}{hint}")


def _date_time(params: tuple[str, ...], value: str) -> tuple[datetime, str | None]:
    """A wall time and its zone, None where it names none."""
    found = _DATE_TIME.fullmatch(value.strip().upper())
    zones = [param[5:] for param in params if param.upper().startswith("TZID=")]
    try:
        if found is None:
            raise ValueError
        wall = datetime.strptime(f"{found[1]}T{found[2] or '000000'}", "%Y%m%dT%H%M%S")
    except ValueError:
        raise _fault(f"expected a time as in 20261201T090000, got {value[:40]!r}") from None
    return wall, named(zones[0]) if zones else "UTC" if found[3] else None


def _wall(params: tuple[str, ...], value: str, tz: str, *, is_end: bool = False) -> datetime:
    """A time by the clock of a zone; the end of the day where `is_end` and only a date is given."""
    wall, own = _date_time(params, value)
    if own is not None and own != tz:
        wall = wall.replace(tzinfo=zone(own)).astimezone(zone(tz)).replace(tzinfo=None)
    return datetime.combine(wall.date(), time(23, 59, 59)) if is_end and "T" not in value.upper() else wall


# Fire times


class _Days:
    """The days that are none of a rule, as a layer of an expression takes them out; dateutil is asked year by year."""

    __slots__ = ("_key", "_masks", "_next", "_occurrences")

    name = None

    def __init__(self, rule: _Rule) -> None:
        left_out = set(rule.excluded) if _is_single(rule) else set()
        self._key = (tuple(rule.parts.items()), rule.start, rule.until, frozenset(left_out))
        self._masks: dict[int, int] = {}
        self._occurrences = _day_walls(rule)
        self._next: date | None = _date_of(next(self._occurrences, None))

    def mask(self, year: int) -> int:
        """The days of a year that do not fire, as a mask."""
        if year not in self._masks:
            self._look_up_to(year)
        return (1 << FIRST_DAYS[year + 1] - FIRST_DAYS[year]) - 1 & ~self._masks[year]

    def _look_up_to(self, year: int) -> None:
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
        return self._key == other._key if isinstance(other, _Days) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)


def _date_of(wall: datetime | None) -> date | None:
    return None if wall is None else wall.date()


def _is_single(rule: _Rule) -> bool:
    """Whether it fires at one time of day."""
    return len(_times(rule)) == 1


def _walls(parts: Mapping[str, str], start: datetime) -> Iterator[datetime]:
    """The wall times of a rule up to the end of 2099, as dateutil reads it; its end is the end of `_LAST`."""
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    try:
        rule: Any = rrule.rrulestr(text, dtstart=start.replace(year=start.year + _LATER))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise _fault(f"it cannot be read: {error}") from None
    return _walked(rule)


def _walked(rule: Any) -> Iterator[datetime]:
    try:
        for wall in rule:
            if wall.year > LAST_YEAR + _LATER:
                return
            yield wall.replace(year=wall.year - _LATER)
    except ValueError as error:
        raise _fault(f"it never fires: {error}") from None


def _day_walls(rule: _Rule) -> Iterator[datetime]:
    """The days of a rule, each at midnight."""
    parts = {name: value for name, value in rule.parts.items() if name not in ("UNTIL", "COUNT")}
    if parts["FREQ"] in _SECONDS:
        parts = {**parts, "FREQ": "DAILY", "INTERVAL": "1"}
    end = min(_LAST, rule.until or _LAST)
    until = f"{end.year + _LATER}{end:%m%d}T235959"
    parts |= {"BYHOUR": "0", "BYMINUTE": "0", "BYSECOND": "0", "UNTIL": until}
    return _walls(parts, datetime.combine(rule.start.date(), time(0)))


def _times(rule: _Rule) -> list[int]:
    """The seconds of the day at which it fires."""
    parts, start = rule.parts, rule.start
    frequency, interval = parts["FREQ"], int(parts.get("INTERVAL", "1"))
    step = _SECONDS.get(frequency)
    if step is None:
        own = {"BYHOUR": start.hour, "BYMINUTE": start.minute, "BYSECOND": start.second}
        hours, minutes, seconds = (_numbers(parts, name) or [value] for name, value in own.items())
        return sorted(
            {hour * 3600 + minute * 60 + second for hour in hours for minute in minutes for second in seconds}
        )
    if _DAY_S % (step * interval):
        every = f"{interval}{ {1: 's', 60: 'm', 3600: 'h'}[step] }"
        raise _fault(f"INTERVAL={interval} of FREQ={frequency} does not divide the day; use --every {every}")
    if "BYSETPOS" in parts:
        raise _fault("BYSETPOS goes with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
    first = start.hour * 3600 + start.minute * 60 + start.second
    # What is coarser than the frequency limits the times; what is finer is listed, or that of the start.
    listed = {
        _DAY_S: None,
        3600: _numbers(parts, "BYHOUR"),
        60: _numbers(parts, "BYMINUTE"),
        1: _numbers(parts, "BYSECOND"),
    }
    of_hours: list[int | None] = [*(listed[60] or [start.minute])] if step > 60 else [None]
    of_minutes: list[int | None] = [*(listed[1] or [start.second])] if step > 1 else [None]
    found = set()
    for tick in range(first % (step * interval), _DAY_S, step * interval):
        for minute in of_hours:
            for second in of_minutes:
                at = tick if minute is None else tick // 3600 * 3600 + minute * 60 + tick % 60
                found.add(at if second is None else at // 60 * 60 + second)
    limits = [(3600, 24, listed[3600]), (60, 60, listed[60]), (1, 60, listed[1])]
    return sorted(at for at in found if all(not only or at // unit % most in only for unit, most, only in limits))


def _numbers(parts: Mapping[str, str], name: str) -> list[int]:
    most = 23 if name == "BYHOUR" else 59
    listed = [value for value in parts.get(name, "").split(",") if value]
    if not all(value.isascii() and value.isdigit() and int(value[:4]) <= most for value in listed):
        raise _fault(f"{name} has numbers from 0 to {most}, got {parts[name][:40]}")
    return [int(value) for value in listed]


def _expressions(rule: _Rule) -> list[CronExpression]:
    """The expressions whose fires are those of the rule: one for all hours that share their minutes and seconds."""
    times = _times(rule)
    if not times:
        raise _fault("it never fires: no time of day is left")
    if len(times) > 1 and "BYSETPOS" in rule.parts:
        raise _fault("BYSETPOS with several times a day is not supported; give one BYHOUR, BYMINUTE and BYSECOND")
    hours_of: dict[tuple[int, int], list[int]] = {}
    for at in times:
        hours_of.setdefault((at // 60 % 60, at % 60), []).append(at // 3600)
    seconds_of: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for (minute, second), hours in hours_of.items():
        seconds_of.setdefault((tuple(hours), minute), []).append(second)
    minutes_of: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for (hours_key, minute), seconds in seconds_of.items():
        minutes_of.setdefault((hours_key, tuple(seconds)), []).append(minute)
    if len(minutes_of) > _MOST_GROUPS:
        raise _fault(f"its times of day are too irregular: more than {_MOST_GROUPS} expressions")
    layer = (_Days(rule),)
    is_interval = rule.parts["FREQ"] in _SECONDS
    return [
        with_layers(CronExpression(_text(hours, minutes, seconds, is_interval), tz=rule.tz), layer)
        for (hours, seconds), minutes in minutes_of.items()
    ]


def _text(hours: tuple[int, ...], minutes: list[int], seconds: tuple[int, ...], is_interval: bool) -> str:
    """An expression of every day; one that repeats within the day is written so that it counts as an interval."""
    listed = [",".join(map(str, values)) for values in (seconds, minutes, hours)]
    if is_interval:
        listed[2] = "*" if len(hours) == 24 else ",".join(f"{hour}-{hour}" for hour in hours)
    return f"{' '.join(listed)} * * ?"


@lru_cache(maxsize=1024)
def _schedule(text: str, tz: str) -> FireTimes:
    rule = _read(text, tz)
    if "COUNT" in rule.parts:
        return _counted(rule)
    parts = tuple(map(Compiled, _expressions(rule)))
    return _bounded(rule, parts[0] if len(parts) == 1 else United(parts))


@lru_cache(maxsize=1024)
def _moved(text: str, tz: str, working_days: WorkingDays, roll: str) -> FireTimes:
    rule = _read(text, tz)
    if "COUNT" in rule.parts:
        return _counted(rule).on(working_days, roll)
    if rule.excluded and not _is_single(rule):
        raise TimerError("a rule with EXDATE and several times a day takes no calendar", field="calendar")
    parts = tuple(Compiled(expression.on(working_days, roll)) for expression in _expressions(rule))
    return _bounded(rule, parts[0] if len(parts) == 1 else United(parts))


def _counted(rule: _Rule) -> At:
    """The instants of a rule with COUNT, each by the rule for clock changes."""
    parts = {name: value for name, value in rule.parts.items() if name != "COUNT"}
    tz = zone(rule.tz)
    instants = set()
    for wall in islice(_walls(parts, rule.start), int(rule.parts["COUNT"])):
        if wall in rule.excluded:
            continue
        fixed = CronExpression(f"{wall.second} {wall.minute} {wall.hour} {wall.day} {wall.month} ? {wall.year}", tz=tz)
        fire = fixed.next_fire(wall.replace(tzinfo=UTC) - timedelta(days=2))
        if fire is not None:
            instants.add(fire.astimezone(UTC))
    if not instants:
        raise _fault("it never fires")
    return At.of_any_number(instants, rule.tz)


def _bounded(rule: _Rule, schedule: FireTimes) -> FireTimes:
    """A schedule without the times of the first day before DTSTART, of the last one after UNTIL, and those excluded."""
    times, tz = _times(rule), zone(rule.tz)
    starts_at = ends_at = None
    if rule.has_start and times[0] < _second_of_day(rule.start):
        starts_at = rule.start.replace(tzinfo=tz).astimezone(UTC)
    if rule.until is not None and times[-1] > _second_of_day(rule.until):
        ends_at = rule.until.replace(tzinfo=tz, fold=1).astimezone(UTC) + _MICROSECOND
    schedule = windowed(schedule, starts_at, ends_at)
    if rule.excluded and not _is_single(rule):
        left_out = frozenset(wall.replace(tzinfo=tz).astimezone(UTC) for wall in rule.excluded)
        return _Without(schedule, left_out)
    return schedule


def _second_of_day(wall: datetime) -> int:
    return wall.hour * 3600 + wall.minute * 60 + wall.second


@dataclass(frozen=True, slots=True)
class _Without:
    """Fire when another schedule does, but for some instants."""

    schedule: FireTimes
    left_out: frozenset[datetime]

    def next_fire(self, after: datetime) -> datetime | None:
        fire = self.schedule.next_fire(after)
        while fire is not None and fire in self.left_out:
            fire = self.schedule.next_fire(fire)
        return fire

    def prev_fire(self, before: datetime) -> datetime | None:
        fire = self.schedule.prev_fire(before)
        while fire is not None and fire in self.left_out:
            fire = self.schedule.prev_fire(fire)
        return fire

    def count(self, start: datetime, end: datetime) -> int:
        less = [at for at in self.left_out if start <= at < end and self.schedule.next_fire(at - _MICROSECOND) == at]
        return self.schedule.count(start, end) - len(less)

    @property
    def anchor(self) -> datetime | None:
        return None


# Simpler triggers


def _simpler(trigger: RRule) -> Trigger | None:
    """A Cron or a Calendrical with exactly these fire times, None where there is none."""
    rule = _read(trigger.text, trigger.tz)
    schedule = _schedule(trigger.text, trigger.tz)
    if not isinstance(schedule, Compiled):
        return None
    compiled = schedule.compiled
    simplest = simplest_days(compiled._days.key)
    if simplest is not None:
        pattern = WallPattern(day_rule(*simplest), compiled._pattern.times)
        return Cron(canonical_text(pattern, interval=compiled._interval), trigger.tz)
    return _as_calendrical(rule, compiled)


def _as_calendrical(rule: _Rule, compiled: CronExpression) -> Calendrical | None:
    unit = {"DAILY": "days", "WEEKLY": "weeks", "MONTHLY": "months", "YEARLY": "years"}.get(rule.parts["FREQ"])
    first = compiled.next_fire((rule.start - timedelta(days=2)).replace(tzinfo=UTC))
    if unit is None or first is None or not _is_single(rule) or rule.until is not None or rule.excluded:
        return None
    try:
        wall = first.astimezone(zone(rule.tz))
        number = {unit: int(rule.parts.get("INTERVAL", "1"))}
        same = Calendrical(**number, at=wall.time(), start=wall.date(), tz=rule.tz)  # type: ignore[arg-type]
    except TimerError:
        return None
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    days = same.compiled._days
    return same if all(days.mask(year) == compiled._days.mask(year) for year in years) else None
