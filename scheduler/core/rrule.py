"""RRule, a recurrence rule (RFC 5545) as calendar applications write it, read by python-dateutil. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from quartzcron import CronExpression
from quartzcron.calendars import WorkingDays
from quartzcron.fields import FIRST_YEAR, LAST_YEAR
from quartzcron.grammar.canonical import canonical_text
from quartzcron.wall.day_forms import simplest_days
from quartzcron.wall.days import day_rule
from quartzcron.wall.pattern import WallPattern

from ..errors import TimerError
from .calendrical import Calendrical
from .fire_times import Compiled, FireTimes
from .options import trimmed
from .rrule_fires import moved_schedule, schedule_of
from .rrule_text import RecurrenceRule, read_rule
from .rrule_times import is_single
from .triggers import TZ, Cron, Trigger, TriggerOption
from .zone_names import named, zone


@dataclass(frozen=True, slots=True, init=False)
class RRule(Trigger):
    """Fires when a recurrence rule (RFC 5545) does, as python-dateutil reads it.

    BYSETPOS of a weekly rule counts the days of the week of DTSTART from its beginning, as RFC 5545 has it.

    `text` is an RRULE, or several lines with DTSTART and EXDATE. Its times are wall times of `tz`; that of DTSTART is
    the default, else the zone of this machine. Clock changes are handled as for a Cron. Without DTSTART, a rule begins
    in 1970, at midnight. COUNT is at most 10,000, and an interval of hours, minutes or seconds divides the day.

    >>> RRule("FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9", tz="UTC").next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-13T09:00:00+00:00'
    """

    kind: ClassVar[str] = "rrule"
    options: ClassVar[tuple[TriggerOption, ...]] = (
        TriggerOption(
            name="rrule",
            flag="--rrule",
            read=trimmed,
            metavar="RULE",
            help="Fire by a recurrence rule of a calendar application, as in 'FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9'.",
            field="text",
            noun="a recurrence rule",
            example="FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9",
        ),
        TZ,
    )

    text: str
    tz: str

    def __init__(self, text: str, tz: str | None = None) -> None:
        rule = read_rule(text, None if tz is None else named(tz))
        object.__setattr__(self, "text", text.strip())
        object.__setattr__(self, "tz", rule.tz)
        schedule_of(self.text, self.tz)

    @property
    def has_days(self) -> bool:
        return True

    def on(self, working_days: WorkingDays, roll: str) -> FireTimes:
        return moved_schedule(self.text, self.tz, working_days, roll)

    def next_fire(self, after: datetime) -> datetime | None:
        return schedule_of(self.text, self.tz).next_fire(after)

    def prev_fire(self, before: datetime) -> datetime | None:
        return schedule_of(self.text, self.tz).prev_fire(before)

    def count(self, start: datetime, end: datetime) -> int:
        return schedule_of(self.text, self.tz).count(start, end)

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Any:
        """The rule, or the Cron or Calendrical that has exactly its fire times."""
        rule = cls(values["rrule"], values.get("tz") or None)
        return _simpler(rule) or rule

    def option_values(self) -> dict[str, Any]:
        return {"rrule": self.text, "tz": self.tz}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(values["text"], values["tz"])

    def as_json(self) -> dict[str, Any]:
        return {"text": self.text, "tz": self.tz}

    def __str__(self) -> str:
        return f"{' '.join(self.text.split())} ({self.tz})"


# Simpler triggers


def _simpler(trigger: RRule) -> Trigger | None:
    """A Cron or a Calendrical with exactly the same fire times, or None."""
    rule = read_rule(trigger.text, trigger.tz)
    schedule = schedule_of(trigger.text, trigger.tz)
    if not isinstance(schedule, Compiled):
        return None
    compiled = schedule.compiled
    simplest = simplest_days(compiled._days.key)
    if simplest is not None:
        pattern = WallPattern(day_rule(*simplest), compiled._pattern.times)
        return Cron(canonical_text(pattern, interval=compiled._interval), trigger.tz)
    return _as_calendrical(rule, compiled)


def _as_calendrical(rule: RecurrenceRule, compiled: CronExpression) -> Calendrical | None:
    """The Calendrical with exactly the fire times of a rule, or None."""
    unit = {"DAILY": "days", "WEEKLY": "weeks", "MONTHLY": "months", "YEARLY": "years"}.get(rule.parts["FREQ"])
    first = compiled.next_fire((rule.start - timedelta(days=2)).replace(tzinfo=UTC))
    if unit is None or first is None or not is_single(rule) or rule.until is not None or rule.excluded:
        return None
    try:
        wall = first.astimezone(zone(rule.tz))
        number = {unit: int(rule.parts.get("INTERVAL", "1"))}
        same = Calendrical(**number, at=wall.time(), start=wall.date(), tz=rule.tz)  # type: ignore[arg-type]
    except TimerError:
        return None
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    days = same.compiled._days
    return same if all(days.mask(year) == compiled._days.mask(year) for year in years) else None
