"""A trigger for APScheduler 3: `add_job(report, QuartzTrigger("0 0 8 ? * MON"))`.

The entry point `quartz` of the group apscheduler.triggers makes `add_job(report, "quartz", expression="…")` work too.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any

from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped, import-not-found, unused-ignore]
from apscheduler.util import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    astimezone,
    convert_to_datetime,
)

from ..errors import CronError, check_type
from ..expression import CronExpression
from ..schedules import Schedule
from ..zones.dst_policies import VIXIE
from ..zones.lookup import local_zone, named_zone


class QuartzTrigger(BaseTrigger):  # type: ignore[misc, unused-ignore]
    """Fires when a Quartz expression, or a schedule of several, does.

    Its zone is that of the expression, else `timezone`, for which APScheduler passes the scheduler's. `start_date` and
    `end_date` bound the fire times, both included; `jitter` delays each by up to that many seconds. Raises CronError
    for an invalid text or zone.

    >>> QuartzTrigger("0 0 8 ? * MON", timezone="Asia/Shanghai")
    <QuartzTrigger ('0 0 8 ? * MON', timezone='Asia/Shanghai')>
    """

    expression: CronExpression | Schedule

    __slots__ = ("end_date", "expression", "jitter", "start_date", "timezone")

    def __init__(
        self,
        expression: str | CronExpression | Schedule,
        *,
        timezone: str | tzinfo | None = None,
        dst: str = VIXIE,
        start_date: datetime | str | None = None,
        end_date: datetime | str | None = None,
        jitter: float | None = None,
    ) -> None:
        if isinstance(expression, (CronExpression, Schedule)):
            if dst != VIXIE:
                raise TypeError("an expression has its own policy; pass dst only with a text")
            self.expression = expression
        else:
            self.expression = CronExpression(expression, dst=dst)
        zone = named_zone(timezone) if isinstance(timezone, str) else astimezone(timezone)
        self.timezone = self.expression.tz or zone or local_zone()
        self.start_date = convert_to_datetime(start_date, self.timezone, "start_date")
        self.end_date = convert_to_datetime(end_date, self.timezone, "end_date")
        check_type(jitter, (int, float, type(None)), "jitter must be a number of seconds")
        if jitter is not None and not 0 <= jitter < float("inf"):
            raise CronError(f"jitter must be 0 or more seconds, got {jitter}")
        self.jitter = jitter

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first fire time after the previous one, or, if there was none, not before now."""
        zone = self.timezone
        after = (previous_fire_time or now).astimezone(zone)
        included = previous_fire_time is None
        if self.start_date is not None and _utc(self.start_date) > _utc(after):
            after, included = self.start_date.astimezone(zone), True
        at_once = included and not after.microsecond and self.expression.matches(after)
        fire = after if at_once else self.expression.next_fire(after)
        if fire is None or (self.end_date is not None and _utc(fire) > _utc(self.end_date)):
            return None
        later: datetime = self._apply_jitter(fire, self.jitter, now)
        return later if self.end_date is None else min(later, self.end_date, key=_utc)

    def __getstate__(self) -> dict[str, Any]:
        return {"version": 1, **{name: getattr(self, name) for name in self.__slots__}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, state[name])

    def __str__(self) -> str:
        return f"quartz[{self.expression.text}]"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} ({self.expression.text!r}, timezone='{self.timezone}')>"


def _utc(time: datetime) -> datetime:
    """The order of times; datetime compares two times of one zone by wall time, which repeats in an overlap."""
    return time.astimezone(UTC)
