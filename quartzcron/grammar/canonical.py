"""The normal form of an expression: from the sets of its fields back to a text with the same meaning in Quartz.

Values are sorted, runs become ranges, and regular steps up to the end of a field become `first/step`. Expressions of
fixed times keep to lists, since `-` and `/` would make them interval expressions, which pass an overlap twice.
"""

from __future__ import annotations

from ..errors import CronError
from ..fields import (
    HOURS,
    MINUTES,
    MONTH_DAYS,
    MONTHS,
    SECONDS,
    WEEK_DAY_NAMES,
    WEEK_DAYS,
    YEARS,
    DayFields,
    Field,
    Special,
)
from ..wall.day_forms import simplest_days
from ..wall.days import DayRule, day_rule
from ..wall.pattern import WallPattern
from ..wall.times import members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def canonical_text(pattern: WallPattern, *, interval: bool) -> str:
    """The normal form of a pattern, written as an interval expression or as one of fixed times.

    Raises CronError if calendars change the days and no expression without a calendar has the same ones.
    """
    times = pattern.times
    days = _without_calendars(pattern.days) if pattern.days.layers else pattern.days
    parts = [
        _text(field, values, ranges=interval)
        for field, values in ((SECONDS, times.seconds), (MINUTES, times.minutes), (HOURS, times.hours))
    ]
    if interval and not any(char in "*-/" for part in parts for char in part):
        _mark_as_interval(parts)
    parts += _day_texts(days.fields)
    if days.given_years != YEARS.full:
        parts.append(_text(YEARS, days.given_years))
    return " ".join(parts)


def _mark_as_interval(parts: list[str]) -> None:
    """Write a step, or if all three are single values a range, where no values are regular enough to have one."""
    for place, field in ((2, HOURS), (1, MINUTES), (0, SECONDS)):
        if "," in parts[place]:
            parts[place] = stepped([int(value) for value in parts[place].split(",")], field.high)
            return
    parts[2] = f"{parts[2]}-{parts[2]}"


def stepped(values: Sequence[int], high: int) -> str:
    """At least two values with a step: `0/12` for 0 and 12, `8-16/4` for 8, 12 and 16, `0-3/3,7` for 0, 3 and 7.

    >>> stepped([0, 12], 23), stepped([8, 12, 16], 23), stepped([0, 3, 7], 59)
    ('0/12', '8-16/4', '0-3/3,7')
    """
    step, last = values[1] - values[0], values[1]
    rest = list(values[2:])
    while rest and rest[0] == last + step:
        last = rest.pop(0)
    first = f"{values[0]}/{step}" if last + step > high and not rest else f"{values[0]}-{last}/{step}"
    return ",".join([first, *map(str, rest)])


def _without_calendars(days: DayRule) -> DayRule:
    """The plain rule that has the same days."""
    if not days.firing_years:
        return day_rule(days.fields, days.given_years)
    simplest = simplest_days(days.key)
    if simplest is None:
        what = "by its calendar of working days" if days.is_rolled else "that are left without those of the calendar"
        raise CronError(f"the days {what} cannot be written as a cron expression")
    return day_rule(*simplest)


def _day_texts(fields: DayFields) -> list[str]:
    months, month_days, specials, week_days, nth = fields
    month = _text(MONTHS, months)
    if nth is not None:
        day, n = nth
        return ["?", month, WEEK_DAY_NAMES[day - 1] + (f"#{n}" if n else "L")]
    if week_days == WEEK_DAYS.full or month_days == MONTH_DAYS.full:
        return ["*", month, "?"]
    if week_days:
        return ["?", month, _names(week_days)]
    items = [_text(MONTH_DAYS, month_days)] if month_days else []
    return [",".join(items + [_special_text(special) for special in specials]), month, "?"]


def _special_text(special: Special) -> str:
    from_end, n, nearest_weekday = special
    day = (f"L-{n}" if n else "L") if from_end else str(n)
    return f"{day}W" if nearest_weekday else day


def _names(week_days: int) -> str:
    return ",".join(
        WEEK_DAY_NAMES[run[0] - 1]
        if len(run) == 1
        else f"{WEEK_DAY_NAMES[run[0] - 1]}{joint}{WEEK_DAY_NAMES[run[-1] - 1]}"
        for run in _runs(members(week_days))
        for joint in ("-" if len(run) > 2 else ",",)
    )


def _text(field: Field, values: int, *, ranges: bool = True) -> str:
    if not ranges:
        return ",".join(str(value) for value in members(values))
    if values == field.full:
        return "*"
    listed = [value + field.base for value in members(values)]
    step = listed[1] - listed[0] if len(listed) > 2 else 1
    if step > 1 and listed == list(range(listed[0], field.high + 1, step)) and step <= field.max_step:
        return f"{listed[0]}/{step}"
    return ",".join(
        f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(str(value) for value in run) for run in _runs(listed)
    )


def _runs(values: Sequence[int]) -> list[list[int]]:
    """Values in order, split where one is missing."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return runs
