"""parse(text) -> Parts: the only parser of the syntax. A FieldFault describes the error of one field; diagnosis.py
makes a CronSyntaxError of all errors of a text.

The grammar is that of Quartz (CronExpression, 2.3.2), but strict: if Quartz ignores the rest of a text or guesses, this
is an error. Field texts repeat, so each (field, text) is parsed once and cached, and so are the days of a text.
"""

from __future__ import annotations

from ..fields import (
    FIELDS,
    HOURS,
    MINUTES,
    MONTH_DAYS,
    MONTHS,
    SECONDS,
    WEEK_DAYS,
    YEARS,
    DayFields,
    Field,
    Nth,
    Special,
)
from ..wall.days import DayRule, day_rule
from ..wall.times import TimeValues

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MEMO_TEXT = 64
_MEMO_SIZE = 4096
_DAYS_SIZE = 1024

# A parsed text: seconds, minutes, hours and days.
Parts = tuple[TimeValues, TimeValues, TimeValues, DayRule]

# Parsed field texts: times as TimeValues, days of the month (values, specials), days of the week (values, nth), months
# and years (values).
_seconds: dict[str, TimeValues] = {}
_minutes: dict[str, TimeValues] = {}
_hours: dict[str, TimeValues] = {}
_month_days: dict[str, tuple[int, tuple[Special, ...]]] = {}
_months: dict[str, int] = {}
_week_days: dict[str, tuple[int, Nth | None]] = {}
_years: dict[str, int] = {}
# The days by the whole text after the hours: day of month, month, day of week and year.
_days: dict[str, DayRule] = {}
_MEMOS: tuple[dict[str, Any], ...] = (_seconds, _minutes, _hours, _month_days, _months, _week_days, _years)


