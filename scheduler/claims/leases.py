"""The lease of a daemon: its row says that it lives; when it does not, others end what it left open.

Who locks rows of several tables locks them in this order, so that nobody waits in a circle: daemons, timers by their
ids, runs.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, exists, insert, select, update

from ..core import breaker
from ..core.misfire import GRACE
from ..core.run import MESSAGES, Outcome, Task
from ..core.timer import Delivery
from ..core.timestamps import stamp
from ..errors import LeaseLostError
from ..store.database import Store, store_of
from ..store.rows import breaker_columns, breaker_of, task_of
from ..store.schema import daemons, runs, timers
from .presence import Presence, present

#: The end of a lease whose daemon left runs to whoever comes next.
GIVEN_UP = 0
#: How often a daemon looks after the others: a lost session is seen at once, and anything else only by its row.
LOOK_EVERY_S, LOOK_AT_ROWS_EVERY_S = 1.0, 2.5
#: How often where it knows of none; a new one on SQLite is noticed by the change to the file.
LOOK_AROUND_EVERY_S = 30.0
#: A daemon that holds no lock may be on its way back; it is looked at once more, so much later.
LOOK_TWICE_S = 0.1
#: After an outage, the others have so many looks' time to come back as well.
LOOKS_OF_GRACE = 2
#: How often a fire time is tried that must be delivered, while one daemon after the other dies under it.
MAX_ATTEMPTS = 5


class TakenOver(NamedTuple):
    """The rows of runs of dead daemons that were abandoned, and those that go on as our own."""

    abandoned: Sequence[Row[Any]]
    adopted: list[Task]


class Lease:
    """One daemon's hold on a store."""

    def __init__(self, store: Store, presence: Presence | None = None, *, fleet: Collection[str] = ()) -> None:
        self._store = store
        #: The environments whose functions run in a fleet.
        self._fleet = frozenset(fleet)
        self._presence = presence or Presence(store)
        #: Random, and new for each registration, so that no daemon is ever mistaken for another.
        self.id = 0
        self._suspects: set[int] = set()
        #: The leases of others as they were last seen, and since when, in monotonic seconds.
        self._seen: dict[int, tuple[int, float]] = {}
        #: How many other daemons there are, dead ones not yet buried among them.
        self.others = 0
        self._grace = 0

    @property
    def renew_again_s(self) -> float:
        """When to give the next sign of life, in seconds."""
        return self._store.lease.total_seconds() / self._store.lease_renewals

    @property
    def look_again_s(self) -> float:
        """When to look after the others again, in seconds."""
        if self.has_suspects:
            return LOOK_TWICE_S
        if self._store.has_server:
            return LOOK_EVERY_S
        return LOOK_AT_ROWS_EVERY_S if self.others else LOOK_AROUND_EVERY_S

    @property
    def has_suspects(self) -> bool:
        """Whether a daemon held no lock at the last look."""
        return bool(self._suspects)

    def register(self, now: datetime, wake_port: int) -> None:
        """Enter this process as a daemon of the store, holding a lease; the others hear of it, and share with it."""
        self.id = secrets.randbits(62)
        self._presence.show(self.id)
        with self._store.writing_and_notifying() as connection:
            connection.execute(
                insert(daemons).values(
                    id=self.id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    process_started=_process_started(os.getpid()),
                    wake_port=wake_port,
                    started_at=stamp(now),
                    lease_until=stamp(now + self._store.lease),
                    fleet=",".join(sorted(self._fleet)),
                )
            )

    def renew(self, now: datetime) -> None:
        """Give a sign of life; LeaseLostError when it comes too late."""
        renewed = update(daemons).where(daemons.c.id == self.id).values(lease_until=stamp(now + self._store.lease))
        with self._store.writing() as connection:
            if connection.execute(renewed).rowcount == 0:
                raise LeaseLostError(_LOST)

    def leave(self, now: datetime) -> None:
        """Give up the lease; runs that are still open are abandoned, but for those that a fleet has."""
        with self._store.writing() as connection:
            mine = _locked(connection, [self.id])
            goes_on = exists().where(_open_runs_of([self.id]), runs.c.environment.in_(self._fleet))
            if mine and connection.execute(select(goes_on)).scalar():
                # The row stays, for whoever comes next to find them.
                connection.execute(update(daemons).where(daemons.c.id == self.id).values(lease_until=GIVEN_UP))
                abandon(connection, _open_runs_of([self.id]) & runs.c.environment.not_in(self._fleet), now)
            else:
                _bury(connection, mine, now)

    def show(self) -> None:
        """See to it that the daemon holds its lock, where there is such a thing."""
        if self._presence.show(self.id):
            self._grace = LOOKS_OF_GRACE

    def take_over(self, now: datetime, monotonic: float) -> TakenOver:
        """Abandon the open runs of daemons that are dead, and run again what must be delivered.

        Runs that a fleet has go on: where this daemon hands its own to that fleet too, they become its own. Dead is a
        daemon whose process on this machine is gone, whose lease ran out, or that does not hold its lock.
        """
        with self._store.reading() as connection:
            others = connection.execute(select(daemons).where(daemons.c.id != self.id)).all()
            absent = self._absent(connection, {row.id for row in others})
        self.others = len(others)
        self._watch(others, monotonic)
        dead = {row.id: row.lease_until for row in others if self._is_dead(row, now, monotonic, absent)}
        self._suspects = absent - set(dead) if self._grace == 0 else set()
        self._grace = max(0, self._grace - 1)
        if not dead:
            return TakenOver([], [])
        with self._store.writing() as connection:
            # Who has renewed its lease since we looked lives after all.
            rows = [row for row in _locked(connection, dead) if row.lease_until == dead[row.id]]
            adopted = [task for row in rows for task in self._adopt(connection, row)]
            return TakenOver(_bury(connection, rows, now), adopted)

    def _adopt(self, connection: Connection, dead: Row[Any]) -> list[Task]:
        """Make those open runs of a dead daemon ours that go on in a fleet which is ours too."""
        ours = self._fleet & set(dead.fleet.split(","))
        if not ours:
            return []
        theirs = _open_runs_of([dead.id]) & runs.c.environment.in_(ours)
        rows = connection.execute(WITH_TIMER.where(theirs)).all()
        # What has no timer any more is abandoned.
        has_timer = runs.c.timer_id.in_(select(timers.c.id))
        connection.execute(update(runs).where(theirs, has_timer).values(owner=self.id))
        late = GRACE / timedelta(microseconds=1)
        return [task_of(row, past_due=row.claimed_at - row.fire_at > late) for row in rows]

    def _absent(self, connection: Connection, others: set[int]) -> set[int]:
        return others - present(connection) if others and self._store.has_server else set()

    def _watch(self, others: Sequence[Row[Any]], monotonic: float) -> None:
        before = self._seen
        self._seen = {
            row.id: seen
            if (seen := before.get(row.id)) is not None and seen[0] == row.lease_until
            else (row.lease_until, monotonic)
            for row in others
        }

    def _is_dead(self, row: Row[Any], now: datetime, monotonic: float, absent: set[int]) -> bool:
        # A process id means nothing where machines of one name share no processes, as containers may; the lock does.
        if _is_gone(row) and (self._store.is_on_one_machine or row.id in absent):
            return True
        return self._grace == 0 and (self._has_run_out(row, now, monotonic) or row.id in absent & self._suspects)

    def _has_run_out(self, row: Row[Any], now: datetime, monotonic: float) -> bool:
        """On one machine that is a matter of its clock; elsewhere of the time that we have seen no sign of life.

        The clocks of two machines may differ by more than a lease.
        """
        lease_until: int = row.lease_until
        if self._store.is_on_one_machine or lease_until == GIVEN_UP:
            return lease_until < stamp(now)
        return monotonic - self._seen[row.id][1] > self._store.lease.total_seconds()

    def check(self, connection: Connection) -> None:
        """Within a transaction: LeaseLostError when this daemon has no lease any more.

        Until the transaction ends, nobody else can take its runs over.
        """
        if connection.execute(_MINE, {"daemon": self.id}).scalar() is None:
            raise LeaseLostError(_LOST)


