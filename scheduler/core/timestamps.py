"""Converts instants from and to integers, as the store and workers have them, ISO 8601 text, and wall times.

The integers are microseconds since 1970 in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from ..errors import TimerError, shown

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: The first year of cron expressions, and the year after their last.
_FIRST_YEAR, _LAST_YEAR = 1970, 2100
#: A date that begins with its year is never a year, a day and a month.
_YEAR_FIRST = re.compile(
    r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:[ T]+(\d{1,2})(:\d{2}(?::\d{2}(?:\.\d+)?)?) *(Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_CHINESE_DATE = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})[日号]? *", re.ASCII)


def require_instant(what: str, value: object) -> None:
    """Refuse what is not an instant: a value of another type, or a time without a zone."""
    if not isinstance(value, datetime):
        raise TypeError(f"{what} must be a datetime, got {type(value).__name__}")
    if value.utcoffset() is None:
        raise TimerError(f"{what} needs a time zone, as in datetime.now(UTC); got {value.isoformat()}")


def stamp(instant: datetime) -> int:
    """An aware datetime as microseconds since 1970."""
    return (instant - EPOCH) // _MICROSECOND


def instant(stamp: int) -> datetime:
    """Microseconds since 1970 as an aware datetime in UTC."""
    return EPOCH + _MICROSECOND * stamp


def stamp_or_none(instant: datetime | None) -> int | None:
    """The same, None for None."""
    return None if instant is None else stamp(instant)


def instant_or_none(stamp: int | None) -> datetime | None:
    """The same, None for None."""
    return None if stamp is None else instant(stamp)


def iso_text(text: str) -> str:
    """An instant whose year comes first in the form of ISO 8601; any other text without the blanks around it.

    Spreadsheets write such dates when they save a list.

    >>> iso_text("2026/1/5 9:00"), iso_text("2026年1月5日 9:00"), iso_text("5 Jan 2026")
    ('2026-01-05T09:00', '2026-01-05T09:00', '5 Jan 2026')
    """
    found = _YEAR_FIRST.fullmatch(_CHINESE_DATE.sub(r"\1-\2-\3 ", text.strip(), count=1).rstrip())
    if found is None:
        return text.strip()
    year, _, month, day, hour, rest, offset = found.groups()
    time = f"T{int(hour):02}{rest}{offset or ''}" if hour else ""
    return f"{year}-{int(month):02}-{int(day):02}{time}"


def read_instant(value: Any) -> datetime | None:
    """An instant in ISO 8601, aware if the text has an offset; None for an empty text, ValueError for other text."""
    if isinstance(value, datetime):
        return value
    if value == "":
        return None
    try:
        return datetime.fromisoformat(iso_text(value))
    except (AttributeError, ValueError):
        raise ValueError(f"expected an instant as in 2026-01-05T08:00:00+08:00, got {shown(value, 60)}") from None


def check_instant(name: str, given: Any) -> datetime | None:
    """An instant, or a text parsed to one; TimerError for anything else, and outside 1970 to 2099."""
    try:
        instant = None if given is None else read_instant(given)
    except ValueError as error:
        raise TimerError(f"{name}: {error}", field=name) from None
    if instant is None:
        return None
    if not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise TimerError(f"{name}: {instant.isoformat()} is outside the years 1970 to 2099", field=name)
    return instant


def in_utc(name: str, instant: datetime | None, tz: tzinfo | None) -> datetime | None:
    """An instant in UTC; one without an offset is a wall time of the zone, or a TimerError without a zone."""
    if instant is None:
        return None
    if instant.tzinfo is None:
        if tz is None:
            raise TimerError(
                f"{name}: {instant.isoformat()} needs an offset, as in {instant.isoformat()}+08:00; an interval has no "
                "time zone",
                field=name,
            )
        instant = at_wall_time(instant, tz)
    return instant.astimezone(UTC)


def at_wall_time(wall: datetime, tz: tzinfo) -> datetime:
    """A wall time in a zone: in standard time where the clock reads it twice, or never."""
    # The offset of standard time is the smaller one.
    return min(wall.replace(tzinfo=tz, fold=0), wall.replace(tzinfo=tz, fold=1), key=_offset)


def _offset(time: datetime) -> float:
    offset = time.utcoffset()
    return 0.0 if offset is None else offset.total_seconds()
