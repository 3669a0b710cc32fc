"""Descriptions in English: one phrase for the times, one for the days, one for the years."""

from __future__ import annotations

from itertools import groupby

from ..fields import HOURS, MINUTES, MONTHS, WEEK_DAYS, YEARS, DayFields, Special
from ..wall.runs import ValueRun, runs, wrapped_runs
from ..wall.times import members
from .outline import FieldTimes, Outline, RoundTheClock, TimeSpans, clock, cycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NEVER = "Never"

_MONTHS = (
    "",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_WEEK_DAYS = ("", "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_NTH = ("last", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_SUFFIXES = {1: "st", 2: "nd", 3: "rd"}
_ROLLS = {
    "skip": "on working days only",
    "following": "or the working day after it",
    "preceding": "or the working day before it",
    "modified_following": "or the working day after it, or before it where that is in another month",
    "modified_preceding": "or the working day before it, or after it where that is in another month",
    "only_off": "on days off only",
}
_FEW = 4
_LEAP_DAY = 29


def sentence(outline: Outline, days: DayFields, years: int, zone: str | None) -> str:
    """The whole description."""
    text = _times(outline)
    around = isinstance(outline, RoundTheClock) or (isinstance(outline, FieldTimes) and outline.hours == HOURS.full)
    day = _days(days, years, around=around)
    if day:
        text += (", " if _has_comma(outline, text, day) else " ") + day
    return f"{text}, {zone} time" if zone else text


def with_exception(text: str, name: str | None) -> str:
    """A description with the name of the calendar whose days are excluded."""
    return f"{text}, except on {name or 'the days of its calendar'}"


def with_roll(text: str, convention: str, name: str | None) -> str:
    """A description with the roll convention and the name of the calendar of working days."""
    return f"{text}, {_ROLLS[convention]}{f' ({name})' if name else ''}"


def _has_comma(outline: Outline, text: str, day: str) -> bool:
    """Whether a comma stands between times and days."""
    if not day.startswith(("on ", "in ", "every day")) or day.startswith("every day except"):
        return True
    if isinstance(outline, FieldTimes):
        return outline.hours != HOURS.full or ", at " in text
    if isinstance(outline, TimeSpans):
        alone = [first == last for first, last in outline.runs]
        return not all(alone) and (any(alone) or len(alone) > 2)
    return False


# -- times --


def _times(outline: Outline) -> str:
    if isinstance(outline, RoundTheClock):
        return f"Every {_step(outline.unit, outline.step)}"
    if isinstance(outline, TimeSpans):
        return _capital(_spans(outline))
    return _capital(_field_times(outline))


def _step(unit: str, step: int) -> str:
    return unit if step == 1 else f"{step} {unit}s"


def _spans(spans: TimeSpans) -> str:
    """`at 08:00 and 09:30`, `every 5 minutes from 14:00 to 14:55 and from 18:00 to 18:55`."""
    every = f"every {_step(spans.unit, spans.step)} "
    parts: list[str] = []
    points: list[str] = []
    for first, last in spans.runs:
        start = clock(first, to_the_second=spans.to_the_second)
        if first == last:
            points.append(start)
            continue
        if points:
            parts.append(f"at {_listed(points)}")
            points = []
        parts.append(f"{every}from {start} to {clock(last, to_the_second=spans.to_the_second)}")
    if points:
        parts.append(f"at {_listed(points)}")
    if all(part.startswith(every) for part in parts):
        parts[1:] = [part.removeprefix(every) for part in parts[1:]]
    return _listed(parts, serial=any(" and " in part for part in parts))


def _field_times(times: FieldTimes) -> str:
    if times.seconds.bit_count() > 1:
        return _field_seconds(times)
    second = (times.seconds & -times.seconds).bit_length() - 1
    hours = _past_hours(times.hours)
    if times.minutes == MINUTES.full:
        if times.hours == HOURS.full:
            return f"at {_count(second, 'second')} past every minute"
        return f"every minute during {_labels('hour', times.hours)}{_at_second(second)}"
    step = cycle(times.minutes)
    if step and times.minutes & 1 and times.hours == HOURS.full:
        return f"every {_step('minute', step)}{_at_second(second)}"
    if times.minutes.bit_count() > 1:
        return f"{_past('minute', times.minutes)} past {hours}{_at_second(second)}"
    minute = (times.minutes & -times.minutes).bit_length() - 1
    amounts = [_count(n, unit) for n, unit in ((minute, "minute"), (second, "second")) if n]
    return f"at {_listed(amounts)} past {hours}"


def _field_seconds(times: FieldTimes) -> str:
    step = cycle(times.seconds)
    regular = step and times.seconds & 1
    seconds = f"every {_step('second', step)} during" if regular else f"{_past('second', times.seconds)} past"
    whole = times.minutes == MINUTES.full
    if whole and times.hours == HOURS.full:
        return f"{seconds} every minute"
    if times.minutes.bit_count() * times.hours.bit_count() <= _FEW:
        starts = [h * 3600 + m * 60 for h in members(times.hours) for m in members(times.minutes)]
        the = "the minutes " if regular and len(starts) > 1 else "the minute " if regular else ""
        return f"{seconds} {the}{_listed([clock(start, to_the_second=False) for start in starts])}"
    minutes = "every minute" if whole else _labels("minute", times.minutes)
    hours = "every hour" if times.hours == HOURS.full else _labels("hour", times.hours)
    if whole and regular:
        return f"{seconds} {hours}"
    return f"{seconds} {minutes} of {hours}"


def _at_second(second: int) -> str:
    return f", at {_count(second, 'second')} past the minute" if second else ""


def _count(n: int, unit: str) -> str:
    return f"{n} {unit}" if n == 1 else f"{n} {unit}s"


def _past(unit: str, values: int) -> str:
    """`at 5 and 20 minutes`, `every 2 minutes from 20 to 58 minutes`, `every second from 0 to 3 and at 58 seconds`."""
    groups = runs(members(values))
    steps = [run for run in groups if run[2]]
    if not steps:
        return f"at {_listed([str(run[0]) for run in groups])} {unit}s"
    parts: list[str] = []
    points: list[str] = []
    for first, last, step in groups:
        if not step:
            points.append(str(first))
            continue
        parts += [f"at {_listed(points)}"] if points else []
        points = []
        every = "" if any(part.startswith("every") for part in parts) else f"every {_step(unit, step)} "
        parts.append(f"{every}from {first} to {last}")
    parts += [f"at {_listed(points)}"] if points else []
    return f"{_listed(parts)} {unit}s"


def _past_hours(hours: int) -> str:
    """`every hour`, `05:00 and 07:00`, `every other hour from 14:00 to 22:00`, `every hour from … and past 14:00`."""
    if hours == HOURS.full:
        return "every hour"
    text = _grouped(
        runs(members(hours)),
        "past",
        lambda first, last, step: f"every {_nth(step, 'hour')} from {_o_clock(first)} to {_o_clock(last)}",
        _o_clock,
    )
    return text.removeprefix("past ")


def _o_clock(hour: int) -> str:
    return clock(hour * 3600, to_the_second=False)


def _labels(unit: str, values: int) -> str:
    """`minute 5`, `hours 7, 15 and 23`, `minutes 10 to 20`, `every other hour from hour 0 to hour 22`."""
    groups = runs(members(values))
    if len(groups) == 1 and groups[0][2] > 1:
        first, last, step = groups[0]
        return f"every {_nth(step, unit)} from {unit} {first} to {unit} {last}"
    plural = "" if values.bit_count() == 1 else "s"
    return f"{unit}{plural} {_listed([f'{first} to {last}' if step else str(first) for first, last, step in groups])}"


# -- days --


def _days(days: DayFields, years: int, *, around: bool) -> str:
    """The days and years; empty if all of them fire and the times go round the clock."""
    months, month_days, specials, week_days, nth = days
    year = "" if years == YEARS.full else _years(years)
    if week_days == WEEK_DAYS.full:
        return _every_day(months, year, years, around=around)
    if week_days:
        week, month = _week_days(week_days), "" if months == MONTHS.full else _in_months(months, years)
        pause = ", " if " to " in week or " except " in week else " "
        month = month and f"{pause}{month}"
        joined = _joined_year(months, years, year)
        return f"{week}{month}{joined if month or not joined else pause + year}"
    if nth is None and not specials and months.bit_count() == 1 and month_days.bit_count() == 1:
        return _date(months, month_days, years, year)
    if nth is not None:
        item = f"on the {_NTH[nth[1]]} {_WEEK_DAYS[nth[0]]}"
        if_any = (
            " that has one" if nth[1] == 5 and months == MONTHS.full else ", when there is one" if nth[1] == 5 else ""
        )
    else:
        item = _month_days(month_days, specials)
        if_any = _lacking(month_days, specials) if months == MONTHS.full else ""
    text = f"{item} of {_of_months(months, years)}{if_any}"
    joined = _joined_year(months, years, year)
    return f"{text},{joined}" if if_any and joined and "," not in joined else f"{text}{joined}"


def _every_day(months: int, year: str, years: int, *, around: bool) -> str:
    if months == MONTHS.full:
        return " ".join(filter(None, ("" if around else "every day", year)))
    month = _in_months(months, years)
    return ("" if around else "every day ") + month + _joined_year(months, years, year)


def _date(months: int, month_days: int, years: int, year: str) -> str:
    day, month = members(month_days)[0], members(months)[0]
    date = f"on {day} {_MONTHS[month]}"
    if not year:
        return f"{date} of every leap year" if (day, month) == (_LEAP_DAY, 2) else f"{date} every year"
    return f"{date}{_joined_year(months, years, year)}"


def _joined_year(months: int, years: int, year: str) -> str:
    if not year:
        return ""
    if months.bit_count() == 1 and years.bit_count() == 1:
        return f" {year.removeprefix('in ')}"
    return f", {year}" if 1 < months.bit_count() < 12 else f" {year}"


def _week_days(values: int) -> str:
    """`on Mondays`, `Monday to Friday`, `every day except Wednesday`; a week begins on Monday here."""
    if values.bit_count() == 6 and values not in (_bits(2, 7), _bits(1, 6)):
        missing = members(WEEK_DAYS.full & ~values)[0]
        return f"every day except {_WEEK_DAYS[missing]}"
    from_monday = sum(1 << (day + 5) % 7 + 1 for day in members(values))
    groups = wrapped_runs(from_monday, 1, 7, wrap=True)
    names = [(_WEEK_DAYS[first % 7 + 1], _WEEK_DAYS[last % 7 + 1], step) for first, last, step in groups]
    if not any(step for _, _, step in names):
        return f"on {_listed([f'{name}s' for name, _, _ in names])}"
    return _listed([f"{first} to {last}" if step else first for first, last, step in names])


def _bits(first: int, last: int) -> int:
    return (1 << last + 1) - (1 << first)


def _month_days(month_days: int, specials: tuple[Special, ...]) -> str:
    """`on the 1st and the last day`, `from the 1st to the 7th`, `every 5 days from the 1st to the 31st`."""
    parts: list[str] = []
    points: list[str] = []
    for first, last, step in runs(members(month_days)):
        if not step:
            points.append(f"the {_ordinal(first)}")
            continue
        parts += [f"on {_listed(points)}"] if points else []
        points = []
        every = f"every {step} days " if step > 1 else ""
        parts.append(f"{every}from the {_ordinal(first)} to the {_ordinal(last)}")
    points += [_special(special) for special in sorted(specials, key=_nearness)]
    parts += [f"on {_listed(points)}"] if points else []
    return _listed(parts)


def _nearness(special: Special) -> tuple[bool, int]:
    """The order of special days: "nearest to a day" last, or what follows would seem to be part of it."""
    from_end, n, nearest_weekday = special
    named = n == 1 - from_end  # the first or the last weekday
    return (nearest_weekday and not named, n if from_end and not nearest_weekday else 40 * from_end + n)


def _special(special: Special) -> str:
    from_end, n, nearest_weekday = special
    if not from_end:
        return "the first weekday" if n == 1 else f"the weekday nearest the {_ordinal(n)}"
    if not n:
        return "the last weekday" if nearest_weekday else "the last day"
    place = _NTH[n + 1] if n + 1 < len(_NTH) else _ordinal(n + 1)
    return f"the weekday nearest the {place}-to-last day" if nearest_weekday else f"the {place}-to-last day"


def _lacking(month_days: int, specials: tuple[Special, ...]) -> str:
    """The addition to a single day that not every month has, such as the 31st."""
    if not specials and month_days.bit_count() == 1 and members(month_days)[0] > 28:
        return " that has one"
    if len(specials) == 1 and not month_days:
        from_end, n, _ = specials[0]
        return " that has one" if n > (27 if from_end else 28) else ""
    return ""


def _in_months(months: int, years: int) -> str:
    """`in January and March`, `from June to September`."""
    groups = wrapped_runs(months, 1, 12, wrap=years == YEARS.full)
    return _grouped(groups, "in", lambda a, b, _: f"from {_MONTHS[a]} to {_MONTHS[b]}", _MONTHS.__getitem__)


def _of_months(months: int, years: int) -> str:
    """`every month`, `January and March`, `every month from June to September`."""
    if months == MONTHS.full:
        return "every month"
    groups = wrapped_runs(months, 1, 12, wrap=years == YEARS.full)
    texts = [f"from {_MONTHS[first]} to {_MONTHS[last]}" if step else _MONTHS[first] for first, last, step in groups]
    if all(step for _, _, step in groups):
        return f"every month {_listed(texts)}"
    return _listed([f"every month {text}" if step else text for text, (_, _, step) in zip(texts, groups, strict=True)])


def _years(years: int) -> str:
    """`in 2050`, `in 2030 and 2032`, `in 2008 and from 2012 to 2015`, `in every other year from 2017 to 2099`."""
    groups = runs([year + YEARS.base for year in members(years)])
    if len(groups) == 1 and groups[0][2]:
        first, last, step = groups[0]
        return f"from {first} to {last}" if step == 1 else f"in every {_nth(step, 'year')} from {first} to {last}"
    return _grouped(groups, "in", lambda a, b, _: f"from {a} to {b}", str)


# -- words --


def _nth(step: int, unit: str) -> str:
    """`hour`, `other hour`, `third hour`, `15th hour`; "second hour" could be read as a unit of time."""
    if step < 3:
        return unit if step == 1 else f"other {unit}"
    return f"{_NTH[step] if step < len(_NTH) else _ordinal(step)} {unit}"


def _ordinal(n: int) -> str:
    return f"{n}{'th' if n // 10 == 1 else _SUFFIXES.get(n % 10, 'th')}"


def _listed(items: Sequence[str], *, serial: bool = False) -> str:
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])}{',' if serial else ''} and {items[-1]}"


def _grouped(
    groups: Sequence[ValueRun], before: str, span: Callable[[int, int, int], str], point: Callable[[int], str]
) -> str:
    """Runs in order: neighbouring single values share the word before them, longer runs have their own."""
    parts: list[str] = []
    for alone, group in groupby(groups, key=lambda run: not run[2]):
        if alone:
            parts.append(f"{before} {_listed([point(first) for first, _, _ in group])}")
        else:
            parts += [span(*run) for run in group]
    return _listed(parts)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def joined(texts: list[str], how: str) -> str:
    """The parts of a union or of an overlap as one text."""
    parts = "; ".join(text[0].lower() + text[1:] for text in texts)
    return f"{'Any of' if how == 'union' else 'All of'}: {parts}"