_MINE = select(daemons.c.id).where(daemons.c.id == bindparam("daemon")).with_for_update(read=True, key_share=True)
_LOST = "this daemon's lease ran out, and its runs were taken over"


def _locked(connection: Connection, daemon_ids: Collection[int]) -> list[Row[Any]]:
    """The rows of daemons, locked, but for those that are in the midst of a transaction of theirs."""
    rows = select(daemons).where(daemons.c.id.in_(daemon_ids)).with_for_update(skip_locked=True)
    return list(connection.execute(rows))


def end_run(connection: Connection, run_id: int, outcome: Outcome, now: datetime, message: str) -> None:
    """End a run that no executor has."""
    connection.execute(
        update(runs).where(runs.c.id == run_id).values(outcome=outcome, ended_at=stamp(now), message=message)
    )


def _open_runs_of(daemon_ids: Collection[int]) -> ColumnElement[bool]:
    return runs.c.owner.in_(daemon_ids) & runs.c.outcome.is_(None)


def _bury(connection: Connection, dead: Sequence[Row[Any]], now: datetime) -> Sequence[Row[Any]]:
    """Abandon the open runs of daemons that are no more, and forget these; returns the rows of those runs."""
    daemon_ids = [row.id for row in dead]
    abandoned = abandon(connection, _open_runs_of(daemon_ids), now)
    connection.execute(delete(daemons).where(daemons.c.id.in_(daemon_ids)))
    return abandoned


