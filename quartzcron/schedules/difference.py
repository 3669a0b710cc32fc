"""The difference of an expression and others, as disjoint expressions that together have the remaining fire times."""

from __future__ import annotations

from ..errors import CronError, check_type
from ..grammar.canonical import canonical_text
from ..search.calendar import Calendar, without_days
from ..search.compiled import CompiledExpression, make, with_layers
from ..wall.days import day_rule
from ..wall.pattern import WallPattern
from ..wall.times import time_rule
from ..zones.lookup import same_zone
from .schedule import MOST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..search.compiled import Expression


def remaining_parts(expression: Expression, others: Iterable[CompiledExpression]) -> list[Expression]:
    """The parts of an expression that remain without the wall times of the others; CronError for too many parts."""
    check_type(expression, CompiledExpression, "the expression must be a CronExpression")
    parts = [expression]
    for other in others:
        check_type(other, CompiledExpression, "an excluded expression must be a CronExpression")
        if other.tz is not None and not same_zone(other.tz, expression.tz):
            raise CronError("an excluded expression must have the zone of the other one, or none")
        parts = [remaining for part in parts for remaining in _difference(part, other)]
        if len(parts) > MOST:
            raise CronError(f"the remaining fire times need more than {MOST:,} expressions")
    return parts


def _difference(expression: Expression, other: CompiledExpression) -> list[Expression]:
    """The wall times of an expression without those of another, as expressions that have no time in common.

    The first has the days on which the other does not fire. The rest have the days on which it does: with the hours
    that the other lacks; with the common hours, and the minutes that it lacks; with the common hours and minutes, and
    the seconds that it lacks.
    """
    times, taken = expression._pattern.times, other._pattern.times
    ours = (times.hours, times.minutes, times.seconds)
    theirs = (taken.hours, taken.minutes, taken.seconds)
    common = tuple(one & two for one, two in zip(ours, theirs, strict=True))
    if not all(common):
        return [expression]
    days = Calendar.of(other)
    parts = [without_days(expression, days)]
    for place in range(3):
        remaining = (*common[:place], ours[place] & ~theirs[place], *ours[place + 1 :])
        if remaining[place]:
            parts.append(without_days(_with_times(expression, *remaining), days.inverted()))
    return [part for part in parts if not part.never_fires] or parts[:1]


def _with_times(expression: Expression, hours: int, minutes: int, seconds: int) -> Expression:
    """An expression with the same days, zone and policy at other times of day."""
    days = day_rule(expression._days.fields, expression._days.given_years)
    text = canonical_text(WallPattern(days, time_rule(seconds, minutes, hours)), interval=expression._interval)
    made = make(type(expression), text, expression.tz, expression.dst)
    return with_layers(made, expression._days.layers) if expression._days.layers else made
