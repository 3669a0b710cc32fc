"""Parses instants as people write them: in 20 minutes, tomorrow 9:00, next monday 18:30, 24 Dec 2026 18:00. Pure.

What may mean several instants means the next one to `read_human`, and the last one to `read_past`.

This module parses relative instants, dateutil the absolute ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from dateutil.parser import ParserError, parse
from dateutil.relativedelta import relativedelta

from ..errors import TimerError
from .intervals import calendar_interval, read_interval, seconds_of
from .timestamps import at_wall_time, iso_text

_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = r"(mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\b"
_DAY_NAME = re.compile(rf"(?:(next|this|on)\s+)?{_DAY}", re.I)
_RELATIVE_DAY = re.compile(r"(today|tomorrow)\b", re.I)
_AT = re.compile(r"[\s,]*(?:at\b)?\s*", re.I)
_DAY_LAST = re.compile(r"(\d.*?|noon|midnight)[\s,]+(?:on\s+)?(today|tomorrow|(?:(?:next|this)\s+)?[a-z]{3,9})", re.I)
_ZONE = re.compile(r"\s([A-Z]\w+/[\w/+-]+)$", re.ASCII)
_TIME = re.compile(r"\d{1,2}(?::\d{2}){1,2}\s*(?:[ap]\.?m\.?)?|\d{1,2}\s*[ap]\.?m\.?|noon|midnight", re.I)
_ARTICLE = re.compile(r"an?\s+", re.I)
_YEAR_FIRST = re.compile(r"\d{4}(?:[-/.]\d{1,2}[-/.]\d{1,2}|年\d{1,2}月\d{1,2}[日号]?)(?!\d)", re.ASCII)
_PAST_DAY = re.compile(rf"(today|yesterday)\b|(?:(?:last|on)\s+)?{_DAY}", re.I)
_AGO = re.compile(r"\s+ago$|^-", re.I)
_FROM_NOW = re.compile(r"in\s|\+", re.I)
_LONGEST = 100
_EXAMPLES = "write it as in '2026-12-24 18:00', 'in 20 minutes' or 'next monday 9:00'"


def read_human(text: str, *, now: datetime, tz: tzinfo) -> datetime:
    """The instant in UTC of a text, a wall time of the zone unless it has an offset; TimerError if it is not one.

    A time of day alone, a day of the week and a date without a year mean the next one.

    >>> from zoneinfo import ZoneInfo
    >>> now = datetime(2026, 12, 1, 10, tzinfo=UTC)  # a Tuesday
    >>> str(read_human("next monday 9:00", now=now, tz=ZoneInfo("Europe/Berlin")))
    '2026-12-07 08:00:00+00:00'
    """
    said = text.strip()
    if not said or len(said) > _LONGEST:
        raise TimerError(f"{text!r:.60} is not a time; {_EXAMPLES}", field="at")
    wall = now.astimezone(tz).replace(tzinfo=None, microsecond=0)
    try:
        found = (
            _delayed(said, now, wall, tz) or _of_day(_day_first(said), now, wall, tz) or _absolute(said, now, wall, tz)
        )
    except OverflowError:  # the first and the last year of datetime, in UTC
        found = None
    if found is None or not 1970 <= found.year <= 2099:
        raise TimerError(f"{text!r:.60} is outside the years 1970 to 2099", field="at")
    return found


def read_past(text: str, *, now: datetime, tz: tzinfo) -> datetime:
    """The same for a time that is probably past, as that from which on to show runs: also `2 hours ago`, `yesterday`.

    A time of day alone, a day of the week and a date without a year mean the last one, a day its beginning.

    >>> from zoneinfo import ZoneInfo
    >>> now = datetime(2026, 12, 1, 10, tzinfo=UTC)  # a Tuesday
    >>> str(read_past("monday", now=now, tz=ZoneInfo("Europe/Berlin"))), str(read_past("2h ago", now=now, tz=UTC))
    ('2026-11-29 23:00:00+00:00', '2026-12-01 08:00:00+00:00')
    """
    said = text.strip()
    wall = now.astimezone(tz).replace(tzinfo=None, microsecond=0)
    if said.lower() == "now":
        return now.astimezone(UTC)
    try:
        found = _ago(said, now, wall, tz) or _of_past_day(_day_first(said), now, wall, tz)
        found = found or _last_of(said, now, wall, tz, read_human(text, now=now, tz=tz))
    except OverflowError:  # the first year of datetime
        found = None
    if found is None or found.year < 1970:
        raise TimerError(f"{text!r:.60} is outside the years 1970 to 2099", field="at")
    return found


def _ago(said: str, now: datetime, wall: datetime, tz: tzinfo) -> datetime | None:
    """A time before now: `2 hours ago`, `2h`, or `-2h`."""
    before = _AGO.sub("", said, count=1).strip()
    if len(said) > _LONGEST or (before == said and not re.search("[a-z]", said, re.I)):
        return None
    try:
        ago = read_interval(before)
        counted = calendar_interval(ago)
        if counted is not None:
            return _utc(wall - relativedelta(**counted._asdict()), tz)
        return now.replace(microsecond=0).astimezone(UTC) - timedelta(seconds=seconds_of(ago))
    except (ValueError, OverflowError):
        if before == said:
            return None
        raise TimerError(
            f"{said!r} is not a time; write it as in '20 minutes ago' or '2 days ago'", field="at"
        ) from None


def _of_past_day(said: str, now: datetime, wall: datetime, tz: tzinfo) -> datetime | None:
    """The last time of day, alone or on a day in words; None for other text."""
    day = _PAST_DAY.match(said)
    rest = _AT.sub("", said[day.end() :] if day else said, count=1)
    at = time(0) if day and not rest else _time_of_day(rest)
    if at is None:
        if day:
            raise TimerError(f"{said!r}: {rest!r} is not a time of day; write it as in '9:00' or '6 pm'", field="at")
        return None
    if day and day[1]:
        return _utc(datetime.combine(wall.date() - timedelta(days=day[1].lower() == "yesterday"), at), tz)
    first = wall.date() - timedelta(days=(wall.weekday() - _number(day[2])) % 7 if day else 0)
    found = _utc(datetime.combine(first, at), tz)
    return found if found <= now else _utc(datetime.combine(first - timedelta(days=7 if day else 1), at), tz)


def _last_of(said: str, now: datetime, wall: datetime, tz: tzinfo, found: datetime) -> datetime:
    """The last date of a text without a year that is read as `found`; that one itself for other text."""
    if found <= now:
        return found
    try:
        years = [_utc(_parsed(said, datetime(wall.year - back, 1, 1)), tz) for back in range(5)]
    except (TimerError, ValueError):
        return found
    return next((year for year in years if year <= now), found) if years[0] != years[1] else found


def _delayed(said: str, now: datetime, wall: datetime, tz: tzinfo) -> datetime | None:
    """A delay from now, as in `in 20 minutes` or `+2h`; days, weeks, months and years are counted by the calendar."""
    begin = _FROM_NOW.match(said)
    if begin is None:
        return None
    try:
        delay = read_interval(_ARTICLE.sub("1 ", said[begin.end() :].strip(), count=1))
        counted = calendar_interval(delay)
        if counted is not None:
            return _utc(wall + relativedelta(**counted._asdict()), tz)
        return now.replace(microsecond=0).astimezone(UTC) + timedelta(seconds=seconds_of(delay))
    except (ValueError, OverflowError):
        raise TimerError(
            f"{said!r} is not a time; write a delay as in 'in 20 minutes' or 'in 2 days'", field="at"
        ) from None


def _of_day(said: str, now: datetime, wall: datetime, tz: tzinfo) -> datetime | None:
    """A time of day, alone or with a day in words; None for other text."""
    named = None
    if relative := _RELATIVE_DAY.match(said):
        first, step = wall.date() + timedelta(days=relative[1].lower() == "tomorrow"), 0
    elif named := _DAY_NAME.match(said):
        first = wall.date() + timedelta(days=(_number(named[2]) - wall.weekday()) % 7)
        step = 7
        if (named[1] or "").lower() == "next" and first == wall.date():
            first += timedelta(days=7)
    else:
        first, step = wall.date(), 1
    day = relative or (step == 7 and named) or None
    rest = _AT.sub("", said[day.end() :] if day else said, count=1)
    if day and not rest:
        raise TimerError(f"{said!r} has no time of day; write it as in '{said} 9:00'", field="at")
    at = _time_of_day(rest)
    if at is None and named is not None and _has_date(rest):
        return _dated(said, rest, _number(named[2]), now, wall, tz)
    if at is None:
        if day:
            raise TimerError(f"{said!r}: {rest!r} is not a time of day; write it as in '9:00' or '6 pm'", field="at")
        return None
    return _first_after(lambda number: datetime.combine(first + timedelta(days=step * number), at), now, tz, step)


def _day_first(said: str) -> str:
    """A time of day before its day, as in `9:00 tomorrow`, in the other order; any other text unchanged."""
    found = _DAY_LAST.fullmatch(said)
    if found is None or not _TIME.fullmatch(found[1]):
        return said
    return f"{found[2]} {found[1]}" if _RELATIVE_DAY.match(found[2]) or _DAY_NAME.fullmatch(found[2]) else said


def _has_date(rest: str) -> bool:
    """Whether a text behind the name of a day has a date: a month by its name, or several numbers."""
    return re.search(r"\d.*[a-z]{3}|[a-z]{3}.*\d|\d[-/.]\d", rest, re.I) is not None


def _dated(said: str, rest: str, day: int, now: datetime, wall: datetime, tz: tzinfo) -> datetime:
    """The instant of a date behind the name of its day, as in `Thu, 24 Dec 2026 18:00`."""
    found = _absolute(rest, now, wall, tz)
    there = found.astimezone(tz)
    if there.weekday() != day:
        raise TimerError(f"{said!r}: {there:%Y-%m-%d} is a {_WEEK[there.weekday()].capitalize()}", field="at")
    return found


def _first_after(wall_of: Callable[[int], datetime], now: datetime, tz: tzinfo, step: int) -> datetime:
    found = _utc(wall_of(0), tz)
    return _utc(wall_of(1), tz) if found <= now and step else found


def _number(day: str) -> int:
    return next(number for number, name in enumerate(_WEEK) if name.startswith(day.lower()[:3]))


def _time_of_day(text: str) -> time | None:
    if not _TIME.fullmatch(text):
        return None
    words = {"noon": time(12), "midnight": time(0)}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return parse(text, default=datetime(2000, 1, 1)).time()
    except (ParserError, OverflowError):
        return None


def _absolute(said: str, now: datetime, wall: datetime, tz: tzinfo) -> datetime:
    """A date with or without a time of day, in ISO 8601 or another format of dateutil's parser."""
    said = re.sub(r"^(?:on|at)\s+", "", said, flags=re.I)
    try:
        return _utc(datetime.fromisoformat(iso_text(said)), tz)
    except ValueError:
        pass
    if year_first := _YEAR_FIRST.match(said):
        day, at = iso_text(year_first[0]), _time_of_day(_AT.sub("", said[year_first.end() :], count=1))
        if at is not None and re.fullmatch(r"\d{4}-\d\d-\d\d", day):
            return _utc(datetime.combine(_day_of(said, day), at), tz)
    if zone := _ZONE.search(said):
        raise TimerError(f"{said!r}: give the zone with --tz {zone[1]}", field="at")
    midnight = wall.replace(hour=0, minute=0, second=0)
    read, day_first = _parsed(said, midnight), _parsed(said, midnight, day_first=True)
    if read != day_first:
        dates = f"{day_first:%Y-%m-%d} or {read:%Y-%m-%d}"
        raise TimerError(f"{said!r} may be a day and a month, or a month and a day; write {dates}", field="at")
    # The parser takes missing parts from the default, so a second default shows which parts are missing.
    other = _parsed(said, datetime(wall.year - 4, wall.month % 12 + 1, wall.day % 28 + 1))
    if (read.month, read.day) != (other.month, other.day):
        raise TimerError(f"{said!r} has no day; {_EXAMPLES}", field="at")
    if read.year == other.year or _utc(read, tz) > now:
        return _utc(read, tz)
    return _utc(_parsed(said, midnight.replace(year=wall.year + 1, month=1, day=1)), tz)


def _day_of(said: str, day: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise TimerError(f"{said!r} is not a time: there is no day {day}", field="at") from None


def _parsed(said: str, default: datetime, *, day_first: bool = False) -> datetime:
    try:
        return parse(said, default=default, dayfirst=day_first, tzinfos=_refuse_zone)
    except TimerError:
        raise
    except (ParserError, OverflowError, ValueError, TypeError):
        raise TimerError(f"{said!r} is not a time; {_EXAMPLES}", field="at") from None


def _refuse_zone(name: str | None, offset: int | None) -> tzinfo | None:
    """Refuse names of zones such as CST, which may be one of several; only offsets are accepted."""
    if name is None and offset is None:
        return None
    if name is None or name in ("UTC", "Z", "GMT"):
        return timezone(timedelta(seconds=offset or 0))
    raise TimerError(f"{name} may be one of several zones; write an offset such as +08:00, or give --tz", field="at")


def _utc(found: datetime, tz: tzinfo) -> datetime:
    return (at_wall_time(found, tz) if found.tzinfo is None else found).astimezone(UTC)
