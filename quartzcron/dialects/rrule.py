"""Recurrence rules (RFC 5545) through dateutil.rrule, 2.9 or 4: from sets to BYDAY, BYMONTHDAY and so on.

A rule has the wall times of an expression, from 1970 or a given start to the end of 2099.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from dateutil import rrule

from ..errors import DialectError, check_type
from ..fields import FIRST_YEAR, MONTHS, WEEK_DAYS, DayFields, Special
from ..search.compiled import CompiledExpression, make
from ..wall.times import TimeRule, members
from .slots import simplest_of

NAME = "RRULE"

_SECOND = timedelta(seconds=1)

_DAYS = (rrule.SU, rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA)
_WORKING = (rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR)
_MOST_PLACES = 366  # BYSETPOS goes no further


def to_rrule(expression: CompiledExpression, start: datetime | None = None) -> rrule.rrule:
    """The rule with the wall times of an expression from `start` on, a naive time (default: 1970).

    Its DTSTART is the first of them: calendars show an event at DTSTART, also where the rule has none. The rule has no
    zone; a program that writes a calendar adds the expression's as the TZID of DTSTART.

    Raises DialectError for what no single rule can express: `15W`, unevenly spaced years, weekdays next to L.

    >>> from quartzcron import CronExpression
    >>> print(to_rrule(CronExpression("0 0 8 LW * ?"), datetime(2026, 1, 1)))
    DTSTART:20260130T080000
    RRULE:FREQ=MONTHLY;UNTIL=20991231T235959;BYSETPOS=-1;BYDAY=MO,TU,WE,TH,FR;BYHOUR=8;BYMINUTE=0;BYSECOND=0
    """
    check_type(expression, CompiledExpression, "the expression must be a CronExpression")
    check_type(start, (datetime, type(None)), "the start of a rule must be a datetime")
    days, years = simplest_of(expression, NAME)
    start = datetime(FIRST_YEAR, 1, 1) if start is None else start
    if start.tzinfo is not None:
        raise DialectError(NAME, "start", "a rule of wall times starts at a naive time")
    times = expression._pattern.times
    begin, until, interval = _span(years, start)
    naive = make(CompiledExpression, expression.text, None, expression.dst)
    first = naive.next_fire(begin - _SECOND)
    if first is None:
        raise _never()
    options = _options(days, times)
    if interval > 1:
        if "bysetpos" in options:
            raise DialectError(NAME, "year", "a rule for the first or last weekday includes every year")
        # A yearly rule that names no day would fire on the day of the year on which it starts.
        every_day = {} if "byweekday" in options or "bymonthday" in options else {"bymonthday": range(1, 32)}
        options = {"bymonth": members(MONTHS.full), **every_day, **options, "freq": rrule.YEARLY}
    hours, minutes, seconds = members(times.hours), members(times.minutes), members(times.seconds)
    return rrule.rrule(
        dtstart=first, until=until, interval=interval, byhour=hours, byminute=minutes, bysecond=seconds, **options
    )


def write(expression: CompiledExpression) -> str:
    """The rule without its start: `FREQ=DAILY;BYHOUR=8…`; raises DialectError if there is none."""
    return str(to_rrule(expression)).partition("RRULE:")[2]


def _span(years: int, start: datetime) -> tuple[datetime, datetime, int]:
    """The start and the end of a rule, and its interval in years."""
    listed = [year for year in (FIRST_YEAR + place for place in members(years)) if year >= start.year]
    if not listed:
        raise _never()
    step = listed[1] - listed[0] if len(listed) > 1 else 1
    if listed != list(range(listed[0], listed[-1] + 1, step)):
        raise DialectError(NAME, "year", "the years of a rule are evenly spaced")
    begin = start if start.year == listed[0] else datetime(listed[0], 1, 1)
    return begin, datetime(listed[-1], 12, 31, 23, 59, 59), step


def _never() -> DialectError:
    return DialectError(NAME, "start", "the expression never fires from then on, which a rule cannot express")


def _options(days: DayFields, times: TimeRule) -> dict[str, Any]:
    months, month_days, specials, week_days, nth = days
    options: dict[str, Any] = {} if months == MONTHS.full else {"bymonth": members(months)}
    if week_days == WEEK_DAYS.full:
        return {"freq": rrule.DAILY, **options}
    if week_days:
        return {"freq": rrule.WEEKLY, **options, "byweekday": [_DAYS[day - 1] for day in members(week_days)]}
    options = {"freq": rrule.MONTHLY, **options}
    if nth is not None:
        return {**options, "byweekday": _DAYS[nth[0] - 1](nth[1] or -1)}
    if any(nearest_weekday for _, _, nearest_weekday in specials):
        return {**options, "byweekday": _WORKING, "bysetpos": _places(month_days, specials, times)}
    from_end = [-n - 1 for _, n, _ in specials]
    return {**options, "bymonthday": [*members(month_days), *from_end]}


def _places(month_days: int, specials: tuple[Special, ...], times: TimeRule) -> list[int]:
    """BYSETPOS for the first (1W) or the last (LW) weekday: its times among those of all weekdays of the month."""
    if month_days or len(specials) > 1 or specials[0] not in (_FIRST, _LAST):
        raise DialectError(NAME, "day of month", "of W it has only the first and the last weekday, each alone")
    if times.count > _MOST_PLACES:
        raise DialectError(NAME, "day of month", f"at the first or last weekday it has up to {_MOST_PLACES} times")
    sign = 1 if specials[0] == _FIRST else -1
    return [sign * place for place in range(1, times.count + 1)]


_FIRST: Special = (False, 1, True)
_LAST: Special = (True, 0, True)
