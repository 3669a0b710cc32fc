"""systemd's OnCalendar= (systemd.time(7)): `Mon..Fri *-*-* 09:00:00 Asia/Shanghai`, or words such as `daily`.

Weekday, date and time all have to match. `~` counts days from the end of the month: `*-*~01` is the last one.
"""

from __future__ import annotations

from ..errors import DialectError, UnknownZoneError
from ..fields import FIRST_YEAR, LAST_YEAR, MONTHS, WEEK_DAYS, YEARS, DayFields
from ..zones.lookup import named_zone, zone_name
from .slots import (
    WEEK_NAMES,
    Reading,
    Slot,
    from_sunday_0,
    is_interval,
    quartz_text,
    simplest_of,
    week_text,
    years_within,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

    from ..search.compiled import CompiledExpression

NAME = "OnCalendar"


def _slot(name: str, low: int, high: int, width: int = 2) -> Slot:
    return Slot(name, low, high, dash="..", star_step=False, width=width)


_SECONDS = _slot("second", 0, 59)
_MINUTES = _slot("minute", 0, 59)
_HOURS = _slot("hour", 0, 23)
_MONTH_DAYS = _slot("day of month", 1, 31)
_MONTHS = _slot("month", 1, 12)
_YEARS = _slot("year", FIRST_YEAR, LAST_YEAR, 4)

_FULL_NAMES = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
_WEEK_NAMES = {**WEEK_NAMES, **{name: day for day, name in enumerate(_FULL_NAMES)}}
_SHORT = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")

_FROM_END = 28

_WORDS = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "semi-annually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
}


def read(text: str) -> tuple[str, tzinfo | None]:
    """The Quartz expression that fires when OnCalendar= elapses, and the zone that the text names.

    Raises DialectError if there is none.

    >>> read("Mon..Fri 9..17:00/20")
    ('0 0/20 9-17 ? * MON-FRI', None)
    >>> read("Fri *-*~07/1 18:00 Asia/Shanghai")
    ('0 0 18 ? * FRIL', NamedZoneInfo(key='Asia/Shanghai'))
    """
    first, _, rest = text.strip().partition(" ")
    words = f"{_WORDS.get(first.lower(), first)} {rest}".split(None, 4)
    tz = _zone(words)
    week, date, time = _parts(text, words)
    months, by_month, years = _read_date(date)
    seconds, minutes, hours, interval = _read_time(time)
    by_week = (months, 0, (), _read_week(week), None)
    days: list[list[DayFields]] = [[by_month], [by_week]]
    reading = Reading(seconds=seconds, minutes=minutes, hours=hours, days=days, years=years, interval=interval)
    what = f"days {date} that are {week}"
    return quartz_text(NAME, reading, what), tz


def write(expression: CompiledExpression) -> str:
    """The OnCalendar= that elapses at the same wall times; raises DialectError if there is none.

    >>> from quartzcron import CronExpression
    >>> write(CronExpression("0 0/20 9-17 ? * MON-FRI", tz="Asia/Shanghai"))
    'Mon..Fri *-*-* 09..17:00/20:00 Asia/Shanghai'
    """
    (months, month_days, specials, week_days, nth), years = simplest_of(expression, NAME)
    if any(nearest_weekday for _, _, nearest_weekday in specials):
        raise DialectError(NAME, "day of month", "it has no W")
    if specials and month_days:
        raise DialectError(NAME, "day of month", "a list has days from the end or from the beginning, not both")
    day = "-" + (_MONTH_DAYS.write(month_days) if month_days else "*")
    if any(n >= _FROM_END for _, n, _ in specials):
        raise DialectError(NAME, "day of month", f"it counts up to {_FROM_END} days from the end")
    if specials:
        day = "~" + _MONTH_DAYS.write(sum(1 << n + 1 for _, n, _ in specials), ranges=False)
    if nth is not None:
        week_days = 1 << nth[0]
        day = f"-{nth[1] * 7 - 6:02}..{min(nth[1] * 7, 31):02}" if nth[1] else "~07/1"
    week = "" if week_days in (0, WEEK_DAYS.full) else f"{week_text(week_days, _SHORT, '..')} "
    year = "*" if years == YEARS.full else _YEARS.write(years << FIRST_YEAR)
    month = "*" if months == MONTHS.full else _MONTHS.write(months)
    times = expression._pattern.times
    slots = ((_HOURS, times.hours), (_MINUTES, times.minutes), (_SECONDS, times.seconds))
    time = ":".join(slot.write(values, ranges=expression._interval) for slot, values in slots)
    return f"{week}{year}-{month}{day} {time}{_zone_text(expression)}"


