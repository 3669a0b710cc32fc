"""The fire times of a recurrence rule, computed by the calculator. Pure.

A rule is one or several expressions with its times of day (rrule_times.py), and a layer with its days (rrule_days.py).
A rule with COUNT is a list of instants.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice

from quartzcron import CronExpression
from quartzcron.calendars import WorkingDays
from quartzcron.search.compiled import with_layers

from ..errors import TimerError
from .any_of import United
from .at import At
from .fire_times import Compiled, FireTimes
from .rrule_days import RuleDays, rule_walls
from .rrule_text import STEPS_S, RecurrenceRule, read_rule, rule_fault
from .rrule_times import is_single, times_of_day
from .window import windowed
from .zone_names import zone

#: The most expressions, each with its times of day, that one rule may need.
_MOST_GROUPS = 100
_MICROSECOND = timedelta(microseconds=1)


def _expressions(rule: RecurrenceRule) -> list[CronExpression]:
    """The expressions that fire together as the rule does: one for all times of day that form a product."""
    times = times_of_day(rule)
    if not times:
        raise rule_fault("it never fires: no time of day is left")
    if len(times) > 1 and "BYSETPOS" in rule.parts:
        raise rule_fault("BYSETPOS with several times a day is not supported; give one BYHOUR, BYMINUTE and BYSECOND")
    products = _products(times)
    if len(products) > _MOST_GROUPS:
        raise rule_fault(f"its times of day are too irregular: more than {_MOST_GROUPS} expressions")
    layer = (RuleDays(rule),)
    is_interval = rule.parts["FREQ"] in STEPS_S
    return [
        with_layers(CronExpression(_text(hours, minutes, seconds, is_interval), tz=rule.tz), layer)
        for (hours, seconds), minutes in products.items()
    ]


def _products(times: list[int]) -> dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]]:
    """Times of day as products of hours, minutes and seconds: the minutes by the hours and seconds that they share."""
    hours_of: dict[tuple[int, int], list[int]] = {}
    for at in times:
        hours_of.setdefault((at // 60 % 60, at % 60), []).append(at // 3600)
    seconds_of: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for (minute, second), hours in hours_of.items():
        seconds_of.setdefault((tuple(hours), minute), []).append(second)
    minutes_of: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for (hours_key, minute), seconds in seconds_of.items():
        minutes_of.setdefault((hours_key, tuple(seconds)), []).append(minute)
    return minutes_of


def _text(hours: tuple[int, ...], minutes: list[int], seconds: tuple[int, ...], is_interval: bool) -> str:
    """An expression for every day; one of a frequency within the day is written so that it counts as an interval."""
    listed = [",".join(map(str, values)) for values in (seconds, minutes, hours)]
    if is_interval:
        listed[2] = "*" if len(hours) == 24 else ",".join(f"{hour}-{hour}" for hour in hours)
    return f"{' '.join(listed)} * * ?"


@lru_cache(maxsize=1024)
def schedule_of(text: str, tz: str) -> FireTimes:
    """The fire times of a rule."""
    rule = read_rule(text, tz)
    if "COUNT" in rule.parts:
        return _counted(rule)
    parts = tuple(map(Compiled, _expressions(rule)))
    return _bounded(rule, parts[0] if len(parts) == 1 else United(parts))


@lru_cache(maxsize=1024)
def moved_schedule(text: str, tz: str, working_days: WorkingDays, roll: str) -> FireTimes:
    """The fire times of a rule once a calendar has moved or left out those on days off."""
    rule = read_rule(text, tz)
    if "COUNT" in rule.parts:
        return _counted(rule).on(working_days, roll)
    if rule.excluded and not is_single(rule):
        raise TimerError("a rule with EXDATE and several times a day takes no calendar", field="calendar")
    parts = tuple(Compiled(expression.on(working_days, roll)) for expression in _expressions(rule))
    return _bounded(rule, parts[0] if len(parts) == 1 else United(parts))


def _counted(rule: RecurrenceRule) -> At:
    """The instants of a rule with COUNT, each by the rule for clock changes."""
    parts = {name: value for name, value in rule.parts.items() if name != "COUNT"}
    tz = zone(rule.tz)
    instants = set()
    for wall in islice(rule_walls(parts, rule.start), int(rule.parts["COUNT"])):
        if wall in rule.excluded:
            continue
        fixed = CronExpression(f"{wall.second} {wall.minute} {wall.hour} {wall.day} {wall.month} ? {wall.year}", tz=tz)
        fire = fixed.next_fire(wall.replace(tzinfo=UTC) - timedelta(days=2))
        if fire is not None:
            instants.add(fire.astimezone(UTC))
    if not instants:
        raise rule_fault("it never fires")
    return At.of_any_number(instants, rule.tz)


def _bounded(rule: RecurrenceRule, schedule: FireTimes) -> FireTimes:
    """A schedule without the times of the first day before DTSTART, of the last one after UNTIL, and those excluded."""
    times, tz = times_of_day(rule), zone(rule.tz)
    starts_at = ends_at = None
    if rule.has_start and times[0] < _second_of_day(rule.start):
        starts_at = rule.start.replace(tzinfo=tz).astimezone(UTC)
    if rule.until is not None and times[-1] > _second_of_day(rule.until):
        ends_at = rule.until.replace(tzinfo=tz, fold=1).astimezone(UTC) + _MICROSECOND
    schedule = windowed(schedule, starts_at, ends_at)
    if rule.excluded and not is_single(rule):
        left_out = frozenset(wall.replace(tzinfo=tz).astimezone(UTC) for wall in rule.excluded)
        return _Without(schedule, left_out)
    return schedule


def _second_of_day(wall: datetime) -> int:
    return wall.hour * 3600 + wall.minute * 60 + wall.second


@dataclass(frozen=True, slots=True)
class _Without:
    """Fires when another schedule does, except at some instants."""

    schedule: FireTimes
    left_out: frozenset[datetime]

    def next_fire(self, after: datetime) -> datetime | None:
        fire = self.schedule.next_fire(after)
        while fire is not None and fire in self.left_out:
            fire = self.schedule.next_fire(fire)
        return fire

    def prev_fire(self, before: datetime) -> datetime | None:
        fire = self.schedule.prev_fire(before)
        while fire is not None and fire in self.left_out:
            fire = self.schedule.prev_fire(fire)
        return fire

    def count(self, start: datetime, end: datetime) -> int:
        less = [at for at in self.left_out if start <= at < end and self.schedule.next_fire(at - _MICROSECOND) == at]
        return self.schedule.count(start, end) - len(less)

    @property
    def anchor(self) -> datetime | None:
        return None
