"""The preview of a trigger: a description, the next fires, a year, clock changes, and errors.

All of it comes from the same trigger that a daemon uses, so that the preview and the fires cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

from quartzcron import CronError, CronExpression, CronSyntaxError
from quartzcron.dialects import DIALECTS
from quartzcron.zones.lookup import zone_of

from ..core.fire_times import FireTimes
from ..core.timestamps import at_wall_time
from ..core.triggers import Cron, Trigger
from .advice import Advice, advice
from .trigger_words import words_of
from .words import LANGUAGES

MAX_TEXT = 500
FIRES = 10
#: Dialects that a pasted expression may have, the likeliest first.
_PASTED = ("crontab", "spring", "eventbridge", "oncalendar")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ExpressionProblem:
    """An error in an expression, and its place."""

    field: str | None
    message: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class Faults:
    """The errors of a text: the text with carets under each error, and the likely fix."""

    drawing: str
    problems: Sequence[ExpressionProblem]
    fix: str | None
    #: The Quartz expressions of the text, by the dialect that it may have.
    pasted: Sequence[tuple[str, str]]

    @property
    def offered(self) -> list[tuple[str | None, str]]:
        """The fix and the expressions of `pasted`, each meaning once: the fix has a dialect if one explains it."""
        if self.fix is None:
            return [*self.pasted]
        fix, meaning = self.fix, canonical_text(self.fix)
        pasted = [(name, fix if canonical_text(text) == meaning else text) for name, text in self.pasted]
        return [*pasted] if any(text == fix for _, text in pasted) else [(None, fix), *pasted]


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A change of the clock, and the fires of that night under the trigger's policy and under the other one."""

    at: datetime
    before: datetime
    fires: Sequence[datetime]
    other_policy: str
    other_fires: Sequence[datetime]

    @property
    def differs(self) -> bool:
        """Whether the other policy fires at other times."""
        return list(self.fires) != list(self.other_fires)


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview of a trigger."""

    trigger: Trigger
    words: dict[str, str]
    canonical: str | None
    fires: Sequence[datetime]
    shortest: timedelta | None
    longest: timedelta | None
    per_year: int
    clock_changes: Sequence[ClockChange]
    advice: Sequence[Advice]


def preview(trigger: Trigger, schedule: FireTimes, *, now: datetime, limit_s: float) -> Preview:
    """The preview of a trigger from `now` on; `schedule` is the trigger with the jitter and window of its timer."""
    fires = next_fires(schedule, now, FIRES)
    gaps = [later - earlier for earlier, later in pairwise(fires)]
    return Preview(
        trigger,
        words={language: words_of(trigger, language) for language in LANGUAGES},
        canonical=canonical(trigger),
        fires=fires,
        shortest=min(gaps, default=None),
        longest=max(gaps, default=None),
        per_year=schedule.count(now, now + 365 * _DAY),
        clock_changes=clock_changes(trigger, now),
        advice=advice(trigger, limit_s=limit_s, fires=fires),
    )


def next_fires(schedule: FireTimes, after: datetime, count: int, *, until: datetime | None = None) -> list[datetime]:
    """The first fire times after an instant; with `until`, those before that."""
    fires: list[datetime] = []
    fire = schedule.next_fire(after)
    while fire is not None and len(fires) < count and (until is None or fire < until):
        fires.append(fire)
        fire = schedule.next_fire(fire)
    return fires


def canonical(trigger: Trigger) -> str | None:
    """The normal form of an expression; None if it equals the text."""
    if not isinstance(trigger, Cron):
        return None
    form = canonical_text(trigger.expression)
    return None if form == trigger.expression else form


def canonical_text(expression: str) -> str:
    """The normal form of an expression, or the text itself if it is not an expression."""
    try:
        return CronExpression(expression).canonical
    except CronError:
        return expression


def faults_of(expression: str) -> Faults | None:
    """The errors of a text; None if it is an expression."""
    try:
        CronExpression(expression)
    except CronSyntaxError as error:
        problems = [ExpressionProblem(problem.field, problem.message, problem.hint) for problem in error.problems]
        return Faults(error.drawing, problems, error.fix, list(_pasted(expression)))
    except CronError as error:
        return Faults("", [ExpressionProblem(None, str(error), None)], None, [])
    return None


def _pasted(expression: str) -> Iterable[tuple[str, str]]:
    """The text read in other dialects, each Quartz expression once."""
    seen = set()
    for dialect in _PASTED:
        if dialect not in DIALECTS:
            continue
        try:
            quartz = CronExpression.from_dialect(dialect, expression).text
        except CronError:
            continue
        if quartz not in seen:
            seen.add(quartz)
            yield dialect, quartz


def clock_changes(trigger: Trigger, now: datetime) -> list[ClockChange]:
    """The changes of the clock in the next year that affect the fires of an expression."""
    if not isinstance(trigger, Cron):
        return []
    other = "quartz" if trigger.dst == "vixie" else "vixie"
    changes = []
    for at, before in _transitions(trigger.tz, now):
        start, end = at - timedelta(hours=3), at + timedelta(hours=3)
        fires = _between(trigger, start, end)
        others = _between(replace(trigger, dst=other), start, end)
        if fires != others:
            changes.append(ClockChange(at, before, fires, other, others))
    return changes


def _between(trigger: Cron, start: datetime, end: datetime, most: int = 8) -> list[datetime]:
    fires = next_fires(trigger, start, most)
    return [fire for fire in fires if fire < end]


def _transitions(tz: str, now: datetime) -> list[tuple[datetime, datetime]]:
    """The changes of a zone's clock in the next year: the instant, and the offset before it."""
    from ..core.zone_names import zone

    found = []
    of_zone = zone_of(zone(tz))
    for year in (now.year, now.year + 1):
        for instant, before, _ in of_zone.transitions(year):
            at = of_zone.at(instant)
            if now <= at <= now + 366 * _DAY:
                found.append((at, (at.astimezone(UTC) + timedelta(seconds=before)).replace(tzinfo=None)))
    return found


def fires_by_day(schedule: FireTimes, year: int, tz: tzinfo) -> list[int]:
    """The number of fires on each day of a year, in a zone."""
    first = datetime(year, 1, 1)
    days = [first + number * _DAY for number in range((datetime(year + 1, 1, 1) - first).days + 1)]
    midnights = [at_wall_time(day, tz).astimezone(UTC) for day in days]
    return [schedule.count(start, end) for start, end in pairwise(midnights)]
