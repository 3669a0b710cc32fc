"""Triggers in words, in the languages of the console."""

from __future__ import annotations

from datetime import time

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
    """A trigger in words; one of another package, or a recurrence rule, as its own text."""
    if isinstance(trigger, Cron):
        # The page shows the zone beside it.
        return CronExpression(trigger.expression).describe(language)
    if isinstance(trigger, Every):
        return _interval(trigger.seconds, language)
    if isinstance(trigger, Calendrical):
        return _by_the_calendar(trigger, language)
    if isinstance(trigger, At):
        return _at(trigger, language)
    if isinstance(trigger, AnyOf):
        return text(language, "words.or").join(words_of(part, language) for part in trigger.triggers)
    describe = getattr(trigger, "describe", None)
    return str(describe(language)) if callable(describe) else str(trigger)


def _interval(seconds: int, language: str) -> str:
    for key, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds % size == 0:
            return text(language, f"every.{key}", n=seconds // size)
    return text(language, "every.seconds", n=seconds)


def _by_the_calendar(trigger: Calendrical, language: str) -> str:
    parts = [text(language, f"words.{unit}", n=getattr(trigger, unit)) for unit in _UNITS if getattr(trigger, unit)]
    every = text(language, "words.and").join(parts)
    return text(language, "words.calendrical", every=every, at=_time(trigger.at), start=trigger.start)


def _time(at: time) -> str:
    return at.isoformat("seconds" if at.second else "minutes")


def _at(trigger: At, language: str) -> str:
    tz = zone(trigger.tz)
    first = moments.instant(trigger.instants[0], tz)
    if len(trigger.instants) == 1:
        return text(language, "words.once", at=first)
    return text(language, "words.times", n=len(trigger.instants), at=first)
