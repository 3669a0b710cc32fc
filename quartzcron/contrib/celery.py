"""A schedule for Celery beat (5.x): `{"task": "report", "schedule": quartz("0 0 8 ? * MON")}` in beat_schedule.

The class has a lower-case name, as Celery's own crontab and solar have.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from celery.schedules import crontab, schedstate  # type: ignore[import-untyped, import-not-found, unused-ignore]

from ..dialects import DialectError, write
from ..expression import CronExpression
from ..schedules import Schedule
from ..zones.dst_policies import VIXIE
from ..zones.lookup import same_zone

_IDLE_S = 86_400.0  # beat checks again after a day if nothing ever fires
_SECOND = timedelta(seconds=1)


def _between(earlier: datetime, later: datetime) -> timedelta:
    """The elapsed time, which is not the difference of two wall times where clocks change."""
    return later.astimezone(UTC) - earlier.astimezone(UTC)


class quartz(crontab):  # type: ignore[misc, unused-ignore]
    """A Quartz expression, or a schedule of several, as a schedule of Celery beat.

    It is read in its own zone `tz` if it has one, else in that of the app. Fires that were missed while beat was down
    run once, unless they are older than `beat_cron_starting_deadline`. Raises CronError for an invalid text.

    Beat schedulers that store Celery's own kinds, as django-celery-beat and RedBeat do, take it for the crontab with
    the same wall times. They get a DialectError, which says why, if there is none or if its zone is not the app's.

    >>> quartz("0 0 8 ? * MON", tz="Asia/Shanghai")
    <quartz: 0 0 8 ? * MON (Asia/Shanghai)>
    """

    expression: CronExpression | Schedule

    def __init__(
        self,
        expression: str | CronExpression | Schedule,
        *,
        tz: str | tzinfo | None = None,
        dst: str = VIXIE,
        nowfun: Callable[[], datetime] | None = None,
        app: Any = None,
    ) -> None:
        if isinstance(expression, (CronExpression, Schedule)):
            if tz is not None or dst != VIXIE:
                raise TypeError("an expression has its own zone and policy; pass tz and dst only with a text")
            self.expression = expression
        else:
            self.expression = CronExpression(expression, tz=tz, dst=dst)
        super(crontab, self).__init__(nowfun=nowfun, app=app)  # crontab's own takes five fields

    def remaining_estimate(self, last_run_at: datetime) -> timedelta | None:
        """The time until the first fire after a run; negative if it has passed, None if there is none."""
        fire = self.expression.next_fire(self._local(last_run_at))
        return None if fire is None else _between(self._local(self.now()), fire)

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Whether to run now, and in how many seconds beat is to check again."""
        now = self._local(self.now())
        remaining = self.remaining_estimate(last_run_at)
        if remaining is not None and remaining > timedelta(0):
            return schedstate(is_due=False, next=remaining.total_seconds())
        following = self.expression.next_fire(now)
        seconds = _IDLE_S if following is None else _between(now, following).total_seconds()
        return schedstate(is_due=remaining is not None and not self._too_late(now), next=seconds)

    def _too_late(self, now: datetime) -> bool:
        deadline = self.app.conf.beat_cron_starting_deadline
        if deadline is None:
            return False
        latest = self.expression.prev_fire(now + _SECOND)
        return latest is not None and _between(latest, now) > timedelta(seconds=deadline)

    def _local(self, time: datetime) -> datetime:
        aware: datetime = self.maybe_make_aware(time)
        return aware.astimezone(self.expression.tz or self.tz)

    # The fields that other beat schedulers read of a crontab, to store them.
    _orig_minute = property(lambda self: self._crontab_field(0))
    _orig_hour = property(lambda self: self._crontab_field(1))
    _orig_day_of_month = property(lambda self: self._crontab_field(2))
    _orig_month_of_year = property(lambda self: self._crontab_field(3))
    _orig_day_of_week = property(lambda self: self._crontab_field(4))

    def _crontab_field(self, place: int) -> str:
        """A field of the crontab with the same wall times; raises DialectError if there is none."""
        expression = self.expression
        if not isinstance(expression, CronExpression):
            raise DialectError("crontab", None, "a schedule of several expressions is not one crontab")
        if expression.tz is not None and not same_zone(expression.tz, self.tz):
            raise DialectError("crontab", "time zone", f"{expression.tz} is not the app's, by which a crontab is read")
        return write("crontab", expression).split()[place]

    def __eq__(self, other: object) -> bool:
        # A crontab, which Python would ask next, compares fields that an expression does not have.
        return isinstance(other, quartz) and bool(self.expression == other.expression)

    def __hash__(self) -> int:
        return hash(self.expression)

    def __repr__(self) -> str:
        zone = f" ({self.expression.tz})" if self.expression.tz is not None else ""
        return f"<quartz: {self.expression.text}{zone}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.expression, self.nowfun)


def _made_again(
    cls: type[quartz], expression: CronExpression | Schedule, nowfun: Callable[[], datetime] | None
) -> quartz:
    """Called by pickles."""
    return cls(expression, nowfun=nowfun)
