"""The public names of calendars: Calendar and excluding, for days that an expression excludes, and WorkingDays, for
fires that move to working days.

Calendar is defined in search/calendar.py, WorkingDays in search/working_days.py; schedules/ excludes the fires of other
expressions.
"""

from __future__ import annotations

from .errors import check_type
from .expression import CronExpression
from .search.calendar import Calendar
from .search.working_days import WorkingDays

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, tzinfo

    from .schedules import Union

__all__ = ["Calendar", "WorkingDays", "excluding"]


def excluding(
    expression: CronExpression, *excluded: Calendar | CronExpression | Iterable[date]
) -> CronExpression | Union:
    """The same as `expression.excluding(*excluded)`."""
    check_type(expression, CronExpression, "the expression must be a CronExpression")
    return expression.excluding(*excluded)


def _without(text: str, tz: tzinfo | None, dst: str, calendar: Calendar) -> CronExpression:
    """Called by pickles of version 0.1.0."""
    return CronExpression(text, tz=tz, dst=dst).excluding(calendar)
