"""crontab (5): minute, hour, day of month, month, day of week, and nicknames such as @daily.

If both day fields are given, a day fires if either matches, or, if one of them begins with `*`, if both match
(crontab(5) of Vixie cron and cronie). Quartz has neither, so most of these are refused.

A zone may be before the fields, as in `CRON_TZ=Asia/Tokyo 0 8 * * *`, which is how Go's cron reads it.
"""

from __future__ import annotations

from ..errors import DialectError
from ..fields import MONTHS, WEEK_DAYS, YEARS
from ..zones.lookup import named_zone
from .slots import (
    MONTH_NAMES,
    WEEK_NAMES,
    Reading,
    Slot,
    from_sunday_0,
    is_interval,
    quartz_text,
    simplest_of,
    times_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

    from ..search.compiled import CompiledExpression

NAME = "crontab"
_ZONES = ("TZ", "CRON_TZ")

_MINUTES = Slot("minute", 0, 59, open_step=False)
_HOURS = Slot("hour", 0, 23, open_step=False)
_MONTH_DAYS = Slot("day of month", 1, 31, open_step=False)
_MONTHS = Slot("month", 1, 12, names=MONTH_NAMES, open_step=False)
_WEEK_DAYS = Slot("day of week", 0, 7, names=WEEK_NAMES, open_step=False)

_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def read(text: str) -> tuple[str, tzinfo | None]:
    """The Quartz expression that fires when a crontab line does, and its zone; raises DialectError if there is none.

    >>> read("*/15 9-17 * * 1-5")
    ('0 0/15 9-17 ? * MON-FRI', None)
    >>> read("0 8 13 * 5")
    Traceback (most recent call last):
        ...
    quartzcron.errors.DialectError: crontab, days: no Quartz expression has days of month 13 or days of week 5
    """
    text, zone = _without_zone(text)
    words = _NICKNAMES.get(text.strip().lower(), text).split(None, 5)
    if words and words[0].startswith("@"):
        raise DialectError(NAME, None, f"{words[0]} is not a calendar time")
    if len(words) != 5:
        raise DialectError(NAME, None, f"expected 5 fields, got {len(text.split())}")
    minutes, hours = _MINUTES.read(NAME, words[0]), _HOURS.read(NAME, words[1])
    months = _MONTHS.read(NAME, words[3])
    by_month = (months, _MONTH_DAYS.read(NAME, words[2]), (), 0, None)
    by_week = (months, 0, (), from_sunday_0(_WEEK_DAYS.read(NAME, words[4])), None)
    both = words[2].startswith("*") or words[4].startswith("*")
    reading = Reading(
        minutes=minutes,
        hours=hours,
        days=[[by_month], [by_week]] if both else [[by_month, by_week]],
        interval=is_interval(*words[:2]),
    )
    what = f"days of month {words[2]} {'and' if both else 'or'} days of week {words[4]}"
    return quartz_text(NAME, reading, what), zone


def _without_zone(text: str) -> tuple[str, tzinfo | None]:
    """The text after `CRON_TZ=…` or `TZ=…`, and that zone; raises UnknownZoneError."""
    first, *rest = text.split(None, 1)[:2] or [""]
    name, equals, zone = first.partition("=")
    if not equals or name.upper() not in _ZONES:
        return text, None
    return "".join(rest), named_zone(zone.strip("\"'"))


def write(expression: CompiledExpression) -> str:
    """The crontab line that fires at the same wall times; raises DialectError if there is none.

    >>> from quartzcron import CronExpression
    >>> write(CronExpression("0 0/15 9-17 ? * MON-FRI"))
    '*/15 9-17 * * 1-5'
    """
    (months, month_days, specials, week_days, nth), years = simplest_of(expression, NAME)
    if years != YEARS.full:
        raise DialectError(NAME, "year", "it has no years")
    if specials:
        raise DialectError(NAME, "day of month", "it has no L and no W")
    if nth is not None:
        raise DialectError(NAME, "day of week", "it has no # and no L")
    minutes, hours = times_of(expression, NAME, (_MINUTES, _HOURS))
    days = _MONTH_DAYS.write(month_days) if month_days else "*"
    week = _WEEK_DAYS.write(week_days >> 1) if week_days and week_days != WEEK_DAYS.full else "*"
    return f"{minutes} {hours} {days} {'*' if months == MONTHS.full else _MONTHS.write(months)} {week}"