def _zone_text(expression: CompiledExpression) -> str:
    if expression.tz is None:
        return ""
    name = zone_name(expression.tz)
    if name is None or name[0] in "+-":
        raise DialectError(NAME, "time zone", f"{name or expression.tz} has no name in the database")
    return f" {name}"


def _zone(words: list[str]) -> tzinfo | None:
    """Remove the zone from the end of the words, if there is one, and return it."""
    last = words[-1] if words else ""
    if (
        not last[:1].isalpha()
        or ":" in last
        or _is_week(last.partition("/")[0])
        or (len(words) == 1 and "/" not in last)
    ):
        return None
    try:
        return named_zone(words.pop())
    except UnknownZoneError as error:
        raise DialectError(NAME, "time zone", str(error)) from None


def _parts(text: str, words: list[str]) -> tuple[str, str, str]:
    """Weekday, date and time; missing ones are every day, and midnight."""
    week, date, time = "*", "*-*-*", "00:00:00"
    left = list(words)
    if left and _is_week(left[0]):
        week = left.pop(0).rstrip(",")
    if left and ":" not in left[0]:
        date = left.pop(0)
    if left and ":" in left[0]:
        time = left.pop(0)
    if left or not words:
        raise DialectError(NAME, None, f"{text.strip()[:60]!r} is not a weekday, date and time")
    return week, date, time


def _is_week(word: str) -> bool:
    names = word.upper().rstrip(",").replace("..", ",").replace("-", ",").split(",")
    return all(name in _WEEK_NAMES for name in names)


def _read_week(text: str) -> int:
    if text == "*":
        return WEEK_DAYS.full
    values = 0
    for item in text.upper().split(","):
        first, _, last = item.replace("..", "-").partition("-")
        start = (_WEEK_NAMES[first] + 6) % 7
        end = (_WEEK_NAMES[last or first] + 6) % 7
        if end < start:
            raise DialectError(NAME, "day of week", f"{item} runs backwards; a week begins on Monday there")
        values |= sum(1 << (day + 1) % 7 for day in range(start, end + 1))
    return from_sunday_0(values)


def _read_date(text: str) -> tuple[int, DayFields, int]:
    from_end = "~" in text
    parts = text.replace("~", "-").split("-")
    if not 2 <= len(parts) <= 3 or text.count("~") > 1 or (from_end and text.rindex("~") < text.rfind("-")):
        raise DialectError(NAME, "date", f"{text[:40]!r} is not a date; write *-*-01, 01-31 or *-02~01")
    years = YEARS.full
    if len(parts) == 3 and parts[0] != "*":
        years = years_within(NAME, _YEARS.read(NAME, parts[0]))
    months = _MONTHS.read(NAME, parts[-2])
    if from_end:
        specials = {(True, n - 1, False) for item in parts[-1].split(",") for n in _from_end(item)}
        return months, (months, 0, tuple(sorted(specials)), 0, None), years
    return months, (months, _MONTH_DAYS.read(NAME, parts[-1]), (), 0, None), years


def _from_end(item: str) -> range:
    """`~03` is the third last day, `~01..03` the last three, `~07/2` the seventh last and every other one after it."""
    base, slash, step_text = item.partition("/")
    first_text, dots, last_text = base.partition("..")
    first, last = _day_from_end(first_text), _day_from_end(last_text) if dots else 0
    if slash and not (step_text.isascii() and step_text.isdigit() and 0 < len(step_text) < 4 and int(step_text)):
        raise DialectError(NAME, _MONTH_DAYS.name, f"{step_text!r} is not a step")
    step = int(step_text) if slash else 1
    if dots:
        if last < first:
            raise DialectError(NAME, _MONTH_DAYS.name, f"{base} runs backwards")
        return range(first, last + 1, step)
    return range(first, 0, -step) if slash else range(first, first + 1)


def _day_from_end(text: str) -> int:
    day = _MONTH_DAYS.value(NAME, text)
    if day > _FROM_END:
        raise DialectError(NAME, _MONTH_DAYS.name, f"{text} is not within 1 to {_FROM_END} from the end")
    return day


def _read_time(text: str) -> tuple[int, int, int, bool]:
    hours, minutes, *rest = text.split(":")
    if len(rest) > 1:
        raise DialectError(NAME, "time", f"{text[:40]!r} is not a time")
    seconds = rest[0] if rest else "00"
    if "." in seconds.replace("..", ""):
        raise DialectError(NAME, "second", "Quartz has whole seconds only")
    interval = is_interval(*(part.replace("..", "-") for part in (hours, minutes, seconds)))
    return _SECONDS.read(NAME, seconds), _MINUTES.read(NAME, minutes), _HOURS.read(NAME, hours), interval
