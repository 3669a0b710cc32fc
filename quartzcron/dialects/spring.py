"""Spring's CronExpression (5.3 and later): second, minute, hour, day of month, month, day of week; macros; no years.

Both day fields have to match. Days of the week count from Monday = 1 to Sunday = 7, or 0. `L`, `L-3`, `15W`, `LW`,
`5L`, `FRIL` and `MON#2` are as in Quartz, and lists may contain them; but near the end of a month Spring's `W` and
`L-n` may name a day of another month, so from 28 on they are refused.
"""

from __future__ import annotations

from ..errors import DialectError
from ..fields import MONTHS, WEEK_DAY_NAMES, WEEK_DAYS, YEARS, DayFields, Special
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
    week_text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

    from ..search.compiled import CompiledExpression

NAME = "Spring"

_SECONDS = Slot("second", 0, 59)
_MINUTES = Slot("minute", 0, 59)
_HOURS = Slot("hour", 0, 23)
_MONTH_DAYS = Slot("day of month", 1, 31)
_MONTHS = Slot("month", 1, 12, names=MONTH_NAMES)
_WEEK_DAYS = Slot("day of week", 0, 7, names={**WEEK_NAMES, "SUN": 7}, sunday_first=True)
_SAFE = 27

_MACROS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}


def read(text: str) -> tuple[str, tzinfo | None]:
    """The Quartz expression that fires when Spring's does, without a zone; raises DialectError if there is none.

    >>> read("0 0 9-17 * * 1-5")
    ('0 0 9-17 ? * MON-FRI', None)
    >>> read("0 0 9 1-7 * MON")
    ('0 0 9 ? * MON#1', None)
    """
    words = _MACROS.get(text.strip().lower(), text).split(None, 6)
    if len(words) != 6:
        raise DialectError(NAME, None, f"expected 6 fields, got {len(text.split())}")
    months = _MONTHS.read(NAME, words[4])
    reading = Reading(
        seconds=_SECONDS.read(NAME, words[0]),
        minutes=_MINUTES.read(NAME, words[1]),
        hours=_HOURS.read(NAME, words[2]),
        days=[_by_month(words[3], months), _by_week(words[5], months)],
        interval=is_interval(*words[:3]),
    )
    what = f"days of month {words[3]} that are days of week {words[5]}"
    return quartz_text(NAME, reading, what), None


def write(expression: CompiledExpression) -> str:
    """Spring's expression that fires at the same wall times; raises DialectError if there is none.

    >>> from quartzcron import CronExpression
    >>> write(CronExpression("0 0 8 ? * 2-6"))
    '0 0 8 * * MON-FRI'
    """
    (months, month_days, specials, week_days, nth), years = simplest_of(expression, NAME)
    if years != YEARS.full:
        raise DialectError(NAME, "year", "it has no years")
    items = [_MONTH_DAYS.write(month_days)] if month_days else []
    days = ",".join(items + [_special_text(special) for special in specials]) or "*"
    week = "*"
    if nth is not None:
        week = WEEK_DAY_NAMES[nth[0] - 1] + (f"#{nth[1]}" if nth[1] else "L")
    elif week_days and week_days != WEEK_DAYS.full:
        week = week_text(week_days, WEEK_DAY_NAMES, "-")
    month = "*" if months == MONTHS.full else _MONTHS.write(months)
    return " ".join([*times_of(expression, NAME, (_SECONDS, _MINUTES, _HOURS)), days, month, week])


def _by_month(text: str, months: int) -> list[DayFields]:
    if text in ("*", "?"):
        return [(months, _MONTH_DAYS.full, (), 0, None)]
    values, specials = 0, set()
    for item in text.upper().split(","):
        if "L" in item or "W" in item:
            specials.add(_special(item))
        else:
            values |= _MONTH_DAYS.read(NAME, item)
    return [(months, values, tuple(sorted(specials)), 0, None)]


def _special(item: str) -> Special:
    if item in ("L", "LW"):
        return True, 0, item == "LW"
    before, after = item.removeprefix("L-"), item.removesuffix("W")
    if before != item:
        return True, _checked(item, before), False
    if after != item:
        return False, _checked(item, str(_MONTH_DAYS.value(NAME, after))), True
    raise DialectError(NAME, _MONTH_DAYS.name, f"{item!r} is not a value")


def _checked(item: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and 0 < len(digits) < 3):
        raise DialectError(NAME, _MONTH_DAYS.name, f"{item!r} is not a value")
    if int(digits) > _SAFE:
        raise DialectError(NAME, _MONTH_DAYS.name, f"{item} may be a day of another month there, never in Quartz")
    return int(digits)


def _by_week(text: str, months: int) -> list[DayFields]:
    if text in ("*", "?"):
        return [(months, 0, (), WEEK_DAYS.full, None)]
    days: list[DayFields] = []
    for item in dict.fromkeys(text.upper().split(",")):
        day, hash_sign, n = item.partition("#")
        if hash_sign:
            if n not in ("1", "2", "3", "4", "5"):
                raise DialectError(NAME, _WEEK_DAYS.name, f"{item} is not one of #1 to #5")
            days.append((months, 0, (), 0, (_quartz_day(day), int(n))))
        elif item.endswith("L"):
            days.append((months, 0, (), 0, (_quartz_day(item[:-1]), 0)))
        else:
            days.append((months, 0, (), from_sunday_0(_WEEK_DAYS.read(NAME, item)), None))
    return days


def _quartz_day(text: str) -> int:
    return _WEEK_DAYS.value(NAME, text) % 7 + 1


def _special_text(special: Special) -> str:
    from_end, n, nearest_weekday = special
    if from_end and n and nearest_weekday:
        raise DialectError(NAME, _MONTH_DAYS.name, f"it has no L-{n}W")
    if n > _SAFE:
        text = f"L-{n}" if from_end else f"{n}W"
        raise DialectError(NAME, _MONTH_DAYS.name, f"{text} may be a day of another month there, never in Quartz")
    if from_end:
        return "LW" if nearest_weekday else f"L-{n}" if n else "L"
    return f"{n}W"
