"""Which fire times daemons have claimed already, so that a timer that is added or edited does not fire them again.

A daemon claims up to a quarter of a second ahead, by its own clock: the latest claimed fire time of a timer may be
later than `now`, and its run may have ended already.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select

from ..clock import MAX_LEAD_S
from ..core.run import Kind
from ..core.timer import Timer
from ..core.timestamps import EPOCH, instant, stamp
from .schema import runs, timers

#: A fire time after `now` was claimed at most this long before `now`: the clock of a daemon may be ahead by as much.
#: Runs are read by their ids, and daemons with true clocks enter runs with higher ids and earlier times behind its own.
_CLAIMED_WITHIN = timedelta(seconds=30)
#: A fire time later than this after `now` was claimed by a wrong clock that has been set back since.
_MAX_LEAD = timedelta(seconds=MAX_LEAD_S)


def claimed_by_name(connection: Connection, now: datetime) -> dict[tuple[str, str], datetime]:
    """The latest claimed fire times after `now`, by environment and name of the timer; includes removed timers."""
    rows = connection.execute(_CLAIMED_BY_NAME, _since(now))
    return {(environment, name): instant(at) for environment, name, at in rows}


def claimed_until(
    connection: Connection, timer_id: int, timer: Timer, next_fire: datetime | None, now: datetime
) -> datetime:
    """The latest claimed fire time of a timer whose row is locked; `now` if none is later.

    For an enabled timer, the fire time before `next_fire` is claimed, whatever the clock of the daemon that claimed it.
    The history is read too: if the schedule was changed, its former fire times may have been claimed later than that.
    """
    its = {"timer": timer_id, "name": timer.name, "environment": timer.environment.value}
    at = connection.execute(_CLAIMED, {**_since(now), **its}).scalar()
    return _latest(None if at is None else instant(at), timer, next_fire, now)


class ClaimedFires:
    """The latest claimed fire times after `now` of all timers, read at once: `claimed_until` for many timers."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._now = now
        self._by_id: dict[int, datetime] = {}
        #: By environment and name; includes removed timers.
        self.by_name: dict[tuple[str, str], datetime] = {}
        for timer_id, environment, name, at in connection.execute(_CLAIMED_OF_ALL, _since(now)):
            self._note(self.by_name, (environment, name), instant(at))
            self._note(self._by_id, timer_id, instant(at))
        for timer_id, at in connection.execute(_CLAIMED_IN_COUNTERS, _since(now)):
            self._note(self._by_id, timer_id, instant(at))

    @staticmethod
    def _note(latest: dict[Any, datetime], key: object, at: datetime) -> None:
        if key is not None and at > latest.get(key, EPOCH):
            latest[key] = at

    def of(self, timer_id: int, timer: Timer) -> datetime | None:
        """The latest claimed fire time of a timer in the history; None if none is after `now`."""
        by_id, by_name = self._by_id.get(timer_id), self.by_name.get((timer.environment, timer.name))
        if by_id is None or by_name is None:
            return by_id or by_name
        return max(by_id, by_name)

    def until(self, timer_id: int, timer: Timer, next_fire: datetime | None) -> datetime:
        """The latest claimed fire time of a timer whose row is locked; `now` if none is later."""
        return _latest(self.of(timer_id, timer), timer, next_fire, self._now)


def _latest(in_history: datetime | None, timer: Timer, next_fire: datetime | None, now: datetime) -> datetime:
    claimed = now if in_history is None else in_history
    before = timer.schedule.prev_fire(next_fire) if next_fire is not None else None
    return claimed if before is None or before > now + _MAX_LEAD else max(claimed, before)


def _since(now: datetime) -> dict[str, int]:
    """The parameters of the queries below."""
    return {"now": stamp(now), "since": stamp(now - _CLAIMED_WITHIN), "until": stamp(now + _MAX_LEAD)}


#: The last run whose claim is too old for a fire time after `now`: only the runs behind it are read.
_LAST_BEFORE = (
    select(runs.c.id)
    # Scheduled runs have the clock of a daemon; requested ones have that of the program that requested them.
    .where(
        or_(runs.c.claimed_at < bindparam("since"), runs.c.claimed_at > bindparam("until")),
        runs.c.kind == Kind.SCHEDULED,
    )
    .order_by(runs.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_IS_RECENT = runs.c.id > func.coalesce(_LAST_BEFORE, 0)
_IS_AHEAD = (
    (runs.c.last_fire_at > bindparam("now"))
    & (runs.c.last_fire_at <= bindparam("until"))
    & (runs.c.kind == Kind.SCHEDULED)
    & runs.c.due_at.is_(None)
)
#: A run that counts further fire times may be older than those.
_COUNTER = select(timers.c.counter_run_id).where(timers.c.id == bindparam("timer")).scalar_subquery()
#: Runs of the timer, under any former name, and of a removed timer with its name.
_ITS = or_(
    runs.c.timer_id == bindparam("timer"),
    (runs.c.timer == bindparam("name")) & (runs.c.environment == bindparam("environment")),
)
_CLAIMED = select(func.max(runs.c.last_fire_at)).where(_IS_AHEAD, or_(_IS_RECENT & _ITS, runs.c.id == _COUNTER))
_CLAIMED_BY_NAME = (
    select(runs.c.environment, runs.c.timer, func.max(runs.c.last_fire_at))
    .where(_IS_AHEAD, _IS_RECENT)
    .group_by(runs.c.environment, runs.c.timer)
)
_CLAIMED_OF_ALL = (
    select(runs.c.timer_id, runs.c.environment, runs.c.timer, func.max(runs.c.last_fire_at))
    .where(_IS_AHEAD, _IS_RECENT)
    .group_by(runs.c.timer_id, runs.c.environment, runs.c.timer)
)
_CLAIMED_IN_COUNTERS = select(timers.c.id, runs.c.last_fire_at).where(timers.c.counter_run_id == runs.c.id, _IS_AHEAD)
