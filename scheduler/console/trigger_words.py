"""Triggers in words, in the languages of the console."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time

from quartzcron import CronExpression

from ..core.any_of import AnyOf
from ..core.at import At
from ..core.calendrical import Calendrical
from ..core.triggers import Cron, Every, Trigger
from ..core.zone_names import zone
from . import moments
from .words import text

_UNITS = ("years", "months", "weeks", "days")


def words_of(trigger: Trigger, language: str) -> str:
    """A trigger in words, without its zone, which the page shows; that of another package, or a rule, as its own text.

    Each of several triggers that have no zone in common has its zone behind it.
    """
    if isinstance(trigger, Cron):
        return CronExpression(trigger.expression).describe(language)
    if isinstance(trigger, Every):
        return _interval(trigger.seconds, language)
    if isinstance(trigger, Calendrical):
        return _by_the_calendar(trigger, language)
    if isinstance(trigger, At):
        return _at(trigger, language)
    if isinstance(trigger, AnyOf):
        has_zones = trigger.tz is None
        first, *others = [_part(part, language, has_zone=has_zones) for part in trigger.triggers]
        return text(language, "words.or").join([first, *(other[:1].lower() + other[1:] for other in others)])
    describe = getattr(trigger, "describe", None)
    return str(describe(language)) if callable(describe) else str(trigger)


def _part(trigger: Trigger, language: str, *, has_zone: bool) -> str:
    """One of several triggers in words; At shows offsets, and a rule its zone."""
    words = words_of(trigger, language)
    if has_zone and isinstance(trigger, Cron | Calendrical):
        return text(language, "words.zoned", words=words, tz=trigger.tz)
    return words


def _interval(seconds: int, language: str) -> str:
    for key, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds % size == 0:
            return text(language, f"every.{key}", n=seconds // size)
    return text(language, "every.seconds", n=seconds)


def _by_the_calendar(trigger: Calendrical, language: str) -> str:
    numbers = {unit: number for unit in _UNITS if (number := getattr(trigger, unit))}
    parts = [text(language, f"words.{unit}", n=number) for unit, number in numbers.items()]
    if [*numbers.values()] == [1]:
        parts = [text(language, f"words.{unit}.single") for unit in numbers]
    every = text(language, "words.and").join(parts)
    number = next(iter(numbers.values())) if len(numbers) == 1 else 0
    on = _day_of(trigger, numbers, language)
    return text(language, "words.calendrical", n=number, every=every, on=on, at=_time(trigger.at), start=trigger.start)


def _day_of(trigger: Calendrical, numbers: Mapping[str, int], language: str) -> str:
    """On which day an interval of weeks, months or years fires; it follows from the first one."""
    start = trigger.start
    assert isinstance(start, date)
    if [*numbers] == ["weeks"]:
        return text(language, "words.on_weekday", n=trigger.weeks, day=text(language, f"weekday.{start.weekday()}"))
    if [*numbers] == ["years"]:
        key = "words.on_leap_day" if (start.month, start.day) == (2, 29) else "words.on_date"
        return text(language, key, day=f"{start:%m-%d}")
    if trigger.months:
        key = "words.on_late_day" if start.day > 28 else "words.on_day"
        return text(language, key, n=0 if trigger.years else trigger.months, day=start.day)
    return ""


def _time(at: time) -> str:
    return at.isoformat("seconds" if at.second else "minutes")


def _at(trigger: At, language: str) -> str:
    tz = zone(trigger.tz)
    first = moments.instant(trigger.instants[0], tz)
    if len(trigger.instants) == 1:
        return text(language, "words.once", at=first)
    return text(language, "words.times", n=len(trigger.instants), at=first)
