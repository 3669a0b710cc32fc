"""Calendrical, the trigger with an interval of days, weeks, months or years by the calendar. Pure.

It is compiled to an expression for every day at that time, without the days between, so the calculator computes its
fire times as for any expression, including clock changes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from quartzcron import CronExpression
from quartzcron.calendars import WorkingDays
from quartzcron.fields import FIRST_YEAR, LAST_YEAR
from quartzcron.search.compiled import with_layers
from quartzcron.wall.days import FIRST_DAYS

from ..default_rules import assumed_tz
from ..errors import TimerError, shown
from .at import AT
from .fire_times import Compiled, FireTimes
from .intervals import CalendarInterval, calendar_interval
from .options import trimmed
from .timestamps import iso_text
from .triggers import DST, EVERY, TZ, Trigger, TriggerOption, check_zone_and_policy, is_calendrical
from .zone_names import named

_FIRST, _LAST = date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31)
_DAYS = (_LAST - _FIRST).days + 1
_MONTHS = (LAST_YEAR - FIRST_YEAR + 1) * 12
#: The most of each unit; a longer interval has no second fire time.
_MOST = {"years": _MONTHS // 12, "months": _MONTHS, "weeks": _DAYS // 7, "days": _DAYS}
_WEEK = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MICROSECOND = timedelta(microseconds=1)

ON = TriggerOption(
    name="on",
    key=None,
    flag="--on",
    read=trimmed,
    metavar="DAY",
    help="Day of an interval of weeks (TUE) or of months (31); --from is moved to it.",
    noun="day",
)
START = TriggerOption(
    name="start",
    flag="--from",
    read=trimmed,
    metavar="DATE",
    help="First day of an interval by the calendar, as in 2026-12-01 (default today).",
    noun="first day",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendrical(Trigger):
    """Fires at an interval of years, months, weeks or days by the calendar, at a wall time of a zone.

    The first fire is on the day `start`, 1970-01-01 by default, the last one in 2099. Years and months go together, and
    so do weeks and days. A month without the day of `start`, such as the 31st, is skipped (RFC 5545, 3.3.10). Clock
    changes are handled as for a Cron of a fixed time, by the policy `dst`.

    >>> from datetime import UTC
    >>> every_other = Calendrical(weeks=2, at="09:00", start="2026-12-01", tz="Europe/Berlin")
    >>> every_other.next_fire(datetime(2026, 12, 1, 8, tzinfo=UTC)).isoformat()
    '2026-12-15T08:00:00+00:00'
    """

    kind: ClassVar[str] = "calendrical"
    options: ClassVar[tuple[TriggerOption, ...]] = (
        # The command line has one --every, and a list one column for each kind.
        TriggerOption(
            name="every",
            column="every",
            read=EVERY.read,
            flag=EVERY.flag,
            field="interval",
            noun="an interval",
            example="2 weeks",
        ),
        AT,
        ON,
        START,
        TZ,
        DST,
    )

    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0
    at: time = time(0)
    start: date = _FIRST
    tz: str = field(default_factory=assumed_tz)
    dst: str = "vixie"

    if TYPE_CHECKING:  # for type checkers: the texts that are converted below

        def __init__(
            self,
            *,
            years: int = ...,
            months: int = ...,
            weeks: int = ...,
            days: int = ...,
            at: time | str = ...,
            start: date | str = ...,
            tz: str | tzinfo = ...,
            dst: str = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        self._check_interval()
        object.__setattr__(self, "at", read_time(self.at))
        object.__setattr__(self, "start", _read_date(self.start))
        object.__setattr__(self, "tz", named(self.tz))
        check_zone_and_policy(self.tz, self.dst)

    def _check_interval(self) -> None:
        for unit, most in _MOST.items():
            number = getattr(self, unit)
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= most:
                raise TimerError(
                    f"{unit} must be a whole number from 0 to {most:,}, got {shown(number)}", field="every"
                )
        if bool(self.years or self.months) == bool(self.weeks or self.days):
            raise TimerError(
                "an interval by the calendar has years and months, or weeks and days, "
                f"got {repr(str(self.interval)) if any(self.interval) else 'none of them'}",
                field="every",
            )

    @property
    def interval(self) -> CalendarInterval:
        """The interval in its units."""
        return CalendarInterval(self.years, self.months, self.weeks, self.days)

    @property
    def compiled(self) -> CronExpression:
        """The expression that computes its fire times."""
        return _expression(
            self.at, self.start, self.years * 12 + self.months, self.weeks * 7 + self.days, self.tz, self.dst
        )

    @property
    def has_days(self) -> bool:
        return True

    def on(self, working_days: WorkingDays, roll: str) -> FireTimes:
        return Compiled(self.compiled.on(working_days, roll))

    def next_fire(self, after: datetime) -> datetime | None:
        return self.compiled.next_fire(after)

    def prev_fire(self, before: datetime) -> datetime | None:
        return self.compiled.prev_fire(before)

    def count(self, start: datetime, end: datetime) -> int:
        return self.compiled.count(start - _MICROSECOND, end - _MICROSECOND)

    @property
    def gap(self) -> timedelta | None:
        return self.compiled.min_gap

    @classmethod
    def is_chosen(cls, values: Mapping[str, Any]) -> bool:
        return is_calendrical(values)

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Self:
        interval = calendar_interval(values["every"])
        if interval is None:
            raise TimerError(f"{shown(values['every'])} is not an interval by the calendar", field="every")
        start = _read_date(values.get("start") or _FIRST)
        if values.get("on"):
            start = first_on(values["on"], start, interval)
        kept = {name: values[name] for name in ("tz", "dst") if values.get(name)}
        at = values.get("at")
        return cls(**interval._asdict(), at=time(0) if at is None else read_time(at), start=start, **kept)

    def option_values(self) -> dict[str, Any]:
        at, start = self.at.isoformat(), self.start.isoformat()
        return {"every": str(self.interval), "at": at, "on": None, "start": start, "tz": self.tz, "dst": self.dst}

    def as_json(self) -> dict[str, Any]:
        units = {unit: number for unit, number in self.interval._asdict().items() if number}
        at, start = self.at.isoformat(), self.start.isoformat()
        return {**units, "at": at, "start": start, "tz": self.tz, "dst": self.dst}

    def __str__(self) -> str:
        return f"every {self.interval} at {self.at.isoformat()} from {self.start} on ({self.tz})"


def read_time(value: Any) -> time:
    """A time of day in whole seconds, parsed from a text or a list of one; TimerError for other values."""
    alone = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
    try:
        found = alone if isinstance(alone, time) else time.fromisoformat(_padded(alone.strip()))
    except (AttributeError, ValueError):
        found = None
    if found is None or found.tzinfo is not None or found.microsecond:
        raise TimerError(
            f"at: expected a time of day as in 09:00 beside an interval by the calendar, got {shown(alone)}", field="at"
        )
    return found


def _padded(text: str) -> str:
    """A time of day with two digits for its hour."""
    return f"0{text}" if text[1:2] == ":" else text


def _read_date(value: Any) -> date:
    try:
        found = date.fromisoformat(iso_text(value)) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, date) or isinstance(found, datetime):
        raise TimerError(f"start: expected a date as in 2026-12-01, got {shown(value)}", field="start")
    if not _FIRST <= found <= _LAST:
        raise TimerError(f"start: {found} is outside the years {FIRST_YEAR} to {LAST_YEAR}", field="start")
    return found


def first_on(day: str, start: date, interval: CalendarInterval) -> date:
    """The first date from `start` on with this day of the week, or of the month."""
    by_months = bool(interval.years or interval.months)
    if by_months and day.isascii() and day.isdigit() and 1 <= int(day) <= 31:
        while start.day != int(day) and start < _LAST:
            start += timedelta(days=1)
        return start
    week_day = day.upper()[:3]
    if not by_months and week_day in _WEEK and day.upper() in (week_day, _LONG_WEEK[_WEEK.index(week_day)]):
        if interval.days % 7:
            raise TimerError(f"on: {day} goes with an interval of weeks, got {str(interval)!r}", field="on")
        return start + timedelta(days=(_WEEK.index(week_day) - start.weekday()) % 7)
    expected = "a day of the month from 1 to 31" if by_months else "one day of the week such as TUE"
    raise TimerError(f"on: expected {expected} beside {str(interval)!r}, got {shown(day)}", field="on")


_LONG_WEEK = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")


class _DaysBetween:
    """The days between those of the trigger, as a layer that an expression excludes."""

    __slots__ = ("_key", "_month_days")

    #: Its name in descriptions.
    name = None

    def __init__(self, start: date, months: int, days: int) -> None:
        self._key = (start.toordinal(), months, days)
        self._month_days = _days_by_months(start, months) if months else []

    def mask(self, year: int) -> int:
        """The days of a year that do not fire, as a mask."""
        new_year, length = FIRST_DAYS[year], FIRST_DAYS[year + 1] - FIRST_DAYS[year]
        start, months, days = self._key
        if months:
            place, end = (bisect_left(self._month_days, new_year + offset) for offset in (0, length))
            firing = sum(1 << day - new_year for day in self._month_days[place:end])
        else:
            first = start if start >= new_year else new_year + (start - new_year) % days
            firing = sum(1 << day - new_year for day in range(first, new_year + length, days))
        return (1 << length) - 1 & ~firing

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, _DaysBetween) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)


def _days_by_months(start: date, months: int) -> list[int]:
    """The days at an interval of months, in order, without months that lack the day."""
    days = []
    for number in range((start.year - FIRST_YEAR) * 12 + start.month - 1, _MONTHS, months):
        try:
            days.append(date(FIRST_YEAR + number // 12, number % 12 + 1, start.day).toordinal())
        except ValueError:
            continue
    return days


@lru_cache(maxsize=1024)
def _expression(at: time, start: date, months: int, days: int, tz: str, dst: str) -> CronExpression:
    daily = CronExpression(f"{at.second} {at.minute} {at.hour} * * ?", tz=tz, dst=dst)
    return with_layers(daily, (_DaysBetween(start, months, days),))
