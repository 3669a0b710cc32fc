"""Leases: a daemon's row says until when it counts as alive; other daemons take over the open runs of a dead one.

Every file of this folder relies on these invariants:

1. A fire time is claimed once. The transaction that inserts its run also advances the timer's `next_fire_at`, and holds
   the timer's row, or, on SQLite, the only write lock.
2. A run in progress has one owner, `runs.owner`, the random id of a daemon, never used twice. Only its owner ends it,
   or a daemon that takes over from its owner, or, in a fleet, the worker named in `runs.worker`.
3. A daemon's transaction that writes begins with `Lease.check`, which locks its row in `daemons`. A takeover locks the
   same row, skips it when it is locked, and removes it. So a daemon that counted as dead cannot write any more, and one
   that is writing does not count as dead. Five writes do not check the lease: they change no run that has an owner.
   `Retention.prune` deletes ended runs; `TimerTable.recompute_next_fires`, `TzdataUpdates.check` and
   `PauseTable.end_due` update timers, `remove_finished` deletes them.
4. What ends a run names its owner and an open run in the WHERE clause, so a result that comes too late changes nothing.
5. Locks are taken in this order, so that no two transactions wait for each other: daemons, timers by id, runs by id,
   alerts. Code that locks in another order uses SKIP LOCKED, as claims do.
6. The outcome of a run, its further attempt and the move of its breaker are written in one transaction.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, exists, insert, select, update

from ..core.misfire import GRACE
from ..core.run import Task
from ..core.timestamps import stamp
from ..errors import LeaseLostError
from ..store.database import Store
from ..store.rows import task_of
from ..store.schema import daemons, runs, timers
from ..store.statements import Query
from ..store.upgrade import VERSION, check_unmigrated
from .abandoned_runs import abandon
from .alert_causes import alert_of_lost_daemons
from .open_runs import WITH_TIMER
from .processes import is_gone, is_running, own_identity
from .session_lock import SessionLock

#: The end of the lease of a daemon that has left, and whose runs in a fleet another daemon is to adopt.
GIVEN_UP = 0

#: Daemons that have ended in this process, which goes on: their rows are left if the store could not be written.
_ENDED_HERE: set[int] = set()

#: How often a daemon checks the others: with a server, by their locks; without one, by their rows.
CHECK_LOCKS_EVERY_S, CHECK_ROWS_EVERY_S = 1.0, 2.5
#: How often a daemon that is alone checks for others; on SQLite, the change to the file also shows a new one.
CHECK_ALONE_EVERY_S = 30.0
#: After this time, a daemon without a lock is checked again, because it may be reconnecting.
CHECK_SUSPECTS_S = 0.1
#: After an outage of the server, a daemon without a lock is suspected only after this many checks.
CHECKS_OF_GRACE = 2


class TakenOver(NamedTuple):
    """The rows of runs of dead daemons that were abandoned, and the tasks of those that this daemon adopted."""

    abandoned: Sequence[Row[Any]]
    adopted: list[Task]


class Lease:
    """One daemon's hold on a store."""

    def __init__(self, store: Store, session_lock: SessionLock | None = None, *, fleet: Collection[str] = ()) -> None:
        self._store = store
        #: The environments whose functions run in a fleet.
        self._fleet = frozenset(fleet)
        self._session_lock = session_lock or SessionLock(store)
        #: Random, and new for each registration, so that two daemons never have the same id.
        self.id = 0
        #: Daemons that held no lock at the last check.
        self._suspects: set[int] = set()
        #: By daemon, the last seen end of its lease, and for how many seconds it has not changed.
        self._seen: dict[int, tuple[int, float]] = {}
        self._looked_at = 0.0
        #: The number of other daemon rows, including dead ones not yet removed.
        self.other_daemons = 0
        self._grace_checks = 0
        #: The other daemons that this one has found dead, and those whose processes ran at the last check.
        self.taken_over: set[int] = set()
        self.running: set[int] = set()

    @property
    def seen(self) -> Mapping[int, int]:
        """The other daemons at the last check, with the ends of their leases."""
        return {daemon: lease_until for daemon, (lease_until, _) in self._seen.items()}

    @property
    def renew_every_s(self) -> float:
        """How often to renew the lease."""
        return self._store.lease.total_seconds() / self._store.lease_renewals

    @property
    def check_others_in_s(self) -> float:
        """In how many seconds to check the other daemons again."""
        if self.has_suspects:
            return CHECK_SUSPECTS_S
        if self._store.has_server:
            return CHECK_LOCKS_EVERY_S
        return CHECK_ROWS_EVERY_S if self.other_daemons else CHECK_ALONE_EVERY_S

    @property
    def has_suspects(self) -> bool:
        """Whether a daemon held no lock at the last check."""
        return bool(self._suspects)

    def register(self, now: datetime, wake_port: int) -> dict[int, int]:
        """Enter this process as a daemon of the store, with a lease, and notify the others, which share with it.

        Returns the other daemons that were there before, dead or alive, with the ends of their leases.
        """
        unanswered, self.id = self.id, secrets.randbits(62)
        self._session_lock.hold_lock(self.id)
        with self._store.writing_and_notifying() as connection:
            # So that of two daemons that start together, the second one finds the first.
            self._store.acquire_mutex(connection)
            # The row of an earlier attempt that was committed and not answered would pass for another daemon's.
            connection.execute(delete(daemons).where(daemons.c.id == unanswered))
            others = {row.id: row.lease_until for row in connection.execute(select(daemons))}
            connection.execute(
                insert(daemons).values(
                    id=self.id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    process_started=own_identity(),
                    wake_port=wake_port,
                    started_at=stamp(now),
                    lease_until=stamp(now + self._store.lease),
                    fleet=",".join(sorted(self._fleet)),
                )
            )

        return others

    def note_start_fired(self, connection: Connection) -> bool:
        """Within a transaction: note that the start of this daemon has fired; False if that was noted before."""
        mine = (daemons.c.id == self.id) & daemons.c.has_fired.is_(False)
        return connection.execute(update(daemons).where(mine).values(has_fired=True)).rowcount == 1

    def renew(self, now: datetime) -> None:
        """Extend the lease; LeaseLostError if another daemon has taken over already."""
        renewed = update(daemons).where(daemons.c.id == self.id).values(lease_until=stamp(now + self._store.lease))
        with self._store.writing() as connection:
            if connection.execute(renewed).rowcount == 0:
                raise LeaseLostError(_LOST)

    def leave(self, now: datetime) -> None:
        """End the lease; open runs are abandoned, except those of a fleet, which continue."""
        with self._store.writing() as connection:
            mine = _locked(connection, [self.id])
            goes_on = exists().where(_open_runs_of([self.id]), runs.c.environment.in_(self._fleet))
            if mine and connection.execute(select(goes_on)).scalar():
                # The row stays, so that another daemon finds the runs and adopts them.
                connection.execute(update(daemons).where(daemons.c.id == self.id).values(lease_until=GIVEN_UP))
                abandon(connection, _open_runs_of([self.id]) & runs.c.environment.not_in(self._fleet), now)
            else:
                _remove(connection, mine, now)

    def note_ended(self) -> None:
        """Note that this daemon has ended, for later ones of this process, if its row could not be deleted."""
        _ENDED_HERE.add(self.id)

    def hold_lock(self) -> None:
        """Hold the daemon's lock on the server; after an outage, take it again, and give other daemons time to."""
        if self._session_lock.hold_lock(self.id):
            self._grace_checks = CHECKS_OF_GRACE

    def check(self, connection: Connection) -> None:
        """Within a transaction: LeaseLostError if another daemon has taken over this lease.

        Until the transaction ends, no other daemon can take over its runs (invariant 3).
        """
        if not _MINE.tuples(connection, daemon=self.id):
            raise LeaseLostError(_LOST)

    def check_to_begin(self, connection: Connection) -> None:
        """The same before runs are begun: also StoreMigratedError if a newer version has migrated the store."""
        mine = _MINE_AND_VERSION.tuples(connection, daemon=self.id)
        if not mine:
            raise LeaseLostError(_LOST)
        check_unmigrated(str(self._store), mine[0][1])

    def take_over(self, now: datetime, monotonic: float) -> TakenOver:
        """Take over from dead daemons: adopt their runs in a fleet that is also this daemon's, abandon the others.

        A daemon is dead when its process on this machine is gone, it ended in this process, its lease ran out, or it
        holds no lock. Raises LeaseLostError if there is one to take over from, but this one's lease was taken over.
        """
        with self._store.reading() as connection:
            others = connection.execute(select(daemons).where(daemons.c.id != self.id)).all()
            without_lock = self._session_lock.without_lock(connection, {row.id for row in others})
        self.other_daemons = len(others)
        self._note_leases(others, monotonic)
        dead = {row.id: row.lease_until for row in others if self._is_dead(row, without_lock)}
        alive = (row for row in others if row.id not in dead)
        self.running = {row.id for row in alive if is_running(row.host, row.pid, row.process_started)}
        self._suspects = without_lock - set(dead) if self._grace_checks == 0 else set()
        self._grace_checks = max(0, self._grace_checks - 1)
        if not dead:
            return TakenOver([], [])
        with self._store.writing() as connection:
            self.check(connection)
            # A daemon that has renewed its lease since the read above is alive after all.
            rows = [row for row in _locked(connection, dead) if row.lease_until == dead[row.id]]
            self.taken_over |= {row.id for row in rows}
            adopted = [task for row in rows for task in self._adopt(connection, row)]
            abandoned = _remove(connection, rows, now)
            alert_of_lost_daemons(connection, [row for row in rows if row.lease_until != GIVEN_UP], now)
            return TakenOver(abandoned, adopted)

    def _adopt(self, connection: Connection, dead: Row[Any]) -> list[Task]:
        """Become the owner of a dead daemon's open runs in the fleets that this daemon has too."""
        ours = self._fleet & set(dead.fleet.split(","))
        if not ours:
            return []
        theirs = _open_runs_of([dead.id]) & runs.c.environment.in_(ours)
        rows = connection.execute(WITH_TIMER.where(theirs)).all()
        # Runs whose timer was removed are not adopted, but abandoned.
        has_timer = runs.c.timer_id.in_(select(timers.c.id))
        connection.execute(update(runs).where(theirs, has_timer).values(owner=self.id))
        late = GRACE / timedelta(microseconds=1)
        return [task_of(row, past_due=row.claimed_at - row.fire_at > late) for row in rows]

    def _note_leases(self, others: Sequence[Row[Any]], monotonic: float) -> None:
        """Note how long each lease has not been renewed, by this process's own clock.

        The time between two checks counts up to a bound: while the store was locked or the machine suspended, this
        daemon could not check, and the others could not renew.
        """
        every_s = CHECK_LOCKS_EVERY_S if self._store.has_server else CHECK_ROWS_EVERY_S
        passed_s = min(monotonic - self._looked_at, CHECKS_OF_GRACE * every_s)
        self._looked_at = monotonic
        before = self._seen
        self._seen = {
            row.id: (row.lease_until, seen[1] + passed_s)
            if (seen := before.get(row.id)) is not None and seen[0] == row.lease_until
            else (row.lease_until, 0.0)
            for row in others
        }

    def _is_dead(self, row: Row[Any], without_lock: set[int]) -> bool:
        # Containers may share a host name without seeing each other's processes, so a lock decides if there is one.
        is_conclusive = self._store.is_on_one_machine or row.id in without_lock
        if is_conclusive and is_gone(row.host, row.pid, row.process_started):
            return True
        if row.id in _ENDED_HERE:
            return True
        if self._grace_checks:
            return False
        return self._has_run_out(row) or row.id in without_lock & self._suspects

    def _has_run_out(self, row: Row[Any]) -> bool:
        """Whether a lease was not renewed for its length, as seen from here; the time in the row does not count.

        The clocks of two machines may differ by more than a lease, and the clock of one may be set.
        """
        lease_until, unrenewed_s = self._seen[row.id]
        return lease_until == GIVEN_UP or unrenewed_s > self._store.lease.total_seconds()