def abandon(
    connection: Connection,
    which: ColumnElement[bool],
    now: datetime,
    message: str = MESSAGES[Outcome.ABANDONED],
) -> Sequence[Row[Any]]:
    """End open runs of which nobody knows how far they came, and enter those again that must be delivered."""
    touched = select(timers).where(timers.c.id.in_(select(runs.c.timer_id).where(which))).order_by(timers.c.id)
    timer_rows = {row.id: row for row in connection.execute(touched.with_for_update(key_share=True))}
    # Locked, because a fleet may be about to end them.
    open_runs = connection.execute(select(runs).where(which).order_by(runs.c.id).with_for_update()).all()
    for row in open_runs:
        end_run(connection, row.id, Outcome.ABANDONED, now, message)
        timer = timer_rows.get(row.timer_id)
        # Not for ever: a run that takes its daemon down each time must come to an end.
        if timer is not None and timer.delivery == Delivery.AT_LEAST_ONCE and row.attempt < MAX_ATTEMPTS:
            _enter_again(connection, row, now)
    lose_probes(connection, timer_rows.values(), now)
    return open_runs


def _enter_again(connection: Connection, row: Row[Any], now: datetime) -> None:
    (run_id,) = store_of(connection).new_run_ids(connection, 1)
    again = {name: row._mapping[name] for name in ("timer_id", "timer", "function", "environment", "kind")}
    connection.execute(
        insert(runs).values(
            **again,
            id=run_id,
            fire_at=row.fire_at,
            last_fire_at=row.last_fire_at,
            count=1,
            attempt=row.attempt + 1,
            request_id=row.request_id,
            claimed_at=stamp(now),
            message="",
            lines_dropped=0,
        )
    )


#: Runs with what a task needs of their timers.
WITH_TIMER = select(runs, timers.c.params, timers.c.limit_s).join(timers, timers.c.id == runs.c.timer_id)


def lose_probes(connection: Connection, timer_rows: Iterable[Row[Any]], now: datetime) -> None:
    """Let half-open breakers of timers, whose rows are locked, have another probe: nobody knows how theirs ended."""
    for row in timer_rows:
        if row.breaker_state == breaker.BreakerState.HALF_OPEN:
            state = breaker.lose_probe(breaker_of(row), now)
            connection.execute(update(timers).where(timers.c.id == row.id).values(breaker_columns(state)))


def _is_gone(row: Row[Any]) -> bool:
    """Whether a daemon ran on this machine, and its process is no more."""
    return bool(row.host == socket.gethostname() and _process_started(row.pid) != row.process_started)


def _process_started(pid: int) -> str:
    """When a process of this machine started, in the kernel's words; empty when there is no such process."""
    try:
        # The command's name may hold spaces and brackets, so count from behind its last bracket (proc(5)).
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return "" if Path("/proc/self").exists() else _process_lives(pid)


def _process_lives(pid: int) -> str:
    """Where there is no /proc: whether there is such a process at all."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "lives"
