"""Days of the week whose numbers may count from Sunday = 0, as in crontab and Spring: by name, in words."""

from __future__ import annotations

import re

from ..fields import WEEK_DAY_NAMES, WEEK_DAYS
from .parser import FieldFault, read_field

_WEEK_DAY = 5
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_NTH_BY_NAME = re.compile(rf"(?:{'|'.join(WEEK_DAY_NAMES)})#[1-5]", re.IGNORECASE | re.ASCII)


def named_week_days(text: str) -> str | None:
    """Days of the week numbered from Sunday = 0 or 7, by name; None if names cannot express them.

    >>> named_week_days("1-5"), named_week_days("0-7/2"), named_week_days("5L")
    ('MON-FRI', 'SUN,TUE,THU,SAT', None)
    """
    days, names = 0, []
    for item in text.split(","):
        mask = _days_of(item)
        if mask is None:
            return None
        days |= mask
        names.append(_named_item(item))
    named = ",".join(names)
    if _reads_as(named, days):
        return named
    return ",".join(name for day, name in enumerate(WEEK_DAY_NAMES, 1) if days >> day & 1)


def _days_of(item: str) -> int | None:
    """The days of an item as Quartz's set; None if crontabs refuse it, or differ."""
    base, slash, step = item.partition("/")
    first_text, dash, last_text = base.partition("-")
    if (slash and not step.isdigit()) or (slash and not dash and base != "*") or len(step) > 2 or step in ("0", "00"):
        return None
    if base == "7-7":
        return None  # every day in Spring, Sunday in a crontab
    if base == "*":
        first, last = 0, 6
    else:
        start, end = _day(first_text), _day(last_text) if dash else _day(first_text)
        if start is None or end is None:
            return None
        first, last = start, end if end >= start else end + 7
    return sum({1 << day % 7 + 1 for day in range(first, last + 1, int(step or 1))})


def _day(text: str) -> int | None:
    if len(text) == 1 and text in "01234567":
        return int(text)
    number = WEEK_DAYS.names.get(text.upper())
    return None if number is None else number - 1


def _named_item(item: str) -> str:
    """An item with names for its numbers, not for that of its step."""
    base, slash, step = item.partition("/")
    if base == "0-7" and not slash:
        return "*"
    first, dash, last = base.partition("-")
    return "-".join(_day_name(day) for day in (first, last) if day) + slash + step if base != "*" or dash else item


def _day_name(day: str) -> str:
    return WEEK_DAY_NAMES[int(day) % 7] if day.isdigit() else day


def _reads_as(text: str, days: int) -> bool:
    try:
        return bool(read_field(_WEEK_DAY, text) == (days, None))
    except FieldFault:
        return False


def first_number(text: str) -> int | None:
    """The first day that is given as a number."""
    given = numbers(text)
    return int(given[0]) if given and len(given[0]) < 9 else None


def day_in_quartz(number: int) -> str:
    """The day of a number in Quartz, where Sunday is 1."""
    return _DAYS[number - 1]


def day_in_spring(number: int) -> str:
    """The day of a number in Spring and crontab, where Sunday is 0 or 7."""
    return _DAYS[number % 7]


def is_by_name(week_days: str) -> bool:
    """Whether days of the week do not depend on the number of Sunday."""
    return not has_digit(week_days) or is_nth_by_name(week_days)


def is_nth_by_name(week_days: str) -> bool:
    """Whether this is the n-th day of the month by name, which every dialect that has it reads alike."""
    return _NTH_BY_NAME.fullmatch(week_days) is not None


def numbers(text: str) -> list[str]:
    """The numbers of a list of values and ranges, without those of steps, of # and of names."""
    return re.findall(r"(?<![\w#/])\d+(?!\w)", text, re.ASCII)


def has_digit(text: str) -> bool:
    return any(char in "0123456789" for char in text)
