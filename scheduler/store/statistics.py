"""Statistics: what a store holds at one instant, in numbers: timers, overdue ones, breakers, daemons. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from ..core.breaker import BreakerState
from ..core.misfire import GRACE
from ..core.timestamps import instant, instant_or_none, stamp
from .database import Store
from .schema import daemons, timers

#: The most troubled timers that are named; more are counted only.
MOST_NAMED = 100


@dataclass(frozen=True, slots=True)
class Troubled:
    """A timer whose breaker is not closed."""

    name: str
    environment: str
    state: BreakerState
    failures: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Leased:
    """A daemon's row: where it runs, and until when it is believed to live."""

    host: str
    pid: int
    started_at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Statistics:
    """`timers` counts by environment and whether they are enabled, `breakers` by state; `troubled` names some.

    A timer is overdue when its fire time passed more than the misfire grace ago and no daemon has claimed it;
    `due_since` is the earliest fire time that waits.
    """

    timers: Mapping[tuple[str, bool], int]
    breakers: Mapping[BreakerState, int]
    troubled: tuple[Troubled, ...]
    overdue: int
    due_since: datetime | None
    daemons: tuple[Leased, ...]

    def living(self, now: datetime) -> list[Leased]:
        """The daemons whose lease holds."""
        return [daemon for daemon in self.daemons if daemon.lease_until >= now]


def take(store: Store, now: datetime, *, grace: timedelta = GRACE) -> Statistics:
    """Count, in one state of the store."""
    by_kind = select(timers.c.environment, timers.c.enabled, func.count()).group_by(
        timers.c.environment, timers.c.enabled
    )
    not_closed = timers.c.breaker_state != BreakerState.CLOSED
    by_state = select(timers.c.breaker_state, func.count()).where(not_closed).group_by(timers.c.breaker_state)
    named = select(timers).where(not_closed).order_by(timers.c.environment, timers.c.name).limit(MOST_NAMED)
    late = select(func.count()).where(timers.c.next_fire_at < stamp(now - grace))
    with store.reading() as connection:
        kinds = {(environment, bool(enabled)): count for environment, enabled, count in connection.execute(by_kind)}
        states = {BreakerState(state): count for state, count in connection.execute(by_state)}
        rows = connection.execute(named).all()
        overdue = connection.execute(late).scalar_one()
        earliest = connection.execute(select(func.min(timers.c.next_fire_at))).scalar()
        leased = connection.execute(select(daemons).order_by(daemons.c.started_at)).all()
    states[BreakerState.CLOSED] = sum(kinds.values()) - sum(states.values())
    return Statistics(
        timers=kinds,
        breakers=states,
        troubled=tuple(
            Troubled(
                row.name, row.environment, BreakerState(row.breaker_state), row.consecutive_failures, row.last_error
            )
            for row in rows
        ),
        overdue=overdue,
        due_since=instant_or_none(earliest),
        daemons=tuple(Leased(row.host, row.pid, instant(row.started_at), instant(row.lease_until)) for row in leased),
    )


def alive(store: Store) -> bool:
    """Whether a daemon holds a lease on the store."""
    query = select(func.count()).select_from(daemons).where(daemons.c.lease_until >= stamp(datetime.now(UTC)))
    with store.reading() as connection:
        return bool(connection.execute(query).scalar_one())