class FieldFault(Exception):
    """An invalid field text: the message, the invalid part, the index at which it starts, and a hint."""

    def __init__(self, message: str, text: str, start: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.text, self.start, self.hint = message, text, start, hint


def parse(text: str) -> Parts:
    """Parse a Quartz expression of six or seven fields, in time linear in the length of the text.

    Raises FieldFault for the first invalid field.
    """
    try:
        second, minute, hour, days = text.split(None, 3)
        return _seconds[second], _minutes[minute], _hours[hour], _days[days]
    except (KeyError, ValueError):
        return _parse_uncached(text)


def _parse_uncached(text: str) -> Parts:
    """Parse a text with a field that is not cached, or invalid."""
    words = text.split(None, 7)
    if len(words) not in (6, 7):
        raise FieldFault("wrong number of fields", text, 0)
    years = _recall(6, words[6]) if len(words) == 7 else YEARS.full
    seconds, minutes, hours = (_recall(index, words[index]) for index in range(3))
    days = day_rule(_read_days(words[3], words[4], words[5]), years)
    rest = text.split(None, 3)[3]
    if len(rest) <= _MEMO_TEXT:
        if len(_days) >= _DAYS_SIZE:
            _days.clear()
        _days[rest] = days
    return seconds, minutes, hours, days


def _read_days(by_month: str, month: str, by_week: str) -> DayFields:
    months = _recall(4, month)
    month_days = None if by_month == "?" else _recall(3, by_month)
    week_days = None if by_week == "?" else _recall(5, by_week)
    if week_days is None and month_days is not None:
        return months, *month_days, 0, None
    if month_days is None and week_days is not None:
        return months, 0, (), *week_days
    raise FieldFault("exactly one of the two day fields is ?", by_month, 0)


def _recall(index: int, text: str) -> Any:
    return _MEMOS[index].get(text) or read_field(index, text)


def read_field(index: int, text: str) -> Any:
    """The parsed text of one field, cached; raises FieldFault."""
    if not (text.isascii() and text.isprintable()):
        start = next(place for place, char in enumerate(text) if not (char.isascii() and char.isprintable()))
        what = "unexpected" if text[start].isprintable() else "invisible"
        hint = FIELDS[index].allowed if text[start].isalnum() else None
        raise FieldFault(f"{what} character {text[start]!r}", text[start], start, hint)
    value = _READERS[index](text.upper())
    memo = _MEMOS[index]
    if len(text) <= _MEMO_TEXT:
        if len(memo) >= _MEMO_SIZE:
            memo.clear()
        memo[text] = value
    return value


def _read_seconds(text: str) -> TimeValues:
    return TimeValues(_read_values(SECONDS, text), interval=_is_interval(text))


def _read_minutes(text: str) -> TimeValues:
    return TimeValues(_read_values(MINUTES, text), interval=_is_interval(text))


def _read_hours(text: str) -> TimeValues:
    return TimeValues(_read_values(HOURS, text), interval=_is_interval(text))


def _read_months(text: str) -> int:
    return _read_values(MONTHS, text)


def _read_years(text: str) -> int:
    return _read_values(YEARS, text)


def _is_interval(text: str) -> bool:
    return "*" in text or "/" in text or "-" in text


def _read_month_days(text: str) -> tuple[int, tuple[Special, ...]]:
    if "L" not in text and "W" not in text:
        return _read_values(MONTH_DAYS, text), ()
    values, specials, start = 0, set(), 0
    for item in text.split(","):
        if "L" in item or "W" in item:
            specials.add(_read_special(item, start))
        else:
            values |= _read_item(MONTH_DAYS, item, start)
        start += len(item) + 1
    return values, tuple(sorted(specials))


def _read_special(item: str, start: int) -> Special:
    """`L`, `L-n`, `nW`, `LW` or `L-nW`."""
    weekday = item.endswith("W")
    body = item[:-1] if weekday else item
    if body == "L":
        return True, 0, weekday
    if body.startswith("L-") and body[2:].isdigit():
        n = _number(body[2:])
        if n > 30:
            raise FieldFault(f"{item} is out of range", item, start, "L-30 is the earliest")
        return True, n, weekday
    if weekday and body.isdigit():
        n = _number(body)
        if not 1 <= n <= 31:
            raise FieldFault(f"{item} is out of range", item, start, "1W to 31W, or LW")
        return False, n, True
    raise FieldFault(f"{item} is not valid", item, start, _special_hint(item))


def _special_hint(item: str) -> str:
    if item == "WL":
        return "the last weekday of the month is LW"
    if item.startswith("LW-") and item[3:].isdigit():
        return f"the weekday nearest to it is L-{item[3:]}W"
    if item.startswith("L") and item[1:].isdigit():
        return f"days before the last one are L-{item[1:]}"
    if "W" in item and ("-" in item or "/" in item):
        return "W takes a single day, as in 15W"
    if item == "W":
        return "W follows a day, as in 15W or LW"
    return "the forms are L, L-3, 15W, LW and L-3W"


def _read_week_days(text: str) -> tuple[int, Nth | None]:
    if text == "L":
        return 1 << 7, None
    if "#" in text:
        return 0, _read_nth(text)
    if text.endswith("L") and "," not in text and "-" not in text and "/" not in text:
        return 0, (_value(WEEK_DAYS, text[:-1], 0), 0)
    if "L" in text or "W" in text.replace("WED", ""):
        _refuse_week_special(text)
    return _read_values(WEEK_DAYS, text), None


def _read_nth(text: str) -> Nth:
    day, _, n = text.partition("#")
    if "," in text:
        raise FieldFault("# stands alone in its field", text, 0, "split the expression in two")
    if not day:
        raise FieldFault(f"{_short(text)} is missing a day", text, 0, "the third Friday is 6#3 or FRI#3")
    if len(n) != 1 or n not in "12345":
        raise FieldFault(f"{text} is not valid", text, 0, "the third Friday is 6#3 or FRI#3, from #1 to #5")
    return _value(WEEK_DAYS, day, 0), int(n)


def _refuse_week_special(text: str) -> None:
    start = 0
    for item in text.split(","):
        if item.endswith("L") and ("," in text or "-" in text):
            raise FieldFault(
                "L takes a single day and stands alone in its field", item, start, "the last Friday is 6L or FRIL"
            )
        bare = item.strip("LW-0123456789")
        if not item.isdigit() and (not bare or (bare in WEEK_DAYS.names and item not in WEEK_DAYS.names)):
            raise FieldFault(f"{item} is not valid here", item, start, "the last Friday is 6L or FRIL")
        start += len(item) + 1


def _read_values(field: Field, text: str) -> int:
    """A list of `*`, values, ranges and steps as a set."""
    if "," not in text:
        return _read_item(field, text, 0)
    values, start = 0, 0
    for item in text.split(","):
        values |= _read_item(field, item, start)
        start += len(item) + 1
    return values


def _read_item(field: Field, item: str, start: int) -> int:
    """One item of a list: `*`, `v`, `v-w`, each with or without `/n`, or `/n` alone, which is `*/n`."""
    base, slash, step_text = item.partition("/")
    step = _step(field, step_text, start + len(base) + 1) if slash else 1
    if base == "*" or (slash and not base):
        return _progression(field, field.low, field.high, step)
    first_text, dash, last_text = base.partition("-")
    first = _value(field, first_text, start, item)
    if not dash:
        return _progression(field, first, field.high, step) if slash else 1 << (first - field.base)
    last_start = start + len(first_text) + 1
    last = _value(field, last_text, last_start, item)
    if first_text.isdigit() != last_text.isdigit():
        raise FieldFault(f"{base} mixes a name and a number", base, start, "write both ends the same way")
    if last < first:
        if not field.wraps:
            raise FieldFault(f"{base} runs backwards", base, start, f"write {last_text}-{first_text}")
        last += field.size
    return _progression(field, first, last, step)


def _progression(field: Field, first: int, last: int, step: int) -> int:
    """first, first + step, … up to last as a set, continued from the field's first value if last is beyond its end."""
    count = (last - first) // step + 1
    values: int = ((1 << count * step) - 1) // ((1 << step) - 1) << (first - field.base)
    if last > field.high:
        values |= values >> field.size
        values &= field.full
    return values


def _step(field: Field, text: str, start: int) -> int:
    if not text.isdigit():
        hint = "a step is a whole number, as in 0/15"
        raise FieldFault(f"{text or 'nothing'} after / is not a step", text, start, hint)
    step = _number(text)
    if not 1 <= step <= field.max_step:
        raise FieldFault(f"step {text} is out of range", text, start, f"steps here go from 1 to {field.max_step}")
    return step


def _value(field: Field, text: str, start: int, item: str | None = None) -> int:
    if text.isdigit():
        value = _number(text)
        if field.low <= value <= field.high:
            return value
        raise FieldFault(f"{_short(text)} is out of range", text, start, field.allowed)
    if text in field.names:
        return field.names[text]
    raise _no_value(field, text, start, text if item is None else item)


def _no_value(field: Field, text: str, start: int, item: str) -> FieldFault:
    if not item:
        return FieldFault("an item of the list is empty", "", start, "remove a comma")
    if not text:
        return FieldFault(f"{_short(item)} is missing a value", item, start, "a range is written 1-5")
    if "?" in text:
        return FieldFault("? stands alone, and only in one of the two day fields", text, start)
    if text[:-1].isdigit() and text.endswith("C"):
        return FieldFault(f"{text} is not supported", text, start, "Quartz never implemented C")
    if text in ("L", "LW"):
        return FieldFault(f"{text} belongs to the day fields", text, start, field.allowed)
    return FieldFault(f"{_short(text)} is not a value", text, start, field.allowed)


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}…"


def _number(digits: str) -> int:
    """The value of ASCII digits; for a very long number only its beginning, which is out of range anyway."""
    return int(digits) if len(digits) < 10 else int(digits.lstrip("0")[:10] or "0")


_READERS = (_read_seconds, _read_minutes, _read_hours, _read_month_days, _read_months, _read_week_days, _read_years)

assert len(_READERS) == len(FIELDS) == len(_MEMOS)
