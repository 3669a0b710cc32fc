"""Statistics: counts of a store at one instant: timers, overdue ones, breakers, daemons. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, func, select, text

from ..core.breaker import BreakerState
from ..core.misfire import GRACE
from ..core.timestamps import instant, instant_or_none, stamp
from .daemon_locks import holders_of_locks
from .database import Store
from .pauses import Pause, read_pauses
from .schema import NOT_HELD, daemons, runs, timers

#: The most timers with an open breaker that are listed; all are counted.
MAX_LISTED = 100


@dataclass(frozen=True, slots=True)
class TroubledTimer:
    """A timer whose breaker is open or half-open."""

    name: str
    environment: str
    state: BreakerState
    failures: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class DaemonLease:
    """A daemon's row: where it runs, and until when it counts as alive, by its own clock.

    `holds_lock`: it has its lock on the server, so it lives, whatever its clock says.
    """

    host: str
    pid: int
    started_at: datetime
    lease_until: datetime
    holds_lock: bool

    def lives(self, now: datetime) -> bool:
        """Whether it counts as alive; one without a lock may be about to connect again."""
        return self.holds_lock or self.lease_until >= now


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of one store.

    `timers` counts by environment and whether they are enabled, `breakers` by state; `troubled` lists timers whose
    breaker is not closed, up to MAX_LISTED. `overdue` counts timers whose fire time passed more than the misfire grace
    ago and was not claimed; `due_since` is the earliest fire time that is not claimed. `finished` counts enabled timers
    that will not fire again, `held` those that are paused; `pauses` are all pauses.
    """

    timers: Mapping[tuple[str, bool], int]
    breakers: Mapping[BreakerState, int]
    troubled: tuple[TroubledTimer, ...]
    overdue: int
    finished: int
    held: int
    pauses: tuple[Pause, ...]
    due_since: datetime | None
    daemons: tuple[DaemonLease, ...]

    def live_daemons(self, now: datetime) -> list[DaemonLease]:
        """The daemons that hold their lock on the server, or have a valid lease."""
        return [daemon for daemon in self.daemons if daemon.lives(now)]


def read_statistics(store: Store, now: datetime, *, grace: timedelta = GRACE) -> Statistics:
    """Read the counts in one transaction."""
    by_kind = select(timers.c.environment, timers.c.enabled, func.count()).group_by(
        timers.c.environment, timers.c.enabled
    )
    not_closed = timers.c.breaker_state != BreakerState.CLOSED
    by_state = select(timers.c.breaker_state, func.count()).where(not_closed).group_by(timers.c.breaker_state)
    listed = select(timers).where(not_closed).order_by(timers.c.environment, timers.c.name).limit(MAX_LISTED)
    ended = select(func.count()).where(timers.c.enabled.is_(True), timers.c.next_fire_at.is_(None))
    late = select(func.count()).where(timers.c.next_fire_at < stamp(now - grace), text(NOT_HELD))
    paused = select(func.count()).where(timers.c.held, timers.c.next_fire_at.is_not(None))
    with store.reading() as connection:
        kinds = {(environment, bool(enabled)): count for environment, enabled, count in connection.execute(by_kind)}
        states = {BreakerState(state): count for state, count in connection.execute(by_state)}
        rows = connection.execute(listed).all()
        overdue = connection.execute(late).scalar_one()
        finished = connection.execute(ended).scalar_one()
        held = connection.execute(paused).scalar_one()
        in_force = tuple(read_pauses(connection))
        earliest = connection.execute(select(func.min(timers.c.next_fire_at)).where(text(NOT_HELD))).scalar()
        daemons_seen = _daemons(connection)
    states[BreakerState.CLOSED] = sum(kinds.values()) - sum(states.values())
    return Statistics(
        timers=kinds,
        breakers=states,
        troubled=tuple(
            TroubledTimer(
                row.name, row.environment, BreakerState(row.breaker_state), row.consecutive_failures, row.last_error
            )
            for row in rows
        ),
        overdue=overdue,
        finished=finished,
        held=held,
        pauses=in_force,
        due_since=instant_or_none(earliest),
        daemons=daemons_seen,
    )


def _daemons(connection: Connection) -> tuple[DaemonLease, ...]:
    with_lock = holders_of_locks(connection)
    rows = connection.execute(select(daemons).order_by(daemons.c.started_at))
    return tuple(
        DaemonLease(row.host, row.pid, instant(row.started_at), instant(row.lease_until), row.id in with_lock)
        for row in rows
    )


class HeldUpRun(NamedTuple):
    """A run that was claimed and should have ended by its limit."""

    timer: str
    environment: str
    claimed_at: datetime


def count_claimed(store: Store, before: datetime) -> int:
    """The number of open runs that daemons claimed before an instant; some may wait for a free worker."""
    open_since = select(func.count()).where(
        runs.c.outcome.is_(None), runs.c.owner.is_not(None), runs.c.claimed_at < stamp(before)
    )
    with store.reading() as connection:
        return int(connection.execute(open_since).scalar_one())


def held_up_runs(store: Store, since: datetime) -> list[HeldUpRun]:
    """The open runs whose claim is older than their limit at `since`, oldest first."""
    overdue = runs.c.claimed_at + timers.c.limit_s * 1_000_000 < stamp(since)
    query = (
        select(runs.c.timer, runs.c.environment, runs.c.claimed_at)
        .join(timers, timers.c.id == runs.c.timer_id)
        .where(runs.c.outcome.is_(None), runs.c.owner.is_not(None), overdue)
        .order_by(runs.c.claimed_at)
    )
    with store.reading() as connection:
        return [HeldUpRun(row.timer, row.environment, instant(row.claimed_at)) for row in connection.execute(query)]


def has_live_daemon(store: Store) -> bool:
    """Whether a daemon holds its lock on the server, or has a valid lease."""
    with store.reading() as connection:
        return any(daemon.lives(datetime.now(UTC)) for daemon in _daemons(connection))
