"""Calendars of working days around a trigger: they move or skip its fires on days off. Pure.

A timer names a calendar of its store, and a roll convention. Calendars and conventions are those of the calculator:
quartzcron.calendars.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256

from quartzcron import CronError
from quartzcron.calendars import WorkingDays

from ..errors import TimerError, shown
from .fire_times import FireTimes
from .triggers import Trigger
from .zone_names import zone

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class RollConvention(StrEnum):
    """The roll convention: moves or skips a fire on a day off."""

    SKIP = "skip"
    FOLLOWING = "following"
    PRECEDING = "preceding"
    MODIFIED_FOLLOWING = "modified_following"
    MODIFIED_PRECEDING = "modified_preceding"
    ONLY_OFF = "only_off"


@dataclass(frozen=True, slots=True)
class OnWorkingDays:
    """Fires when a trigger does, except that the roll convention moves or skips its fires on days off of a calendar.

    If this process does not know the calendar, which only the store has, it does not fire.
    """

    trigger: Trigger
    name: str
    roll: RollConvention
    working_days: WorkingDays | None
    schedule: FireTimes | None

    def next_fire(self, after: datetime) -> datetime | None:
        return None if self.schedule is None else self.schedule.next_fire(after)

    def prev_fire(self, before: datetime) -> datetime | None:
        return None if self.schedule is None else self.schedule.prev_fire(before)

    def count(self, start: datetime, end: datetime) -> int:
        return 0 if self.schedule is None else self.schedule.count(start, end)

    @property
    def anchor(self) -> datetime | None:
        return self.trigger.anchor

    def __str__(self) -> str:
        return f"{self.trigger}, calendar {self.name}, {self.roll}"


@lru_cache(maxsize=4096)
def on_working_days(
    trigger: Trigger, name: str, roll: RollConvention, working_days: WorkingDays | None
) -> OnWorkingDays:
    """A trigger with a calendar of working days; None for `working_days` means that this process does not know it."""
    schedule = None if working_days is None else trigger.on(working_days, roll)
    return OnWorkingDays(trigger, name, roll, working_days, schedule)


def check_calendar(trigger: Trigger) -> None:
    """Refuse a calendar with a trigger whose fires it could not move."""
    if not trigger.has_days:
        raise TimerError(
            f"a calendar goes with a trigger that fires on days of a time zone, unlike {shown(str(trigger), 60)}; "
            "use an expression as in '0 0/5 * * * ?', or a time of day as in --every '1 day' --at 09:00",
            field="calendar",
        )


def assumed_from(working_days: WorkingDays | None, fires: Iterable[datetime], tz: str | None) -> date | None:
    """The day after which the calendar assumes its working week for some of these fires; None if all are known."""
    known = None if working_days is None else working_days.known_until
    if known is None or tz is None:
        return None
    return known if any(fire.astimezone(zone(tz)).date() > known for fire in fires) else None


# Calendars as text, for the store


def calendar_text(working_days: WorkingDays) -> str:
    """A calendar as JSON text, always the same for the same calendar."""
    return _COMPACT.encode(working_days.to_json())


def calendar_digest(working_days: WorkingDays) -> str:
    """A digest of a calendar and the names of its days, because its text is long; computed once for each object."""
    known = _digests.get(id(working_days))
    if known is not None and known[0] is working_days:
        return known[1]
    if len(_digests) >= _MOST_DIGESTS:
        _digests.clear()
    digest = sha256(calendar_text(working_days).encode()).hexdigest()[:32]
    _digests[id(working_days)] = working_days, digest
    return digest


_MOST_DIGESTS = 256
#: By id, because calendars with the same days are equal despite other names; the value keeps the id from being reused.
_digests: dict[int, tuple[WorkingDays, str]] = {}


@lru_cache(maxsize=256)
def calendar_of(text: str) -> WorkingDays:
    """The calendar of such a text; TimerError for another one."""
    try:
        return WorkingDays.from_json(json.loads(text))
    except (CronError, ValueError) as error:
        raise TimerError(f"the calendar cannot be read: {error}", field="calendar") from error