# FOR KEY SHARE: it blocks a takeover, which locks the row FOR UPDATE, but not the renewal of the lease.
_ROW = select(daemons.c.id).where(daemons.c.id == bindparam("daemon")).with_for_update(read=True, key_share=True)
_MINE, _MINE_AND_VERSION = Query(_ROW), Query(_ROW.add_columns(VERSION))
_LOST = "this daemon's lease ran out, and its runs were taken over"


def _locked(connection: Connection, daemon_ids: Collection[int]) -> list[Row[Any]]:
    """Lock and return the rows of daemons, except those with an open transaction."""
    rows = select(daemons).where(daemons.c.id.in_(daemon_ids)).with_for_update(skip_locked=True)
    return list(connection.execute(rows))


def _open_runs_of(daemon_ids: Collection[int]) -> ColumnElement[bool]:
    return runs.c.owner.in_(daemon_ids) & runs.c.outcome.is_(None)


def _remove(connection: Connection, dead: Sequence[Row[Any]], now: datetime) -> Sequence[Row[Any]]:
    """Abandon the open runs of dead daemons, and delete their rows; returns the rows of those runs."""
    daemon_ids = [row.id for row in dead]
    abandoned = abandon(connection, _open_runs_of(daemon_ids), now)
    connection.execute(delete(daemons).where(daemons.c.id.in_(daemon_ids)))
    return abandoned
