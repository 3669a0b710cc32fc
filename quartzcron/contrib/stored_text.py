"""Expressions and schedules as the texts that columns of databases hold; zone and policy are the column's."""

from __future__ import annotations

from datetime import tzinfo
from typing import cast

from ..errors import CronError
from ..expression import CronExpression
from ..schedules import Schedule, from_text
from ..schedules.texts import is_joint
from ..zones.lookup import same_name_or_zone


def read(text: str, *, tz: str | tzinfo | None, dst: str) -> CronExpression | Schedule:
    """The expression, or the schedule of several, of a text. Raises CronError."""
    if isinstance(text, str) and is_joint(text):
        return cast(CronExpression | Schedule, from_text(text, tz=tz, dst=dst))
    return CronExpression(text, tz=tz, dst=dst)


def stored_text(value: CronExpression | Schedule, *, tz: str | tzinfo | None, dst: str, where: str) -> str:
    """The text of a value; raises CronError for one that a column or field of this zone and policy could not return."""
    own = CronExpression("* * * * * ?", tz=tz, dst=dst)
    for one in value.expressions if isinstance(value, Schedule) else (value,):
        if one._days.layers:
            what = "goes by working days" if one._days.is_rolled else "leaves out the days of a calendar"
            raise CronError(f"an expression that {what} cannot be stored as a text")
        if one.dst != own.dst or not same_name_or_zone(one.tz, own.tz):
            raise CronError(f"{one!r} has a different zone or policy from its {where}")
    return value.text
