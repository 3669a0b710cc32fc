"""Walking over fire times: whole plain days are added up in C, the rest goes from one next_fire to the next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .expression import CronExpression


def fires(expression: CronExpression, start: datetime | None, end: datetime | None) -> Iterator[datetime]:
    """The fire times strictly after `start` up to and including `end`."""
    fire = expression.next_fire(start)
    while fire is not None and (end is None or fire <= end):
        yield fire
        fire = expression.next_fire(fire)
