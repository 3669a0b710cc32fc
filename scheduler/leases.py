"""The lease of a daemon: its row says that it lives; when it does not, others end what it left open."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from . import breaker
from .errors import LeaseLostError
from .rows import breaker_columns, breaker_of, new_run_ids
from .run import MESSAGES, Outcome
from .schema import daemons, runs, timers
from .stamps import stamp
from .store import Store
from .timer import Delivery

#: How long a daemon is believed to be alive after its last sign of life.
LEASE = timedelta(seconds=10)


class Lease:
    """One daemon's hold on a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: Random, and new for each registration, so that no daemon is ever mistaken for another.
        self.id = 0

    def register(self, now: datetime, wake_port: int) -> None:
        """Enter this process as a daemon of the store, holding a lease."""
        self.id = secrets.randbits(62)
        with self._store.writing() as connection:
            connection.execute(
                insert(daemons).values(
                    id=self.id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    process_started=_process_started(os.getpid()),
                    wake_port=wake_port,
                    started_at=stamp(now),
                    lease_until=stamp(now + LEASE),
                )
            )

    def renew(self, now: datetime) -> None:
        """Give a sign of life; LeaseLostError when it comes too late."""
        with self._store.writing() as connection:
            self.check(connection)
            connection.execute(update(daemons).where(daemons.c.id == self.id).values(lease_until=stamp(now + LEASE)))

    def leave(self, now: datetime) -> None:
        """Give up the lease; runs that are still open are abandoned."""
        with self._store.writing() as connection:
            _abandon(connection, [self.id], now)

    def take_over(self, now: datetime) -> int:
        """Abandon the open runs of daemons that are dead, and run again what must be delivered; returns how many.

        Dead is a daemon whose lease ran out, or whose process on this machine is gone.
        """
        with self._store.writing() as connection:
            others = connection.execute(select(daemons).where(daemons.c.id != self.id)).all()
            dead = [row.id for row in others if _is_dead(row, now)]
            return _abandon(connection, dead, now) if dead else 0

    def check(self, connection: Connection) -> None:
        """Within a transaction: LeaseLostError when this daemon has no lease any more."""
        if connection.execute(select(daemons.c.id).where(daemons.c.id == self.id)).scalar() is None:
            raise LeaseLostError("this daemon's lease ran out, and its runs were taken over")


def end_run(connection: Connection, run_id: int, outcome: Outcome, now: datetime, message: str) -> None:
    """End a run that no executor has."""
    connection.execute(
        update(runs).where(runs.c.id == run_id).values(outcome=outcome, ended_at=stamp(now), message=message)
    )


def _abandon(connection: Connection, daemon_ids: Sequence[int], now: datetime) -> int:
    """End the open runs of daemons that are no more, and enter those again that must be delivered."""
    open_runs = connection.execute(
        select(runs, timers.c.delivery)
        .outerjoin(timers, timers.c.id == runs.c.timer_id)
        .where(runs.c.owner.in_(daemon_ids), runs.c.outcome.is_(None))
    ).all()
    for row in open_runs:
        end_run(connection, row.id, Outcome.ABANDONED, now, MESSAGES[Outcome.ABANDONED])
        # Once more, not for ever: a run that takes its daemon down each time must come to an end.
        if row.delivery == Delivery.AT_LEAST_ONCE and row.attempt == 1:
            _enter_again(connection, row, now)
    _lose_probes(connection, {row.timer_id for row in open_runs}, now)
    connection.execute(delete(daemons).where(daemons.c.id.in_(daemon_ids)))
    return len(open_runs)


def _enter_again(connection: Connection, row: Row[Any], now: datetime) -> None:
    (run_id,) = new_run_ids(connection, 1)
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


def _lose_probes(connection: Connection, timer_ids: set[int | None], now: datetime) -> None:
    half_open = timers.c.breaker_state == breaker.State.HALF_OPEN
    for row in connection.execute(select(timers).where(timers.c.id.in_(timer_ids), half_open)).all():
        state = breaker.lose_probe(breaker_of(row), now)
        connection.execute(update(timers).where(timers.c.id == row.id).values(breaker_columns(state)))


def _is_dead(row: Row[Any], now: datetime) -> bool:
    lease_until: int = row.lease_until
    is_local: bool = row.host == socket.gethostname()
    return lease_until < stamp(now) or (is_local and _process_started(row.pid) != row.process_started)


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
